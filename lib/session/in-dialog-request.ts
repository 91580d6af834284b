/**
 * A request of ours inside the session's dialog (RFC 3261 §12.2.1). A 481, a 408 or no response at all mean that the
 * peer has lost the dialog; then the session ends (§12.2.1.2).
 */
import type { SipError } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import { mergeHeaders } from "./header-lines.js";
import { NO_SESSION, outcomeOfFailure, outcomeOfResponse } from "./outcomes.js";
import { withRel100 } from "./rel100.js";
import type { SessionCore } from "./session-core.js";
import type { OutgoingRequest } from "./session-services.js";
import type { ActionOutcome, HeaderList } from "./session-types.js";

export interface InDialogFields {
  readonly method: string;
  /** Target-refresh requests, and those that start a subscription, carry our Contact. */
  readonly contact?: boolean;
  readonly headers?: HeaderList | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
}

export interface InDialogUser {
  /** Each time it was sent, credentials included. */
  onSent?(request: SipRequest): void;
  onProvisional?(response: SipResponse): void;
  /** The final response. */
  onFinal(response: SipResponse): void;
  onFailure(error: SipError): void;
}

/** Their failure concerns themselves: the session is ending, or only a subscription is lost (RFC 5057 §5.2). */
const HARMLESS = new Set(["BYE", "NOTIFY", "SUBSCRIBE"]);

/** Sends a request in the session's dialog, which must be there. Callbacks stop when it is abandoned. */
export function sendInDialog(
  core: SessionCore,
  fields: InDialogFields,
  user: InDialogUser,
): OutgoingRequest {
  const { services, dialog } = core;
  if (dialog === undefined) throw new Error("A session without dialog cannot send in it");
  return services.send({
    nextHop: dialog.nextHop,
    account: core.account,
    session: core.owner,
    preferredFlow: core.flow,
    inDialog: true,
    build: () =>
      dialog.createRequest({
        method: fields.method,
        contact: fields.contact === true ? services.contactPlaceholder : undefined,
        // Provisional responses to a re-INVITE tell nothing that would have to arrive for certain.
        headers: mergeHeaders(
          withRel100(services.commonHeaders("request", fields.method), "none"),
          fields.headers,
        ),
        contentType: fields.contentType,
        body: fields.body,
      }),
    nextSequence: () => dialog.nextSequence(),
    onSent: (request, flow) =>
      core.enter(() => {
        core.useFlow(flow);
        user.onSent?.(request);
      }),
    onResponse: (response) =>
      core.enter(() => {
        core.observe(response);
        if (response.statusCode < 200) {
          user.onProvisional?.(response);
          return;
        }
        user.onFinal(response);
        if (!HARMLESS.has(fields.method)) endIfLost(core, response);
      }),
    onFailure: (error) =>
      core.enter(() => {
        user.onFailure(error);
        if (!HARMLESS.has(fields.method) && error.code === "E_TIMEOUT") endTimedOut(core);
      }),
  });
}

/**
 * The same as a promise. Resolves with `no-session` when the session ends before; rejects with what was wrong with
 * the application's values.
 */
export function requestInDialog(
  core: SessionCore,
  fields: InDialogFields,
  onProvisional?: (response: SipResponse) => void,
): Promise<ActionOutcome> {
  return new Promise((resolve, reject) => {
    // Set before anything can close the session.
    let outgoing: OutgoingRequest | undefined = undefined;
    const taken = core.onClose(() => {
      outgoing?.abandon();
      resolve(NO_SESSION);
    });
    outgoing = sendInDialog(core, fields, {
      onProvisional: (response) => onProvisional?.(response),
      onFinal: (response) => {
        taken();
        resolve(outcomeOfResponse(response));
      },
      onFailure: (error) => {
        taken();
        if (error.code === "E_ARGUMENT") reject(error);
        else resolve(outcomeOfFailure(error));
      },
    });
  });
}

function endIfLost(core: SessionCore, response: SipResponse): void {
  const { statusCode, reason } = response;
  if (statusCode === 481) core.close("dialog-error", { message: response, statusCode, reason });
  else if (statusCode === 408) endTimedOut(core);
}

function endTimedOut(core: SessionCore): void {
  if (core.established) core.owner.endFor("timeout");
  else core.close("timeout");
}
