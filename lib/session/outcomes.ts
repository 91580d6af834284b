/** The outcomes of actions that several exchanges share. */
import { InvalidArgumentError, type SipError } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Cause } from "./cause.js";
import { causeOfStatus } from "./cause.js";
import type { ActionOutcome } from "./session-types.js";

/** The peer's or our own yes. A class, because it holds a message (lists.ts of the foundation). */
export class Success {
  readonly ok = true;

  constructor(
    readonly statusCode: number,
    readonly message: SipRequest | SipResponse,
    readonly reason: string | undefined,
  ) {}
}

/** The session is over: the normal race with a hang-up. */
export const NO_SESSION: ActionOutcome = { ok: false, cause: "no-session", statusCode: 0 };

/** There is nothing (left) to answer. */
export const NO_REQUEST: ActionOutcome = { ok: false, cause: "no-request", statusCode: 0 };

/** The peer's Recv-Info does not hold the package of an INFO: not sent, and told as the peer would (RFC 6086 §4.2.2). */
export const PACKAGE_NOT_TAKEN: ActionOutcome = {
  ok: false,
  cause: "rejected",
  statusCode: 469,
  reason: "Bad Info Package (not in the peer's Recv-Info)",
};

/** The application must give a description and gave none. */
export function noSdpError(): InvalidArgumentError {
  return new InvalidArgumentError(
    "An SDP is needed here: this stack has no media handler, so give it in msg.sdp",
    { rule: "no-sdp" },
  );
}

/** Why there was no response at all (contract §3.4). */
export function causeOfFailure(error: SipError): Cause {
  // A peer named a target that leads to this machine itself.
  if (error.rule === "loopback") return "blocked";
  switch (error.code) {
    case "E_TIMEOUT":
      return "timeout";
    case "E_DNS":
      return "dns-error";
    case "E_TRANSPORT":
      return "transport-error";
    case "E_MEDIA":
      return "incompatible-media";
    case "E_STATE":
      return error.rule === "cancelled" ? "cancelled" : "rejected";
    case "E_LIMIT":
      return "limit";
    case "E_CLOSED":
      return "shutdown";
    case "E_ARGUMENT":
    case "E_PARSE":
    case "E_PROTOCOL":
    case "E_AUTH":
      return "rejected";
  }
}

/** A final response as the outcome of the action that sent the request. */
export function outcomeOfResponse(response: SipResponse): ActionOutcome {
  const { statusCode, reason } = response;
  if (statusCode < 300) return { ok: true, statusCode, reason, message: response };
  const retryAfter = response.seconds("retry-after");
  return {
    ok: false,
    cause: causeOfStatus(statusCode),
    statusCode,
    reason,
    message: response,
    retryAfter,
  };
}

/** No response, as the outcome of the action that sent the request. */
export function outcomeOfFailure(error: SipError): ActionOutcome {
  return { ok: false, cause: causeOfFailure(error), statusCode: 0, reason: error.message };
}
