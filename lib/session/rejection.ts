/** The final responses ≥ 300 to the INVITE of a session, each of which ends it (RFC 3261 §13.3.1.2, §13.3.1.3, §9.2). */
import { MediaError, errorText } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import { causeOfStatus, type Cause } from "./cause.js";
import { isAnsweredElsewhere } from "./reason.js";
import type { SessionCore } from "./session-core.js";
import type { ActionOutcome } from "./session-types.js";
import { warningHeader } from "./warning.js";

/** Sends a response that the application wants. @param cause - Default: what the status says. */
export function sendRejection(
  core: SessionCore,
  transaction: ServerTransaction,
  rejection: SipResponse,
  cause?: Cause,
): void {
  const { statusCode, reason } = rejection;
  const fields = { message: rejection, statusCode, reason };
  core.answeredPending(transaction);
  transaction.respond(rejection);
  core.setCause(cause ?? causeOfStatus(statusCode));
  core.negotiation.close();
  core.emit("rejected", fields);
  core.close("rejected", fields);
}

/** The offer fits nothing that we have: 488 with Warning, or what the media says. @param settle - Hears how `accept` went. */
export function refuseOffer(
  core: SessionCore,
  transaction: ServerTransaction,
  error: unknown,
  settle: (outcome: ActionOutcome) => void,
): void {
  const statusCode = statusOf(error);
  core.logger.info(`session ${core.id}: offer refused: ${errorText(error)}`);
  const message = core.reply(transaction, statusCode, {
    headers: statusCode === 488 ? warningHeader(transaction.flow, 305) : [],
  });
  settle(refusalOf(core, error, message));
  core.setCause(causeOfStatus(statusCode));
  const fields = { message, statusCode, reason: message?.reason };
  core.negotiation.close();
  core.emit("rejected", fields);
  core.close("rejected", fields);
}

/** The same as an outcome only. */
export function refusalOf(core: SessionCore, error: unknown, message?: SipResponse): ActionOutcome {
  const statusCode = statusOf(error);
  const cause = core.cause ?? causeOfStatus(statusCode);
  return { ok: false, cause, statusCode, reason: message?.reason, message };
}

/** CANCEL; the transaction layer has answered the CANCEL itself. */
export function terminateInvite(
  core: SessionCore,
  transaction: ServerTransaction,
  cancel: SipRequest,
): void {
  core.setCause(isAnsweredElsewhere(cancel) ? "answered-elsewhere" : "cancelled");
  const response = core.reply(transaction, 487);
  core.negotiation.close();
  core.emit("cancelled", { message: cancel });
  core.close("cancelled", {
    message: cancel,
    statusCode: response?.statusCode,
    reason: response?.reason,
  });
}

function statusOf(error: unknown): number {
  return error instanceof MediaError ? error.statusHint : 500;
}
