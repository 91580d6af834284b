/**
 * PRACK from the peer (RFC 3262 §3, §5): acknowledges a reliable provisional response of ours, brings the answer to the
 * offer in it, or makes a further offer once the first is answered.
 */
import { MediaError, errorText } from "../foundation/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { bodyFields, sdpOf } from "./body.js";
import { askForAnswer } from "./flow-answer.js";
import { answerHeld } from "./held-request.js";
import { whenSettled } from "./maybe-promise.js";
import { NO_REQUEST } from "./outcomes.js";
import { reportExchange } from "./re-invite.js";
import { parseRAck } from "./rel100.js";
import type { ReliableProvisional } from "./reliable-provisional.js";
import type { SessionCore } from "./session-core.js";
import type { AcceptRequestOptions, ActionOutcome, RejectOptions } from "./session-types.js";
import { warningHeader } from "./warning.js";

export interface PrackUser {
  /** Our offer travelled in a reliable response and has no answer yet. */
  readonly awaitsAnswer: boolean;
  /** The answer to it is in use. */
  onAnswer(answer: string): void;
  /** It is missing, or does not fit: nothing can come of this call. */
  onBadAnswer(error: unknown): void;
}

export class PrackReceiver {
  readonly #core: SessionCore;
  readonly #reliable: ReliableProvisional;
  readonly #user: PrackUser;
  /** An offer in a PRACK that is not answered yet; the 2xx to the INVITE waits for that. */
  #undecided: ServerTransaction | undefined;
  #whenClear: (() => void) | undefined;

  constructor(core: SessionCore, reliable: ReliableProvisional, user: PrackUser) {
    this.#core = core;
    this.#reliable = reliable;
    this.#user = user;
    core.onClose(() => (this.#whenClear = undefined));
  }

  /** Runs it as soon as no offer and no answer is under way in provisional responses and their PRACKs. */
  whenClear(callback: () => void): void {
    this.#reliable.whenClear(() => {
      if (this.#undecided === undefined) callback();
      else this.#whenClear = callback;
    });
  }

  receive(transaction: ServerTransaction): void {
    const core = this.#core;
    const { request } = transaction;
    if (parseRAck(request.headers.get("rack")) === undefined) {
      core.reply(transaction, 400, { reason: "Bad RAck" });
      return;
    }
    if (!this.#reliable.expects(transaction)) {
      core.reply(transaction, 481);
      return;
    }
    const sdp = sdpOf(request);
    if (this.#user.awaitsAnswer) this.#takeAnswer(transaction, sdp);
    else if (sdp === undefined) this.#confirm(transaction);
    else this.#takeOffer(transaction, sdp);
  }

  /** The 200 goes out first: what the acknowledgement leads to may be the 2xx to the INVITE. */
  #confirm(transaction: ServerTransaction): void {
    this.#core.reply(transaction, 200);
    this.#reliable.acknowledge();
  }

  #takeAnswer(transaction: ServerTransaction, answer: string | undefined): void {
    const core = this.#core;
    if (answer === undefined) {
      core.reply(transaction, 400, { reason: "Missing Answer" });
      this.#user.onBadAnswer(undefined);
      return;
    }
    core.keepPending(transaction);
    whenSettled(
      () => core.negotiation.acceptAnswer(answer),
      () =>
        core.enter(() => {
          if (core.closed || transaction.answered) return;
          core.reply(transaction, 200);
          this.#user.onAnswer(answer);
          this.#reliable.acknowledge();
        }),
      (error) =>
        core.enter(() => {
          if (core.closed || transaction.answered) return;
          core.reply(transaction, error instanceof MediaError ? error.statusHint : 500);
          this.#user.onBadAnswer(error);
        }),
    );
  }

  /** §5: allowed only after the first exchange; refused or not, the response is acknowledged. */
  #takeOffer(transaction: ServerTransaction, offer: string): void {
    const core = this.#core;
    const { negotiation } = core;
    if (negotiation.state !== "stable" || this.#undecided !== undefined) {
      core.reply(transaction, 491);
      this.#reliable.acknowledge();
      return;
    }
    negotiation.offered();
    this.#undecided = transaction;
    this.#reliable.acknowledge();
    if (negotiation.hasHandler) {
      this.#accept(transaction, offer, {}).catch((error: unknown) => {
        core.logger.error(`session ${core.id}: PRACK: ${errorText(error)}`);
      });
      return;
    }
    core.keepPending(transaction);
    askForAnswer(core, {
      request: transaction.request,
      eventName: "offer",
      fields: { message: transaction.request, remoteSdp: offer },
      accept: (sdp, options) => this.#accept(transaction, offer, { ...options, sdp }),
      refuse: (options) => this.#reject(transaction, options),
    });
  }

  #reject(transaction: ServerTransaction, options: RejectOptions): ActionOutcome {
    const outcome = answerHeld(this.#core, transaction, options.statusCode ?? 488, options);
    this.#core.negotiation.rollback();
    this.#decided();
    return outcome;
  }

  #accept(
    transaction: ServerTransaction,
    offer: string,
    options: AcceptRequestOptions,
  ): Promise<ActionOutcome> {
    const core = this.#core;
    const { negotiation } = core;
    if (transaction.answered) return Promise.resolve(NO_REQUEST);
    const before = negotiation.hold;
    return new Promise((resolve) => {
      whenSettled(
        () => negotiation.answer(offer, options.sdp),
        (sdp) =>
          core.enter(() => {
            if (core.closed || transaction.answered) {
              resolve(NO_REQUEST);
              return;
            }
            const { headers, reason } = options;
            const body = bodyFields(sdp, options, core.services.random);
            const outcome = answerHeld(core, transaction, 200, { reason, headers, ...body });
            negotiation.answered();
            reportExchange(core, before, { remoteSdp: offer, localSdp: sdp });
            resolve(outcome);
            this.#decided();
          }),
        (error) => core.enter(() => resolve(this.#refuse(transaction, error))),
      );
    });
  }

  #refuse(transaction: ServerTransaction, error: unknown): ActionOutcome {
    const core = this.#core;
    if (core.closed || transaction.answered) return NO_REQUEST;
    const statusCode =
      error === undefined ? 488 : error instanceof MediaError ? error.statusHint : 500;
    core.negotiation.rollback();
    const headers = statusCode === 488 ? warningHeader(transaction.flow, 305) : [];
    const message = core.reply(transaction, statusCode, { headers });
    this.#decided();
    return { ok: false, cause: "incompatible-media", statusCode, message };
  }

  #decided(): void {
    this.#undecided = undefined;
    const proceed = this.#whenClear;
    this.#whenClear = undefined;
    proceed?.();
  }
}
