/**
 * One of the dialogs that an INVITE of ours has started, told apart by the To tag of the responses (RFC 3261 §12.1.2,
 * §13.2.2.4). At most one of an attempt becomes the call; every other 2xx is acknowledged and ended with BYE.
 */
import { Dialog } from "../dialog/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { acknowledge, type SentAck } from "./ack.js";
import { sdpOf, type BodyFields } from "./body.js";
import { refusingBody } from "./flow-answer.js";
import { PrackSender } from "./prack-sender.js";
import type { AccountHandle, SessionServices } from "./session-services.js";

export class Fork {
  readonly dialog: Dialog;
  /** SDP of a provisional response. */
  earlySdp: string | undefined;
  /** An offer of the peer was answered before its 2xx. */
  offerAnswered = false;
  /** Our answer to it; undefined when that was a refusal. */
  localAnswer: string | undefined;
  /** A description came reliably: the exchange is complete with it, or with our answer in the PRACK. */
  hasReliableSdp = false;
  /** Its reliable provisional responses. */
  readonly pracks: PrackSender;
  readonly #services: SessionServices;
  readonly #invite: SipRequest;
  #ack: SentAck | undefined;

  constructor(services: SessionServices, invite: SipRequest, response: SipResponse) {
    this.#services = services;
    this.#invite = invite;
    this.dialog = Dialog.fromResponse(invite, response);
    this.pracks = new PrackSender(this.dialog);
  }

  /** As sent. */
  get invite(): SipRequest {
    return this.#invite;
  }

  /** The first ACK for this fork's 2xx. */
  acknowledge(flow: Flow, body?: BodyFields): SentAck {
    this.#ack ??= acknowledge(this.#services, this.dialog, this.#invite, flow, body);
    return this.#ack;
  }

  /** The same for a 2xx that no call comes of: an offer in it is answered all the same (§13.2.2.4). */
  decline(flow: Flow, response: SipResponse): SentAck {
    const isAnswered = this.offerAnswered || sdpOf(this.#invite) !== undefined;
    const offer = isAnswered ? undefined : (sdpOf(response) ?? this.earlySdp);
    const body = offer === undefined ? {} : refusingBody(offer, flow.localAddress);
    return this.acknowledge(flow, body);
  }

  /** The 2xx came again: so does the ACK, once there is one. */
  repeatAck(): void {
    this.#ack?.resend();
  }

  /** ACK and BYE for a 2xx that nobody wants; for a repeated one only the ACK. */
  refuse(response: SipResponse, flow: Flow, account: AccountHandle | undefined): void {
    if (this.#ack !== undefined) {
      this.repeatAck();
      return;
    }
    const { dialog } = this;
    const services = this.#services;
    services.dialogs.remove(dialog);
    dialog.confirm(response);
    this.decline(flow, response);
    services.send({
      nextHop: dialog.nextHop,
      account,
      preferredFlow: flow,
      inDialog: true,
      build: () =>
        dialog.createRequest({
          method: "BYE",
          headers: services.commonHeaders("request", "BYE"),
        }),
      nextSequence: () => dialog.nextSequence(),
      onResponse: () => undefined,
      onFailure: () => undefined,
    });
  }
}
