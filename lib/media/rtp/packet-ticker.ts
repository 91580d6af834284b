/**
 * The beat of all sessions: a tick of 5 ms with the sessions spread over it, so that with 20 ms packets a quarter of
 * them is served at each tick. The time of a tick is reckoned from the start, not from the one before, so nothing
 * drifts; ticks that came late are made up for, up to a bound, and skipped beyond it.
 */
import type { Clock, Timer } from "../../foundation/index.js";

export const TICK_MS = 5;
/** More late ticks than this (200 ms) are skipped: the process or the machine stood still. */
const MOST_CATCH_UP = 40;
/** Jobs of one quarter that make no burst. */
const A_FEW = 8;
/** Longer than the longest period, in ticks. */
const WHEEL = 16;

export interface TickJob {
  /** Milliseconds between calls, a multiple of `TICK_MS`, at most 60; read anew after each call. */
  readonly periodMs: number;
  tick(nowMs: number): void;
  /** So much time was left out. */
  skipped(ms: number): void;
}

interface Entry {
  readonly job: TickJob;
  removed: boolean;
}

export class PacketTicker {
  readonly #clock: Clock;
  readonly #wheel: Entry[][] = Array.from({ length: WHEEL }, () => []);
  readonly #entries = new Map<TickJob, Entry>();
  #timer: Timer | undefined;
  #origin = 0;
  /** The next tick to run, counted from the origin. */
  #next = 0;
  #ticking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Begins to call the job, in a quarter that has a few, or in the one that has the fewest. */
  add(job: TickJob): void {
    if (this.#entries.has(job)) return;
    if (this.#entries.size === 0) {
      this.#origin = this.#clock.now();
      this.#next = 0;
    }
    const entry: Entry = { job, removed: false };
    this.#entries.set(job, entry);
    const now = this.#reached();
    let best = now + 1;
    for (let tick = now + 2; tick <= now + periodTicks(job); tick++) {
      if (isBetter(this.#load(tick), this.#load(best))) best = tick;
    }
    this.#bucket(Math.min(best, this.#next + WHEEL - 1)).push(entry);
    this.#schedule();
  }

  remove(job: TickJob): void {
    const entry = this.#entries.get(job);
    if (entry === undefined) return;
    entry.removed = true;
    this.#entries.delete(job);
    if (this.#entries.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const bucket of this.#wheel) bucket.length = 0;
  }

  /**
   * Runs a tick that is due, from wherever time passes between two runs of the event loop's timers: a busy loop reads
   * hundreds of sockets before it looks at its timers again, and the packets that go out would wait for all of them.
   */
  poll(nowMs: number): void {
    if (this.#ticking || this.#timer === undefined) return;
    const late = nowMs - (this.#origin + this.#next * TICK_MS);
    // The timer, which stays, finds nothing to do and waits for the tick after this one. What is to be skipped is its.
    if (late >= 0 && late < MOST_CATCH_UP * TICK_MS) this.#tick(nowMs);
  }

  #run(): void {
    this.#timer = undefined;
    const behind = Math.floor((this.#clock.now() - this.#origin) / TICK_MS) - this.#next;
    if (behind > MOST_CATCH_UP) {
      const skipped = (behind - MOST_CATCH_UP) * TICK_MS;
      this.#origin += skipped;
      for (const { job } of this.#entries.values()) job.skipped(skipped);
    }
    // Bounded, so that under overload the sockets are still read between two runs.
    for (let ticks = 0; ticks <= MOST_CATCH_UP && this.#entries.size > 0; ticks++) {
      const now = this.#clock.now();
      if (this.#origin + this.#next * TICK_MS > now) break;
      this.#tick(now);
    }
    if (this.#entries.size > 0) this.#schedule();
  }

  #tick(nowMs: number): void {
    const place = this.#next % WHEEL;
    const due = this.#wheel[place];
    this.#wheel[place] = [];
    this.#next += 1;
    this.#ticking = true;
    try {
      for (const entry of due) {
        if (entry.removed) continue;
        entry.job.tick(nowMs);
        if (!entry.removed) this.#bucket(this.#next - 1 + periodTicks(entry.job)).push(entry);
      }
    } finally {
      this.#ticking = false;
    }
  }

  /** For the next tick that has a job: with few calls most have none, and waking up costs more than a packet. */
  #schedule(): void {
    this.#timer?.cancel();
    let tick = this.#next;
    while (this.#bucket(tick).length === 0 && tick < this.#next + WHEEL) tick += 1;
    const due = this.#origin + tick * TICK_MS;
    this.#timer = this.#clock.setTimer(Math.max(1, due - this.#clock.now()), () => this.#run());
  }

  #bucket(tick: number): Entry[] {
    return this.#wheel[tick % WHEEL];
  }

  /** The tick that time has come to: between two that have jobs nothing counts them. */
  #reached(): number {
    const passed = Math.floor((this.#clock.now() - this.#origin) / TICK_MS);
    return Math.min(Math.max(this.#next, passed), this.#next + WHEEL - 2);
  }

  /** How many share the beat that a job beginning at a tick would have. */
  #load(first: number): number {
    let load = 0;
    for (let tick = first; tick < first + WHEEL; tick += 4) load += this.#bucket(tick).length;
    return load;
  }
}

/** A few jobs together need one waking up in place of several; many would be a burst. */
function isBetter(load: number, than: number): boolean {
  if (load < A_FEW && than < A_FEW) return load > than;
  return load < than;
}

function periodTicks(job: TickJob): number {
  return Math.min(WHEEL - 1, Math.max(1, Math.round(job.periodMs / TICK_MS)));
}
