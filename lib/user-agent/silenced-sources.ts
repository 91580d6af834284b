/**
 * Sources that have asked too often and are not answered for a moment (reliability: floods): their new requests are dropped
 * unread. What belongs to a call or a request of ours is read even from them.
 */
import type { Clock } from "../foundation/index.js";
import { looksLikeNewRequest } from "../message/index.js";

/** Sources remembered at once; the others are read and refused one by one. */
const MOST_SOURCES = 4_096;

/** Who found that it is too much: the access gate, the limit of requests per second, or calls for want of room. */
export type SilencedBy = "gate" | "rate" | "room";

const INVITE = Buffer.from("INVITE ");

interface Silence {
  /** Time of the clock. */
  readonly until: number;
  readonly by: SilencedBy;
}

export class SilencedSources {
  readonly #sources = new Map<string, Silence>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#sources.size === 0;
  }

  get size(): number {
    return this.#sources.size;
  }

  /** @param ms - 0 = not at all. */
  add(address: string, ms: number, by: SilencedBy): void {
    if (ms <= 0) return;
    this.#sources.delete(address);
    if (this.#sources.size >= MOST_SOURCES) this.#makeRoom();
    this.#sources.set(address, { until: this.#clock.now() + ms, by });
  }

  /** @returns who silenced the source of this message, undefined when it is to be read. */
  silences(address: string, data: Buffer): SilencedBy | undefined {
    const silence = this.#sources.get(address);
    if (silence === undefined) return undefined;
    if (silence.until <= this.#clock.now()) {
      this.#sources.delete(address);
      return undefined;
    }
    if (silence.by === "room" && !data.subarray(0, INVITE.length).equals(INVITE)) return undefined;
    return looksLikeNewRequest(data) ? silence.by : undefined;
  }

  /** The oldest is most likely over. */
  #makeRoom(): void {
    for (const oldest of this.#sources.keys()) {
      this.#sources.delete(oldest);
      return;
    }
  }
}
