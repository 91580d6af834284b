/** Header lines → fields: names recognised, values unfolded and trimmed (RFC 3261 §7.3.1). One pass. */
import type { Fault } from "./check.js";
import { CODE, isToken, isWhitespace, skipWhitespace } from "./grammar.js";
import { headerName, recogniseHeaderName } from "./header-names.js";
import { HeaderField } from "./headers.js";
import type { MessageLimits } from "./limits.js";

const { CARRIAGE_RETURN, SPACE, TAB } = CODE;

/**
 * Reads header lines from `start` to `stop`.
 *
 * @param text - Holds the lines; `stop` is behind the CRLF of the last one.
 * @param fields - Filled in order; of a faulty block with what is readable.
 * @returns The first fault. Over a limit, reading stops.
 */
export function readHeaderLines(
  text: string,
  start: number,
  stop: number,
  fields: HeaderField[],
  limits: MessageLimits,
): Fault | undefined {
  let fault: Fault | undefined;
  let i = start;
  while (i < stop) {
    let lineFeed = text.indexOf("\n", i);
    if (lineFeed < 0 || lineFeed > stop) lineFeed = stop;
    if (lineFeed - i > limits.line) return LINE_TOO_LONG;
    if (fields.length >= limits.headers) return TOO_MANY_HEADERS;
    const next = lineFeed + 1 < stop ? text.charCodeAt(lineFeed + 1) : 0;
    if (next !== SPACE && next !== TAB && text.indexOf("\r", i) === lineFeed - 1) {
      const field = readField(text, i, lineFeed - 1);
      if (field === undefined) fault ??= BAD_HEADER_LINE;
      else fields.push(field);
      i = lineFeed + 1;
      continue;
    }
    const end = endOfFolded(text, lineFeed, stop);
    if (end - i > limits.line) return LINE_TOO_LONG;
    const complete = text.charCodeAt(end - 1) === CARRIAGE_RETURN;
    let line = unfold(text.slice(i, complete ? end - 1 : end));
    if (!complete || line.includes("\r") || line.includes("\n")) {
      fault ??= BARE_LINE_END;
      line = line.replaceAll("\r", " ").replaceAll("\n", " ");
    }
    const field = readField(line, 0, line.length);
    if (field === undefined) fault ??= BAD_HEADER_LINE;
    else fields.push(field);
    i = end + 1;
  }
  return fault;
}

/** Index of the line feed that ends the last of the lines that belong together. */
function endOfFolded(text: string, lineFeed: number, stop: number): number {
  let end = lineFeed;
  while (end + 1 < stop) {
    const next = text.charCodeAt(end + 1);
    if (next !== SPACE && next !== TAB) return end;
    const following = text.indexOf("\n", end + 1);
    if (following < 0 || following > stop) return stop;
    end = following;
  }
  return end;
}

/** CRLF and the white space around it become one space. */
function unfold(line: string): string {
  let text = "";
  let from = 0;
  for (;;) {
    const lineEnd = line.indexOf("\r\n", from);
    let end = lineEnd < 0 ? line.length : lineEnd;
    while (end > from && isWhitespace(line.charCodeAt(end - 1))) end--;
    text += line.slice(from, end);
    if (lineEnd < 0) return text;
    text += " ";
    from = skipWhitespace(line, lineEnd + 2);
  }
}

/** One logical line from `start` to `end`. @returns undefined when there is no name and colon. */
function readField(text: string, start: number, end: number): HeaderField | undefined {
  const colon = text.indexOf(":", start);
  if (colon <= start || colon >= end) return undefined;
  let name = recogniseHeaderName(text, start, colon);
  if (name === undefined) {
    let nameEnd = colon;
    while (nameEnd > start && isWhitespace(text.charCodeAt(nameEnd - 1))) nameEnd--;
    const spelling = text.slice(start, nameEnd);
    if (!isToken(spelling)) return undefined;
    name = headerName(spelling);
  }
  const valueStart = Math.min(skipWhitespace(text, colon + 1), end);
  let valueEnd = end;
  while (valueEnd > valueStart && isWhitespace(text.charCodeAt(valueEnd - 1))) valueEnd--;
  return new HeaderField(name, text, valueStart, valueEnd);
}

/** A line that ends with CR or LF alone, or has one of them inside. */
export const BARE_LINE_END: Fault = {
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
