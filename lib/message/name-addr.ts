/** name-addr and addr-spec with header parameters: From, To, Contact, Route, Refer-To … (RFC 3261 §20.10, §25.1). */
import { listOf } from "../foundation/index.js";
import {
  CHARACTER_CLASS,
  CODE,
  isOf,
  isWhitespace,
  quote,
  skipClass,
  skipQuoted,
  skipWhitespace,
  unquoteWithin,
} from "./grammar.js";
import { formatParameters, readParameters, scanParameters, type Parameters } from "./params.js";
import { buildSipUri, parseUriWithin } from "./uri-parser.js";
import { isPlainSip, scanSipUri } from "./uri-scanner.js";
import type { Uri } from "./uri.js";

const { TOKEN } = CHARACTER_CLASS;
const { COMMA, LESS, QUESTION, QUOTE, SEMICOLON, STAR } = CODE;

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
    const parameters = this.#parameters;
    if (parameters === undefined) return undefined;
    if (typeof parameters === "string" && isTagAlone(parameters)) {
      return parameters.slice(TAG.length);
    }
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

const TAG = ";tag=";

/** As in nearly every From and To: no map is needed to read it. */
function isTagAlone(parameters: string): boolean {
  return (
    parameters.length > TAG.length &&
    parameters.startsWith(TAG) &&
    skipClass(parameters, TAG.length, TOKEN) === parameters.length
  );
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
  return scanAddress(text, start, end) >= end ? buildAddress(text) : undefined;
}

/** True when `parseNameAddrWithin` would find an address; builds nothing. */
export function isNameAddrWithin(text: string, start: number, end: number): boolean {
  return scanAddress(text, start, end) >= end;
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
  if (isStarWithin(text, start, end)) return [];
  let list: NameAddr[] | undefined;
  for (let i = start; ; i++) {
    i = scanAddress(text, i, end);
    const address = i < 0 ? undefined : buildAddress(text);
    if (address === undefined) return undefined;
    if (list === undefined) list = listOf(address);
    else list.push(address);
    if (i >= end) return list;
  }
}

/** How many addresses `parseNameAddrListWithin` would find, -1 when malformed; builds nothing. */
export function countNameAddrsWithin(text: string, start: number, end: number): number {
  if (isStarWithin(text, start, end)) return 0;
  let count = 0;
  for (let i = start; ; i++) {
    i = scanAddress(text, i, end);
    if (i < 0) return -1;
    count++;
    if (i >= end) return count;
  }
}

function isStarWithin(text: string, start: number, end: number): boolean {
  if (text.charCodeAt(skipWhitespace(text, start)) !== STAR) return false;
  return isStarContact(text.slice(start, end));
}

/** True for `Contact: *`, which only un-registers (RFC 3261 §10.2.2). @param text - the header's value. */
export function isStarContact(text: string): boolean {
  return text === "*" || text.trim() === "*";
}

/** The parts of the address that `scanAddress` accepted last; overwritten by the next call. */
const places = {
  /** -1 without display name; with quotes where it has them. */
  displayStart: -1,
  displayEnd: -1,
  /** The URI begins with `sip:`; its own parts are in `uriPlaces`. */
  plainSip: false,
  uriStart: 0,
  uriEnd: 0,
  parametersStart: 0,
  parametersEnd: 0,
};

/** @returns Index of the comma, or `end`, behind the address at `position`; -1 when malformed. */
function scanAddress(text: string, position: number, end: number): number {
  let i = skipWhitespace(text, position);
  places.displayStart = -1;
  const code = text.charCodeAt(i);
  if (code === QUOTE) {
    places.displayStart = i;
    i = places.displayEnd = skipQuoted(text, i, end);
    if (i < 0) return -1;
    i = skipWhitespace(text, i);
    if (text.charCodeAt(i) !== LESS) return -1;
  } else if (code !== LESS) {
    const less = skipDisplayName(text, i);
    if (text.charCodeAt(less) !== LESS) return scanAddrSpec(text, i, end);
    places.displayStart = i;
    places.displayEnd = i = less;
  }
  const greater = text.indexOf(">", i);
  if (greater < 0 || greater >= end) return -1;
  return finishAddress(text, i + 1, greater, greater + 1, end);
}

/** Without brackets, parameters belong to the header, and the URI has neither comma nor question mark. */
function scanAddrSpec(text: string, start: number, end: number): number {
  let i = start;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (code === SEMICOLON || code === COMMA || isWhitespace(code)) break;
    if (code === QUESTION) return -1;
    i++;
  }
  return finishAddress(text, start, i, i, end);
}

function finishAddress(
  text: string,
  uriStart: number,
  uriEnd: number,
  parametersStart: number,
  end: number,
): number {
  places.plainSip = isPlainSip(text, uriStart);
  const good = places.plainSip
    ? scanSipUri(text, uriStart + 4, uriEnd)
    : parseUriWithin(text, uriStart, uriEnd) !== undefined;
  if (!good) return -1;
  const parametersEnd = scanParameters(text, parametersStart, end);
  places.uriStart = uriStart;
  places.uriEnd = uriEnd;
  places.parametersStart = parametersStart;
  places.parametersEnd = parametersEnd;
  return parametersEnd;
}

/** The address that was just scanned. */
function buildAddress(text: string): NameAddr | undefined {
  const { displayStart, displayEnd, parametersStart, parametersEnd } = places;
  const uri = places.plainSip
    ? buildSipUri("sip", text, places.uriStart + 4, places.uriEnd)
    : parseUriWithin(text, places.uriStart, places.uriEnd);
  if (uri === undefined) return undefined;
  let displayName: string | undefined;
  if (displayStart >= 0) {
    displayName =
      text.charCodeAt(displayStart) === QUOTE
        ? unquoteWithin(text, displayStart, displayEnd)
        : text.slice(displayStart, displayEnd).trimEnd();
  }
  if (parametersEnd <= parametersStart) return new NameAddr(uri, displayName);
  return new NameAddr(uri, displayName, text.slice(parametersStart, parametersEnd));
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
