/** The timer values of RFC 3261 appendix A (table 4), RFC 6026 §8 and RFC 4320 §4. */
import assert from "node:assert/strict";
import {
  DEFAULT_TIMERS,
  retransmissionInterval,
  timerLength,
  type FixedTimer,
} from "../../../lib/transaction/index.js";

describe("timerLength", () => {
  for (const [name, unreliable, reliable] of [
    ["B", 32_000, 32_000],
    ["D", 32_000, 0],
    ["F", 32_000, 32_000],
    ["H", 32_000, 32_000],
    ["I", 5_000, 0],
    ["J", 32_000, 5_000],
    ["K", 5_000, 0],
    ["L", 32_000, 32_000],
    ["M", 32_000, 32_000],
    ["trying", 3_500, 3_500],
    ["expiry", 32_000, 32_000],
  ] as [FixedTimer, number, number][]) {
    it(`sets ${name} to ${unreliable} ms over UDP and ${reliable} ms over TCP`, () => {
      assert.equal(timerLength(name, DEFAULT_TIMERS, false), unreliable);
      assert.equal(timerLength(name, DEFAULT_TIMERS, true), reliable);
    });
  }

  it("keeps Timer D at 32 s or more, because the server's T1 is unknown (RFC 3261 §17.1.1.2)", () => {
    assert.equal(timerLength("D", { t1: 10, t2: 80, t4: 100 }, false), 32_000);
    assert.equal(timerLength("D", { t1: 1000, t2: 8000, t4: 5000 }, false), 64_000);
  });
});

describe("retransmissionInterval", () => {
  const intervals = (name: "A" | "E" | "G"): number[] =>
    [0, 1, 2, 3, 4, 5].map((expiries) => retransmissionInterval(name, expiries, DEFAULT_TIMERS));

  it("doubles A without bound and E and G up to T2", () => {
    assert.deepEqual(intervals("A"), [500, 1000, 2000, 4000, 8000, 16_000]);
    assert.deepEqual(intervals("E"), [500, 1000, 2000, 4000, 4000, 4000]);
    assert.deepEqual(intervals("G"), [500, 1000, 2000, 4000, 4000, 4000]);
  });
});
