/**
 * Message → bytes; Content-Length is computed here and nowhere else. A HeaderMap cannot hold line breaks, so
 * only the start line is checked here again.
 */
import { InvalidArgumentError } from "../foundation/index.js";
import { checkUserHeaderValue, checkUserToken } from "./header-checks.js";
import { HeaderKind } from "./header-names.js";
import type { SipMessage } from "./message.js";

/**
 * @returns The bytes to send: head in UTF-8, body as it is.
 * @throws InvalidArgumentError (`bad-header`) when the start line would break out of its line.
 */
export function serializeMessage(message: SipMessage): Buffer {
  const body = message.rawBody;
  if (typeof body === "string") return encode(serializeText(message));
  const head = serializeHead(message, body.length);
  if (body.length === 0) return encode(head);
  const headBytes = Buffer.byteLength(head);
  const data = Buffer.allocUnsafe(headBytes + body.length);
  data.write(head, 0, headBytes === head.length ? "latin1" : "utf8");
  data.set(body, headBytes);
  return data;
}

/** The message as text, for WebSockets, traces and tests; a binary body is decoded as UTF-8. */
export function serializeText(message: SipMessage): string {
  const body = message.rawBody;
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  const head = serializeHead(message, length);
  return length === 0 ? head : head + message.text;
}

/** Start line, headers, Content-Length and the empty line. @param bodyLength - in bytes. */
function serializeHead(message: SipMessage, bodyLength: number): string {
  let head: string;
  if (message.kind === "request") {
    checkUserToken("Method", message.method);
    checkRequestUri(message.uri);
    head = `${message.method} ${message.uri} SIP/2.0\r\n`;
  } else {
    checkUserHeaderValue("Reason phrase", message.reason);
    head = `SIP/2.0 ${message.statusCode} ${message.reason}\r\n`;
  }
  const fields = message.headers.fields;
  for (let i = 0; i < fields.length; i++) {
    const { header, value } = fields[i];
    if (header.kind !== HeaderKind.contentLength) head += `${header.prefix}${value}\r\n`;
  }
  return `${head}Content-Length: ${bodyLength}\r\n\r\n`;
}

/** Refuses a Request-URI with spaces or control characters. @throws InvalidArgumentError, `bad-header`. */
export function checkRequestUri(uri: string): void {
  let good = uri.length > 0;
  for (let i = 0; i < uri.length; i++) if (uri.charCodeAt(i) <= 32) good = false;
  if (!good) {
    throw new InvalidArgumentError("The Request-URI is empty or has spaces or control characters", {
      rule: "bad-header",
    });
  }
}

/** Messages share pieces of memory larger than those of Node, of which a busy stack would need one for each call. */
const SLAB_BYTES = 64 << 10;
const LONGEST_SHARED = 4 << 10;
let slab = Buffer.alloc(0);
let used = SLAB_BYTES;

/** Plain ASCII, which nearly every message is, is copied; the rest is encoded as UTF-8. */
function encode(text: string): Buffer {
  const { length } = text;
  if (Buffer.byteLength(text) !== length) return Buffer.from(text, "utf8");
  if (length > LONGEST_SHARED) return Buffer.from(text, "latin1");
  if (used + length > SLAB_BYTES) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    used = 0;
  }
  const start = used;
  used += slab.write(text, start, "latin1");
  return slab.subarray(start, used);
}
