/** `sip-invite`: places a call (contract §4.5). Outputs: 1 answered, 2 progress, 3 failed, 4 ended. */
import type { NodeAPI } from "node-red";
import type { ReplacesOptions } from "../lib/index.js";
import { checkedData, findCall } from "./shared/call.js";
import { misuse } from "./shared/errors.js";
import { type Action, engineFor, registerActionNode } from "./shared/flow-node.js";
import { parseTargets } from "./shared/invite-targets.js";
import { placeCall } from "./shared/outgoing-calls.js";
import {
  anyValue,
  choice,
  flag,
  number,
  optionalNumber,
  optionalText,
  rel100,
  seconds,
  typed,
} from "./shared/properties.js";
import { isRecord } from "./shared/sip-fields.js";

const properties = {
  stack: optionalText,
  account: optionalText,
  to: typed(anyValue, { fallback: undefined }),
  strategy: choice(["parallel", "sequential"], "parallel"),
  timeout: seconds(60),
  linked: flag(true),
  maxCalls: number(0),
  queue: flag(false),
  anonymous: flag(false),
  earlyMedia: flag(true),
  delayedOffer: flag(false),
  redirects: number(3),
  rel100,
  sessionExpires: optionalNumber,
  replaces: typed(parseReplaces, { fallback: undefined }),
};

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-invite", {
    shows: "problems",
    properties,
    reads: ["headers", "sdp"],
    run,
  });
}

function run({ input, values, headers, sdp }: Action<typeof properties>): void {
  const { carried } = input;
  const cameWith = carried.session;
  input.peer = cameWith !== undefined && findCall(cameWith) ? cameWith : carried.peer;
  placeCall({
    input,
    engine: engineFor(values.stack, values.account),
    options: {
      targets: parseTargets(values.to),
      account: values.account,
      strategy: values.strategy,
      timeoutMs: values.timeout,
      anonymous: values.anonymous,
      earlyMedia: values.earlyMedia,
      delayedOffer: values.delayedOffer,
      redirects: values.redirects,
      sessionExpires: values.sessionExpires,
      rel100: values.rel100,
      headers,
      replaces: values.replaces,
      sdp,
      data: checkedData(carried.data ?? {}),
      near: input.peer,
    },
    linkedTo: values.linked ? input.peer : undefined,
    maxCalls: values.maxCalls,
    queue: values.queue,
  });
}

/** The call whose place the new one takes: a handle, or the dialog in the words of the called peer (RFC 3891). */
function parseReplaces(value: unknown): string | ReplacesOptions | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string") return value;
  if (isRecord(value)) {
    const { callId, toTag, fromTag, earlyOnly } = value;
    if (typeof callId === "string" && typeof toTag === "string" && typeof fromTag === "string") {
      return { callId, toTag, fromTag, earlyOnly: earlyOnly === true };
    }
  }
  throw misuse("bad-option", `"replaces" must be a session handle or {callId, toTag, fromTag}`);
}
