import assert from "node:assert/strict";
import { compareRules, type IncomingRule } from "../../../nodes/shared/incoming-nodes.js";
import {
  globMatches,
  parsePattern,
  patternGaveUp,
  patternMatches,
} from "../../../nodes/shared/patterns.js";
import { processorTime } from "../../support/processor-time.js";

describe("patterns", () => {
  for (const [pattern, text, expected] of [
    ["", "anything", true],
    ["alice", "alice", true],
    ["alice", "Alice", false],
    ["alice", "alice2", false],
    ["*", "", true],
    ["+49*", "+4912345", true],
    ["*99", "1299", true],
    ["*99", "12990", false],
    ["a*b*c", "axxbyyc", true],
    ["a*b*c", "acb", false],
    ["a.c", "abc", false],
    ["/\\d{3}/", "123", true],
    ["/\\d{3}/", "1234", false],
    ["/a|b/", "xb", false],
    ["/x", "/x", true],
  ] as const) {
    it(`"${pattern}" ${expected ? "fits" : "does not fit"} "${text}"`, () => {
      assert.equal(patternMatches(parsePattern(pattern), [text]), expected);
    });
  }

  it("a text of a peer that is too long fits nothing", () => {
    assert.equal(patternMatches(parsePattern("*"), ["x".repeat(257)]), false);
  });

  it("a glob of many stars stays fast", () => {
    const took = processorTime(() => globMatches(`${"*a".repeat(40)}b`, "a".repeat(256)));
    assert.ok(took < 500, `${took} ms`);
  });

  for (const [pattern, bounded] of [
    ["\\+49(30|40)\\d{3,8}", true],
    [".*@example\\.(?:com|org)", true],
    ["[(a+)+]*", true],
    ["\\(\\d+\\)\\+", true],
    ["(\\d+)+x", false],
    ["(?:a|a)*b", false],
    ["(a{1,9}){9}", false],
    [".*.*.*x", false],
    [`${"a?".repeat(30)}${"a".repeat(30)}`, false],
    ["(a+)\\1", false],
    ["(?=a).", false],
  ] as const) {
    it(`/${pattern}/ is tested ${bounded ? "at once" : "with a limit of time"}`, () => {
      const parsed = parsePattern(`/${pattern}/`);
      assert.equal(parsed?.kind === "regex" && parsed.bounded, bounded);
    });
  }

  it("an expression that would take for ever fits nothing, and is given up after three times", () => {
    const endless = parsePattern("/(x+)+y/");
    const begin = performance.now();
    for (let i = 0; i < 6; i++) {
      assert.equal(patternGaveUp(endless), i >= 3);
      assert.equal(patternMatches(endless, ["x".repeat(64)]), false);
    }
    assert.ok(performance.now() - begin < 3000);
  });

  it("an expression with a limit of time fits what it describes", () => {
    assert.equal(patternMatches(parsePattern("/(ab)+c/"), ["ababc"]), true);
    assert.equal(patternMatches(parsePattern("/(ab)+c/"), ["abab"]), false);
  });

  it("refuses a broken regular expression", () => {
    assert.throws(() => parsePattern("/(/"), { rule: "bad-pattern" });
  });
});

describe("the rank of sip-incoming nodes", () => {
  const rule = (nodeId: string, match = "", from = "", accountId?: string): IncomingRule => ({
    nodeId,
    stackId: "s",
    accountId,
    match: parsePattern(match),
    from: parsePattern(from),
    ring: true,
    answerTimeout: 0,
  });

  it("is account, then match, then from, then the longer pattern, then the smaller id", () => {
    const expected = [
      rule("1", "", "", "acc"),
      rule("2", "alice", "bob"),
      rule("3", "alice", "b*"),
      rule("4", "alice", "/b.*/"),
      rule("5", "alice"),
      rule("6", "alic*", "bob"),
      rule("7", "alic*"),
      rule("8", "a*"),
      rule("9", "/a.*/", "bob"),
      rule("a", "/a.*/"),
      rule("b", "", "bob@host"),
      rule("c", "", "bob"),
      rule("d", "", "b*"),
      rule("e"),
      rule("f"),
    ];
    const sorted = expected.toReversed().toSorted(compareRules);
    assert.deepEqual(
      sorted.map(({ nodeId }) => nodeId),
      expected.map(({ nodeId }) => nodeId),
    );
  });
});
