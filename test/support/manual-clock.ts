/** A clock that stands still until a test advances it. */
import type { Clock, Timer } from "../../lib/foundation/clock.js";

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
  done: boolean;
}

export class ManualClock implements Clock {
  #now = 0;
  #order = 0;
  #entries: Entry[] = [];
  /** Time of day at which `now()` was 0; put forward it is a machine that has slept. */
  epoch = Date.UTC(2026, 0, 1);

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.epoch + this.#now;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const entry: Entry = {
      at: this.#now + Math.max(0, delayMs),
      order: this.#order++,
      callback,
      done: false,
    };
    this.#entries.push(entry);
    return {
      cancel: () => {
        entry.done = true;
        this.#entries = this.#entries.filter((e) => e !== entry);
      },
    };
  }

  defer(callback: () => void): void {
    this.setTimer(0, callback);
  }

  /** Number of timers that have neither fired nor been cancelled. */
  pendingTimers(): number {
    return this.#entries.length;
  }

  /** Times (absolute, ms) at which pending timers will fire. */
  schedule(): number[] {
    return this.#entries.map((e) => e.at).sort((a, b) => a - b);
  }

  /** Moves time forward and fires what falls due, in order. Synchronous. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#next(end);
      if (!next) break;
      this.#fire(next);
    }
    this.#now = end;
  }

  /** A process that was held for so long: what fell due meanwhile comes late, all at once and in order. */
  stall(ms: number): void {
    this.#now += ms;
  }

  /** As `advance`, but lets promises settle before and after each timer. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#next(end);
      if (!next) break;
      this.#fire(next);
      await settle();
    }
    this.#now = end;
    await settle();
  }

  #next(end: number): Entry | undefined {
    let best: Entry | undefined;
    for (const e of this.#entries) {
      if (e.at > end) continue;
      if (!best || e.at < best.at || (e.at === best.at && e.order < best.order)) best = e;
    }
    return best;
  }

  #fire(entry: Entry): void {
    this.#entries = this.#entries.filter((e) => e !== entry);
    this.#now = Math.max(this.#now, entry.at);
    if (entry.done) return;
    entry.done = true;
    entry.callback();
  }
}

/** Lets every promise that can settle without time or I/O settle. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 25; i++) await Promise.resolve();
}
