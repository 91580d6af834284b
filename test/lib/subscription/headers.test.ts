/** Event and Subscription-State, read and written (RFC 6665 §8.2). */
import assert from "node:assert/strict";
import {
  formatEvent,
  formatSubscriptionState,
  parseEvent,
  parseSubscriptionState,
} from "../../../lib/subscription/index.js";

describe("Event", () => {
  it("is read with and without id", () => {
    assert.deepEqual(parseEvent("Refer;id=93809823"), { eventPackage: "refer", id: "93809823" });
    assert.deepEqual(parseEvent(" presence "), { eventPackage: "presence", id: undefined });
    assert.deepEqual(parseEvent("x;__proto__=1;id"), { eventPackage: "x", id: undefined });
    assert.equal(parseEvent(undefined), undefined);
    assert.equal(parseEvent(";id=1"), undefined);
  });

  it("is written as it is read", () => {
    for (const text of ["refer", "refer;id=2"]) {
      assert.equal(formatEvent(parseEvent(text) ?? { eventPackage: "", id: undefined }), text);
    }
  });
});

describe("Subscription-State", () => {
  it("is read with its parameters", () => {
    assert.deepEqual(parseSubscriptionState("Active; expires=60"), {
      state: "active",
      expires: 60,
      reason: undefined,
    });
    assert.deepEqual(parseSubscriptionState("terminated;reason=noresource;expires=1e9"), {
      state: "terminated",
      expires: undefined,
      reason: "noresource",
    });
    assert.equal(parseSubscriptionState(undefined), undefined);
    assert.equal(parseSubscriptionState(" ;"), undefined);
  });

  it("is written", () => {
    assert.equal(
      formatSubscriptionState({ state: "active", expires: 60, reason: undefined }),
      "active;expires=60",
    );
    assert.equal(
      formatSubscriptionState({ state: "terminated", expires: undefined, reason: "timeout" }),
      "terminated;reason=timeout",
    );
  });
});
