/** Real time that runs faster, for tests of real sockets whose waits are long. */
import { SystemClock, type Timer } from "../../lib/foundation/clock.js";

export class FastClock extends SystemClock {
  constructor(readonly factor: number) {
    super();
  }

  override now(): number {
    return super.now() * this.factor;
  }

  override setTimer(delayMs: number, callback: () => void): Timer {
    return super.setTimer(delayMs / this.factor, callback);
  }
}
