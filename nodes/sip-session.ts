/** `sip-session`: is the call still there? Fresh `msg.sip`, stores `data` (contract §4.5). Outputs: 1 alive, 2 over. */
import type { NodeAPI } from "node-red";
import { registerActionNode } from "./shared/flow-node.js";
import { session } from "./shared/properties.js";
import { callFor, leaveOver } from "./shared/session-action.js";

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-session", {
    properties: { session },
    run({ input, values }) {
      const call = callFor(input, values.session);
      if (call === undefined) {
        leaveOver(input, values.session, 2, "ended");
        return;
      }
      const sip = call.fields("state");
      input.leave(1, () => ({ sip, payload: sip.state }));
    },
  });
}
