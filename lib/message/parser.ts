/** Bytes → message. One pass, hand-written, no backtracking, never throws on remote input. */
import { isAscii } from "node:buffer";
import { checkMessage, errorOf, findFault, type Fault } from "./check.js";
import { isToken, parseDecimal, skipWhitespace } from "./grammar.js";
import { headerName } from "./header-names.js";
import { HeaderField, HeaderMap } from "./headers.js";
import { DEFAULT_LIMITS, type MessageLimits } from "./limits.js";
import { SipRequest, SipResponse, type SipMessage } from "./message.js";
import { readStartLine, type StartLine } from "./start-line.js";

export { checkMessage };

/** Why bytes are no acceptable message. */
export interface ParseError {
  /** Short name of the broken rule: `start-line`, `missing-header`, `content-length`, `too-many-headers` … */
  readonly rule: string;
  /** `RFC 3261 §20.14`. */
  readonly rfc: string;
  readonly offset?: number;
  /** Status of the response that a request with this fault deserves; undefined = drop it silently. */
  readonly statusHint: number | undefined;
  /** Reason phrase for that response. */
  readonly reason: string;
  /** The connection can no longer be framed and must close. */
  readonly fatal?: boolean;
}

export type ParseResult =
  | { readonly ok: true; readonly message: SipMessage }
  | {
      readonly ok: false;
      readonly error: ParseError;
      /** A request complete enough (Via, From, To, Call-ID, CSeq) to be answered. */
      readonly request?: SipRequest | undefined;
    };

export interface ParseOptions {
  readonly limits?: MessageLimits;
  /** Stream messages need Content-Length; datagrams may omit it. Default "datagram". */
  readonly framing?: "datagram" | "stream";
}

/** Splits and checks one whole message (a datagram, a WebSocket message or what the framer cut out). */
export function parseMessage(data: Buffer, options?: ParseOptions): ParseResult {
  const limits = options?.limits ?? DEFAULT_LIMITS;
  const stream = options?.framing === "stream";
  if (
    data.length > (stream ? limits.streamMessage : Math.max(limits.datagram, limits.streamMessage))
  ) {
    return drop("message-too-large", "Message too large");
  }
  let start = 0;
  while (data[start] === 13 && data[start + 1] === 10) start += 2;
  const headEnd = data.indexOf("\r\n\r\n", start, "latin1");
  const end = headEnd < 0 ? data.length : headEnd + 2;
  if (end - start > limits.headerBlock) return drop("header-block-too-large", "Headers too large");
  const head = data.subarray(start, end);
  const text = isAscii(head) ? head.toString("latin1") : head.toString("utf8");
  const bodyStart = headEnd < 0 ? data.length : headEnd + 4;
  return finish(text, headEnd < 0, data.subarray(bodyStart), stream, limits);
}

/**
 * As `parseMessage`, for a message that is a string already (WebSocket text frames, captures, benchmarks).
 * Content-Length still counts UTF-8 bytes.
 */
export function parseText(text: string, options?: ParseOptions): ParseResult {
  const limits = options?.limits ?? DEFAULT_LIMITS;
  if (text.length > limits.streamMessage) return drop("message-too-large", "Message too large");
  let start = 0;
  while (text.startsWith("\r\n", start)) start += 2;
  const headEnd = text.indexOf("\r\n\r\n", start);
  const end = headEnd < 0 ? text.length : headEnd + 2;
  if (end - start > limits.headerBlock) return drop("header-block-too-large", "Headers too large");
  const body = headEnd < 0 ? "" : text.slice(headEnd + 4);
  const stream = options?.framing === "stream";
  return finish(text.slice(start, end), headEnd < 0, body, stream, limits);
}

/**
 * @param head - Start line and headers, with the CRLF of the last header.
 * @param rest - All that came behind the empty line.
 */
function finish(
  head: string,
  unfinished: boolean,
  rest: Buffer | string,
  stream: boolean,
  limits: MessageLimits,
): ParseResult {
  const lineEnd = head.indexOf("\r\n");
  const startLine = readStartLine(lineEnd < 0 ? head : head.slice(0, lineEnd));
  if (startLine === undefined) return drop("start-line", "Malformed start line");
  const fields: HeaderField[] = [];
  let fault = unfinished ? UNFINISHED : startLine.fault;
  const lineFault = readFields(head, lineEnd < 0 ? head.length : lineEnd + 2, fields, limits);
  fault ??= lineFault;
  const headers = new HeaderMap(fields);
  const content = cutBody(fields, rest, stream, limits);
  if (content.fault?.fatal === true) fault = content.fault;
  fault ??= content.fault;
  const message = build(startLine, headers, content.body);
  fault ??= findFault(message, limits);
  if (fault === undefined) return { ok: true, message };
  const request = isAnswerable(message) ? message : undefined;
  return { ok: false, error: errorOf(fault, message), request };
}

function build(line: StartLine, headers: HeaderMap, body: Buffer | string): SipMessage {
  return line.kind === "request"
    ? new SipRequest(line.method, line.uri, headers, body)
    : new SipResponse(line.statusCode, line.reason, headers, body);
}

/** Reads header lines, unfolds and trims them. @returns The first fault; what is readable is kept. */
function readFields(
  head: string,
  start: number,
  fields: HeaderField[],
  limits: MessageLimits,
): Fault | undefined {
  let fault: Fault | undefined;
  let i = start;
  while (i < head.length) {
    let lineFeed = head.indexOf("\n", i);
    if (lineFeed < 0) lineFeed = head.length;
    let end = lineFeed;
    let folded = false;
    for (;;) {
      const next = head.charCodeAt(end + 1);
      if (next !== 32 && next !== 9) break;
      folded = true;
      const following = head.indexOf("\n", end + 1);
      end = following < 0 ? head.length : following;
    }
    if (end - i > limits.line) return LINE_TOO_LONG;
    if (fields.length >= limits.headers) return TOO_MANY_HEADERS;
    let line = head.slice(i, head.charCodeAt(end - 1) === 13 ? end - 1 : end);
    if (end < head.length && head.charCodeAt(end - 1) !== 13) fault ??= BARE_LINE_END;
    if (folded) line = unfold(line);
    if (line.includes("\r") || line.includes("\n")) {
      fault ??= BARE_LINE_END;
      line = line.replaceAll("\r", " ").replaceAll("\n", " ");
    }
    const field = readField(line);
    if (field === undefined) fault ??= BAD_HEADER_LINE;
    else fields.push(field);
    i = end + 1;
  }
  return fault;
}

function readField(line: string): HeaderField | undefined {
  const colon = line.indexOf(":");
  if (colon <= 0) return undefined;
  let nameEnd = colon;
  while (nameEnd > 0 && isBlank(line.charCodeAt(nameEnd - 1))) nameEnd--;
  const name = line.slice(0, nameEnd);
  if (!isToken(name)) return undefined;
  const start = skipWhitespace(line, colon + 1);
  let end = line.length;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return new HeaderField(headerName(name), line.slice(start, end));
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** CRLF and the white space around it become one space (RFC 3261 §7.3.1). */
function unfold(line: string): string {
  const parts = line.split("\r\n");
  let text = parts[0].trimEnd();
  for (let i = 1; i < parts.length; i++) text += ` ${parts[i].trim()}`;
  return text;
}

interface Content {
  readonly body: Buffer | string;
  readonly fault?: Fault;
}

/** Takes the body as long as Content-Length says (RFC 3261 §18.3). */
function cutBody(
  fields: readonly HeaderField[],
  rest: Buffer | string,
  stream: boolean,
  limits: MessageLimits,
): Content {
  let text: string | undefined;
  let fault: Fault | undefined;
  for (const field of fields) {
    if (field.header.name !== "content-length") continue;
    if (text !== undefined) fault = text === field.value ? REPEATED_LENGTH : DIFFERING_LENGTHS;
    text ??= field.value;
  }
  if (fault !== undefined) return { body: NO_BODY, fault };
  if (text === undefined) return stream ? { body: NO_BODY, fault: NO_LENGTH } : { body: rest };
  const length = parseDecimal(text, Number.MAX_SAFE_INTEGER);
  if (length === undefined) return { body: NO_BODY, fault: BAD_LENGTH };
  if (length > limits.contentLength) return { body: NO_BODY, fault: LENGTH_TOO_LARGE };
  const available = typeof rest === "string" ? Buffer.byteLength(rest) : rest.length;
  if (length > available) return { body: NO_BODY, fault: BODY_TOO_SHORT };
  if (length === available) return { body: rest };
  const bytes = typeof rest === "string" ? Buffer.from(rest) : rest;
  return { body: bytes.subarray(0, length) };
}

/** True when a faulty request has the lines that a response copies, and its top Via can be followed. */
function isAnswerable(message: SipMessage): message is SipRequest {
  if (message.kind !== "request") return false;
  const { headers } = message;
  for (const name of ["via", "from", "to", "call-id", "cseq"]) {
    if (!headers.get(name)) return false;
  }
  return message.vias.length > 0;
}

const NO_BODY = Buffer.alloc(0);

const UNFINISHED: Fault = {
  rule: "header-end",
  rfc: "RFC 3261 §7",
  reason: "Missing empty line after headers",
  fatal: true,
};
const BARE_LINE_END: Fault = {
  rule: "line-end",
  rfc: "RFC 3261 §7",
  reason: "Lines must end with CRLF",
};
const BAD_HEADER_LINE: Fault = {
  rule: "header-line",
  rfc: "RFC 3261 §7.3.1",
  reason: "Malformed header line",
};
const LINE_TOO_LONG: Fault = {
  rule: "line-too-long",
  rfc: "RFC 3261 §7.3",
  reason: "Header line too long",
};
const TOO_MANY_HEADERS: Fault = {
  rule: "too-many-headers",
  rfc: "RFC 3261 §7.3",
  reason: "Too many headers",
};
const REPEATED_LENGTH: Fault = {
  rule: "repeated-header",
  rfc: "RFC 3261 §7.3.1",
  reason: "Repeated Content-Length",
};
const DIFFERING_LENGTHS: Fault = {
  rule: "content-length",
  rfc: "RFC 3261 §20.14",
  reason: "Differing Content-Length",
  fatal: true,
};
const NO_LENGTH: Fault = {
  rule: "content-length",
  rfc: "RFC 3261 §18.3",
  reason: "Missing Content-Length",
  fatal: true,
};
const BAD_LENGTH: Fault = {
  rule: "content-length",
  rfc: "RFC 3261 §20.14",
  reason: "Malformed Content-Length",
  fatal: true,
};
const LENGTH_TOO_LARGE: Fault = {
  rule: "content-length",
  rfc: "RFC 3261 §21.4.11",
  reason: "Request Entity Too Large",
  status: 413,
  fatal: true,
};
const BODY_TOO_SHORT: Fault = {
  rule: "content-length",
  rfc: "RFC 3261 §18.3",
  reason: "Body shorter than Content-Length",
  fatal: true,
};

function drop(rule: string, reason: string): ParseResult {
  return {
    ok: false,
    error: { rule, rfc: "RFC 3261 §7", statusHint: undefined, reason, fatal: true },
  };
}
