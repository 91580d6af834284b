/** What a session shows to its owner: states, events, snapshots, options and outcomes. Types only. */
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Cause } from "./cause.js";
import type { DescriptionModifier } from "./description-modifier.js";
import type { DigitEvent, HoldState, MediaDescription, MediaStatistics } from "./media-handler.js";

export type SessionState =
  "idle" | "inviting" | "incoming" | "early" | "established" | "terminating" | "terminated";

/** Offer/answer state (RFC 6337, contract `msg.sip.signaling`). */
export type SignalingState =
  "initial" | "have-local-offer" | "have-remote-offer" | "stable" | "closed";

/** Session events of contract §5. */
export type SessionEventName =
  | "inviting"
  | "incoming"
  | "progress"
  | "answered"
  | "confirmed"
  | "redirecting"
  | "rejected"
  | "failed"
  | "cancelled"
  | "ended"
  | "state"
  | "reinvite"
  | "hold"
  | "resume"
  | "updated"
  | "refresh-needed"
  | "offer"
  | "refer"
  | "refer-progress"
  | "replaced"
  | "message"
  | "info"
  | "dtmf"
  | "notify"
  | "bye"
  | "participant"
  | "route"
  | "media"
  | "request"
  | "response";

/** `msg.sip.local` and `msg.sip.remote`. */
export interface Participant {
  readonly uri: string;
  readonly user: string;
  readonly host: string;
  readonly displayName?: string;
  /** URI as it can be dialled. */
  readonly contact?: string;
  /** GRUU or +sip.instance. */
  readonly endpoint?: string;
  readonly identity?: "pai" | "rpid" | "from";
}

export interface TargetStatus {
  readonly uri: string;
  readonly state: "waiting" | "trying" | "ringing" | "answered" | "failed" | "cancelled";
  readonly statusCode?: number;
  readonly reason?: string;
  readonly cause?: Cause;
}

export interface RedirectContact {
  readonly uri: string;
  readonly q?: number;
  readonly displayName?: string;
}

/**
 * Plain JSON picture of a session at one moment: exactly the fields of `msg.sip` that describe the session
 * (contract §3). A fresh object each time; the caller may keep and change it.
 */
export interface SessionSnapshot {
  session: string;
  state: SessionState;
  signaling: SignalingState;
  direction: "incoming" | "outgoing";
  /** `Account.id`, absent on a direct call. */
  account?: string;
  callId: string;
  localTag: string;
  remoteTag?: string;
  local: Participant;
  remote: Participant;
  media?: MediaDescription[];
  hold: HoldState;
  cause?: Cause;
  /** ISO 8601. */
  startTime: string;
  answerTime?: string;
  endTime?: string;
  /** Seconds from answer to end (or now). */
  duration?: number;
  /** Outgoing only. */
  targets?: TargetStatus[];
  /** Incoming INVITE with Replaces: handle of the replaced session. */
  replaces?: string;
  replacedBy?: string;
  /** After the end, when the application has added `Session.mediaStatistics`. */
  statistics?: MediaStatistics;
}

/** A request of the peer that waits for an answer of the application (contract §4.6 "Pending requests"). */
export interface PendingRequest {
  /** Random handle, `msg.sip.request`. */
  readonly handle: string;
  readonly request: SipRequest;
  readonly method: string;
  /** False once it was answered, by whomever. */
  readonly pending: boolean;
  /** Answers 2xx: 200, or 202 for REFER. Resolves when the answer's work is done; see RequestOutcome. */
  accept(options?: AcceptRequestOptions): Promise<ActionOutcome>;
  /** Answers ≥ 300; `statusCode` default by method (contract §4.4). */
  reject(options?: RejectOptions): Promise<ActionOutcome>;
}

export interface AcceptRequestOptions {
  readonly statusCode?: number | undefined;
  readonly reason?: string | undefined;
  readonly headers?: HeaderList | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
  readonly sdp?: string | undefined;
  /** REFER: place the call to Refer-To and send the NOTIFYs. The outcome then carries `newSession`. */
  readonly follow?: boolean | undefined;
  /** SUBSCRIBE. Seconds. */
  readonly expires?: number | undefined;
  /** Challenge: whose credentials to use, or which. Never logged; kept in memory for that realm and server. */
  readonly account?: string | undefined;
  readonly credentials?: { readonly user: string; readonly password: string } | undefined;
  /** re-INVITE: modifiers of the descriptions of this exchange, after those of the call. */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
}

/** Extra header lines in order, names in display case; already checked against the list of contract §4.2. */
export type HeaderList = readonly (readonly [string, string])[];

/** One thing that happened in a session; `name` decides which optional fields are there. */
export interface SessionEvent {
  readonly name: SessionEventName;
  readonly snapshot: SessionSnapshot;
  /** The SIP message behind the event. */
  readonly message?: SipRequest | SipResponse | undefined;
  readonly statusCode?: number | undefined;
  readonly reason?: string | undefined;
  /** SDP that arrived / was sent with this event. */
  readonly remoteSdp?: string | undefined;
  readonly localSdp?: string | undefined;
  readonly pending?: PendingRequest | undefined;
  /** `state` events. */
  readonly previousState?: SessionState | undefined;
  /** `dtmf` events. */
  readonly digit?: DigitEvent | undefined;
  /** `progress` of a branch: the target's URI. */
  readonly target?: string | undefined;
  /** `inviting`, `redirecting`, 3xx. */
  readonly uris?: readonly string[] | undefined;
  readonly contacts?: readonly RedirectContact[] | undefined;
  /** `refer`: Refer-To URI. `refer-progress`: status code of the sipfrag is in `statusCode`. */
  readonly referTo?: string | undefined;
  /** `route`: up or down. */
  readonly route?: "up" | "down" | undefined;
  /** Seconds, from the peer's Retry-After. */
  readonly retryAfter?: number | undefined;
}

/** The outcome of an action whose "no" is a normal answer. */
export type ActionOutcome =
  | {
      readonly ok: true;
      readonly statusCode: number;
      readonly reason?: string | undefined;
      readonly message?: SipRequest | SipResponse | undefined;
      readonly newSession?: SessionHandle | undefined;
      readonly subscription?: string | undefined;
      /** Of the exchange that the action has completed. */
      readonly remoteSdp?: string | undefined;
      readonly localSdp?: string | undefined;
    }
  | {
      readonly ok: false;
      readonly cause: Cause;
      /** 0 when no response came. */
      readonly statusCode: number;
      readonly reason?: string | undefined;
      readonly message?: SipRequest | SipResponse | undefined;
      readonly retryAfter?: number | undefined;
    };

/** The part of Session that other rooms' types need. */
export interface SessionHandle {
  readonly id: string;
}

export interface ProgressOptions {
  /** 101 … 199, default 180. */
  readonly statusCode?: number | undefined;
  readonly reason?: string | undefined;
  readonly headers?: HeaderList | undefined;
  /** SDP into the 1xx and media opened. */
  readonly earlyMedia?: boolean | undefined;
  /** Reliably, until PRACK came (RFC 3262). Default: where the caller supports it. The caller's Require wins. */
  readonly rel100?: boolean | undefined;
  readonly sdp?: string | undefined;
  /**
   * Modifiers of the call's descriptions from here on, after those of the user agent (see `DescriptionModifier`). A description
   * given as `sdp` is sent as it is.
   */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
}

export interface AcceptOptions {
  readonly headers?: HeaderList | undefined;
  /** Replaces the media handler's answer or offer. */
  readonly sdp?: string | undefined;
  /** A body that is no SDP. */
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
  /**
   * Modifiers of the call's descriptions from here on, after those of the user agent (see `DescriptionModifier`). A description
   * given as `sdp` is sent as it is.
   */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
}

export interface RejectOptions {
  /** 300 … 699. */
  readonly statusCode?: number | undefined;
  readonly reason?: string | undefined;
  readonly headers?: HeaderList | undefined;
  /** 3xx: where to go. */
  readonly contacts?: readonly (string | RedirectContact)[] | undefined;
}

export interface EndOptions {
  /** Incoming, unanswered: the response (480). Else `Reason: SIP;cause=…` when set. */
  readonly statusCode?: number | undefined;
  readonly reason?: string | undefined;
  readonly headers?: HeaderList | undefined;
  /** Recorded as the session's cause; default `local-bye` or `cancelled`. */
  readonly cause?: Cause | undefined;
}

/** `refresh` is an UPDATE without body where the peer takes it; the others are re-INVITEs. */
export type ReInviteAction = "hold" | "resume" | "renegotiate" | "refresh";

export interface ReInviteOptions {
  readonly action: ReInviteAction;
  /** The peer makes the offer, in its 2xx; ours is the answer, in the ACK. Default false. */
  readonly delayedOffer?: boolean | undefined;
  /** Our own description in place of the media handler's: the offer, or the answer to a delayed one. */
  readonly sdp?: string | undefined;
  readonly headers?: HeaderList | undefined;
  /** Modifiers of the descriptions of this exchange, after those of the call. */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
}

export interface ReferOptions {
  /** Refer-To URI or name-addr: blind, or with `target` where its peer is called instead of at its Contact. */
  readonly to?: string | undefined;
  /** Handle of another call of this stack, whose peer gets the call (attended: Refer-To with Replaces, RFC 5589 §7). */
  readonly target?: string | undefined;
  readonly referredBy?: string | undefined;
  readonly headers?: HeaderList | undefined;
  /** Milliseconds to wait for a final sipfrag. Default 60 000. */
  readonly timeoutMs?: number | undefined;
  /** BYE after success. Default true. */
  readonly hangup?: boolean | undefined;
  /** Every sipfrag: status code and reason of its status line. Also emitted as event `refer-progress`. */
  readonly onProgress?:
    ((statusCode: number, reason: string, notify: SipRequest) => void) | undefined;
}

export interface InDialogRequestOptions {
  /** INFO, MESSAGE, OPTIONS, NOTIFY, or any other that is not a session method. */
  readonly method: string;
  readonly headers?: HeaderList | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
  readonly infoPackage?: string | undefined;
  readonly onProvisional?: ((response: SipResponse) => void) | undefined;
}

export interface SendDigitsOptions {
  /** 0–9 A–D * # and `,` = 500 ms pause; anything else rejects with InvalidArgumentError. */
  readonly digits: string;
  /** Default auto: rfc4733 where negotiated, else INFO dtmf-relay where the peer allows INFO, else in-band. */
  readonly method?: "auto" | "rfc4733" | "info-relay" | "info-dtmf" | "inband" | undefined;
  /** Milliseconds, default 100. */
  readonly duration?: number | undefined;
  /** Milliseconds, default 500. */
  readonly gap?: number | undefined;
  readonly headers?: HeaderList | undefined;
}
