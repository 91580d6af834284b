/**
 * The beat of all sessions: a tick of 5 ms with the sessions spread over it, so that with 20 ms packets a quarter of
 * them is served at each tick. The time of a tick is reckoned from the start, not from the one before, so nothing
 * drifts; ticks that came late are made up for, up to a bound, and skipped beyond it.
 */
import type { Clock, Timer } from "../../foundation/index.js";

export const TICK_MS = 5;
/** More late ticks than this (200 ms) are skipped: the process or the machine stood still. */
const MOST_CATCH_UP = 40;
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

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Begins to call the job, in the quarter that has the fewest. */
  add(job: TickJob): void {
    if (this.#entries.has(job)) return;
    if (this.#entries.size === 0) {
      this.#origin = this.#clock.now();
      this.#next = 0;
    }
    const entry: Entry = { job, removed: false };
    this.#entries.set(job, entry);
    let best = 1;
    for (let offset = 2; offset <= periodTicks(job); offset++) {
      if (this.#load(offset) < this.#load(best)) best = offset;
    }
    this.#bucket(this.#next + best).push(entry);
    if (this.#timer === undefined) this.#schedule();
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
    // A job that was added meanwhile may have set the timer already.
    if (this.#entries.size > 0 && this.#timer === undefined) this.#schedule();
  }

  #tick(nowMs: number): void {
    const place = this.#next % WHEEL;
    const due = this.#wheel[place];
    this.#wheel[place] = [];
    this.#next += 1;
    for (const entry of due) {
      if (entry.removed) continue;
      entry.job.tick(nowMs);
      if (!entry.removed) this.#bucket(this.#next - 1 + periodTicks(entry.job)).push(entry);
    }
  }

  #schedule(): void {
    const due = this.#origin + this.#next * TICK_MS;
    this.#timer = this.#clock.setTimer(Math.max(1, due - this.#clock.now()), () => this.#run());
  }

  #bucket(tick: number): Entry[] {
    return this.#wheel[tick % WHEEL];
  }

  /** How many share the beat that a job beginning in `offset` ticks would have. */
  #load(offset: number): number {
    let load = 0;
    for (let tick = this.#next + offset; tick < this.#next + WHEEL; tick += 4) {
      load += this.#bucket(tick).length;
    }
    return load;
  }
}

function periodTicks(job: TickJob): number {
  return Math.min(WHEEL - 1, Math.max(1, Math.round(job.periodMs / TICK_MS)));
}
