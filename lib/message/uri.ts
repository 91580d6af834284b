/** SIP, SIPS, tel and other URIs (RFC 3261 §19.1, §25.1; RFC 3966). */
import { decodeEscapes, encodeEscapes, isEscape } from "./escapes.js";
import { HOST, isOf, SEMICOLON, TELEPHONE, URI_HEADER, URI_PARAMETER, USER } from "./grammar.js";
import { headerName } from "./header-names.js";
import { hasForbiddenCharacters } from "./header-checks.js";
import { parseHostPort } from "./host.js";
import type { Parameters } from "./params.js";

/** Parts of a SipUri that `with` replaces. */
export interface SipUriChange {
  scheme?: "sip" | "sips";
  user?: string | undefined;
  host?: string;
  port?: number | undefined;
  parameters?: Parameters;
  headers?: Parameters;
}

export class SipUri {
  #parameters: Parameters | undefined;
  #headers: Parameters | undefined;

  constructor(
    readonly scheme: "sip" | "sips",
    /** As on the wire, escapes kept; undefined when absent. */
    readonly user: string | undefined,
    /** Lower-case; IPv6 in brackets. */
    readonly host: string,
    readonly port?: number,
    parameters?: Parameters,
    headers?: Parameters,
    readonly password?: string,
  ) {
    this.#parameters = parameters;
    this.#headers = headers;
  }

  /** URI parameters: names lower-case, values with escapes resolved (they are escaped again on output). */
  get parameters(): Parameters {
    return (this.#parameters ??= new Map<string, string | null>());
  }

  /** Headers behind `?`: names lower-case, values with escapes resolved. Never hold CR, LF or NUL. */
  get headers(): Parameters {
    return (this.#headers ??= new Map<string, string | null>());
  }

  /** The user part with %-escapes decoded, or "" when absent. */
  get decodedUser(): string {
    return this.user === undefined ? "" : decodeEscapes(this.user);
  }

  /** `transport` parameter, lower-case. */
  get transport(): string | undefined {
    return this.#parameters?.get("transport")?.toLowerCase();
  }

  /** True for a loose router (`lr`). */
  get isLooseRouter(): boolean {
    return this.#parameters?.has("lr") === true;
  }

  /** A copy with some parts replaced. A key given as undefined removes user or port. */
  with(change: SipUriChange): SipUri {
    return new SipUri(
      change.scheme ?? this.scheme,
      "user" in change ? change.user : this.user,
      change.host ?? this.host,
      "port" in change ? change.port : this.port,
      change.parameters ?? (this.#parameters && new Map(this.#parameters)),
      change.headers ?? (this.#headers && new Map(this.#headers)),
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
    if (this.#parameters !== undefined) {
      for (const [name, value] of this.#parameters) text += `;${pair(name, value, URI_PARAMETER)}`;
    }
    if (this.#headers !== undefined) {
      let separator = "?";
      for (const [name, value] of this.#headers) {
        text += separator + pair(headerName(name).display, value ?? "", STRICT_HEADER);
        separator = "&";
      }
    }
    return text;
  }
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
  const colon = text.indexOf(":");
  if (colon < 1) return undefined;
  const scheme = text.slice(0, colon).toLowerCase();
  if (scheme === "sip" || scheme === "sips") return parseSipUri(scheme, text, colon + 1);
  if (scheme === "tel") return parseTelUri(text, colon + 1);
  return parseOtherUri(scheme, text, colon + 1);
}

function parseSipUri(scheme: "sip" | "sips", text: string, start: number): SipUri | undefined {
  const at = text.indexOf("@", start);
  let user: string | undefined;
  let password: string | undefined;
  let position = start;
  if (at >= 0) {
    const colon = text.indexOf(":", start);
    const userEnd = colon >= 0 && colon < at ? colon : at;
    if (userEnd === start || !isRun(text, start, userEnd, USER)) return undefined;
    user = text.slice(start, userEnd);
    if (userEnd < at) {
      if (!isRun(text, userEnd + 1, at, USER)) return undefined;
      password = text.slice(userEnd + 1, at);
    }
    position = at + 1;
  }
  const hostPort = parseHostPort(text, position);
  if (hostPort === undefined) return undefined;
  if (hostPort.end === text.length) {
    return new SipUri(scheme, user, hostPort.host, hostPort.port, undefined, undefined, password);
  }
  const question = text.indexOf("?", hostPort.end);
  const parametersEnd = question < 0 ? text.length : question;
  let parameters: Parameters | undefined;
  if (parametersEnd > hostPort.end) {
    parameters = new Map();
    if (!readParameters(text, hostPort.end, parametersEnd, parameters)) return undefined;
  }
  let headers: Parameters | undefined;
  if (question >= 0) {
    headers = new Map();
    if (!readHeaders(text, question + 1, headers)) return undefined;
  }
  return new SipUri(scheme, user, hostPort.host, hostPort.port, parameters, headers, password);
}

function parseTelUri(text: string, start: number): TelUri | undefined {
  const semicolon = text.indexOf(";", start);
  const numberEnd = semicolon < 0 ? text.length : semicolon;
  const from = text.charCodeAt(start) === 43 ? start + 1 : start;
  if (from === numberEnd) return undefined;
  for (let i = from; i < numberEnd; i++) {
    if (!isOf(text.charCodeAt(i), TELEPHONE)) return undefined;
  }
  const parameters: Parameters = new Map();
  if (!readParameters(text, numberEnd, text.length, parameters)) return undefined;
  return new TelUri(text.slice(start, numberEnd), parameters);
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

/** `;name=value` from `position` to `end`. @returns false when malformed. */
function readParameters(text: string, position: number, end: number, into: Parameters): boolean {
  let i = position;
  while (i < end) {
    if (text.charCodeAt(i) !== SEMICOLON) return false;
    const semicolon = text.indexOf(";", i + 1);
    const next = semicolon < 0 || semicolon > end ? end : semicolon;
    if (!readPair(text, i + 1, next, URI_PARAMETER, into)) return false;
    i = next;
  }
  return true;
}

/** `name=value&name=value` to the end of the text. @returns false when malformed. */
function readHeaders(text: string, position: number, into: Parameters): boolean {
  let i = position;
  for (;;) {
    const ampersand = text.indexOf("&", i);
    const end = ampersand < 0 ? text.length : ampersand;
    if (!readPair(text, i, end, URI_HEADER, into)) return false;
    if (ampersand < 0) return true;
    i = ampersand + 1;
  }
}

/** One `name[=value]`; the first of several with one name wins. */
function readPair(
  text: string,
  start: number,
  end: number,
  classes: number,
  into: Parameters,
): boolean {
  const equals = text.indexOf("=", start);
  const nameEnd = equals < 0 || equals > end ? end : equals;
  if (nameEnd === start || !isRun(text, start, nameEnd, classes)) return false;
  const name = decodeSafely(text.slice(start, nameEnd)).toLowerCase();
  let value: string | null = null;
  if (nameEnd < end) {
    if (!isRun(text, nameEnd + 1, end, classes)) return false;
    value = decodeSafely(text.slice(nameEnd + 1, end));
  }
  if (!into.has(name)) into.set(name, value);
  return true;
}

/** Escapes resolved, unless that would bring forth a line break or NUL: then the text stays as it is. */
function decodeSafely(text: string): string {
  if (!text.includes("%")) return text;
  const decoded = decodeEscapes(text);
  return hasForbiddenCharacters(decoded) ? text : decoded;
}

/** True when all characters are of the class, well-formed escapes, or not ASCII (met in the field). */
function isRun(text: string, start: number, end: number, classes: number): boolean {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code >= 128 || isOf(code, classes)) continue;
    if (!isEscape(text, i) || i + 2 >= end) return false;
    i += 2;
  }
  return true;
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
