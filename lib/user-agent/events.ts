/** What a user agent reports to the application. Types only. */
import type { Cause, PendingRequest, Session, SessionEvent } from "../session/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { ConnectionState } from "../transport/transport.js";

export type StackEventName =
  | "registered"
  | "unregistered"
  | "registration-failed"
  | "connected"
  | "disconnected"
  | "challenge"
  | "message"
  | "subscribe"
  | "options"
  | "notify"
  | "refer"
  | "info"
  | "request"
  | "response"
  | "subscription-ended"
  | "error";

/** A subscription in an event. */
export interface SubscriptionFacts {
  readonly handle: string;
  readonly eventPackage: string;
  readonly direction: "incoming" | "outgoing";
}

/** How a subscription of a peer stands. */
export interface SubscriberFacts {
  readonly eventPackage: string;
  /** Whose state it is: `user@host` of the To of the SUBSCRIBE; undefined for a REFER. */
  readonly resource?: string | undefined;
  readonly subscriptionState: string;
  /** Seconds left. */
  readonly expires: number;
}

/** Something that belongs to no session: registrations, connections, requests out of dialogs. */
export interface StackEvent {
  readonly name: StackEventName;
  readonly accountId?: string | undefined;
  readonly message?: SipRequest | SipResponse | undefined;
  readonly statusCode?: number | undefined;
  readonly reason?: string | undefined;
  readonly cause?: Cause | undefined;
  readonly pending?: PendingRequest | undefined;
  /** `subscription-ended`: which one; `incoming` = the peer's. */
  readonly subscription?: SubscriptionFacts | undefined;
  readonly connection?: (ConnectionState & { readonly retryIn?: number }) | undefined;
  /** `registered`: granted seconds. */
  readonly expires?: number | undefined;
  /** Seconds until the next attempt. */
  readonly retryAfter?: number | undefined;
  /** `challenge`: what the server asks for. */
  readonly challenge?:
    { readonly realm: string; readonly algorithms: readonly string[] } | undefined;
  /** `error`: a sentence for people. */
  readonly text?: string | undefined;
}

/** `none`: takes calls. `draining`: takes none, but has some. `drained`: takes none and has none. */
export type DrainState = "none" | "draining" | "drained";

export type UserAgentEvents = {
  sessionEvent: [Session, SessionEvent];
  stackEvent: [StackEvent];
  drain: [DrainState];
};

/** Who listens to requests and for how long they wait (contract §4.6); the node layer supplies it. */
export type RequestPolicy = (
  eventName: string,
  request: SipRequest,
  sessionId: string | undefined,
  accountId: string | undefined,
) => { readonly listened: boolean; /** 0 = nobody holds it. */ readonly holdMs: number };

/**
 * Takes an incoming call. The session is in state `incoming`, 100 has been sent; the handler (or whoever it passes
 * the session to) answers later. @returns false when nobody takes it: the stack answers `unhandledStatus`.
 */
export type IncomingCallHandler = (session: Session, invite: SipRequest) => boolean;

/**
 * Asked about a request in a dialog that is not known here (see `UserAgent.onUnknownDialog`). `ours`: it was restored
 * meanwhile. `others`: `text` was given to another user agent, whose `handOver` takes it; nothing is answered here.
 * `unknown`, a rejection, or no answer in 8 s: 481.
 */
export type UnknownDialogHandler = (
  request: SipRequest,
  /** The request, for `handOver`. */
  text: () => string,
) => Promise<"ours" | "others" | "unknown">;

export type RegistrationState =
  "unregistered" | "registering" | "registered" | "failed" | "unregistering";

/** How an account stands, for status and the sidebar. */
export interface RegistrationStatus {
  readonly state: RegistrationState;
  /** Granted seconds, while registered. */
  readonly expires?: number | undefined;
  /** Last failure. */
  readonly statusCode?: number | undefined;
  readonly reason?: string | undefined;
  readonly cause?: Cause | undefined;
  /** Seconds until the next attempt. */
  readonly retryIn?: number | undefined;
}
