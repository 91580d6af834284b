/** Bytes → message. One pass, hand-written, no backtracking, never throws on remote input. */
import type { MessageLimits } from "./limits.js";
import type { SipMessage, SipRequest } from "./message.js";

/** Why bytes are no acceptable message. */
export interface ParseError {
  /** Short name of the broken rule: `start-line`, `missing-header`, `content-length`, `too-many-headers` … */
  readonly rule: string;
  /** `RFC 3261 §20.14`. */
  readonly rfc: string;
  readonly offset?: number;
  /** Status of the response that a request with this fault deserves; undefined = drop it silently. */
  readonly statusHint: number | undefined;
  /** Reason phrase for that response. */
  readonly reason: string;
  /** The connection can no longer be framed and must close. */
  readonly fatal?: boolean;
}

export type ParseResult =
  | { readonly ok: true; readonly message: SipMessage }
  | {
      readonly ok: false;
      readonly error: ParseError;
      /** A request complete enough (Via, From, To, Call-ID, CSeq) to be answered. */
      readonly request?: SipRequest | undefined;
    };

export interface ParseOptions {
  readonly limits?: MessageLimits;
  /** Stream messages need Content-Length; datagrams may omit it. Default "datagram". */
  readonly framing?: "datagram" | "stream";
}

/** Splits and checks one whole message (a datagram, a WebSocket message or what the framer cut out). */
export function parseMessage(_data: Buffer, _options?: ParseOptions): ParseResult {
  throw new Error("pending");
}

/**
 * The checks of RFC 3261 §8.1.1, §8.2, §16.3 and RFC 4475 that a message must pass before anything acts on it:
 * mandatory headers present once and well-formed, CSeq method equal to the method, numbers in range.
 * `parseMessage` has already called it.
 */
export function checkMessage(_message: SipMessage): ParseError | undefined {
  throw new Error("pending");
}
