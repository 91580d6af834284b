/** `sip-refer`: transfers a call (contract §4.5). Outputs: 1 transferred, 2 progress, 3 failed. */
import type { NodeAPI } from "node-red";
import type { SipRequest } from "../lib/index.js";
import type { Call } from "./shared/call.js";
import { misuse } from "./shared/errors.js";
import { registerActionNode } from "./shared/flow-node.js";
import type { Input } from "./shared/input.js";
import { messageFields } from "./shared/message-fields.js";
import { flag, seconds, session, typedText } from "./shared/properties.js";
import { attemptIn, callFor, leaveOver } from "./shared/session-action.js";

const properties = {
  session,
  to: typedText(),
  target: typedText(),
  referredBy: typedText(),
  timeout: seconds(60),
  hangup: flag(true),
};

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-refer", {
    properties,
    busyText: "status.transferring",
    reads: ["headers"],
    async run({ input, values, headers }) {
      const { to, target, referredBy, timeout, hangup } = values;
      if (to === undefined && target === undefined) {
        throw misuse("no-target", `"to" and "target" are empty: where to transfer the call?`);
      }
      const call = callFor(input, values.session);
      if (call === undefined) {
        leaveOver(input, values.session, 3, "refer-failed", 0);
        return;
      }
      await attemptIn(
        input,
        call,
        { success: [1, "transferred"], failure: [3, "refer-failed"] },
        () =>
          call.session.refer({
            to,
            target,
            referredBy,
            headers,
            timeoutMs: timeout,
            hangup,
            onProgress: (statusCode, reason, notify) =>
              reportProgress(input, call, statusCode, reason, notify),
          }),
      );
    },
  });
}

function reportProgress(
  input: Input,
  call: Call,
  statusCode: number,
  reason: string,
  notify: SipRequest,
): void {
  const sip = call.fields("refer-progress", { ...messageFields(notify), statusCode, reason });
  input.also(2, () => ({ sip, payload: statusCode }), {
    sessionId: call.id,
    events: ["refer-progress"],
  });
}
