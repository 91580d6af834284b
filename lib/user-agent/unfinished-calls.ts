/**
 * Incoming calls that are not answered yet, or whose caller has not confirmed the answer, by source (reliability: floods).
 * Whoever forges INVITEs never gets beyond that, so what he can have is bounded. Age counts besides numbers: a burst of sound
 * calls is confirmed as soon as we come to read it. A caller that confirms what it began is let in with more each time, so that
 * a trunk hardly ever meets a limit.
 */
import type { Clock } from "../foundation/index.js";

/** Calls of a source that wait for its ACK (RFC 3261 §13.3.1.4), when the oldest has done so for a while. */
const UNCONFIRMED = 300;
const LONG_UNCONFIRMED_MS = 300;
/** Calls of a source that are not confirmed, answered or not, when the oldest has been there for a while. */
const UNFINISHED = 600;
const LONG_UNFINISHED_MS = 1_000;
/** How many more a source may have of each for the calls that it has confirmed. */
const MOST_CREDIT = 4_000;
/** Sources that are remembered. */
const MOST_SOURCES = 4_096;
/** Of all sources together: from here on those that never confirmed a call have to make do with a share. */
const MANY_UNCONFIRMED = 600;
const MANY_UNFINISHED = 2_000;
/** From twice as many on they are not let in at all: somebody forges addresses. */
const FAR_TOO_MANY = 2;
/** What a source may have in any case before that. */
const LEAST_SHARE = 2;
/** For so long a source that has too many is not answered: ACKs may still wait to be read, and the INVITE comes again. */
const BENEFIT_OF_DOUBT_MS = 2_000;

/** One call, as those report who have it. Each may be called at any time; what is said twice counts once. */
export interface UnfinishedCall {
  /** Our 2xx is out. */
  answered(): void;
  /** The ACK came. */
  confirmed(): void;
  /** It is over. */
  closed(): void;
}

/** Calls in order of time, with the time of each. */
class Queue {
  readonly #times = new Map<UnfinishedCall, number>();

  get size(): number {
    return this.#times.size;
  }

  add(call: UnfinishedCall, now: number): void {
    this.#times.set(call, now);
  }

  remove(call: UnfinishedCall): void {
    this.#times.delete(call);
  }

  /** Has the oldest been here for so long? */
  hasOld(now: number, ms: number): boolean {
    for (const time of this.#times.values()) return now - time >= ms;
    return false;
  }
}

/** `later`: not now, and without a word; `never`: there is no room. */
export type Admission = "now" | "later" | "never";

interface Source {
  readonly unfinished: Queue;
  readonly unconfirmed: Queue;
}

export class UnfinishedCalls {
  readonly #clock: Clock;
  readonly #sources = new Map<string, Source>();
  /** Confirmed calls of each source, up to a limit. */
  readonly #credits = new Map<string, number>();
  /** When a source was first found to have too many. */
  readonly #fullSince = new Map<string, number>();
  /** Calls of all sources, of each no more than a source may have: one that floods does not make a crowd. */
  readonly #crowd: Source = { unfinished: new Queue(), unconfirmed: new Queue() };
  #size = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#size;
  }

  /** May one more call of this source come in? */
  admits(address: string): Admission {
    if (this.#hasRoom(address)) {
      if (this.#fullSince.size > 0) this.#fullSince.delete(address);
      return "now";
    }
    const now = this.#clock.now();
    const since = this.#fullSince.get(address);
    if (since !== undefined) return now - since < BENEFIT_OF_DOUBT_MS ? "later" : "never";
    remember(this.#fullSince, address, now);
    return "later";
  }

  #hasRoom(address: string): boolean {
    const source = this.#sources.get(address);
    const credit = this.#credits.get(address) ?? 0;
    if (source !== undefined) {
      const { unfinished, unconfirmed } = source;
      if (this.#isTooMuch(unconfirmed, UNCONFIRMED + credit, LONG_UNCONFIRMED_MS)) return false;
      if (this.#isTooMuch(unfinished, UNFINISHED + credit, LONG_UNFINISHED_MS)) return false;
    }
    if (credit > 0 || !this.#isCrowded(1)) return true;
    if (this.#isCrowded(FAR_TOO_MANY)) return false;
    const own = source?.unfinished.size ?? 0;
    return own < Math.max(LEAST_SHARE, MANY_UNCONFIRMED / this.#sources.size);
  }

  #isCrowded(times: number): boolean {
    const { unfinished, unconfirmed } = this.#crowd;
    return (
      this.#isTooMuch(unconfirmed, times * MANY_UNCONFIRMED, LONG_UNCONFIRMED_MS) ||
      this.#isTooMuch(unfinished, times * MANY_UNFINISHED, LONG_UNFINISHED_MS)
    );
  }

  #isTooMuch(queue: Queue, most: number, ms: number): boolean {
    return queue.size >= most && queue.hasOld(this.#clock.now(), ms);
  }

  /** A call came in. */
  add(address: string): UnfinishedCall {
    const source = this.#sourceOf(address);
    let isAnswered = false;
    let isFinished = false;
    const finish = (): boolean => {
      if (isFinished) return false;
      isFinished = true;
      this.#size--;
      for (const { unfinished, unconfirmed } of [source, this.#crowd]) {
        unfinished.remove(call);
        unconfirmed.remove(call);
      }
      if (source.unfinished.size === 0) this.#sources.delete(address);
      return true;
    };
    const call: UnfinishedCall = {
      answered: () => {
        if (isAnswered || isFinished) return;
        isAnswered = true;
        const now = this.#clock.now();
        if (source.unconfirmed.size < UNCONFIRMED) this.#crowd.unconfirmed.add(call, now);
        source.unconfirmed.add(call, now);
      },
      confirmed: () => {
        if (finish()) this.#credit(address);
      },
      closed: () => void finish(),
    };
    const now = this.#clock.now();
    if (source.unfinished.size < UNFINISHED) this.#crowd.unfinished.add(call, now);
    source.unfinished.add(call, now);
    this.#size++;
    return call;
  }

  #sourceOf(address: string): Source {
    const known = this.#sources.get(address);
    if (known !== undefined) return known;
    const source = { unfinished: new Queue(), unconfirmed: new Queue() };
    this.#sources.set(address, source);
    return source;
  }

  #credit(address: string): void {
    const credit = this.#credits.get(address) ?? 0;
    remember(this.#credits, address, Math.min(credit + 1, MOST_CREDIT));
  }
}

/** Sets the value of a source; of too many sources the one that came first is forgotten. */
function remember(map: Map<string, number>, address: string, value: number): void {
  if (map.size >= MOST_SOURCES && !map.has(address)) {
    for (const oldest of map.keys()) {
      map.delete(oldest);
      break;
    }
  }
  map.set(address, value);
}
