/** SIP, SIPS, tel and other URIs (RFC 3261 §19.1, §25.1; RFC 3966). */
import { decodeEscapes, encodeEscapes } from "./escapes.js";
import { HOST, isOf, TELEPHONE, URI_PARAMETER } from "./grammar.js";
import { headerName } from "./header-names.js";
import { hasForbiddenCharacters } from "./header-checks.js";
import { hostOf } from "./host.js";
import type { Parameters } from "./params.js";
import { scanUriParameters, SipUriScanner } from "./uri-scanner.js";

/** Parts of a SipUri that `with` replaces. */
export interface SipUriChange {
  scheme?: "sip" | "sips";
  user?: string | undefined;
  host?: string;
  port?: number | undefined;
  parameters?: Parameters;
  headers?: Parameters;
}

/** Text of parameters or headers, checked, that becomes a map when somebody asks for it. */
type Unread = string;

export class SipUri {
  #parameters: Parameters | Unread | undefined;
  #headers: Parameters | Unread | undefined;

  constructor(
    readonly scheme: "sip" | "sips",
    /** As on the wire, escapes kept; undefined when absent. */
    readonly user: string | undefined,
    /** Lower-case; IPv6 in brackets. */
    readonly host: string,
    readonly port?: number,
    parameters?: Parameters | Unread,
    headers?: Parameters | Unread,
    readonly password?: string,
  ) {
    this.#parameters = parameters;
    this.#headers = headers;
  }

  /** URI parameters: names lower-case, values with escapes resolved (they are escaped again on output). */
  get parameters(): Parameters {
    if (typeof this.#parameters === "object") return this.#parameters;
    return (this.#parameters = readPairs(this.#parameters ?? "", ";"));
  }

  /** Headers behind `?`: names lower-case, values with escapes resolved. Never hold CR, LF or NUL. */
  get headers(): Parameters {
    if (typeof this.#headers === "object") return this.#headers;
    return (this.#headers = readPairs(this.#headers ?? "", "&"));
  }

  get hasHeaders(): boolean {
    return this.#headers !== undefined && this.headers.size > 0;
  }

  /** The user part with %-escapes decoded, or "" when absent. */
  get decodedUser(): string {
    return this.user === undefined ? "" : decodeEscapes(this.user);
  }

  /** `transport` parameter, lower-case. */
  get transport(): string | undefined {
    if (this.#parameters === undefined) return undefined;
    return this.parameters.get("transport")?.toLowerCase();
  }

  /** True for a loose router (`lr`). */
  get isLooseRouter(): boolean {
    return this.#parameters !== undefined && this.parameters.has("lr");
  }

  /** A copy with some parts replaced. A key given as undefined removes user or port. */
  with(change: SipUriChange): SipUri {
    return new SipUri(
      change.scheme ?? this.scheme,
      "user" in change ? change.user : this.user,
      change.host ?? this.host,
      "port" in change ? change.port : this.port,
      change.parameters ?? copyOf(this.#parameters),
      change.headers ?? copyOf(this.#headers),
      this.password,
    );
  }

  toString(): string {
    let text = `${this.scheme}:`;
    if (this.user !== undefined) {
      text += this.password === undefined ? `${this.user}@` : `${this.user}:${this.password}@`;
    }
    text += this.host;
    if (this.port !== undefined) text += `:${this.port}`;
    if (typeof this.#parameters === "string") text += `;${this.#parameters}`;
    else if (this.#parameters !== undefined) {
      for (const [name, value] of this.#parameters) text += `;${pair(name, value, URI_PARAMETER)}`;
    }
    if (typeof this.#headers === "string") text += `?${this.#headers}`;
    else if (this.#headers !== undefined) {
      let separator = "?";
      for (const [name, value] of this.#headers) {
        text += separator + pair(headerName(name).display, value ?? "", STRICT_HEADER);
        separator = "&";
      }
    }
    return text;
  }
}

function copyOf(pairs: Parameters | Unread | undefined): Parameters | Unread | undefined {
  return typeof pairs === "object" ? new Map(pairs) : pairs;
}

export class TelUri {
  readonly scheme = "tel";
  constructor(
    readonly number: string,
    readonly parameters: Parameters = new Map(),
  ) {}

  toString(): string {
    let text = `tel:${this.number}`;
    for (const [name, value] of this.parameters) text += `;${pair(name, value, URI_PARAMETER)}`;
    return text;
  }
}

/** A URI of a scheme that we do not dial, kept as text. */
export class OtherUri {
  constructor(
    readonly scheme: string,
    readonly text: string,
  ) {}

  toString(): string {
    return this.text;
  }
}

export type Uri = SipUri | TelUri | OtherUri;

/** Characters that need no escape in a header value that we write. */
const STRICT_HEADER = HOST;

/** @returns undefined when the text is no URI. Never throws. */
export function parseUri(text: string): Uri | undefined {
  return parseUriWithin(text, 0, text.length);
}

/** As `parseUri`, for a URI inside a longer text, which need not be cut out. */
export function parseUriWithin(text: string, start: number, end: number): Uri | undefined {
  if (text.startsWith("sip:", start)) return parseSipUri("sip", text, start + 4, end);
  const colon = text.indexOf(":", start);
  if (colon <= start || colon >= end) return undefined;
  const scheme = text.slice(start, colon).toLowerCase();
  if (scheme === "sip" || scheme === "sips") return parseSipUri(scheme, text, colon + 1, end);
  const whole = text.slice(start, end);
  if (scheme === "tel") return parseTelUri(whole, 4);
  return parseOtherUri(scheme, whole, colon + 1 - start);
}

const scanner = new SipUriScanner();

function parseSipUri(
  scheme: "sip" | "sips",
  text: string,
  start: number,
  end: number,
): SipUri | undefined {
  const parts = scanner;
  if (!parts.scan(text, start, end)) return undefined;
  const user = parts.userEnd < 0 ? undefined : text.slice(start, parts.userEnd);
  const password =
    parts.passwordEnd < 0 ? undefined : text.slice(parts.userEnd + 1, parts.passwordEnd);
  const { parametersEnd, hostPortEnd } = parts;
  return new SipUri(
    scheme,
    user,
    hostOf(text, parts.hostStart, parts.hostEnd),
    parts.port === 0 ? undefined : parts.port,
    parametersEnd > hostPortEnd ? text.slice(hostPortEnd + 1, parametersEnd) : undefined,
    parametersEnd < end ? text.slice(parametersEnd + 1, end) : undefined,
    password,
  );
}

function parseTelUri(text: string, start: number): TelUri | undefined {
  const semicolon = text.indexOf(";", start);
  const numberEnd = semicolon < 0 ? text.length : semicolon;
  const from = text.charCodeAt(start) === 43 ? start + 1 : start;
  if (from === numberEnd) return undefined;
  for (let i = from; i < numberEnd; i++) {
    if (!isOf(text.charCodeAt(i), TELEPHONE)) return undefined;
  }
  if (scanUriParameters(text, numberEnd, text.length) !== text.length) return undefined;
  return new TelUri(text.slice(start, numberEnd), readPairs(text.slice(numberEnd + 1), ";"));
}

/** absoluteURI: a scheme and anything without spaces, quotes, brackets and control characters. */
function parseOtherUri(scheme: string, text: string, start: number): OtherUri | undefined {
  const first = scheme.charCodeAt(0);
  if (first < 97 || first > 122) return undefined;
  for (let i = 0; i < scheme.length; i++) {
    const code = scheme.charCodeAt(i);
    const letter = (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
    if (!letter && code !== 43 && code !== 45 && code !== 46) return undefined;
  }
  if (start === text.length) return undefined;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 32 || code === 34 || code === 60 || code === 62 || code === 127) return undefined;
  }
  return new OtherUri(scheme, text);
}

/** A checked `name=value` list as a map; the first of several with one name wins. */
function readPairs(text: string, separator: string): Parameters {
  const pairs: Parameters = new Map();
  let i = 0;
  while (i < text.length) {
    let end = text.indexOf(separator, i);
    if (end < 0) end = text.length;
    const equals = text.indexOf("=", i);
    const nameEnd = equals < 0 || equals > end ? end : equals;
    const name = decodeSafely(text.slice(i, nameEnd)).toLowerCase();
    const value = nameEnd < end ? decodeSafely(text.slice(nameEnd + 1, end)) : null;
    if (!pairs.has(name)) pairs.set(name, value);
    i = end + 1;
  }
  return pairs;
}

/** Escapes resolved, unless that would bring forth a line break or NUL: then the text stays as it is. */
function decodeSafely(text: string): string {
  if (!text.includes("%")) return text;
  const decoded = decodeEscapes(text);
  return hasForbiddenCharacters(decoded) ? text : decoded;
}

function pair(name: string, value: string | null, classes: number): string {
  const left = encodeEscapes(name, classes);
  return value === null ? left : `${left}=${encodeEscapes(value, classes)}`;
}

/**
 * Equivalence of RFC 3261 §19.1.4; numbers of tel URIs without visual separators (RFC 3966 §5). Not
 * transitive, as the RFC says. Other URIs are compared as text.
 */
export function sameUri(a: Uri, b: Uri): boolean {
  if (a instanceof SipUri) return b instanceof SipUri && sameSipUri(a, b);
  if (a instanceof TelUri) return b instanceof TelUri && sameTelUri(a, b);
  return b instanceof OtherUri && a.text === b.text;
}

/** Parameters that make two URIs different when only one of them has it. */
const DISTINGUISHING = ["user", "ttl", "method", "maddr", "transport"];

function sameSipUri(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme || a.host !== b.host || a.port !== b.port) return false;
  if ((a.user === undefined) !== (b.user === undefined) || a.decodedUser !== b.decodedUser) {
    return false;
  }
  if (decodeEscapes(a.password ?? "") !== decodeEscapes(b.password ?? "")) return false;
  for (const [name, value] of a.parameters) {
    const other = b.parameters.get(name);
    if (other === undefined) {
      if (DISTINGUISHING.includes(name)) return false;
    } else if ((value ?? "").toLowerCase() !== (other ?? "").toLowerCase()) return false;
  }
  for (const name of b.parameters.keys()) {
    if (DISTINGUISHING.includes(name) && !a.parameters.has(name)) return false;
  }
  if (a.headers.size !== b.headers.size) return false;
  for (const [name, value] of a.headers) {
    if (b.headers.get(name) !== value) return false;
  }
  return true;
}

function sameTelUri(a: TelUri, b: TelUri): boolean {
  if (plainNumber(a.number) !== plainNumber(b.number)) return false;
  if (a.parameters.size !== b.parameters.size) return false;
  for (const [name, value] of a.parameters) {
    const other = b.parameters.get(name);
    if (other === undefined || (value ?? "").toLowerCase() !== (other ?? "").toLowerCase()) {
      return false;
    }
  }
  return true;
}

/** Without `-`, `.`, `(`, `)`, and in lower case. */
function plainNumber(number: string): string {
  let plain = "";
  for (const character of number) if (!"-.()".includes(character)) plain += character;
  return plain.toLowerCase();
}
