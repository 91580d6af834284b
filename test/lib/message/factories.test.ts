/** Requests, ACK, CANCEL, responses (RFC 3261 §8.1.1, §17.1.1.3, §9.1, §8.2.6) and what may be written at all. */
import assert from "node:assert/strict";
import { InvalidArgumentError } from "../../../lib/foundation/index.js";
import {
  createCancel,
  createNon2xxAck,
  createRequest,
  createResponse,
  HeaderMap,
  NameAddr,
  parseMessage,
  parseUri,
  reasonPhrase,
  serializeMessage,
  serializeText,
  SipRequest,
  SipResponse,
  type RequestFields,
} from "../../../lib/message/index.js";

const isBadHeader = (error: unknown): boolean =>
  error instanceof InvalidArgumentError && error.rule === "bad-header";

function fields(changes: Partial<RequestFields> = {}): RequestFields {
  return {
    method: "INVITE",
    uri: "sip:ben@example.net",
    from: new NameAddr(parseUri("sip:ann@example.com")!, "Ann", new Map([["tag", "f1"]])),
    to: new NameAddr(parseUri("sip:ben@example.net")!),
    callId: "c1@host",
    sequence: 7,
    ...changes,
  };
}

const INVITE =
  "INVITE sip:ben@example.net SIP/2.0\r\n" +
  "Via: SIP/2.0/UDP h1;branch=z9hG4bK1;received=192.0.2.1, SIP/2.0/UDP h2;branch=z9hG4bK2\r\n" +
  "v: SIP/2.0/TCP h3;branch=z9hG4bK3\r\n" +
  "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n" +
  "Route: <sip:r1;lr>\r\nRoute: <sip:r2;lr>\r\n" +
  "f: Ann  <sip:ann@example.com>;tag=f1\r\nTo: sip:ben@example.net\r\nCall-ID: c1@host\r\n" +
  "CSeq: 0007 INVITE\r\nMax-Forwards: 9\r\nTimestamp: 54.1\r\nContact: <sip:ann@h1>\r\n\r\n";

function invite(): SipRequest {
  const result = parseMessage(Buffer.from(INVITE));
  assert.ok(result.ok && result.message.kind === "request");
  return result.message;
}

const lines = (message: SipRequest | SipResponse): string[] => serializeText(message).split("\r\n");

describe("createRequest", () => {
  it("writes the mandatory headers in a settled order", () => {
    const request = createRequest(
      fields({
        routes: ["<sip:p1;lr>", "<sip:p2;lr>"],
        contact: "<sip:ann@h1>",
        headers: [
          ["X-Door", "1"],
          ["supported", "timer"],
        ],
        contentType: "application/sdp",
        body: "v=0\r\n",
      }),
    );
    assert.deepEqual(lines(request), [
      "INVITE sip:ben@example.net SIP/2.0",
      "Route: <sip:p1;lr>",
      "Route: <sip:p2;lr>",
      "Max-Forwards: 70",
      'From: "Ann" <sip:ann@example.com>;tag=f1',
      "To: <sip:ben@example.net>",
      "Call-ID: c1@host",
      "CSeq: 7 INVITE",
      "Contact: <sip:ann@h1>",
      "X-Door: 1",
      "Supported: timer",
      "Content-Type: application/sdp",
      "Content-Length: 5",
      "",
      "v=0",
      "",
    ]);
    assert.equal(request.from.tag, "f1");
    assert.equal(request.cseq.sequence, 7);
  });

  const refused: [string, Partial<RequestFields>][] = [
    ["a method that is no token", { method: "IN VITE" }],
    ["a line break in the method", { method: "INVITE\r\nX: y" }],
    ["a space in the URI", { uri: "sip:a@b SIP/2.0\r\nX: y" }],
    ["an empty URI", { uri: "" }],
    ["a line break in Call-ID", { callId: "a\r\nX: y" }],
    [
      "a line break in a display name",
      {
        from: new NameAddr(parseUri("sip:a@b")!, "x\r\nVia: y"),
      },
    ],
    [
      "a line break in a header parameter",
      {
        to: new NameAddr(parseUri("sip:a@b")!, undefined, new Map([["x", "\r\nVia: y"]])),
      },
    ],
    ["a line break in a route", { routes: ["<sip:a>\r\nX: y"] }],
    ["a line break in Contact", { contact: "<sip:a>\nX: y" }],
    ["a NUL in a header", { headers: [["X-A", "\0"]] }],
    ["a line break in a header name", { headers: [["X\r\nY", "1"]] }],
    ["a line break in Content-Type", { contentType: "a/b\r\nX: y" }],
    ["a negative sequence number", { sequence: -1 }],
    ["a fractional sequence number", { sequence: 1.5 }],
    ["a sequence number of 2^31", { sequence: 2 ** 31 }],
  ];
  for (const [what, change] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => createRequest(fields(change)), isBadHeader);
    });
  }
});

describe("createNon2xxAck (§17.1.1.3)", () => {
  it("has the INVITE's top Via, route and From, the response's To, and CSeq ACK", () => {
    const response = createResponse(invite(), { statusCode: 486, toTag: "t9" });
    assert.deepEqual(lines(createNon2xxAck(invite(), response)), [
      "ACK sip:ben@example.net SIP/2.0",
      "Via: SIP/2.0/UDP h1;branch=z9hG4bK1;received=192.0.2.1",
      "Route: <sip:r1;lr>",
      "Route: <sip:r2;lr>",
      "From: Ann  <sip:ann@example.com>;tag=f1",
      "To: sip:ben@example.net;tag=t9",
      "Call-ID: c1@host",
      "Max-Forwards: 70",
      "CSeq: 7 ACK",
      "Content-Length: 0",
      "",
      "",
    ]);
  });
});

describe("createCancel (§9.1)", () => {
  it("has the INVITE's single top Via, route, identity and number", () => {
    assert.deepEqual(lines(createCancel(invite())), [
      "CANCEL sip:ben@example.net SIP/2.0",
      "Via: SIP/2.0/UDP h1;branch=z9hG4bK1;received=192.0.2.1",
      "Route: <sip:r1;lr>",
      "Route: <sip:r2;lr>",
      "From: Ann  <sip:ann@example.com>;tag=f1",
      "To: sip:ben@example.net",
      "Call-ID: c1@host",
      "Max-Forwards: 70",
      "CSeq: 7 CANCEL",
      "Content-Length: 0",
      "",
      "",
    ]);
  });
});

describe("createResponse (§8.2.6)", () => {
  it("copies what the request says and adds our To tag", () => {
    const response = createResponse(invite(), {
      statusCode: 180,
      toTag: "t9",
      contact: "<sip:ben@h>",
      headers: [["X-Door", "1"]],
    });
    assert.deepEqual(lines(response), [
      "SIP/2.0 180 Ringing",
      "Via: SIP/2.0/UDP h1;branch=z9hG4bK1;received=192.0.2.1, SIP/2.0/UDP h2;branch=z9hG4bK2",
      "Via: SIP/2.0/TCP h3;branch=z9hG4bK3",
      "Record-Route: <sip:p1;lr>, <sip:p2;lr>",
      "Record-Route: <sip:p3;lr>",
      "From: Ann  <sip:ann@example.com>;tag=f1",
      "To: sip:ben@example.net;tag=t9",
      "Call-ID: c1@host",
      "CSeq: 0007 INVITE",
      "Contact: <sip:ben@h>",
      "X-Door: 1",
      "Content-Length: 0",
      "",
      "",
    ]);
    assert.equal(response.to.tag, "t9");
  });

  it("puts neither tag nor Record-Route into a 100, but Timestamp", () => {
    const text = serializeText(createResponse(invite(), { statusCode: 100, toTag: "t9" }));
    assert.ok(!text.includes("t9") && !text.includes("Record-Route"));
    assert.ok(text.includes("\r\nTimestamp: 54.1\r\n"));
  });

  it("has no Record-Route in refusals", () => {
    const response = createResponse(invite(), { statusCode: 486, toTag: "t" });
    assert.equal(response.headers.has("record-route"), false);
  });

  it("keeps the tag of a request in a dialog", () => {
    const request = invite();
    request.headers.set("to", "<sip:ben@example.net>;tag=theirs");
    const response = createResponse(request, { statusCode: 200, toTag: "ours" });
    assert.equal(response.headers.get("to"), "<sip:ben@example.net>;tag=theirs");
  });

  it("refuses bad codes, phrases and tags", () => {
    for (const statusCode of [99, 700, 200.5, Number.NaN]) {
      assert.throws(() => createResponse(invite(), { statusCode }), InvalidArgumentError);
    }
    assert.throws(
      () => createResponse(invite(), { statusCode: 200, reason: "a\r\nX: y" }),
      isBadHeader,
    );
    assert.throws(() => createResponse(invite(), { statusCode: 200, toTag: "a;b" }), isBadHeader);
  });

  it("knows the phrases of the RFCs and falls back to the class", () => {
    assert.equal(reasonPhrase(486), "Busy Here");
    assert.equal(reasonPhrase(499), "Client Error");
    assert.equal(reasonPhrase(299), "Success");
    assert.equal(reasonPhrase(42), "Unknown");
    assert.equal(reasonPhrase(9999), "Unknown");
  });
});

describe("serializeMessage", () => {
  it("computes Content-Length in bytes and ignores any that is there", () => {
    const headers = new HeaderMap();
    headers.add("Content-Length", "999");
    const body = "\u00e4\u20ac";
    const request = new SipRequest("MESSAGE", "sip:a@b", headers, body);
    const bytes = serializeMessage(request);
    assert.equal(bytes.toString(), `MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\n${body}`);
    request.body = Buffer.from([0, 255, 13, 10]);
    const binary = serializeMessage(request);
    assert.deepEqual(binary.subarray(-4), Buffer.from([0, 255, 13, 10]));
    assert.ok(binary.toString("latin1").includes("Content-Length: 4\r\n\r\n"));
  });

  it("writes heads beyond ASCII as UTF-8, with text and binary bodies", () => {
    const headers = new HeaderMap();
    headers.add("Subject", "\u00fcber \ud83d\ude80");
    for (const body of ["x", Buffer.from([1, 2])]) {
      const bytes = serializeMessage(new SipRequest("MESSAGE", "sip:a@b", headers, body));
      assert.ok(bytes.toString().includes("Subject: \u00fcber \ud83d\ude80\r\n"));
      assert.ok(bytes.toString().includes(`Content-Length: ${body.length}\r\n`));
    }
  });

  it("refuses start lines that would break out of their line", () => {
    const headers = new HeaderMap();
    const bad = [
      new SipRequest("A B", "sip:a@b", headers, ""),
      new SipRequest("OPTIONS", "sip:a@b\r\nX: y", headers, ""),
      new SipRequest("OPTIONS", "sip:a b", headers, ""),
      new SipResponse(200, "OK\r\nX: y", headers, ""),
      new SipResponse(200, "OK\0", headers, ""),
    ];
    for (const message of bad) assert.throws(() => serializeMessage(message), isBadHeader);
  });

  it("writes what the parser read, again and again the same", () => {
    const bytes = serializeMessage(invite());
    const again = parseMessage(bytes);
    assert.ok(again.ok);
    assert.deepEqual(serializeMessage(again.message), bytes);
  });
});
