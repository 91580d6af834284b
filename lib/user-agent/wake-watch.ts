/**
 * Notices that the machine has slept: its timers stand still meanwhile, the registrar's do not. Then the bindings may be
 * gone long before our refresh is due (RFC 3261 §10.2.4).
 */
import type { Clock, Timer } from "../foundation/index.js";

const LOOK_EVERY_MS = 20_000;
/** Time of day that passed beside our own time; less is a clock that was set right. */
const SLEPT_MS = 30_000;

export class WakeWatch {
  readonly #clock: Clock;
  readonly #onWake: (sleptMs: number) => void;
  #timer: Timer | undefined;

  /** @param onWake - the machine slept, or its clock was put forward, by so many milliseconds. */
  constructor(clock: Clock, onWake: (sleptMs: number) => void) {
    this.#clock = clock;
    this.#onWake = onWake;
  }

  /** Idempotent. */
  start(): void {
    if (this.#timer === undefined) this.#lookLater();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookLater(): void {
    const clock = this.#clock;
    const offset = clock.wallTime() - clock.now();
    this.#timer = clock.setTimer(LOOK_EVERY_MS, () => {
      const slept = clock.wallTime() - clock.now() - offset;
      this.#lookLater();
      if (slept >= SLEPT_MS) this.#onWake(slept);
    });
  }
}
