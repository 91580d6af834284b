/** BYE, sent and received (RFC 3261 §15). */
import { UNWATCHED } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Cause } from "./cause.js";
import { sendInDialog } from "./in-dialog-request.js";
import { firstReason } from "./reason.js";
import type { EventFields, SessionCore } from "./session-core.js";
import type { HeaderList } from "./session-types.js";

/**
 * Ends the dialog. The media stops at once; the session closes with the final response to the BYE or with its
 * absence, whatever it is (§15.1.1).
 *
 * @param fields - What the closing event says instead of the response to the BYE.
 */
export function sendBye(
  core: SessionCore,
  cause: Cause,
  headers?: HeaderList,
  fields?: EventFields,
): void {
  core.setCause(cause);
  core.negotiation.close();
  core.input("bye");
  let reported = false;
  sendInDialog(
    core,
    { method: "BYE", headers },
    {
      ...UNWATCHED,
      onSent: (request) => {
        if (!reported && !core.closed) core.emit("bye", { message: request });
        reported = true;
      },
      onFinal: (response) => {
        const { statusCode, reason } = response;
        core.close(cause, fields ?? { message: response, statusCode, reason });
      },
      onFailure: () => core.close(cause, fields),
    },
  );
}

/** The peer hangs up; when our own BYE is under way as well, nothing is left to wait for (§15.1.2). */
export function receiveBye(core: SessionCore, transaction: ServerTransaction, cause: Cause): void {
  const crossed = core.state === "terminating";
  core.reply(transaction, 200);
  const fields = byeFields(transaction.request);
  core.setCause(cause);
  core.negotiation.close();
  if (!crossed) core.emit("bye", fields);
  core.close(cause, fields);
}

/** The request, and why the peer did it (RFC 3326). */
function byeFields(request: SipRequest): {
  message: SipRequest;
  statusCode?: number;
  reason?: string;
} {
  const reason = firstReason(request);
  return {
    message: request,
    ...(reason?.cause === undefined ? {} : { statusCode: reason.cause }),
    ...(reason?.text === undefined ? {} : { reason: reason.text }),
  };
}
