/**
 * The answer to 494 Security Agreement Required (RFC 3329 §2.3.1): the mechanism that the server prefers among those
 * that we have, and its list sent back unchanged, so that nobody on the way can have shortened it.
 */
import type { SipResponse } from "../message/index.js";
import type { HeaderList } from "../session/index.js";
import type { FlowTarget, TransportProtocol } from "../transport/transport.js";
import { targetKey } from "./target-health.js";

/** Servers whose agreement is remembered. */
const MOST_AGREEMENTS = 64;
const MOST_MECHANISMS = 16;
const MECHANISM = /^([A-Za-z0-9.!%*_+`'~-]+)((?:\s*;\s*[^;,"]+(?:"[^"]*")?)*)$/;
const PREFERENCE = /;\s*q\s*=\s*(0(?:\.\d{1,3})?|1(?:\.0{1,3})?)\s*(?:;|$)/i;

interface Mechanism {
  readonly name: string;
  /** 0 when the server states none. */
  readonly preference: number;
  readonly text: string;
}

/**
 * @param protocol - what the request travelled over: TLS can only be agreed on where it is in use.
 * @returns the headers of the next request; undefined when there is no list, it cannot be read, or we have nothing of
 *   it.
 */
export function agreeOnSecurity(
  response: SipResponse,
  protocol: TransportProtocol,
): HeaderList | undefined {
  const offered = mechanismsOf(response);
  if (offered === undefined) return undefined;
  const ours = protocol === "tls" || protocol === "wss" ? ["tls", "digest"] : ["digest"];
  let chosen: Mechanism | undefined;
  for (const mechanism of offered) {
    if (!ours.includes(mechanism.name)) continue;
    if (chosen === undefined || mechanism.preference > chosen.preference) chosen = mechanism;
  }
  if (chosen === undefined) return undefined;
  return [
    ["Require", "sec-agree"],
    ["Proxy-Require", "sec-agree"],
    ["Security-Client", chosen.name],
    ["Security-Verify", offered.map(({ text }) => text).join(", ")],
  ];
}

/**
 * What was agreed on with each of our own servers, for the requests that follow, until the server asks anew (RFC 3329
 * §2.3.1). The oldest is forgotten first.
 */
export class SecurityAgreements {
  readonly #headers = new Map<string, HeaderList>();

  /** Of this server and protocol. */
  of(target: FlowTarget): HeaderList | undefined {
    return this.#headers.get(targetKey(target));
  }

  /** @param headers - undefined: the last ones are not worth anything any more. */
  remember(target: FlowTarget, headers: HeaderList | undefined): void {
    const key = targetKey(target);
    this.#headers.delete(key);
    if (headers === undefined) return;
    const [oldest] = this.#headers.keys();
    if (this.#headers.size >= MOST_AGREEMENTS && oldest !== undefined) this.#headers.delete(oldest);
    this.#headers.set(key, headers);
  }
}

function mechanismsOf(response: SipResponse): Mechanism[] | undefined {
  const mechanisms: Mechanism[] = [];
  for (const text of splitList(response.headers.getAll("security-server").join(","))) {
    const match = MECHANISM.exec(text);
    if (match === null || mechanisms.length >= MOST_MECHANISMS) return undefined;
    const preference = Number(PREFERENCE.exec(match[2] ?? "")?.[1] ?? 0);
    mechanisms.push({ name: (match[1] ?? "").toLowerCase(), preference, text });
  }
  return mechanisms.length === 0 ? undefined : mechanisms;
}

/** At commas outside of quotes. */
function splitList(text: string): string[] {
  const parts = text.slice(0, 4_096).match(/(?:"[^"]*"|[^,"])+/g) ?? [];
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}
