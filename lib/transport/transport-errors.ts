/** Operating system errors in words that name what happened and what to do. */
import { errorText, TransportError } from "../foundation/errors.js";
import { hostPort } from "./addresses.js";
import type { FlowTarget, TransportOptions, TransportProtocol } from "./transport.js";

/** `ECONNREFUSED` and the like, or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** `udp:192.0.2.1:5060`, the form of TransportError.target. */
export function targetName(protocol: TransportProtocol, address: string, port: number): string {
  return `${protocol}:${hostPort(address, port)}`;
}

/** Why an entry of the transport list could not be bound. */
export function bindError(entry: TransportOptions, cause: unknown): TransportError {
  const port = entry.port ?? 0;
  const what = `${entry.protocol.toUpperCase()} port ${port} on ${entry.address}`;
  const target = targetName(entry.protocol, entry.address, port);
  return new TransportError(bindText(what, port, entry.address, cause), target, { cause });
}

function bindText(what: string, port: number, address: string, cause: unknown): string {
  switch (errorCode(cause)) {
    case "EADDRINUSE":
      return `${what} is already in use by another program or SIP stack: stop that one or choose another port (0 = any free port).`;
    case "EACCES":
    case "EPERM":
      return `${what} may not be opened: ports below 1024 need special rights. Choose a port above 1023, for example ${port === 443 ? 8443 : 5060}.`;
    case "EADDRNOTAVAIL":
    case "EINVAL":
      return `${what} cannot be opened: this machine has no address ${address}. Use 0.0.0.0 (all IPv4) or :: (all IPv6), or one of its own addresses.`;
    case "EAFNOSUPPORT":
    case "EPROTONOSUPPORT":
      return `${what} cannot be opened: this machine does not support that kind of address. Is IPv6 switched off?`;
    default:
      return `${what} cannot be opened: ${errorText(cause)}`;
  }
}

/** Why a message or a connection did not reach its target. */
export function sendError(target: FlowTarget, cause: unknown): TransportError {
  const name = targetName(target.protocol, target.address, target.port);
  return new TransportError(sendText(name, cause), name, { cause });
}

function sendText(name: string, cause: unknown): string {
  switch (errorCode(cause)) {
    case "ECONNREFUSED":
      return `Connection to ${name} was refused: nothing listens there. Check address, port and transport.`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENETDOWN":
    case "EADDRNOTAVAIL":
      return `${name} cannot be reached: there is no route to it. Check the address and the network.`;
    case "EPERM":
    case "EACCES":
      return `This machine does not let us send to ${name}: check its firewall.`;
    case "EMSGSIZE":
      return `The message to ${name} is too large for one UDP datagram: use TCP or TLS for it.`;
    case "ETIMEDOUT":
      return `${name} does not answer: the connection attempt timed out. Check address, port and firewall.`;
    case "ECONNRESET":
    case "EPIPE":
      return `${name} closed the connection.`;
    case undefined:
      // Somebody has found words for it already; they come first, as a status shows only the beginning.
      return `${sentence(errorText(cause))} (${name})`;
    default:
      return `Nothing can be sent to ${name}: ${errorText(cause)}`;
  }
}

const CONGESTION: ReadonlySet<string> = new Set(["ENOBUFS", "EAGAIN", "ENOMEM", "EINTR"]);

/** The system had no room for a datagram at this moment: it is lost like any other, and repeated like any other. */
export function isCongestion(error: unknown): boolean {
  return CONGESTION.has(errorCode(error) ?? "");
}

/** The words with a capital letter. */
export function sentence(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

/** The short reason of a connection state: a code where there is one, else the text. */
export function closeReason(error: unknown): string {
  const code = errorCode(error);
  if (code === "ECONNRESET" || code === "EPIPE") return "reset by peer";
  if (code !== undefined && /^E[A-Z]+$/.test(code)) return code;
  return errorText(error);
}
