/**
 * The media session of a call whose descriptions others take part in: handlers of streams and modifiers, around the media
 * handler, which is the last to be asked and sees only the m-lines that nobody has claimed (RFC 3264 §6, §8). M-lines keep
 * their places and their number; a declined one stays with port 0 and is used again for a new stream of a handler.
 */
import {
  InvalidStateError,
  MediaError,
  randomInteger,
  type Clock,
  type Logger,
  type RandomSource,
} from "../foundation/index.js";
import {
  connectionLine,
  declinedSection,
  isDeclined,
  joinSdp,
  readStreams,
  SdpOrigin,
  splitSdp,
} from "../sdp/index.js";
import { modifyDescription, type DescriptionModifier } from "./description-modifier.js";
import { HandledStreams, type Asking, type Slot } from "./handled-streams.js";
import type {
  AudioControl,
  HoldState,
  MediaDescription,
  MediaDirection,
  MediaSession,
  MediaSessionContext,
  MediaStatistics,
  MaybePromise,
} from "./media-handler.js";
import type { SdpHandlers } from "./sdp-handlers.js";
import type { HandledStream } from "./sdp-stream.js";
import {
  handledMedia,
  isHandled,
  NOTHING,
  placeAdditions,
  placeMedia,
  type Draft,
  type Exchange,
} from "./shaped-exchange.js";
import { TimeLimit } from "./time-limit.js";

export interface ShapedMediaOptions {
  /** Of the media handler, where there is one. It may have descriptions behind it. */
  readonly media: MediaSession | undefined;
  readonly context: Omit<MediaSessionContext, "events">;
  readonly handlers: SdpHandlers;
  /** Of the user agent and the call, in order. */
  modifiers(): readonly DescriptionModifier[];
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
}

interface ExchangeOptions {
  readonly direction?: MediaDirection | undefined;
  /** For this exchange, after those of the call. */
  readonly modifiers?: readonly DescriptionModifier[] | undefined;
}

/** Milliseconds that all handlers and modifiers of one description have together. */
const LONGEST_DESCRIPTION_MS = 5_000;
export class ShapedMediaSession implements MediaSession {
  readonly #options: ShapedMediaOptions;
  readonly #media: MediaSession | undefined;
  readonly #streams: HandledStreams;
  readonly #origin = new SdpOrigin();
  readonly #limits = new Set<TimeLimit>();
  #current = NOTHING;
  #draft: Draft | undefined;
  /** What an answer that is not final says. */
  #early: Exchange | undefined;
  /** Our last offer: the answer of another fork may come after the exchange is complete. */
  #offer: Draft | undefined;
  /** Between our description and its end. */
  #isUnderway = false;
  /** Numbers answers: the last one counts. */
  #answers = 0;
  /** Numbers exchanges: what comes back to one that is over does nothing. */
  #exchange = 0;
  #closed = false;

  constructor(options: ShapedMediaOptions) {
    this.#options = options;
    this.#media = options.media;
    const { handlers, clock, logger, context } = options;
    this.#streams = new HandledStreams({ handlers, clock, logger, media: context });
    this.#takeOver();
  }

  async offer(
    options: ExchangeOptions & { readonly repeat?: boolean | undefined } = {},
  ): Promise<string> {
    return this.#make((asking) => this.#describeOffer(options, asking));
  }

  async answer(offer: string, options: ExchangeOptions = {}): Promise<string> {
    return this.#make((asking) => this.#describeAnswer(offer, options, asking));
  }

  async acceptAnswer(
    answer: string,
    { early = false }: { readonly early?: boolean } = {},
  ): Promise<void> {
    const offer = this.#offer;
    if (offer === undefined) throw new InvalidStateError("There is no offer to be answered");
    const check = this.#watch();
    const turn = ++this.#answers;
    const sdp = await this.#limited((limit) =>
      this.#modify(answer, offer.modifiers, { kind: "answer", direction: "remote", early }, limit),
    );
    check();
    if (turn !== this.#answers) return;
    const streams = readStreams(sdp);
    if (streams.length !== offer.slots.length) {
      throw new MediaError(
        `the answer has ${streams.length} m-lines, the offer ${offer.slots.length}`,
      );
    }
    const slots = offer.slots.map((slot, index): Slot => {
      const { streamType, port } = streams[index];
      const { stream, section } = slot;
      if (stream === undefined) return slot;
      const isTaken = isHandled(slot) && port !== 0 && streamType === stream.streamType;
      return isTaken ? slot : { section: declinedSection(section), stream: undefined };
    });
    const hasMedia = await this.#answerMedia(offer, sdp, early, slots.some(isHandled));
    check();
    if (turn !== this.#answers) return;
    const exchange: Exchange = {
      slots,
      hasMedia,
      places: hasMedia ? offer.places : this.#current.places,
      wanted: offer.wanted,
      localSdp: offer.localSdp,
      remoteSdp: sdp,
      handled: handledMedia(slots, offer.localSdp, sdp),
    };
    if (early) this.#early = exchange;
    else this.#settle(exchange);
  }

  rollback(): void {
    this.#media?.rollback();
    if (!this.#isUnderway) return;
    this.#isUnderway = false;
    this.#exchange++;
    this.#draft = undefined;
    this.#offer = undefined;
    this.#early = undefined;
    this.#streams.wanted = this.#current.wanted;
    this.#streams.withdrawAll();
    this.#apply(this.#current, true);
  }

  start(): void {
    if (this.#draft?.kind === "answer") this.#settle(this.#draft);
    const exchange = this.#early ?? this.#current;
    if (exchange.places.length > 0) this.#media?.start();
    this.#apply(exchange);
  }

  suspend(suspended: boolean): void {
    this.#media?.suspend?.(suspended);
  }

  get media(): readonly MediaDescription[] {
    const draft = this.#draft?.kind === "answer" ? this.#draft : undefined;
    const { handled } = draft ?? this.#early ?? this.#current;
    return [...(this.#media?.media ?? []), ...handled];
  }

  get hold(): HoldState {
    return this.#media?.hold ?? "none";
  }

  get localSdp(): string | undefined {
    return this.#current.localSdp;
  }

  get remoteSdp(): string | undefined {
    return this.#current.remoteSdp;
  }

  get audio(): AudioControl | undefined {
    return this.#media?.audio;
  }

  close(): MaybePromise<MediaStatistics | undefined> {
    this.#closed = true;
    this.#exchange++;
    for (const limit of this.#limits) limit.end();
    this.#streams.end();
    return this.#media?.close();
  }

  /** What the media handler has negotiated before anybody else took part. */
  #takeOver(): void {
    const { localSdp, remoteSdp } = this.#media ?? {};
    if (localSdp === undefined) return;
    const slots = splitSdp(localSdp).media.map((section) => ({ section, stream: undefined }));
    const hasMedia = slots.some(({ section }) => !isDeclined(section));
    this.#current = { ...NOTHING, slots, places: [...slots.keys()], hasMedia, localSdp, remoteSdp };
    this.#origin.stamp(localSdp);
  }

  /** One description of ours: an exchange begins. */
  async #make(describe: (asking: Asking) => Promise<Draft>): Promise<string> {
    if (this.#closed) throw closedError();
    // The answer before this exchange has gone out, or it would have been taken back; an offer has no answer.
    if (this.#draft?.kind === "answer") this.#settle(this.#draft);
    else this.rollback();
    this.#isUnderway = true;
    const exchange = ++this.#exchange;
    this.#offer = undefined;
    const check = this.#watch();
    const fresh: HandledStream[] = [];
    try {
      const draft = await this.#limited((limit) => describe({ limit, fresh, check }));
      check();
      this.#draft = draft;
      if (draft.kind === "offer") this.#offer = draft;
      return draft.localSdp ?? "";
    } catch (error) {
      if (exchange === this.#exchange) {
        this.rollback();
      } else {
        // It was over before: what it has brought about since then goes, too.
        this.#streams.withdraw(fresh);
        if (!this.#closed && !this.#isUnderway) this.#media?.rollback();
      }
      throw error;
    }
  }

  async #describeOffer(
    options: ExchangeOptions & { readonly repeat?: boolean | undefined },
    asking: Asking,
  ): Promise<Draft> {
    const current = this.#current;
    const { limit, check } = asking;
    const { direction, repeat = false, modifiers = [] } = options;
    const isFirst = current === NOTHING;
    const isRepeated = repeat && current.localSdp !== undefined;
    const wanted = (this.#streams.wanted = direction ?? current.wanted);
    const slots = await this.#offeredAgain(isRepeated, asking);
    const asks = direction === undefined && !repeat;
    const added = asks ? await this.#streams.additions(asking) : [];
    check();
    const hasOthers = slots.some(isHandled) || added.length > 0;
    // Our own audio is the last resort: not beside that of a handler.
    const isAudioTaken = added.some(({ stream }) => stream?.streamType === "audio");
    const isOurs = current.places.length > 0 && (current.hasMedia || asks);
    const asksMedia = isFirst ? !isAudioTaken : isOurs || !hasOthers;
    const own = asksMedia
      ? await this.#media?.offer({
          ...(direction ? { direction } : {}),
          ...(repeat ? { repeat } : {}),
        })
      : undefined;
    check();
    const sections = own === undefined ? undefined : splitSdp(own);
    const places = placeMedia(sections?.media ?? [], current.places, slots);
    placeAdditions(added, places, slots, (stream) => this.#streams.withdraw([stream]));
    if (slots.length === 0) {
      throw new MediaError("There is nothing that could be offered", { rule: "no-sdp" });
    }
    const draft = {
      kind: "offer" as const,
      slots,
      places,
      hasMedia: own !== undefined,
      askedMedia: own !== undefined,
      wanted,
      modifiers,
      remoteSdp: current.remoteSdp,
      handled: current.handled,
    };
    if (isRepeated) return { ...draft, localSdp: current.localSdp };
    const text = this.#compose(sections?.session, slots);
    return { ...draft, localSdp: await this.#finish(text, "offer", modifiers, limit) };
  }

  /** What is there, in its places: streams of handlers as they are now, everything else with port 0. */
  async #offeredAgain(isRepeated: boolean, asking: Asking): Promise<Slot[]> {
    const slots: Slot[] = [];
    for (const slot of this.#current.slots) {
      if (!isHandled(slot)) {
        slots.push({ section: declinedSection(slot.section), stream: undefined });
      } else {
        const section = isRepeated ? slot.section : await this.#streams.redescribe(slot, asking);
        slots.push({ section, stream: slot.stream });
      }
    }
    return slots;
  }

  async #describeAnswer(
    offer: string,
    { direction, modifiers = [] }: ExchangeOptions,
    asking: Asking,
  ): Promise<Draft> {
    const { limit, check } = asking;
    const current = this.#current;
    const from = { kind: "offer", direction: "remote", early: false } as const;
    const remoteSdp = await this.#modify(offer, modifiers, from, limit);
    check();
    const streams = readStreams(remoteSdp);
    const { session, media } = splitSdp(remoteSdp);
    const wanted = (this.#streams.wanted = direction ?? current.wanted);
    const slots: Slot[] = [];
    const open: number[] = [];
    for (const [index, stream] of streams.entries()) {
      const claim =
        stream.port === 0
          ? "reject"
          : await this.#streams.claim(stream, current.slots[index]?.stream, asking);
      if (claim === undefined) open.push(index);
      slots.push(
        typeof claim === "object"
          ? claim
          : { section: declinedSection(media[index]), stream: undefined },
      );
    }
    check();
    const known = current.places.filter((place) => place < streams.length);
    const view = (places: readonly number[], shown: readonly number[]): string =>
      joinSdp({
        session,
        media: places.map((place) =>
          shown.includes(place) ? media[place] : declinedSection(media[place]),
        ),
      });
    let places = [...known, ...open.filter((place) => !known.includes(place))];
    let own: string | undefined;
    const options = direction ? { direction } : {};
    if (this.#media !== undefined && (open.length > 0 || known.length > 0)) {
      try {
        own = await this.#media.answer(view(places, open), options);
      } catch (error) {
        if (!isMismatch(error) || !slots.some(isHandled)) throw error;
        // The streams of the handlers are a call, too.
        check();
        places = known;
        own = known.length > 0 ? await this.#media.answer(view(known, []), options) : undefined;
      }
    } else {
      places = known;
    }
    check();
    const sections = own === undefined ? undefined : splitSdp(own);
    placeMedia(sections?.media ?? [], places, slots);
    const hasMedia = sections?.media.some((section) => !isDeclined(section)) ?? false;
    const isEmpty = !hasMedia && !slots.some(isHandled);
    if (isEmpty && (current === NOTHING || streams.some(({ port }) => port !== 0))) {
      const rule = this.#media === undefined ? "declined" : "incompatible-media";
      throw new MediaError("Nobody takes a stream of the offer", { rule });
    }
    const text = this.#compose(sections?.session, slots);
    const localSdp = await this.#finish(text, "answer", modifiers, limit);
    return {
      kind: "answer",
      slots,
      places,
      hasMedia,
      askedMedia: own !== undefined,
      wanted,
      modifiers,
      localSdp,
      remoteSdp,
      handled: handledMedia(slots, localSdp, remoteSdp),
    };
  }

  /** @returns whether the media handler has a stream in the answer. */
  async #answerMedia(
    offer: Draft,
    answer: string,
    early: boolean,
    isHandledToo: boolean,
  ): Promise<boolean> {
    const media = this.#media;
    const nothing = (): MediaError => new MediaError("the answer refuses every stream");
    if (media === undefined || !offer.askedMedia) {
      if (isHandledToo) return false;
      throw nothing();
    }
    const sections = splitSdp(answer);
    const view = offer.places.map((place) => sections.media[place]);
    if (!isHandledToo || !view.every(isDeclined)) {
      try {
        await media.acceptAnswer(joinSdp({ ...sections, media: view }), { early });
        return true;
      } catch (error) {
        if (!isHandledToo || !isMismatch(error)) throw error;
      }
    }
    if (early) return false;
    // Without its streams: as if the peer had taken them away.
    media.rollback();
    const known = this.#current.places;
    if (known.length > 0) {
      const lines = known.map((place) => declinedSection(sections.media[place]));
      await media.answer(joinSdp({ ...sections, media: lines }));
      media.start();
    }
    return false;
  }

  #settle(exchange: Exchange): void {
    this.#isUnderway = false;
    this.#draft = undefined;
    this.#early = undefined;
    this.#current = exchange;
    const streams = exchange.slots.map(({ stream }) => stream);
    this.#streams.settle(new Set(streams.filter((stream) => stream !== undefined)));
  }

  /** @param again - Only those that were told something else meanwhile. */
  #apply({ slots, localSdp, remoteSdp }: Exchange, again = false): void {
    if (localSdp === undefined || remoteSdp === undefined || !slots.some(isHandled)) return;
    const local = readStreams(localSdp);
    const remote = readStreams(remoteSdp);
    for (const [index, { stream }] of slots.entries()) {
      if (stream === undefined || (again && stream.current === undefined)) continue;
      stream.apply(local[index], remote[index]);
    }
  }

  #compose(session: readonly string[] | undefined, slots: readonly Slot[]): string {
    return joinSdp({
      session: session ?? this.#sessionLines(),
      media: slots.map(({ section }) => section),
    });
  }

  #sessionLines(): string[] {
    const { context, random } = this.#options;
    const connection = connectionLine(context.localAddress || "0.0.0.0");
    const address = connection.slice(2);
    return [
      "v=0",
      `o=- ${randomInteger(random, 0x7fff_ffff)} 1 ${address}`,
      "s=-",
      connection,
      "t=0 0",
    ];
  }

  /** Through the modifiers, and with our origin. */
  async #finish(
    text: string,
    kind: "offer" | "answer",
    modifiers: readonly DescriptionModifier[],
    limit: TimeLimit,
  ): Promise<string> {
    const context = { kind, direction: "local", early: false } as const;
    return this.#origin.stamp(await this.#modify(text, modifiers, context, limit));
  }

  #modify(
    text: string,
    modifiers: readonly DescriptionModifier[],
    context: {
      readonly kind: "offer" | "answer";
      readonly direction: "local" | "remote";
      readonly early: boolean;
    },
    limit: TimeLimit,
  ): Promise<string> {
    const { sessionId } = this.#options.context;
    const all = [...this.#options.modifiers(), ...modifiers];
    return modifyDescription(text, all, { sessionId, ...context }, limit);
  }

  async #limited<T>(work: (limit: TimeLimit) => Promise<T>): Promise<T> {
    const limit = new TimeLimit(this.#options.clock, LONGEST_DESCRIPTION_MS);
    this.#limits.add(limit);
    try {
      return await work(limit);
    } finally {
      limit.end();
      this.#limits.delete(limit);
    }
  }

  /** @returns throws when the exchange of now is over. */
  #watch(): () => void {
    const exchange = this.#exchange;
    return () => {
      if (this.#closed || exchange !== this.#exchange) throw closedError();
    };
  }
}

/** Nothing fits, as opposed to a description that nobody can read or a handler that has failed. */
function isMismatch(error: unknown): boolean {
  return error instanceof MediaError && error.statusHint === 488;
}

function closedError(): MediaError {
  return new MediaError("The exchange is over", { rule: "no-session", statusHint: 487 });
}
