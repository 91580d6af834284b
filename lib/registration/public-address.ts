/**
 * Behind a NAT: the address under which the registrar sees us (`received` and `rport` of RFC 3581 §4), shown in the
 * Contact instead of our own, once the registrar has taken it.
 */
import { isIPv4, isIPv6, NameAddr, SipUri, type SipResponse } from "../message/index.js";
import type { Flow, TransportProtocol } from "../transport/transport.js";

/** A place in a Contact, other than that of the flow. */
export interface PublicPlace {
  /** IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
  readonly protocol: TransportProtocol;
}

export class PublicAddress {
  readonly #wanted: boolean;
  #seen: { readonly flow: Flow; readonly place: PublicPlace } | undefined;
  /** `unproven`: the registrar has not taken a Contact with the learnt address yet; `refused`: nor will it. */
  #trust: "idle" | "unproven" | "refused" = "idle";
  /** A binding that the next REGISTER takes away. */
  #replaced: NameAddr | undefined;

  constructor(wanted: boolean) {
    this.#wanted = wanted;
  }

  /** What to show on this flow; undefined = the flow's own address. */
  placeOn(flow: Flow): PublicPlace | undefined {
    return this.#seen?.flow === flow ? this.#seen.place : undefined;
  }

  /**
   * After a 2xx: is there an address to show that the REGISTER did not show?
   *
   * @param contact - what it showed. @param replaces - the registrar does not know by itself that both are us.
   */
  learn(
    response: SipResponse,
    flow: Flow,
    contact: NameAddr | undefined,
    replaces: boolean,
  ): boolean {
    this.#replaced = undefined;
    if (!this.#wanted || this.#trust === "refused") return false;
    if (this.#trust === "unproven") {
      this.#trust = "idle";
      return false;
    }
    const known = this.placeOn(flow);
    const shown = contact?.uri;
    if (!(shown instanceof SipUri)) return false;
    // An advertised name or address is the user's word: it stays.
    if (known === undefined && bare(shown.host) !== bare(flow.localAddress)) return false;
    const place = placeSeen(response, flow);
    if (place === undefined || (place.host === known?.host && place.port === known.port)) {
      return false;
    }
    this.#seen = { flow, place };
    this.#trust = "unproven";
    this.#replaced = replaces ? contact : undefined;
    return true;
  }

  /** The next REGISTER takes this binding of somebody in whose place we come away. */
  replaces(old: NameAddr): void {
    this.#replaced = old;
  }

  /** The registrar refused. @returns true when it may take our own address, as it did a moment ago. */
  refused(): boolean {
    this.#replaced = undefined;
    if (this.#trust !== "unproven") return false;
    this.#trust = "refused";
    this.#seen = undefined;
    return true;
  }

  /** No answer came, or the binding is gone. */
  forget(): void {
    this.#replaced = undefined;
    this.#seen = undefined;
    if (this.#trust === "unproven") this.#trust = "idle";
  }

  /** RFC 3261 §10.3 step 7: Contacts are taken in order; the old binding leaves its place to the new one. */
  contactLine(contact: NameAddr): string {
    const old = this.#replaced;
    if (old === undefined) return contact.toString();
    const parameters = new Map([...old.parameters, ["expires", "0"] as const]);
    const removed = new NameAddr(old.uri, old.displayName, parameters);
    return `${removed.toString()}, ${contact.toString()}`;
  }
}

/** The sender of our request as the server saw it, when that is not the flow's own address. */
function placeSeen(response: SipResponse, flow: Flow): PublicPlace | undefined {
  // A WebSocket client is known by its connection alone.
  if (flow.protocol === "ws" || flow.protocol === "wss") return undefined;
  const { parameters } = response.topVia;
  const received = bare(parameters.get("received") ?? "");
  if (received === bare(flow.localAddress) || !isOneHost(received)) return undefined;
  const port = Number(parameters.get("rport") ?? "");
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return { host: isIPv6(received) ? `[${received}]` : received, port, protocol: flow.protocol };
}

/** An address that can be somebody else's way to us: no group, not this machine itself. */
function isOneHost(address: string): boolean {
  if (isIPv4(address)) {
    const first = Number(address.split(".")[0]);
    return first > 0 && first !== 127 && first < 224;
  }
  return isIPv6(address) && !/^(ff|::1?$)/i.test(address);
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, "").toLowerCase();
}
