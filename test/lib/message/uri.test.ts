/** URIs: parsing, writing, equivalence (RFC 3261 §19.1, RFC 3966). */
import assert from "node:assert/strict";
import { OtherUri, parseUri, sameUri, SipUri, TelUri } from "../../../lib/message/index.js";

function sip(text: string): SipUri {
  const uri = parseUri(text);
  assert.ok(uri instanceof SipUri, text);
  return uri;
}

describe("parseUri", () => {
  it("reads the parts of a full SIP URI", () => {
    const uri = sip("SIPS:al.ice:pass%3Aword@Example.COM:5061;Transport=TLS;lr?Subject=a%20b&x=");
    assert.equal(uri.scheme, "sips");
    assert.equal(uri.user, "al.ice");
    assert.equal(uri.password, "pass%3Aword");
    assert.equal(uri.host, "example.com");
    assert.equal(uri.port, 5061);
    assert.equal(uri.transport, "tls");
    assert.equal(uri.isLooseRouter, true);
    assert.equal(uri.headers.get("subject"), "a b");
    assert.equal(uri.headers.get("x"), "");
  });

  const good: [string, string | undefined, string, number | undefined][] = [
    ["sip:example.com", undefined, "example.com", undefined],
    ["sip:example.com:5070", undefined, "example.com", 5070],
    ["sip:EXAMPLE.com;lr", undefined, "example.com", undefined],
    ["sip:+49-30(1)@example.com", "+49-30(1)", "example.com", undefined],
    ["sip:*21*12#@pbx", "*21*12#", "pbx", undefined],
    ["sip:a;b=c?d/e&f$g,h@x", "a;b=c?d/e&f$g,h", "x", undefined],
    ["sip:1@[::1]:5060", "1", "[::1]", 5060],
    ["sip:1@192.0.2.1:65535", "1", "192.0.2.1", 65535],
    ["sip:j\u00f6rg@example.com", "j\u00f6rg", "example.com", undefined],
    ["sip:host_with_underscore", undefined, "host_with_underscore", undefined],
    ["sip:A1@example.com", "A1", "example.com", undefined],
    ["sip:Alice@example.com", "Alice", "example.com", undefined],
    ["sip:alice:@example.com", "alice", "example.com", undefined],
  ];
  for (const [text, user, host, port] of good) {
    it(`accepts ${text}`, () => {
      const uri = sip(text);
      assert.deepEqual([uri.user, uri.host, uri.port], [user, host, port]);
      assert.equal(sip(uri.toString()).toString(), uri.toString());
    });
  }

  const bad = [
    "",
    "sip",
    "sip:",
    ":x",
    "sip:@host",
    "sip:user@",
    "sip: user@host",
    "sip:us er@host",
    "sip:user@host ",
    " sip:user@host",
    "sip:user@ho st",
    "sip:user@host:0",
    "sip:user@host:65536",
    "sip:user@host:",
    "sip:user@host:5060x",
    "sip:user@host:1e3",
    "sip:user@host;",
    "sip:user@host;;lr",
    "sip:user@host;=x",
    "sip:user@host?",
    "sip:user@host?&",
    "sip:user@host?=",
    "sip:user@host;a=b=c",
    "sip:us%4gr@host",
    "sip:us%zzer@host",
    "sip:user%4@host",
    "sip:user@host;p=%0",
    "sip:a@b@c",
    "sip:user@[::1",
    "sip:user@[]",
    "sip:user@[1::2::3]",
    "sip:user@[1:2:3:4:5:6:7]",
    "sip:user@[1:2:3:4:5:6:7:8:9]",
    "sip:user@[12345::1]",
    "sip:user@[::256.1.1.1]",
    "sip:user@[fe80::1%25eth0]",
    "sip:user@2001:db8::1",
    "sip:<user>@host",
    'sip:"user"@host',
    "sip:us\ner@host",
    "sip:user@host\r\nX: y",
    "sip:us\0er@host",
    "tel:",
    "tel:+",
    "tel:abcxyz",
    "tel:12 34",
    "tel:123;",
    "http:",
    "h ttp:x",
    "1http:x",
    "http:a b",
    "http:<a>",
    "no-scheme",
  ];
  for (const text of bad) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseUri(text), undefined));
  }

  it("accepts every form of IPv6 reference", () => {
    for (const host of [
      "::",
      "::1",
      "1::",
      "1:2:3:4:5:6:7:8",
      "1:2:3:4:5:6:1.2.3.4",
      "::1.2.3.4",
    ]) {
      assert.equal(sip(`sip:[${host}]`).host, `[${host}]`);
    }
  });

  it("reads tel URIs with parameters", () => {
    const uri = parseUri("tel:+49-30-123;phone-context=example.com;isub=7");
    assert.ok(uri instanceof TelUri);
    assert.equal(uri.number, "+49-30-123");
    assert.equal(uri.parameters.get("phone-context"), "example.com");
    assert.equal(uri.toString(), "tel:+49-30-123;phone-context=example.com;isub=7");
  });

  it("keeps URIs of other schemes as text", () => {
    const uri = parseUri("urn:service:sos.police");
    assert.ok(uri instanceof OtherUri);
    assert.equal(uri.scheme, "urn");
    assert.equal(uri.toString(), "urn:service:sos.police");
  });

  it("decodes broken UTF-8 and lone percent signs without throwing", () => {
    assert.equal(sip("sip:%ff%fe@host").decodedUser, "\ufffd\ufffd");
    assert.equal(sip("sip:%c3%b6@host").decodedUser, "\u00f6");
  });

  it("never lets escapes in parameters or headers become line breaks", () => {
    const uri = sip("sip:a@b;x=%0d%0aEvil:1?Subject=%0D%0AVia:x&n=%00");
    assert.equal(uri.parameters.get("x"), "%0d%0aEvil:1");
    assert.equal(uri.headers.get("subject"), "%0D%0AVia:x");
    assert.equal(uri.headers.get("n"), "%00");
  });

  it("keeps hostile names as plain keys", () => {
    const uri = sip("sip:a@b;__proto__=1;constructor=2;toString?__proto__=3&constructor=4");
    assert.equal(uri.parameters.get("__proto__"), "1");
    assert.equal(uri.parameters.get("constructor"), "2");
    assert.equal(uri.parameters.get("tostring"), null);
    assert.equal(uri.headers.get("__proto__"), "3");
    assert.equal(sip("sip:a@b").parameters.get("constructor"), undefined);
    assert.deepEqual(Object.keys(Object.prototype), []);
  });
});

describe("SipUri", () => {
  it("escapes what parameters and headers may not hold", () => {
    const uri = new SipUri(
      "sip",
      "bob",
      "example.com",
      undefined,
      new Map([["note", "a b;c"]]),
      new Map([["replaces", "call@host;to-tag=1;from-tag=2"]]),
    );
    const text = uri.toString();
    assert.equal(
      text,
      "sip:bob@example.com;note=a%20b%3Bc?Replaces=call%40host%3Bto-tag%3D1%3Bfrom-tag%3D2",
    );
    assert.equal(sip(text).headers.get("replaces"), "call@host;to-tag=1;from-tag=2");
  });

  it("makes changed copies and leaves the original alone", () => {
    const uri = sip("sip:bob@example.com:5070;lr;transport=tcp?a=b");
    const copy = uri.with({
      user: undefined,
      port: undefined,
      host: "other.net",
      headers: new Map(),
    });
    assert.equal(copy.toString(), "sip:other.net;lr;transport=tcp");
    assert.equal(uri.toString(), "sip:bob@example.com:5070;lr;transport=tcp?a=b");
    const other = uri.with({ parameters: new Map([["x", "1"]]) });
    assert.equal(other.toString(), "sip:bob@example.com:5070;x=1?a=b");
    assert.equal(uri.isLooseRouter, true);
  });
});

describe("sameUri (§19.1.4)", () => {
  const same: [string, string][] = [
    ["sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"],
    ["sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"],
    ["sip:carol@chicago.com", "sip:carol@chicago.com;security=on"],
    [
      "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
      "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ],
    [
      "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
      "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ],
    ["tel:+49(30)123", "tel:+49-30-123"],
    ["urn:service:sos", "urn:service:sos"],
  ];
  for (const [a, b] of same) {
    it(`takes ${a} and ${b} for the same`, () => {
      assert.equal(sameUri(parseUri(a)!, parseUri(b)!), true);
      assert.equal(sameUri(parseUri(b)!, parseUri(a)!), true);
    });
  }
  const different: [string, string][] = [
    ["sip:ALICE@atlanta.com", "sip:alice@atlanta.com"],
    ["sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"],
    ["sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"],
    ["sip:bob@biloxi.com", "sips:bob@biloxi.com"],
    ["sip:bob@biloxi.com", "sip:bob:x@biloxi.com"],
    ["sip:bob@biloxi.com", "sip:biloxi.com"],
    ["sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"],
    ["sip:carol@chicago.com?Subject=a", "sip:carol@chicago.com"],
    ["sip:carol@chicago.com?Subject=a", "sip:carol@chicago.com?Subject=b"],
    ["sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"],
    ["tel:+4930123", "sip:+4930123@example.com"],
    ["tel:123;phone-context=a", "tel:123;phone-context=b"],
    ["tel:123;phone-context=a", "tel:123"],
    ["urn:a:b", "urn:a:c"],
  ];
  for (const [a, b] of different) {
    it(`tells ${a} from ${b}`, () => {
      assert.equal(sameUri(parseUri(a)!, parseUri(b)!), false);
      assert.equal(sameUri(parseUri(b)!, parseUri(a)!), false);
    });
  }
});
