/** How the built-in caller of "ring my flow" reaches a stack: over one of the transports that it has bound, from this machine. */
import { isIPv6, type TransportOptions, type UserAgent } from "../../../lib/index.js";
import { type Pattern } from "../patterns.js";

type Bound = UserAgent["bound"][number];

export interface Way {
  readonly protocol: Bound["protocol"];
  /** Where the stack listens, and where the caller sends from: an address of this machine. */
  readonly address: string;
  readonly port: number;
  /** Of the descriptions of the stack, which name an address that does not lead here from here. */
  readonly advertised: string | undefined;
  /** ws and wss. */
  readonly path: string | undefined;
  /** tls and wss: the stack's own certificate. */
  readonly certificate: string | Buffer | undefined;
}

/** By what is most likely to work without a certificate. */
const PREFERENCE: readonly Bound["protocol"][] = ["udp", "tcp", "tls", "ws", "wss"];

/** @returns undefined when nothing is bound that a call could come in on. */
export function wayTo(
  bound: readonly Bound[],
  transports: () => readonly TransportOptions[],
): Way | undefined {
  const [best] = [...bound].sort((a, b) => rank(a) - rank(b));
  if (best === undefined) return undefined;
  const { protocol, port, advertise } = best;
  const isPlain = protocol === "udp" || protocol === "tcp";
  const entry = isPlain ? undefined : entryOf(best, transports());
  return {
    protocol,
    address: ownAddress(best.address),
    port,
    advertised: advertise === undefined ? undefined : hostOf(advertise),
    path: entry?.path,
    certificate: entry?.tls?.cert,
  };
}

/** The same protocol: that on the loopback first, then by order. */
function rank({ protocol, address }: Bound): number {
  return 2 * PREFERENCE.indexOf(protocol) + (isHere(ownAddress(address)) ? 0 : 1);
}

function isHere(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** Bound to all addresses = the loopback leads there. */
function ownAddress(address: string): string {
  if (address === "0.0.0.0") return "127.0.0.1";
  return address === "::" ? "::1" : address;
}

function entryOf(
  { protocol, port }: Bound,
  entries: readonly TransportOptions[],
): TransportOptions | undefined {
  const same = entries.filter((entry) => entry.protocol === protocol);
  return same.find((entry) => entry.port === port) ?? same[0];
}

function hostOf(advertise: string): string {
  if (advertise.startsWith("[")) return advertise.slice(1, advertise.indexOf("]"));
  return advertise.split(":").length === 2 ? (advertise.split(":")[0] ?? advertise) : advertise;
}

export function hostPort({ address, port }: Way): string {
  return `${bracketed(address)}:${port}`;
}

export function bracketed(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

/** What a node's pattern fits, for who leaves it to us. Undefined for a regular expression: nobody can guess that. */
export function exampleOf(pattern: Pattern | undefined, otherwise: string): string | undefined {
  if (pattern === undefined) return otherwise;
  if (pattern.kind === "regex") return undefined;
  return pattern.kind === "literal" ? pattern.source : pattern.source.replaceAll("*", "1");
}

/** `600`, `alice@example.com` or a whole URI, as the user and host of a URI. @throws URIError for half a character. */
export function addressParts(text: string): { user: string; host: string | undefined } {
  const bare = text.trim().replace(/^(?:sips?|tel):/i, "");
  const at = bare.lastIndexOf("@");
  const user = encodeURIComponent(at < 0 ? bare : bare.slice(0, at)).replaceAll("%2B", "+");
  return { user, host: at < 0 ? undefined : bare.slice(at + 1) };
}
