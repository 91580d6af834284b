/**
 * A re-INVITE of the peer: hold, resume, new codecs, or a request for our offer (RFC 3261 §14.2, RFC 3264 §8).
 * A refused one leaves the call as it was. One exchange at a time: 500 while an earlier one is undecided, 491 while
 * its ACK is missing or our own INVITE is under way.
 */
import { MediaError, StateMachine, errorText, randomInteger } from "../foundation/index.js";
import type { MachineDefinition } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { AcceptedInvite } from "./accepted-invite.js";
import { bodyFields, sdpOf } from "./body.js";
import { checkedModifiers } from "./description-modifier.js";
import { FLOW_ANSWER_MS } from "./flow-answer.js";
import { answerHeld, holdRequest } from "./held-request.js";
import { mergeHeaders } from "./header-lines.js";
import { whenSettled } from "./maybe-promise.js";
import type { HoldState } from "./media-handler.js";
import { NO_REQUEST, noSdpError } from "./outcomes.js";
import type { SessionCore } from "./session-core.js";
import type { AcceptRequestOptions, ActionOutcome, RejectOptions } from "./session-types.js";
import { warningHeader } from "./warning.js";

export type ReInviteState =
  | "idle"
  | "deciding"
  /** It is accepted, our description is being made. */
  | "describing"
  /** It was cancelled while our description was being made. */
  | "withdrawn"
  | "waitingForAck";
export type ReInviteInput =
  | "invite"
  | "accept"
  | "described"
  /** Our answer could not be sent: another one may come. */
  | "postponed"
  | "refused"
  | "cancel"
  | "ack"
  | "timeout";
export type ReInviteAction =
  | "decide"
  | "refuseSecond"
  | "refuseGlare"
  | "terminate"
  | "rollBack"
  | "proceed"
  | "complete"
  | "giveUp";

export const reInviteMachine: MachineDefinition<ReInviteState, ReInviteInput, ReInviteAction> = {
  name: "re-INVITE received",
  initial: "idle",
  inputs: ["invite", "accept", "described", "postponed", "refused", "cancel", "ack", "timeout"],
  final: [],
  table: {
    idle: {
      invite: { next: "deciding", do: ["decide"], rfc: "RFC 3261 §14.2" },
    },
    deciding: {
      invite: { next: "deciding", do: ["refuseSecond"], rfc: "RFC 3261 §14.2" },
      accept: { next: "describing", do: [], rfc: "RFC 3264 §8" },
      refused: { next: "idle", do: ["rollBack", "proceed"], rfc: "RFC 3261 §14.2" },
      cancel: { next: "idle", do: ["terminate", "rollBack", "proceed"], rfc: "RFC 3261 §9.2" },
    },
    describing: {
      invite: { next: "describing", do: ["refuseSecond"], rfc: "RFC 3261 §14.2" },
      described: { next: "waitingForAck", do: [], rfc: "RFC 3261 §13.3.1.4" },
      postponed: { next: "deciding", do: ["rollBack"], rfc: "contract §4.5" },
      refused: { next: "idle", do: ["rollBack", "proceed"], rfc: "RFC 3261 §14.2" },
      cancel: { next: "withdrawn", do: ["terminate"], rfc: "RFC 3261 §9.2" },
    },
    withdrawn: {
      invite: { next: "withdrawn", do: ["refuseSecond"], rfc: "RFC 3261 §14.2" },
      described: { next: "idle", do: ["rollBack", "proceed"], rfc: "RFC 3261 §9.2" },
      refused: { next: "idle", do: ["rollBack", "proceed"], rfc: "RFC 3261 §9.2" },
    },
    waitingForAck: {
      invite: { next: "waitingForAck", do: ["refuseGlare"], rfc: "RFC 3261 §14.2" },
      ack: { next: "idle", do: ["complete"], rfc: "RFC 3261 §13.3.1.4" },
      timeout: { next: "idle", do: ["giveUp"], rfc: "RFC 3261 §13.3.1.4" },
    },
  },
};

/** Seconds; the peer comes back after a random time up to this (§14.2). */
const LONGEST_RETRY_AFTER = 10;

interface Input {
  readonly transaction?: ServerTransaction;
  readonly ack?: SipRequest;
}

export interface ReInviteReceiverUser {
  /** The 2xx went out; its ACK is to be expected. */
  onAccepted(accepted: AcceptedInvite): void;
  /** It was refused or cancelled: nothing is open any more. */
  onIdle(): void;
}

export class ReInviteReceiver {
  readonly #core: SessionCore;
  readonly #user: ReInviteReceiverUser;
  readonly #machine: StateMachine<ReInviteState, ReInviteInput, ReInviteAction, Input>;
  /** Our 2xx carried an offer: the ACK must carry the answer. */
  #offered = false;
  #holdBefore: HoldState = "none";

  constructor(core: SessionCore, user: ReInviteReceiverUser) {
    this.#core = core;
    this.#user = user;
    this.#machine = new StateMachine(reInviteMachine, (action, input) =>
      this.#perform(action, input),
    );
  }

  /** Is a re-INVITE undecided, or its ACK missing? */
  get isOpen(): boolean {
    return this.#machine.state !== "idle";
  }

  receive(transaction: ServerTransaction): void {
    this.#machine.input("invite", { transaction });
  }

  #perform(action: ReInviteAction, { transaction, ack }: Input): void {
    const core = this.#core;
    switch (action) {
      case "decide":
        if (transaction !== undefined) this.#decide(transaction);
        return;
      case "refuseSecond": {
        const seconds = randomInteger(core.services.random, LONGEST_RETRY_AFTER + 1);
        if (transaction === undefined) return;
        core.reply(transaction, 500, { headers: [["Retry-After", String(seconds)]] });
        return;
      }
      case "refuseGlare":
        if (transaction !== undefined) core.reply(transaction, 491);
        return;
      case "terminate":
        if (transaction !== undefined) core.reply(transaction, 487);
        return;
      case "rollBack":
        core.negotiation.rollback();
        return;
      case "proceed":
        this.#user.onIdle();
        return;
      case "complete":
        if (ack !== undefined) this.#complete(ack);
        return;
      case "giveUp":
        core.owner.endFor("no-ack");
    }
  }

  #decide(transaction: ServerTransaction): void {
    const remoteSdp = sdpOf(transaction.request);
    const core = this.#core;
    const last = core.negotiation.lastAnswer(remoteSdp);
    if (remoteSdp !== undefined) core.negotiation.offered();
    transaction.user = {
      onCancel: (cancel) =>
        core.enter(() => {
          core.observeRequest(cancel);
          this.#machine.input("cancel", { transaction });
        }),
    };
    // Without a media handler only what changes nothing can be answered here.
    const needsSdp = !core.negotiation.hasHandler && last === undefined;
    holdRequest(core, {
      transaction,
      eventName: "reinvite",
      fields: { remoteSdp },
      // Only the flow can answer: it has the time that contract §4.5 gives it.
      atLeastMs: needsSdp ? FLOW_ANSWER_MS : 0,
      check: ({ sdp, descriptionModifiers }) => {
        if (needsSdp && sdp === undefined) throw noSdpError();
        checkedModifiers(descriptionModifiers);
      },
      accept: (options) => this.#accept(transaction, { ...options, sdp: options.sdp ?? last }),
      reject: (options) => Promise.resolve(this.#reject(transaction, options)),
      fallback: () => {
        this.#accept(transaction, { sdp: last }).catch((error: unknown) => {
          core.logger.error(`session ${core.id}: re-INVITE: ${errorText(error)}`);
        });
      },
    });
  }

  #reject(transaction: ServerTransaction, options: RejectOptions): ActionOutcome {
    if (transaction.answered || this.#machine.state !== "deciding") return NO_REQUEST;
    const outcome = answerHeld(this.#core, transaction, options.statusCode ?? 488, options);
    this.#machine.input("refused", {});
    return outcome;
  }

  /** Answers with what the media or the application says; resolves when the response was sent. */
  #accept(transaction: ServerTransaction, options: AcceptRequestOptions): Promise<ActionOutcome> {
    const core = this.#core;
    const { negotiation } = core;
    if (transaction.answered || this.#machine.state !== "deciding") {
      return Promise.resolve(NO_REQUEST);
    }
    const { descriptionModifiers: modifiers } = options;
    const offer = sdpOf(transaction.request);
    this.#offered = offer === undefined;
    this.#holdBefore = negotiation.hold;
    this.#machine.input("accept", {});
    return new Promise((resolve, reject) => {
      const answer = (sdp: string): void => {
        try {
          resolve(this.#answer(transaction, sdp, options));
        } catch (error) {
          // The application's header or reason cannot be sent; the request waits for a better answer.
          this.#machine.input("postponed", {});
          reject(error instanceof Error ? error : new Error(errorText(error)));
        }
      };
      whenSettled(
        () =>
          offer === undefined
            ? negotiation.offer(options.sdp, undefined, modifiers)
            : negotiation.answer(offer, options.sdp, undefined, modifiers),
        (sdp) => core.enter(() => answer(sdp)),
        (error) => core.enter(() => resolve(this.#refuse(transaction, error))),
      );
    });
  }

  #answer(
    transaction: ServerTransaction,
    sdp: string,
    options: AcceptRequestOptions,
  ): ActionOutcome {
    const core = this.#core;
    if (this.#isVain(transaction, "described")) return NO_REQUEST;
    const { request, flow } = transaction;
    core.dialog?.refreshTarget(request);
    core.learn(request);
    const timer = core.sessionTimer.grant(request);
    const response = core.createReply(request, 200, flow, {
      reason: options.reason,
      headers: mergeHeaders(timer.headers, options.headers),
      contact: true,
      ...bodyFields(sdp, options, core.services.random),
    });
    this.#machine.input("described", {});
    timer.start();
    transaction.user = undefined;
    core.answeredPending(transaction);
    const accepted = new AcceptedInvite(
      core,
      transaction,
      response,
      (ack) => this.#machine.input("ack", { ack }),
      () => this.#machine.input("timeout", {}),
    );
    this.#user.onAccepted(accepted);
    if (!this.#offered) {
      core.negotiation.answered();
      this.#report({ remoteSdp: sdpOf(request), localSdp: sdp });
    }
    return { ok: true, statusCode: 200, reason: response.reason, message: response };
  }

  #refuse(transaction: ServerTransaction, error: unknown): ActionOutcome {
    const core = this.#core;
    if (this.#isVain(transaction, "refused")) return NO_REQUEST;
    const statusCode = error instanceof MediaError ? error.statusHint : 500;
    core.logger.info(`session ${core.id}: re-INVITE refused: ${errorText(error)}`);
    const response = core.reply(transaction, statusCode, {
      headers: statusCode === 488 ? warningHeader(transaction.flow, 305) : [],
    });
    this.#machine.input("refused", {});
    return { ok: false, cause: "incompatible-media", statusCode, message: response };
  }

  /** Our description is ready, but the call is over or the request was cancelled. */
  #isVain(transaction: ServerTransaction, input: "described" | "refused"): boolean {
    if (this.#core.closed) return true;
    if (!transaction.answered) return false;
    this.#machine.input(input, {});
    return true;
  }

  #complete(ack: SipRequest): void {
    if (!this.#offered) return;
    const core = this.#core;
    const answer = sdpOf(ack);
    if (answer === undefined) {
      core.owner.endFor("bad-media");
      return;
    }
    whenSettled(
      () => core.negotiation.acceptAnswer(answer),
      () =>
        core.enter(() => {
          if (core.closed) return;
          this.#report({ remoteSdp: answer });
          this.#user.onIdle();
        }),
      () => core.enter(() => core.owner.endFor("bad-media")),
    );
  }

  #report(descriptions: { readonly remoteSdp?: string; readonly localSdp?: string }): void {
    reportExchange(this.#core, this.#holdBefore, descriptions);
  }
}

/** `hold` or `resume` when the peer changed the direction, then `updated` and `media` (contract §5). */
export function reportExchange(
  core: SessionCore,
  before: HoldState,
  descriptions: { readonly remoteSdp?: string | undefined; readonly localSdp?: string | undefined },
): void {
  const held = isHeldByPeer(core.negotiation.hold);
  if (held !== isHeldByPeer(before)) core.emit(held ? "hold" : "resume", descriptions);
  core.emit("updated", descriptions);
  core.emit("media", descriptions);
}

function isHeldByPeer(hold: HoldState): boolean {
  return hold === "remote" || hold === "both";
}
