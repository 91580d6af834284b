/** Via (RFC 3261 §20.42, RFC 3581). */
import { COLON, isToken, SLASH, skipDigits, skipToken, skipWhitespace } from "./grammar.js";
import { hostOf, parsePort, skipHost } from "./host.js";
import { formatParameters, readParameters, scanParameters, type Parameters } from "./params.js";

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
  const vias: Via[] = [];
  let position = 0;
  for (;;) {
    const protocol = readProtocol(text, position);
    if (protocol === undefined) return undefined;
    const hostStart = skipWhitespace(text, protocol.end);
    const hostEnd = skipHost(text, hostStart);
    if (hostEnd < 0 || hostStart === protocol.end) return undefined;
    let end = skipWhitespace(text, hostEnd);
    let port: number | undefined;
    if (text.charCodeAt(end) === COLON) {
      const portStart = skipWhitespace(text, end + 1);
      end = skipDigits(text, portStart);
      port = parsePort(text.slice(portStart, end));
      if (port === undefined) return undefined;
    }
    const start = end;
    end = scanParameters(text, start);
    if (end < 0) return undefined;
    const host = hostOf(text, hostStart, hostEnd);
    const parameters = text.slice(start, end);
    vias.push(new Via(protocol.transport, host, port, parameters, protocol.version));
    if (end === text.length) return vias;
    position = end + 1;
  }
}

interface SentProtocol {
  readonly version: string;
  readonly transport: string;
  readonly end: number;
}

/** `SIP / 2.0 / UDP`, spaces allowed around the slashes. */
function readProtocol(text: string, position: number): SentProtocol | undefined {
  const start = skipWhitespace(text, position);
  if (text.startsWith("SIP/2.0/", start)) {
    const end = skipToken(text, start + 8);
    if (end === start + 8) return readParts(text, start);
    return { version: "SIP/2.0", transport: text.slice(start + 8, end).toUpperCase(), end };
  }
  return readParts(text, start);
}

function readParts(text: string, start: number): SentProtocol | undefined {
  const parts: string[] = [];
  let i = start;
  for (let n = 0; n < 3; n++) {
    const end = skipToken(text, i);
    const part = text.slice(i, end);
    if (!isToken(part)) return undefined;
    parts.push(part.toUpperCase());
    if (n === 2) return { version: `${parts[0]}/${parts[1]}`, transport: part.toUpperCase(), end };
    i = skipWhitespace(text, end);
    if (text.charCodeAt(i) !== SLASH) return undefined;
    i = skipWhitespace(text, i + 1);
  }
  return undefined;
}
