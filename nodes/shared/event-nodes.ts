/** The `sip-event` nodes: who hears of what, and who holds which request for its flow (contract §4.6). */
import type {
  RequestPolicy,
  Session,
  SessionEvent,
  SipRequest,
  SipResponse,
  StackEvent,
} from "../../lib/index.js";
import type { Delivery } from "./dispatcher.js";
import {
  sessionEventFields,
  sessionEventPayload,
  stackEventFields,
  stackEventPayload,
} from "./event-fields.js";
import { isWired } from "./live-nodes.js";
import { hideKeys } from "./media-keys.js";
import type { SipFields } from "./sip-fields.js";

/** What a `sip-event` node asked for. */
export interface EventSubscription {
  readonly nodeId: string;
  readonly stackId: string;
  /** Only this account; undefined = any. */
  readonly accountId: string | undefined;
  /** Empty = all but `request`, `response`, `media`, `route`, watching only. */
  readonly events: ReadonlySet<string>;
  /** Upper-case methods that narrow `request` and `response`; empty = all. */
  readonly methods: ReadonlySet<string>;
  /** Milliseconds that a request waits for the flow. */
  readonly answerWithin: number;
}

/** Events that nobody gets without naming them. */
const BY_NAME_ONLY: ReadonlySet<string> = new Set([
  "request",
  "response",
  "media",
  "route",
  "refer-progress",
]);

const byStack = new Map<string, Map<string, EventSubscription>>();

export function addEventNode(subscription: EventSubscription): void {
  let nodes = byStack.get(subscription.stackId);
  if (nodes === undefined) {
    nodes = new Map<string, EventSubscription>();
    byStack.set(subscription.stackId, nodes);
  }
  nodes.set(subscription.nodeId, subscription);
}

/** Removes exactly this subscription; that of a newer instance stays. */
export function removeEventNode(subscription: EventSubscription): void {
  const nodes = byStack.get(subscription.stackId);
  if (nodes?.get(subscription.nodeId) !== subscription) return;
  nodes.delete(subscription.nodeId);
  if (nodes.size === 0) byStack.delete(subscription.stackId);
}

/** Does anybody ask for every message? Reporting them costs time in every call. */
export function wantsEveryMessage(stackId: string): boolean {
  for (const { events } of byStack.get(stackId)?.values() ?? []) {
    if (events.has("request") || events.has("response")) return true;
  }
  return false;
}

/** Messages of a session event for the nodes that want it. */
export function watchSession(stackId: string, session: Session, event: SessionEvent): Delivery[] {
  return deliveries(stackId, event.name, event.snapshot.account, event.message, () => ({
    sip: sessionEventFields(stackId, session, event),
    payload: sessionEventPayload(event),
  }));
}

/** Messages of an event that belongs to no session. */
export function watchStack(stackId: string, event: StackEvent): Delivery[] {
  return deliveries(stackId, event.name, event.accountId, event.message, () => ({
    sip: stackEventFields(stackId, event),
    payload: stackEventPayload(event),
  }));
}

function deliveries(
  stackId: string,
  eventName: string,
  accountId: string | undefined,
  message: SipRequest | SipResponse | undefined,
  build: () => { sip: SipFields; payload: unknown },
): Delivery[] {
  const nodes = byStack.get(stackId);
  if (nodes === undefined) return [];
  const result: Delivery[] = [];
  for (const subscription of nodes.values()) {
    if (!wants(subscription, eventName, accountId, message)) continue;
    result.push({
      nodeId: subscription.nodeId,
      run: (live) => {
        if (!isWired(live, 1)) return;
        const { sip, payload } = build();
        live.node.send({ topic: sip.event, payload, sip: hideKeys(sip) });
      },
    });
  }
  return result;
}

function wants(
  subscription: EventSubscription,
  eventName: string,
  accountId: string | undefined,
  message: SipRequest | SipResponse | undefined,
): boolean {
  const { events, methods } = subscription;
  if (events.size === 0 ? BY_NAME_ONLY.has(eventName) : !events.has(eventName)) return false;
  if (subscription.accountId !== undefined && subscription.accountId !== accountId) return false;
  if (methods.size === 0 || (eventName !== "request" && eventName !== "response")) return true;
  if (message === undefined) return false;
  return methods.has(message.kind === "request" ? message.method : message.cseq.method);
}

/** Does a flow want to answer this request itself? Only nodes that list the event by name count. */
export function requestPolicy(stackId: string): RequestPolicy {
  return (eventName, request, _sessionId, accountId) => {
    let listened = false;
    let holdMs = 0;
    for (const subscription of byStack.get(stackId)?.values() ?? []) {
      if (subscription.events.size === 0) continue;
      if (!wants(subscription, eventName, accountId, request)) continue;
      listened = true;
      holdMs = Math.max(holdMs, subscription.answerWithin);
    }
    return { listened, holdMs };
  };
}
