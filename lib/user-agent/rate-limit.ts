/** Token buckets per source address: how often a peer may ask, and how often it is told "no" (reliability: floods). */
import type { Clock } from "../foundation/index.js";

/** Sources remembered at once; a flood from forged addresses must not grow the map. */
const MOST_SOURCES = 4_096;

interface Bucket {
  tokens: number;
  at: number;
}

export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;

  /** @param perSecond - tokens that come back per second. @param burst - tokens of a full bucket. */
  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Takes one token of this source. @returns false when there is none. */
  take(source: string): boolean {
    const now = this.#clock.now();
    const bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      this.#makeRoom();
      this.#buckets.set(source, { tokens: this.#burst - 1, at: now });
      return this.#burst >= 1;
    }
    bucket.tokens = Math.min(
      this.#burst,
      bucket.tokens + ((now - bucket.at) / 1000) * this.#perSecond,
    );
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  /** Milliseconds until this source has a token again, 0 when it has one. */
  waitOf(source: string): number {
    const bucket = this.#buckets.get(source);
    if (bucket === undefined) return 0;
    const since = this.#clock.now() - bucket.at;
    return Math.max(0, ((1 - bucket.tokens) / this.#perSecond) * 1000 - since);
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Forgets the source that was added first: its bucket is most likely full again. */
  #makeRoom(): void {
    if (this.#buckets.size < MOST_SOURCES) return;
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      return;
    }
  }
}
