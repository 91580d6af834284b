/**
 * A request of the peer that a flow may answer (contract §4.6 "Pending requests"): held for it, reported as an event,
 * answered by the stack when nobody does.
 */
import type { ServerTransaction } from "../transaction/index.js";
import { NO_REQUEST } from "./outcomes.js";
import type { EventFields, ReplyFields, SessionCore } from "./session-core.js";
import type {
  AcceptRequestOptions,
  ActionOutcome,
  RejectOptions,
  SessionEventName,
} from "./session-types.js";

export interface HeldRequest {
  readonly transaction: ServerTransaction;
  readonly eventName: SessionEventName;
  readonly fields?: EventFields;
  /** As in HoldOptions. */
  readonly atLeastMs?: number;
  check?(options: AcceptRequestOptions): void;
  /** Default: 200 with what the application gives. */
  accept?(options: AcceptRequestOptions): Promise<ActionOutcome>;
  /** Default: 403, or what the application says. */
  reject?(options: RejectOptions): Promise<ActionOutcome>;
  /** Nobody answered. `listened`: somebody asked for events of this name. */
  fallback(listened: boolean): void;
}

export function holdRequest(core: SessionCore, held: HeldRequest): void {
  const { transaction, eventName } = held;
  core.keepPending(transaction);
  // When nobody wants to answer, the fallback runs inside `hold`: the event comes first nevertheless.
  let unheld: boolean | undefined;
  let holding = true;
  const pending = core.services.hold({
    request: transaction.request,
    eventName,
    session: core.owner,
    account: core.account,
    atLeastMs: held.atLeastMs,
    check: (options) => held.check?.(options),
    accept: (options) => core.run(() => (held.accept ?? acceptPlainly)(options)),
    reject: (options) => core.run(() => (held.reject ?? rejectPlainly)(options)),
    fallback: (listened) => {
      if (holding) unheld = listened;
      else core.enter(() => held.fallback(listened));
    },
  });
  holding = false;
  core.emit(eventName, { message: transaction.request, pending, ...held.fields });
  if (unheld !== undefined) held.fallback(unheld);

  function acceptPlainly(options: AcceptRequestOptions): Promise<ActionOutcome> {
    return Promise.resolve(answerHeld(core, transaction, options.statusCode ?? 200, options));
  }
  function rejectPlainly(options: RejectOptions): Promise<ActionOutcome> {
    return Promise.resolve(answerHeld(core, transaction, options.statusCode ?? 403, options));
  }
}

/** Answers a held request; a request that was answered meanwhile gives `no-request`. */
export function answerHeld(
  core: SessionCore,
  transaction: ServerTransaction,
  statusCode: number,
  fields: ReplyFields,
): ActionOutcome {
  const { reason, headers, contact, contentType, body } = fields;
  const response = core.reply(transaction, statusCode, {
    reason,
    headers,
    contact,
    contentType,
    body,
  });
  if (response === undefined) return NO_REQUEST;
  return { ok: true, statusCode: response.statusCode, reason: response.reason, message: response };
}
