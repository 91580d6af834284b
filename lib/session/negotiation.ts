/**
 * The media of one session and the offer/answer state that goes with it (RFC 3264, RFC 6337). Descriptions come from
 * the media handler, or from the application (`sdp`), which then is on its own.
 */
import { InvalidStateError, MediaError, StateMachine, errorText } from "../foundation/index.js";
import type { Clock, Logger, RandomSource } from "../foundation/index.js";
import type { DescriptionModifier } from "./description-modifier.js";
import { mapMaybe } from "./maybe-promise.js";
import type {
  HoldState,
  MaybePromise,
  MediaDescription,
  MediaDirection,
  MediaHandler,
  MediaSession,
  MediaSessionContext,
  MediaStatistics,
} from "./media-handler.js";
import { SdpOrigin, turnedSdp } from "../sdp/index.js";
import { SdpHandlers } from "./sdp-handlers.js";
import type { SignalingState } from "./session-types.js";
import { ShapedMediaSession } from "./shaped-media-session.js";
import { signalingMachine, type SignalingInput } from "./signaling-state.js";
import { answersAgain, readExchange, type SuppliedExchange } from "./supplied-description.js";

const NO_MEDIA: readonly MediaDescription[] = [];

export interface NegotiationOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly mediaHandler: MediaHandler | undefined;
  /** Handlers of single streams; absent = none. */
  readonly sdpHandlers?: SdpHandlers | undefined;
  /** For every call; absent = none. */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
}

type Modifiers = readonly DescriptionModifier[];
const NO_MODIFIERS: Modifiers = [];

/** Who describes our side while the media of the call flows past us, to the peer of another one (RFC 3725). */
export interface DescriptionRelay {
  /** Also offers that change nothing are its to answer; without it they are answered as before. */
  readonly always?: boolean;
  /**
   * The peer's offer → the answer of the one whom its media flows to; undefined = our own media, or our last
   * description where there is none. A MediaError refuses the offer with its `statusHint`; nothing has changed then.
   */
  answer(offer: string): Promise<string | undefined>;
}

/** Never rejects; undefined = nobody knows. */
type StatisticsSource = () => Promise<MediaStatistics | undefined>;
/** A call can be in one bridge after the other; the first of more are no longer counted. */
const MOST_COUNTERS = 32;
const LONGEST_COUNT_MS = 1_000;

export class Negotiation {
  readonly #options: NegotiationOptions;
  readonly #context: () => MediaSessionContext;
  readonly #logger: Logger;
  readonly #machine = new StateMachine(signalingMachine, () => undefined);
  /** The media handler's. */
  #session: MediaSession | undefined;
  /** Around it, from the first description on that others take part in. */
  #shaped: ShapedMediaSession | undefined;
  #modifiers: Modifiers = NO_MODIFIERS;
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
  #relay: DescriptionRelay | undefined;
  #origin: SdpOrigin | undefined;
  #lastMedia = NO_MEDIA;
  #lastHold: HoldState = "none";
  #statistics: Promise<MediaStatistics | undefined> | undefined;
  /** What was counted where the media flowed past us. */
  readonly #counters: StatisticsSource[] = [];

  constructor(options: NegotiationOptions, context: () => MediaSessionContext) {
    this.#options = options;
    this.#context = context;
    this.#logger = options.logger;
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

  /** The last complete exchange, where others than our media handler have made our side of it. */
  get suppliedExchange(): SuppliedExchange | undefined {
    return this.#supply;
  }

  /** Goes on after such an exchange of another process. @param hold - that it ended with. */
  resume(exchange: SuppliedExchange, hold: HoldState): void {
    const [offer, answer] = exchange.offeredByUs
      ? (["localOffer", "remoteAnswer"] as const)
      : (["remoteOffer", "localAnswer"] as const);
    this.#move(offer);
    this.#move(answer);
    this.#supplied = true;
    this.#making = exchange.local;
    this.#theirs = exchange.remote;
    this.#lastHold = hold;
    this.#complete(exchange.offeredByUs);
    this.keepOrigin();
  }

  /** Can descriptions be made here? Else only the application's are there. */
  get hasHandler(): boolean {
    return this.#hasMedia || this.#relay !== undefined;
  }

  get #hasMedia(): boolean {
    return this.#options.mediaHandler !== undefined || this.#hasStreamHandlers;
  }

  /** From now on, until `undefined`, this one answers the peer's offers. */
  relayTo(relay: DescriptionRelay | undefined): void {
    this.#relay = relay;
  }

  /** Who has counted, too, when the call is over. */
  countWith(source: StatisticsSource): void {
    if (this.#counters.push(source) > MOST_COUNTERS) this.#counters.shift();
  }

  /** Whoever makes our descriptions from now on, the peer sees one origin whose version grows (RFC 3264 §8). */
  keepOrigin(): void {
    if (this.#origin !== undefined) return;
    this.#origin = new SdpOrigin();
    if (this.#localSdp !== undefined) this.#origin.stamp(this.#localSdp);
  }

  get media(): readonly MediaDescription[] {
    if (this.#supply !== undefined) return this.#lastMedia;
    return this.#negotiator?.media ?? this.#lastMedia;
  }

  get hold(): HoldState {
    if (this.#supply !== undefined) return this.#lastHold;
    return this.#negotiator?.hold ?? this.#lastHold;
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

  /** Modifiers of this call, from its next description on. */
  useModifiers(modifiers: Modifiers): void {
    this.#modifiers = modifiers;
  }

  /**
   * Our offer. @param sdp - the application's own, which nobody modifies. @param modifiers - for this exchange only.
   * Rejects or throws InvalidArgumentError-like MediaError rule `no-sdp` when nobody can make one.
   */
  offer(sdp?: string, direction?: MediaDirection, modifiers?: Modifiers): MaybePromise<string> {
    this.#move("localOffer");
    const options = { ...(direction ? { direction } : {}), ...(modifiers ? { modifiers } : {}) };
    const last = this.#localSdp;
    if (sdp === undefined && this.#relay !== undefined && last !== undefined) {
      sdp = direction === undefined ? last : turnedSdp(last, direction);
    }
    return this.#describe(sdp, modifiers, (session) => session.offer(options));
  }

  /** Our last description once more, as a sign of life: nothing is to change (RFC 3264 §8). */
  repeatOffer(): MaybePromise<string> {
    const last = this.#localSdp;
    if (this.#supplied || !this.#hasMedia) return this.offer(last);
    this.#move("localOffer");
    return this.#describe(undefined, undefined, (session) => session.offer({ repeat: true }));
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
  answer(
    offer: string,
    sdp?: string,
    direction?: MediaDirection,
    modifiers?: Modifiers,
  ): MaybePromise<string> {
    if (!this.#waiting) this.#move("remoteOffer");
    this.#waiting = false;
    this.#theirs = offer;
    const options = { ...(direction ? { direction } : {}), ...(modifiers ? { modifiers } : {}) };
    const describe = (text: string | undefined): MaybePromise<string> =>
      this.#describe(text, modifiers, (session) => session.answer(offer, options));
    const relay = this.#relay;
    return sdp !== undefined || relay === undefined
      ? describe(sdp)
      : this.#relayed(relay, offer, describe);
  }

  /** An offer that changes nothing is answered as before; any other is the other call's to answer. */
  async #relayed(
    relay: DescriptionRelay,
    offer: string,
    describe: (text: string | undefined) => MaybePromise<string>,
  ): Promise<string> {
    const last = this.#supply;
    const isSame = relay.always !== true && last !== undefined && answersAgain(last, offer);
    const text = isSame ? last.local : await relay.answer(offer);
    if (this.#machine.state !== "have-remote-offer") {
      throw new MediaError("The exchange is over", { statusHint: 487 });
    }
    return describe(text ?? (this.#hasMedia ? undefined : this.#localSdp));
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
    if (!this.#supplied) this.#negotiator?.start();
  }

  /** A preview of the peer's answer, in an unreliable provisional response (RFC 6337 §3.1.1). */
  preview(answer: string): MaybePromise<void> {
    const session = this.#negotiator;
    if (this.#supplied || session === undefined) return;
    return mapMaybe(session.acceptAnswer(answer, { early: true }), () => {
      if (session === this.#negotiator) session.start();
    });
  }

  /** The peer's answer to our offer. Throws or rejects when it does not fit; then call `rollback` or end the call. */
  acceptAnswer(answer: string): MaybePromise<void> {
    const session = this.#supplied ? undefined : this.#negotiator;
    const done = (): void => {
      if (this.#machine.state === "closed") return;
      this.#move("remoteAnswer");
      this.#theirs = answer;
      this.#complete(true);
      if (session === this.#negotiator) session?.start();
    };
    if (session === undefined) return done();
    return mapMaybe(session.acceptAnswer(answer), done);
  }

  /**
   * The answer of another fork, which has become the call, in place of the one that completed the exchange
   * (RFC 3261 §13.2.2.4). Throws or rejects when it does not fit.
   */
  replaceAnswer(answer: string): MaybePromise<void> {
    const session = this.#supplied ? undefined : this.#negotiator;
    if (session === undefined) {
      this.#theirs = answer;
      this.#agree(true);
      return;
    }
    return mapMaybe(session.acceptAnswer(answer), () => {
      if (session === this.#negotiator) session.start();
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
    if (!this.#supplied) this.#negotiator?.rollback();
    this.#supplied = this.#suppliedBefore;
  }

  /** Closes the media exactly once; what is in flight is ignored afterwards. */
  close(): void {
    if (!this.#machine.input("close", undefined)) return;
    const session = this.#negotiator;
    if (session === undefined && this.#counters.length === 0) return;
    this.#lastMedia = this.media;
    this.#lastHold = this.hold;
    this.#session = undefined;
    this.#shaped = undefined;
    this.#statistics = this.#closed(session);
  }

  /** Of the media, when they are closed; never rejects. Undefined while they are open, or if there were none. */
  get statistics(): Promise<MediaStatistics | undefined> | undefined {
    return this.#statistics;
  }

  async #closed(session: MediaSession | undefined): Promise<MediaStatistics | undefined> {
    const elsewhere = Promise.all(this.#counters.map((count) => this.#inTime(count())));
    let own: MediaStatistics | undefined;
    try {
      own = await session?.close();
    } catch (error) {
      this.#logger.warn(`closing media: ${errorText(error)}`);
    }
    return (await elsewhere).reduce(together, own);
  }

  /** The end of a call waits no longer for what is counted elsewhere. */
  #inTime(counting: Promise<MediaStatistics | undefined>): Promise<MediaStatistics | undefined> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimer(LONGEST_COUNT_MS, () => resolve(undefined));
      void counting.then((statistics) => {
        timer.cancel();
        resolve(statistics);
      });
    });
  }

  #describe(
    sdp: string | undefined,
    modifiers: Modifiers | undefined,
    make: (session: MediaSession) => MaybePromise<string>,
  ): MaybePromise<string> {
    this.#supplied = sdp !== undefined;
    if (sdp !== undefined) return (this.#making = this.#stamped(sdp));
    this.#making = undefined;
    const session = this.#open(modifiers);
    return mapMaybe(make(session), (text) => (this.#making = this.#stamped(text)));
  }

  #stamped(sdp: string): string {
    return this.#origin?.stamp(sdp) ?? sdp;
  }

  /** Who makes descriptions: the media handler's session, or what stands around it. */
  get #negotiator(): MediaSession | undefined {
    return this.#shaped ?? this.#session;
  }

  get #hasStreamHandlers(): boolean {
    return (this.#options.sdpHandlers?.all.length ?? 0) > 0;
  }

  #open(modifiers: Modifiers = []): MediaSession {
    const { mediaHandler, sdpHandlers, descriptionModifiers = [] } = this.#options;
    const { clock, random, logger } = this.#options;
    if (!this.#hasMedia && this.#shaped === undefined) {
      throw new MediaError("There is no media handler and no SDP was given", { rule: "no-sdp" });
    }
    const isShaped =
      this.#hasStreamHandlers ||
      modifiers.length + this.#modifiers.length + descriptionModifiers.length > 0;
    const session = (this.#session ??= mediaHandler?.createSession(this.#context()));
    if (session !== undefined && !isShaped && this.#shaped === undefined) return session;
    this.#shaped ??= new ShapedMediaSession({
      clock,
      random,
      logger,
      media: session,
      context: this.#context(),
      handlers: sdpHandlers ?? new SdpHandlers(),
      modifiers: () => [...descriptionModifiers, ...this.#modifiers],
    });
    return this.#shaped;
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
      // Our own media again, wherever it flowed before.
      this.#session?.suspend?.(false);
      return;
    }
    const exchange = { local, remote: this.#theirs, offeredByUs };
    const { media, hold } = readExchange(exchange, this.hold);
    this.#lastHold = hold;
    this.#lastMedia = media;
    this.#supply = exchange;
  }

  #move(input: SignalingInput): void {
    const from = this.#machine.state;
    if (!this.#machine.input(input, undefined)) {
      throw new InvalidStateError(`Offer/answer state ${from} does not allow ${input}`);
    }
  }
}

/** Of two ways that the media of a call took, one after the other. */
function together(
  one: MediaStatistics | undefined,
  two: MediaStatistics | undefined,
): MediaStatistics | undefined {
  if (one === undefined || two === undefined) return one ?? two;
  return {
    ...one,
    packetsSent: one.packetsSent + two.packetsSent,
    packetsReceived: one.packetsReceived + two.packetsReceived,
    packetsLost: one.packetsLost + two.packetsLost,
    jitter: Math.max(one.jitter, two.jitter),
  };
}
