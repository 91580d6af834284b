/** Every state × input cell of the registration's table. */
import assert from "node:assert/strict";
import { registrationMachine } from "../../../lib/registration/index.js";

/** `next: actions`; an absent cell is ignored on purpose. */
const expected: Record<string, Record<string, string>> = {
  unregistered: {
    register: "registering: sendRegister",
    unregister: "unregistering: sendUnregister",
  },
  registering: {
    success: "registered: startRefreshTimer reportRegistered",
    intervalTooBrief: "registering: sendRegister",
    askAgain: "registering: sendRegister",
    failure: "waiting: startRetryTimer reportFailed",
    unregister: "unregistering: abandonRequest settleWaiting sendUnregister",
    close: "unregistered: abandonRequest settleWaiting",
  },
  registered: {
    refreshDue: "refreshing: sendRegister",
    register: "refreshing: cancelTimer sendRegister",
    connectionLost: "waiting: cancelTimer startReconnectTimer",
    unregister: "unregistering: cancelTimer sendUnregister",
    close: "unregistered: cancelTimer",
  },
  refreshing: {
    success: "registered: startRefreshTimer reportRegistered",
    intervalTooBrief: "refreshing: sendRegister",
    askAgain: "refreshing: sendRegister",
    failure: "waiting: startRetryTimer reportFailed",
    unregister: "unregistering: abandonRequest settleWaiting sendUnregister",
    close: "unregistered: abandonRequest settleWaiting",
  },
  waiting: {
    retryDue: "registering: sendRegister",
    register: "registering: cancelTimer sendRegister",
    unregister: "unregistering: cancelTimer sendUnregister",
    close: "unregistered: cancelTimer",
  },
  unregistering: {
    success: "unregistered: reportUnregistered",
    intervalTooBrief: "unregistered: reportUnregisterFailed",
    failure: "unregistered: reportUnregisterFailed",
    register: "registering: abandonRequest settleWaiting sendRegister",
    close: "unregistered: abandonRequest settleWaiting",
  },
};

describe("registration table", () => {
  for (const [state, row] of Object.entries(registrationMachine.table)) {
    for (const input of registrationMachine.inputs) {
      const wanted = expected[state]?.[input];
      it(`${wanted === undefined ? "ignores" : "takes"} ${input} in ${state}`, () => {
        const cell = row[input];
        const found = cell && `${cell.next}: ${cell.do.join(" ")}`;
        assert.equal(found, wanted);
        if (cell) assert.notEqual(cell.rfc, "");
      });
    }
  }

  it("has a row for every state that the test expects, and no other", () => {
    assert.deepEqual(Object.keys(registrationMachine.table), Object.keys(expected));
  });
});
