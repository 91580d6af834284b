/** name-addr and addr-spec with header parameters: From, To, Contact, Route, Refer-To … (RFC 3261 §20.10, §25.1). */
import {
  COMMA,
  isOf,
  isWhitespace,
  LESS,
  QUOTE,
  quote,
  SEMICOLON,
  skipQuoted,
  skipWhitespace,
  TOKEN,
  unquoteWithin,
} from "./grammar.js";
import { formatParameters, readParameters, scanParameters, type Parameters } from "./params.js";
import { parseUriWithin } from "./uri-parser.js";
import type { Uri } from "./uri.js";

const STAR = 42;
const QUESTION = 63;

export class NameAddr {
  /** A text was checked and becomes a map when somebody asks for it. */
  #parameters: Parameters | string | undefined;

  constructor(
    readonly uri: Uri,
    /** Unquoted and unescaped. */
    readonly displayName?: string,
    parameters?: Parameters | string,
  ) {
    this.#parameters = parameters;
  }

  /** Header parameters: those behind the angle brackets. */
  get parameters(): Parameters {
    if (typeof this.#parameters === "object") return this.#parameters;
    return (this.#parameters = readParameters(this.#parameters));
  }

  get tag(): string | undefined {
    if (this.#parameters === undefined) return undefined;
    return this.parameters.get("tag") ?? undefined;
  }

  /** `"Display" <uri>;parameters`, quoted and escaped as needed; always with angle brackets. */
  toString(): string {
    const display = this.displayName ? `${quote(this.displayName)} ` : "";
    const address = `${display}<${this.uri.toString()}>`;
    if (this.#parameters === undefined) return address;
    return address + formatParameters(this.parameters);
  }
}

/** Exactly one address. @returns undefined when malformed. */
export function parseNameAddr(text: string): NameAddr | undefined {
  return parseNameAddrWithin(text, 0, text.length);
}

/** As `parseNameAddr`, for a header value inside a longer text: at its end, or before a line end. */
export function parseNameAddrWithin(
  text: string,
  start: number,
  end: number,
): NameAddr | undefined {
  const reader = new AddressReader(text, start, end);
  const address = reader.next();
  return reader.atEnd ? address : undefined;
}

/** A comma-separated list; `*` gives an empty list (see `isStarContact`). @returns undefined when malformed. */
export function parseNameAddrList(text: string): NameAddr[] | undefined {
  return parseNameAddrListWithin(text, 0, text.length);
}

/** As `parseNameAddrList`, for a header value inside a longer text: at its end, or before a line end. */
export function parseNameAddrListWithin(
  text: string,
  start: number,
  end: number,
): NameAddr[] | undefined {
  if (text.charCodeAt(skipWhitespace(text, start)) === STAR) {
    return isStarContact(text.slice(start, end)) ? [] : undefined;
  }
  const reader = new AddressReader(text, start, end);
  const list: NameAddr[] = [];
  for (;;) {
    const address = reader.next();
    if (address === undefined) return undefined;
    list.push(address);
    if (reader.atEnd) return list;
    reader.skipComma();
  }
}

/** True for `Contact: *`, which only un-registers (RFC 3261 §10.2.2). @param text - the header's value. */
export function isStarContact(text: string): boolean {
  return text === "*" || text.trim() === "*";
}

/** Reads addresses one by one from a list. */
class AddressReader {
  #position: number;

  constructor(
    readonly text: string,
    start: number,
    readonly end: number,
  ) {
    this.#position = start;
  }

  get atEnd(): boolean {
    return this.#position >= this.end;
  }

  skipComma(): void {
    this.#position++;
  }

  /** The next address, or undefined when malformed. Stops at a comma or the end. */
  next(): NameAddr | undefined {
    const text = this.text;
    let i = skipWhitespace(text, this.#position);
    let displayName: string | undefined;
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const end = skipQuoted(text, i, this.end);
      if (end < 0) return undefined;
      displayName = unquoteWithin(text, i, end);
      i = skipWhitespace(text, end);
      if (text.charCodeAt(i) !== LESS) return undefined;
    } else if (code !== LESS) {
      const end = skipDisplayName(text, i);
      if (text.charCodeAt(end) !== LESS) return this.#addrSpec(i);
      let nameEnd = end;
      while (isWhitespace(text.charCodeAt(nameEnd - 1))) nameEnd--;
      displayName = text.slice(i, nameEnd);
      i = end;
    }
    const greater = text.indexOf(">", i);
    if (greater < 0 || greater >= this.end) return undefined;
    return this.#finish(parseUriWithin(text, i + 1, greater), displayName, greater + 1);
  }

  /** Without brackets, parameters belong to the header, and the URI has neither comma nor question mark. */
  #addrSpec(start: number): NameAddr | undefined {
    const text = this.text;
    let end = start;
    while (end < this.end) {
      const code = text.charCodeAt(end);
      if (code === SEMICOLON || code === COMMA || isWhitespace(code)) break;
      if (code === QUESTION) return undefined;
      end++;
    }
    return this.#finish(parseUriWithin(text, start, end), undefined, end);
  }

  #finish(uri: Uri | undefined, displayName: string | undefined, end: number) {
    if (uri === undefined) return undefined;
    const text = this.text;
    const position = scanParameters(text, end, this.end);
    if (position < 0) return undefined;
    this.#position = position;
    return new NameAddr(uri, displayName, position > end ? text.slice(end, position) : undefined);
  }
}

/**
 * Skips `*(token LWS)`; characters beyond ASCII are accepted unquoted, as telephones send them.
 *
 * @returns Index of the first other character: a `<` when this was a display name.
 */
function skipDisplayName(text: string, start: number): number {
  let i = start;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code < 128 && !isOf(code, TOKEN) && !isWhitespace(code)) break;
    i++;
  }
  return i;
}
