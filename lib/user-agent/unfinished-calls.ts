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

/** `later`: not now, and without a word; `never`: there is no room. */
export type Admission = "now" | "later" | "never";

/** Calls by number, in order of time. Of numbers only: a table that lives long keeps alive what passes through it. */
class Queue {
  readonly #times = new Map<number, number>();

  get size(): number {
    return this.#times.size;
  }

  add(call: number, now: number): void {
    this.#times.set(call, now);
  }

  remove(call: number): void {
    this.#times.delete(call);
  }

  /** Are there so many, and has the oldest been here for so long? */
  isTooMuch(most: number, now: number, ms: number): boolean {
    if (this.#times.size < most) return false;
    for (const time of this.#times.values()) return now - time >= ms;
    return false;
  }
}

class Crowd {
  readonly unfinished = new Queue();
  readonly unconfirmed = new Queue();
}

class Source extends Crowd {
  /** Confirmed calls, up to a limit. */
  credit = 0;
  /** When it was first found to have too many. */
  fullSince: number | undefined;

  constructor(readonly address: string) {
    super();
  }
}

/** One call, as those report who have it. Each may be called at any time; what is said twice counts once. */
export class UnfinishedCall {
  readonly #calls: UnfinishedCalls;
  readonly #source: Source;
  readonly #number: number;
  #state: "unanswered" | "unconfirmed" | "finished" = "unanswered";

  constructor(calls: UnfinishedCalls, source: Source, number: number) {
    this.#calls = calls;
    this.#source = source;
    this.#number = number;
  }

  /** Our 2xx is out. */
  answered(): void {
    if (this.#state !== "unanswered") return;
    this.#state = "unconfirmed";
    this.#calls.answered(this.#source, this.#number);
  }

  /** The ACK came. */
  confirmed(): void {
    if (this.#state === "finished") return;
    this.closed();
    this.#calls.confirmed(this.#source);
  }

  /** It is over. */
  closed(): void {
    if (this.#state === "finished") return;
    this.#state = "finished";
    this.#calls.finished(this.#source, this.#number);
  }
}

export class UnfinishedCalls {
  readonly #clock: Clock;
  readonly #strangers = new Map<string, Source>();
  /** Those that have confirmed a call, which nobody can who forges an address: no flood pushes them out. */
  readonly #known = new Map<string, Source>();
  /** Calls of all sources, of each no more than a source may have: one that floods does not make a crowd. */
  readonly #crowd = new Crowd();
  #next = 0;
  #size = 0;
  /** Sources that have unfinished calls. */
  #active = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#size;
  }

  /** May one more call of this source come in? */
  admits(address: string): Admission {
    const source = this.#sourceOf(address);
    const now = this.#clock.now();
    if (this.#hasRoom(source, now)) {
      source.fullSince = undefined;
      return "now";
    }
    source.fullSince ??= now;
    return now - source.fullSince < BENEFIT_OF_DOUBT_MS ? "later" : "never";
  }

  #hasRoom({ unfinished, unconfirmed, credit }: Source, now: number): boolean {
    if (unconfirmed.isTooMuch(UNCONFIRMED + credit, now, LONG_UNCONFIRMED_MS)) return false;
    if (unfinished.isTooMuch(UNFINISHED + credit, now, LONG_UNFINISHED_MS)) return false;
    if (credit > 0 || !this.#isCrowded(1, now)) return true;
    if (this.#isCrowded(FAR_TOO_MANY, now)) return false;
    return unfinished.size < Math.max(LEAST_SHARE, MANY_UNCONFIRMED / Math.max(1, this.#active));
  }

  #isCrowded(times: number, now: number): boolean {
    const { unfinished, unconfirmed } = this.#crowd;
    return (
      unconfirmed.isTooMuch(times * MANY_UNCONFIRMED, now, LONG_UNCONFIRMED_MS) ||
      unfinished.isTooMuch(times * MANY_UNFINISHED, now, LONG_UNFINISHED_MS)
    );
  }

  /** A call came in. */
  add(address: string): UnfinishedCall {
    const source = this.#sourceOf(address);
    const number = this.#next++;
    const now = this.#clock.now();
    const { unfinished } = source;
    if (unfinished.size === 0) this.#active++;
    if (unfinished.size < UNFINISHED) this.#crowd.unfinished.add(number, now);
    unfinished.add(number, now);
    this.#size++;
    return new UnfinishedCall(this, source, number);
  }

  /** From a call. */
  answered({ unconfirmed }: Source, number: number): void {
    const now = this.#clock.now();
    if (unconfirmed.size < UNCONFIRMED) this.#crowd.unconfirmed.add(number, now);
    unconfirmed.add(number, now);
  }

  /** From a call. */
  finished(source: Source, number: number): void {
    for (const { unfinished, unconfirmed } of [source, this.#crowd]) {
      unfinished.remove(number);
      unconfirmed.remove(number);
    }
    if (source.unfinished.size === 0) this.#active--;
    this.#size--;
  }

  /** From a call. */
  confirmed(source: Source): void {
    if (source.credit === 0) {
      this.#strangers.delete(source.address);
      remember(this.#known, source);
    }
    source.credit = Math.min(source.credit + 1, MOST_CREDIT);
  }

  #sourceOf(address: string): Source {
    const found = this.#known.get(address) ?? this.#strangers.get(address);
    if (found !== undefined) return found;
    const source = new Source(address);
    remember(this.#strangers, source);
    return source;
  }
}

/** Of too many sources the one that came first is forgotten; its calls, if it has any, still know it. */
function remember(sources: Map<string, Source>, source: Source): void {
  if (sources.size >= MOST_SOURCES) {
    for (const oldest of sources.keys()) {
      sources.delete(oldest);
      break;
    }
  }
  sources.set(source.address, source);
}
