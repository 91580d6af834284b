/** Small pure questions about IP addresses, ports and `host:port` texts (RFC 3261 §19.1.2, RFC 5118). */
import { isIP, SocketAddress } from "node:net";
import type { TransportProtocol } from "./transport.js";

const DEFAULT_PORTS: Readonly<Record<TransportProtocol, number>> = {
  udp: 5060,
  tcp: 5060,
  tls: 5061,
  ws: 80,
  wss: 443,
};

/** RFC 3261 §18.1.1, RFC 7118 §5.4: the port that is meant when none is written. */
export function defaultPort(protocol: TransportProtocol): number {
  return DEFAULT_PORTS[protocol];
}

const PROTOCOLS: ReadonlySet<string> = new Set(Object.keys(DEFAULT_PORTS));

/** @param word - a `transport` parameter or Via protocol in any case. */
export function transportProtocol(word: string): TransportProtocol | undefined {
  const lower = word.toLowerCase();
  return PROTOCOLS.has(lower) ? (lower as TransportProtocol) : undefined;
}

/** True for everything but UDP: the transport itself repeats what is lost. */
export function isReliable(protocol: TransportProtocol): boolean {
  return protocol !== "udp";
}

/** `[2001:db8::1]` → `2001:db8::1`; everything else as it is. */
export function unbracket(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}

/** IPv6 addresses in brackets and without zone, as URIs and Via write them (RFC 3986 §3.2.2). */
export function bracket(address: string): string {
  if (!address.includes(":") || address.startsWith("[")) return address;
  const zone = address.indexOf("%");
  return `[${zone < 0 ? address : address.slice(0, zone)}]`;
}

/** `host:port`, IPv6 in brackets. */
export function hostPort(address: string, port: number): string {
  return `${bracket(address)}:${port}`;
}

/** 4 or 6 for an IP literal (brackets allowed), 0 for a name. */
export function ipFamily(host: string): 0 | 4 | 6 {
  return isIP(unbracket(host)) === 0 ? 0 : unbracket(host).includes(":") ? 6 : 4;
}

/**
 * One spelling per address: IPv6 compressed and lower-case, IPv4 in IPv6 as IPv4, no brackets, no zone.
 * Names come back in lower case.
 */
export function canonicalAddress(host: string): string {
  if (!host.includes(":")) return host.toLowerCase();
  let bare = unbracket(host);
  const zone = bare.indexOf("%");
  if (zone >= 0) bare = bare.slice(0, zone);
  if (isIP(bare) !== 6) return host.toLowerCase();
  const address = new SocketAddress({ address: bare, family: "ipv6" }).address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped ? mapped[1] : address;
}

/** Do two texts name the same IP address (or the same host name)? */
export function sameAddress(a: string, b: string): boolean {
  return a === b || canonicalAddress(a) === canonicalAddress(b);
}

/** Addresses that must never be answered or dialled one by one: multicast, broadcast, unspecified. */
export function isGroupAddress(address: string): boolean {
  const bare = canonicalAddress(address);
  switch (isIP(bare)) {
    case 4: {
      const first = Number(bare.slice(0, bare.indexOf(".")));
      return first === 0 || (first >= 224 && first <= 239) || bare === "255.255.255.255";
    }
    case 6:
      return bare === "::" || bare.startsWith("ff");
    default:
      return false;
  }
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  if (address.startsWith("127.")) return true;
  return address.includes(":") && isLoopbackCanonical(canonicalAddress(address));
}

function isLoopbackCanonical(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

/** `0.0.0.0` or `::`: bound to every address of the machine. */
export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || (address.includes(":") && canonicalAddress(address) === "::");
}
