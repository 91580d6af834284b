import assert from "node:assert/strict";
import { redacted } from "../../../../nodes/shared/tracing/redaction.js";
import { processorTime } from "../../../support/processor-time.js";

const crlf = (...lines: string[]): string => lines.join("\r\n");
const whole = (data: string | Uint8Array): string => {
  const { head, body } = redacted(data);
  return head + body;
};

describe("redaction of traced messages", () => {
  it("hides the values of all header fields that prove who somebody is, however they are written", () => {
    for (const name of [
      "Authorization",
      "authorization",
      "PROXY-AUTHORIZATION ",
      "Proxy-Authorization\t",
      "Authentication-Info",
      "Proxy-Authentication-Info",
    ]) {
      const text = whole(
        crlf("REGISTER sip:a SIP/2.0", `${name}: Digest response="canary"`, "To: <sip:a>", "", ""),
      );
      assert.ok(!text.includes("canary"), name);
      assert.ok(text.includes('="***"\r\nTo: <sip:a>\r\n\r\n'), text);
    }
  });

  it("hides folded values with all their lines, and keeps what follows", () => {
    const text = whole(
      crlf(
        "REGISTER sip:a SIP/2.0",
        "Authorization: Digest",
        ' username="a",',
        '\tresponse="canary"',
        "Via: SIP/2.0/UDP a;branch=z9hG4bK1",
        "",
        "",
      ),
    );
    assert.ok(!text.includes("canary"), text);
    assert.match(text, /Via: SIP\/2\.0\/UDP a;branch=z9hG4bK1\r\n\r\n$/);
  });

  it("hides a value whose header line is empty and goes on in the next one", () => {
    const text = whole(
      crlf("REGISTER sip:a SIP/2.0", "Authorization:", ' Digest response="canary"', "", ""),
    );
    assert.ok(!text.includes("canary"), text);
  });

  it("hides a value between line ends that are odd", () => {
    for (const end of ["\n", "\r", "\r\r\n"]) {
      const lines = ["REGISTER sip:a SIP/2.0", "Authorization: Digest canary", " canary", "To: x"];
      const text = whole(`${lines.join(end)}\r\n\r\nv=0${end}k=canary${end}a=x`);
      assert.ok(!text.includes("canary"), JSON.stringify(text));
      assert.ok(text.endsWith(`To: x\r\n\r\nv=0${end}k=******${end}a=x`), JSON.stringify(text));
    }
  });

  it("keeps challenges, which everybody may see", () => {
    const line = 'WWW-Authenticate: Digest realm="x", nonce="n"';
    assert.ok(whole(crlf("SIP/2.0 401 Unauthorized", line, "", "")).includes(line));
  });

  it("hides passwords in URIs of headers and start line, and leaves Call-IDs that look like one", () => {
    const text = whole(
      crlf(
        "INVITE sip:bob:canary@host SIP/2.0",
        'Contact: "x" <sip:bob:canary@host;lr>',
        "Call-ID: 12:34@host",
        "",
        "",
      ),
    );
    assert.ok(!text.includes("canary"), text);
    assert.ok(text.includes("Call-ID: 12:34@host"), text);
  });

  it("hides SRTP keys, ICE passwords, k= and key-mgmt of a description without changing its length", () => {
    const body = crlf(
      "v=0",
      "k=clear:canary",
      "a=key-mgmt:mikey canary",
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:canary|2^31 FEC_ORDER=x",
      "a=crypto:2 X INLINE:canary;inline:canary|1:1",
      "a=ice-ufrag:frag",
      "a=ice-pwd:canary",
      "a=sendrecv",
      "",
    );
    const shown = redacted(
      crlf("INVITE sip:a SIP/2.0", `Content-Length: ${body.length}`, "", body),
    );
    assert.ok(!shown.body.includes("canary"), shown.body);
    assert.equal(shown.body.length, body.length);
    assert.ok(shown.body.includes("a=ice-ufrag:frag"));
    assert.ok(shown.body.includes("inline:xxxxxx|2^31 FEC_ORDER=x"));
  });

  it("hides the same in a message inside of a body, byte for byte as long", () => {
    const body = crlf(
      "SIP/2.0 200 OK",
      "Authorization: Digest canary",
      " folded canary",
      "Refer-To: <sip:ü:canary@host>, sip:b:canaryé@host",
      "",
    );
    const shown = redacted(Buffer.from(crlf("NOTIFY sip:a SIP/2.0", "", body)));
    assert.ok(!shown.body.includes("canary"), shown.body);
    assert.equal(Buffer.byteLength(shown.body), Buffer.byteLength(body));
  });

  it("keeps bytes that are no UTF-8 so that they can be written again", () => {
    const data = Buffer.concat([
      Buffer.from("MESSAGE sip:a SIP/2.0\r\n\r\n"),
      Buffer.from([0xff, 0, 0xfe]),
    ]);
    const shown = redacted(data);
    assert.equal(shown.encoding, "latin1");
    assert.deepEqual(Buffer.from(shown.head + shown.body, shown.encoding), data);
  });

  it("is quick with the largest hostile message", () => {
    for (const part of [
      "sip:",
      "a:",
      "@",
      "inline:",
      "Authorization:",
      "\n ",
      "sip:a:",
      "a=crypto inline:x;",
    ]) {
      const text = `INVITE sip:a SIP/2.0\r\n${part.repeat(131_072 / part.length)}`;
      const took = processorTime(() => {
        redacted(text);
        redacted(`INVITE sip:a SIP/2.0\r\n\r\n${text}`);
      });
      assert.ok(took < 1_000, `${part}: ${took} ms`);
    }
  });
});
