/** Messages for people: headers, SDP side by side, causes, and what is shared without secrets. */
import assert from "node:assert/strict";
import { Anonymiser } from "../../../nodes/sidebar/editor/anonymise.js";
import { causeInWords, clock, partner, runningTime } from "../../../nodes/sidebar/editor/causes.js";
import { partsOf } from "../../../nodes/sidebar/editor/message-parts.js";
import { exchangeOf, readDescription } from "../../../nodes/sidebar/editor/session-description.js";
import { shareText } from "../../../nodes/sidebar/editor/share.js";
import { fill } from "../../../nodes/sidebar/editor/fill.js";
import { userFor } from "../../../nodes/sidebar/editor/ring-user.js";
import { waveformPath } from "../../../nodes/sidebar/editor/waveform.js";
import {
  callSummary,
  incomingStory,
  messages,
  SDP_ANSWER,
  SDP_OFFER,
  START,
} from "../../support/sidebar-data.js";
import { processorTime } from "../../support/processor-time.js";

describe("sidebar: messages", () => {
  it("are taken apart with long names, folded lines and whatever else a peer wrote", () => {
    const { startLine, headers, body } = partsOf(
      "INVITE sip:x SIP/2.0\r\nv: SIP/2.0/UDP a\r\ni: 1\r\nSubject: one\r\n two\r\nrubbish\r\n\r\nbody\r\n\r\nmore",
    );
    assert.equal(startLine, "INVITE sip:x SIP/2.0");
    assert.deepEqual(headers, [
      { name: "Via", value: "SIP/2.0/UDP a" },
      { name: "Call-ID", value: "1" },
      { name: "Subject", value: "one two" },
      { name: "", value: "rubbish" },
    ]);
    assert.equal(body, "body\r\n\r\nmore");
    assert.deepEqual(partsOf(""), { startLine: "", headers: [], body: "" });
  });

  it("tell of an SDP codecs, place, direction, digits and encryption", () => {
    assert.deepEqual(readDescription(SDP_OFFER), [
      {
        kind: "audio",
        address: "10.1.2.3",
        port: 4000,
        direction: "sendrecv",
        codecs: ["G722/8000", "PCMU/8000"],
        digits: true,
        encrypted: false,
        candidates: 0,
      },
    ]);
    const [first, second] = readDescription(
      "v=0\nc=IN IP6 2001:db8::1\na=sendonly\na=fingerprint:sha-256 00\nm=audio 1 UDP/TLS/RTP/SAVPF 111 13\n" +
        "a=rtpmap:111 opus/48000/2\na=candidate:1 1 udp 1 192.0.2.1 1 typ host\nm=video 0 RTP/AVP 96\na=inactive\n",
    );
    assert.deepEqual(first, {
      kind: "audio",
      address: "2001:db8::1",
      port: 1,
      direction: "sendonly",
      codecs: ["opus/48000/2"],
      digits: false,
      encrypted: true,
      candidates: 1,
    });
    assert.equal(second?.port, 0);
    assert.equal(second?.direction, "inactive");
    assert.deepEqual(readDescription("m="), [
      {
        ...first,
        kind: "",
        address: "",
        port: 0,
        direction: "sendrecv",
        codecs: [],
        encrypted: false,
        candidates: 0,
      },
    ]);
  });

  it("find the answer of an offer: in 200, in the 183 that was clicked, or in ACK", () => {
    const story = incomingStory();
    const offer = story[0];
    assert.ok(offer);
    assert.equal(exchangeOf(story, offer)?.answer?.statusCode, 200);
    assert.equal(exchangeOf(story, story[1] ?? offer), undefined);
    const early = messages([
      { at: 0, method: "INVITE", sdp: SDP_OFFER },
      { at: 1, sent: true, method: "INVITE", status: [183, "Progress"], sdp: SDP_ANSWER },
      { at: 2, sent: true, method: "INVITE", status: [200, "OK"], sdp: SDP_ANSWER },
      // The other side counts on its own.
      { at: 9, sent: true, method: "INVITE", cseq: 1, branch: "z9hG4bK-x", sdp: SDP_OFFER },
    ]);
    const at = (index: number) => early[index] ?? offer;
    assert.equal(exchangeOf(early, at(1))?.answer?.statusCode, 183);
    assert.equal(exchangeOf(early, at(0))?.answer?.statusCode, 200);
    assert.equal(exchangeOf(early, at(3))?.answer, undefined);
    const late = messages([
      { at: 0, sent: true, method: "INVITE" },
      { at: 1, method: "INVITE", status: [200, "OK"], sdp: SDP_OFFER },
      { at: 2, sent: true, method: "ACK", sdp: SDP_ANSWER },
    ]);
    const exchange = exchangeOf(late, late[2] ?? offer);
    assert.equal(exchange?.offer.statusCode, 200);
    assert.equal(exchange?.answer?.method, "ACK");
  });
});

describe("sidebar: calls", () => {
  const say = (key: string, values?: Record<string, string | number>) =>
    `${key}${values ? JSON.stringify(values) : ""}`;

  it("end with a cause in plain words", () => {
    const ended = (properties: Parameters<typeof callSummary>[1]) =>
      causeInWords(callSummary("x", properties), say);
    assert.equal(ended({ cause: "busy", statusCode: 486 }), "cause.busy (486)");
    assert.equal(ended({ cause: "remote-bye", statusCode: 200 }), "cause.remote-bye.incoming");
    assert.equal(ended({ cause: "cancelled", direction: "outgoing" }), "cause.cancelled.outgoing");
    assert.equal(
      ended({
        cause: "no-answer",
        answerTime: undefined,
        endTime: new Date(START + 60_000).toISOString(),
      }),
      'cause.no-answer{"seconds":60}',
    );
    assert.equal(ended({ cause: "constructor" }), "constructor");
    assert.equal(ended({}), "cause.unknown");
  });

  it("count their time from the answer and have a partner's name whatever is missing", () => {
    const call = callSummary("x");
    assert.equal(clock(runningTime(call, START + 65_200)), "1:01");
    assert.equal(clock(3725), "1:02:05");
    assert.equal(clock(-5), "0:00");
    assert.equal(partner(call), "alice");
    assert.equal(partner({ ...call, remote: undefined }), "?");
  });

  it("never look for further values within what a peer wrote", () => {
    assert.equal(fill("{name}: {value}", { name: "{value}", value: "$t(x)" }), "{value}: $t(x)");
    assert.equal(fill("{toString} {missing}", {}), "{toString} {missing}");
  });

  it("can be rung with a user that the node takes", () => {
    assert.equal(userFor("bell"), "bell");
    assert.equal(userFor("0170*"), "01701");
    assert.equal(userFor("sip:door@pbx.lan"), "door");
    for (const pattern of ["", undefined, "/^4/", "${USER}"])
      assert.equal(userFor(pattern), "test");
  });

  it("draw what was heard within the picture", () => {
    assert.equal(waveformPath([], 10, 10), "");
    const path = waveformPath([0, 0.5, 7, Number.NaN], 40, 20);
    assert.match(path, /^M[\d. L]+Z$/);
    for (const [, x, y] of path.matchAll(/([\d.]+) ([\d.]+)/g)) {
      assert.ok(Number(x) >= 0 && Number(x) <= 40);
      assert.ok(Number(y) >= 0 && Number(y) <= 20);
    }
  });
});

describe("sidebar: sharing without secrets", () => {
  const CANARIES = /liddell|alice|wonderland|10\.1\.2\.|fe80|0170|secret|door\.lan|caf-phone|f00d/i;

  it("replaces names, users, hosts and addresses, each always by the same", () => {
    const text = shareText([
      { session: "a", direction: "incoming", who: "alice", messages: incomingStory() },
    ]);
    assert.doesNotMatch(text, CANARIES);
    assert.match(text, /INVITE sip:user\d@192\.0\.2\.\d SIP\/2\.0/);
    const from = [...text.matchAll(/^From: (.*)$/gm)].map(([, value]) => value);
    assert.equal(new Set(from).size, 1, from.join("\n"));
    assert.match(from[0] ?? "", /^"Name 1" <sip:user\d@host\d\.example>;tag=a1$/);
    assert.match(text, /m=audio 4000 RTP\/AVP 9 0 101/);
    assert.match(text, /200 OK/);
  });

  it("knows of a name also where it stands before the message that gives it away", () => {
    const story = messages([
      { at: 0, method: "INVITE", headers: ['Reason: SIP;text="for 01701234"'] },
      { at: 1, method: "BYE", headers: ["Referred-By: <sip:01701234@door.lan>"] },
    ]);
    const text = shareText([{ session: "a", direction: "incoming", who: "", messages: story }]);
    assert.doesNotMatch(text, CANARIES, text);
    assert.match(text, /^Reason: SIP;text="for user\d+"$/m);
  });

  it("stays quick however many names a peer sends", () => {
    const many = Array.from(
      { length: 3000 },
      (_, index) => `<sip:user-number-${index}@host${index}.lan>`,
    );
    const story = messages(
      Array.from({ length: 100 }, (_, index) => ({
        at: index,
        method: "INFO",
        headers: [`Contact: ${many.slice(index * 30, index * 30 + 30).join(", ")}`],
      })),
    );
    let text = "";
    const took = processorTime(() => {
      text = shareText([{ session: "a", direction: "incoming", who: "", messages: story }]);
    });
    assert.doesNotMatch(text, /user-number/);
    assert.ok(took < 3000, `${took} ms`);
  });

  it("leaves out what may hold anything, and finds names without quotes, tel and embedded headers", () => {
    const anonymiser = new Anonymiser();
    const text = anonymiser.message(
      [
        "INVITE sip:0170123@door.lan:5060;transport=tcp?Replaces=secret%40x SIP/2.0",
        "v: SIP/2.0/TCP [fe80::1]:5060;branch=z9hG4bK1;received=10.1.2.44",
        "f: Alice Liddell <sip:0170123@door.lan>;tag=1",
        "P-Asserted-Identity: <tel:+490170123;phone-context=secret>",
        'Contact: <sip:0170123@10.1.2.3;line=secret>;+sip.instance="<urn:uuid:caf-phone>"',
        "Identity: secret",
        "Subject: secret",
        "X-Door: secret",
        "P-Unheard-Of: secret",
        "Call-ID: f00@door.lan",
        'Warning: 399 door.lan "at 10.1.2.3"',
        'Reason: SIP;cause=200;text="by 0170123"',
        "Call-Info: <https://door.lan/secret.jpg>",
        "CSeq: 100 INVITE",
        "Content-Type: text/plain",
        "",
        "secret of alice",
      ].join("\r\n"),
    );
    assert.doesNotMatch(text, CANARIES, text);
    assert.match(text, /^INVITE sip:user1@host1\.example:5060;transport=tcp SIP\/2\.0$/m);
    assert.match(text, /^Call-ID: f00@host1\.example$/m);
    assert.match(text, /^CSeq: 100 INVITE$/m);
    assert.match(text, /\[15 characters are left out\]/);
  });

  it("keeps stand-ins, loopback and codecs as they are, and takes hostile texts in its stride", () => {
    const anonymiser = new Anonymiser();
    assert.equal(anonymiser.line("sip:127.0.0.1:5060"), "sip:127.0.0.1:5060");
    assert.equal(anonymiser.line("192.0.2.7"), "192.0.2.7");
    const hostile = `INVITE sip:${"a".repeat(30_000)} SIP/2.0\r\nFrom: ${'\\"'.repeat(20_000)}\r\nTo: ${" <".repeat(20_000)}\r\n\r\n${"1.".repeat(10_000)}`;
    const took = processorTime(() => anonymiser.message(hostile));
    assert.ok(took < 2000, `${took} ms`);
  });
});
