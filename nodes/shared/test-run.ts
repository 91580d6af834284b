/** One press of a test button: its steps with their times, the reason in plain words, its limit, its cancellation. */
import { type Clock, errorText, printable } from "../../lib/index.js";

export type TestStepName =
  "settings" | "dns" | "socket" | "tls" | "options" | "register" | "unregister" | "media";

export interface TestStep {
  readonly name: TestStepName;
  readonly ok: boolean;
  /** Milliseconds. */
  readonly ms: number;
  readonly text: string;
  readonly detail?: string;
}

export interface TestResult {
  readonly ok: boolean;
  readonly steps: readonly TestStep[];
  /** In words, when it is not ok. */
  readonly reason?: string;
}

export interface StepText {
  readonly text: string;
  readonly detail?: string | undefined;
  /** Default true. A step that is not ok does not end the test by itself. */
  readonly ok?: boolean;
}

/** Ends a test: no further step makes sense. `reason` is for people. */
export class TestFailure extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}

/** The whole test takes no longer (contract §8 "Test endpoints"). */
export const TEST_LIMIT_MS = 15_000;
const LONGEST_TEXT = 400;

export class TestRun {
  readonly #steps: TestStep[] = [];
  readonly #abort = new AbortController();
  readonly #began: number;
  #reason: string | undefined;

  constructor(readonly clock: Clock) {
    this.#began = clock.now();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Milliseconds that are left. */
  get left(): number {
    return Math.max(0, TEST_LIMIT_MS - (this.clock.now() - this.#began));
  }

  /** The person has gone, or pressed again. */
  cancel(): void {
    this.#abort.abort();
  }

  /** Does a step and remembers it. What `work` throws makes it a failed one, and is thrown on. */
  async step(name: TestStepName, work: () => Promise<StepText> | StepText): Promise<void> {
    const began = this.clock.now();
    try {
      this.signal.throwIfAborted();
      const text = await work();
      this.add(name, this.clock.now() - began, text);
    } catch (error) {
      this.add(name, this.clock.now() - began, { text: errorText(error), ok: false });
      throw error;
    }
  }

  /** A step that was done otherwise. */
  add(name: TestStepName, ms: number, { text, detail, ok = true }: StepText): void {
    this.#steps.push({
      name,
      ok,
      ms: Math.round(ms),
      text: printable(text, LONGEST_TEXT),
      ...(detail === undefined ? {} : { detail: printable(detail, LONGEST_TEXT) }),
    });
  }

  /** What the promise brings, or `late()` after so many milliseconds, or the cancellation. */
  within<T>(promise: Promise<T>, limitMs: number, late: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.setTimer(Math.min(limitMs, this.left), () =>
        settle(() => resolve(late())),
      );
      const abort = (): void => settle(() => reject(new TestFailure("cancelled")));
      const settle = (end: () => void): void => {
        timer.cancel();
        this.signal.removeEventListener("abort", abort);
        end();
      };
      this.signal.addEventListener("abort", abort);
      promise.then(
        (value) => settle(() => resolve(value)),
        (error: unknown) =>
          settle(() => reject(error instanceof Error ? error : new Error(errorText(error)))),
      );
    });
  }

  /** Why it has failed; the first reason counts. */
  fail(reason: string): void {
    this.#reason ??= printable(reason, LONGEST_TEXT);
  }

  result(): TestResult {
    const ok = this.#reason === undefined && this.#steps.every((step) => step.ok);
    return {
      ok,
      steps: this.#steps,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    };
  }
}

/** Tests under way by node: one at a time and node, and few at once. */
export class TestRuns {
  readonly #runs = new Map<string, TestRun>();

  constructor(readonly most: number) {}

  /** @returns undefined when one runs for this node, or too many run. */
  begin(nodeId: string, clock: Clock): TestRun | undefined {
    if (this.#runs.has(nodeId) || this.#runs.size >= this.most) return undefined;
    const run = new TestRun(clock);
    this.#runs.set(nodeId, run);
    return run;
  }

  end(nodeId: string): void {
    this.#runs.delete(nodeId);
  }
}
