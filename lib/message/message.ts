/**
 * SIP requests and responses as data. The typed getters parse on first use and remember; on an incoming
 * message that passed `checkMessage` they never throw (missing optional headers give undefined or []).
 * What they return is shared: treat it as read-only and build a new value to change a header.
 */
import { InvalidStateError } from "../foundation/index.js";
import {
  CODE,
  parseDecimal,
  parseDecimalWithin,
  parseSeconds,
  skipDigits,
  skipToken,
  skipWhitespace,
  splitOutsideQuotes,
} from "./grammar.js";
import { HeaderField, type HeaderMap } from "./headers.js";
import {
  isStarContact,
  NameAddr,
  parseNameAddrListWithin,
  parseNameAddrWithin,
} from "./name-addr.js";
import { parseUri } from "./uri-parser.js";
import { OtherUri, type Uri } from "./uri.js";
import { parseViasWithin, type Via } from "./via.js";

const { COMMA } = CODE;

export interface CSeq {
  /** 0 … 2^31-1. */
  readonly sequence: number;
  readonly method: string;
}

/** Where a message came from on the network. */
export interface MessageSource {
  /** udp, tcp, tls, ws, wss. */
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
}

/** Largest CSeq number, RFC 3261 §8.1.1.5. */
const LARGEST_SEQUENCE = 0x7fff_ffff;

/** `number method`. @returns undefined when malformed or out of range. */
export function parseCSeq(text: string): CSeq | undefined {
  return parseCSeqWithin(text, 0, text.length);
}

function parseCSeqWithin(text: string, start: number, end: number): CSeq | undefined {
  const numberEnd = skipDigits(text, start);
  const sequence = parseDecimalWithin(text, start, numberEnd, LARGEST_SEQUENCE);
  const methodStart = skipWhitespace(text, numberEnd);
  if (sequence === undefined || methodStart === numberEnd || methodStart >= end) return undefined;
  if (skipToken(text, methodStart) !== end) return undefined;
  return { sequence, method: text.slice(methodStart, end) };
}

export abstract class MessageBase {
  abstract readonly kind: "request" | "response";
  /** Set by the transport layer on what arrives. */
  source: MessageSource | undefined = undefined;
  #body: Buffer | string;

  constructor(
    readonly headers: HeaderMap,
    body: Buffer | string,
  ) {
    this.#body = body;
  }

  /** Body bytes; a string that was given is encoded as UTF-8 when first asked for. */
  get body(): Buffer {
    if (typeof this.#body === "string") this.#body = Buffer.from(this.#body, "utf8");
    return this.#body;
  }
  set body(body: Buffer) {
    this.#body = body;
  }

  /** The body in the form it is held in; for the serializer. */
  get rawBody(): Buffer | string {
    return this.#body;
  }

  /** Body as UTF-8 text. */
  get text(): string {
    return typeof this.#body === "string" ? this.#body : this.#body.toString("utf8");
  }

  get hasBody(): boolean {
    return this.#body.length > 0;
  }

  get topVia(): Via {
    const field = this.#required("via");
    return viasOf(field)[0] ?? malformed("Via");
  }

  get vias(): Via[] {
    const vias: Via[] = [];
    for (const field of this.headers.fields) {
      if (field.header.name === "via") vias.push(...viasOf(field));
    }
    return vias;
  }

  /** Puts another Via in place of the topmost (for `received`, `rport`), whatever shares its line. */
  replaceTopVia(via: Via): void {
    const { fields } = this.headers;
    const index = this.#indexOf("via");
    const old = fields[index];
    const others = viasOf(old);
    const vias = others.length === 1 ? [via] : [via, ...others.slice(1)];
    const text = vias.length === 1 ? via.toString() : vias.map((one) => one.toString()).join(", ");
    const field = new HeaderField(old.header, text);
    field.parsed = vias;
    fields[index] = field;
  }

  get from(): NameAddr {
    return addressOf(this.#required("from"));
  }

  get to(): NameAddr {
    return addressOf(this.#required("to"));
  }

  get callId(): string {
    return this.#required("call-id").value;
  }

  get cseq(): CSeq {
    return strictCSeqOf(this.#required("cseq")) ?? NO_CSEQ;
  }

  get contacts(): NameAddr[] {
    return this.#addresses("contact");
  }

  /** True for `Contact: *`. */
  get isStarContact(): boolean {
    return isStarContact(this.headers.get("contact") ?? "");
  }

  get routes(): NameAddr[] {
    return this.#addresses("route");
  }

  get recordRoutes(): NameAddr[] {
    return this.#addresses("record-route");
  }

  get maxForwards(): number | undefined {
    return parseDecimal(this.headers.get("max-forwards") ?? "", 255);
  }

  /** `type/subtype` in lower case, without parameters. */
  get contentType(): string | undefined {
    return contentTypeOf(this.headers);
  }

  /** Lower-case tokens of a comma-separated header over all its lines: Supported, Require, Allow (upper-case) … */
  tokens(name: string): string[] {
    const list: string[] = [];
    const upper = name === "allow";
    for (const field of this.headers.fields) {
      if (field.header.name !== name) continue;
      for (const part of splitOutsideQuotes(field.value, COMMA)) {
        if (part.length > 0) list.push(upper ? part.toUpperCase() : part.toLowerCase());
      }
    }
    return list;
  }

  /** Delta-seconds of Expires, Min-Expires, Retry-After …, undefined when absent or malformed. */
  seconds(name: string): number | undefined {
    const value = this.headers.get(name);
    return value === undefined ? undefined : parseSeconds(value);
  }

  #required(name: string): HeaderField {
    return this.headers.first(name) ?? malformed(name);
  }

  #indexOf(name: string): number {
    return this.headers.fields.findIndex((field) => field.header.name === name);
  }

  #addresses(name: string): NameAddr[] {
    let all: NameAddr[] | undefined;
    for (const field of this.headers.fields) {
      if (field.header.name !== name) continue;
      const list = addressListOf(field);
      all = all === undefined ? list : [...all, ...list];
    }
    return all ?? [];
  }
}

/** What a CSeq that cannot be read stands for, so that a faulty request can still be answered with 400. */
const NO_CSEQ: CSeq = { sequence: 0, method: "" };

function malformed(what: string): never {
  throw new InvalidStateError(`The message has no usable ${what} header`);
}

/** `type/subtype` of a Content-Type in lower case, without parameters and spaces. */
export function contentTypeOf(headers: HeaderMap): string | undefined {
  const value = headers.get("content-type");
  if (value === undefined) return undefined;
  const semicolon = value.indexOf(";");
  const type = (semicolon < 0 ? value : value.slice(0, semicolon)).toLowerCase();
  return type.includes(" ") || type.includes("\t") ? withoutSpaces(type) : type;
}

function withoutSpaces(text: string): string {
  return text.replaceAll(" ", "").replaceAll("\t", "");
}

/** Vias of one line; empty when absent or malformed. */
export function viasOf(field: HeaderField | undefined): readonly Via[] {
  if (field === undefined) return [];
  return (field.parsed ??= parseViasWithin(field.text, field.start, field.end) ?? []) as Via[];
}

/** CSeq of a line, undefined when malformed. */
export function strictCSeqOf(field: HeaderField): CSeq | undefined {
  return (field.parsed ??= parseCSeqWithin(field.text, field.start, field.end)) as CSeq | undefined;
}

/** Addresses of one line of Contact, Route or Record-Route; none when malformed. */
function addressListOf(field: HeaderField): NameAddr[] {
  const { text, start, end } = field;
  return (field.parsed ??= parseNameAddrListWithin(text, start, end) ?? []) as NameAddr[];
}

/** Reads the address of a From or To line, which is nearly always asked for. @returns False when malformed. */
export function readAddress(field: HeaderField): boolean {
  const { text, start, end } = field;
  field.parsed ??= parseNameAddrWithin(text, start, end);
  return field.parsed !== undefined;
}

/**
 * Address of a From or To line. A malformed one is kept as text of no known scheme: the 400 that answers it
 * copies the line.
 */
function addressOf(field: HeaderField): NameAddr {
  if (readAddress(field)) return field.parsed as NameAddr;
  return new NameAddr(new OtherUri("malformed", field.value));
}

export class SipRequest extends MessageBase {
  readonly kind = "request";
  #parsedUri: Uri | undefined;
  #parsedFrom: string | undefined;

  constructor(
    readonly method: string,
    /** Request-URI as text. */
    public uri: string,
    headers: HeaderMap,
    body: Buffer | string,
  ) {
    super(headers, body);
  }

  /** The Request-URI parsed; OtherUri for schemes that we do not know (and for what is no URI at all). */
  get requestUri(): Uri {
    return this.strictRequestUri ?? new OtherUri("malformed", this.uri);
  }

  /** The Request-URI parsed, undefined when malformed. */
  get strictRequestUri(): Uri | undefined {
    if (this.#parsedFrom !== this.uri) {
      this.#parsedUri = parseUri(this.uri);
      this.#parsedFrom = this.uri;
    }
    return this.#parsedUri;
  }
}

export class SipResponse extends MessageBase {
  readonly kind = "response";

  constructor(
    /** 100 … 699. */
    readonly statusCode: number,
    readonly reason: string,
    headers: HeaderMap,
    body: Buffer | string,
  ) {
    super(headers, body);
  }
}

export type SipMessage = SipRequest | SipResponse;
