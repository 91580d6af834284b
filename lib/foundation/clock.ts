/**
 * Time as an injected dependency: the only file of the protocol rooms' world that touches real timers.
 * Tests inject `ManualClock` (test/support/manual-clock.ts) and advance time by hand.
 */
import { performance } from "node:perf_hooks";

/** A pending timer. Cancelling twice, or after it fired, has no effect. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic time in milliseconds; only differences mean something. */
  now(): number;
  /** Time of day in milliseconds since the epoch, for dates shown to people. */
  wallTime(): number;
  /** Calls `callback` once after `delayMs` milliseconds. Never synchronously. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Calls `callback` in a later turn of the event loop, after pending I/O, before later timers. */
  defer(callback: () => void): void;
}

/** Longest delay that Node's timers keep; longer ones would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

class NodeTimer implements Timer {
  #timeout: NodeJS.Timeout | undefined;

  constructor(delayMs: number, callback: () => void) {
    this.#timeout = setTimeout(callback, Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS));
  }

  cancel(): void {
    if (this.#timeout === undefined) return;
    clearTimeout(this.#timeout);
    this.#timeout = undefined;
  }
}

/** The real clock of this process. */
export class SystemClock implements Clock {
  now(): number {
    return performance.now();
  }

  wallTime(): number {
    return Date.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return new NodeTimer(delayMs, callback);
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }
}
