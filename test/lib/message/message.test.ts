/** The typed getters: they remember, and stay right when headers change. */
import assert from "node:assert/strict";
import { InvalidStateError } from "../../../lib/foundation/index.js";
import {
  HeaderMap,
  parseCSeq,
  parseMessage,
  SipRequest,
  Via,
  type SipMessage,
} from "../../../lib/message/index.js";

function request(...headers: string[]): SipMessage {
  const text = [
    "OPTIONS sip:ben@example.net SIP/2.0",
    "Via: SIP/2.0/UDP h1;branch=z9hG4bK1",
    "From: <sip:ann@example.com>;tag=f1",
    "To: <sip:ben@example.net>",
    "Call-ID: c1@host",
    "CSeq: 7 OPTIONS",
    ...headers,
    "",
    "",
  ].join("\r\n");
  const result = parseMessage(Buffer.from(text));
  assert.ok(result.ok, result.ok ? "" : result.error.reason);
  return result.message;
}

describe("typed getters", () => {
  it("remember what they parsed", () => {
    const message = request("Contact: <sip:a@b>", "Route: <sip:p;lr>");
    assert.equal(message.topVia, message.topVia);
    assert.equal(message.from, message.from);
    assert.equal(message.cseq, message.cseq);
    assert.equal(message.contacts, message.contacts);
  });

  it("follow every change of the headers", () => {
    const message = request();
    assert.equal(message.to.tag, undefined);
    message.headers.set("to", "<sip:x@y>;tag=2");
    assert.equal(message.to.tag, "2");
    message.headers.prepend("via", "SIP/2.0/TCP new;branch=z9hG4bK0");
    assert.equal(message.topVia.host, "new");
    assert.deepEqual(
      message.vias.map((via) => via.host),
      ["new", "h1"],
    );
    message.headers.removeFirst("via");
    assert.equal(message.topVia.host, "h1");
    message.headers.add("contact", "<sip:a@b>");
    message.headers.add("m", "<sip:c@d>, <sip:e@f>");
    assert.equal(message.contacts.length, 3);
    message.headers.delete("contact");
    assert.deepEqual(message.contacts, []);
    message.headers.set("call-id", "other");
    assert.equal(message.callId, "other");
    message.headers.set("cseq", "9 OPTIONS");
    assert.equal(message.cseq.sequence, 9);
  });

  it("follow a change of the Request-URI", () => {
    const message = request() as SipRequest;
    assert.equal(String(message.requestUri), "sip:ben@example.net");
    message.uri = "sip:other@example.org";
    assert.equal(String(message.requestUri), "sip:other@example.org");
  });

  it("replace the top Via and leave those behind it on the same line", () => {
    const message = request();
    message.headers.set("via", "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2");
    const parameters = new Map(message.topVia.parameters).set("received", "192.0.2.1");
    message.replaceTopVia(new Via("UDP", "a", undefined, parameters));
    assert.equal(
      message.headers.get("via"),
      "SIP/2.0/UDP a;branch=1;received=192.0.2.1, SIP/2.0/UDP b;branch=2",
    );
    assert.equal(message.topVia.parameters.get("received"), "192.0.2.1");
  });

  it("give empty or undefined for what is not there", () => {
    const message = request();
    assert.deepEqual(message.contacts, []);
    assert.deepEqual(message.routes, []);
    assert.deepEqual(message.recordRoutes, []);
    assert.deepEqual(message.tokens("supported"), []);
    assert.equal(message.maxForwards, undefined);
    assert.equal(message.contentType, undefined);
    assert.equal(message.seconds("expires"), undefined);
    assert.equal(message.isStarContact, false);
    assert.equal(message.text, "");
    assert.equal(message.hasBody, false);
  });

  it("throw only on messages of ours that lack what every message has", () => {
    const empty = new SipRequest("OPTIONS", "sip:a@b", new HeaderMap(), "");
    assert.throws(() => empty.topVia, InvalidStateError);
    assert.throws(() => empty.from, InvalidStateError);
    assert.throws(() => empty.callId, InvalidStateError);
    assert.deepEqual(empty.vias, []);
  });

  it("read tokens over all lines, lower-case, Allow upper-case", () => {
    const message = request(
      "Supported: Timer, 100rel",
      "k: replaces,,",
      "Allow: invite, Ack",
      'Accept: application/sdp;level=1, text/x;q="a,b"',
    );
    assert.deepEqual(message.tokens("supported"), ["timer", "100rel", "replaces"]);
    assert.deepEqual(message.tokens("allow"), ["INVITE", "ACK"]);
    assert.deepEqual(message.tokens("accept"), ["application/sdp;level=1", 'text/x;q="a,b"']);
  });

  const seconds: [string, number | undefined][] = [
    ["3600", 3600],
    ["0", 0],
    ["00060", 60],
    ["120 (busy)", 120],
    ["120;duration=60", 120],
    ["120 ;duration=60", 120],
    ["99999999999999999999", 4294967295],
    ["-1", undefined],
    ["1e9", undefined],
    ["0x10", undefined],
    ["12.5", undefined],
    ["", undefined],
    ["soon", undefined],
  ];
  for (const [value, expected] of seconds) {
    it(`read the seconds of "Expires: ${value}" as ${expected}`, () => {
      assert.equal(request(`Expires: ${value}`).seconds("expires"), expected);
    });
  }

  it("read the content type without case, spaces and parameters", () => {
    assert.equal(request("c: Application / SDP ; charset=x").contentType, "application/sdp");
  });

  const numbers: [string, unknown][] = [
    ["7 INVITE", { sequence: 7, method: "INVITE" }],
    ["0068 \t INVITE", { sequence: 68, method: "INVITE" }],
    ["2147483647 X", { sequence: 2147483647, method: "X" }],
    ["2147483648 X", undefined],
    ["1e3 X", undefined],
    ["-1 X", undefined],
    ["+1 X", undefined],
    ["0x1 X", undefined],
    ["1", undefined],
    ["1 ", undefined],
    ["1INVITE", undefined],
    ["1 IN VITE", undefined],
    [" X", undefined],
    ["", undefined],
  ];
  for (const [text, expected] of numbers) {
    it(`read the CSeq ${JSON.stringify(text)} as ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(parseCSeq(text), expected);
    });
  }
});
