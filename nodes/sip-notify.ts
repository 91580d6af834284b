/** `sip-notify`: tells a subscriber (contract §4.6). Outputs: 1 sent, 2 failed. */
import type { NodeAPI } from "node-red";
import { parseSubscriptionState } from "../lib/index.js";
import type { ActionOutcome, NotifyOptions, SubscriberFacts } from "../lib/index.js";
import { bodyFrom } from "./shared/bodies.js";
import { allEngines } from "./shared/engines.js";
import { misuse } from "./shared/errors.js";
import { outcomeFields } from "./shared/event-fields.js";
import { type Action, registerActionNode } from "./shared/flow-node.js";
import { anyValue, optionalText, text, typed } from "./shared/properties.js";
import { contentTypeOf } from "./shared/scoped-request.js";
import { withoutUndefined } from "./shared/sip-fields.js";

const properties = {
  subscription: typed(anyValue, { value: "sip.subscription", type: "msg" }),
  subscriptionState: text("active"),
  contentType: optionalText,
};

type NotifyAction = Action<typeof properties>;

const OVER: ActionOutcome = { ok: false, cause: "no-request", statusCode: 0 };

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-notify", { properties, reads: ["headers"], run });
}

async function run(action: NotifyAction): Promise<void> {
  const { input, values } = action;
  const handle = values.subscription;
  if (typeof handle !== "string" || handle === "") {
    throw misuse("no-subscription", "the message carries no handle (msg.sip.subscription)");
  }
  const options = optionsOf(action);
  let outcome = OVER;
  let stack: string | undefined;
  let facts: SubscriberFacts | undefined;
  let isOver = true;
  for (const { userAgent, stackId, presence } of allEngines()) {
    if (userAgent === undefined) continue;
    // Asked before: the last NOTIFY is its end.
    facts = userAgent.subscriberFacts(handle);
    outcome = await userAgent.notify(handle, options);
    stack = stackId;
    if (outcome.ok || outcome.cause !== "no-request") {
      const present = userAgent.subscriberFacts(handle);
      isOver = present === undefined;
      facts = present ?? facts;
      if (outcome.ok && facts !== undefined) presence?.told(facts, options);
      break;
    }
  }
  const event = outcome.ok ? "notify-sent" : "notify-failed";
  const sip = withoutUndefined({
    ...outcomeFields(outcome),
    event,
    stack,
    session: input.carried.session,
    subscription: handle,
    eventPackage: facts?.eventPackage,
    subscriptionState: isOver ? "terminated" : facts?.subscriptionState,
    expires: isOver ? undefined : facts?.expires,
  });
  input.leave(outcome.ok ? 1 : 2, () => ({ sip, payload: outcome.statusCode }));
}

function optionsOf({ msg, values, headers }: NotifyAction): NotifyOptions {
  const state = parseSubscriptionState(values.subscriptionState);
  if (state === undefined || !["active", "pending", "terminated"].includes(state.state)) {
    throw misuse("bad-option", `"subscriptionState" must be active, pending or terminated`);
  }
  const content = contentTypeOf(values.contentType, headers);
  const { payload } = msg;
  if (payload === undefined || payload === null || payload === "") {
    return { state, headers: content.headers };
  }
  const contentType = content.contentType ?? "text/plain";
  return { state, contentType, headers: content.headers, body: bodyFrom(payload, contentType) };
}
