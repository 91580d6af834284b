/**
 * One re-INVITE or UPDATE of ours, until it is agreed or refused: offer in the request or in the 2xx, ACK, target
 * refresh, both back-offs, and what is left of it when the call ends meanwhile (RFC 3261 §14.1, RFC 3311 §5.1).
 */
import { SipError, StateMachine, errorText, randomInteger } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import { acknowledge, type SentAck } from "./ack.js";
import type { DescriptionModifier } from "./description-modifier.js";
import { askForAnswer, refusingBody } from "./flow-answer.js";
import { sdpOf, type BodyFields } from "./body.js";
import { sendInDialog } from "./in-dialog-request.js";
import { mergeHeaders } from "./header-lines.js";
import { RepeatedAck } from "./late-answers.js";
import { whenSettled } from "./maybe-promise.js";
import type { Cause } from "./cause.js";
import type { HoldState, MaybePromise, MediaDirection } from "./media-handler.js";
import {
  modificationMachine,
  type ModificationAction,
  type ModificationInput,
  type ModificationState,
} from "./modification-state.js";
import { NO_SESSION, outcomeOfFailure, outcomeOfResponse } from "./outcomes.js";
import { ReInviteProgress, rel100OfReInvite, type Exchange } from "./re-invite-progress.js";
import { reportExchange } from "./re-invite.js";
import type { SessionCore } from "./session-core.js";
import type { OutgoingRequest } from "./session-services.js";
import type { ActionOutcome, HeaderList, ReInviteAction } from "./session-types.js";

/** Requests of one change: the first, and those after a 491. */
const MOST_TRIES = 5;
/** Seconds of a Retry-After that a flow is made to wait. */
const LONGEST_WAIT = 32;
/** A peer that has said 100 and then nothing is asked no longer than that, as a proxy would (RFC 3261 §16.6). */
const PATIENCE_MS = 180_000;
/** Of the two ranges of §14.1, in steps of 10 ms. */
const OWNER_WAIT = { from: 210, to: 400 } as const;
const OTHER_WAIT = { from: 0, to: 200 } as const;

/** What is to change. */
export interface ModificationPlan {
  readonly action: ReInviteAction;
  readonly delayedOffer: boolean;
  readonly sdp: string | undefined;
  readonly headers: HeaderList;
  readonly modifiers?: readonly DescriptionModifier[] | undefined;
  /** Not as UPDATE, even where the peer takes it. */
  readonly byInvite?: boolean;
}

export interface ModificationOwner {
  /** Does the peer still take UPDATE? */
  mayUpdate(): boolean;
  /** It answered UPDATE with 405 or 501. */
  updateRefused(): void;
  /** It waits again for its turn. */
  onWaiting(): void;
  onDone(): void;
}

interface Input {
  readonly sdp?: string | undefined;
  readonly response?: SipResponse;
  readonly outcome?: ActionOutcome;
  readonly error?: SipError;
}

const DIRECTIONS: Readonly<Record<ReInviteAction, MediaDirection | undefined>> = {
  hold: "sendonly",
  resume: "sendrecv",
  renegotiate: undefined,
  refresh: undefined,
};

export class Modification {
  readonly outcome: Promise<ActionOutcome>;
  readonly #core: SessionCore;
  readonly #plan: ModificationPlan;
  readonly #owner: ModificationOwner;
  readonly #machine: StateMachine<ModificationState, ModificationInput, ModificationAction, Input>;
  readonly #stopWatching: () => void;
  #resolve: (outcome: ActionOutcome) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #method = "INVITE";
  #tries = 0;
  #obeyedRetryAfter = false;
  #retryMs = 0;
  #offer: string | undefined;
  #holdBefore: HoldState = "none";
  #outgoing: OutgoingRequest | undefined;
  #sent: SipRequest | undefined;
  #ack: SentAck | undefined;
  /** Of the re-INVITE that was sent last. */
  #progress: ReInviteProgress | undefined;
  /** The offer of a 2xx whose answer is not made yet. */
  #unanswered: string | undefined;
  #endCause: Cause = "bad-media";

  constructor(core: SessionCore, plan: ModificationPlan, owner: ModificationOwner) {
    this.#core = core;
    this.#plan = plan;
    this.#owner = owner;
    this.#machine = new StateMachine(modificationMachine, (action, input) =>
      this.#perform(action, input),
    );
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#stopWatching = core.onClose(() => {
      this.declineOffer();
      this.#outgoing?.expire();
      this.#machine.input("close", { outcome: NO_SESSION });
    });
  }

  get state(): ModificationState {
    return this.#machine.state;
  }

  /** Is an INVITE of ours open, so that the peer's must wait (RFC 3261 §14.2)? */
  get hasOpenInvite(): boolean {
    const { state } = this.#machine;
    const open = state === "describing" || state === "sent" || state === "concluding";
    return open && this.#method === "INVITE";
  }

  start(): void {
    this.#method = this.#chooseMethod();
    this.#machine.input("start", {});
  }

  /** No callback may come any more. */
  abandon(): void {
    this.#stopWatching();
    this.declineOffer();
    this.#outgoing?.abandon();
    this.#resolve(NO_SESSION);
  }

  /** The call ends, and the peer's offer still waits for our answer: the ACK goes out before the BYE (RFC 3261 §15). */
  declineOffer(): void {
    if (this.#unanswered !== undefined) this.#decline(this.#unanswered);
  }

  #perform(action: ModificationAction, input: Input): void {
    switch (action) {
      case "describe":
        this.#describe();
        return;
      case "send":
        this.#send(input.sdp);
        return;
      case "conclude":
        if (input.response !== undefined) this.#conclude(input.response);
        return;
      case "repeatAck":
        this.#repeatAck(input.response);
        return;
      case "rollBack":
        this.#core.negotiation.rollback();
        if (this.#machine.state === "waiting") this.#owner.onWaiting();
        return;
      case "waitAndRetry":
        this.#core.after(this.#retryMs, () => {
          if (this.#machine.input("retry", {})) this.#owner.onWaiting();
        });
        return;
      case "settle":
        this.#settle(input);
        return;
      case "hangUp":
        this.#core.owner.endFor(this.#endCause);
    }
  }

  /** A bare UPDATE keeps the call alive at the least cost, where the peer knows it. */
  #chooseMethod(): string {
    const { action, delayedOffer, sdp, byInvite = false } = this.#plan;
    const isBare = action === "refresh" && !delayedOffer && sdp === undefined && !byInvite;
    return isBare && this.#owner.mayUpdate() ? "UPDATE" : "INVITE";
  }

  #describe(): void {
    const { negotiation } = this.#core;
    this.#holdBefore = negotiation.hold;
    if (this.#method === "UPDATE" || this.#plan.delayedOffer) {
      this.#machine.input("described", {});
      return;
    }
    whenSettled(
      () => this.#makeOffer(),
      (sdp) => this.#core.enter(() => this.#machine.input("described", { sdp })),
      (error) => this.#core.enter(() => this.#machine.input("undescribed", failed(error))),
    );
  }

  #makeOffer(): MaybePromise<string> {
    const { negotiation } = this.#core;
    const { action, sdp, modifiers } = this.#plan;
    if (sdp !== undefined) return negotiation.offer(sdp);
    if (action === "refresh") return negotiation.repeatOffer();
    return negotiation.offer(undefined, DIRECTIONS[action], modifiers);
  }

  #send(sdp: string | undefined): void {
    const core = this.#core;
    this.#tries++;
    this.#offer = sdp;
    this.#ack = undefined;
    const method = this.#method;
    const { action, sdp: supplied } = this.#plan;
    const progress =
      method === "INVITE"
        ? new ReInviteProgress(core, { offer: sdp, sdp: supplied, direction: DIRECTIONS[action] })
        : undefined;
    this.#progress = progress;
    const patience = core.after(PATIENCE_MS, () => this.#outgoing?.cancel());
    this.#outgoing = sendInDialog(
      core,
      {
        method,
        contact: true,
        rel100: method === "INVITE" ? rel100OfReInvite(core.services.rel100) : "none",
        headers: mergeHeaders(core.sessionTimer.refreshHeaders(), this.#plan.headers),
        ...describedBy(sdp),
      },
      {
        onSent: (request) => {
          this.#sent = request;
          core.sessionTimer.sent();
        },
        onProvisional: (response) => progress?.receive(response),
        onFinal: (response) => {
          patience.cancel();
          this.#receive(response);
        },
        onFailure: (error) => {
          patience.cancel();
          core.sessionTimer.failed();
          this.#machine.input("refused", failed(error));
        },
      },
    );
  }

  #receive(response: SipResponse): void {
    const { statusCode } = response;
    const outcome = outcomeOfResponse(response);
    const input: Input = { response, outcome };
    if (statusCode < 300) this.#machine.input("success", input);
    else if (statusCode === 491 && this.#tries < MOST_TRIES) this.#backOff("glare", input);
    else if (statusCode === 500 && this.#mayWait(response)) this.#backOff("busy", input);
    else if (this.#method === "UPDATE" && (statusCode === 405 || statusCode === 501)) {
      this.#owner.updateRefused();
      this.#machine.input("unsupported", input);
    } else if (statusCode === 422 && this.#tries < MOST_TRIES && this.#learnsMinimum(response)) {
      this.#machine.input("tooShort", input);
    } else {
      this.#core.sessionTimer.failed(response);
      this.#machine.input("refused", input);
    }
  }

  #learnsMinimum(response: SipResponse): boolean {
    const sent = this.#sent;
    return sent !== undefined && this.#core.sessionTimer.learnsMinimum(sent, response);
  }

  #backOff(input: "glare" | "busy", news: Input): void {
    if (input === "glare") {
      // Whoever chose the Call-ID waits longer, so that the two do not meet again (§14.1).
      const range = this.#core.direction === "outgoing" ? OWNER_WAIT : OTHER_WAIT;
      const steps = randomInteger(this.#core.services.random, range.to - range.from + 1);
      this.#retryMs = 10 * (range.from + steps);
    }
    this.#machine.input(input, news);
  }

  /** Once, and not for ever. */
  #mayWait(response: SipResponse): boolean {
    const seconds = response.seconds("retry-after");
    if (seconds === undefined || seconds > LONGEST_WAIT || this.#obeyedRetryAfter) return false;
    this.#obeyedRetryAfter = true;
    this.#retryMs = 1000 * seconds;
    return true;
  }

  #conclude(response: SipResponse): void {
    const core = this.#core;
    core.dialog?.refreshTarget(response);
    core.learn(response);
    core.sessionTimer.succeeded(response);
    if (this.#method === "UPDATE") this.#agree(response);
    else if (this.#plan.delayedOffer) this.#answerOffer(response);
    else this.#takeAnswer(response);
  }

  /** The ACK goes out at once, then the answer is looked at. */
  #takeAnswer(response: SipResponse): void {
    const core = this.#core;
    this.#acknowledge();
    const answer = this.#progress?.answer ?? sdpOf(response);
    if (answer === undefined) {
      // A refresh has changed nothing, so nothing is lost with its answer.
      core.negotiation.rollback();
      if (this.#plan.action === "refresh") this.#agree(response);
      else this.#spoil(response, "the 2xx has no answer");
      return;
    }
    whenSettled(
      () => core.negotiation.acceptAnswer(answer),
      () => core.enter(() => this.#agree(response, { remoteSdp: answer, localSdp: this.#offer })),
      (error) => core.enter(() => this.#spoil(response, errorText(error))),
    );
  }

  /** The offer is in the 2xx, our answer travels in the ACK. */
  #answerOffer(response: SipResponse): void {
    const core = this.#core;
    const { negotiation } = core;
    const early = this.#progress?.exchange;
    if (early !== undefined) {
      this.#acknowledge();
      this.#takeEarly(response, early);
      return;
    }
    const offer = sdpOf(response);
    if (offer === undefined || negotiation.state !== "stable") {
      this.#acknowledge();
      this.#spoil(response, "the 2xx has no offer");
      return;
    }
    const { action, sdp, modifiers } = this.#plan;
    this.#unanswered = offer;
    if (sdp === undefined && !negotiation.hasHandler) {
      this.#askForAnswer(response, offer);
      return;
    }
    whenSettled(
      () => negotiation.answer(offer, sdp, DIRECTIONS[action], modifiers),
      (answer) =>
        core.enter(() => {
          if (this.#unanswered === undefined) return;
          this.#acknowledge(describedBy(answer));
          if (negotiation.state === "closed") return;
          negotiation.answered();
          this.#agree(response, { remoteSdp: offer, localSdp: answer });
        }),
      (error) =>
        core.enter(() => {
          if (this.#unanswered === undefined) return;
          negotiation.rollback();
          if (error instanceof SipError && error.rule === "declined") {
            this.#askForAnswer(response, offer);
            return;
          }
          this.#decline(offer);
          this.#spoil(response, errorText(error));
        }),
    );
  }

  /** The exchange was in a reliable provisional response and its PRACK (RFC 3262 §5). */
  #takeEarly(response: SipResponse, early: MaybePromise<Exchange | undefined>): void {
    whenSettled(
      () => early,
      (exchange) =>
        this.#core.enter(() => {
          if (exchange === undefined) this.#spoil(response, "the offer before it came to nothing");
          else this.#agree(response, exchange);
        }),
      (error) => this.#core.enter(() => this.#spoil(response, errorText(error))),
    );
  }

  /** Nobody here can answer the offer of the 2xx but the application: the ACK waits for it (contract §4.5). */
  #askForAnswer(response: SipResponse, offer: string): void {
    const core = this.#core;
    const invite = this.#sent;
    if (invite === undefined) return;
    const { statusCode, reason } = response;
    core.negotiation.offered();
    askForAnswer(core, {
      request: invite,
      eventName: "offer",
      fields: { message: response, statusCode, reason, remoteSdp: offer },
      accept: (sdp) => {
        const message = this.#acknowledge(describedBy(sdp));
        core.negotiation.supply(offer, sdp);
        this.#agree(response, { remoteSdp: offer, localSdp: sdp });
        return { ok: true, statusCode, reason, message };
      },
      refuse: ({ statusCode: code = 488, reason: why }) => {
        const message = this.#decline(offer);
        core.negotiation.rollback();
        this.#endCause = "incompatible-media";
        this.#spoil(response, why ?? "the application has refused the offer");
        return { ok: true, statusCode: code, reason: why, message };
      },
    });
  }

  #agree(response: SipResponse, descriptions?: Exchange): void {
    if (this.#machine.state !== "concluding") return;
    if (descriptions !== undefined && this.#core.established) {
      reportExchange(this.#core, this.#holdBefore, descriptions);
    }
    this.#machine.input("agreed", { outcome: { ...outcomeOfResponse(response), ...descriptions } });
  }

  #spoil(response: SipResponse, reason: string): void {
    const { statusCode } = response;
    this.#core.logger.info(`session ${this.#core.id}: re-INVITE: ${reason}`);
    const outcome: ActionOutcome = {
      ok: false,
      cause: this.#endCause,
      statusCode,
      reason,
      message: response,
    };
    this.#machine.input("spoilt", { outcome });
  }

  /** The offer of the 2xx gets a valid answer all the same (RFC 3261 §13.2.2.4). */
  #decline(offer: string): SipRequest | undefined {
    return this.#acknowledge(refusingBody(offer, this.#core.flow?.localAddress ?? ""));
  }

  #acknowledge(body?: BodyFields): SipRequest | undefined {
    const { services, dialog, flow } = this.#core;
    const invite = this.#sent;
    this.#unanswered = undefined;
    const way = this.#outgoing?.flow ?? flow;
    if (invite?.method !== "INVITE" || dialog === undefined || way === undefined) return undefined;
    this.#ack = acknowledge(services, dialog, invite, way, body);
    return this.#ack.ack;
  }

  /** For a 2xx that came again, or after the end; one whose offer waits for its answer waits on. */
  #repeatAck(response: SipResponse | undefined): void {
    if (this.#ack !== undefined) {
      this.#ack.resend();
    } else if (this.#machine.state === "done" && response !== undefined) {
      const offer = this.#plan.delayedOffer ? sdpOf(response) : undefined;
      if (offer === undefined) this.#acknowledge();
      else this.#decline(offer);
    }
  }

  #settle({ outcome, error }: Input): void {
    this.#stopWatching();
    if (this.#ack !== undefined) this.#outgoing?.settle(new RepeatedAck(this.#ack));
    if (error?.code === "E_ARGUMENT") this.#reject(error);
    else if (outcome !== undefined) this.#resolve(outcome);
    this.#owner.onDone();
  }
}

function describedBy(sdp: string | undefined): BodyFields {
  return sdp === undefined ? {} : { contentType: "application/sdp", body: sdp };
}

function failed(error: unknown): Input {
  if (error instanceof SipError) return { error, outcome: outcomeOfFailure(error) };
  return {
    outcome: { ok: false, cause: "rejected", statusCode: 0, reason: errorText(error) },
  };
}
