/** `msg.sip` and `msg.payload` of session and stack events. Every call builds fresh objects. */
import {
  type ActionOutcome,
  parseReferTarget,
  type Session,
  type SessionEvent,
  type SessionSnapshot,
  type StackEvent,
} from "../../lib/index.js";
import { bodyOf, messageFields, partyFields } from "./message-fields.js";
import { jsonCopy, plainCopy, type SipFields, withoutUndefined } from "./sip-fields.js";

/** The other leg of each bridged session; kept for what an ended one still says. */
const bridgePeers = new WeakMap<Session, string>();

/** In a bridge `peer` is the other leg (contract §3.2). @param peer - undefined: the session stands alone again. */
export function setBridgePeer(session: Session, peer: string | undefined): void {
  if (peer === undefined) bridgePeers.delete(session);
  else bridgePeers.set(session, peer);
}

/** The other leg of a bridge that the session is in, or was in at its end. */
export function bridgePeer(session: Session): string | undefined {
  return bridgePeers.get(session);
}

/** A session's own part of `msg.sip`. */
export function sessionFields(
  stackId: string,
  session: Session,
  snapshot: SessionSnapshot,
): Omit<SipFields, "event"> {
  const fields: Partial<SipFields> = {};
  assignKnown(fields, snapshot, plainCopy);
  const peer = bridgePeers.get(session);
  if (peer !== undefined) fields.peer = peer;
  fields["stack"] = stackId;
  fields.data = jsonCopy(session.data) as Record<string, unknown>;
  return fields;
}

/** Adds what is not undefined; a flow takes thousands of events a second, so nothing is copied twice. */
function assignKnown(
  fields: Partial<SipFields>,
  more: object,
  copy: (value: unknown) => unknown = (value) => value,
): void {
  const source = more as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(source)) {
    const value = source[name];
    if (value !== undefined) fields[name] = copy(value);
  }
}

/** `msg.sip` of a session event. */
export function sessionEventFields(
  stackId: string,
  session: Session,
  event: SessionEvent,
): SipFields {
  const fields = sessionFields(stackId, session, event.snapshot);
  if (event.message !== undefined) assignKnown(fields, messageFields(event.message));
  const { statusCode, reason, remoteSdp, localSdp, previousState, target, retryAfter } = event;
  const request = event.pending?.handle;
  const { digit: dtmf, contacts } = event;
  assignKnown(
    fields,
    {
      statusCode,
      reason,
      remoteSdp,
      localSdp,
      request,
      previousState,
      target,
      retryAfter,
      dtmf,
      contacts,
    },
    plainCopy,
  );
  fields["event"] = event.name;
  return fields as SipFields;
}

/** The natural value of a session event (contract §3, §4.8). */
export function sessionEventPayload(event: SessionEvent): unknown {
  const { snapshot } = event;
  switch (event.name) {
    case "inviting": {
      const uris = event.uris ?? snapshot.targets?.map((target) => target.uri) ?? [];
      return uris.length > 1 ? [...uris] : (uris[0] ?? snapshot.remote.uri);
    }
    case "redirecting":
      return [...(event.uris ?? event.contacts?.map((contact) => contact.uri) ?? [])];
    case "progress":
    case "rejected":
    case "failed":
    case "refer-progress":
    case "response":
      return event.statusCode ?? 0;
    case "ended":
    case "cancelled":
      return snapshot.cause ?? event.name;
    case "bye":
      return snapshot.cause ?? (event.message?.source === undefined ? "local-bye" : "remote-bye");
    case "state":
      return snapshot.state;
    case "hold":
    case "resume":
    case "updated":
      return snapshot.hold;
    case "refer":
      return event.referTo ?? "";
    case "replaced":
      return snapshot.replacedBy ?? "";
    case "message":
    case "info":
    case "notify":
      return event.message === undefined ? "" : bodyOf(event.message);
    case "dtmf":
      return event.digit?.digit ?? "";
    case "route":
      return event.route ?? "";
    case "media":
      return plainCopy(snapshot.media ?? []);
    case "request":
      return event.message?.kind === "request" ? event.message.method : "";
    default:
      return snapshot.remote.uri;
  }
}

/** `msg.sip` of an event that belongs to no session. */
export function stackEventFields(stackId: string, event: StackEvent): SipFields {
  return withoutUndefined({
    ...(event.message === undefined
      ? {}
      : { ...messageFields(event.message), ...partyFields(event.message) }),
    event: event.name,
    stack: stackId,
    ...withoutUndefined({
      account: event.accountId,
      statusCode: event.statusCode,
      reason: event.reason ?? event.text,
      cause: event.cause,
      request: event.pending?.handle,
      expires: event.expires,
      retryAfter: event.retryAfter,
      subscription: event.subscription?.handle,
      eventPackage: event.subscription?.eventPackage,
      subscriptionState: event.subscription === undefined ? undefined : "terminated",
      direction: event.subscription?.direction,
    }),
    challenge:
      event.challenge === undefined
        ? undefined
        : { realm: event.challenge.realm, algorithms: [...event.challenge.algorithms] },
    connection:
      event.connection === undefined
        ? undefined
        : withoutUndefined({
            protocol: event.connection.protocol,
            address: event.connection.address,
            port: event.connection.port,
            reason: event.connection.reason,
            retryIn: event.connection.retryIn,
          }),
  });
}

/** The natural value of a stack event. */
export function stackEventPayload(event: StackEvent): unknown {
  const { message } = event;
  switch (event.name) {
    case "registered":
      return event.expires ?? 0;
    case "unregistered":
      return 0;
    case "registration-failed":
    case "response":
      return event.statusCode ?? 0;
    case "connected":
    case "disconnected": {
      const { connection } = event;
      if (connection === undefined) return "";
      return `${connection.protocol}:${connection.address}:${connection.port}`;
    }
    case "message":
    case "notify":
    case "info":
      return message === undefined ? "" : bodyOf(message);
    case "subscribe":
      return message?.headers.get("event") ?? "";
    case "refer":
      return referUri(message);
    case "request":
      return message?.kind === "request" ? message.method : "";
    case "options":
      return message?.from.uri.toString() ?? "";
    case "subscription-ended":
      return event.reason ?? "";
    case "challenge":
    case "error":
      return event.text ?? event.reason ?? "";
    default:
      return event.reason ?? "";
  }
}

/** The URI that a REFER outside of a call names. */
function referUri(message: StackEvent["message"]): string {
  const value = message?.headers.get("refer-to");
  if (value === undefined) return "";
  return parseReferTarget(value)?.uri.toString() ?? value;
}

/** What the outcome of an action adds to `msg.sip`. */
export function outcomeFields(outcome: ActionOutcome): Partial<SipFields> {
  return withoutUndefined({
    ...(outcome.message === undefined ? {} : messageFields(outcome.message)),
    ...withoutUndefined({
      statusCode: outcome.statusCode,
      reason: outcome.reason,
      cause: outcome.ok ? undefined : outcome.cause,
      retryAfter: outcome.ok ? undefined : outcome.retryAfter,
      subscription: outcome.ok ? outcome.subscription : undefined,
      remoteSdp: outcome.ok ? outcome.remoteSdp : undefined,
      localSdp: outcome.ok ? outcome.localSdp : undefined,
    }),
  });
}
