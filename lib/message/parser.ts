/** Bytes → message. One pass, hand-written, no backtracking, never throws on remote input. */
import { isAscii } from "node:buffer";
import { checkMessage, errorOf, findFault, type Fault } from "./check.js";
import { CODE, parseDecimal } from "./grammar.js";
import { HeaderKind } from "./header-names.js";
import { BARE_LINE_END, readHeaderLines } from "./header-lines.js";
import { HeaderMap, type HeaderField } from "./headers.js";
import type { ParseError } from "./parse-error.js";
import { DEFAULT_LIMITS, type MessageLimits } from "./limits.js";
import { SipRequest, SipResponse, viasOf, type SipMessage } from "./message.js";
import { readStartLine, type StartLine } from "./start-line.js";

const { CARRIAGE_RETURN, LINE_FEED } = CODE;

export { checkMessage };

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
  // One decoding for the usual message; where bytes and characters differ, only the head is decoded.
  if (isAscii(data)) {
    const head = findHead(data.toString("latin1"));
    const rest = head.bodyStart < data.length ? head.text.slice(head.bodyStart) : NO_BODY;
    return finish(head, rest, stream, limits);
  }
  const headEnd = data.indexOf("\r\n\r\n", leadingLineEnds(data), "latin1");
  const bodyStart = headEnd < 0 ? data.length : headEnd + 4;
  const head = findHead(data.toString("utf8", 0, bodyStart));
  return finish(head, data.subarray(bodyStart), stream, limits);
}

/** Number of bytes of the CRLFs in front of a message, which are skipped (RFC 3261 §7.5). */
function leadingLineEnds(data: Buffer): number {
  let start = 0;
  while (data[start] === CARRIAGE_RETURN && data[start + 1] === LINE_FEED) start += 2;
  return start;
}

/**
 * As `parseMessage`, for a message that is a string already (WebSocket text frames, captures, benchmarks).
 * Content-Length still counts UTF-8 bytes.
 */
export function parseText(text: string, options?: ParseOptions): ParseResult {
  const limits = options?.limits ?? DEFAULT_LIMITS;
  if (text.length > limits.streamMessage) return drop("message-too-large", "Message too large");
  const head = findHead(text);
  return finish(head, text.slice(head.bodyStart), options?.framing === "stream", limits);
}

/** Where start line and headers are in a text. */
interface Head {
  readonly text: string;
  readonly start: number;
  /** Behind the CRLF of the last header. */
  readonly end: number;
  /** Behind the empty line. */
  readonly bodyStart: number;
  /** False when the empty line is missing. */
  readonly complete: boolean;
}

function findHead(text: string): Head {
  let start = 0;
  while (text.charCodeAt(start) === CARRIAGE_RETURN && text.charCodeAt(start + 1) === LINE_FEED) {
    start += 2;
  }
  const found = text.indexOf("\r\n\r\n", start);
  if (found < 0) {
    return { text, start, end: text.length, bodyStart: text.length, complete: false };
  }
  return { text, start, end: found + 2, bodyStart: found + 4, complete: true };
}

/** @param rest - All that came behind the empty line. */
function finish(
  head: Head,
  rest: Buffer | string,
  stream: boolean,
  limits: MessageLimits,
): ParseResult {
  const { text, start, end } = head;
  if (end - start > limits.headerBlock) return drop("header-block-too-large", "Headers too large");
  let lineEnd = text.indexOf("\n", start);
  if (lineEnd < 0 || lineEnd > end) lineEnd = end;
  const bareEnd = text.charCodeAt(lineEnd - 1) !== CARRIAGE_RETURN;
  const startLine = readStartLine(text.slice(start, bareEnd ? lineEnd : lineEnd - 1));
  if (startLine === undefined) return drop("start-line", "Malformed start line");
  const fields: HeaderField[] = [];
  let fault = head.complete ? startLine.fault : UNFINISHED;
  if (lineEnd - start > limits.line) fault ??= URI_TOO_LONG;
  if (bareEnd) fault ??= BARE_LINE_END;
  const lineFault = readHeaderLines(text, lineEnd + 1, end, fields, limits);
  fault ??= lineFault;
  const nul = text.indexOf("\0", start);
  if (nul >= 0 && nul < end && !areNulsHarmless(fields)) fault ??= NUL_IN_HEADER;
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

/**
 * A NUL may only stand in the display names of From and To, as a quoted-pair (RFC 4475 §3.1.1.2). Everywhere else
 * it would get into headers of ours that are made from the peer's, where it is forbidden.
 */
function areNulsHarmless(fields: readonly HeaderField[]): boolean {
  return fields.every(
    ({ header, value }) =>
      header.kind === HeaderKind.from || header.kind === HeaderKind.to || !value.includes("\0"),
  );
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
    if (field.header.kind !== HeaderKind.contentLength) continue;
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
  return viasOf(headers.first("via")).length > 0;
}

const NO_BODY = Buffer.alloc(0);

const UNFINISHED: Fault = {
  rule: "header-end",
  rfc: "RFC 3261 §7",
  reason: "Missing empty line after headers",
  fatal: true,
};
const URI_TOO_LONG: Fault = {
  rule: "line-too-long",
  rfc: "RFC 3261 §21.4.12",
  reason: "Request-URI Too Long",
  status: 414,
};
const NUL_IN_HEADER: Fault = {
  rule: "nul-in-header",
  rfc: "RFC 3261 §25.1",
  reason: "NUL in a header",
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
