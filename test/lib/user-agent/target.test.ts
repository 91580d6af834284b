/** What people write to say whom to call (contract §4.5). */
import assert from "node:assert/strict";
import { InvalidArgumentError } from "../../../lib/foundation/index.js";
import { SipUri } from "../../../lib/message/index.js";
import { parseTarget } from "../../../lib/user-agent/target.js";

const home = new SipUri("sip", "alice", "example.com");

const accepted: readonly [text: string, uri: string][] = [
  ["sip:bob@example.org", "sip:bob@example.org"],
  ["  sip:bob@example.org  ", "sip:bob@example.org"],
  ["sips:bob@example.org", "sips:bob@example.org"],
  ["SIP:bob@Example.ORG", "sip:bob@example.org"],
  ["sip:bob@example.org:5070;transport=tcp", "sip:bob@example.org:5070;transport=tcp"],
  ["sip:[2001:db8::1]", "sip:[2001:db8::1]"],
  ['"Bob B." <sip:bob@example.org>', "sip:bob@example.org"],
  ["<sip:bob@example.org;transport=tls>", "sip:bob@example.org;transport=tls"],
  ["bob@example.org", "sip:bob@example.org"],
  ["bob@example.org:5070", "sip:bob@example.org:5070"],
  ["+4930123@example.org", "sip:+4930123@example.org"],
  ["bob", "sip:bob@example.com"],
  ["200", "sip:200@example.com"],
  ["*97", "sip:*97@example.com"],
  ["#31#200", "sip:%2331%23200@example.com"],
  ["+49 (30) 123-45.6", "sip:+4930123456@example.com"],
  ["jörg", "sip:j%C3%B6rg@example.com"],
  ["front door", "sip:front%20door@example.com"],
  ["tel:+4930123", "sip:+4930123@example.com;user=phone"],
  ["tel:110;phone-context=example.org", "sip:110@example.com;phone-context=example.org;user=phone"],
];

const refused: readonly [text: unknown, why: RegExp][] = [
  ["", /empty/],
  ["   ", /empty/],
  [undefined, /text/],
  [42, /text/],
  ["sip:bob@example.org\r\nX-Evil: 1", /line breaks/],
  ["bob\n", /line breaks/],
  ["bob\0@example.org", /line breaks or NUL/],
  ["http://example.org", /only sip, sips and tel/],
  ["mailto:bob@example.org", /only sip, sips and tel/],
  ["<http://example.org>", /only sip, sips and tel/],
  ["sip:", /no SIP address/],
  ["sip:bob@", /no SIP address/],
  ["sip:bob@exa mple", /no SIP address/],
  ["bob@", /no SIP address/],
  ["<sip:bob@example.org", /cannot be read/],
  ["192.0.2.7", /write sip:192\.0\.2\.7/],
  ["2001:db8::1", /./],
  [`sip:${"x".repeat(5_000)}@example.org`, /too long/],
];

describe("targets", () => {
  for (const [text, uri] of accepted) {
    it(`reads ${text}`, () => {
      assert.equal(parseTarget(text, home).uri.toString(), uri);
    });
  }

  for (const [text, why] of refused) {
    it(`refuses ${JSON.stringify(text)?.slice(0, 60)}`, () => {
      assert.throws(
        () => parseTarget(text, home),
        (error: unknown) =>
          error instanceof InvalidArgumentError &&
          error.rule === "bad-target" &&
          why.test(error.message),
      );
    });
  }

  it("keeps the display name of a name-addr", () => {
    assert.equal(parseTarget('"Bob B." <sip:bob@example.org>', home).displayName, "Bob B.");
  });

  it("keeps scheme and port of the account's domain", () => {
    const secure = new SipUri("sips", "alice", "example.com", 5071);
    assert.equal(parseTarget("200", secure).uri.toString(), "sips:200@example.com:5071");
  });

  it("needs an account for bare names and telephone numbers", () => {
    for (const text of ["bob", "200", "tel:+4930123"]) {
      assert.throws(() => parseTarget(text, undefined), /account/);
    }
    assert.equal(parseTarget("bob@host", undefined).uri.toString(), "sip:bob@host");
  });

  it("names no unprintable text in its errors", () => {
    assert.throws(
      () => parseTarget("bob\u001b[31m\r\n", home),
      (error: unknown) => error instanceof Error && !/[\u0000-\u001f]/.test(error.message),
    );
  });
});
