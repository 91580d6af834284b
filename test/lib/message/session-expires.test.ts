/** Session-Expires and Min-SE (RFC 4028 §4, §5): what is read, what is not. */
import assert from "node:assert/strict";
import {
  formatSessionExpires,
  parseMinSE,
  parseSessionExpires,
} from "../../../lib/message/index.js";

describe("Session-Expires", () => {
  for (const [text, seconds, refresher] of [
    ["1800", 1800, undefined],
    ["90;refresher=uac", 90, "uac"],
    [" 90 ; Refresher = UAS ;x=y", 90, "uas"],
    ["4294967295;refresher=me", 4294967295, undefined],
    ["0", 0, undefined],
  ] as const) {
    it(`reads "${text}"`, () => {
      assert.deepEqual(parseSessionExpires(text), { seconds, refresher });
    });
  }

  for (const text of [
    "",
    ";refresher=uac",
    "-1",
    "1e3",
    "0x10",
    "4294967296",
    "90 refresher",
    "9 0",
    "90;;",
  ]) {
    it(`does not read "${text}"`, () => assert.equal(parseSessionExpires(text), undefined));
  }

  it("is written as it is read", () => {
    assert.equal(formatSessionExpires(90), "90");
    assert.equal(formatSessionExpires(90, "uas"), "90;refresher=uas");
  });

  it("reads Min-SE with and without parameters", () => {
    assert.equal(parseMinSE("120"), 120);
    assert.equal(parseMinSE("120;x=1"), 120);
    assert.equal(parseMinSE("soon"), undefined);
  });
});
