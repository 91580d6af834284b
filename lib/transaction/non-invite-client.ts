/** Client transaction of every request but INVITE and ACK: RFC 3261 §17.1.2. */
import type { MachineDefinition } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { ClientMachine } from "./client-machine.js";
import type { ClientTransactionOwner } from "./transaction-services.js";
import type { ClientTransactionUser } from "./transaction-user.js";

export type NonInviteClientState = "initial" | "trying" | "proceeding" | "completed" | "terminated";

export type NonInviteClientInput =
  "send" | "1xx" | "2xx-6xx" | "timerE" | "timerF" | "timerK" | "transportError" | "flowClosed";

export type NonInviteClientAction =
  | "sendRequest"
  | "startTimerE"
  | "startTimerEAtT2"
  | "startTimerF"
  | "startTimerK"
  | "stopTimers"
  | "passResponse"
  | "reportTimeout"
  | "reportTransportError"
  | "finish";

/**
 * A provisional response slows Timer E down to T2 but does not stop Timer F. A lost connection fails the request
 * only before the first response, because later ones may come over a new connection (§18.2.2).
 */
export const nonInviteClientMachine: MachineDefinition<
  NonInviteClientState,
  NonInviteClientInput,
  NonInviteClientAction
> = {
  name: "Non-INVITE client transaction",
  initial: "initial",
  inputs: ["send", "1xx", "2xx-6xx", "timerE", "timerF", "timerK", "transportError", "flowClosed"],
  final: ["terminated"],
  table: {
    initial: {
      send: {
        next: "trying",
        do: ["sendRequest", "startTimerE", "startTimerF"],
        rfc: "RFC 3261 §17.1.2.2",
      },
    },
    trying: {
      "1xx": { next: "proceeding", do: ["passResponse"], rfc: "RFC 3261 §17.1.2.2" },
      "2xx-6xx": {
        next: "completed",
        do: ["stopTimers", "passResponse", "startTimerK"],
        rfc: "RFC 3261 §17.1.2.2",
      },
      timerE: { next: "trying", do: ["sendRequest", "startTimerE"], rfc: "RFC 3261 §17.1.2.2" },
      timerF: { next: "terminated", do: ["reportTimeout", "finish"], rfc: "RFC 3261 §17.1.2.2" },
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
      "1xx": { next: "proceeding", do: ["passResponse"], rfc: "RFC 3261 §17.1.2.2" },
      "2xx-6xx": {
        next: "completed",
        do: ["stopTimers", "passResponse", "startTimerK"],
        rfc: "RFC 3261 §17.1.2.2",
      },
      timerE: {
        next: "proceeding",
        do: ["sendRequest", "startTimerEAtT2"],
        rfc: "RFC 3261 §17.1.2.2",
      },
      timerF: { next: "terminated", do: ["reportTimeout", "finish"], rfc: "RFC 3261 §17.1.2.2" },
      transportError: {
        next: "terminated",
        do: ["reportTransportError", "finish"],
        rfc: "RFC 3261 §17.1.4",
      },
    },
    completed: {
      timerK: { next: "terminated", do: ["finish"], rfc: "RFC 3261 §17.1.2.2" },
    },
    terminated: {},
  },
};

/** Runs the table for one request. */
export class NonInviteClientTransaction extends ClientMachine<
  NonInviteClientState,
  NonInviteClientInput,
  NonInviteClientAction
> {
  constructor(
    owner: ClientTransactionOwner,
    key: string,
    request: SipRequest,
    flow: Flow,
    user: ClientTransactionUser,
  ) {
    super(nonInviteClientMachine, owner, key, request, flow, user);
  }

  receive(response: SipResponse): void {
    this.input(response.statusCode < 200 ? "1xx" : "2xx-6xx", response);
  }
}
