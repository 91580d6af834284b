/** What an attempt to call is made of. Types only. */
import type { NameAddr, Replaces } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { DescriptionModifier } from "./description-modifier.js";
import type { Rel100 } from "./rel100.js";
import type { AccountHandle } from "./session-services.js";
import type { HeaderList } from "./session-types.js";

/** One place to call. */
export interface OutgoingTarget {
  /** Request-URI and To; headers inside the URI are dropped. */
  readonly address: NameAddr;
  readonly account: AccountHandle | undefined;
  /** The flow of the peer that named it, if a peer did. */
  readonly namedBy?: Flow | undefined;
  /** Milliseconds until this target is cancelled, 0 = never. */
  readonly timeoutMs: number;
  /** Besides the attempt's own headers; they win. */
  readonly headers: HeaderList;
}

export interface OutgoingSessionOptions {
  /** At least one. */
  readonly targets: readonly OutgoingTarget[];
  /** The account of the attempt, for snapshots and later requests until a target has answered. */
  readonly account: AccountHandle | undefined;
  readonly strategy: "parallel" | "sequential";
  readonly anonymous: boolean;
  /** False: SDP in provisional responses is ignored. */
  readonly earlyMedia: boolean;
  /** INVITE without SDP. */
  readonly delayedOffer: boolean;
  /** How many 3xx responses are followed, per target. */
  readonly redirects: number;
  /** Default the stack's. */
  readonly rel100?: Rel100 | undefined;
  readonly headers: HeaderList;
  /** Session interval asked for, seconds; 0 = none. Default: the user agent's (RFC 4028). */
  readonly sessionExpires?: number | undefined;
  /** The dialog of the called peer that this call shall take the place of (RFC 3891 §4). */
  readonly replaces?: Replaces | undefined;
  /** Replaces the media handler's offer. */
  readonly sdp?: string | undefined;
  /** Of this call, after those of the user agent. */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
  /** A body that is no SDP. */
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
  readonly data?: Record<string, unknown> | undefined;
  /** Handle of the call that this one is made for, and likely to be joined with. */
  readonly near?: string | undefined;
  /** Max-Forwards. Default 70. */
  readonly hopsLeft?: number | undefined;
}
