/** Digest headers, Reason, Refer-To and Replaces, sipfrag. */
import assert from "node:assert/strict";
import { InvalidArgumentError } from "../../../lib/foundation/index.js";
import {
  formatCredentials,
  formatReason,
  formatReplaces,
  formatSipFragment,
  parseChallenges,
  parseCredentials,
  parseReasons,
  parseReferTarget,
  parseReplaces,
  parseSipFragment,
} from "../../../lib/message/index.js";

describe("parseChallenges (RFC 7616 §3.3)", () => {
  const read = (...lines: string[]) => parseChallenges(lines).map((one) => Object.fromEntries(one));

  it("reads one challenge with commas inside quotes", () => {
    assert.deepEqual(
      read(
        'Digest realm="a, b", nonce="x=\\"1\\"", qop="auth,auth-int" , algorithm=SHA-256,stale=TRUE',
      ),
      [
        {
          realm: "a, b",
          nonce: 'x="1"',
          qop: "auth,auth-int",
          algorithm: "SHA-256",
          stale: "TRUE",
        },
      ],
    );
  });

  it("reads several challenges of one line and of several lines in order", () => {
    assert.deepEqual(
      read(
        'Digest realm="r",nonce="1",algorithm=SHA-256, Digest realm="r", nonce="2", algorithm=MD5',
        'digest realm = "s" , nonce = "3"',
      ),
      [
        { realm: "r", nonce: "1", algorithm: "SHA-256" },
        { realm: "r", nonce: "2", algorithm: "MD5" },
        { realm: "s", nonce: "3" },
      ],
    );
  });

  it("skips other schemes, with parameters, with a token or alone", () => {
    assert.deepEqual(read('Basic realm="x", Digest realm="r", nonce="1", Bearer error="no"'), [
      { realm: "r", nonce: "1" },
    ]);
    assert.deepEqual(read('Negotiate, Digest realm="r"'), [{ realm: "r" }]);
    assert.deepEqual(read('NTLM TlRMTVNTUAABAAAA==, Digest realm="r"'), [{ realm: "r" }]);
    assert.deepEqual(read("NoOneKnowsThisScheme opaque-data=here"), []);
  });

  it("survives what is malformed", () => {
    for (const line of [
      "",
      ",,,",
      "Digest",
      'Digest realm="open',
      "Digest =x",
      '"Digest"',
      "Digest a",
      "=",
      'Digest realm="a"nonce="b"',
    ]) {
      assert.doesNotThrow(() => parseChallenges([line]));
    }
    assert.deepEqual(read("Digest"), [{}]);
  });

  it("takes the first of two parameters and keeps hostile names as plain keys", () => {
    const [one] = parseChallenges(['Digest realm="a", REALM="b", __proto__="c", constructor="d"']);
    assert.equal(one?.get("realm"), "a");
    assert.equal(one?.get("__proto__"), "c");
    assert.equal(one?.get("tostring"), undefined);
  });

  it("reads no more challenges or parameters than a server has reason to send", () => {
    assert.equal(parseChallenges(Array.from({ length: 100 }, () => 'Digest realm="a"')).length, 16);
    assert.equal(parseChallenges([Array(100).fill('Digest realm="a"').join(",")]).length, 16);
    const many = Array.from({ length: 100 }, (_, n) => `p${n}=1`).join(",");
    assert.equal(parseChallenges([`Digest ${many}`])[0]?.size, 32);
  });

  it("writes credentials and reads them back", () => {
    const text = formatCredentials([
      ["username", 'a "b"'],
      ["algorithm", "MD5"],
      ["qop", "auth"],
      ["nc", "00000001"],
    ]);
    assert.equal(text, 'Digest username="a \\"b\\"", algorithm=MD5, qop=auth, nc=00000001');
    assert.equal(parseCredentials(text)?.get("username"), 'a "b"');
    assert.equal(parseCredentials("Basic abc"), undefined);
    assert.throws(() => formatCredentials([["username", "a\r\nX: y"]]), InvalidArgumentError);
  });
});

describe("parseReasons (RFC 3326)", () => {
  it("reads all values of all lines", () => {
    assert.deepEqual(
      parseReasons([
        'SIP ;cause=200 ;text="Call completed, elsewhere", Q.850;cause=16',
        "preemption",
        ";cause=1, SIP;cause=x",
      ]),
      [
        { protocol: "SIP", cause: 200, text: "Call completed, elsewhere" },
        { protocol: "Q.850", cause: 16, text: undefined },
        { protocol: "preemption", cause: undefined, text: undefined },
        { protocol: "SIP", cause: undefined, text: undefined },
      ],
    );
  });

  it("writes values that it reads", () => {
    const text = formatReason("SIP", 200, 'a "b"');
    assert.equal(text, 'SIP;cause=200;text="a \\"b\\""');
    assert.deepEqual(parseReasons([text]), [{ protocol: "SIP", cause: 200, text: 'a "b"' }]);
    assert.throws(() => formatReason("SIP", 200, "a\nb"), InvalidArgumentError);
  });
});

describe("parseReplaces (RFC 3891)", () => {
  it("reads what it writes", () => {
    const replaces = { callId: "a@b", toTag: "1", fromTag: "2", earlyOnly: true };
    assert.deepEqual(parseReplaces(formatReplaces(replaces)), replaces);
    assert.deepEqual(parseReplaces("a@b ; from-tag=2 ;to-tag=1"), {
      ...replaces,
      earlyOnly: false,
    });
  });

  for (const text of [
    "",
    "a@b",
    ";to-tag=1;from-tag=2",
    "a@b;to-tag=1",
    "a@b;from-tag=2",
    "a@b;to-tag;from-tag=2",
    "a b;to-tag=1;from-tag=2",
    'a@b;to-tag="x y";from-tag=2',
    "a@b;;to-tag=1;from-tag=2",
    "a\r\nb;to-tag=1;from-tag=2",
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseReplaces(text), undefined));
  }
});

describe("parseReferTarget (RFC 3515)", () => {
  it("reads Replaces and drops every other header of the URI", () => {
    const target = parseReferTarget(
      "<sip:carol@example.org;transport=tcp?Replaces=12345%40host%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=x&Route=y>",
    );
    assert.equal(String(target?.uri), "sip:carol@example.org;transport=tcp");
    assert.deepEqual(target?.replaces, {
      callId: "12345@host",
      toTag: "1",
      fromTag: "2",
      earlyOnly: false,
    });
    assert.equal(target?.method, "INVITE");
  });

  it("reads the method parameter", () => {
    const target = parseReferTarget("sip:carol@example.org");
    assert.equal(target?.method, "INVITE");
    assert.equal(parseReferTarget("<sip:c@d;method=bye>")?.method, "BYE");
    assert.equal(String(parseReferTarget("<sip:c@d;method=bye>")?.uri), "sip:c@d");
    assert.equal(String(parseReferTarget("tel:+123")?.uri), "tel:+123");
  });

  it("refuses malformed addresses and malformed Replaces", () => {
    assert.equal(parseReferTarget("nonsense"), undefined);
    assert.equal(parseReferTarget("<sip:a@b>, <sip:c@d>"), undefined);
    assert.equal(parseReferTarget("<sip:c@d?Replaces=x>"), undefined);
    assert.equal(
      parseReferTarget("<sip:c@d?Replaces=x%0D%0Ay%3Bto-tag%3D1%3Bfrom-tag%3D2>"),
      undefined,
    );
  });
});

describe("sipfrag (RFC 3420)", () => {
  it("reads the status line, whatever follows and however it ends", () => {
    assert.deepEqual(parseSipFragment("SIP/2.0 180 Ringing\r\n"), {
      statusCode: 180,
      reason: "Ringing",
    });
    assert.deepEqual(parseSipFragment("\r\nSIP/2.0 200 OK\nTo: x"), {
      statusCode: 200,
      reason: "OK",
    });
    assert.deepEqual(parseSipFragment(Buffer.from("SIP/2.0 486 ")), {
      statusCode: 486,
      reason: "",
    });
    assert.deepEqual(parseSipFragment("SIP/2.0 603"), { statusCode: 603, reason: "" });
  });

  for (const text of [
    "",
    "INVITE sip:a@b SIP/2.0",
    "SIP/2.0 99 x",
    "SIP/2.0 700 x",
    "SIP/2.0 2000",
    "SIP/3.0 200 OK",
    "SIP/2.0  200 OK",
    "To: x",
  ]) {
    it(`finds no status in ${JSON.stringify(text)}`, () => {
      assert.equal(parseSipFragment(text), undefined);
    });
  }

  it("writes status lines", () => {
    assert.equal(formatSipFragment(100), "SIP/2.0 100 Trying\r\n");
    assert.equal(formatSipFragment(299, "Fine"), "SIP/2.0 299 Fine\r\n");
    assert.throws(() => formatSipFragment(99), InvalidArgumentError);
    assert.throws(() => formatSipFragment(200, "a\r\nb"), InvalidArgumentError);
  });
});
