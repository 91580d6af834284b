/**
 * Tests that measure live sound cannot tell a fault of ours from a machine that gave us no processor for a while. With
 * `beforeEach(onceMoreWhenDisturbed)` such a test runs once more, at most twice, but only when it failed while the machine
 * stood still; a failure on a machine that did not is final at once, and so is the third in any case.
 */
import { monitorEventLoopDelay, type IntervalHistogram } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import type { Context, Test } from "mocha";

/** Milliseconds that a thread which does nothing but sleep came too late: nobody had a processor for it. */
const LONGEST_STALL_MS = 25;
/** The same of this thread, where the telephones of the tests live; it has work of its own to do. */
const LONGEST_DELAY_MS = 60;
const MOST_REPETITIONS = 2;

/** Sleeps for 5 ms again and again and notes the longest sleep. */
const SLEEPER = `
const { workerData } = require("node:worker_threads");
const longest = new Int32Array(workerData);
const bell = new Int32Array(new SharedArrayBuffer(4));
for (;;) {
  const from = performance.now();
  Atomics.wait(bell, 0, 0, 5);
  const late = Math.round(performance.now() - from - 5);
  if (late > Atomics.load(longest, 0)) Atomics.store(longest, 0, late);
}`;

class StallWatch implements Watch {
  readonly #longest = new Int32Array(new SharedArrayBuffer(4));
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: 5 });

  constructor() {
    new Worker(SLEEPER, { eval: true, execArgv: [], workerData: this.#longest.buffer }).unref();
    this.#delays.enable();
  }

  reset(): void {
    Atomics.store(this.#longest, 0, 0);
    this.#delays.reset();
  }

  get disturbance(): string | undefined {
    const stall = Atomics.load(this.#longest, 0);
    const delay = Math.round(this.#delays.max / 1e6);
    if (stall < LONGEST_STALL_MS && delay < LONGEST_DELAY_MS) return undefined;
    return `the machine stood still for ${stall} ms, this thread for ${delay} ms`;
  }
}

/** What tells whether a test was disturbed. */
export interface Watch {
  reset(): void;
  /** In words, or undefined when all was calm. */
  readonly disturbance: string | undefined;
}

interface Retries {
  (): number;
  (count: number): void;
}

let watch: StallWatch | undefined;

/** A hook for `beforeEach`. */
export function onceMoreWhenDisturbed(this: Context): void {
  watchTest(this.currentTest as Test, (watch ??= new StallWatch()));
}

export function watchTest(test: Test, stalls: Watch): void {
  const holder = test as unknown as { retries: Retries };
  const own = holder.retries.bind(test);
  let allowed: number | undefined;
  // Mocha asks when the test has failed.
  holder.retries = ((count?: number): number | undefined => {
    if (count !== undefined) {
      own(count);
      return undefined;
    }
    if (allowed !== undefined) return allowed;
    const { disturbance } = stalls;
    if (disturbance !== undefined) console.log(`      ${test.title}: ${disturbance}`);
    return (allowed = disturbance === undefined ? 0 : MOST_REPETITIONS);
  }) as Retries;
  stalls.reset();
}
