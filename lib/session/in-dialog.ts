/** Requests of the peer inside a dialog of the session, each to the exchange that knows it (RFC 3261 §12.2.2). */
import { errorText } from "../foundation/index.js";
import type { Dialog, DialogUser } from "../dialog/index.js";
import type { SipRequest } from "../message/index.js";
import { parseEvent } from "../subscription/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { AcceptedInvite } from "./accepted-invite.js";
import { receiveBye } from "./bye.js";
import { holdRequest } from "./held-request.js";
import { receiveInfo } from "./info.js";
import { ReferReceiver } from "./refer-receiver.js";
import { ReferSender } from "./refer-sender.js";
import { ReInviteReceiver } from "./re-invite.js";
import type { SessionCore } from "./session-core.js";

export class InDialog implements DialogUser {
  readonly refers: ReferSender;
  readonly referrals: ReferReceiver;
  readonly #core: SessionCore;
  readonly #reInvites: ReInviteReceiver;
  /** The 2xx of ours that wait for their ACK, by sequence number. */
  readonly #unacknowledged = new Map<number, AcceptedInvite>();

  constructor(core: SessionCore) {
    this.#core = core;
    this.refers = new ReferSender(core);
    this.referrals = new ReferReceiver(core);
    this.#reInvites = new ReInviteReceiver(core, (accepted) => this.expectAck(accepted));
  }

  expectAck(accepted: AcceptedInvite): void {
    this.#unacknowledged.set(accepted.sequence, accepted);
  }

  onDialogAck(ack: SipRequest): void {
    const { sequence } = ack.cseq;
    const accepted = this.#unacknowledged.get(sequence);
    if (accepted === undefined) return;
    this.#unacknowledged.delete(sequence);
    this.#core.enter(() => accepted.acknowledge(ack));
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
    if (dialog === core.dialog) core.flow = transaction.flow;
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
        if (core.established && dialog === core.dialog) this.#reInvites.receive(transaction);
        else core.reply(transaction, 491);
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
      default:
        holdRequest(core, {
          transaction,
          eventName: "request",
          fallback: () => void core.reply(transaction, 405),
        });
    }
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
    const transferred = this.refers.peerHungUp();
    receiveBye(core, transaction, transferred ? "transferred" : "remote-bye");
  }

  #receiveNotify(transaction: ServerTransaction): void {
    const core = this.#core;
    const { request } = transaction;
    const event = parseEvent(request.headers.get("event"));
    // The answer goes out first: what the news leads to may be a BYE.
    const mine = event?.eventPackage === "refer" && this.refers.expects(request);
    if (mine) {
      core.reply(transaction, 200);
      this.refers.receiveNotify(request);
      return;
    }
    holdRequest(core, {
      transaction,
      eventName: "notify",
      fallback: (listened) => void core.reply(transaction, listened ? 200 : 481),
    });
  }
}
