/** When two URIs mean the same (RFC 3261 §19.1.4, RFC 3966 §5). */
import { decodeEscapes } from "./escapes.js";
import { OtherUri, SipUri, TelUri, type Uri } from "./uri.js";

/**
 * Equivalence of RFC 3261 §19.1.4; numbers of tel URIs without visual separators (RFC 3966 §5). Not
 * transitive, as the RFC says. Other URIs are compared as text.
 */
export function sameUri(a: Uri, b: Uri): boolean {
  if (a instanceof SipUri) return b instanceof SipUri && sameSipUri(a, b);
  if (a instanceof TelUri) return b instanceof TelUri && sameTelUri(a, b);
  return b instanceof OtherUri && a.text === b.text;
}

/** Parameters that make two URIs different when only one of them has it. */
const DISTINGUISHING = ["user", "ttl", "method", "maddr", "transport"];

function sameSipUri(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme || a.host !== b.host || a.port !== b.port) return false;
  if ((a.user === undefined) !== (b.user === undefined) || a.decodedUser !== b.decodedUser) {
    return false;
  }
  if (decodeEscapes(a.password ?? "") !== decodeEscapes(b.password ?? "")) return false;
  for (const [name, value] of a.parameters) {
    const other = b.parameters.get(name);
    if (other === undefined) {
      if (DISTINGUISHING.includes(name)) return false;
    } else if ((value ?? "").toLowerCase() !== (other ?? "").toLowerCase()) return false;
  }
  for (const name of b.parameters.keys()) {
    if (DISTINGUISHING.includes(name) && !a.parameters.has(name)) return false;
  }
  if (a.headers.size !== b.headers.size) return false;
  for (const [name, value] of a.headers) {
    if (b.headers.get(name) !== value) return false;
  }
  return true;
}

function sameTelUri(a: TelUri, b: TelUri): boolean {
  if (plainNumber(a.number) !== plainNumber(b.number)) return false;
  if (a.parameters.size !== b.parameters.size) return false;
  for (const [name, value] of a.parameters) {
    const other = b.parameters.get(name);
    if (other === undefined || (value ?? "").toLowerCase() !== (other ?? "").toLowerCase()) {
      return false;
    }
  }
  return true;
}

/** Without `-`, `.`, `(`, `)`, and in lower case. */
function plainNumber(number: string): string {
  let plain = "";
  for (const character of number) if (!"-.()".includes(character)) plain += character;
  return plain.toLowerCase();
}
