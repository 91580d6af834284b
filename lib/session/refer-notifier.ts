/** The NOTIFYs that we owe a peer whose REFER we have taken (RFC 3515 §2.4.4): one at a time, in order. */
import type { Timer } from "../foundation/index.js";
import { formatSipFragment } from "../message/index.js";
import { formatEvent, formatSubscriptionState } from "../subscription/index.js";
import { sendInDialog } from "./in-dialog-request.js";
import type { SessionCore } from "./session-core.js";

/** Seconds that an accepted REFER may take until its end is told. */
const EXPIRES = 180;
const CONTENT_TYPE = "message/sipfrag;version=2.0";

interface Notification {
  readonly statusCode: number;
  readonly reason: string | undefined;
  readonly endReason: string | undefined;
}

/**
 * Goes on after the session has closed: the subscription outlives the call (RFC 5057 §3). The first NOTIFY that the
 * peer refuses is the last.
 */
export class ReferNotifier {
  readonly #core: SessionCore;
  readonly #event: string;
  readonly #expiresAt: number;
  readonly #queue: Notification[] = [];
  readonly #expiry: Timer;
  readonly #onEnd: () => void;
  #state: "active" | "ended" = "active";
  #sending: "idle" | "waiting" = "idle";
  #lastStatus = 0;

  /** @param id - Sequence number of the REFER when it is not the dialog's first (RFC 3515 §2.4.6). */
  constructor(core: SessionCore, id: number | undefined, onEnd: () => void) {
    this.#core = core;
    this.#event = formatEvent({
      eventPackage: "refer",
      id: id === undefined ? undefined : String(id),
    });
    this.#expiresAt = core.clock.now() + EXPIRES * 1000;
    this.#onEnd = onEnd;
    this.#expiry = core.after(EXPIRES * 1000, () => this.#push(this.#lastStatus || 100, "timeout"));
    this.progress(100);
  }

  /** A provisional status; the same as before is not repeated. */
  progress(statusCode: number, reason?: string): void {
    if (statusCode === this.#lastStatus) return;
    this.#push(statusCode, undefined, reason);
  }

  /** The final status ends the subscription. */
  finish(statusCode: number, reason?: string): void {
    this.#push(statusCode, "noresource", reason);
  }

  #push(statusCode: number, endReason: string | undefined, reason?: string): void {
    if (this.#state === "ended") return;
    this.#lastStatus = statusCode;
    this.#queue.push({ statusCode, reason, endReason });
    if (endReason !== undefined) this.#end();
    this.#next();
  }

  #end(): void {
    this.#state = "ended";
    this.#expiry.cancel();
    this.#onEnd();
  }

  #next(): void {
    if (this.#sending === "waiting") return;
    const notification = this.#queue.shift();
    if (notification === undefined) return;
    this.#sending = "waiting";
    const { statusCode, reason, endReason } = notification;
    const left = Math.max(0, Math.ceil((this.#expiresAt - this.#core.clock.now()) / 1000));
    const state =
      endReason === undefined
        ? { state: "active", expires: left, reason: undefined }
        : { state: "terminated", expires: undefined, reason: endReason };
    sendInDialog(
      this.#core,
      {
        method: "NOTIFY",
        contact: true,
        headers: [
          ["Event", this.#event],
          ["Subscription-State", formatSubscriptionState(state)],
        ],
        contentType: CONTENT_TYPE,
        body: formatSipFragment(statusCode, reason),
      },
      {
        onFinal: (response) => this.#sent(response.statusCode < 300),
        onFailure: () => this.#sent(false),
      },
    );
  }

  #sent(taken: boolean): void {
    this.#sending = "idle";
    if (!taken) {
      this.#queue.length = 0;
      if (this.#state === "active") this.#end();
      return;
    }
    this.#next();
  }
}
