/** The Contact by which peers reach us again (RFC 3261 §8.1.1.8, RFC 7118 §5.2, RFC 5626 §4.1). */
import { NameAddr, parseUri, SipUri, type Parameters } from "../message/index.js";
import type { PublicPlace } from "../registration/index.js";
import type { Flow } from "../transport/transport.js";

/** User part of the Contact of a call without account. */
export const DIRECT_USER = "node-red";

/**
 * @param user - user part as on the wire.
 * @param extra - further URI parameters.
 * @param seen - what to show instead of the flow's own address.
 */
export function contactUri(
  flow: Flow,
  user: string,
  extra: readonly (readonly [string, string | null])[] = [],
  seen?: PublicPlace,
): SipUri {
  const parameters = new Map<string, string | null>();
  const protocol = seen?.protocol ?? flow.contactProtocol ?? flow.protocol;
  // A `wss` URI parameter does not exist (RFC 7118 §5.2.3): the peer answers over the connection it has.
  if (protocol !== "udp") parameters.set("transport", protocol === "wss" ? "ws" : protocol);
  for (const [name, value] of extra) parameters.set(name, value);
  if (seen !== undefined) return new SipUri("sip", user, seen.host, seen.port, parameters);
  const place = parseUri(`sip:${flow.contactHost}`);
  const host = place instanceof SipUri ? place.host : flow.localAddress;
  const port = place instanceof SipUri ? place.port : flow.localPort;
  return new SipUri("sip", user, host, port, parameters);
}

/**
 * The text of a Contact header, without building objects: it is needed in every call.
 *
 * @param isSecure - for an account with a sips address (RFC 3261 §8.1.1.8); TLS is then said by the scheme.
 */
export function contactText(flow: Flow, user: string, isSecure = false): string {
  const protocol = flow.contactProtocol ?? flow.protocol;
  const scheme = isSecure ? "sips" : "sip";
  if (protocol === "udp" || (isSecure && protocol === "tls")) {
    return `<${scheme}:${user}@${flow.contactHost}>`;
  }
  return `<${scheme}:${user}@${flow.contactHost};transport=${protocol === "wss" ? "ws" : protocol}>`;
}

/** What an account adds to its Contacts. */
export interface ContactExtras {
  /** URI parameters, within the brackets. */
  readonly uri: Parameters;
  /** Header parameters, behind them. */
  readonly header: Parameters;
}

export interface BindingOptions {
  readonly user: string;
  /** Marks the binding as ours. */
  readonly line: string;
  /** `urn:uuid:…` (RFC 5626 §4.1). */
  readonly instance: string | undefined;
  /** With `reg-id` (RFC 5626 §4.2). */
  readonly outbound: boolean;
  readonly place: PublicPlace | undefined;
  readonly extras: ContactExtras;
}

/** The Contact of a registration. */
export function bindingContact(flow: Flow, options: BindingOptions): NameAddr {
  const { user, line, instance, outbound, place, extras } = options;
  const uri = contactUri(flow, user, [["line", line], ...extras.uri], place);
  const parameters = new Map(extras.header);
  if (instance !== undefined) {
    if (outbound) parameters.set("reg-id", "1");
    if (!parameters.has("+sip.instance")) parameters.set("+sip.instance", `<${instance}>`);
  }
  return new NameAddr(uri, undefined, parameters.size === 0 ? undefined : parameters);
}
