/** Request-Line and Status-Line (RFC 3261 §7.1, §7.2). */
import type { Fault } from "./check.js";
import { isToken, parseDecimal } from "./grammar.js";

export type StartLine =
  | {
      readonly kind: "request";
      readonly method: string;
      readonly uri: string;
      readonly fault: Fault | undefined;
    }
  | {
      readonly kind: "response";
      readonly statusCode: number;
      readonly reason: string;
      readonly fault: undefined;
    };

/**
 * Reads the first line without its CRLF.
 *
 * @returns undefined when it is neither a request line nor an acceptable status line: nothing can be answered.
 *   A request line that is readable but faulty has `fault`.
 */
export function readStartLine(line: string): StartLine | undefined {
  return line.startsWith("SIP/") ? readStatusLine(line) : readRequestLine(line);
}

function readStatusLine(line: string): StartLine | undefined {
  if (!line.startsWith("SIP/2.0 ")) return undefined;
  const statusCode = parseDecimal(line.slice(8, 11), 699);
  if (statusCode === undefined || statusCode < 100) return undefined;
  if (line.length > 11 && line.charCodeAt(11) !== 32) return undefined;
  const reason = line.slice(12);
  if (reason.includes("\n") || reason.includes("\r") || reason.includes("\0")) return undefined;
  return { kind: "response", statusCode, reason, fault: undefined };
}

function readRequestLine(line: string): StartLine | undefined {
  const methodEnd = line.indexOf(" ");
  if (methodEnd < 1) return undefined;
  const method = line.slice(0, methodEnd);
  if (!isToken(method)) return undefined;
  const uriEnd = line.indexOf(" ", methodEnd + 1);
  if (uriEnd > methodEnd + 1 && uriEnd === line.length - 8 && line.endsWith("SIP/2.0")) {
    // Other white space inside makes it no URI.
    return { kind: "request", method, uri: line.slice(methodEnd + 1, uriEnd), fault: undefined };
  }
  const trimmed = line.trimEnd();
  const versionStart = trimmed.lastIndexOf(" ") + 1;
  if (versionStart <= methodEnd + 1) return undefined;
  const version = trimmed.slice(versionStart);
  const uri = line.slice(methodEnd + 1, versionStart - 1);
  if (version !== "SIP/2.0") {
    const upper = version.toUpperCase();
    if (!upper.startsWith("SIP/")) return undefined;
    if (upper !== "SIP/2.0") return { kind: "request", method, uri, fault: WRONG_VERSION };
  }
  const spaced = trimmed.length !== line.length || uri.length === 0 || hasBlank(uri);
  return { kind: "request", method, uri, fault: spaced ? BAD_REQUEST_LINE : undefined };
}

function hasBlank(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) <= 32) return true;
  return false;
}

const WRONG_VERSION: Fault = {
  rule: "sip-version",
  rfc: "RFC 3261 §21.5.6",
  reason: "Version Not Supported",
  status: 505,
};
const BAD_REQUEST_LINE: Fault = {
  rule: "start-line",
  rfc: "RFC 3261 §7.1",
  reason: "Malformed request line",
};
