/** INVITE client transaction: RFC 3261 §17.1.1 with the accepted state of RFC 6026 §7.2. */
import type { MachineDefinition } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { ClientMachine } from "./client-machine.js";
import type { ClientTransactionOwner } from "./transaction-services.js";
import type { ClientTransactionUser } from "./transaction-user.js";

export type InviteClientState =
  "initial" | "calling" | "proceeding" | "accepted" | "completed" | "terminated";

export type InviteClientInput =
  | "send"
  | "1xx"
  | "2xx"
  | "3xx-6xx"
  | "timerA"
  | "timerB"
  | "timerD"
  | "timerM"
  | "transportError"
  | "flowClosed";

export type InviteClientAction =
  | "sendRequest"
  | "startTimerA"
  | "startTimerB"
  | "startTimerD"
  | "startTimerM"
  | "stopTimers"
  | "sendAck"
  | "resendAck"
  | "passResponse"
  | "reportTimeout"
  | "reportTransportError"
  | "logTransportError"
  | "finish";

/**
 * A provisional response stops Timer B: how long a phone may ring is the user's decision (§17.1.1.2). A lost
 * connection fails the call only before the first response, because later ones may come over a new connection
 * (§18.2.2). When an ACK cannot be sent the user has its final response already and gets no second outcome.
 */
export const inviteClientMachine: MachineDefinition<
  InviteClientState,
  InviteClientInput,
  InviteClientAction
> = {
  name: "INVITE client transaction",
  initial: "initial",
  inputs: [
    "send",
    "1xx",
    "2xx",
    "3xx-6xx",
    "timerA",
    "timerB",
    "timerD",
    "timerM",
    "transportError",
    "flowClosed",
  ],
  final: ["terminated"],
  table: {
    initial: {
      send: {
        next: "calling",
        do: ["sendRequest", "startTimerA", "startTimerB"],
        rfc: "RFC 3261 §17.1.1.2",
      },
    },
    calling: {
      "1xx": { next: "proceeding", do: ["stopTimers", "passResponse"], rfc: "RFC 3261 §17.1.1.2" },
      "2xx": {
        next: "accepted",
        do: ["stopTimers", "startTimerM", "passResponse"],
        rfc: "RFC 6026 §7.2",
      },
      "3xx-6xx": {
        next: "completed",
        do: ["stopTimers", "sendAck", "passResponse", "startTimerD"],
        rfc: "RFC 3261 §17.1.1.2",
      },
      timerA: { next: "calling", do: ["sendRequest", "startTimerA"], rfc: "RFC 3261 §17.1.1.2" },
      timerB: { next: "terminated", do: ["reportTimeout", "finish"], rfc: "RFC 3261 §17.1.1.2" },
      transportError: {
        next: "terminated",
        do: ["reportTransportError", "finish"],
        rfc: "RFC 3261 §17.1.4",
      },
      flowClosed: {
        next: "terminated",
        do: ["reportTransportError", "finish"],
        rfc: "RFC 3261 §17.1.4",
      },
    },
    proceeding: {
      "1xx": { next: "proceeding", do: ["passResponse"], rfc: "RFC 3261 §17.1.1.2" },
      "2xx": { next: "accepted", do: ["startTimerM", "passResponse"], rfc: "RFC 6026 §7.2" },
      "3xx-6xx": {
        next: "completed",
        do: ["sendAck", "passResponse", "startTimerD"],
        rfc: "RFC 3261 §17.1.1.2",
      },
    },
    accepted: {
      "2xx": { next: "accepted", do: ["passResponse"], rfc: "RFC 6026 §7.2" },
      timerM: { next: "terminated", do: ["finish"], rfc: "RFC 6026 §7.2" },
    },
    completed: {
      "3xx-6xx": { next: "completed", do: ["resendAck"], rfc: "RFC 3261 §17.1.1.2" },
      timerD: { next: "terminated", do: ["finish"], rfc: "RFC 3261 §17.1.1.2" },
      transportError: {
        next: "terminated",
        do: ["logTransportError", "finish"],
        rfc: "RFC 3261 §17.1.4",
      },
    },
    terminated: {},
  },
};

/** Runs the table for one INVITE. */
export class InviteClientTransaction extends ClientMachine<
  InviteClientState,
  InviteClientInput,
  InviteClientAction
> {
  constructor(
    owner: ClientTransactionOwner,
    key: string,
    request: SipRequest,
    flow: Flow,
    user: ClientTransactionUser,
  ) {
    super(inviteClientMachine, owner, key, request, flow, user);
  }

  receive(response: SipResponse): void {
    const status = response.statusCode;
    this.input(status < 200 ? "1xx" : status < 300 ? "2xx" : "3xx-6xx", response);
  }
}
