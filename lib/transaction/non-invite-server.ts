/**
 * Server transaction of every request but INVITE and ACK: RFC 3261 §17.2.2, with the rules of RFC 4320 for 100 and
 * for answers that come too late.
 */
import type { MachineDefinition } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { ServerMachine } from "./server-machine.js";
import type { ServerTransactionKeys, ServerTransactionOwner } from "./transaction-services.js";

export type NonInviteServerState = "trying" | "proceeding" | "completed" | "terminated";

export type NonInviteServerInput =
  | "unanswered"
  | "request"
  | "1xx"
  | "2xx-6xx"
  | "timerTrying"
  | "timerExpiry"
  | "timerJ"
  | "transportError";

export type NonInviteServerAction =
  | "sendTrying"
  | "sendResponse"
  | "resendResponse"
  | "linger"
  | "startTimerJ"
  | "startTimerTrying"
  | "startTimerExpiry"
  | "stopTimers"
  | "reportTimeout"
  | "reportTransportError"
  | "finish";

/**
 * A request that the user does not answer at once gets a 100 when the client's Timer E has grown to T2, and is given
 * up without a 408 when its Timer F has expired (RFC 4320): nobody would take the answer any more.
 */
export const nonInviteServerMachine: MachineDefinition<
  NonInviteServerState,
  NonInviteServerInput,
  NonInviteServerAction
> = {
  name: "Non-INVITE server transaction",
  initial: "trying",
  inputs: [
    "unanswered",
    "request",
    "1xx",
    "2xx-6xx",
    "timerTrying",
    "timerExpiry",
    "timerJ",
    "transportError",
  ],
  final: ["terminated"],
  table: {
    trying: {
      unanswered: {
        next: "trying",
        do: ["startTimerExpiry", "startTimerTrying"],
        rfc: "RFC 4320 §4.1",
      },
      "1xx": { next: "proceeding", do: ["sendResponse"], rfc: "RFC 3261 §17.2.2" },
      "2xx-6xx": {
        next: "completed",
        do: ["stopTimers", "sendResponse", "linger", "startTimerJ"],
        rfc: "RFC 3261 §17.2.2",
      },
      timerTrying: { next: "proceeding", do: ["sendTrying"], rfc: "RFC 4320 §4.1" },
      timerExpiry: {
        next: "terminated",
        do: ["reportTimeout", "finish"],
        rfc: "RFC 4320 §4.2",
      },
    },
    proceeding: {
      unanswered: { next: "proceeding", do: ["startTimerExpiry"], rfc: "RFC 4320 §4.2" },
      request: { next: "proceeding", do: ["resendResponse"], rfc: "RFC 3261 §17.2.2" },
      "1xx": { next: "proceeding", do: ["sendResponse"], rfc: "RFC 3261 §17.2.2" },
      "2xx-6xx": {
        next: "completed",
        do: ["stopTimers", "sendResponse", "linger", "startTimerJ"],
        rfc: "RFC 3261 §17.2.2",
      },
      timerExpiry: {
        next: "terminated",
        do: ["reportTimeout", "finish"],
        rfc: "RFC 4320 §4.2",
      },
      transportError: {
        next: "terminated",
        do: ["reportTransportError", "finish"],
        rfc: "RFC 3261 §17.2.2",
      },
    },
    completed: {
      request: { next: "completed", do: ["resendResponse"], rfc: "RFC 3261 §17.2.2" },
      timerJ: { next: "terminated", do: ["finish"], rfc: "RFC 3261 §17.2.2" },
      transportError: {
        next: "terminated",
        do: ["reportTransportError", "finish"],
        rfc: "RFC 3261 §17.2.2",
      },
    },
    terminated: {},
  },
};

/** Runs the table for one request. */
export class NonInviteServerTransaction extends ServerMachine<
  NonInviteServerState,
  NonInviteServerInput,
  NonInviteServerAction
> {
  constructor(
    owner: ServerTransactionOwner,
    keys: ServerTransactionKeys,
    request: SipRequest,
    flow: Flow,
  ) {
    super(nonInviteServerMachine, owner, keys, request, flow);
  }

  receive(request: SipRequest): void {
    this.input("request", request);
  }

  /** Has no effect: whoever asked has its answer as soon as there is one (RFC 3261 §9.2). */
  cancel(): void {
    return;
  }

  protected inputOf(statusCode: number): NonInviteServerInput {
    return statusCode < 200 ? "1xx" : "2xx-6xx";
  }
}
