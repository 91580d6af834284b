/** How long an application's own code may take while a peer waits: promises that are late are given up. */
import { MediaError, type Clock, type Timer } from "../foundation/index.js";
import { isPromise } from "./maybe-promise.js";
import type { MaybePromise } from "./media-handler.js";

export class TimeLimit {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #waiting = new Set<() => void>();
  #timer: Timer | undefined;
  #isOver = false;

  /** @param ms - For everything together; counts from the first promise on. */
  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /**
   * The value, if it comes in time; else rejects with MediaError rule `too-slow`, `statusHint` 500.
   * @param onLate - Gets what comes after that.
   */
  async wait<T>(value: MaybePromise<T>, onLate: (value: T) => void): Promise<T> {
    if (!isPromise(value)) return value;
    this.#timer ??= this.#clock.setTimer(this.#ms, () => this.end());
    return new Promise((resolve, reject) => {
      const expire = (): void => reject(tooSlow(this.#ms));
      if (this.#isOver) expire();
      else this.#waiting.add(expire);
      Promise.resolve(value).then(
        (result) => {
          if (this.#waiting.delete(expire)) resolve(result);
          else onLate(result);
        },
        (error: unknown) => {
          this.#waiting.delete(expire);
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  /** What has not come by now is late. Idempotent. */
  end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const expire of waiting) expire();
  }
}

function tooSlow(ms: number): MediaError {
  return new MediaError(`Nothing was decided within ${ms / 1000} s`, {
    rule: "too-slow",
    statusHint: 500,
  });
}
