/** Multipart bodies (RFC 2046 §5.1, RFC 5621): parts with limits on number and depth. */
import { isAscii } from "node:buffer";
import { readHeaderLines } from "./header-lines.js";
import { HeaderMap, type HeaderField } from "./headers.js";
import { DEFAULT_LIMITS, type MessageLimits } from "./limits.js";
import { contentTypeOf, type SipMessage } from "./message.js";
import { parseParameters } from "./params.js";

export interface BodyPart {
  /** Headers of the part: Content-Type, Content-Disposition, Content-ID … */
  readonly headers: HeaderMap;
  /** `type/subtype` in lower case; `text/plain` where the part names none. */
  readonly contentType: string;
  /** A view of the message's body. */
  readonly body: Buffer;
}

/**
 * Splits a multipart body. A missing closing delimiter is tolerated.
 *
 * @param contentType - Value of the Content-Type header, with its `boundary`.
 * @returns undefined when there is no usable boundary, no part, or more parts than the limit.
 */
export function parseMultipart(
  contentType: string,
  body: Buffer,
  limits: MessageLimits = DEFAULT_LIMITS,
): BodyPart[] | undefined {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) return undefined;
  const delimiter = Buffer.from(`--${boundary}`, "utf8");
  const parts: BodyPart[] = [];
  let found = findDelimiter(body, delimiter, 0);
  while (found !== undefined && !found.last) {
    const next = findDelimiter(body, delimiter, found.contentStart);
    if (parts.length >= limits.multipartParts) return undefined;
    const part = readPart(body.subarray(found.contentStart, next?.contentEnd), limits);
    if (part === undefined) return undefined;
    parts.push(part);
    found = next;
  }
  return parts.length > 0 ? parts : undefined;
}

/**
 * The first body of a type: the message's own, or a part of its multipart body, nested ones included as far
 * as the depth limit allows.
 *
 * @param type - `application/sdp`, lower-case.
 */
export function findPart(
  message: SipMessage,
  type: string,
  limits: MessageLimits = DEFAULT_LIMITS,
): BodyPart | undefined {
  if (!message.hasBody) return undefined;
  const contentType = message.contentType;
  if (contentType === type) {
    return { headers: message.headers, contentType: type, body: message.body };
  }
  if (contentType?.startsWith("multipart/") !== true) return undefined;
  const value = message.headers.get("content-type") ?? "";
  return findWithin(value, message.body, type, limits, limits.multipartDepth);
}

function findWithin(
  contentType: string,
  body: Buffer,
  type: string,
  limits: MessageLimits,
  depth: number,
): BodyPart | undefined {
  const parts = depth > 0 ? (parseMultipart(contentType, body, limits) ?? []) : [];
  for (const part of parts) {
    if (part.contentType === type) return part;
    if (!part.contentType.startsWith("multipart/")) continue;
    const value = part.headers.get("content-type") ?? "";
    const nested = findWithin(value, part.body, type, limits, depth - 1);
    if (nested !== undefined) return nested;
  }
  return undefined;
}

/** `boundary` parameter of a Content-Type, 1 … 70 characters (RFC 2046 §5.1.1). */
function boundaryOf(contentType: string): string | undefined {
  const semicolon = contentType.indexOf(";");
  if (semicolon < 0) return undefined;
  const boundary = parseParameters(contentType.slice(semicolon))?.get("boundary");
  if (typeof boundary !== "string" || boundary.length === 0 || boundary.length > 70) {
    return undefined;
  }
  return boundary;
}

interface Delimiter {
  /** End of the part in front of it, without the CRLF that belongs to the delimiter. */
  readonly contentEnd: number;
  /** Start of the part behind it. */
  readonly contentStart: number;
  readonly last: boolean;
}

function findDelimiter(body: Buffer, delimiter: Buffer, from: number): Delimiter | undefined {
  for (let at = body.indexOf(delimiter, from); at >= 0; at = body.indexOf(delimiter, at + 1)) {
    const atLineStart = at === 0 || body[at - 1] === 10;
    if (!atLineStart) continue;
    let i = at + delimiter.length;
    const last = body[i] === 45 && body[i + 1] === 45;
    if (last) i += 2;
    while (body[i] === 32 || body[i] === 9) i++;
    const lineEnds = i >= body.length || (body[i] === 13 && body[i + 1] === 10);
    if (!lineEnds) continue;
    const back = at >= 2 && body[at - 2] === 13 ? 2 : Math.min(at, 1);
    return {
      contentEnd: Math.max(at - back, from),
      contentStart: Math.min(i + 2, body.length),
      last,
    };
  }
  return undefined;
}

function readPart(content: Buffer, limits: MessageLimits): BodyPart | undefined {
  const bare = content.length >= 2 && content[0] === 13 && content[1] === 10;
  const headEnd = bare ? 0 : content.indexOf("\r\n\r\n", 0, "latin1");
  const fields: HeaderField[] = [];
  if (!bare) {
    const head = content.subarray(0, headEnd < 0 ? content.length : headEnd + 2);
    if (head.length > limits.headerBlock) return undefined;
    let text = head.toString(isAscii(head) ? "latin1" : "utf8");
    if (headEnd < 0 && text.length > 0) text += "\r\n";
    if (readHeaderLines(text, 0, text.length, fields, limits) !== undefined) return undefined;
  }
  const headers = new HeaderMap(fields);
  const start = bare ? 2 : headEnd < 0 ? content.length : headEnd + 4;
  const contentType = contentTypeOf(headers) ?? "text/plain";
  return { headers, contentType, body: content.subarray(start) };
}
