/**
 * Notices that the machine has slept or has moved to another network. Its timers stand still in its sleep, the
 * registrar's do not, and from another address nobody reaches the old Contact: bindings are lost long before our refresh
 * is due (RFC 3261 §10.2.4).
 */
import type { Clock, Timer } from "../foundation/index.js";

const LOOK_EVERY_MS = 20_000;
/** Time of day that passed beside our own time; less is a clock that was set right. */
const SLEPT_MS = 30_000;

export interface WakeWatchOptions {
  readonly clock: Clock;
  /** Another number = other addresses. */
  addressVersion(): number;
  /** The machine slept, or its clock was put forward, by so many milliseconds. */
  onWake(sleptMs: number): void;
  /** The machine has other addresses, or another way out. */
  onMove(): void;
}

export class WakeWatch {
  readonly #options: WakeWatchOptions;
  #timer: Timer | undefined;

  constructor(options: WakeWatchOptions) {
    this.#options = options;
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
    const { clock } = this.#options;
    const offset = clock.wallTime() - clock.now();
    const version = this.#options.addressVersion();
    this.#timer = clock.setTimer(LOOK_EVERY_MS, () => {
      const slept = clock.wallTime() - clock.now() - offset;
      this.#lookLater();
      if (slept >= SLEPT_MS) this.#options.onWake(slept);
      else if (this.#options.addressVersion() !== version) this.#options.onMove();
    });
  }
}
