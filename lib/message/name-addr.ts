/** name-addr and addr-spec with header parameters: From, To, Contact, Route, Refer-To … (RFC 3261 §20.10, §25.1). */
import {
  COMMA,
  GREATER,
  isOf,
  isWhitespace,
  LESS,
  QUOTE,
  quote,
  SEMICOLON,
  skipQuoted,
  skipWhitespace,
  TOKEN,
  unquote,
} from "./grammar.js";
import { formatParameters, scanParameters, type Parameters } from "./params.js";
import { parseUri, type Uri } from "./uri.js";

export class NameAddr {
  constructor(
    readonly uri: Uri,
    /** Unquoted and unescaped. */
    readonly displayName?: string,
    readonly parameters: Parameters = new Map(),
  ) {}

  get tag(): string | undefined {
    return this.parameters.get("tag") ?? undefined;
  }

  /** `"Display" <uri>;parameters`, quoted and escaped as needed; always with angle brackets. */
  toString(): string {
    const display = this.displayName ? `${quote(this.displayName)} ` : "";
    return `${display}<${this.uri.toString()}>${formatParameters(this.parameters)}`;
  }
}

/** Exactly one address. @returns undefined when malformed. */
export function parseNameAddr(text: string): NameAddr | undefined {
  const reader = new AddressReader(text);
  const address = reader.next();
  return reader.atEnd ? address : undefined;
}

/** A comma-separated list; `*` gives an empty list (see `isStarContact`). @returns undefined when malformed. */
export function parseNameAddrList(text: string): NameAddr[] | undefined {
  if (isStarContact(text)) return [];
  const reader = new AddressReader(text);
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
  return text === "*" || (text.length < 16 && text.trim() === "*");
}

/** Reads addresses one by one from a list. */
class AddressReader {
  #position = 0;

  constructor(readonly text: string) {}

  get atEnd(): boolean {
    return this.#position >= this.text.length;
  }

  skipComma(): void {
    this.#position++;
  }

  /** The next address, or undefined when malformed. Stops at a comma or the end. */
  next(): NameAddr | undefined {
    const text = this.text;
    let i = skipWhitespace(text, this.#position);
    let displayName: string | undefined;
    if (text.charCodeAt(i) === QUOTE) {
      const end = skipQuoted(text, i);
      if (end < 0) return undefined;
      displayName = unquote(text.slice(i, end));
      i = skipWhitespace(text, end);
      if (text.charCodeAt(i) !== LESS) return undefined;
    } else {
      const less = findBracket(text, i);
      if (less < 0) return this.#addrSpec(i);
      if (!isDisplayName(text, i, less)) return undefined;
      const display = text.slice(i, less).trim();
      if (display.length > 0) displayName = display;
      i = less;
    }
    const greater = text.indexOf(">", i);
    if (greater < 0) return undefined;
    return this.#withParameters(parseUri(text.slice(i + 1, greater)), displayName, greater + 1);
  }

  /** Without brackets, parameters belong to the header, and the URI has neither comma nor question mark. */
  #addrSpec(start: number): NameAddr | undefined {
    const text = this.text;
    let end = start;
    while (end < text.length) {
      const code = text.charCodeAt(end);
      if (code === SEMICOLON || code === COMMA || isWhitespace(code)) break;
      if (code === 63) return undefined;
      end++;
    }
    return this.#withParameters(parseUri(text.slice(start, end)), undefined, end);
  }

  #withParameters(
    uri: Uri | undefined,
    displayName: string | undefined,
    position: number,
  ): NameAddr | undefined {
    if (uri === undefined) return undefined;
    const parameters: Parameters = new Map();
    const end = scanParameters(this.text, position, parameters);
    if (end < 0) return undefined;
    this.#position = end;
    return new NameAddr(uri, displayName, parameters);
  }
}

/** Index of the `<` of this address, or -1 when a comma, semicolon or the end comes first. */
function findBracket(text: string, position: number): number {
  for (let i = position; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === LESS) return i;
    if (code === COMMA || code === SEMICOLON || code === GREATER || code === QUOTE) return -1;
  }
  return -1;
}

/** `*(token LWS)`; characters beyond ASCII are accepted unquoted, as telephones send them. */
function isDisplayName(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code < 128 && !isOf(code, TOKEN) && !isWhitespace(code)) return false;
  }
  return true;
}
