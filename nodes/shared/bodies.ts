/** `msg.payload` as the body of a SIP message (contract §4.6 "Bodies"). */
import { misuse } from "./errors.js";

const MEDIA_TYPE = /^[A-Za-z0-9\-.!%*_+`'~]+\/[A-Za-z0-9\-.!%*_+`'~]+\s*(?:;[^\r\n\0]*)?$/;

/** @throws InvalidArgumentError `bad-option` for what is no media type (RFC 3261 §20.15). */
export function checkedContentType(text: string): string {
  if (MEDIA_TYPE.test(text)) return text;
  throw misuse("bad-option", `"contentType" must be a type such as text/plain`);
}

/** @throws InvalidArgumentError `bad-body` for values that the content type cannot carry. */
export function bodyFrom(payload: unknown, contentType: string): string | Buffer {
  if (typeof payload === "string") return payload;
  if (Buffer.isBuffer(payload)) return Buffer.from(payload);
  const type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  if (payload !== undefined && type.endsWith("json")) {
    try {
      const text = JSON.stringify(payload) as string | undefined;
      if (text !== undefined) return text;
    } catch {
      // Cycles and the like: reported below like every other value that is no body.
    }
  }
  throw misuse("bad-body", `the body must be a string or a Buffer for ${contentType}`);
}
