/** `sip-dtmf`: sends digits (contract §4.6). Outputs: 1 done, 2 failed. */
import type { NodeAPI } from "node-red";
import { misuse } from "./shared/errors.js";
import { registerActionNode } from "./shared/flow-node.js";
import { choice, milliseconds, session, typedText } from "./shared/properties.js";
import { attemptIn, callFor, leaveOver } from "./shared/session-action.js";

/** Also bounds how long a single input can keep a call busy. */
const MOST_DIGITS = 256;

const properties = {
  session,
  digits: typedText({ value: "payload", type: "msg" }),
  method: choice(["auto", "rfc4733", "info-relay", "info-dtmf", "inband"], "auto"),
  duration: milliseconds(100),
  gap: milliseconds(500),
};

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-dtmf", {
    properties,
    busyText: "status.sending",
    reads: ["headers"],
    async run({ input, values, headers }) {
      const { digits = "", method, duration, gap } = values;
      if (!/^[0-9A-D*#,]+$/.test(digits) || digits.length > MOST_DIGITS) {
        throw misuse("bad-digits", `digits are 0-9, A-D, *, # and , (at most ${MOST_DIGITS})`);
      }
      const call = callFor(input, values.session);
      if (call === undefined) {
        leaveOver(input, values.session, 2, "dtmf-failed", 0);
        return;
      }
      await attemptIn(
        input,
        call,
        { success: [1, "dtmf-sent"], failure: [2, "dtmf-failed"], payload: () => digits },
        async () => {
          const release = await call.useSound();
          try {
            return await call.session.sendDigits({ digits, method, duration, gap, headers });
          } finally {
            release();
          }
        },
      );
    },
  });
}
