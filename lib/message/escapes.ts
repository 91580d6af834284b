/** %-escapes of URIs (RFC 3261 §19.1.2): decoding that never throws, encoding by character class. */
import { CODE, isOf } from "./grammar.js";

const { PERCENT } = CODE;

/** Text with its escapes resolved as UTF-8; bytes that are no UTF-8 become U+FFFD, a lone `%` stays. */
export function decodeEscapes(text: string): string {
  if (!text.includes("%")) return text;
  const raw = Buffer.from(text, "utf8");
  let length = 0;
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i];
    const high = byte === PERCENT ? hexValue(raw[i + 1]) : -1;
    const low = high >= 0 ? hexValue(raw[i + 2]) : -1;
    if (low >= 0) {
      raw[length++] = high * 16 + low;
      i += 2;
    } else raw[length++] = byte;
  }
  return raw.toString("utf8", 0, length);
}

/** Escapes every character that is not of the class. @param classes - flags of grammar.ts. */
export function encodeEscapes(text: string, classes: number): string {
  let i = 0;
  while (i < text.length && isOf(text.charCodeAt(i), classes)) i++;
  if (i === text.length) return text;
  let result = "";
  for (const byte of Buffer.from(text, "utf8")) {
    if (isOf(byte, classes)) result += String.fromCharCode(byte);
    else result += `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  return result;
}

function hexValue(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
