/** Handlers of streams: who describes and carries a stream of a call besides the media handler (RFC 3264). Types only. */
import type { SdpStream, SdpStreamDescription } from "../sdp/index.js";
import type { MaybePromise, MediaDirection } from "./media-handler.js";

/** Where a stream is, and how far. */
export interface SdpStreamContext {
  readonly sessionId: string;
  /** The same as long as the stream lives, and never again: the key for what the handler keeps of it. */
  readonly streamId: string;
  /** Lower case. */
  readonly streamType: string;
  /** Of the signalling. */
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** What our side wants of the call: `sendonly` = the application holds it. */
  readonly direction: MediaDirection;
  /** What is in force; undefined until `apply`. */
  readonly current: { readonly local: SdpStream; readonly remote: SdpStream } | undefined;
}

/** A description claims the stream; `reject` declines it for everybody; undefined leaves it to the next handler. */
export type SdpStreamVerdict = SdpStreamDescription | "reject" | undefined;

/** Why a stream is over: declined by either side, not agreed on at all, or the call has ended. */
export type SdpStreamEnd = "declined" | "withdrawn" | "ended";

/**
 * A handler of one or several types of streams, for any number of calls. What it returns is checked; what it throws, returns
 * wrongly or does not return within 5 s declines the stream and is logged. It is never told of a stream after `destroy`.
 */
export interface SdpStreamHandler {
  /**
   * A stream of the peer's offer. Asked in the order of registration until one claims it; of a stream that was claimed
   * before only its handler is asked. Nothing is agreed on yet: the answer may still be refused.
   */
  negotiateIncoming(stream: SdpStream, context: SdpStreamContext): MaybePromise<SdpStreamVerdict>;
  /**
   * An offer of ours is made. A stream that is there (`current`) is described anew, undefined = as before. Without
   * `current` a stream may be added: with `protocol` and `formats`, at most one per handler and call at a time; asked in
   * the first offer and when the call is renegotiated, not for hold, resume and refresh.
   */
  createOutgoing?(context: SdpStreamContext): MaybePromise<SdpStreamDescription | undefined>;
  /**
   * Both sides have agreed, for the first time or on a change (a hold is one: see the directions). An answer in a provisional
   * response may be followed by another. After an offer of the peer: when its ACK came.
   */
  apply?(local: SdpStream, remote: SdpStream, context: SdpStreamContext): void;
  /** A change was refused: what `current` says stays. */
  rollback?(context: SdpStreamContext): void;
  /** The stream is over; once for each that was claimed or added. */
  destroy?(context: SdpStreamContext, end: SdpStreamEnd): void;
}
