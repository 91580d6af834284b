/** RFC 5118: the ten IPv6 torture cases of sections 4.1 to 4.10, in messages of our own. */
import assert from "node:assert/strict";
import {
  NameAddr,
  parseMessage,
  SipUri,
  type SipMessage,
  type SipRequest,
} from "../../../lib/message/index.js";

function register(changes: Partial<Record<"uri" | "via" | "contact" | "callId" | "body", string>>) {
  const body = changes.body ?? "";
  return [
    `REGISTER ${changes.uri ?? "sip:[2001:db8::10]"} SIP/2.0`,
    `Via: ${changes.via ?? "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111"}`,
    "From: <sip:user@example.com>;tag=81x2",
    "To: <sip:user@example.com>",
    `Call-ID: ${changes.callId ?? "SSG95523997077@hlau_4100"}`,
    "Max-Forwards: 70",
    `Contact: ${changes.contact ?? '"Caller" <sip:caller@[2001:db8::1]>'}`,
    "CSeq: 98176 REGISTER",
    ...(body ? ["Content-Type: application/sdp"] : []),
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
}

function accepted(text: string): SipMessage {
  const result = parseMessage(Buffer.from(text));
  assert.ok(result.ok, result.ok ? "" : result.error.reason);
  return result.message;
}

function uriOf(message: SipMessage): SipUri {
  const uri = (message as SipRequest).requestUri;
  assert.ok(uri instanceof SipUri);
  return uri;
}

describe("RFC 5118 IPv6 torture", () => {
  it("accepts an IPv6 reference in the Request-URI (§4.1)", () => {
    const uri = uriOf(accepted(register({})));
    assert.equal(uri.host, "[2001:db8::10]");
    assert.equal(uri.port, undefined);
  });

  it("answers 400 to an IPv6 address without brackets (§4.2)", () => {
    const result = parseMessage(Buffer.from(register({ uri: "sip:2001:db8::10" })));
    assert.ok(!result.ok);
    assert.equal(result.error.statusHint, 400);
    assert.equal(result.error.rule, "request-uri");
    assert.ok(result.request);
  });

  it("reads what looks like a port inside the brackets as part of the address (§4.3)", () => {
    const uri = uriOf(accepted(register({ uri: "sip:[2001:db8::10:5070]" })));
    assert.equal(uri.host, "[2001:db8::10:5070]");
    assert.equal(uri.port, undefined);
  });

  it("reads a port behind the brackets as the port (§4.4)", () => {
    const uri = uriOf(accepted(register({ uri: "sip:[2001:db8::10]:5070" })));
    assert.equal(uri.host, "[2001:db8::10]");
    assert.equal(uri.port, 5070);
  });

  it("accepts `received` with and without brackets (§4.5)", () => {
    for (const received of ["[2001:db8::9:255]", "2001:db8::9:255"]) {
      const via = `SIP/2.0/UDP [2001:db8::9:1];received=${received};branch=z9hG4bKas3-111`;
      const message = accepted(register({ via }));
      assert.equal(message.topVia.parameters.get("received"), received);
      assert.equal(message.topVia.branch, "z9hG4bKas3-111");
      assert.equal(message.topVia.toString(), via);
    }
  });

  it("accepts an IPv6 reference in Call-ID (§4.6)", () => {
    const callId = "SSG95523997077@[2001:db8::10]";
    assert.equal(accepted(register({ callId })).callId, callId);
  });

  it("leaves SDP with several addresses alone (§4.7)", () => {
    const body = "v=0\r\no=- 0 0 IN IP6 2001:db8::20\r\nc=IN IP6 2001:db8::20\r\n";
    assert.equal(accepted(register({ body })).text, body);
  });

  it("accepts IPv4 and IPv6 mixed over Via, Contact and SDP (§4.8)", () => {
    const message = accepted(
      register({
        via:
          "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1, " +
          "SIP/2.0/TCP 192.0.2.1;received=192.0.2.3;branch=z9hG4bK2",
        contact: "<sip:caller@192.0.2.1>",
        body: "c=IN IP6 2001:db8::1\r\nc=IN IP4 192.0.2.1\r\n",
      }),
    );
    assert.deepEqual(
      message.vias.map((via) => via.host),
      ["[2001:db8::9:1]", "192.0.2.1"],
    );
  });

  it("accepts an IPv4-mapped IPv6 address (§4.9)", () => {
    const message = accepted(register({ contact: "<sip:caller@[::ffff:192.0.2.10]:5061>" }));
    const uri = message.contacts[0]?.uri;
    assert.ok(uri instanceof SipUri);
    assert.equal(uri.host, "[::ffff:192.0.2.10]");
    assert.equal(uri.port, 5061);
  });

  it("accepts both forms of an IPv6 address that ends in IPv4, three colons and two (§4.10)", () => {
    for (const host of ["[2001:db8:::192.0.2.1]", "[2001:db8::192.0.2.1]"]) {
      const message = accepted(register({ uri: `sip:user@${host}` }));
      assert.equal(uriOf(message).host, "[2001:db8::192.0.2.1]");
      assert.equal(new NameAddr(uriOf(message)).toString(), "<sip:user@[2001:db8::192.0.2.1]>");
    }
  });
});
