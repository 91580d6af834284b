/**
 * The streams of one call that handlers have: who is asked for which, what they said written as sections, and nobody
 * forgotten when an exchange comes to nothing.
 */
import { errorText, type Clock, type Logger } from "../foundation/index.js";
import { isDeclined, turnedSection, writeSection } from "../sdp/index.js";
import type { SdpStream, SdpStreamDescription } from "../sdp/index.js";
import type { MaybePromise, MediaDirection, MediaSessionContext } from "./media-handler.js";
import type { SdpHandlerEntry, SdpHandlers } from "./sdp-handlers.js";
import { HandledStream } from "./sdp-stream.js";
import type { TimeLimit } from "./time-limit.js";

/** One m-line of ours. */
export interface Slot {
  /** Our lines. */
  readonly section: readonly string[];
  /** Undefined: the media handler's, or nobody's. */
  readonly stream: HandledStream | undefined;
}

/** The questions of one exchange. */
export interface Asking {
  readonly limit: TimeLimit;
  /** Streams that are new in it. */
  readonly fresh: HandledStream[];
  /** @throws when the exchange is over, so that nobody is asked any more. */
  readonly check: () => void;
}

export interface HandledStreamsOptions {
  readonly handlers: SdpHandlers;
  readonly media: Omit<MediaSessionContext, "events">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class HandledStreams {
  readonly #options: HandledStreamsOptions;
  /** Claimed or added, and not over. */
  readonly #live = new Set<HandledStream>();
  #count = 0;
  /** What our side wants, as the handlers hear it. */
  wanted: MediaDirection = "sendrecv";

  constructor(options: HandledStreamsOptions) {
    this.#options = options;
  }

  /** Somebody's claim of a stream that the peer offers; `reject` also when its handler fails. */
  async claim(
    offered: SdpStream,
    owner: HandledStream | undefined,
    asking: Asking,
  ): Promise<Slot | "reject" | undefined> {
    if (owner !== undefined && this.#live.has(owner) && owner.streamType === offered.streamType) {
      return (await this.#negotiate(owner, offered, asking)) ?? "reject";
    }
    for (const entry of this.#options.handlers.of(offered.streamType)) {
      const slot = await this.#negotiate(this.#create(entry), offered, asking);
      if (slot !== undefined) return slot;
    }
    return undefined;
  }

  /** The section of a stream that is there, for a later offer of ours; as before when its handler has nothing better. */
  async redescribe({ section, stream }: Slot, asking: Asking): Promise<readonly string[]> {
    const asBefore = turnedSection(section, this.wanted);
    if (stream === undefined) return asBefore;
    const given = await this.#ask(stream, asking, () => stream.describe());
    if (given === undefined || given === FAILED) return asBefore;
    return this.#write(stream, given, undefined) ?? asBefore;
  }

  /** The streams that handlers want to add to an offer of ours. */
  async additions(asking: Asking): Promise<Slot[]> {
    const slots: Slot[] = [];
    for (const entry of this.#options.handlers.all) {
      const { handler } = entry;
      if (handler.createOutgoing === undefined || this.#has(handler)) continue;
      const stream = this.#create(entry);
      const given = await this.#ask(stream, asking, () => stream.describe());
      if (given === undefined || given === FAILED) continue;
      const section = this.#write(stream, given, undefined);
      this.#propose(stream, asking);
      if (section !== undefined && !isDeclined(section)) slots.push({ section, stream });
      else this.withdraw([stream]);
    }
    return slots;
  }

  /** The exchange is complete with these; the others are over. */
  settle(streams: ReadonlySet<HandledStream>): void {
    for (const stream of this.#live) {
      if (streams.has(stream)) {
        stream.agree();
      } else {
        this.#live.delete(stream);
        stream.decline();
      }
    }
  }

  /** The exchange comes to nothing: what was new in it is over, the others stay. */
  withdraw(streams: Iterable<HandledStream>): void {
    for (const stream of streams) {
      if (!this.#live.has(stream)) continue;
      stream.withdraw();
      if (stream.isOver) this.#live.delete(stream);
    }
  }

  withdrawAll(): void {
    this.withdraw([...this.#live]);
  }

  /** The call is over. */
  end(): void {
    const streams = [...this.#live];
    this.#live.clear();
    for (const stream of streams) stream.end();
  }

  #has(handler: HandledStream["handler"]): boolean {
    return [...this.#live].some((stream) => stream.handler === handler);
  }

  #create({ handler, streamType }: SdpHandlerEntry): HandledStream {
    const { media, logger } = this.#options;
    return new HandledStream({
      handler,
      streamType,
      streamId: `${media.sessionId}/${++this.#count}`,
      media,
      logger,
      direction: () => this.wanted,
    });
  }

  #propose(stream: HandledStream, { fresh }: Asking): void {
    if (this.#live.has(stream)) return;
    this.#live.add(stream);
    fresh.push(stream);
  }

  async #negotiate(
    stream: HandledStream,
    offered: SdpStream,
    asking: Asking,
  ): Promise<Slot | "reject" | undefined> {
    const verdict = await this.#ask(stream, asking, () => stream.negotiate(offered));
    if (verdict === undefined) return undefined;
    if (verdict === "reject" || verdict === FAILED) return "reject";
    // Whatever it claimed with, it hears of the end.
    this.#propose(stream, asking);
    const section = this.#write(stream, verdict, offered);
    if (section !== undefined && !isDeclined(section)) return { section, stream };
    if (asking.fresh.includes(stream)) this.withdraw([stream]);
    return "reject";
  }

  #write(
    stream: HandledStream,
    given: SdpStreamDescription,
    offered: SdpStream | undefined,
  ): string[] | undefined {
    const { streamType, current } = stream;
    try {
      const place = { streamType, wanted: this.wanted, offered, previous: current?.local };
      return writeSection(given, place);
    } catch (error) {
      this.#complain(stream, error);
      return undefined;
    }
  }

  async #ask<T>(
    stream: HandledStream,
    { limit, check }: Asking,
    question: () => MaybePromise<T>,
  ): Promise<T | typeof FAILED> {
    check();
    try {
      return await limit.wait(question(), (late) => {
        // It holds something for a stream that nobody waits for.
        if (isClaim(late) && !this.#live.has(stream)) stream.withdraw();
      });
    } catch (error) {
      this.#complain(stream, error);
      return FAILED;
    }
  }

  #complain({ streamType }: HandledStream, error: unknown): void {
    const { media, logger } = this.#options;
    logger.warn(
      `session ${media.sessionId}: a handler of ${streamType} failed, the stream is declined: ${errorText(error)}`,
    );
  }
}

const FAILED = Symbol("failed");

function isClaim(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}
