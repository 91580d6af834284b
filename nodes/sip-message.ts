/** `sip-message`: sends a text, in a session or on its own (contract §4.6). Outputs: 1 delivered, 2 failed. */
import type { NodeAPI } from "node-red";
import type { HeaderList } from "../lib/index.js";
import { bodyFrom, checkedContentType } from "./shared/bodies.js";
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

interface Content {
  readonly contentType: string;
  readonly headers: HeaderList;
  readonly body: string | Buffer;
}

type MessageAction = Action<typeof properties>;

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-message", {
    properties,
    reads: ["headers"],
    async run(action) {
      const { input, values, msg } = action;
      const { contentType, headers } = contentTypeOf(action);
      const content = { contentType, headers, body: bodyFrom(msg.payload, contentType) };
      if (isStandalone(values)) {
        await sendAlone(action, content);
        return;
      }
      const call = callFor(input, values.session);
      if (call === undefined) leaveOver(input, values.session, 2, "message-failed", 0);
      else await sendInside(action, call, content);
    },
  });
}

/** A `Content-Type` header of the flow replaces the property. */
function contentTypeOf({ values, headers }: MessageAction): Omit<Content, "body"> {
  const isType = ([name]: readonly [string, string]): boolean => /^(content-type|c)$/i.test(name);
  const given = headers.find(isType)?.[1];
  return {
    contentType: checkedContentType(given ?? values.contentType),
    headers: given === undefined ? headers : headers.filter((line) => !isType(line)),
  };
}

function isStandalone({ scope, session: handle, to }: MessageAction["values"]): boolean {
  if (scope !== "auto") return scope === "standalone";
  const isLive = typeof handle === "string" && findCall(handle) !== undefined;
  return !isLive && to !== undefined;
}

async function sendInside({ input }: MessageAction, call: Call, content: Content): Promise<void> {
  await attemptIn(input, call, { success: [1, "delivered"], failure: [2, "message-failed"] }, () =>
    call.session.request({ method: "MESSAGE", ...content }),
  );
}

async function sendAlone({ input, values }: MessageAction, content: Content): Promise<void> {
  const { to, account } = values;
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
    ...content,
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
