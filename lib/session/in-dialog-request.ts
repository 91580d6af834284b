/**
 * A request of ours inside the session's dialog (RFC 3261 §12.2.1). A 481, a 408 or no response at all mean that the
 * peer has lost the dialog; then the session ends (§12.2.1.2), as after other responses that speak of more than their
 * request (RFC 5057 §5.1).
 */
import { UNWATCHED } from "../foundation/index.js";
import type { SipError } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import { mergeHeaders } from "./header-lines.js";
import { destroyedBy, isOfTheCall } from "./in-dialog-failure.js";
import { NO_SESSION, outcomeOfFailure, outcomeOfResponse } from "./outcomes.js";
import { withRel100, type Rel100 } from "./rel100.js";
import type { SessionCore } from "./session-core.js";
import type { OutgoingRequest } from "./session-services.js";
import type { ActionOutcome, HeaderList } from "./session-types.js";

export interface InDialogFields {
  readonly method: string;
  /** Target-refresh requests, and those that start a subscription, carry our Contact. */
  readonly contact?: boolean;
  /** Whether provisional responses may be reliable; default `none`: other requests than INVITE have no such. */
  readonly rel100?: Rel100;
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

/** Sends a request in the session's dialog, which must be there. Callbacks stop when it is abandoned. */
export function sendInDialog(
  core: SessionCore,
  fields: InDialogFields,
  user: InDialogUser,
): OutgoingRequest {
  const { services, dialog } = core;
  if (dialog === undefined) throw new Error("A session without dialog cannot send in it");
  return services.send({
    ...UNWATCHED,
    nextHop: dialog.nextHop,
    account: core.account,
    session: core.owner,
    preferredFlow: core.flow,
    inDialog: true,
    build: () =>
      dialog.createRequest({
        method: fields.method,
        contact: fields.contact === true ? services.contactPlaceholder : undefined,
        headers: mergeHeaders(
          withRel100(services.commonHeaders("request", fields.method), fields.rel100 ?? "none"),
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
        endIfLost(core, fields.method, response);
      }),
    onFailure: (error) =>
      core.enter(() => {
        user.onFailure(error);
        if (isOfTheCall(fields.method) && error.code === "E_TIMEOUT") endTimedOut(core);
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

function endIfLost(core: SessionCore, method: string, response: SipResponse): void {
  const { statusCode, reason } = response;
  if (statusCode === 408) {
    if (isOfTheCall(method)) endTimedOut(core);
    return;
  }
  const destroyed = destroyedBy(method, statusCode);
  if (destroyed === "transaction") return;
  const fields = { message: response, statusCode, reason };
  // Nobody is left in this dialog who could take a BYE.
  if (destroyed === "dialog") core.close("dialog-error", fields);
  else core.endBecause("dialog-error", fields);
}

function endTimedOut(core: SessionCore): void {
  if (core.established) core.owner.endFor("timeout");
  else core.close("timeout");
}
