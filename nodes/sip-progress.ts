/** `sip-progress`: a provisional response to an incoming call (contract §4.5). Outputs: 1 sent, 2 ended. */
import type { NodeAPI } from "node-red";
import { registerActionNode } from "./shared/flow-node.js";
import { flag, optionalText, session, statusCode } from "./shared/properties.js";
import { attemptIn, callFor, leaveAtEnd, leaveOver } from "./shared/session-action.js";

const properties = {
  session,
  statusCode: statusCode(101, 199, 180),
  reason: optionalText,
  earlyMedia: flag(false),
};

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-progress", {
    properties,
    reads: ["headers", "sdp"],
    async run({ input, values, headers, sdp }) {
      const call = callFor(input, values.session);
      if (call === undefined) {
        leaveOver(input, values.session, 2, "ended");
        return;
      }
      // Released by the end of the call if that comes first.
      const unwatch = leaveAtEnd(input, call, 2);
      const { statusCode: code, reason, earlyMedia } = values;
      try {
        const outcome = await call.session.progress({
          statusCode: code,
          reason,
          headers,
          earlyMedia,
          sdp,
        });
        if (!outcome.ok) {
          await attemptIn(input, call, { success: [1, "progress"], failure: [2, "ended"] }, () =>
            Promise.resolve(outcome),
          );
          return;
        }
        const sip = call.fields("progress", { statusCode: outcome.statusCode });
        input.leave(1, () => ({ sip, payload: outcome.statusCode }), {
          sessionId: call.id,
          events: ["progress"],
        });
      } finally {
        unwatch();
      }
    },
  });
}
