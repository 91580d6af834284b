/** `sip-accept`: answers a call or a held request (contract §4.5). Outputs: 1 confirmed, 2 failed. */
import type { NodeAPI } from "node-red";
import type { ActionOutcome } from "../lib/index.js";
import { bodyFrom } from "./shared/bodies.js";
import { misuse } from "./shared/errors.js";
import { type Call, type CallLink, findCall } from "./shared/call.js";
import { outcomeFields } from "./shared/event-fields.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import {
  anyValue,
  flag,
  optionalNumber,
  optionalText,
  session,
  statusCode,
  typed,
} from "./shared/properties.js";
import {
  findRequest,
  type FoundRequest,
  leaveAnswered,
  leaveNoRequest,
} from "./shared/request-action.js";
import { attemptIn, callFor, leaveOver } from "./shared/session-action.js";
import { isRecord } from "./shared/sip-fields.js";

const properties = {
  session,
  statusCode: statusCode(200, 299),
  reason: optionalText,
  contentType: optionalText,
  body: typed(anyValue, { fallback: undefined }),
  follow: flag(false),
  expires: optionalNumber,
  account: optionalText,
};

type AcceptAction = Action<typeof properties>;

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-accept", {
    properties,
    reads: ["headers", "sdp", "credentials"],
    run: (action) =>
      action.input.carried.request === undefined ? acceptCall(action) : acceptRequest(action),
  });
}

function bodyOptions({ values }: AcceptAction): { contentType?: string; body?: string | Buffer } {
  const { body, contentType } = values;
  if (body === undefined || body === null || body === "") return {};
  const type = contentType ?? "text/plain";
  return { contentType: type, body: bodyFrom(body, type) };
}

/** `msg.credentials`. @throws InvalidArgumentError `no-credentials`, whose text says nothing of their content. */
function checkedCredentials(value: unknown): { user: string; password: string } | undefined {
  if (value === undefined || value === null) return undefined;
  if (isRecord(value)) {
    const { user, password } = value;
    if (typeof user === "string" && typeof password === "string") return { user, password };
  }
  throw misuse("no-credentials", "msg.credentials is no object with the texts user and password");
}

async function acceptCall(action: AcceptAction): Promise<void> {
  const { input, values, headers, sdp } = action;
  const call = callFor(input, values.session);
  if (call === undefined) {
    leaveOver(input, values.session, 2, "accept-failed", 0);
    return;
  }
  await attemptIn(
    input,
    call,
    {
      success: [1, "confirmed"],
      failure: [2, "accept-failed"],
      with: ["confirmed"],
      payload: () => call.session.snapshot().remote.uri,
    },
    () => call.session.accept({ headers, sdp, ...bodyOptions(action) }),
  );
}

async function acceptRequest(action: AcceptAction): Promise<void> {
  const { input, values, headers, sdp } = action;
  const found = findRequest(input);
  if (found === undefined) {
    leaveNoRequest(input, values.session, 2, "accept-failed");
    return;
  }
  // A bridge of the call that referred moves over to the new one.
  const settle = values.follow ? transferOf(input.carried.session) : undefined;
  let heir: Call | undefined;
  try {
    const outcome = await found.pending.accept({
      statusCode: values.statusCode,
      reason: values.reason,
      headers,
      sdp,
      ...bodyOptions(action),
      follow: values.follow,
      expires: values.expires,
      account: values.account,
      credentials: checkedCredentials(action.credentials),
    });
    if (outcome.ok && outcome.newSession) heir = findCall(outcome.newSession.id);
    leaveAccepted(action, found, outcome, heir);
  } finally {
    settle?.(heir);
  }
}

/** @param placed - the call that was placed for a followed REFER. */
function leaveAccepted(
  { input, values, sdp }: AcceptAction,
  found: FoundRequest,
  outcome: ActionOutcome,
  placed: Call | undefined,
): void {
  if (placed !== undefined) {
    // A followed REFER: the flow goes on with the new call; the one that referred is its peer.
    input.peer = input.carried.session;
    leaveAnswered(input, placed, 1, "accepted", outcome, found);
    return;
  }
  const call = typeof values.session === "string" ? findCall(values.session) : undefined;
  if (outcome.ok && call !== undefined && found.pending.request.source === undefined) {
    // The answer to the offer in the 2xx to our own INVITE: it has left in the ACK.
    const sip = { ...call.fields("confirmed", outcomeFields(outcome)), localSdp: sdp };
    input.requestAnswered = true;
    input.leave(1, () => ({ sip, payload: call.session.snapshot().remote.uri }), {
      sessionId: call.id,
      events: ["confirmed"],
    });
    return;
  }
  leaveAnswered(
    input,
    values.session,
    outcome.ok ? 1 : 2,
    outcome.ok ? "accepted" : "accept-failed",
    outcome,
    found,
  );
}

function transferOf(handle: string | undefined): ReturnType<CallLink["transfer"]> | undefined {
  const call = handle === undefined ? undefined : findCall(handle);
  return call?.bridge?.transfer(call);
}
