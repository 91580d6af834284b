import assert from "node:assert/strict";
import type { DigitEvent } from "../../../lib/session/index.js";
import { ReceivedDigits } from "../../../lib/session/received-digits.js";

/** Keys as `m1` (media), `m1/400` (held so long), `i1` (INFO) and pauses as `+ms`. @returns those that count. */
function told(script: string): string {
  const digits = new ReceivedDigits();
  let now = 0;
  return script
    .split(" ")
    .filter((part) => {
      if (part.startsWith("+")) now += Number(part);
      const method: DigitEvent["method"] = part.startsWith("m") ? "rfc4733" : "info-relay";
      return (
        !part.startsWith("+") &&
        digits.isNew({ digit: part[1], method, duration: Number(part.slice(3)) }, now)
      );
    })
    .map((part) => part[1])
    .join("");
}

describe("keys that come two ways", () => {
  for (const [name, script, expected] of [
    ["one way alone counts as often as it comes", "m1 m1 i2 i2 m1", "11221"],
    ["the second way adds nothing", "m1 i1 m2 i2", "12"],
    ["nor when it comes first, or all at the end", "i1 m1 i1 m1 m2 m3 i2 i3", "1123"],
    ["the same key twice is two keys, however the ways are mixed", "m1 m1 i1 i1 i1 m1", "111"],
    ["a key that one way lost is told by the other", "m1 i1 i2 m3 i3", "123"],
    ["an INFO that was lost and came again is the same key", "m1 +600 i1 +600 i2 +600 m2", "12"],
    ["later, the same key is another", "m1 +701 i1 +701 m1 +701 i1", "1111"],
    ["a long press is still the same, told by INFO when it begins", "i1 +4000 m1/4000", "1"],
    ["or a while after that", "m1/4000 +400 i1", "1"],
    ["a short press long after an INFO is another", "i1 +4000 m1/100", "11"],
  ] as const) {
    it(name, () => assert.equal(told(script), expected));
  }

  it("a peer that presses for ever costs no memory", () => {
    assert.equal(told(Array.from({ length: 500 }, () => "m1").join(" ")).length, 500);
    assert.equal(told(`${"m1 ".repeat(40)}${"i1 ".repeat(40)}`.trim()).length, 48);
  });
});
