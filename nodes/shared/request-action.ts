/** Answering a request that waits for the flow (`msg.sip.request`, contract §4.6 "Pending requests"). */
import type { ActionOutcome, PendingRequest } from "../../lib/index.js";
import { Call, findCall } from "./call.js";
import { allEngines } from "./engines.js";
import { outcomeFields } from "./event-fields.js";
import { partyFields } from "./message-fields.js";
import type { Input } from "./input.js";
import type { SipFields } from "./sip-fields.js";

export interface FoundRequest {
  readonly pending: PendingRequest;
  readonly stackId: string;
}

/** The request of an input while it still waits, on whatever stack. Handles are random, so none fits two. */
export function findRequest(input: Input): FoundRequest | undefined {
  const { request } = input.carried;
  if (request === undefined) return undefined;
  for (const { userAgent, stackId } of allEngines()) {
    const pending = userAgent?.pendingRequest(request);
    if (pending !== undefined) return pending.pending ? { pending, stackId } : undefined;
  }
  return undefined;
}

/** Somebody else, or the end of the time, has answered it. */
export function leaveNoRequest(
  input: Input,
  session: unknown,
  output: number,
  event: string,
): void {
  const sip = fieldsFor(input, session, event);
  sip.cause = "no-request";
  input.requestAnswered = true;
  input.leave(output, () => ({ sip, payload: 0 }));
}

/** The request is answered: outputs no longer carry its handle. */
export function leaveAnswered(
  input: Input,
  session: unknown,
  output: number,
  event: string,
  outcome: ActionOutcome,
  { pending, stackId }: FoundRequest,
): void {
  const sip = {
    ...partyFields(pending.request),
    stack: stackId,
    ...fieldsFor(input, session, event),
    ...outcomeFields(outcome),
    ...subscriptionFields(outcome),
    event,
  };
  input.requestAnswered = true;
  input.leave(output, () => ({ sip, payload: outcome.statusCode }));
}

/** Of the subscription that has begun with the answer (contract §4.6 "Subscriptions"). */
function subscriptionFields(outcome: ActionOutcome): Partial<SipFields> {
  if (!outcome.ok || outcome.subscription === undefined) return {};
  for (const { userAgent } of allEngines()) {
    const facts = userAgent?.subscriberFacts(outcome.subscription);
    if (facts === undefined) continue;
    const { eventPackage, subscriptionState, expires } = facts;
    return { eventPackage, subscriptionState, expires };
  }
  return {};
}

/** Fields of the session that the message came with, when it is one. */
function fieldsFor(input: Input, session: unknown, event: string): SipFields {
  const call =
    session instanceof Call ? session : typeof session === "string" ? findCall(session) : undefined;
  if (call !== undefined) {
    const { carried } = input;
    if (carried.session === call.id && carried.data !== undefined) call.mergeData(carried.data);
    return call.fields(event);
  }
  return typeof session === "string" && session !== "" ? { event, session } : { event };
}
