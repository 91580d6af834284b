/** Warning headers of 488 responses (RFC 3261 §20.43). */
import type { Flow } from "../transport/transport.js";

const TEXTS = { 304: "Media type not available", 305: "Incompatible media format" } as const;

export function warningHeader(
  flow: Flow,
  code: keyof typeof TEXTS,
): readonly (readonly [string, string])[] {
  return [["Warning", `${code} ${flow.sentBy} "${TEXTS[code]}"`]];
}
