import assert from "node:assert/strict";
import { compareRules, type IncomingRule } from "../../../nodes/shared/incoming-nodes.js";
import { globMatches, parsePattern, patternMatches } from "../../../nodes/shared/patterns.js";

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
    const begin = performance.now();
    globMatches(`${"*a".repeat(40)}b`, "a".repeat(256));
    assert.ok(performance.now() - begin < 50);
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
