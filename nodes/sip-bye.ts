/** `sip-bye`: ends a session in whatever state it is (contract §4.5). Output: 1 ended. */
import type { NodeAPI } from "node-red";
import { registerActionNode } from "./shared/flow-node.js";
import { optionalText, session, statusCode } from "./shared/properties.js";
import { callFor, isEnding, leaveAtEnd, leaveOver } from "./shared/session-action.js";

const properties = { session, statusCode: statusCode(100, 699), reason: optionalText };

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-bye", {
    properties,
    reads: ["headers"],
    async run({ input, values, headers }) {
      const call = callFor(input, values.session);
      if (call === undefined) {
        leaveOver(input, values.session, 1, "ended");
        return;
      }
      const unwatch = leaveAtEnd(input, call, 1, (event) => ({
        event: "ended",
        payload: event.snapshot.cause ?? "ended",
      }));
      // A second one only waits for the same end.
      if (isEnding(call)) return;
      try {
        await call.session.end({ statusCode: values.statusCode, reason: values.reason, headers });
      } catch (error) {
        if (isEnding(call)) return;
        unwatch();
        throw error;
      }
    },
  });
}
