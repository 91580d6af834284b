/** Globs over the outgoing URI (contract §2 `dial`). */
import assert from "node:assert/strict";
import { parseUri } from "../../../lib/message/index.js";
import { DialFilter, globMatches } from "../../../lib/user-agent/dial-filter.js";

const table: readonly [globs: string[], uri: string, permitted: boolean][] = [
  [[], "sip:anybody@example.com", true],
  [[], "tel:+4930123", true],
  [[], "mailto:bob@example.com", false],
  [["*"], "sip:anybody@example.com", true],
  [["*"], "http://example.com", false],
  [["sip:*@example.com"], "sip:bob@example.com", true],
  [["sip:*@example.com"], "sip:bob@example.com;transport=tcp", true],
  [["sip:*@example.com"], "SIP:Bob@EXAMPLE.com", true],
  [["sip:*@example.com"], "sip:bob@example.com:5070", false],
  [["sip:*@example.com"], "sip:bob@evil.example", false],
  [["sip:*@example.com"], "sip:bob@example.com;maddr=203.0.113.1", false],
  [["sip:*@example.com"], "sips:bob@example.com", false],
  [["sip:*@example.com"], "sip:x@evil.example?to=sip:bob@example.com", false],
  [["*@example.com"], "sips:bob@example.com", true],
  [["+49*"], "sip:+4930123@provider.example", true],
  [["+49*"], "sip:%2B4930123@provider.example", true],
  [["+49*"], "sip:+4430123@provider.example", false],
  [["+49*"], "tel:+4930123", true],
  [["1??"], "sip:110@pbx.example", true],
  [["1??"], "sip:1100@pbx.example", false],
  [["bob@example.com"], "sip:bob@example.com", true],
  [["bob@example.com"], "sip:bob@example.com:5070", false],
  [["bob@example.com:5070"], "sip:bob@example.com:5070", true],
  [["tel:+49*"], "tel:+4930123;phone-context=example.com", true],
  [["", " "], "sip:anybody@example.com", true],
  [["alice", "bob"], "sip:bob@example.com", true],
  [["alice", "bob"], "sip:carol@example.com", false],
  [["bob"], "sip:example.com", false],
  [["!0900*"], "sip:bob@example.com", true],
  [["!0900*"], "sip:0900123@example.com", false],
  [["!0900*"], "sip:%30900-123@example.com", false],
  [["!0900*"], "sip:(09)00.123@example.com", false],
  [["!0900*"], "sip:0900123;postd=1@example.com", false],
  [["!0900*"], "sip:0900123@example.com;maddr=203.0.113.1", false],
  [["!0900*"], "tel:0900-123", false],
  [["! tel:*"], "tel:+4930123", false],
  [["!*@evil.example"], "sip:bob@evil.example", false],
  [["!*@evil.example"], "sip:bob@good.example", true],
  [["!bob@evil.example"], "sip:bob@evil.example:5099", false],
  [["+49*", "!+49900*"], "sip:+4930123@provider.example", true],
  [["+49*", "!+49900*"], "sip:+49900123@provider.example", false],
  [["!+49900*", "+49900123"], "sip:+49900123@provider.example", false],
  [["+49*", "!+49900*"], "sip:+4430123@provider.example", false],
  [["!"], "sip:bob@example.com", true],
];

describe("dial filter", () => {
  for (const [globs, text, permitted] of table) {
    it(`${permitted ? "permits" : "blocks"} ${text} with ${JSON.stringify(globs)}`, () => {
      const uri = parseUri(text);
      assert.ok(uri);
      assert.equal(new DialFilter(globs).permits(uri), permitted);
    });
  }

  it("matches globs without going wild on hostile texts", () => {
    assert.equal(globMatches("a*b*c", "aXXbXXc"), true);
    assert.equal(globMatches("a*b*c", "aXXcXXb"), false);
    assert.equal(globMatches("***", ""), true);
    assert.equal(globMatches("?", ""), false);
    assert.equal(globMatches("*a*a*a*a*a*a*b", "a".repeat(8_000)), false);
  });
});
