/** `sip-message`: sends a text, in a session or on its own (contract §4.6). Outputs: 1 delivered, 2 failed. */
import type { NodeAPI } from "node-red";
import { bodyFrom } from "./shared/bodies.js";
import { type Call, findCall } from "./shared/call.js";
import { misuse } from "./shared/errors.js";
import { outcomeFields } from "./shared/event-fields.js";
import { type Action, engineFor, registerActionNode } from "./shared/flow-node.js";
import { choice, optionalText, session, text, typedText } from "./shared/properties.js";
import { attemptIn, callFor, leaveOver } from "./shared/session-action.js";
import { withoutUndefined } from "./shared/sip-fields.js";

const properties = {
  session,
  scope: choice(["auto", "session", "standalone"], "auto"),
  stack: optionalText,
  account: optionalText,
  to: typedText(),
  contentType: text("text/plain"),
};

type MessageAction = Action<typeof properties>;

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-message", {
    properties,
    reads: ["headers"],
    async run(action) {
      const { input, values, msg } = action;
      const body = bodyFrom(msg.payload, values.contentType);
      if (isStandalone(values)) {
        await sendAlone(action, body);
        return;
      }
      const call = callFor(input, values.session);
      if (call === undefined) leaveOver(input, values.session, 2, "message-failed", 0);
      else await sendInside(action, call, body);
    },
  });
}

function isStandalone({ scope, session: handle, to }: MessageAction["values"]): boolean {
  if (scope !== "auto") return scope === "standalone";
  const isLive = typeof handle === "string" && findCall(handle) !== undefined;
  return !isLive && to !== undefined;
}

async function sendInside(
  { input, values, headers }: MessageAction,
  call: Call,
  body: string | Buffer,
): Promise<void> {
  await attemptIn(input, call, { success: [1, "delivered"], failure: [2, "message-failed"] }, () =>
    call.session.request({ method: "MESSAGE", headers, contentType: values.contentType, body }),
  );
}

async function sendAlone(
  { input, values, headers }: MessageAction,
  body: string | Buffer,
): Promise<void> {
  const { to, account, contentType } = values;
  if (to === undefined) throw misuse("no-target", `"to" is empty: who gets the message?`);
  const { session: current } = input.carried;
  // Without a stack of its own, the one of the call that the message came with.
  const stackId = values.stack ?? (current === undefined ? undefined : findCall(current)?.stackId);
  const engine = engineFor(stackId, account);
  const userAgent = await engine.ready();
  const outcome = await userAgent.request({
    method: "MESSAGE",
    to,
    account,
    headers,
    contentType,
    body,
  });
  const event = outcome.ok ? "delivered" : "message-failed";
  const sip = withoutUndefined({
    ...outcomeFields(outcome),
    event,
    stack: engine.stackId,
    account,
    // The flow goes on in the call that it is in.
    session: current,
  });
  input.leave(outcome.ok ? 1 : 2, () => ({ sip, payload: outcome.statusCode }));
}
