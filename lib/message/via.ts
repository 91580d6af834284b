/** Via (RFC 3261 §20.42, RFC 3581). */
import {
  CHARACTER_CLASS,
  CODE,
  isOf,
  parseDecimalWithin,
  skipClass,
  skipDigits,
  skipToken,
  skipWhitespace,
} from "./grammar.js";
import { hostOf, skipHost } from "./host.js";
import { formatParameters, readParameters, scanParameters, type Parameters } from "./params.js";

const { HOST, LOWER_HOST } = CHARACTER_CLASS;
const { COLON, SLASH, SPACE } = CODE;

export class Via {
  /** A text was checked and becomes a map when somebody asks for it. */
  #parameters: Parameters | string | undefined;

  constructor(
    /** Upper-case: UDP, TCP, TLS, WS, WSS … */
    readonly protocol: string,
    /** Lower-case; IPv6 in brackets. */
    readonly host: string,
    readonly port: number | undefined,
    parameters: Parameters | string | undefined,
    /** Protocol name and version; other versions than 2.0 occur in requests that get 505. */
    readonly version: string = "SIP/2.0",
  ) {
    this.#parameters = parameters;
  }

  get parameters(): Parameters {
    if (typeof this.#parameters === "object") return this.#parameters;
    return (this.#parameters = readParameters(this.#parameters));
  }

  get branch(): string | undefined {
    return this.parameters.get("branch") ?? undefined;
  }

  /** `host[:port]` as written. */
  get sentBy(): string {
    return this.port === undefined ? this.host : `${this.host}:${this.port}`;
  }

  toString(): string {
    return `${this.version}/${this.protocol} ${this.sentBy}${formatParameters(this.parameters)}`;
  }
}

/** One Via value or a comma-separated list. @returns undefined when malformed. */
export function parseVias(text: string): Via[] | undefined {
  return parseViasWithin(text, 0, text.length);
}

/** As `parseVias`, for a header value inside a longer text: at its end, or before a line end. */
export function parseViasWithin(text: string, start: number, end: number): Via[] | undefined {
  const vias: Via[] = [];
  const reader = new ViaReader(text, start, end);
  for (;;) {
    const via = reader.next();
    if (via === undefined) return undefined;
    vias.push(via);
    if (reader.position >= end) return vias;
    reader.position++;
  }
}

/** Names that are met, so that they need not be cut out and turned to upper case. */
const PROTOCOLS = ["TCP", "TLS", "WSS", "WS"];

class ViaReader {
  version = "SIP/2.0";
  protocol = "";

  constructor(
    readonly text: string,
    public position: number,
    readonly end: number,
  ) {}

  /** The next value, or undefined when malformed. Stops at a comma or the end. */
  next(): Via | undefined {
    const { text } = this;
    this.position = skipWhitespace(text, this.position);
    const protocolEnd = this.#readKnownProtocol() || this.#readProtocol();
    if (protocolEnd === 0) return undefined;
    const hostStart = skipWhitespace(text, protocolEnd);
    if (hostStart === protocolEnd) return undefined;
    let hostEnd = skipClass(text, hostStart, LOWER_HOST);
    const plain = hostEnd > hostStart && !isOf(text.charCodeAt(hostEnd), HOST);
    if (!plain) hostEnd = skipHost(text, hostStart);
    if (hostEnd < 0) return undefined;
    let i = skipWhitespace(text, hostEnd);
    let port: number | undefined;
    if (text.charCodeAt(i) === COLON) {
      const portStart = skipWhitespace(text, i + 1);
      i = skipDigits(text, portStart);
      port = parseDecimalWithin(text, portStart, i, 65_535);
      if (!port) return undefined;
    }
    const end = scanParameters(text, i, this.end);
    if (end < 0) return undefined;
    this.position = end;
    const host = plain ? text.slice(hostStart, hostEnd) : hostOf(text, hostStart, hostEnd);
    const parameters = i < end ? text.slice(i, end) : undefined;
    return new Via(this.protocol, host, port, parameters, this.version);
  }

  /** `SIP/2.0/UDP` as everybody writes it. @returns Index behind it, or 0. */
  #readKnownProtocol(): number {
    const { text, position } = this;
    if (text.startsWith("SIP/2.0/UDP ", position)) {
      this.version = "SIP/2.0";
      this.protocol = "UDP";
      return position + 11;
    }
    if (!text.startsWith("SIP/2.0/", position)) return 0;
    for (const protocol of PROTOCOLS) {
      const end = position + 8 + protocol.length;
      if (text.charCodeAt(end) === SPACE && text.startsWith(protocol, position + 8)) {
        this.version = "SIP/2.0";
        this.protocol = protocol;
        return end;
      }
    }
    return 0;
  }

  /** Any name, version and transport, spaces allowed around the slashes. @returns Index behind, or 0. */
  #readProtocol(): number {
    const { text } = this;
    const parts: string[] = [];
    let i = this.position;
    for (;;) {
      const end = skipToken(text, i);
      if (end === i) return 0;
      parts.push(text.slice(i, end).toUpperCase());
      if (parts.length === 3) {
        this.version = `${parts[0]}/${parts[1]}`;
        this.protocol = parts[2];
        return end;
      }
      i = skipWhitespace(text, end);
      if (text.charCodeAt(i) !== SLASH) return 0;
      i = skipWhitespace(text, i + 1);
    }
  }
}
