/**
 * Requests inside an established call, both ways. Requirements:
 *  1. re-INVITE of the peer: hold, resume, new codecs, no SDP; refused ones leave the call unharmed; 491 and 500 while
 *     another exchange is open; target refresh only on success.
 *  2. INFO digits, packages, empty INFO; MESSAGE, OPTIONS, NOTIFY, unknown methods; what a flow holds it may answer.
 *  3. A 481 or 408 to a request of ours ends the call; a transport failure does not.
 *  4. Whatever is open when the call ends comes to an end.
 */
import assert from "node:assert/strict";
import {
  InvalidArgumentError,
  InvalidStateError,
  MediaError,
  TransactionTimeoutError,
  TransportError,
} from "../../../lib/foundation/index.js";
import { IncomingSession, OutgoingSession } from "../../../lib/session/index.js";
import { type Call, establishedCall, hungUp } from "../../support/established-call.js";
import { FakeFlow } from "../../support/fake-flow.js";
import { ALICE, FakeServices, outcomeOf } from "../../support/fake-services.js";

describe("re-INVITE of the peer", () => {
  it("holds and resumes", async () => {
    const call = await establishedCall();
    const { services, session, witness, dialog } = call;
    const hold = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    assert.equal(hold.status, 200);
    assert.equal(hold.last.text, "v=0 answer to v=0 sendonly");
    assert.equal(hold.last.headers.get("contact"), "<sip:alice@192.0.2.1:5060>");
    services.ack(hold.request, dialog);
    assert.equal(session.snapshot().hold, "remote");
    const resume = services.request(dialog, "INVITE", { sdp: "v=0 sendrecv" });
    services.ack(resume.request, dialog);
    assert.deepEqual(witness.plot, [
      "reinvite",
      "hold",
      "updated",
      "reinvite",
      "resume",
      "updated",
    ]);
    assert.equal(witness.last("updated").remoteSdp, "v=0 sendrecv");
    await hungUp(call);
  });

  it("without SDP gets our offer, and the answer comes in the ACK", async () => {
    const call = await establishedCall();
    const { services, session, witness, dialog } = call;
    const reInvite = services.request(dialog, "INVITE");
    assert.equal(reInvite.last.text, "v=0 offer 1 sendrecv");
    assert.equal(session.signaling, "have-local-offer");
    assert.deepEqual(witness.plot, ["reinvite"]);
    services.ack(reInvite.request, dialog, { sdp: "v=0 new answer" });
    assert.deepEqual(witness.plot, ["reinvite", "updated"]);
    assert.equal(session.signaling, "stable");
    await hungUp(call);
  });

  for (const sdp of [undefined, "v=0 bad"]) {
    it(`without SDP ends the call when the ACK brings ${sdp ?? "no answer"}`, async () => {
      const { services, witness, dialog } = await establishedCall();
      const reInvite = services.request(dialog, "INVITE");
      services.ack(reInvite.request, dialog, sdp === undefined ? {} : { sdp });
      services.lastSent("BYE").respond(200);
      assert.equal(witness.plot.at(-1), "ended:bad-media");
      assert.deepEqual(services.leftovers(), []);
    });
  }

  it("that fits nothing gets 488 and changes nothing", async () => {
    const call = await establishedCall();
    const { services, session, dialog } = call;
    const before = session.snapshot();
    const reInvite = services.request(dialog, "INVITE", {
      sdp: "v=0 bad",
      contact: "<sip:elsewhere@192.0.2.77>",
    });
    assert.equal(reInvite.status, 488);
    assert.match(reInvite.last.headers.get("warning") ?? "", /^305 /);
    assert.deepEqual(session.snapshot().media, before.media);
    assert.equal(dialog.remoteTarget.toString(), "sip:bob@192.0.2.2:5070");
    assert.equal(services.request(dialog, "OPTIONS").status, 200);
    const next = services.request(dialog, "INVITE", { sdp: "v=0 good" });
    assert.equal(next.status, 200);
    services.ack(next.request, dialog);
    await hungUp(call);
  });

  it("refreshes the target when it succeeds (RFC 3261 §12.2.2)", async () => {
    const call = await establishedCall();
    const { services, session, dialog } = call;
    const contact = "<sip:bob@192.0.2.88:5099>";
    const reInvite = services.request(dialog, "INVITE", { sdp: "v=0 good", contact });
    services.ack(reInvite.request, dialog);
    assert.equal(session.snapshot().remote.contact, "sip:bob@192.0.2.88:5099");
    void session.end();
    assert.equal(services.lastSent("BYE").sent.uri, "sip:bob@192.0.2.88:5099");
    await hungUp(call);
  });

  it("gets 500 with Retry-After while another is undecided, 491 before its ACK (§14.2)", async () => {
    const call = await establishedCall();
    const { services, dialog } = call;
    services.held.add("reinvite");
    const first = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    assert.equal(first.status, undefined);
    const second = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    assert.equal(second.status, 500);
    const retryAfter = Number(second.last.headers.get("retry-after"));
    assert.ok(retryAfter >= 0 && retryAfter <= 10);
    services.pending[0]?.expire();
    assert.equal(first.status, 200);
    assert.equal(services.request(dialog, "INVITE", { sdp: "v=0" }).status, 491);
    services.ack(first.request, dialog);
    await hungUp(call);
  });

  /** A call of ours that was answered, whose ACK has not come. */
  async function unconfirmed(sdp?: string) {
    const services = new FakeServices();
    const invite = services.invite(sdp === undefined ? {} : { sdp });
    const session = new IncomingSession(services, invite, { account: ALICE });
    const events: string[] = [];
    session.on("event", ({ name }) => events.push(name));
    session.begin();
    const accepted = session.accept();
    await outcomeOf(Promise.resolve());
    return { services, session, invite, events, accepted, dialog: services.dialogOf(session) };
  }

  it("stands for the ACK of the first INVITE, when that was lost (RFC 5407 §3.1.4)", async () => {
    const { services, session, invite, events, accepted, dialog } = await unconfirmed("v=0");
    const reInvite = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    assert.equal(reInvite.status, 200);
    assert.equal((await accepted).ok, true);
    assert.equal(events.filter((name) => name === "confirmed").length, 1);
    const sent = invite.responses.length;
    services.clock.advance(10_000);
    assert.equal(invite.responses.length, sent, "its 200 is not repeated any more");
    services.ack(invite.request, dialog);
    services.ack(reInvite.request, dialog);
    assert.equal(events.filter((name) => name === "confirmed").length, 1);
    services.clock.advance(40_000);
    assert.equal(session.state, "established");
    session.forceClose("shutdown");
    assert.deepEqual(services.leftovers(), []);
  });

  it("gets 491 while the ACK is to bring the answer to our offer (RFC 5407 §3.1.5)", async () => {
    const { services, session, dialog } = await unconfirmed();
    const reInvite = services.request(dialog, "INVITE", { sdp: "v=0" });
    assert.equal(reInvite.status, 491);
    session.forceClose("shutdown");
    assert.deepEqual(services.leftovers(), []);
  });

  it("gets 481 when we were only waiting for the ACK to hang up", async () => {
    const { services, session, dialog } = await unconfirmed("v=0");
    void session.end();
    assert.equal(services.request(dialog, "INVITE", { sdp: "v=0" }).status, 481);
    services.lastSent("BYE").respond(200);
    assert.equal(session.state, "terminated");
    assert.deepEqual(services.leftovers(), []);
  });

  it("without ACK ends the call after 64·T1", async () => {
    const { services, witness, dialog } = await establishedCall();
    const reInvite = services.request(dialog, "INVITE", { sdp: "v=0 good" });
    services.clock.advance(32_000);
    assert.equal(reInvite.responses.length, 11);
    services.lastSent("BYE").respond(200);
    assert.equal(witness.plot.at(-1), "ended:no-ack");
    assert.deepEqual(services.leftovers(), []);
  });

  it("is answered by a flow that holds it, once", async () => {
    const call = await establishedCall();
    const { services, dialog, witness } = call;
    services.held.add("reinvite");
    const accepted = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    const pending = witness.last("reinvite").pending;
    const outcome = await pending?.accept({ sdp: "v=0 the flow's", headers: [["X-A", "1"]] });
    assert.equal(outcome?.ok, true);
    assert.equal(accepted.last.text, "v=0 the flow's");
    assert.equal(accepted.last.headers.get("x-a"), "1");
    services.ack(accepted.request, dialog);
    const rejected = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    await witness.last("reinvite").pending?.reject();
    assert.equal(rejected.status, 488);
    const late = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    await hungUp(call);
    assert.equal(late.status, 487);
    assert.equal((await witness.last("reinvite").pending?.accept())?.ok, false);
  });

  it("waits for a better answer when the flow's cannot be written", async () => {
    const call = await establishedCall();
    const { services, dialog, witness } = call;
    services.held.add("reinvite");
    const reInvite = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    const { pending } = witness.last("reinvite");
    await assert.rejects(pending?.accept({ headers: [["X", "a\nb"]] }) ?? Promise.resolve());
    services.pending[0]?.expire();
    assert.equal(reInvite.status, 200);
    services.ack(reInvite.request, dialog);
    await hungUp(call);
  });

  it("gets 488 from a stack without media, unless the flow has SDP", async () => {
    const call = await establishedCall((services) => (services.mediaHandler = undefined));
    const { services, dialog, witness } = call;
    assert.equal(services.request(dialog, "INVITE", { sdp: "v=0" }).status, 488);
    services.held.add("reinvite");
    const reInvite = services.request(dialog, "INVITE", { sdp: "v=0" });
    const { pending } = witness.last("reinvite");
    await assert.rejects(pending?.accept() ?? Promise.resolve(), InvalidArgumentError);
    assert.equal(reInvite.status, undefined, "it goes on waiting for an answer with SDP");
    assert.equal(services.pending.at(-1)?.atLeastMs, 5_000);
    services.pending.at(-1)?.expire();
    assert.equal(reInvite.status, 488);
    await hungUp(call);
  });

  it("is over with the call when its answer is still being made", async () => {
    const call = await establishedCall();
    const { services, dialog } = call;
    services.media.deferred = true;
    const reInvite = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    assert.equal(reInvite.status, undefined);
    await hungUp(call);
    services.media.settle();
    await outcomeOf(Promise.resolve());
    assert.equal(reInvite.status, 487);
    assert.deepEqual(services.leftovers(), []);
  });

  it("that crosses our BYE gets 481 (RFC 5407 §3.1.5)", async () => {
    const { services, session, dialog } = await establishedCall();
    const ended = session.end();
    assert.equal(services.request(dialog, "INVITE", { sdp: "v=0" }).status, 481);
    services.lastSent("BYE").respond(200);
    await ended;
    assert.deepEqual(services.leftovers(), []);
  });
});

describe("INFO of the peer", () => {
  const digits: [string, string, object | undefined][] = [
    [
      "application/dtmf-relay",
      "Signal=5\r\nDuration=160\r\n",
      { digit: "5", method: "info-relay", duration: 160 },
    ],
    [
      "application/dtmf-relay",
      "Signal= *\r\nDuration= 100",
      { digit: "*", method: "info-relay", duration: 100 },
    ],
    ["application/dtmf-relay", "signal=11", { digit: "#", method: "info-relay", duration: 0 }],
    ["application/dtmf-relay", "Signal=d", { digit: "D", method: "info-relay", duration: 0 }],
    ["application/dtmf", "#", { digit: "#", method: "info-dtmf", duration: 0 }],
    ["application/dtmf", " 10\r\n", { digit: "*", method: "info-dtmf", duration: 0 }],
    ["application/dtmf", "flash", undefined],
    ["application/dtmf-relay", "Signal=16", undefined],
    ["application/dtmf-relay", "\n".repeat(5000), undefined],
  ];
  for (const [contentType, body, digit] of digits) {
    it(`${contentType} ${JSON.stringify(body.slice(0, 30))} ${digit ? "is a digit" : "is none"}`, async () => {
      const call = await establishedCall();
      const info = call.services.request(call.dialog, "INFO", { contentType, body });
      assert.equal(info.status, 200);
      assert.deepEqual(
        call.witness.events.map((event) => event.digit),
        digit ? [digit] : [],
      );
      await hungUp(call);
    });
  }

  it("that repeats a key of the media, or comes before it, is no further key", async () => {
    const call = await establishedCall();
    const { services, dialog, witness } = call;
    const inMedia = (digit: string): void =>
      services.media.last.context.events.onDigit({ digit, method: "rfc4733", duration: 100 });
    const asInfo = (digit: string): void => {
      const info = services.request(dialog, "INFO", {
        contentType: "application/dtmf",
        body: digit,
      });
      assert.equal(info.status, 200);
    };
    asInfo("1");
    inMedia("1");
    inMedia("1");
    inMedia("2");
    asInfo("1");
    asInfo("2");
    asInfo("3");
    asInfo("3");
    inMedia("3");
    inMedia("3");
    assert.equal(witness.events.map(({ digit }) => digit?.digit).join(""), "11233");
    await hungUp(call);
  });

  it("is taken when empty or of a listed package, else refused with 469 (RFC 6086)", async () => {
    const call = await establishedCall();
    const { services, dialog, witness } = call;
    assert.equal(services.request(dialog, "INFO").status, 200);
    const listed = services.request(dialog, "INFO", {
      headers: [["Info-Package", "conference;v=1"]],
      body: "x",
    });
    assert.equal(listed.status, 200);
    const foreign = services.request(dialog, "INFO", { headers: [["Info-Package", "foo"]] });
    assert.equal(foreign.status, 469);
    assert.equal(foreign.last.headers.get("recv-info"), "conference");
    assert.equal(services.request(dialog, "INFO", { body: "hello" }).status, 469);
    assert.deepEqual(witness.plot, ["info", "info", "info", "info"]);
    services.held.add("info");
    const held = services.request(dialog, "INFO", { body: "hello" });
    await witness.last("info").pending?.accept();
    assert.equal(held.status, 200);
    await hungUp(call);
  });
});

describe("INFO packages of ours (RFC 6086 §4.2.1)", () => {
  const callWith = (recvInfo: string): Promise<Call> =>
    establishedCall(undefined, undefined, [["Recv-Info", recvInfo]]);

  it("are marked, and their body with them", async () => {
    const call = await establishedCall();
    const { services, session } = call;
    const body = "x";
    void session.request({
      method: "INFO",
      infoPackage: "foo;a=1",
      contentType: "text/plain",
      body,
    });
    const { sent } = services.lastSent("INFO");
    assert.equal(sent.headers.get("info-package"), "foo;a=1");
    assert.equal(sent.headers.get("content-disposition"), "Info-Package");
    services.lastSent("INFO").respond(200);
    void session.request({ method: "INFO", infoPackage: "foo" });
    assert.equal(services.lastSent("INFO").sent.headers.has("content-disposition"), false);
    void session.request({ method: "INFO", contentType: "text/plain", body });
    assert.equal(services.lastSent("INFO").sent.headers.has("info-package"), false);
    void session.request({ method: "OPTIONS", infoPackage: "foo" });
    assert.equal(services.lastSent("OPTIONS").sent.headers.has("info-package"), false);
    await hungUp(call);
  });

  it("go to a peer that lists them, in whatever case", async () => {
    const call = await callWith("bar, FOO;q=1");
    void call.session.request({ method: "INFO", infoPackage: "foo" });
    assert.equal(call.services.lastSent("INFO").sent.headers.get("info-package"), "foo");
    await hungUp(call);
  });

  for (const recvInfo of ["bar", ""]) {
    it(`are not sent to a peer whose Recv-Info is "${recvInfo}"`, async () => {
      const call = await callWith(recvInfo);
      const outcome = await call.session.request({ method: "INFO", infoPackage: "foo" });
      assert.deepEqual([outcome.ok, outcome.statusCode], [false, 469]);
      assert.equal(call.services.sent.length, 0);
      await hungUp(call);
    });
  }

  it("need a name that is one", async () => {
    const call = await establishedCall();
    for (const infoPackage of ["", "a b", "foo\r\nX: y", "foo;x=\ny"]) {
      await assert.rejects(
        call.session.request({ method: "INFO", infoPackage }),
        InvalidArgumentError,
      );
    }
    assert.equal(call.services.sent.length, 0);
    await hungUp(call);
  });
});

describe("other requests of the peer", () => {
  it("get the default answers of contract §4.6", async () => {
    const call = await establishedCall();
    const { services, dialog, witness } = call;
    const status = (method: string): number | undefined =>
      services.request(dialog, method, { headers: [["Event", "x"]] }).status;
    assert.equal(status("OPTIONS"), 200);
    assert.equal(status("MESSAGE"), 405);
    assert.equal(status("NOTIFY"), 481);
    assert.equal(status("FROBNICATE"), 405);
    assert.deepEqual(witness.plot, ["message", "notify", "request"]);
    for (const name of ["message", "notify"]) services.watched.add(name);
    assert.equal(status("MESSAGE"), 200);
    assert.equal(status("NOTIFY"), 200);
    await hungUp(call);
  });

  it("are answered by the flow that holds them, with status, headers and body", async () => {
    const call = await establishedCall();
    const { services, dialog, witness } = call;
    services.held.add("message").add("request");
    const message = services.request(dialog, "MESSAGE", { body: "hi" });
    const outcome = await witness.last("message").pending?.accept({
      statusCode: 202,
      contentType: "text/plain",
      body: "soon",
    });
    assert.deepEqual([outcome?.ok, outcome?.statusCode], [true, 202]);
    assert.equal(message.last.text, "soon");
    assert.equal(message.last.headers.has("contact"), false);
    const publish = services.request(dialog, "PUBLISH");
    await witness.last("request").pending?.reject();
    assert.equal(publish.status, 403);
    await hungUp(call);
  });

  it("find nothing more once the call is over", async () => {
    const call = await establishedCall();
    await hungUp(call);
    call.services.request(call.dialog, "INFO");
    assert.equal(call.services.log.at(-1), "no dialog");
  });

  it("are answered with 500 when we make a mistake", async () => {
    const call = await establishedCall();
    call.services.hold = () => {
      throw new Error("a mistake");
    };
    assert.equal(call.services.request(call.dialog, "MESSAGE").status, 500);
    assert.equal(call.services.problems.length, 1);
    call.services.problems.length = 0;
    await hungUp(call);
  });
});

describe("requests of ours in a call", () => {
  it("resolve with the final response and tell of provisional ones", async () => {
    const call = await establishedCall();
    const { services, session } = call;
    const provisional: number[] = [];
    const asked = session.request({
      method: "message",
      contentType: "text/plain",
      body: "hello",
      headers: [["X-A", "1"]],
      onProvisional: ({ statusCode }) => provisional.push(statusCode),
    });
    const request = services.lastSent("MESSAGE");
    assert.equal(request.sent.text, "hello");
    assert.equal(request.sent.headers.has("contact"), false);
    assert.equal(request.options.inDialog, true);
    request.respond(183);
    request.respond(200);
    const outcome = await asked;
    assert.deepEqual([outcome.ok, outcome.statusCode, provisional], [true, 200, [183]]);
    const refused = session.request({ method: "INFO", infoPackage: "conference" });
    assert.equal(services.lastSent("INFO").sent.headers.get("info-package"), "conference");
    services.lastSent("INFO").respond(503, { headers: [["Retry-After", "9"]] });
    const failure = await refused;
    assert.deepEqual(
      [failure.ok, failure.statusCode, "cause" in failure && failure.cause],
      [false, 503, "unavailable"],
    );
    assert.equal(session.state, "established");
    await hungUp(call);
  });

  it("end the call when the peer has lost it (RFC 3261 §12.2.1.2)", async () => {
    const gone = await establishedCall();
    const asked = gone.session.request({ method: "INFO" });
    gone.services.lastSent("INFO").respond(481);
    assert.equal((await asked).statusCode, 481);
    assert.deepEqual(gone.witness.plot, ["ended:dialog-error"]);
    assert.deepEqual(gone.services.leftovers(), []);
    for (const how of ["408", "silence"]) {
      const call = await establishedCall();
      const silent = call.session.request({ method: "OPTIONS" });
      const options = call.services.lastSent("OPTIONS");
      if (how === "408") options.respond(408);
      else options.fail(new TransactionTimeoutError("Timer F"));
      assert.equal((await silent).ok, false);
      call.services.lastSent("BYE").fail(new TransactionTimeoutError("Timer F"));
      assert.deepEqual(call.witness.plot, ["bye", "ended:timeout"]);
      assert.deepEqual(call.services.leftovers(), []);
    }
  });

  it("leave the call alone when the connection fails", async () => {
    const call = await establishedCall();
    const asked = call.session.request({ method: "OPTIONS" });
    call.services.lastSent("OPTIONS").fail(new TransportError("reset", "tcp:192.0.2.2"));
    const outcome = await asked;
    assert.equal("cause" in outcome && outcome.cause, "transport-error");
    assert.equal(call.session.state, "established");
    await hungUp(call);
  });

  it("are over with the call", async () => {
    const call = await establishedCall();
    const asked = call.session.request({ method: "INFO" });
    await hungUp(call);
    assert.deepEqual(await asked, { ok: false, cause: "no-session", statusCode: 0 });
    assert.equal(call.services.lastSent("INFO").abandoned, true);
    assert.deepEqual(await call.session.request({ method: "INFO" }), {
      ok: false,
      cause: "no-session",
      statusCode: 0,
    });
  });

  it("are refused when they are the session's own business or cannot be written", async () => {
    const call = await establishedCall();
    for (const method of ["INVITE", "bye", "ACK", "CANCEL", "PRACK", "REGISTER", "A B"]) {
      await assert.rejects(call.session.request({ method }), InvalidArgumentError);
    }
    await assert.rejects(
      call.session.request({ method: "INFO", headers: [["X", "a\r\nVia: b"]] }),
      InvalidArgumentError,
    );
    await hungUp(call);
  });

  it("need a dialog", async () => {
    const services = new FakeServices();
    const session = new OutgoingSession(services, {
      targets: [
        {
          address: services.parseTarget("sip:bob@example.com"),
          account: undefined,
          timeoutMs: 0,
          headers: [],
        },
      ],
      account: undefined,
      strategy: "parallel",
      anonymous: false,
      earlyMedia: true,
      delayedOffer: false,
      redirects: 0,
      headers: [],
    });
    session.begin();
    services.clock.advance(0);
    await assert.rejects(session.request({ method: "INFO" }), InvalidStateError);
    await assert.rejects(session.refer({ to: "sip:carol@example.com" }), InvalidStateError);
    await assert.rejects(session.sendDigits({ digits: "1" }), InvalidStateError);
    await assert.rejects(session.progress(), InvalidStateError);
    await assert.rejects(session.sendDigits({ digits: "1", method: "rfc4733" }), MediaError);
    session.forceClose("shutdown");
    assert.deepEqual(services.leftovers(), []);
  });
});

describe("a failing connection under a call", () => {
  it("is told as route, down once and up again, and ends nothing", async () => {
    const call = await establishedCall((services) => {
      services.flow = new FakeFlow(services.clock, "tcp");
    });
    const { services, session, witness, dialog } = call;
    const first = services.flow;
    assert.equal(first.listeners, 1);
    assert.equal(first.retained, 1);
    first.close("reset");
    assert.deepEqual(witness.plot, ["route"]);
    assert.deepEqual(
      [witness.last("route").route, witness.last("route").reason],
      ["down", "reset"],
    );
    services.flow = new FakeFlow(services.clock, "tcp");
    services.request(dialog, "OPTIONS");
    services.request(dialog, "OPTIONS");
    assert.deepEqual(witness.plot, ["route", "route"]);
    assert.equal(witness.last("route").route, "up");
    const asked = session.request({ method: "OPTIONS" });
    assert.equal(services.lastSent("OPTIONS").options.preferredFlow, services.flow);
    services.lastSent("OPTIONS").respond(200);
    await asked;
    await hungUp(call);
    assert.equal(services.flow.listeners, 0);
    assert.equal(services.flow.retained, 0);
  });

  it("loses the BYE and ends the call nevertheless", async () => {
    const { services, session, witness } = await establishedCall();
    const ended = session.end();
    services.lastSent("BYE").fail(new TransportError("reset", "tcp:192.0.2.2"));
    await ended;
    assert.equal(witness.plot.at(-1), "ended:local-bye");
    assert.deepEqual(services.leftovers(), []);
  });
});

describe("a call whose place another takes (RFC 3891)", () => {
  /** The second call with its 2xx out. */
  async function replacing() {
    const call = await establishedCall();
    const { services, session: old } = call;
    const transaction = services.invite({
      sdp: "v=0 second",
      from: "<sip:carol@example.com>;tag=carol",
    });
    const fresh = new IncomingSession(services, transaction, { account: ALICE, replaces: old });
    fresh.begin();
    const accepted = fresh.accept();
    await outcomeOf(accepted);
    const end = (): void => {
      void fresh.end();
      services.ack(transaction.request, services.dialogOf(fresh));
      services.lastSent("BYE").respond(200);
      assert.deepEqual(services.leftovers(), []);
    };
    const confirm = (): void => services.ack(transaction.request, services.dialogOf(fresh));
    return { ...call, fresh, confirm, end };
  }

  it("is told so at once, and gets its BYE when the new one has been confirmed", async () => {
    const { services, witness, confirm, fresh } = await replacing();
    assert.deepEqual(witness.plot, ["replaced"]);
    assert.ok(!services.log.includes("BYE →"));
    confirm();
    services.lastSent("BYE").respond(200);
    assert.deepEqual(witness.plot, ["replaced", "bye", "ended:replaced"]);
    void fresh.end();
    services.lastSent("BYE").respond(200);
    assert.deepEqual(services.leftovers(), []);
  });

  it("does not wait for an ACK that is late", async () => {
    const { services, witness, end } = await replacing();
    services.clock.advance(500);
    services.lastSent("BYE").respond(200);
    assert.deepEqual(witness.plot, ["replaced", "bye", "ended:replaced"]);
    end();
  });

  it("ends as replaced when its peer is faster with the BYE", async () => {
    const { services, dialog, witness, end } = await replacing();
    services.request(dialog, "BYE");
    assert.deepEqual(witness.plot, ["replaced", "bye", "ended:replaced"]);
    end();
  });
});

describe("the media under a call", () => {
  it("may be silent while it rings", async () => {
    const services = new FakeServices();
    const transaction = services.invite({ sdp: "v=0 first" });
    const session = new IncomingSession(services, transaction, { account: ALICE });
    session.begin();
    await outcomeOf(session.progress({ statusCode: 183, earlyMedia: true }));
    services.media.last.context.events.onMediaTimeout();
    assert.equal(session.state, "early");
    await session.end();
    assert.deepEqual(services.leftovers(), []);
  });

  it("tell what they have counted, once they are closed", async () => {
    const { services, session } = await establishedCall();
    const open: unknown = session.mediaStatistics;
    assert.equal(open, undefined);
    services.media.last.statistics = {
      packetsSent: 7,
      packetsReceived: 5,
      packetsLost: 2,
      jitter: 1,
    };
    void session.end();
    services.lastSent("BYE").respond(200);
    assert.equal((await session.mediaStatistics)?.packetsLost, 2);
  });

  it("that fail when they close have counted nothing", async () => {
    const { services, session } = await establishedCall();
    services.media.last.closeError = new Error("worker gone");
    void session.end();
    services.lastSent("BYE").respond(200);
    assert.equal(await session.mediaStatistics, undefined);
    assert.match(services.problems.splice(0).join(), /worker gone/);
  });

  it("report digits and end the call when nothing is heard for too long", async () => {
    const { services, witness } = await establishedCall();
    const { events } = services.media.last.context;
    events.onDigit({ digit: "7", method: "rfc4733", duration: 120 });
    assert.equal(witness.last("dtmf").digit?.digit, "7");
    events.onError(new Error("socket"));
    services.problems.length = 0;
    events.onMediaTimeout();
    services.lastSent("BYE").respond(200);
    assert.deepEqual(witness.plot, ["dtmf", "bye", "ended:media-timeout"]);
    events.onDigit({ digit: "8", method: "rfc4733", duration: 120 });
    assert.equal(witness.plot.length, 3);
    assert.deepEqual(services.leftovers(), []);
  });
});
