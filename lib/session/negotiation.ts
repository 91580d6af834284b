/**
 * The media of one session and the offer/answer state that goes with it (RFC 3264, RFC 6337). Descriptions come from
 * the media handler, or from the application (`sdp`), which then is on its own.
 */
import { InvalidStateError, MediaError, StateMachine, errorText } from "../foundation/index.js";
import type { Logger } from "../foundation/index.js";
import { mapMaybe, whenSettled } from "./maybe-promise.js";
import type {
  HoldState,
  MaybePromise,
  MediaDescription,
  MediaDirection,
  MediaHandler,
  MediaSession,
  MediaSessionContext,
} from "./media-handler.js";
import type { SignalingState } from "./session-types.js";
import { signalingMachine, type SignalingInput } from "./signaling-state.js";
import {
  answersAgain,
  suppliedHold,
  suppliedMedia,
  type SuppliedExchange,
} from "./supplied-description.js";

const NO_MEDIA: readonly MediaDescription[] = [];

export class Negotiation {
  readonly #handler: MediaHandler | undefined;
  readonly #context: () => MediaSessionContext;
  readonly #logger: Logger;
  readonly #machine = new StateMachine(signalingMachine, () => undefined);
  #session: MediaSession | undefined;
  #exchanges = 0;
  /** An offer of the peer waits for `answer`. */
  #waiting = false;
  /** Our description of the exchange in progress came from the application. */
  #supplied = false;
  #suppliedBefore = false;
  /** Our description of the exchange in progress, and of the last complete one. */
  #making: string | undefined;
  #localSdp: string | undefined;
  /** The peer's description of the exchange in progress. */
  #theirs = "";
  /** The last complete exchange, where the application has made our side of it, and what it says. */
  #supply: SuppliedExchange | undefined;
  #lastMedia = NO_MEDIA;
  #lastHold: HoldState = "none";

  constructor(
    handler: MediaHandler | undefined,
    context: () => MediaSessionContext,
    logger: Logger,
  ) {
    this.#handler = handler;
    this.#context = context;
    this.#logger = logger;
  }

  get state(): SignalingState {
    return this.#machine.state;
  }

  get session(): MediaSession | undefined {
    return this.#session;
  }

  /** Completed exchanges. */
  get exchanges(): number {
    return this.#exchanges;
  }

  /** Our description of the last complete exchange. */
  get localSdp(): string | undefined {
    return this.#localSdp;
  }

  /** Can descriptions be made here? Else only the application's are there. */
  get hasHandler(): boolean {
    return this.#handler !== undefined;
  }

  get media(): readonly MediaDescription[] {
    if (this.#supply !== undefined) return this.#lastMedia;
    return this.#session?.media ?? this.#lastMedia;
  }

  get hold(): HoldState {
    if (this.#supply !== undefined) return this.#lastHold;
    return this.#session?.hold ?? this.#lastHold;
  }

  /**
   * Without a media handler: our last description, where it answers an offer that changes nothing (RFC 3264 §8), or
   * makes the offer that the peer asks for. @param offer - undefined: the peer asks for ours.
   */
  lastAnswer(offer: string | undefined): string | undefined {
    const last = this.#supply;
    if (this.hasHandler || last === undefined) return undefined;
    return offer === undefined || answersAgain(last, offer) ? last.local : undefined;
  }

  /**
   * Our offer. @param sdp - the application's own.
   * Rejects or throws InvalidArgumentError-like MediaError rule `no-sdp` when nobody can make one.
   */
  offer(sdp?: string, direction?: MediaDirection): MaybePromise<string> {
    this.#move("localOffer");
    return this.#describe(sdp, (session) => session.offer(direction ? { direction } : {}));
  }

  /** Our last description once more, as a sign of life: nothing is to change (RFC 3264 §8). */
  repeatOffer(): MaybePromise<string> {
    const last = this.#localSdp;
    if (this.#supplied || !this.hasHandler) return this.offer(last);
    this.#move("localOffer");
    return this.#describe(undefined, (session) => session.offer({ repeat: true }));
  }

  /** An offer of the peer came; it is answered later. Where none is allowed now, `answer` tells so. */
  offered(): void {
    this.#waiting = this.#machine.input("remoteOffer", undefined);
  }

  /**
   * The peer's offer → our answer; the state stays `have-remote-offer` until `answered`.
   *
   * @param direction - What our side wants from now on; default: as before.
   */
  answer(offer: string, sdp?: string, direction?: MediaDirection): MaybePromise<string> {
    if (!this.#waiting) this.#move("remoteOffer");
    this.#waiting = false;
    this.#theirs = offer;
    return this.#describe(sdp, (session) => session.answer(offer, direction ? { direction } : {}));
  }

  /** The application has answered the offer that waits; its answer is on its way. */
  supply(offer: string, sdp: string): void {
    void this.answer(offer, sdp);
    this.answered();
  }

  /** Our answer is on its way: the exchange is complete. */
  answered(options: { readonly startLater?: boolean } = {}): void {
    this.#move("localAnswer");
    this.#complete(false);
    if (options.startLater !== true) this.startMedia();
  }

  /** Sound may flow. Idempotent. */
  startMedia(): void {
    if (!this.#supplied) this.#session?.start();
  }

  /** A preview of the peer's answer, in an unreliable provisional response (RFC 6337 §3.1.1). */
  preview(answer: string): MaybePromise<void> {
    if (this.#supplied || this.#session === undefined) return;
    const session = this.#session;
    return mapMaybe(session.acceptAnswer(answer, { early: true }), () => {
      if (session === this.#session) session.start();
    });
  }

  /** The peer's answer to our offer. Throws or rejects when it does not fit; then call `rollback` or end the call. */
  acceptAnswer(answer: string): MaybePromise<void> {
    const session = this.#supplied ? undefined : this.#session;
    const done = (): void => {
      if (this.#machine.state === "closed") return;
      this.#move("remoteAnswer");
      this.#theirs = answer;
      this.#complete(true);
      if (session === this.#session) session?.start();
    };
    if (session === undefined) return done();
    return mapMaybe(session.acceptAnswer(answer), done);
  }

  /**
   * The answer of another fork, which has become the call, in place of the one that completed the exchange
   * (RFC 3261 §13.2.2.4). Throws or rejects when it does not fit.
   */
  replaceAnswer(answer: string): MaybePromise<void> {
    const session = this.#supplied ? undefined : this.#session;
    if (session === undefined) {
      this.#theirs = answer;
      this.#agree(true);
      return;
    }
    return mapMaybe(session.acceptAnswer(answer), () => {
      if (session === this.#session) session.start();
    });
  }

  /** The exchange in progress was refused. Harmless when there is none. */
  rollback(): void {
    this.#waiting = false;
    const moved = this.#machine.input(
      this.#exchanges === 0 ? "rollbackToInitial" : "rollbackToStable",
      undefined,
    );
    if (!moved) return;
    if (!this.#supplied) this.#session?.rollback();
    this.#supplied = this.#suppliedBefore;
  }

  /** Closes the media exactly once; what is in flight is ignored afterwards. */
  close(): void {
    if (!this.#machine.input("close", undefined)) return;
    const session = this.#session;
    if (session === undefined) return;
    this.#lastMedia = this.media;
    this.#lastHold = this.hold;
    this.#session = undefined;
    whenSettled(
      () => session.close(),
      () => undefined,
      (error) => this.#logger.warn(`closing media: ${errorText(error)}`),
    );
  }

  #describe(
    sdp: string | undefined,
    make: (session: MediaSession) => MaybePromise<string>,
  ): MaybePromise<string> {
    this.#making = sdp;
    this.#supplied = sdp !== undefined;
    if (sdp !== undefined) return sdp;
    if (this.#handler === undefined) {
      throw new MediaError("There is no media handler and no SDP was given", { rule: "no-sdp" });
    }
    this.#session ??= this.#handler.createSession(this.#context());
    return mapMaybe(make(this.#session), (text) => (this.#making = text));
  }

  #complete(offeredByUs: boolean): void {
    this.#exchanges++;
    this.#localSdp = this.#making;
    this.#suppliedBefore = this.#supplied;
    this.#agree(offeredByUs);
  }

  /** Reads what our side and the peer's say together, where no handler does. */
  #agree(offeredByUs: boolean): void {
    const local = this.#localSdp;
    if (!this.#supplied || local === undefined) {
      this.#supply = undefined;
      return;
    }
    const exchange = { local, remote: this.#theirs, offeredByUs };
    this.#lastHold = suppliedHold(exchange, this.hold);
    this.#lastMedia = suppliedMedia(exchange);
    this.#supply = exchange;
  }

  #move(input: SignalingInput): void {
    const from = this.#machine.state;
    if (!this.#machine.input(input, undefined)) {
      throw new InvalidStateError(`Offer/answer state ${from} does not allow ${input}`);
    }
  }
}
