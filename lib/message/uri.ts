/** SIP, SIPS, tel and other URIs as data (RFC 3261 §19.1, §25.1; RFC 3966). */
import { decodeEscapes, encodeEscapes } from "./escapes.js";
import { CHARACTER_CLASS } from "./grammar.js";
import { hasForbiddenCharacters } from "./header-checks.js";
import { headerName } from "./header-names.js";
import type { Parameters } from "./params.js";

const { HOST, URI_PARAMETER } = CHARACTER_CLASS;

/** Parts of a SipUri that `with` replaces. */
export interface SipUriChange {
  scheme?: "sip" | "sips";
  user?: string | undefined;
  host?: string;
  port?: number | undefined;
  parameters?: Pairs;
  headers?: Pairs;
}

/** A URI does not change: other parameters make another URI. */
type Pairs = ReadonlyMap<string, string | null>;

/** Text of parameters or headers, checked, that becomes a map when somebody asks for it. */
type Unread = string;

export class SipUri {
  #parameters: Pairs | Unread | undefined;
  #headers: Pairs | Unread | undefined;
  /** Made when somebody asks for it; a URI does not change. */
  #text: string | undefined = undefined;

  constructor(
    readonly scheme: "sip" | "sips",
    /** As on the wire, escapes kept; undefined when absent. */
    readonly user: string | undefined,
    /** Lower-case; IPv6 in brackets. */
    readonly host: string,
    readonly port?: number,
    parameters?: Pairs | Unread,
    headers?: Pairs | Unread,
    readonly password?: string,
  ) {
    this.#parameters = parameters;
    this.#headers = headers;
  }

  /** URI parameters: names lower-case, values with escapes resolved (they are escaped again on output). */
  get parameters(): Pairs {
    if (typeof this.#parameters === "object") return this.#parameters;
    return (this.#parameters = readPairs(this.#parameters ?? "", ";"));
  }

  /** Headers behind `?`: names lower-case, values with escapes resolved. Never hold CR, LF or NUL. */
  get headers(): Pairs {
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
      change.parameters ?? this.#parameters,
      change.headers ?? this.#headers,
      this.password,
    );
  }

  toString(): string {
    return (this.#text ??= this.#compose());
  }

  #compose(): string {
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

/** A checked `name=value` list as a map; the first of several with one name wins. */
export function readPairs(text: string, separator: string): Parameters {
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
