/**
 * One of the dialogs that an INVITE of ours has started, told apart by the To tag of the responses (RFC 3261 §12.1.2,
 * §13.2.2.4). At most one of an attempt becomes the call; every other 2xx is acknowledged and ended with BYE.
 */
import { Dialog } from "../dialog/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { acknowledge, type SentAck } from "./ack.js";
import type { BodyFields } from "./body.js";
import type { AccountHandle, SessionServices } from "./session-services.js";

export class Fork {
  readonly dialog: Dialog;
  /** SDP of a provisional response. */
  earlySdp: string | undefined;
  readonly #services: SessionServices;
  readonly #invite: SipRequest;
  #ack: SentAck | undefined;

  constructor(services: SessionServices, invite: SipRequest, response: SipResponse) {
    this.#services = services;
    this.#invite = invite;
    this.dialog = Dialog.fromResponse(invite, response);
  }

  /** The first ACK for this fork's 2xx. */
  acknowledge(flow: Flow, body?: BodyFields): SentAck {
    this.#ack ??= acknowledge(this.#services, this.dialog, this.#invite, flow, body);
    return this.#ack;
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
    this.acknowledge(flow);
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
