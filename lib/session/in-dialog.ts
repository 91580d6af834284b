/** Requests of the peer inside a dialog of the session, each to the exchange that knows it (RFC 3261 §12.2.2). */
import { errorText } from "../foundation/index.js";
import type { Dialog, DialogUser } from "../dialog/index.js";
import type { SipRequest } from "../message/index.js";
import { parseEvent } from "../subscription/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { AcceptedInvite } from "./accepted-invite.js";
import { receiveBye } from "./bye.js";
import { answerHeld, holdRequest } from "./held-request.js";
import { receiveInfo } from "./info.js";
import { Modifier } from "./modifier.js";
import type { PrackReceiver } from "./prack-receiver.js";
import { ReferReceiver } from "./refer-receiver.js";
import { ReferSender } from "./refer-sender.js";
import { ReInviteReceiver } from "./re-invite.js";
import type { SessionCore } from "./session-core.js";
import { UpdateReceiver } from "./update-receiver.js";

/** The others are reported as `request` in any case, with the handle to answer them. */
const OWN_EVENT: ReadonlySet<string> = new Set([
  "BYE",
  "INVITE",
  "PRACK",
  "INFO",
  "OPTIONS",
  "UPDATE",
  "NOTIFY",
  "REFER",
  "MESSAGE",
]);

/** RFC 6665 §7.2: a 489 lists what can be subscribed to. */
const ALLOW_EVENTS = [["Allow-Events", "refer"]] as const;

const OUTSIDE_ONLY = "Subscribe Outside of the Call";

export class InDialog implements DialogUser {
  readonly sessionId: string;
  readonly #core: SessionCore;
  // Most calls need none of these.
  #refers: ReferSender | undefined;
  #referrals: ReferReceiver | undefined;
  #reInvites: ReInviteReceiver | undefined;
  #updates: UpdateReceiver | undefined;
  #modifier: Modifier | undefined;
  /** The 2xx of ours that waits for its ACK; a second INVITE is refused until it came. */
  #unacknowledged: AcceptedInvite | undefined;

  /** PRACKs for our reliable provisional responses; absent where we send none. */
  pracks: PrackReceiver | undefined;

  constructor(core: SessionCore) {
    this.#core = core;
    this.sessionId = core.id;
    core.sessionTimer.refreshByInvite = () => this.modifier.refreshByInvite();
  }

  /** Our REFERs. */
  get refers(): ReferSender {
    return (this.#refers ??= new ReferSender(this.#core));
  }

  /** The peer's REFERs. */
  get referrals(): ReferReceiver {
    return (this.#referrals ??= new ReferReceiver(this.#core));
  }

  /** Our re-INVITEs and UPDATEs. */
  get modifier(): Modifier {
    return (this.#modifier ??= new Modifier(
      this.#core,
      () =>
        this.#unacknowledged !== undefined ||
        this.#reInvites?.isOpen === true ||
        this.#updates?.isOpen === true,
    ));
  }

  /** The BYE is next: nothing of the peer may stay unanswered before it. */
  concludeOffers(): void {
    this.#modifier?.declineOffer();
  }

  /** No callback may come any more. */
  abandon(): void {
    this.#modifier?.abandon();
  }

  expectAck(accepted: AcceptedInvite): void {
    this.#unacknowledged = accepted;
  }

  onDialogAck(ack: SipRequest): void {
    const accepted = this.#unacknowledged;
    if (accepted?.sequence !== ack.cseq.sequence) return;
    this.#unacknowledged = undefined;
    this.#core.enter(() => {
      this.#core.observeRequest(ack);
      accepted.acknowledge(ack);
      this.#modifier?.proceed();
    });
  }

  onDialogRequest(transaction: ServerTransaction, dialog: Dialog): void {
    const core = this.#core;
    core.enter(() => {
      try {
        this.#dispatch(transaction, dialog);
      } catch (error) {
        // A mistake of ours must not leave the peer without an answer.
        core.logger.error(`session ${core.id}: ${transaction.request.method}: ${errorText(error)}`);
        core.reply(transaction, 500);
      }
    });
  }

  #dispatch(transaction: ServerTransaction, dialog: Dialog): void {
    const core = this.#core;
    const { method } = transaction.request;
    if (dialog === core.dialog) core.useFlow(transaction.flow);
    if (OWN_EVENT.has(method)) core.observeRequest(transaction.request);
    if (method === "BYE") {
      this.#receiveBye(transaction, dialog);
      return;
    }
    // After our BYE there is no dialog any more (RFC 5407 §3.1.5).
    if (core.closed || core.state === "terminating") {
      core.reply(transaction, 481);
      return;
    }
    switch (method) {
      case "INVITE":
        this.#receiveInvite(transaction, dialog);
        return;
      case "PRACK":
        if (this.pracks === undefined) core.reply(transaction, 481);
        else this.pracks.receive(transaction);
        return;
      case "UPDATE":
        this.#updates ??= new UpdateReceiver(core, {
          hasOpenInvite: () => this.#modifier?.hasOpenInvite === true,
          onIdle: () => this.#modifier?.proceed(),
        });
        this.#updates.receive(transaction, dialog);
        return;
      case "INFO":
        receiveInfo(core, transaction);
        return;
      case "OPTIONS":
        core.reply(transaction, 200);
        return;
      case "NOTIFY":
        this.#receiveNotify(transaction);
        return;
      case "REFER":
        this.referrals.receive(transaction);
        return;
      case "MESSAGE":
        holdRequest(core, {
          transaction,
          eventName: "message",
          fallback: (listened) => void core.reply(transaction, listened ? 200 : 405),
        });
        return;
      case "SUBSCRIBE":
        this.#receiveSubscribe(transaction);
        return;
      default:
        holdRequest(core, {
          transaction,
          eventName: "request",
          fallback: () => void core.reply(transaction, 405),
        });
    }
  }

  /**
   * Only an established call can be changed; not while an INVITE of ours is open, nor while an UPDATE of either side has
   * an offer out (RFC 6337 §2.3). Who changes the call has our 2xx: the ACK of the first INVITE is not waited for, unless
   * it is to bring the answer to our offer (RFC 5407 §3.1.4, §3.1.5).
   */
  #receiveInvite(transaction: ServerTransaction, dialog: Dialog): void {
    const core = this.#core;
    const first = this.#reInvites === undefined ? this.#unacknowledged : undefined;
    const isUnanswered = first !== undefined && core.negotiation.state !== "stable";
    const isGlare = this.#modifier?.hasOpenInvite === true;
    if (!core.established || dialog !== core.dialog || isUnanswered || isGlare) {
      core.reply(transaction, 491);
      return;
    }
    if (first !== undefined) {
      this.#unacknowledged = undefined;
      first.acknowledge(transaction.request);
      // We were only waiting for this to hang up. `first` has changed the state.
      if (!core.established) {
        core.reply(transaction, 481);
        return;
      }
    }
    if (this.#updates?.isOpen === true) {
      core.reply(transaction, 500, { headers: [["Retry-After", "1"]] });
      return;
    }
    const tooShort = core.sessionTimer.refusal(transaction.request);
    if (tooShort !== undefined) {
      core.reply(transaction, 422, { headers: tooShort });
      return;
    }
    this.#reInvites ??= new ReInviteReceiver(core, {
      onAccepted: (accepted) => this.expectAck(accepted),
      onIdle: () => this.#modifier?.proceed(),
    });
    this.#reInvites.receive(transaction);
  }

  #receiveBye(transaction: ServerTransaction, dialog: Dialog): void {
    const core = this.#core;
    if (dialog !== core.dialog) {
      // The callee may not do this before its 2xx (RFC 3261 §15); the INVITE stays open.
      core.reply(transaction, 200);
      core.services.dialogs.remove(dialog);
      dialog.terminate();
      return;
    }
    const referred = this.#refers?.peerHungUp() === true;
    const transferred = referred || core.transfers > 0;
    const left = transferred ? "transferred" : "remote-bye";
    receiveBye(core, transaction, core.replacedBy === undefined ? left : "replaced");
  }

  /**
   * Of a REFER that we have taken (RFC 3515 §2.4.4). Nothing new begins in the dialog of a call (RFC 6665 §4.5.2): an
   * application may refuse it in its own words, but not take it.
   */
  #receiveSubscribe(transaction: ServerTransaction): void {
    const core = this.#core;
    if (this.#referrals?.receiveSubscribe(transaction) === true) return;
    const event = parseEvent(transaction.request.headers.get("event"));
    if (event?.eventPackage === "refer") {
      core.reply(transaction, 481, { reason: "Subscription Does Not Exist" });
      return;
    }
    holdRequest(core, {
      transaction,
      eventName: "request",
      accept: () => {
        const answer = answerHeld(core, transaction, 403, { reason: OUTSIDE_ONLY });
        return Promise.resolve(
          answer.ok ? { ...answer, ok: false, cause: "rejected" as const } : answer,
        );
      },
      fallback: () => void core.reply(transaction, 489, { headers: ALLOW_EVENTS }),
    });
  }

  #receiveNotify(transaction: ServerTransaction): void {
    const core = this.#core;
    const { request } = transaction;
    const event = parseEvent(request.headers.get("event"));
    // The answer goes out first: what the news leads to may be a BYE.
    const mine = event?.eventPackage === "refer" && this.#refers?.expects(request) === true;
    if (mine) {
      core.reply(transaction, 200);
      this.#refers?.receiveNotify(request);
      return;
    }
    holdRequest(core, {
      transaction,
      eventName: "notify",
      fallback: (listened) => void core.reply(transaction, listened ? 200 : 481),
    });
  }
}
