/**
 * What the descriptions in provisional responses to our INVITE do (RFC 3262 §5, RFC 6337 §3.1, contract §4.5 "Targets and
 * forks"): unreliable ones are a preview; a reliable one completes the exchange, or brings an offer whose answer is in
 * the PRACK. The first fork with a description is heard until the answer.
 */
import { SipError, UNWATCHED, errorText } from "../foundation/index.js";
import type { SipResponse } from "../message/index.js";
import { sdpOf, type BodyFields } from "./body.js";
import { askForAnswer, refusingBody } from "./flow-answer.js";
import type { Fork } from "./fork.js";
import { isPromise, mapMaybe, whenSettled } from "./maybe-promise.js";
import type { MaybePromise } from "./media-handler.js";
import type { BranchNews, OutgoingBranch } from "./outgoing-branch.js";
import type { EventFields, SessionCore } from "./session-core.js";
import type { ActionOutcome, SessionSnapshot } from "./session-types.js";

const TERMINATED = 199;

export interface EarlyMediaOwner {
  /** False: descriptions are not heard before the answer. */
  readonly earlyMedia: boolean;
  /** The application's own description. */
  readonly sdp: string | undefined;
  /** Our offer in the INVITE. */
  readonly localSdp: string | undefined;
  /** The branch's offer cannot be answered: nothing can come of it. */
  onImpossible(branch: OutgoingBranch): void;
}

/** The `progress` event of one response. */
interface Progress {
  readonly branch: OutgoingBranch;
  readonly news: BranchNews;
  readonly fork: Fork;
  readonly fields: EventFields;
  readonly change: () => Partial<SessionSnapshot>;
}

export class EarlyMedia {
  readonly #core: SessionCore;
  readonly #owner: EarlyMediaOwner;
  #heard: Fork | undefined;
  /** The fork whose reliable description is in use. */
  #completed: { readonly fork: Fork; readonly done: MaybePromise<void> } | undefined;

  constructor(core: SessionCore, owner: EarlyMediaOwner) {
    this.#core = core;
    this.#owner = owner;
  }

  /** Is this fork the one whose media the session has, as far as there is one? */
  isHeard(fork: Fork | undefined): boolean {
    return this.#heard === undefined || this.#heard === fork;
  }

  /** Reports `progress`, at once or when the media is ready. */
  receive(
    branch: OutgoingBranch,
    news: BranchNews,
    fields: EventFields,
    change: () => Partial<SessionSnapshot>,
  ): void {
    const { fork, response, isReliable } = news;
    const sdp = sdpOf(response);
    if (fork === undefined) {
      this.#core.emit("progress", fields, change());
      return;
    }
    const progress: Progress = { ...UNWATCHED, branch, news, fork, fields, change };
    if (isForkEnd(response) && this.#heard === fork) this.#heard = undefined;
    if (!isReliable) {
      this.#preview(progress, sdp);
    } else if (sdp === undefined || fork.hasReliableSdp) {
      // A description after the complete exchange may not be there, and says nothing (RFC 6337 §2.2).
      this.#acknowledge(progress);
      this.#report(progress);
    } else {
      fork.hasReliableSdp = true;
      fork.earlySdp = sdp;
      if (this.#owner.localSdp === undefined) this.#takeOffer(progress, sdp);
      else this.#takeAnswer(progress, sdp);
    }
  }

  /** The answer of the fork that has become the call. */
  complete(fork: Fork, answer: string): MaybePromise<void> {
    const { negotiation } = this.#core;
    const before = this.#completed;
    if (before?.fork === fork) return mapMaybe(before.done, () => negotiation.startMedia());
    const accept = (): MaybePromise<void> =>
      negotiation.state === "stable"
        ? negotiation.replaceAnswer(answer)
        : negotiation.acceptAnswer(answer);
    const done =
      before !== undefined && isPromise(before.done) ? before.done.then(accept, accept) : accept();
    const completed = { ...UNWATCHED, fork, done };
    this.#completed = completed;
    if (isPromise(done)) {
      done.catch(() => {
        if (this.#completed === completed) this.#completed = undefined;
      });
    }
    return done;
  }

  /**
   * The fork whose offer was answered in a PRACK has become the call: the media is its own again.
   * @returns our answer, undefined when it was a refusal.
   */
  resume(fork: Fork): MaybePromise<string | undefined> {
    const { negotiation } = this.#core;
    const { earlySdp, localAnswer } = fork;
    if (earlySdp === undefined || localAnswer === undefined) return undefined;
    if (this.#completed?.fork === fork) {
      negotiation.startMedia();
      return localAnswer;
    }
    const supplied = negotiation.hasHandler ? this.#owner.sdp : localAnswer;
    return mapMaybe(negotiation.answer(earlySdp, supplied), () => {
      negotiation.answered();
      return localAnswer;
    });
  }

  #preview(progress: Progress, sdp: string | undefined): void {
    const { fork } = progress;
    const { earlyMedia, localSdp } = this.#owner;
    if (fork.hasReliableSdp || sdp === undefined || sdp === fork.earlySdp) {
      this.#report(progress);
      return;
    }
    fork.earlySdp = sdp;
    if (!this.isHeard(fork) || !earlyMedia || localSdp === undefined) {
      this.#report(progress);
      return;
    }
    this.#hear(progress, localSdp, () => this.#core.negotiation.preview(sdp));
  }

  #takeAnswer(progress: Progress, answer: string): void {
    const { fork } = progress;
    const { earlyMedia, localSdp } = this.#owner;
    this.#acknowledge(progress);
    if (earlyMedia && this.isHeard(fork)) {
      this.#hear(progress, localSdp, () => this.complete(fork, answer));
    } else {
      this.#report(progress);
    }
  }

  #hear(progress: Progress, localSdp: string | undefined, apply: () => MaybePromise<void>): void {
    const core = this.#core;
    this.#heard = progress.fork;
    whenSettled(
      apply,
      () => core.enter(() => this.#report(progress, { localSdp })),
      (error) =>
        core.enter(() => {
          core.logger.info(`session ${core.id}: early media refused: ${errorText(error)}`);
          this.#report(progress);
        }),
    );
  }

  /** Our INVITE had no description: the answer to this one travels in the PRACK (RFC 3262 §5). */
  #takeOffer(progress: Progress, offer: string): void {
    const core = this.#core;
    const { negotiation } = core;
    const { sdp } = this.#owner;
    if (negotiation.state === "have-remote-offer") {
      // Another fork's offer is being answered; the media can follow one at a time.
      this.#refuse(progress, offer);
      this.#report(progress);
      return;
    }
    if (sdp === undefined && !negotiation.hasHandler) {
      this.#ask(progress, offer);
      return;
    }
    whenSettled(
      () => negotiation.answer(offer, sdp),
      (answer) =>
        core.enter(() => {
          if (this.#isOver) return;
          this.#answer(progress, answer);
          negotiation.answered({ startLater: !this.#owner.earlyMedia });
          this.#report(progress, { localSdp: answer });
        }),
      (error) =>
        core.enter(() => {
          if (this.#isOver) return;
          negotiation.rollback();
          if (error instanceof SipError && error.rule === "declined") {
            this.#ask(progress, offer);
            return;
          }
          core.logger.info(`session ${core.id}: early offer refused: ${errorText(error)}`);
          this.#refuse(progress, offer);
          this.#report(progress);
          this.#owner.onImpossible(progress.branch);
        }),
    );
  }

  /** Only the application can answer it: the PRACK waits for that (contract §4.5). */
  #ask(progress: Progress, offer: string): void {
    const core = this.#core;
    const { negotiation } = core;
    const { fork, fields, branch } = progress;
    negotiation.offered();
    askForAnswer(core, {
      request: fork.invite,
      eventName: "progress",
      fields,
      change: progress.change(),
      accept: (sdp) =>
        new Promise((resolve) => {
          this.#answer(progress, sdp, resolve);
          negotiation.supply(offer, sdp);
          core.emit("media", { remoteSdp: offer, localSdp: sdp });
        }),
      refuse: ({ statusCode = 488, reason }) => {
        negotiation.rollback();
        this.#refuse(progress, offer);
        this.#owner.onImpossible(branch);
        return { ok: true, statusCode, reason };
      },
    });
  }

  #answer(progress: Progress, answer: string, onOutcome?: (outcome: ActionOutcome) => void): void {
    const { fork } = progress;
    fork.offerAnswered = true;
    fork.localAnswer = answer;
    this.#completed = { fork, done: undefined };
    this.#heard = fork;
    this.#acknowledge(progress, { contentType: "application/sdp", body: answer }, onOutcome);
  }

  /** A valid answer that takes nothing. */
  #refuse(progress: Progress, offer: string): void {
    const { fork, news } = progress;
    fork.offerAnswered = true;
    this.#acknowledge(progress, refusingBody(offer, news.flow.localAddress));
  }

  get #isOver(): boolean {
    return this.#core.closed || this.#core.state === "terminating";
  }

  #acknowledge(
    { fork, news, branch }: Progress,
    body?: BodyFields,
    onOutcome?: (outcome: ActionOutcome) => void,
  ): void {
    const { response, flow } = news;
    const path = { flow, account: branch.target.account };
    fork.pracks.acknowledge(this.#core, response, path, body, onOutcome);
  }

  #report({ fields, change }: Progress, heard?: { readonly localSdp: string | undefined }): void {
    const core = this.#core;
    if (core.closed) return;
    const answer = this.#owner.localSdp === undefined ? heard?.localSdp : undefined;
    core.emit(
      "progress",
      answer === undefined ? fields : { ...fields, localSdp: answer },
      change(),
    );
    if (heard !== undefined && this.#owner.earlyMedia) {
      core.emit("media", { remoteSdp: fields.remoteSdp, localSdp: heard.localSdp });
    }
  }
}

/** RFC 6228: the fork that sent it is over, though the INVITE goes on. */
export function isForkEnd(response: SipResponse): boolean {
  return response.statusCode === TERMINATED;
}
