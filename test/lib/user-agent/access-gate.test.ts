/** Who may send requests (contract §2): allow, deny, trusted, and how often a refused source is told. */
import assert from "node:assert/strict";
import { AccessGate } from "../../../lib/user-agent/access-gate.js";
import { RateLimit } from "../../../lib/user-agent/rate-limit.js";
import { ManualClock } from "../../support/manual-clock.js";

function gate(
  lists: { allow?: string[]; deny?: string[]; trusted?: string[] },
  clock = new ManualClock(),
) {
  return new AccessGate({
    allow: lists.allow ?? [],
    deny: lists.deny ?? [],
    trusted: lists.trusted ?? [],
    clock,
    isOwnServer: (address) => address === "203.0.113.5",
  });
}

describe("access gate", () => {
  it("lets local networks and the accounts' servers in when allow is empty", () => {
    const open = gate({});
    assert.equal(open.check("192.168.1.9"), "pass");
    assert.equal(open.check("::1"), "pass");
    assert.equal(open.check("203.0.113.5"), "pass");
    assert.equal(open.check("198.51.100.1"), "refuse");
  });

  it("lets in only what allow names when it names something", () => {
    const narrow = gate({ allow: ["198.51.100.0/24"] });
    assert.equal(narrow.check("198.51.100.1"), "pass");
    assert.equal(narrow.check("192.168.1.9"), "refuse");
    assert.equal(narrow.check("203.0.113.5"), "refuse");
  });

  it("lets everybody in with 0.0.0.0/0 and ::/0", () => {
    const open = gate({ allow: ["0.0.0.0/0", "::/0"] });
    assert.equal(open.check("198.51.100.1"), "pass");
    assert.equal(open.check("2001:db8::1"), "pass");
  });

  it("keeps out what deny names, allowed or not", () => {
    const strict = gate({ allow: ["0.0.0.0/0"], deny: ["198.51.100.7"] });
    assert.equal(strict.check("198.51.100.7"), "refuse");
    assert.equal(strict.check("198.51.100.8"), "pass");
    assert.equal(gate({ deny: ["127.0.0.1"] }).check("127.0.0.1"), "refuse");
  });

  it("trusts the accounts' servers unless a list says otherwise", () => {
    assert.equal(gate({}).isTrusted("203.0.113.5"), true);
    assert.equal(gate({}).isTrusted("192.168.1.9"), false);
    assert.equal(gate({ trusted: ["192.168.1.0/24"] }).isTrusted("192.168.1.9"), true);
    assert.equal(gate({ trusted: ["192.168.1.0/24"] }).isTrusted("203.0.113.5"), false);
  });

  it("tells a refused source some times, then falls silent, then tells it again", () => {
    const clock = new ManualClock();
    const strict = gate({ allow: ["10.0.0.0/8"] }, clock);
    const verdicts = Array.from({ length: 30 }, () => strict.check("198.51.100.1"));
    assert.equal(verdicts.filter((verdict) => verdict === "refuse").length, 10);
    assert.equal(verdicts.at(-1), "ignore");
    assert.equal(strict.check("198.51.100.2"), "refuse", "others are counted apart");
    clock.advance(1_000);
    assert.equal(strict.check("198.51.100.1"), "refuse");
  });
});

describe("rate limit", () => {
  it("gives a burst, then as many per second as allowed", () => {
    const clock = new ManualClock();
    const limit = new RateLimit(clock, 5, 5);
    const take = (n: number) =>
      Array.from({ length: n }, () => limit.take("a")).filter(Boolean).length;
    assert.equal(take(20), 5);
    clock.advance(400);
    assert.equal(take(20), 2);
    clock.advance(60_000);
    assert.equal(take(20), 5);
  });

  it("remembers a bounded number of sources", () => {
    const limit = new RateLimit(new ManualClock(), 1, 1);
    for (let i = 0; i < 20_000; i++) limit.take(`source-${i}`);
    assert.ok(limit.size <= 4_096);
  });
});
