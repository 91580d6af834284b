/** The timers of one session: they end together. */
import type { Clock, Timer } from "../foundation/index.js";

/** What is there when no timer runs any more. */
export const NO_TIMER: Timer = { cancel: () => undefined };

export class TimerGroup {
  readonly #clock: Clock;
  readonly #running: GroupedTimer[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(delayMs: number, callback: () => void): Timer {
    const timer = new GroupedTimer(this.#running);
    timer.start(this.#clock, delayMs, callback);
    return timer;
  }

  cancelAll(): void {
    while (this.#running.length > 0) this.#running[0]?.cancel();
  }
}

/** Known to its group as long as it runs. */
class GroupedTimer implements Timer {
  readonly #running: GroupedTimer[];
  #timer: Timer = NO_TIMER;

  constructor(running: GroupedTimer[]) {
    this.#running = running;
    running.push(this);
  }

  start(clock: Clock, delayMs: number, callback: () => void): void {
    this.#timer = clock.setTimer(delayMs, () => {
      this.#leave();
      callback();
    });
  }

  cancel(): void {
    this.#leave();
    this.#timer.cancel();
  }

  /** A session has few timers at a time. */
  #leave(): void {
    const index = this.#running.indexOf(this);
    if (index >= 0) this.#running.splice(index, 1);
  }
}
