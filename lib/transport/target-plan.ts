/**
 * The part of RFC 3263 §4.1 that needs no DNS: which host is asked for, over which transports it may be reached,
 * and which of them the URI or the account demands. Pure.
 */
import { TransportError } from "../foundation/index.js";
import type { SipUri, Uri } from "../message/index.js";
import { ipFamily, transportProtocol, unbracket } from "./addresses.js";
import type { TransportProtocol } from "./transport.js";

export interface ResolveOptions {
  /** What the transport layer can send over (`TransportLayer.protocols`). */
  readonly protocols: readonly TransportProtocol[];
  /** Setting of the account: as if every URI without `transport` had it. A sips URI turns tcp and udp into tls. */
  readonly preferred?: TransportProtocol | undefined;
  /** Address families that can be reached. Default both; IPv4 is tried first. */
  readonly families?: readonly (4 | 6)[] | undefined;
  /** ws/wss: path of the URL. */
  readonly path?: string | undefined;
  /** false: what a peer chose must not lead to this machine itself (SSRF): E_DNS, rule `loopback`. Default true. */
  readonly allowLoopback?: boolean | undefined;
}

/** What is asked of DNS. */
export interface TargetPlan {
  /** Name or IP address without brackets. */
  readonly host: string;
  readonly isNumeric: boolean;
  readonly port: number | undefined;
  /** Demanded by the URI or the account; undefined = DNS may choose. */
  readonly demanded: TransportProtocol | undefined;
  /** The transports that may be used, best first; never empty. */
  readonly usable: readonly TransportProtocol[];
  /** The URI's own words demand UDP: large requests do not move to TCP. */
  readonly udpDemanded: boolean;
}

/** In this order transports are tried where nothing else decides. */
const CUSTOMARY: readonly TransportProtocol[] = ["udp", "tcp", "tls", "wss", "ws"];

/** @returns TransportError when no transport of ours can serve this URI. */
export function planTarget(uri: Uri, options: ResolveOptions): TargetPlan | TransportError {
  if (uri.scheme === "tel") {
    return fault(
      uri,
      "a telephone number needs an account or a proxy that knows where to send it.",
    );
  }
  if (!isSipUri(uri)) return fault(uri, `SIP cannot send to ${uri.scheme} URIs.`);
  const demanded = demandedProtocol(uri, options);
  if (demanded instanceof TransportError) return demanded;
  const maddr = uri.parameters.get("maddr");
  const host = unbracket(typeof maddr === "string" && maddr !== "" ? maddr : uri.host);
  const usable = CUSTOMARY.filter(
    (protocol) => options.protocols.includes(protocol) && isSecureEnough(protocol, uri),
  );
  const first = usable[0];
  if (first === undefined) {
    return fault(uri, "sips needs TLS: add a TLS transport to the SIP stack.");
  }
  return {
    host: host.endsWith(".") ? host.slice(0, -1) : host,
    isNumeric: ipFamily(host) !== 0,
    port: uri.port,
    demanded,
    usable,
    udpDemanded: demanded === "udp",
  };
}

function isSipUri(uri: Uri): uri is SipUri {
  return uri.scheme === "sip" || uri.scheme === "sips";
}

function isSecureEnough(protocol: TransportProtocol, uri: SipUri): boolean {
  return uri.scheme === "sip" || protocol === "tls" || protocol === "wss";
}

function demandedProtocol(
  uri: SipUri,
  options: ResolveOptions,
): TransportProtocol | undefined | TransportError {
  const word = uri.transport;
  let protocol = word === undefined ? options.preferred : transportProtocol(word);
  if (protocol === undefined) {
    return word === undefined ? undefined : fault(uri, `transport "${word}" is not known.`);
  }
  if (uri.scheme === "sips") {
    if (word === "udp") return fault(uri, "sips and UDP exclude each other (RFC 3261 §26.2.2).");
    protocol = protocol === "ws" || protocol === "wss" ? "wss" : "tls";
  }
  // RFC 7118 §5.2.3: `transport=ws` stands for both; the connection says which.
  const canWs = options.protocols.includes("ws");
  if (protocol === "ws" && (options.preferred === "wss" || !canWs)) protocol = "wss";
  if (options.protocols.includes(protocol)) return protocol;
  const needed = protocol.toUpperCase();
  return fault(uri, `the SIP stack has no ${needed} transport. Add one to its list of transports.`);
}

function fault(uri: Uri, reason: string): TransportError {
  const name = isSipUri(uri) ? `${uri.scheme}:${uri.host}` : `${uri.scheme} URI`;
  return new TransportError(`${name} cannot be reached: ${reason}`, name);
}
