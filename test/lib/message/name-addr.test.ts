/** Addresses with display names and header parameters (RFC 3261 §20.10, §25.1). */
import assert from "node:assert/strict";
import {
  formatParameters,
  isStarContact,
  NameAddr,
  parseNameAddr,
  parseNameAddrList,
  parseParameters,
  parseUri,
} from "../../../lib/message/index.js";

function one(text: string): NameAddr {
  const address = parseNameAddr(text);
  assert.ok(address, text);
  return address;
}

describe("parseNameAddr", () => {
  const good: [string, string | undefined, string, [string, string | null][]][] = [
    ["<sip:a@b>", undefined, "sip:a@b", []],
    ["sip:a@b", undefined, "sip:a@b", []],
    ["sip:a@b;tag=1", undefined, "sip:a@b", [["tag", "1"]]],
    ["<sip:a@b;lr>;tag=1", undefined, "sip:a@b;lr", [["tag", "1"]]],
    ["Bob <sip:a@b>", "Bob", "sip:a@b", []],
    ["Bob Smith Jr. <sip:a@b>", "Bob Smith Jr.", "sip:a@b", []],
    ["caller<sip:a@b>", "caller", "sip:a@b", []],
    ['"Bob"<sip:a@b>', "Bob", "sip:a@b", []],
    ['"" <sip:a@b>', "", "sip:a@b", []],
    ['"a \\"b\\" \\\\ c, <d>;e" <sip:a@b>', 'a "b" \\ c, <d>;e', "sip:a@b", []],
    ["J\u00f6rg M. <sip:a@b>", "J\u00f6rg M.", "sip:a@b", []],
    ['"\u5c71\u7530" <sip:a@b>', "\u5c71\u7530", "sip:a@b", []],
    [
      "  <sip:a@b> ; x ; TAG = 9 ",
      undefined,
      "sip:a@b",
      [
        ["x", null],
        ["tag", "9"],
      ],
    ],
    [
      '<sip:a@b>;q=0.5;text="a;b,c"',
      undefined,
      "sip:a@b",
      [
        ["q", "0.5"],
        ["text", "a;b,c"],
      ],
    ],
    ["<sip:a@b>;tag=1;tag=2", undefined, "sip:a@b", [["tag", "1"]]],
    ["<tel:+123>", undefined, "tel:+123", []],
    ["tel:+123;tag=1", undefined, "tel:+123", [["tag", "1"]]],
    ["<sip:a@b,c@d>", undefined, "", []],
  ];
  for (const [text, display, uri, parameters] of good) {
    if (uri === "") continue;
    it(`reads ${text}`, () => {
      const address = one(text);
      assert.equal(address.displayName, display);
      assert.equal(address.uri.toString(), uri);
      assert.deepEqual([...address.parameters], parameters);
      assert.equal(one(address.toString()).toString(), address.toString());
    });
  }

  const bad = [
    "",
    " ",
    "<>",
    "<sip:a@b",
    "sip:a@b>",
    "< sip:a@b>",
    "<sip:a@b >",
    '"Bob <sip:a@b>',
    '"Bob',
    '"Bob" sip:a@b',
    "Bob, Alice <sip:a@b>",
    "Bob: x <sip:a@b>",
    "<sip:a@b>;",
    "<sip:a@b>;;x",
    "<sip:a@b>;=1",
    "<sip:a@b>;x=",
    "<sip:a@b>;x= ;y",
    "<sip:a@b> x",
    "<sip:a@b>,<sip:c@d>",
    "<sip:a@b>,",
    "sip:a@b?x=y",
    "sip:a@b, sip:c@d",
    "sip:a@b sip:c@d",
    "<sip:a@b>;x=<y>",
    '<sip:a@b>;x="y',
    '<sip:a@b>;x="y\\',
    "<sip:a@b,c@d>",
    "*",
    "Bob",
  ];
  for (const text of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseNameAddr(text), undefined));
  }
});

describe("parseNameAddrList", () => {
  it("splits at commas outside quotes and brackets", () => {
    const list = parseNameAddrList('"A, B" <sip:a@b;x=1>;q=1 , sip:c@d;expires=3,<sip:e@f?g=h,i>');
    assert.deepEqual(
      list?.map((address) => address.uri.toString()),
      ["sip:a@b;x=1", "sip:c@d", "sip:e@f?g=h,i"],
    );
    assert.equal(list?.[1]?.parameters.get("expires"), "3");
  });

  it("gives an empty list for a star and says that it is one", () => {
    assert.deepEqual(parseNameAddrList("*"), []);
    assert.deepEqual(parseNameAddrList(" * "), []);
    assert.equal(isStarContact("*"), true);
    assert.equal(isStarContact("*;expires=0"), false);
    assert.equal(parseNameAddrList("*;x"), undefined);
    assert.equal(parseNameAddrList("*, <sip:a@b>"), undefined);
  });

  it("refuses empty members", () => {
    for (const text of ["", ",", "<sip:a@b>,,<sip:c@d>", ",<sip:a@b>", "<sip:a@b>,"]) {
      assert.equal(parseNameAddrList(text), undefined, text);
    }
  });
});

describe("NameAddr", () => {
  const uri = parseUri("sip:a@b")!;

  it("quotes display names and always writes brackets", () => {
    assert.equal(new NameAddr(uri).toString(), "<sip:a@b>");
    assert.equal(new NameAddr(uri, "").toString(), "<sip:a@b>");
    const text = new NameAddr(uri, 'a "b" \\ c', new Map([["tag", "x"]])).toString();
    assert.equal(text, '"a \\"b\\" \\\\ c" <sip:a@b>;tag=x');
    assert.equal(one(text).displayName, 'a "b" \\ c');
  });

  it("turns a NUL of a peer's display name into a space", () => {
    assert.equal(new NameAddr(uri, "a\0b").toString(), '"a b" <sip:a@b>');
  });

  it("quotes parameter values that are no tokens", () => {
    const parameters = new Map<string, string | null>([
      ["q", "0.7"],
      ["text", "a b"],
      ["received", "[2001:db8::1]"],
      ["+sip.instance", "<urn:uuid:1>"],
      ["empty", ""],
      ["flag", null],
    ]);
    assert.equal(
      formatParameters(parameters),
      ';q=0.7;text="a b";received=[2001:db8::1];+sip.instance="<urn:uuid:1>";empty="";flag',
    );
    assert.deepEqual(parseParameters(formatParameters(parameters)), parameters);
  });

  it("reads the tag, also when it has none", () => {
    assert.equal(one("<sip:a@b>;tag=x").tag, "x");
    assert.equal(one("<sip:a@b>;tag").tag, undefined);
    assert.equal(one("<sip:a@b>").tag, undefined);
  });

  it("keeps hostile parameter names as plain keys", () => {
    const { parameters } = one("<sip:a@b>;__proto__=1;constructor=2;hasOwnProperty");
    assert.equal(parameters.get("__proto__"), "1");
    assert.equal(parameters.get("constructor"), "2");
    assert.equal(one("<sip:a@b>").parameters.get("constructor"), undefined);
  });
});
