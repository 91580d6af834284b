/**
 * Timers shared by many transactions. All timers of one letter run equally long, so those that are waiting stand
 * in a list in the order in which they will expire, and one clock timer, set for the first, serves them all.
 * Starting and cancelling cost a few assignments; thousands of lingering transactions hold one clock timer.
 */
import type { Clock, Timer } from "../foundation/index.js";
import {
  retransmissionInterval,
  timerLength,
  type FixedTimer,
  type RetransmissionTimer,
  type TimerName,
} from "./timers.js";
import type { TimerOptions } from "./transaction-user.js";

/** Whoever started a timer. */
export interface TimerOwner {
  onTimer(name: TimerName): void;
}

/** One waiting timer. Cancelling twice, or after it expired, has no effect. */
export class TimerEntry {
  previous: TimerEntry | undefined = undefined;
  next: TimerEntry | undefined = undefined;
  waiting = true;

  constructor(
    private readonly queue: TimerQueue,
    readonly owner: TimerOwner,
    /** Clock time of the expiry in milliseconds. */
    readonly due: number,
  ) {}

  cancel(): void {
    if (this.waiting) this.queue.remove(this);
  }
}

/** The waiting timers of one letter and length. */
export class TimerQueue {
  readonly #clock: Clock;
  readonly #name: TimerName;
  readonly #length: number;
  #first: TimerEntry | undefined;
  #last: TimerEntry | undefined;
  #timer: Timer | undefined;
  #firing = false;

  /** @param length - Milliseconds, above 0. */
  constructor(clock: Clock, name: TimerName, length: number) {
    this.#clock = clock;
    this.#name = name;
    this.#length = length;
  }

  start(owner: TimerOwner): TimerEntry {
    const entry = new TimerEntry(this, owner, this.#clock.now() + this.#length);
    entry.previous = this.#last;
    if (this.#last) this.#last.next = entry;
    else this.#first = entry;
    this.#last = entry;
    if (!this.#firing) this.#timer ??= this.#clock.setTimer(this.#length, this.#expire);
    return entry;
  }

  remove(entry: TimerEntry): void {
    if (entry.previous) entry.previous.next = entry.next;
    else this.#first = entry.next;
    if (entry.next) entry.next.previous = entry.previous;
    else this.#last = entry.previous;
    entry.previous = entry.next = undefined;
    entry.waiting = false;
    if (this.#first || !this.#timer) return;
    this.#timer.cancel();
    this.#timer = undefined;
  }

  /** Makes the timer that has waited longest expire now. @returns false when none is waiting. */
  expireOldest(): boolean {
    const entry = this.#first;
    if (!entry) return false;
    this.remove(entry);
    entry.owner.onTimer(this.#name);
    return true;
  }

  /** A cancelled head leaves the clock timer in place: it then finds nothing due and waits for the new head. */
  readonly #expire = (): void => {
    this.#timer = undefined;
    this.#firing = true;
    const now = this.#clock.now();
    try {
      while (this.#first && this.#first.due <= now) this.expireOldest();
    } finally {
      this.#firing = false;
      if (this.#first) {
        this.#timer = this.#clock.setTimer(Math.max(0, this.#first.due - now), this.#expire);
      }
    }
  };
}

/** Every queue of one transaction layer. */
export class TransactionTimers {
  readonly #clock: Clock;
  readonly #options: TimerOptions;
  /** By length, because that of some depends on the transport. */
  readonly #fixed = new Map<FixedTimer, Map<number, TimerQueue>>();
  readonly #growing: Record<RetransmissionTimer, TimerQueue[]> = { A: [], E: [], G: [] };

  constructor(clock: Clock, options: TimerOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /**
   * Starts a timer of constant length.
   *
   * @returns undefined when its length is 0 over this transport: then the caller proceeds at once.
   */
  start(name: FixedTimer, owner: TimerOwner, reliable: boolean): TimerEntry | undefined {
    const length = timerLength(name, this.#options, reliable);
    if (length <= 0) return undefined;
    return this.#queue(name, length).start(owner);
  }

  /** Starts A, E or G. @param expiries - How often it has expired before. */
  startRetransmission(name: RetransmissionTimer, owner: TimerOwner, expiries: number): TimerEntry {
    return this.#growingQueue(name, expiries).start(owner);
  }

  /**
   * The start of E once a provisional response came: from then on the interval is T2 (RFC 3261 §17.1.2.2).
   */
  startLongestE(owner: TimerOwner): TimerEntry {
    let expiries = 0;
    while (retransmissionInterval("E", expiries, this.#options) < this.#options.t2) expiries++;
    return this.startRetransmission("E", owner, expiries);
  }

  /** Ends the wait of the longest waiting timer of this letter. @returns false when none waits. */
  expireOldest(name: FixedTimer): boolean {
    for (const queue of this.#fixed.get(name)?.values() ?? []) {
      if (queue.expireOldest()) return true;
    }
    return false;
  }

  /** E and G stay at T2 once they have reached it: all later expiries share that queue. */
  #growingQueue(name: RetransmissionTimer, expiries: number): TimerQueue {
    const known = this.#growing[name][expiries];
    if (known) return known;
    const length = retransmissionInterval(name, expiries, this.#options);
    const capped =
      expiries > 0 && length === retransmissionInterval(name, expiries - 1, this.#options);
    const queue = capped
      ? this.#growingQueue(name, expiries - 1)
      : new TimerQueue(this.#clock, name, length);
    this.#growing[name][expiries] = queue;
    return queue;
  }

  #queue(name: FixedTimer, length: number): TimerQueue {
    let queues = this.#fixed.get(name);
    if (!queues) {
      queues = new Map<number, TimerQueue>();
      this.#fixed.set(name, queues);
    }
    let queue = queues.get(length);
    if (!queue) {
      queue = new TimerQueue(this.#clock, name, length);
      queues.set(length, queue);
    }
    return queue;
  }
}
