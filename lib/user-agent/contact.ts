/** The Contact by which peers reach us again (RFC 3261 §8.1.1.8, RFC 7118 §5.2, RFC 5626 §4.1). */
import { NameAddr, parseUri, SipUri } from "../message/index.js";
import type { Flow } from "../transport/transport.js";

/** User part of the Contact of a call without account. */
export const DIRECT_USER = "node-red";

/**
 * @param user - user part as on the wire.
 * @param extra - further URI parameters.
 */
export function contactUri(
  flow: Flow,
  user: string,
  extra: readonly (readonly [string, string | null])[] = [],
): SipUri {
  const parameters = new Map<string, string | null>();
  const protocol = flow.contactProtocol ?? flow.protocol;
  // A `wss` URI parameter does not exist (RFC 7118 §5.2.3): the peer answers over the connection it has.
  if (protocol !== "udp") parameters.set("transport", protocol === "wss" ? "ws" : protocol);
  for (const [name, value] of extra) parameters.set(name, value);
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

/** The Contact of a registration. @param instance - `urn:uuid:…` for RFC 5626. */
export function bindingContact(
  flow: Flow,
  user: string,
  line: string,
  instance: string | undefined,
): NameAddr {
  const uri = contactUri(flow, user, [["line", line]]);
  if (instance === undefined) return new NameAddr(uri);
  const outbound = uri.with({ parameters: new Map([...uri.parameters, ["ob", null]]) });
  return new NameAddr(
    outbound,
    undefined,
    new Map([
      ["reg-id", "1"],
      ["+sip.instance", `<${instance}>`],
    ]),
  );
}
