/**
 * `sip-request`: sends a request of any method, in a session or on its own (contract §4.6).
 * Outputs: 1 response, 2 failed, 3 provisional.
 */
import type { NodeAPI } from "node-red";
import { checkedRequestMethod, type HeaderList, type SipResponse } from "../lib/index.js";
import { bodyFrom } from "./shared/bodies.js";
import type { Call } from "./shared/call.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import { messageFields } from "./shared/message-fields.js";
import { optionalText, text } from "./shared/properties.js";
import {
  contentTypeOf,
  isStandalone,
  scopeProperties,
  standaloneFields,
  standaloneTarget,
} from "./shared/scoped-request.js";
import { attemptIn, callFor, leaveOver } from "./shared/session-action.js";
import { withoutUndefined } from "./shared/sip-fields.js";

const properties = {
  ...scopeProperties,
  method: text("OPTIONS"),
  contentType: optionalText,
  infoPackage: optionalText,
};

interface Request {
  readonly method: string;
  readonly headers: HeaderList;
  readonly contentType: string | undefined;
  readonly body: string | Buffer | undefined;
}

type RequestAction = Action<typeof properties>;

const FAILED = [2, "request-failed"] as const;

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-request", {
    properties,
    reads: ["headers"],
    busyText: "status.requesting",
    async run(action) {
      const { input, values } = action;
      const request = requestOf(action);
      if (isStandalone(values)) {
        await sendAlone(action, request);
        return;
      }
      const call = callFor(input, values.session);
      if (call === undefined) leaveOver(input, values.session, ...FAILED, 0);
      else await sendInside(action, call, request);
    },
  });
}

/** Without a content type there is no body, whatever the payload is. */
function requestOf({ values, msg, headers: given }: RequestAction): Request {
  const method = checkedRequestMethod(values.method.trim());
  const { contentType, headers } = contentTypeOf(values.contentType, given);
  const body = contentType === undefined ? undefined : bodyFrom(msg.payload, contentType);
  return { method, headers, contentType, body };
}

async function sendInside(
  { input, values }: RequestAction,
  call: Call,
  request: Request,
): Promise<void> {
  const onProvisional = (response: SipResponse): void => {
    const sip = call.fields("provisional", messageFields(response));
    input.also(3, () => ({ sip, payload: response.statusCode }));
  };
  await attemptIn(input, call, { success: [1, "response"], failure: FAILED }, () =>
    call.session.request({ ...request, infoPackage: values.infoPackage, onProvisional }),
  );
}

async function sendAlone({ input, values }: RequestAction, request: Request): Promise<void> {
  const { account } = values;
  const missing = `"to" is empty: who gets the request?`;
  const { engine, userAgent, to } = await standaloneTarget(input, values, missing);
  const onProvisional = (response: SipResponse): void => {
    const sip = withoutUndefined({
      ...messageFields(response),
      event: "provisional",
      stack: engine.stackId,
      account,
      session: input.carried.session,
    });
    input.also(3, () => ({ sip, payload: response.statusCode }));
  };
  const outcome = await userAgent.request({ ...request, to, account, onProvisional });
  const event = outcome.ok ? "response" : "request-failed";
  const sip = standaloneFields(input, engine, account, event, outcome);
  input.leave(outcome.ok ? 1 : 2, () => ({ sip, payload: outcome.statusCode }));
}
