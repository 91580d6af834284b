/**
 * An offer of the peer that the application answers, because there is no media handler to do it (contract §4.5
 * "Answers given by the flow"): held for 5 s, then refused. Also what an ACK says when nothing comes of an offer.
 */
import { errorText } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import { rejectAll } from "../sdp/index.js";
import type { BodyFields } from "./body.js";
import { noSdpError } from "./outcomes.js";
import type { EventFields, SessionCore } from "./session-core.js";
import type {
  AcceptRequestOptions,
  ActionOutcome,
  RejectOptions,
  SessionEventName,
  SessionSnapshot,
} from "./session-types.js";

/** Milliseconds; the peer repeats its offer for 32 s. */
export const FLOW_ANSWER_MS = 5_000;

export interface FlowOffer {
  /** The message with the offer, or our request that it answers. */
  readonly request: SipRequest;
  /** The event that carries the offer: `answered`, `progress`, `reinvite`, `offer`. */
  readonly eventName: SessionEventName;
  readonly fields: EventFields;
  /** What the snapshot of the event says instead of the session's own. */
  readonly change?: Partial<SessionSnapshot> | undefined;
  /** Called with the application's answer, once and only while the session lives. */
  accept(sdp: string, options: AcceptRequestOptions): ActionOutcome | Promise<ActionOutcome>;
  /** The application says no, or nothing in time (then without options). */
  refuse(options: RejectOptions): ActionOutcome;
}

/** Emits the event and waits for the application, whoever listens. Nothing waits longer than the session. */
export function askForAnswer(core: SessionCore, offer: FlowOffer): void {
  let isAnswered = false;
  let holding = true;
  let isUnheld = false;
  const once = async (
    answer: () => ActionOutcome | Promise<ActionOutcome>,
  ): Promise<ActionOutcome> => {
    forget();
    if (core.closed || core.state === "terminating") {
      return { ok: false, cause: "no-session", statusCode: 0 };
    }
    return answer();
  };
  const pending = core.services.hold({
    request: offer.request,
    eventName: offer.eventName,
    session: core.owner,
    account: core.account,
    atLeastMs: FLOW_ANSWER_MS,
    always: true,
    check: ({ sdp }) => {
      if (sdp === undefined) throw noSdpError();
    },
    accept: (options) => once(() => core.run(() => offer.accept(options.sdp ?? "", options))),
    reject: (options) => once(() => core.run(() => offer.refuse(options))),
    fallback: () => {
      if (holding) isUnheld = true;
      else refuseUnanswered();
    },
  });
  holding = false;
  const release = core.onClose(() => {
    // The handle ends with the session.
    if (isAnswered || pending === undefined) return;
    pending.reject().catch((error: unknown) => core.logger.error(errorText(error)));
  });
  core.emit(offer.eventName, { ...offer.fields, pending }, offer.change);
  if (isUnheld) refuseUnanswered();

  function forget(): void {
    isAnswered = true;
    release();
  }
  function refuseUnanswered(): void {
    forget();
    core.enter(() => {
      if (!core.closed && core.state !== "terminating") offer.refuse({});
    });
  }
}

/** The body of an ACK or PRACK that takes nothing of an offer. @param address - ours. */
export function refusingBody(offer: string, address: string): BodyFields {
  return { contentType: "application/sdp", body: rejectAll(offer, address) };
}
