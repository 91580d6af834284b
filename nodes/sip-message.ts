/** `sip-message`: sends a text, in a session or on its own (contract §4.6). Outputs: 1 delivered, 2 failed. */
import type { NodeAPI } from "node-red";
import type { HeaderList } from "../lib/index.js";
import { bodyFrom } from "./shared/bodies.js";
import type { Call } from "./shared/call.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import { text } from "./shared/properties.js";
import {
  contentTypeOf,
  isStandalone,
  scopeProperties,
  standaloneFields,
  standaloneTarget,
} from "./shared/scoped-request.js";
import { attemptIn, callFor, leaveOver } from "./shared/session-action.js";

const DEFAULT_TYPE = "text/plain";

const properties = { ...scopeProperties, contentType: text(DEFAULT_TYPE) };

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
      const { headers, contentType = DEFAULT_TYPE } = contentTypeOf(
        values.contentType,
        action.headers,
      );
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

async function sendInside({ input }: MessageAction, call: Call, content: Content): Promise<void> {
  await attemptIn(input, call, { success: [1, "delivered"], failure: [2, "message-failed"] }, () =>
    call.session.request({ method: "MESSAGE", ...content }),
  );
}

async function sendAlone({ input, values }: MessageAction, content: Content): Promise<void> {
  const { account } = values;
  const missing = `"to" is empty: who gets the message?`;
  const { engine, userAgent, to } = await standaloneTarget(input, values, missing);
  const outcome = await userAgent.request({ method: "MESSAGE", to, account, ...content });
  const event = outcome.ok ? "delivered" : "message-failed";
  const sip = standaloneFields(input, engine, account, event, outcome);
  input.leave(outcome.ok ? 1 : 2, () => ({ sip, payload: outcome.statusCode }));
}
