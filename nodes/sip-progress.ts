/** `sip-progress`: a provisional response to an incoming call (contract §4.5). Outputs: 1 sent, 2 ended. */
import type { NodeAPI } from "node-red";
import { registerActionNode } from "./shared/flow-node.js";
import { flag, optionalText, rel100, session, statusCode } from "./shared/properties.js";
import { callFor, isEnding, leaveAtEnd, leaveOver, outcomeIn } from "./shared/session-action.js";

/** `supported` = where the caller can. */
const RELIABLE: ReadonlyMap<string, boolean | undefined> = new Map([
  ["none", false],
  ["supported", undefined],
  ["required", true],
]);

const properties = {
  session,
  statusCode: statusCode(101, 199, 180),
  reason: optionalText,
  earlyMedia: flag(false),
  rel100,
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
      try {
        const { statusCode: code, reason, earlyMedia } = values;
        const rel100 = RELIABLE.get(values.rel100 ?? "supported");
        const options = { statusCode: code, reason, earlyMedia, rel100, headers, sdp };
        const outcome = await call.session.progress(options);
        const sip = outcomeIn(call, outcome.ok ? "progress" : "ended", outcome);
        if (outcome.ok) {
          const leavesWith = { sessionId: call.id, events: ["progress"] };
          input.leave(1, () => ({ sip, payload: outcome.statusCode }), leavesWith);
        } else if (!isEnding(call)) input.leave(2, () => ({ sip, payload: outcome.cause }));
      } catch (error) {
        if (!isEnding(call)) throw error;
      } finally {
        if (!isEnding(call)) unwatch();
      }
    },
  });
}
