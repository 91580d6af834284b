import assert from "node:assert/strict";
import {
  type CollectorOptions,
  DigitBuffer,
  DigitCollector,
  entryPattern,
} from "../../../nodes/shared/digits.js";
import { ManualClock } from "../../support/manual-clock.js";

const DEFAULTS: CollectorOptions = {
  min: 1,
  max: 0,
  terminator: "#",
  firstDigitTimeout: 10_000,
  interDigitTimeout: 3000,
  pattern: undefined,
};

/** Dials text in which a number in brackets is a pause in ms. @returns result, entry and pending timers. */
function collect(script: string, options: Partial<CollectorOptions> = {}): unknown[] {
  const clock = new ManualClock();
  const results: [string, string][] = [];
  const collector = new DigitCollector({ ...DEFAULTS, ...options }, clock, (result, entry) =>
    results.push([result, entry]),
  );
  collector.listen();
  for (const part of script.match(/\[\d+\]|./g) ?? []) {
    if (part.startsWith("[")) clock.advance(Number(part.slice(1, -1)));
    else collector.digit(part);
  }
  assert.ok(results.length <= 1, "one result");
  return [...(results[0] ?? ["waiting", collector.entry]), clock.pendingTimers()];
}

describe("DigitCollector", () => {
  const table: [string, string, Partial<CollectorOptions>, string, string][] = [
    ["the terminator ends an entry", "12#", {}, "digits", "12"],
    ["digits after the end count no more", "12#34#", {}, "digits", "12"],
    ["any of several terminators ends it", "1*", { terminator: "#*" }, "digits", "1"],
    ["a letter ends it however it was typed", "1D", { terminator: "#d" }, "digits", "1"],
    ["without a terminator # is a digit", "1#[3000]", { terminator: "" }, "digits", "1#"],
    ["max ends it at once", "1234", { max: 4 }, "digits", "1234"],
    ["a pause ends it", "12[3000]", {}, "digits", "12"],
    ["each digit begins the pause anew", "1[2999]2[2999]3[3000]", {}, "digits", "123"],
    ["a pause with too few is a timeout", "1[3000]", { min: 2 }, "timeout", "1"],
    ["a terminator with too few is invalid", "1#", { min: 2 }, "invalid", "1"],
    ["an empty entry is invalid", "#", {}, "invalid", ""],
    ["an empty entry is allowed with min 0", "#", { min: 0 }, "digits", ""],
    ["no digit at all is a timeout", "[10000]", {}, "timeout", ""],
    ["no digit at all is a timeout also with min 0", "[10000]", { min: 0 }, "timeout", ""],
    ["the whole entry must match", "123#", { pattern: entryPattern("12") }, "invalid", "123"],
    [
      "an alternative is tested as a whole",
      "12#",
      { pattern: entryPattern("1|12") },
      "digits",
      "12",
    ],
    [
      "the pattern is tested at max too",
      "99",
      { max: 2, pattern: entryPattern("1.") },
      "invalid",
      "99",
    ],
    ["letters are digits", "A*[3000]", {}, "digits", "A*"],
    ["an endless entry ends", "1".repeat(128), {}, "digits", "1".repeat(128)],
  ];
  for (const [name, script, options, result, entry] of table) {
    it(name, () => assert.deepEqual(collect(script, options), [result, entry, 0]));
  }

  it("waits for ever with the times 0", () => {
    assert.deepEqual(
      collect("[9999999]1[9999999]", { firstDigitTimeout: 0, interDigitTimeout: 0 }),
      ["waiting", "1", 0],
    );
  });

  it("leaves no timer behind when closed", () => {
    const clock = new ManualClock();
    const collector = new DigitCollector(DEFAULTS, clock, () => assert.fail("no result"));
    collector.listen();
    collector.close();
    collector.digit("1");
    assert.equal(clock.pendingTimers(), 0);
  });
});

describe("DigitBuffer", () => {
  it("gives digits back in order and keeps the last 32", () => {
    const buffer = new DigitBuffer();
    for (let i = 0; i < 40; i++) buffer.add(String(i % 10));
    let taken = "";
    let digit: string | undefined;
    while ((digit = buffer.take()) !== undefined) taken += digit;
    assert.equal(taken, "89012345678901234567890123456789");
  });
});
