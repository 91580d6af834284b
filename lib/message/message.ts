/**
 * SIP requests and responses as data. The typed getters parse on first use and remember; on an incoming
 * message that passed `checkMessage` they never throw (missing optional headers give undefined or []).
 */
import type { HeaderMap } from "./headers.js";
import type { NameAddr } from "./name-addr.js";
import type { Uri } from "./uri.js";
import type { Via } from "./via.js";

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

export abstract class MessageBase {
  abstract readonly kind: "request" | "response";
  /** Set by the transport layer on what arrives. */
  source: MessageSource | undefined = undefined;

  constructor(
    readonly headers: HeaderMap,
    public body: Buffer,
  ) {}

  get topVia(): Via {
    throw new Error("pending");
  }
  get vias(): Via[] {
    throw new Error("pending");
  }
  get from(): NameAddr {
    throw new Error("pending");
  }
  get to(): NameAddr {
    throw new Error("pending");
  }
  get callId(): string {
    throw new Error("pending");
  }
  get cseq(): CSeq {
    throw new Error("pending");
  }
  get contacts(): NameAddr[] {
    throw new Error("pending");
  }
  get routes(): NameAddr[] {
    throw new Error("pending");
  }
  get recordRoutes(): NameAddr[] {
    throw new Error("pending");
  }
  get maxForwards(): number | undefined {
    throw new Error("pending");
  }
  /** `type/subtype` in lower case, without parameters. */
  get contentType(): string | undefined {
    throw new Error("pending");
  }
  /** Lower-case tokens of a comma-separated header over all its lines: Supported, Require, Allow (upper-case) … */
  tokens(_name: string): string[] {
    throw new Error("pending");
  }
  /** Delta-seconds of Expires, Min-Expires, Retry-After …, undefined when absent or malformed. */
  seconds(_name: string): number | undefined {
    throw new Error("pending");
  }
  /** Body as UTF-8 text. */
  get text(): string {
    return this.body.toString("utf8");
  }
}

export class SipRequest extends MessageBase {
  readonly kind = "request";

  constructor(
    readonly method: string,
    /** Request-URI as text. */
    public uri: string,
    headers: HeaderMap,
    body: Buffer,
  ) {
    super(headers, body);
  }

  /** The Request-URI parsed; OtherUri for schemes that we do not know. */
  get requestUri(): Uri {
    throw new Error("pending");
  }
}

export class SipResponse extends MessageBase {
  readonly kind = "response";

  constructor(
    /** 100 … 699. */
    readonly statusCode: number,
    readonly reason: string,
    headers: HeaderMap,
    body: Buffer,
  ) {
    super(headers, body);
  }
}

export type SipMessage = SipRequest | SipResponse;
