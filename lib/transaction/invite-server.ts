/** INVITE server transaction: RFC 3261 §17.2.1 with the accepted state and Timer L of RFC 6026 §7.1. */
import type { MachineDefinition } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { ServerMachine } from "./server-machine.js";
import {
  callUser,
  type ServerTransactionKeys,
  type ServerTransactionOwner,
} from "./transaction-services.js";

export type InviteServerState =
  "proceeding" | "accepted" | "completed" | "confirmed" | "terminated";

export type InviteServerInput =
  | "unanswered"
  | "INVITE"
  | "ACK"
  | "1xx"
  | "2xx"
  | "3xx-6xx"
  | "timerG"
  | "timerH"
  | "timerI"
  | "timerL"
  | "transportError";

export type InviteServerAction =
  | "sendTrying"
  | "sendResponse"
  | "resendResponse"
  | "linger"
  | "startTimerG"
  | "startTimerH"
  | "startTimerI"
  | "startTimerL"
  | "stopTimers"
  | "passAck"
  | "passAckToDialog"
  | "reportTimeout"
  | "reportTransportError"
  | "finish";

/**
 * 100 is sent as soon as the user has seen the INVITE without answering it, well within the 200 ms of §17.2.1.
 * `unanswered` says so. In accepted a repeated INVITE is absorbed: the user repeats the 2xx until the ACK comes. A
 * send failure is reported without ending the transaction, because a repetition may still get through (RFC 6026).
 */
export const inviteServerMachine: MachineDefinition<
  InviteServerState,
  InviteServerInput,
  InviteServerAction
> = {
  name: "INVITE server transaction",
  initial: "proceeding",
  inputs: [
    "unanswered",
    "INVITE",
    "ACK",
    "1xx",
    "2xx",
    "3xx-6xx",
    "timerG",
    "timerH",
    "timerI",
    "timerL",
    "transportError",
  ],
  final: ["terminated"],
  table: {
    proceeding: {
      unanswered: { next: "proceeding", do: ["sendTrying"], rfc: "RFC 3261 §17.2.1" },
      INVITE: { next: "proceeding", do: ["resendResponse"], rfc: "RFC 3261 §17.2.1" },
      "1xx": { next: "proceeding", do: ["sendResponse"], rfc: "RFC 3261 §17.2.1" },
      "2xx": {
        next: "accepted",
        do: ["sendResponse", "linger", "startTimerL"],
        rfc: "RFC 6026 §7.1",
      },
      "3xx-6xx": {
        next: "completed",
        do: ["sendResponse", "linger", "startTimerG", "startTimerH"],
        rfc: "RFC 3261 §17.2.1",
      },
      transportError: {
        next: "proceeding",
        do: ["reportTransportError"],
        rfc: "RFC 6026 §7.1",
      },
    },
    accepted: {
      ACK: { next: "accepted", do: ["passAckToDialog"], rfc: "RFC 6026 §7.1" },
      "2xx": { next: "accepted", do: ["sendResponse"], rfc: "RFC 6026 §7.1" },
      timerL: { next: "terminated", do: ["finish"], rfc: "RFC 6026 §7.1" },
      transportError: { next: "accepted", do: ["reportTransportError"], rfc: "RFC 6026 §7.1" },
    },
    completed: {
      INVITE: { next: "completed", do: ["resendResponse"], rfc: "RFC 3261 §17.2.1" },
      ACK: {
        next: "confirmed",
        do: ["stopTimers", "passAck", "startTimerI"],
        rfc: "RFC 3261 §17.2.1",
      },
      timerG: { next: "completed", do: ["resendResponse", "startTimerG"], rfc: "RFC 3261 §17.2.1" },
      timerH: { next: "terminated", do: ["reportTimeout", "finish"], rfc: "RFC 3261 §17.2.1" },
      transportError: { next: "completed", do: ["reportTransportError"], rfc: "RFC 6026 §7.1" },
    },
    confirmed: {
      timerI: { next: "terminated", do: ["finish"], rfc: "RFC 3261 §17.2.1" },
    },
    terminated: {},
  },
};

/** Runs the table for one INVITE. */
export class InviteServerTransaction extends ServerMachine<
  InviteServerState,
  InviteServerInput,
  InviteServerAction
> {
  constructor(
    owner: ServerTransactionOwner,
    keys: ServerTransactionKeys,
    request: SipRequest,
    flow: Flow,
  ) {
    super(inviteServerMachine, owner, keys, request, flow);
  }

  receive(request: SipRequest): void {
    this.input(request.method === "ACK" ? "ACK" : "INVITE", request);
  }

  cancel(cancel: SipRequest): void {
    if (this.answered) return;
    const user = this.user;
    if (user?.onCancel) callUser(this.logger, () => user.onCancel?.(cancel));
    else this.respondWith(487);
  }

  protected inputOf(statusCode: number): InviteServerInput {
    return statusCode < 200 ? "1xx" : statusCode < 300 ? "2xx" : "3xx-6xx";
  }
}
