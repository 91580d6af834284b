/** The ordered header map: names, order, refusal of line breaks. */
import assert from "node:assert/strict";
import { InvalidArgumentError } from "../../../lib/foundation/index.js";
import { HeaderMap, parseMessage, SipRequest, serializeText } from "../../../lib/message/index.js";

describe("HeaderMap", () => {
  it("finds lines whatever spelling or compact form they came in", () => {
    const map = new HeaderMap();
    map.add("v", "1");
    map.add("VIA", "2");
    map.add("Via", "3");
    assert.equal(map.get("via"), "1");
    assert.deepEqual(map.getAll("via"), ["1", "2", "3"]);
    assert.equal(map.has("via"), true);
    assert.deepEqual(map.entries(), [
      ["via", "1"],
      ["via", "2"],
      ["via", "3"],
    ]);
  });

  it("replaces all lines at the place of the first", () => {
    const map = new HeaderMap();
    for (const [name, value] of [
      ["a-x", "1"],
      ["route", "r1"],
      ["b-x", "2"],
      ["Route", "r2"],
    ] as const) {
      map.add(name, value);
    }
    map.set("route", ["new1", "new2"]);
    assert.deepEqual(map.entries(), [
      ["a-x", "1"],
      ["route", "new1"],
      ["route", "new2"],
      ["b-x", "2"],
    ]);
    map.set("ROUTE", "one");
    assert.deepEqual(map.getAll("route"), ["one"]);
    map.set("route", []);
    assert.equal(map.has("route"), false);
    map.set("c-x", "3");
    assert.deepEqual(map.entries().at(-1), ["c-x", "3"]);
  });

  it("prepends before the first line of the name, or on top", () => {
    const map = new HeaderMap();
    map.add("from", "f");
    map.add("via", "old");
    map.prepend("via", "new");
    map.prepend("route", "r");
    assert.deepEqual(
      map.entries().map(([, value]) => value),
      ["r", "f", "new", "old"],
    );
    map.removeFirst("via");
    assert.deepEqual(map.getAll("via"), ["old"]);
    map.removeFirst("unknown");
    map.delete("via");
    assert.equal(map.has("via"), false);
  });

  it("copies independently", () => {
    const map = new HeaderMap();
    map.add("to", "a");
    const copy = map.clone();
    copy.set("to", "b");
    copy.add("x", "y");
    assert.deepEqual(map.entries(), [["to", "a"]]);
  });

  for (const [what, name, value] of [
    ["CR", "X-A", "a\rb"],
    ["LF", "X-A", "a\nEvil: yes"],
    ["NUL", "X-A", "a\0"],
    ["a colon in the name", "X:A", "a"],
    ["a line break in the name", "X\r\nA", "a"],
    ["a space in the name", "X A", "a"],
    ["an empty name", "", "a"],
    ["a name beyond ASCII", "X-\u00e4", "a"],
  ] as const) {
    it(`refuses ${what} with rule bad-header`, () => {
      const map = new HeaderMap();
      const isBadHeader = (error: unknown) =>
        error instanceof InvalidArgumentError && error.rule === "bad-header";
      assert.throws(() => map.add(name, value), isBadHeader);
      assert.throws(() => map.set(name, value), isBadHeader);
      assert.throws(() => map.set(name, ["ok", value]), isBadHeader);
      assert.throws(() => map.prepend(name, value), isBadHeader);
      assert.deepEqual(map.entries(), []);
    });
  }

  it("writes known names in the RFC's spelling and unknown ones as given", () => {
    const map = new HeaderMap();
    for (const name of [
      "call-id",
      "CSEQ",
      "www-authenticate",
      "i",
      "rack",
      "X-Door",
      "mime-version",
      "y",
    ]) {
      map.add(name, "1");
    }
    const text = serializeText(new SipRequest("OPTIONS", "sip:a@b", map, ""));
    assert.deepEqual(text.split("\r\n").slice(1, 9), [
      "Call-ID: 1",
      "CSeq: 1",
      "WWW-Authenticate: 1",
      "Call-ID: 1",
      "RAck: 1",
      "X-Door: 1",
      "MIME-Version: 1",
      "Identity: 1",
    ]);
  });

  it("keeps hostile names as plain entries", () => {
    const names = [
      "__proto__",
      "constructor",
      "prototype",
      "toString",
      "hasOwnProperty",
      "valueOf",
    ];
    const text =
      "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=__proto__\r\n" +
      "To: <sip:a@b>\r\nCall-ID: __proto__\r\nCSeq: 1 OPTIONS\r\n" +
      names.map((name) => `${name}: ${name}!\r\n`).join("") +
      "\r\n";
    const result = parseMessage(Buffer.from(text));
    assert.ok(result.ok);
    for (const name of names) {
      assert.equal(result.message.headers.get(name.toLowerCase()), `${name}!`);
      assert.equal(result.message.tokens(name.toLowerCase())[0], `${name}!`.toLowerCase());
    }
    assert.equal(result.message.headers.get("isprototypeof"), undefined);
    assert.equal(result.message.callId, "__proto__");
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
    assert.deepEqual(Object.keys(Object.prototype), []);
  });
});
