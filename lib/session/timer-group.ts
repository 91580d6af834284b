/** The timers of one session: they end together. */
import { LinkedList } from "../foundation/index.js";
import type { Clock, Timer } from "../foundation/index.js";

/** What is there when no timer runs any more. */
export const NO_TIMER: Timer = { cancel: () => undefined };

export class TimerGroup {
  readonly #clock: Clock;
  readonly #running = new LinkedList<GroupedTimer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(delayMs: number, callback: () => void): Timer {
    const timer = new GroupedTimer(this.#running);
    timer.start(this.#clock, delayMs, callback);
    return timer;
  }

  cancelAll(): void {
    for (let timer = this.#running.shift(); timer !== undefined; timer = this.#running.shift()) {
      timer.cancel();
    }
  }
}

/** Known to its group as long as it runs. */
class GroupedTimer implements Timer {
  readonly #running: LinkedList<GroupedTimer>;
  #timer: Timer = NO_TIMER;

  constructor(running: LinkedList<GroupedTimer>) {
    this.#running = running;
    running.push(this);
  }

  start(clock: Clock, delayMs: number, callback: () => void): void {
    this.#timer = clock.setTimer(delayMs, () => {
      this.#running.remove(this);
      callback();
    });
  }

  cancel(): void {
    this.#running.remove(this);
    this.#timer.cancel();
  }
}
