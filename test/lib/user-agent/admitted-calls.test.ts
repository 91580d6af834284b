import assert from "node:assert/strict";
import { parseText, type SipRequest } from "../../../lib/index.js";
import type { Flow } from "../../../lib/transport/transport.js";
import { AdmittedCalls } from "../../../lib/user-agent/admitted-calls.js";
import { requestText } from "../../support/sip-messages.js";

const CALL_ID = "0123456789abcdef0123456789abcdef";
const from = (remoteAddress: string): Flow => ({ remoteAddress }) as Flow;
const text = (callId: string): string =>
  requestText().replace(/^Call-ID:.*$/im, `Call-ID: ${callId}`);
const request = (callId: string): SipRequest => {
  const parsed = parseText(text(callId));
  assert.ok("message" in parsed && parsed.message?.kind === "request");
  return parsed.message;
};

describe("calls that the application admits", () => {
  const admitted = new AdmittedCalls((address) => address === "192.0.2.7");

  it("pass by their Call-ID from this machine, until they are taken back", () => {
    const takeBack = admitted.add(CALL_ID, "account");
    for (const address of ["127.0.0.1", "::1", "192.0.2.7"]) {
      assert.ok(admitted.has(request(CALL_ID), from(address)), address);
      assert.ok(admitted.mayBe(Buffer.from(text(CALL_ID)), from(address)), address);
    }
    assert.equal(admitted.accountOf(request(CALL_ID)), "account");
    takeBack();
    takeBack();
    assert.ok(!admitted.has(request(CALL_ID), from("127.0.0.1")));
    assert.ok(!admitted.mayBe(Buffer.from(text(CALL_ID)), from("127.0.0.1")));
    assert.equal(admitted.accountOf(request(CALL_ID)), undefined);
  });

  it("do not pass from another machine, nor other calls from this one", () => {
    const takeBack = admitted.add(CALL_ID);
    assert.ok(!admitted.has(request(CALL_ID), from("192.0.2.8")));
    assert.ok(!admitted.mayBe(Buffer.from(text(CALL_ID)), from("192.0.2.8")));
    assert.ok(!admitted.has(request(`x${CALL_ID}`), from("127.0.0.1")));
    assert.ok(!admitted.mayBe(Buffer.from(text("another")), from("127.0.0.1")));
    takeBack();
  });

  it("have a Call-ID that nobody can guess, and are not many", () => {
    assert.throws(() => admitted.add("short"), /16/);
    const all = Array.from({ length: 64 }, (_, i) => admitted.add(`${CALL_ID}${i}`));
    assert.throws(() => admitted.add(CALL_ID), /64/);
    for (const takeBack of all) takeBack();
  });
});
