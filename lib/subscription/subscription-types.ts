/** What a subscription needs from the user agent, and what it tells: types only. */
import type { NameAddr, SipRequest, SipResponse } from "../message/index.js";
import type { AccountHandle, Cause, SessionServices } from "../session/index.js";

/** The same services as those of sessions. */
export type SubscriptionServices = Pick<
  SessionServices,
  | "clock"
  | "random"
  | "logger"
  | "timers"
  | "dialogs"
  | "defaultIdentity"
  | "contactPlaceholder"
  | "commonHeaders"
  | "contact"
  | "send"
>;

export interface SubscriptionOptions {
  /** Who is subscribed to: Request-URI and To, without tag. */
  readonly target: NameAddr;
  readonly account: AccountHandle | undefined;
  /** `dialog`, `message-summary`, `presence` …, with `;id=…` if need be. */
  readonly eventPackage: string;
  /** Accept header; default by package. */
  readonly accept?: string | undefined;
  /** Seconds, default 3600; 0 asks for the state once. */
  readonly expires?: number | undefined;
  readonly headers?: readonly (readonly [string, string])[] | undefined;
  /** Try again after a loss that may pass (default true). */
  readonly resubscribe?: boolean | undefined;
}

/** A NOTIFY that was taken. */
export interface SubscriptionNotify {
  readonly message: SipRequest;
  /** `pending`, `active`, `terminated` or an extension. */
  readonly state: string;
  /** Seconds left. */
  readonly expires: number | undefined;
  /** `message-summary`, `dialog`, `presence`: what the body says (partial ones merged); else undefined. */
  readonly parsed: object | undefined;
}

/** The end of a subscription, or with `retryAfter` a pause. */
export interface SubscriptionEnd {
  /**
   * `reason` of the final NOTIFY, the reason phrase of the response that ended it, or `timeout`, `transport-error`,
   * `dns-error`, `unsubscribed`, `shutdown`.
   */
  readonly reason: string;
  /** When it was no NOTIFY and not our wish. */
  readonly cause?: Cause | undefined;
  /** 0 when no response ended it. */
  readonly statusCode: number;
  readonly message?: SipRequest | SipResponse | undefined;
  /** Seconds until it is made anew; undefined = it is over for good, and this is the last event. */
  readonly retryAfter?: number | undefined;
}

export type SubscriptionEvents = {
  notify: [SubscriptionNotify];
  ended: [SubscriptionEnd];
};
