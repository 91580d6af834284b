/** What texts of peers and settings look like in logs and errors. */
import assert from "node:assert/strict";
import { printable, withoutPasswords } from "../../../lib/foundation/index.js";

const table: readonly [text: string, shown: string][] = [
  ["sip:bob@example.com", "sip:bob@example.com"],
  ["sip:bob:secret@example.com:5060", "sip:bob:***@example.com:5060"],
  ["SIPS:bob:se:cr:et@example.com", "SIPS:bob:***@example.com"],
  ['"Bob" <sip:bob:secret@a>;x=y, <sip:c:secret@d>', '"Bob" <sip:bob:***@a>;x=y, <sip:c:***@d>'],
  ["bob:secret@", "bob:***@"],
  ["wss://user:secret@host/ws", "wss://user:***@host/ws"],
  ["wss://host:443/ws", "wss://host:443/ws"],
  ["sip:[2001:db8::1]:5060", "sip:[2001:db8::1]:5060"],
  ["sip:bob@[2001:db8::1]", "sip:bob@[2001:db8::1]"],
  ["at 12:30 bob@example.com", "at 12:30 bob@example.com"],
  ["sip:@x", "sip:@x"],
  ["", ""],
];

describe("printable text", () => {
  for (const [text, shown] of table) {
    it(`shows ${JSON.stringify(text)} as ${JSON.stringify(shown)}`, () => {
      assert.equal(withoutPasswords(text), shown);
    });
  }

  it("has no control bytes, and an end", () => {
    assert.equal(printable("a\u001b[31m\r\n\u0000"), "a\\x1b[31m\\x0d\\x0a\\x00");
    assert.equal(printable("x".repeat(500), 10), `${"x".repeat(10)}…`);
  });

  it("shows no part of a password that the end cuts through", () => {
    assert.equal(
      printable(`sip:bob:${"secret".repeat(10)}@example.com`, 20),
      "sip:bob:***@example.…",
    );
  });

  it("is made in time for texts of any kind", () => {
    for (const part of ["@", ":", "sip:a:b@", "a", "://"]) {
      const begin = performance.now();
      printable(part.repeat(65_536 / part.length), 1_000);
      assert.ok(performance.now() - begin < 1_000, part);
    }
  });
});
