/**
 * What a server does with the top Via: `received` and `rport` on requests (RFC 3261 §18.2.1, RFC 3581 §4) and
 * where the response goes (RFC 3261 §18.2.2). Pure functions.
 */
import type { MessageSource, SipRequest, Via } from "../message/index.js";
import {
  canonicalAddress,
  defaultPort,
  ipFamily,
  isGroupAddress,
  isReliable,
  sameAddress,
  unbracket,
} from "./addresses.js";
import type { TransportProtocol } from "./transport.js";

/**
 * Sets `source` and completes the top Via of an incoming request. A `received` or a filled `rport` that the
 * peer wrote itself is replaced or removed: only the network may say where answers go.
 */
export function applyViaRules(request: SipRequest, source: MessageSource): void {
  request.source = source;
  const via = request.topVia;
  const wantsPort = via.parameters.has("rport");
  // RFC 3581 §4: with rport, received is added even when it equals the sent-by host.
  const needsReceived = wantsPort || !sameAddress(via.host, source.address);
  if (!needsReceived && !via.parameters.has("received")) return;

  // The message is still ours alone, so its Via is completed in place.
  const { parameters } = via;
  // RFC 5118 §4.5: without brackets, as the grammar of `via-received` has it.
  if (needsReceived) parameters.set("received", canonicalAddress(source.address));
  else parameters.delete("received");
  if (wantsPort) parameters.set("rport", String(source.port));
  request.replaceTopVia(via);
}

/** Where a response goes when it does not simply return on the connection that brought the request. */
export interface ResponseAddress {
  /** IP address, or the sent-by name when the request carries no `received`. */
  readonly address: string;
  readonly port: number;
  /** UDP: leave from the socket that took the request, so that NATs let it through (RFC 3581 §4). */
  readonly symmetric: boolean;
}

/**
 * RFC 3261 §18.2.2. `maddr` is followed only to one single host given as an IP address: a group address would
 * let one small packet reach many.
 *
 * @param via - top Via of the request after `applyViaRules`.
 */
export function responseAddress(via: Via, protocol: TransportProtocol): ResponseAddress {
  const sentByPort = via.port ?? defaultPort(protocol);
  if (isReliable(protocol)) {
    return { address: receivedHost(via), port: sentByPort, symmetric: false };
  }
  const multicast = via.parameters.get("maddr");
  if (typeof multicast === "string" && ipFamily(multicast) !== 0 && !isGroupAddress(multicast)) {
    return { address: unbracket(multicast), port: sentByPort, symmetric: false };
  }
  const rport = Number(via.parameters.get("rport") ?? 0);
  if (Number.isInteger(rport) && rport > 0 && rport < 65_536) {
    return { address: receivedHost(via), port: rport, symmetric: true };
  }
  return { address: receivedHost(via), port: sentByPort, symmetric: true };
}

function receivedHost(via: Via): string {
  const received = via.parameters.get("received");
  return typeof received === "string" && received !== ""
    ? unbracket(received)
    : unbracket(via.host);
}
