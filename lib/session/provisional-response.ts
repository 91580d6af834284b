/** The last provisional response to an INVITE, repeated each minute: a proxy gives up a silent call (RFC 3261 §13.3.1.1). */
import type { Timer } from "../foundation/index.js";
import type { SipResponse } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { SessionCore } from "./session-core.js";

const REPEAT_MS = 60_000;

export class ProvisionalResponse {
  readonly #core: SessionCore;
  readonly #transaction: ServerTransaction;
  #repetition: Timer | undefined;

  constructor(core: SessionCore, transaction: ServerTransaction) {
    this.#core = core;
    this.#transaction = transaction;
  }

  send(response: SipResponse): void {
    this.stop();
    this.#transaction.respond(response);
    this.#repetition = this.#core.after(REPEAT_MS, () => {
      if (!this.#transaction.answered) this.send(response);
    });
  }

  stop(): void {
    this.#repetition?.cancel();
  }
}
