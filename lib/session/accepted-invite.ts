/** A 2xx of ours to an INVITE: repeated until the ACK comes, given up after 64·T1 (RFC 3261 §13.3.1.4). */
import type { Timer } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { SessionCore } from "./session-core.js";

export class AcceptedInvite {
  readonly #core: SessionCore;
  readonly #transaction: ServerTransaction;
  readonly #response: SipResponse;
  readonly #onAck: (ack: SipRequest) => void;
  readonly #onTimeout: () => void;
  #timer: Timer;
  #interval: number;
  /** Milliseconds until it is given up, from the moment the timer runs out. */
  #left: number;

  /**
   * Sends the response for the first time.
   *
   * @param onTimeout - No ACK came.
   */
  constructor(
    core: SessionCore,
    transaction: ServerTransaction,
    response: SipResponse,
    onAck: (ack: SipRequest) => void,
    onTimeout: () => void,
  ) {
    const { t1 } = core.services.timers;
    this.#core = core;
    this.#transaction = transaction;
    this.#response = response;
    this.#onAck = onAck;
    this.#onTimeout = onTimeout;
    this.#interval = t1;
    this.#left = 63 * t1;
    transaction.respond(response);
    this.#timer = core.after(t1, () => this.#repeat());
  }

  /** Sequence number that the ACK has. */
  get sequence(): number {
    return this.#transaction.request.cseq.sequence;
  }

  acknowledge(ack: SipRequest): void {
    this.stop();
    this.#onAck(ack);
  }

  stop(): void {
    this.#timer.cancel();
  }

  /** Over reliable transports too: a later hop may be UDP (§13.3.1.4). */
  #repeat(): void {
    if (this.#left <= 0) {
      this.#onTimeout();
      return;
    }
    this.#interval = Math.min(2 * this.#interval, this.#core.services.timers.t2, this.#left);
    this.#left -= this.#interval;
    this.#timer = this.#core.after(this.#interval, () => this.#repeat());
    this.#transaction.respond(this.#response);
  }
}
