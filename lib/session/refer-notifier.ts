/**
 * The NOTIFYs that we owe a peer whose REFER we have taken (RFC 3515 §2.4.4): one at a time, in order; and the SUBSCRIBEs
 * with which the peer prolongs or ends that.
 */
import type { Timer } from "../foundation/index.js";
import { formatSipFragment } from "../message/index.js";
import {
  formatEvent,
  formatSubscriptionState,
  LEAST_EXPIRES_S,
  LONGEST_EXPIRES_S,
  type EventHeader,
} from "../subscription/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { sendInDialog } from "./in-dialog-request.js";
import { NO_REQUEST, outcomeOfFailure, outcomeOfResponse } from "./outcomes.js";
import type { SessionCore } from "./session-core.js";
import type { ActionOutcome } from "./session-types.js";

/** Seconds that an accepted REFER may take until its end is told. */
const EXPIRES = 180;
const CONTENT_TYPE = "message/sipfrag;version=2.0";
/** NOTIFYs that wait for their turn. */
const MOST_QUEUED = 32;

interface Notification {
  readonly statusCode: number;
  readonly reason: string | undefined;
  readonly endReason: string | undefined;
  readonly settle: (outcome: ActionOutcome) => void;
}

/**
 * Goes on after the session has closed: the subscription outlives the call (RFC 5057 §3). The first NOTIFY that the
 * peer refuses is the last.
 */
export class ReferNotifier {
  readonly #core: SessionCore;
  /** Sequence number of the REFER, which is the id of its events (RFC 3515 §2.4.6). */
  readonly #sequence: string;
  /** The dialog's first REFER needs no id. */
  readonly #isFirst: boolean;
  readonly #queue: Notification[] = [];
  readonly #onEnd: () => void;
  #expiresAt: number;
  #expiry: Timer;
  #state: "active" | "ended" = "active";
  #sending: Notification | undefined;
  #lastStatus = 0;
  #lastReason: string | undefined;

  /**
   * @param sequence - CSeq number of the REFER.
   * @param isFirst - It is the first REFER of its dialog.
   */
  constructor(core: SessionCore, sequence: number, isFirst: boolean, onEnd: () => void) {
    this.#core = core;
    this.#sequence = String(sequence);
    this.#isFirst = isFirst;
    this.#expiresAt = core.clock.now() + EXPIRES * 1000;
    this.#onEnd = onEnd;
    this.#expiry = this.#startExpiry();
  }

  /** Tells that the REFER is being taken care of; to be called once. */
  begin(): void {
    this.progress(100);
  }

  get expires(): number {
    return Math.max(0, Math.ceil((this.#expiresAt - this.#core.clock.now()) / 1000));
  }

  /** A provisional status; the same as before is not repeated. */
  progress(statusCode: number, reason?: string): void {
    if (statusCode !== this.#lastStatus) void this.tell(statusCode, reason);
  }

  /** The final status ends the subscription. */
  finish(statusCode: number, reason?: string): void {
    void this.#push(statusCode, "noresource", reason);
  }

  /** Resolves with the peer's answer to this NOTIFY; `no-request` when the subscription is over. */
  tell(statusCode: number, reason?: string): Promise<ActionOutcome> {
    return this.#push(statusCode, statusCode < 200 ? undefined : "noresource", reason);
  }

  /** Is a SUBSCRIBE with this Event about this REFER? */
  matches({ eventPackage, id }: EventHeader): boolean {
    if (eventPackage !== "refer") return false;
    return id === undefined ? this.#isFirst : id === this.#sequence;
  }

  /** The peer prolongs the subscription, or ends it with Expires 0 (RFC 6665 §4.2.1.3). */
  receiveSubscribe(transaction: ServerTransaction): void {
    const core = this.#core;
    const asked = transaction.request.seconds("expires") ?? EXPIRES;
    if (asked > 0 && asked < LEAST_EXPIRES_S) {
      core.reply(transaction, 423, { headers: [["Min-Expires", String(LEAST_EXPIRES_S)]] });
      return;
    }
    const granted = Math.min(asked, LONGEST_EXPIRES_S);
    core.reply(transaction, 200, { headers: [["Expires", String(granted)]], contact: true });
    this.#expiresAt = core.clock.now() + granted * 1000;
    this.#expiry.cancel();
    if (granted > 0) this.#expiry = this.#startExpiry();
    void this.#push(this.#lastStatus, granted > 0 ? undefined : "timeout", this.#lastReason);
  }

  #startExpiry(): Timer {
    const core = this.#core;
    return core.after(this.#expiresAt - core.clock.now(), () => {
      void this.#push(this.#lastStatus, "timeout", this.#lastReason);
    });
  }

  #push(
    statusCode: number,
    endReason: string | undefined,
    reason: string | undefined,
  ): Promise<ActionOutcome> {
    if (this.#state === "ended") return Promise.resolve(NO_REQUEST);
    if (this.#queue.length >= MOST_QUEUED && endReason === undefined) {
      return Promise.resolve({ ok: false, cause: "limit", statusCode: 0 });
    }
    this.#lastStatus = statusCode;
    this.#lastReason = reason;
    return new Promise((settle) => {
      this.#queue.push({ statusCode, reason, endReason, settle });
      if (endReason !== undefined) this.#end();
      this.#next();
    });
  }

  #end(): void {
    this.#state = "ended";
    this.#expiry.cancel();
    this.#onEnd();
  }

  #next(): void {
    if (this.#sending !== undefined) return;
    const notification = this.#queue.shift();
    if (notification === undefined) return;
    this.#sending = notification;
    const { statusCode, reason, endReason } = notification;
    const state =
      endReason === undefined
        ? { state: "active", expires: this.expires, reason: undefined }
        : { state: "terminated", expires: undefined, reason: endReason };
    sendInDialog(
      this.#core,
      {
        method: "NOTIFY",
        contact: true,
        headers: [
          [
            "Event",
            formatEvent({ eventPackage: "refer", id: this.#isFirst ? undefined : this.#sequence }),
          ],
          ["Subscription-State", formatSubscriptionState(state)],
        ],
        contentType: CONTENT_TYPE,
        body: formatSipFragment(statusCode, reason),
      },
      {
        onFinal: (response) => this.#sent(notification, outcomeOfResponse(response)),
        onFailure: (error) => this.#sent(notification, outcomeOfFailure(error)),
      },
    );
  }

  #sent(notification: Notification, outcome: ActionOutcome): void {
    this.#sending = undefined;
    notification.settle(outcome);
    if (outcome.ok) {
      this.#next();
      return;
    }
    for (const { settle } of this.#queue.splice(0)) settle(NO_REQUEST);
    if (this.#state === "active") this.#end();
  }
}
