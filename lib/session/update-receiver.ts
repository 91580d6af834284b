/**
 * UPDATE of the peer, in an early or an established dialog: a new offer, a new target, or a sign of life (RFC 3311
 * §5.2, RFC 4028 §9). A refused one leaves the call as it was.
 */
import { MediaError, StateMachine, errorText, randomInteger } from "../foundation/index.js";
import type { MachineDefinition } from "../foundation/index.js";
import type { Dialog } from "../dialog/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { bodyFields, sdpOf } from "./body.js";
import { askForAnswer } from "./flow-answer.js";
import { mergeHeaders } from "./header-lines.js";
import { whenSettled } from "./maybe-promise.js";
import { NO_REQUEST } from "./outcomes.js";
import { reportExchange } from "./re-invite.js";
import type { SessionCore } from "./session-core.js";
import type { AcceptRequestOptions, ActionOutcome, HeaderList } from "./session-types.js";
import { warningHeader } from "./warning.js";

export type UpdateState = "idle" | "deciding";
export type UpdateInput = "update" | "answered" | "refused";
export type UpdateAction = "decide" | "refuseSecond" | "proceed";

export const updateMachine: MachineDefinition<UpdateState, UpdateInput, UpdateAction> = {
  name: "UPDATE received",
  initial: "idle",
  inputs: ["update", "answered", "refused"],
  final: [],
  table: {
    idle: {
      update: { next: "deciding", do: ["decide"], rfc: "RFC 3311 §5.2" },
    },
    deciding: {
      update: { next: "deciding", do: ["refuseSecond"], rfc: "RFC 3311 §5.2" },
      answered: { next: "idle", do: ["proceed"], rfc: "RFC 3311 §5.2" },
      refused: { next: "idle", do: ["proceed"], rfc: "RFC 3311 §5.2" },
    },
  },
};

/** Seconds; the peer comes back after a random time up to this (§5.2). */
const LONGEST_RETRY_AFTER = 10;

export interface UpdateReceiverUser {
  /** Is an INVITE of ours open, whose 2xx may bring or need an answer? */
  hasOpenInvite(): boolean;
  /** Nothing is open any more. */
  onIdle(): void;
}

interface Input {
  readonly transaction: ServerTransaction;
  readonly dialog: Dialog;
}

export class UpdateReceiver {
  readonly #core: SessionCore;
  readonly #user: UpdateReceiverUser;
  readonly #machine: StateMachine<UpdateState, UpdateInput, UpdateAction, Input | undefined>;

  constructor(core: SessionCore, user: UpdateReceiverUser) {
    this.#core = core;
    this.#user = user;
    this.#machine = new StateMachine(updateMachine, (action, input) =>
      this.#perform(action, input),
    );
  }

  /** Is an UPDATE undecided? */
  get isOpen(): boolean {
    return this.#machine.state === "deciding";
  }

  receive(transaction: ServerTransaction, dialog: Dialog): void {
    this.#machine.input("update", { transaction, dialog });
  }

  #perform(action: UpdateAction, input: Input | undefined): void {
    switch (action) {
      case "decide":
        if (input !== undefined) this.#decide(input.transaction, input.dialog);
        return;
      case "refuseSecond":
        if (input !== undefined) this.#comeBack(input.transaction);
        return;
      case "proceed":
        this.#user.onIdle();
    }
  }

  #decide(transaction: ServerTransaction, dialog: Dialog): void {
    const core = this.#core;
    const tooShort = core.sessionTimer.refusal(transaction.request);
    const offer = sdpOf(transaction.request);
    if (tooShort !== undefined) this.#refuse(transaction, 422, tooShort);
    else if (offer === undefined) this.#succeed(transaction, dialog, {});
    else this.#decideOffer(transaction, dialog, offer);
  }

  /** Only where no other offer is open, on either side (§5.2). */
  #decideOffer(transaction: ServerTransaction, dialog: Dialog, offer: string): void {
    const core = this.#core;
    const { negotiation } = core;
    const isGlare =
      negotiation.state === "have-local-offer" ||
      this.#user.hasOpenInvite() ||
      (core.dialog !== undefined && dialog !== core.dialog);
    if (isGlare) {
      this.#refuse(transaction, 491);
    } else if (negotiation.state !== "stable") {
      // Theirs of before waits for our answer.
      this.#comeBack(transaction);
      this.#machine.input("refused", undefined);
    } else {
      const last = negotiation.lastAnswer(offer);
      if (negotiation.hasHandler || last !== undefined) {
        this.#answer(transaction, dialog, offer, last);
      } else {
        this.#ask(transaction, dialog, offer);
      }
    }
  }

  /** @param last - Our last description, where it is the answer. */
  #answer(
    transaction: ServerTransaction,
    dialog: Dialog,
    offer: string,
    last: string | undefined,
  ): void {
    const core = this.#core;
    const { negotiation } = core;
    const before = negotiation.hold;
    core.keepPending(transaction);
    whenSettled(
      () => negotiation.answer(offer, last),
      (sdp) =>
        core.enter(() => {
          if (core.closed || transaction.answered) return;
          negotiation.answered();
          this.#succeed(transaction, dialog, { sdp });
          reportExchange(core, before, { remoteSdp: offer, localSdp: sdp });
        }),
      (error) =>
        core.enter(() => {
          if (core.closed || transaction.answered) return;
          negotiation.rollback();
          core.logger.info(`session ${core.id}: UPDATE refused: ${errorText(error)}`);
          const statusCode = error instanceof MediaError ? error.statusHint : 500;
          this.#refuse(
            transaction,
            statusCode,
            statusCode === 488 ? warningHeader(transaction.flow, 305) : [],
          );
        }),
    );
  }

  /** Nobody here can answer but the application (contract §4.5): event `offer`. */
  #ask(transaction: ServerTransaction, dialog: Dialog, offer: string): void {
    const core = this.#core;
    const { negotiation } = core;
    const before = negotiation.hold;
    core.keepPending(transaction);
    negotiation.offered();
    askForAnswer(core, {
      request: transaction.request,
      eventName: "offer",
      fields: { message: transaction.request, remoteSdp: offer },
      accept: (sdp, options) => {
        if (transaction.answered) return NO_REQUEST;
        const outcome = this.#succeed(transaction, dialog, { ...options, sdp });
        negotiation.supply(offer, sdp);
        reportExchange(core, before, { remoteSdp: offer, localSdp: sdp });
        return outcome;
      },
      refuse: ({ statusCode = 488, headers, reason }) => {
        negotiation.rollback();
        return this.#refuse(transaction, statusCode, headers, reason);
      },
    });
  }

  #succeed(
    transaction: ServerTransaction,
    dialog: Dialog,
    options: AcceptRequestOptions,
  ): ActionOutcome {
    const core = this.#core;
    const { request } = transaction;
    const timer = core.sessionTimer.grant(request);
    const response = core.reply(transaction, 200, {
      reason: options.reason,
      headers: mergeHeaders(timer.headers, options.headers),
      contact: true,
      ...bodyFields(options.sdp, {}, core.services.random),
    });
    dialog.refreshTarget(request);
    if (dialog === core.dialog) core.learn(request);
    if (core.established) timer.start();
    this.#machine.input("answered", undefined);
    if (response === undefined) return NO_REQUEST;
    return { ok: true, statusCode: 200, reason: response.reason, message: response };
  }

  #refuse(
    transaction: ServerTransaction,
    statusCode: number,
    headers?: HeaderList,
    reason?: string,
  ): ActionOutcome {
    const response = this.#core.reply(transaction, statusCode, { headers, reason });
    this.#machine.input("refused", undefined);
    if (response === undefined) return NO_REQUEST;
    return { ok: true, statusCode, reason: response.reason, message: response };
  }

  #comeBack(transaction: ServerTransaction): void {
    const seconds = randomInteger(this.#core.services.random, LONGEST_RETRY_AFTER + 1);
    this.#core.reply(transaction, 500, { headers: [["Retry-After", String(seconds)]] });
  }
}
