/** How late the event loop of this process is, measured only while somebody wants to know. */
import type { Clock, Timer } from "../../lib/index.js";

const EVERY_MS = 500;
/** So many measurements count: 5 s. */
const KEPT = 10;
/** Nobody has asked for so many measurements: 15 s. */
const IDLE = 30;

export class EventLoopLag {
  readonly #late: number[] = [];
  #idle = 0;
  #timer: Timer | undefined;

  constructor(private readonly clock: () => Clock) {}

  /** The longest delay of the last 5 s, milliseconds. The first question begins the measurement. */
  now(): number {
    this.#idle = 0;
    if (this.#timer === undefined) this.#measure();
    return Math.max(0, ...this.#late);
  }

  #measure(): void {
    const clock = this.clock();
    const due = clock.now() + EVERY_MS;
    this.#timer = clock.setTimer(EVERY_MS, () => {
      this.#timer = undefined;
      if (this.#idle++ >= IDLE) {
        this.#late.length = 0;
        return;
      }
      this.#late.push(clock.now() - due);
      if (this.#late.length > KEPT) this.#late.shift();
      this.#measure();
    });
  }
}
