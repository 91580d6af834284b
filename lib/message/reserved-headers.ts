/** Headers that the stack alone writes: with another value a message would lose its way or its dialog (RFC 3261 §20). */
import { headerName } from "./header-names.js";

const RESERVED: ReadonlySet<string> = new Set([
  "via",
  "from",
  "to",
  "call-id",
  "cseq",
  "max-forwards",
  "contact",
  "route",
  "record-route",
  "content-length",
  "rseq",
  "rack",
  "authorization",
  "proxy-authorization",
]);

/** @param name - in any case, also the compact form. */
export function isReservedHeader(name: string): boolean {
  return RESERVED.has(headerName(name).name);
}
