/**
 * Dialogs (RFC 3261 §12).
 * 1 State of the UAC from request and response, of the UAS from the request (§12.1). 2 A missing To tag is "" (RFC 2543).
 * 3 Route set: reversed for the UAC and taken again from the 2xx (§13.2.2.4), in order for the UAS. 4 Requests with loose
 * and strict routers (§12.2.1.1). 5 Request-URI without headers and method (§19.1.1). 6 Sequence numbers of both sides.
 * 7 Target refresh. 8 secure. 9 early → confirmed → terminated.
 */
import assert from "node:assert/strict";
import { Dialog } from "../../../lib/dialog/index.js";
import {
  createResponse,
  parseMessage,
  SipRequest,
  type SipResponse,
} from "../../../lib/message/index.js";

interface InviteFields {
  readonly uri?: string;
  readonly via?: string;
  readonly contact?: string;
  readonly fromTag?: string;
  readonly routes?: readonly string[];
  readonly sequence?: number;
  readonly method?: string;
}

function invite(fields: InviteFields = {}): SipRequest {
  const { method = "INVITE", sequence = 10 } = fields;
  const lines = [
    `${method} ${fields.uri ?? "sip:bob@example.org"} SIP/2.0`,
    `Via: ${fields.via ?? "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"}`,
    ...(fields.routes ?? []).map((route) => `Record-Route: ${route}`),
    "Max-Forwards: 70",
    `From: "Alice" <sip:alice@example.org>${fields.fromTag === "" ? "" : `;tag=${fields.fromTag ?? "a"}`}`,
    "To: Bob <sip:bob@example.org>",
    "Call-ID: call@example.org",
    `CSeq: ${sequence} ${method}`,
    ...(fields.contact === "" ? [] : [`Contact: ${fields.contact ?? "<sip:alice@192.0.2.1>"}`]),
    "Content-Length: 0",
  ];
  const result = parseMessage(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`));
  assert.ok(result.ok);
  assert.ok(result.message instanceof SipRequest);
  return result.message;
}

function answer(
  request: SipRequest,
  statusCode: number,
  fields: { tag?: string | undefined; contact?: string; routes?: readonly string[] } = {},
): SipResponse {
  const toTag = "tag" in fields ? fields.tag : "b";
  const contact = fields.contact ?? "<sip:bob@192.0.2.2:5070>";
  const response = createResponse(request, {
    statusCode,
    toTag,
    contact: contact === "" ? undefined : contact,
  });
  response.headers.set("Record-Route", fields.routes ?? []);
  return response;
}

/** Request-URI and Route lines of the next request. */
function path(dialog: Dialog): { uri: string; routes: string[]; nextHop: string } {
  const nextHop = dialog.nextHop.toString();
  const request = dialog.createRequest({ method: "OPTIONS" });
  return { uri: request.uri, routes: request.headers.getAll("route"), nextHop };
}

describe("Dialog.fromResponse (§12.1.2)", () => {
  it("takes its state from our request and the response", () => {
    const request = invite();
    const dialog = Dialog.fromResponse(request, answer(request, 180));
    assert.deepEqual(
      { ...dialog.id },
      { callId: "call@example.org", localTag: "a", remoteTag: "b" },
    );
    assert.equal(dialog.state, "early");
    assert.equal(dialog.local.toString(), '"Alice" <sip:alice@example.org>;tag=a');
    assert.equal(dialog.remote.toString(), '"Bob" <sip:bob@example.org>;tag=b');
    assert.equal(dialog.remoteTarget.toString(), "sip:bob@192.0.2.2:5070");
    assert.equal(dialog.localSequence, 10);
    assert.equal(dialog.remoteSequence, undefined);
    assert.deepEqual(path(dialog), {
      uri: "sip:bob@192.0.2.2:5070",
      routes: [],
      nextHop: "sip:bob@192.0.2.2:5070",
    });
  });

  it("is confirmed at once by a 2xx without 1xx before", () => {
    const request = invite();
    assert.equal(Dialog.fromResponse(request, answer(request, 200)).state, "confirmed");
  });

  it("takes a missing To tag as the empty tag, which our requests leave out (RFC 2543)", () => {
    const request = invite();
    const dialog = Dialog.fromResponse(request, answer(request, 200, { tag: undefined }));
    assert.equal(dialog.id.remoteTag, "");
    assert.equal(dialog.createRequest({ method: "BYE" }).to.tag, undefined);
  });

  it("goes on with the Request-URI when the peer gives no Contact", () => {
    const request = invite();
    const dialog = Dialog.fromResponse(request, answer(request, 200, { contact: "" }));
    assert.equal(dialog.remoteTarget.toString(), "sip:bob@example.org");
  });

  it("reverses the route set, over lines and commas", () => {
    const request = invite();
    const routes = ["<sip:p3;lr>, <sip:p2;lr>", "<sip:p1;lr>"];
    const dialog = Dialog.fromResponse(request, answer(request, 180, { routes }));
    assert.deepEqual(path(dialog), {
      uri: "sip:bob@192.0.2.2:5070",
      routes: ["<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>"],
      nextHop: "sip:p1;lr",
    });
  });
});

describe("Dialog.fromRequest (§12.1.1)", () => {
  it("takes its state from the peer's request and our tag", () => {
    const dialog = Dialog.fromRequest(invite(), "ours");
    assert.deepEqual(
      { ...dialog.id },
      { callId: "call@example.org", localTag: "ours", remoteTag: "a" },
    );
    assert.equal(dialog.state, "early");
    assert.equal(dialog.local.toString(), '"Bob" <sip:bob@example.org>;tag=ours');
    assert.equal(dialog.remote.toString(), '"Alice" <sip:alice@example.org>;tag=a');
    assert.equal(dialog.remoteSequence, 10);
    assert.equal(dialog.localSequence, 0);
    const bye = dialog.createRequest({ method: "BYE" });
    assert.equal(bye.uri, "sip:alice@192.0.2.1");
    assert.deepEqual(bye.cseq, { sequence: 1, method: "BYE" });
    assert.equal(bye.from.tag, "ours");
    assert.equal(bye.to.tag, "a");
    assert.equal(bye.headers.has("via"), false);
  });

  it("keeps the route set in order", () => {
    const routes = ["<sip:p1;lr>,<sip:p2;lr>", "<sip:p3;lr>"];
    const dialog = Dialog.fromRequest(invite({ routes }), "ours");
    assert.deepEqual(path(dialog).routes, ["<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>"]);
  });

  it("takes a missing From tag as the empty tag and a missing Contact as From", () => {
    const dialog = Dialog.fromRequest(invite({ fromTag: "", contact: "" }), "ours");
    assert.equal(dialog.id.remoteTag, "");
    assert.equal(dialog.remoteTarget.toString(), "sip:alice@example.org");
  });

  it("leaves the message of the peer as it is", () => {
    const request = invite();
    Dialog.fromRequest(request, "ours");
    assert.equal(request.to.tag, undefined);
  });
});

describe("Requests in a dialog (§12.2.1.1)", () => {
  it("put a strict router's URI into the Request-URI and the target last", () => {
    const routes = ["<sip:strict.example.org;x=1>", "<sip:p2;lr>"];
    const dialog = Dialog.fromRequest(invite({ routes }), "ours");
    assert.deepEqual(path(dialog), {
      uri: "sip:strict.example.org;x=1",
      routes: ["<sip:p2;lr>", "<sip:alice@192.0.2.1>"],
      nextHop: "sip:strict.example.org;x=1",
    });
  });

  it("send a single strict router the target as only Route", () => {
    const dialog = Dialog.fromRequest(invite({ routes: ["<sip:strict.example.org>"] }), "ours");
    assert.deepEqual(path(dialog).routes, ["<sip:alice@192.0.2.1>"]);
  });

  it("leave headers and method out of the Request-URI (§19.1.1)", () => {
    const contact = "<sip:alice@192.0.2.1;method=INVITE;ob?Subject=x&Route=%3Csip:evil%3E>";
    const dialog = Dialog.fromRequest(invite({ contact }), "ours");
    assert.equal(path(dialog).uri, "sip:alice@192.0.2.1;ob");
    const strict = Dialog.fromRequest(invite({ contact, routes: ["<sip:p?a=b>"] }), "ours");
    assert.equal(path(strict).uri, "sip:p");
    assert.deepEqual(path(strict).routes, ["<sip:alice@192.0.2.1;ob>"]);
  });

  it("carry contact, headers and body", () => {
    const request = Dialog.fromRequest(invite(), "ours").createRequest({
      method: "INFO",
      contact: "<sip:bob@192.0.2.9>",
      headers: [["X-Door", "open"]],
      contentType: "text/plain",
      body: "hello",
    });
    assert.equal(request.headers.get("contact"), "<sip:bob@192.0.2.9>");
    assert.equal(request.headers.get("x-door"), "open");
    assert.equal(request.contentType, "text/plain");
    assert.equal(request.text, "hello");
    assert.equal(request.maxForwards, 70);
  });

  it("count the sequence up, except for ACK, which repeats that of its INVITE", () => {
    const request = invite();
    const dialog = Dialog.fromResponse(request, answer(request, 200));
    const ack = dialog.createRequest({ method: "ACK", sequence: 10 });
    assert.deepEqual(ack.cseq, { sequence: 10, method: "ACK" });
    assert.equal(dialog.createRequest({ method: "INFO" }).cseq.sequence, 11);
    assert.equal(dialog.nextSequence(), 12);
    assert.equal(dialog.createRequest({ method: "ACK", sequence: 10 }).cseq.sequence, 10);
    assert.equal(dialog.createRequest({ method: "BYE" }).cseq.sequence, 13);
    assert.equal(dialog.localSequence, 13);
    assert.equal(dialog.createRequest({ method: "ACK" }).cseq.sequence, 13);
  });
});

describe("Requests of the peer (§12.2.2)", () => {
  const message = (sequence: number): SipRequest => invite({ method: "MESSAGE", sequence });

  it("are in order when their number grows, with gaps", () => {
    const dialog = Dialog.fromRequest(invite(), "ours");
    assert.deepEqual(
      [11, 12, 40, 2 ** 31 - 1].map((sequence) => dialog.acceptRequest(message(sequence))),
      [true, true, true, true],
    );
    assert.equal(dialog.remoteSequence, 2 ** 31 - 1);
  });

  it("are out of order when it is lower or the same, and then change nothing", () => {
    const dialog = Dialog.fromRequest(invite(), "ours");
    assert.deepEqual(
      [10, 9, 0].map((sequence) => dialog.acceptRequest(message(sequence))),
      [false, false, false],
    );
    assert.equal(dialog.remoteSequence, 10);
  });

  it("may begin anywhere when the dialog is ours", () => {
    const request = invite();
    const dialog = Dialog.fromResponse(request, answer(request, 200));
    assert.equal(dialog.acceptRequest(message(5)), true);
    assert.equal(dialog.acceptRequest(message(4)), false);
    assert.equal(dialog.remoteSequence, 5);
  });
});

describe("State and target", () => {
  it("take route set and target again from the 2xx, once (§13.2.2.4)", () => {
    const request = invite();
    const dialog = Dialog.fromResponse(request, answer(request, 180, { routes: ["<sip:p1;lr>"] }));
    const final = answer(request, 200, {
      routes: ["<sip:p9;lr>", "<sip:p8;lr>"],
      contact: "<sip:bob@192.0.2.99>",
    });
    dialog.confirm(final);
    assert.equal(dialog.state, "confirmed");
    assert.deepEqual(path(dialog).routes, ["<sip:p8;lr>", "<sip:p9;lr>"]);
    assert.equal(path(dialog).uri, "sip:bob@192.0.2.99");
    dialog.confirm(answer(request, 200, { contact: "<sip:bob@192.0.2.100>" }));
    assert.equal(path(dialog).uri, "sip:bob@192.0.2.99");
  });

  it("lose a route set that the 2xx does not repeat", () => {
    const request = invite();
    const dialog = Dialog.fromResponse(request, answer(request, 180, { routes: ["<sip:p1;lr>"] }));
    dialog.confirm(answer(request, 200));
    assert.deepEqual(dialog.routeSet, []);
  });

  it("keep the route set of the callee, whatever happens", () => {
    const routes = ["<sip:p1;lr>"];
    const dialog = Dialog.fromRequest(invite({ routes }), "ours");
    dialog.confirm();
    dialog.refreshTarget(invite({ routes: [], contact: "<sip:alice@192.0.2.50>" }));
    assert.equal(dialog.state, "confirmed");
    assert.deepEqual(path(dialog), {
      uri: "sip:alice@192.0.2.50",
      routes,
      nextHop: "sip:p1;lr",
    });
  });

  it("keep the target when a message has no Contact or only a star", () => {
    const dialog = Dialog.fromRequest(invite(), "ours");
    dialog.refreshTarget(invite({ contact: "" }));
    dialog.refreshTarget(invite({ contact: "*" }));
    assert.equal(dialog.remoteTarget.toString(), "sip:alice@192.0.2.1");
  });

  it("do not come back from terminated", () => {
    const request = invite();
    const dialog = Dialog.fromResponse(request, answer(request, 180));
    dialog.terminate();
    dialog.confirm(answer(request, 200));
    assert.equal(dialog.state, "terminated");
  });

  for (const [uri, protocol, secure] of [
    ["sips:bob@example.org", "TLS", true],
    ["sips:bob@example.org", "WSS", true],
    ["sips:bob@example.org", "TCP", false],
    ["sip:bob@example.org", "TLS", false],
    ["tel:+4930123", "TLS", false],
  ] as const) {
    it(`are ${secure ? "" : "not "}secure for ${uri} over ${protocol} (§12.1)`, () => {
      const request = invite({ uri, via: `SIP/2.0/${protocol} 192.0.2.1;branch=z9hG4bK1` });
      assert.equal(Dialog.fromResponse(request, answer(request, 200)).secure, secure);
      assert.equal(Dialog.fromRequest(request, "ours").secure, secure);
    });
  }
});
