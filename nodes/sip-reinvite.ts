/** `sip-reinvite`: hold, resume, renegotiate or refresh a call (contract §4.5). Outputs: 1 done, 2 failed. */
import type { NodeAPI } from "node-red";
import { registerActionNode } from "./shared/flow-node.js";
import { choice, flag, session } from "./shared/properties.js";
import { attemptIn, callFor, leaveOver } from "./shared/session-action.js";

const properties = {
  session,
  action: choice(["hold", "resume", "renegotiate", "refresh"], "hold"),
  delayedOffer: flag(false),
};

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-reinvite", {
    properties,
    busyText: "status.changing",
    reads: ["headers", "sdp"],
    async run({ input, values, headers, sdp }) {
      const { action, delayedOffer } = values;
      const call = callFor(input, values.session);
      if (call === undefined) {
        leaveOver(input, values.session, 2, "reinvite-failed", 0);
        return;
      }
      await attemptIn(
        input,
        call,
        {
          success: [1, "reinvited"],
          failure: [2, "reinvite-failed"],
          payload: () => action,
          with: ["hold", "resume", "updated", "media"],
        },
        () => call.session.reinvite({ action, delayedOffer, sdp, headers }),
      );
    },
  });
}
