/**
 * Tells open editors that there is something new: topic `sip/changed`, at most five times a second, with a number that grows. They
 * fetch what they show.
 */
import type { NodeAPI } from "node-red";

const SHORTEST_PAUSE_MS = 200;

class Changes {
  #publish: ((revision: number) => void) | undefined;
  #revision = 0;
  #told = 0;
  #pause: NodeJS.Timeout | undefined;

  get revision(): number {
    return this.#revision;
  }

  /** The editors of this runtime; without an editor nobody is told. */
  publishTo(RED: NodeAPI): void {
    this.#publish = (revision) => RED.comms.publish("sip/changed", { revision }, false);
  }

  /** Calls, registrations or their messages are others now. Quick, however often it is called. */
  tell(): void {
    this.#revision++;
    if (this.#pause === undefined) this.#send();
  }

  #send(): void {
    this.#told = this.#revision;
    this.#publish?.(this.#revision);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#told !== this.#revision) this.#send();
    }, SHORTEST_PAUSE_MS).unref();
  }
}

export const changes = new Changes();
