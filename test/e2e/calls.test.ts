/** Calls through a real Node-RED with a telephone of bare datagrams: order of events, outputs, payloads, the wire. */
import assert from "node:assert/strict";
import { FlowBuilder } from "../support/flow-builder.js";
import { type Captured, NodeRed, pause } from "../support/node-red.js";
import { freePort } from "../support/ports.js";
import { RawPhone } from "../support/raw-phone.js";

describe("calls seen from outside", function () {
  this.timeout(30_000);
  let nodeRed: NodeRed;
  let port: number;
  let portWithoutMedia: number;
  let phone: RawPhone;

  before(async () => {
    port = await freePort();
    portWithoutMedia = await freePort();
    const flow = new FlowBuilder();
    const address = "127.0.0.1";
    const transports = (at: number) => [{ protocol: "udp", address, port: at }];
    const stack = flow.config("sip-stack", { transports: transports(port), mediaAddress: address });
    const none = flow.config("sip-stack", {
      transports: transports(portWithoutMedia),
      media: "none",
    });
    flow.node("sip-event", { stack, events: [] }, [[flow.capture("events")]]);
    flow.node("sip-event", { stack, events: ["refer"], answerWithin: 2000 }, [["follow"]]);
    flow.node("sip-accept", { follow: true }, flow.captures("follow", 2), "follow");
    const accepting = { 1: ["accept"] };
    flow.node("sip-incoming", { stack, match: "answer" }, flow.captures("answer", 2, accepting));
    flow.node("sip-incoming", { stack, match: "wait" }, flow.captures("wait", 2));
    flow.node(
      "sip-incoming",
      { stack, match: "short", answerTimeout: 0.3 },
      flow.captures("short", 2),
    );
    flow.node("sip-incoming", { stack: none }, flow.captures("none", 2));
    flow.node("sip-accept", {}, flow.captures("accept", 2), "accept");
    flow.node("sip-reject", {}, flow.captures("reject", 1), "reject");
    flow.node("sip-progress", {}, flow.captures("progress", 2), "progress");
    flow.node("sip-bye", {}, flow.captures("bye", 1), "bye");
    flow.node("sip-refer", { to: "sip:there@127.0.0.1" }, flow.captures("refer", 3), "refer");
    flow.node("sip-session", {}, flow.captures("session", 2), "session");
    const to = { to: "payload", toType: "msg" };
    flow.node("sip-invite", { stack, ...to }, flow.captures("invite", 4), "invite");
    flow.node("sip-invite", { stack: none, ...to }, flow.captures("bare", 4), "bare");
    for (const id of ["accept", "reject", "progress", "bye", "refer", "session", "invite", "bare"])
      flow.entry(id, [id]);
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("catch")]]);
    nodeRed = await NodeRed.start({ flows: flow.build() });
  });

  beforeEach(async () => {
    await nodeRed.clearCaptured();
    phone = await RawPhone.open(port);
  });

  afterEach(() => phone.close());

  after(async () => {
    await nodeRed?.stop();
  });

  const first = async (name: string) => (await nodeRed.waitFor(name))[0]?.msg;
  const topics = (list: readonly Captured[] = []) => list.map(({ msg }) => msg.topic as string);

  /** The events of the test, state changes as `> state`. */
  async function ladder(least: number): Promise<string[]> {
    const events = await nodeRed.waitFor("events", least);
    await pause(100);
    assert.equal((await nodeRed.captured("events")).length, least);
    return events.map(({ msg }) => (msg.topic === "state" ? `> ${msg.payload}` : msg.topic));
  }

  const ringing = ["> incoming", "incoming", "> early", "progress"];
  const talking = [...ringing, "> established", "answered", "confirmed"];

  async function answeredCall() {
    const call = phone.invite("answer");
    await phone.final(call);
    return { call, msg: await first("accept/1") };
  }

  async function placed(payload: unknown, more: Record<string, unknown> = {}) {
    await nodeRed.inject("invite", { payload, ...more });
    return phone.comes("INVITE");
  }

  it("tells an answered call that the peer ends, step by step", async () => {
    const { call } = await answeredCall();
    phone.request(call, "BYE");
    await phone.answered(200, "BYE");
    assert.deepEqual(await ladder(10), [...talking, "bye", "> terminated", "ended"]);
    const events = await nodeRed.captured("events");
    assert.deepEqual(
      events.map(({ msg }) => msg.sip.signaling),
      [
        ...Array(4).fill("have-remote-offer"),
        ...Array(3).fill("stable"),
        ...Array(3).fill("closed"),
      ],
    );
    const bye = events.find(({ msg }) => msg.topic === "bye")?.msg;
    assert.deepEqual(
      [bye.payload, bye.sip.cause, bye.sip.method],
      ["remote-bye", "remote-bye", "BYE"],
    );
    assert.equal((await first("answer/2")).payload, "remote-bye");
  });

  it("answers both a re-INVITE and the BYE straight after it, in whichever order (RFC 5407 appendix B)", async () => {
    const { call } = await answeredCall();
    phone.request(call, "INVITE", {
      contentType: "application/sdp",
      body: phone.description({ direction: "sendonly", version: 2 }),
    });
    const reInvite = { ...call };
    phone.request(call, "BYE");
    await phone.answered(200, "BYE");
    const { status } = await phone.final(reInvite);
    assert.ok(status === 200 || status === 487, String(status));
    assert.equal((await first("answer/2")).payload, "remote-bye");
  });

  it("tells an answered call that we end; a second sip-bye waits for the same end", async () => {
    const { msg } = await answeredCall();
    await nodeRed.inject("bye", { sip: msg.sip, options: { statusCode: 200, reason: "enough" } });
    const bye = await phone.comes("BYE");
    assert.equal(bye.get("reason"), 'SIP;cause=200;text="enough"');
    await nodeRed.inject("bye", { sip: msg.sip });
    await pause(100);
    assert.equal((await nodeRed.captured("bye/1")).length, 0);
    phone.reply(bye, 200);
    await nodeRed.waitFor("bye/1", 2);
    assert.deepEqual(await ladder(11), [
      ...talking,
      "> terminating",
      "bye",
      "> terminated",
      "ended",
    ]);
    assert.equal((await first("answer/2")).topic, "ended");
  });

  it("tells CANCEL, our rejection and our time-out apart", async () => {
    const cancelled = phone.invite("wait");
    await phone.answered(180, "INVITE");
    phone.request(cancelled, "CANCEL", { headers: ["Reason: SIP;cause=200"] });
    assert.equal((await phone.final(cancelled)).status, 487);
    assert.deepEqual(await ladder(7), [...ringing, "cancelled", "> terminated", "failed"]);
    assert.equal((await first("wait/2")).payload, "answered-elsewhere");
    assert.equal((await nodeRed.captured("events")).at(-1)?.msg.payload, 487);

    await nodeRed.clearCaptured();
    const rejected = phone.invite("wait");
    const { sip } = await first("wait/1");
    const contacts = ["sip:a@x.example", { uri: "sip:b@y.example", q: 0.5, displayName: "B b" }];
    await nodeRed.inject("reject", { sip, options: { statusCode: 302, contacts } });
    const answer = await phone.final(rejected);
    assert.deepEqual(answer.all("contact"), ["<sip:a@x.example>", '"B b" <sip:b@y.example>;q=0.5']);
    assert.deepEqual(await ladder(7), [...ringing, "rejected", "> terminated", "failed"]);
    assert.equal((await first("reject/1")).payload, 302);
    assert.equal((await first("wait/2")).payload, "redirected");

    await nodeRed.clearCaptured();
    assert.equal((await phone.final(phone.invite("short"))).status, 480);
    assert.deepEqual(await ladder(7), [...ringing, "rejected", "> terminated", "failed"]);
    assert.equal((await first("short/2")).payload, "no-answer");
  });

  it("waits with the BYE of the called side for the ACK", async () => {
    const call = phone.invite("wait");
    const { sip } = await first("wait/1");
    await nodeRed.inject("accept", { sip });
    await phone.final(call, false);
    await nodeRed.inject("bye", { sip });
    await pause(200);
    assert.ok(!phone.heard.some(({ method }) => method === "BYE"));
    phone.request(call, "ACK");
    phone.reply(await phone.comes("BYE"), 200);
    assert.equal((await first("bye/1")).payload, "local-bye");
  });

  it("tells hold and resume of the peer", async () => {
    const { call } = await answeredCall();
    await nodeRed.clearCaptured();
    phone.request(call, "INVITE", {
      body: phone.description({ direction: "sendonly", version: 2 }),
    });
    assert.match((await phone.final(call)).body, /a=recvonly/);
    phone.request(call, "INVITE", { body: phone.description({ version: 3 }) });
    await phone.final(call);
    assert.deepEqual(await ladder(6), [
      "reinvite",
      "hold",
      "updated",
      "reinvite",
      "resume",
      "updated",
    ]);
    const events = await nodeRed.captured("events");
    assert.deepEqual(
      events.map(({ msg }) => [msg.sip.signaling, msg.sip.hold]),
      [
        ["have-remote-offer", "none"],
        ["stable", "remote"],
        ["stable", "remote"],
        ["have-remote-offer", "remote"],
        ["stable", "none"],
        ["stable", "none"],
      ],
    );
    phone.request(call, "BYE");
    await phone.answered(200, "BYE");
  });

  it("follows a REFER: the new call leaves by output 1 with the status that was sent", async () => {
    const third = await RawPhone.open(port);
    const { call, msg } = await answeredCall();
    phone.request(call, "REFER", { headers: [`Refer-To: <${third.uri}>`] });
    const invite = await third.comes("INVITE");
    third.reply(invite, 180);
    await pause(50);
    third.reply(invite, 200, { body: third.description() });
    await third.comes("ACK");
    for (;;) {
      const notify = await phone.comes("NOTIFY");
      phone.reply(notify, 200);
      if (notify.body.startsWith("SIP/2.0 200")) break;
    }
    const followed = await first("follow/1");
    assert.deepEqual([followed.topic, followed.payload], ["accepted", 202]);
    assert.equal(followed.sip.peer, msg.sip.session);
    assert.notEqual(followed.sip.session, msg.sip.session);
    phone.request(call, "BYE");
    await phone.answered(200, "BYE");
    third.request(third.dialogOf(invite), "BYE");
    await third.answered(200, "BYE");
    third.close();
  });

  it("transfers: each report, then the result; a failing one leaves the call up", async () => {
    const { call, msg } = await answeredCall();
    const report = (refer: { get(name: string): string }, status: string, state: string) =>
      phone.request(call, "NOTIFY", {
        headers: [
          `Event: refer;id=${Number.parseInt(refer.get("cseq"), 10)}`,
          `Subscription-State: ${state}`,
        ],
        body: `SIP/2.0 ${status}\r\n`,
        contentType: "message/sipfrag",
      });
    await nodeRed.inject("refer", { sip: msg.sip });
    const one = await phone.comes("REFER");
    phone.reply(one, 202);
    report(one, "486 Busy Here", "terminated;reason=noresource");
    const failed = await first("refer/3");
    assert.deepEqual(
      [failed.payload, failed.sip.cause, failed.sip.state],
      [486, "busy", "established"],
    );
    await nodeRed.inject("refer", { sip: msg.sip, options: { timeout: 0.2 } });
    phone.reply(await phone.comes("REFER"), 202);
    assert.equal((await nodeRed.waitFor("refer/3", 2))[1]?.msg.sip.cause, "timeout");
    // The peer hangs up instead of reporting.
    await nodeRed.inject("refer", { sip: msg.sip });
    phone.reply(await phone.comes("REFER"), 202);
    await pause(100);
    phone.request(call, "BYE");
    const transferred = await first("refer/1");
    assert.deepEqual([transferred.topic, transferred.payload], ["transferred", 202]);
    assert.equal((await first("answer/2")).payload, "transferred");
  });

  it("tells a call that we place and the peer ends; two answers to one INVITE make one call", async () => {
    const invite = await placed(phone.uri, { keep: 1 });
    phone.reply(invite, 180, { tag: "one" });
    phone.reply(invite, 183, { tag: "two", body: phone.description() });
    await pause(50);
    phone.reply(invite, 200, { tag: "one", body: phone.description() });
    phone.reply(invite, 200, { tag: "two", body: phone.description() });
    const bye = await phone.comes("BYE");
    assert.match(bye.get("to"), /tag=two/);
    phone.reply(bye, 200);
    const answered = await first("invite/1");
    assert.deepEqual([answered.sip.remoteTag, answered.keep], ["one", 1]);
    phone.request(phone.dialogOf(invite, "one"), "BYE");
    await phone.answered(200, "BYE");
    assert.deepEqual(await ladder(11), [
      "> inviting",
      "inviting",
      "> early",
      "progress",
      "progress",
      "> established",
      "answered",
      "confirmed",
      "bye",
      "> terminated",
      "ended",
    ]);
    const reports = await nodeRed.captured("invite/2");
    assert.deepEqual(topics(reports), ["inviting", "progress", "progress"]);
    assert.deepEqual(
      reports.map(({ msg }) => msg.sip.remoteTag),
      [undefined, "one", "two"],
    );
    assert.equal((await nodeRed.waitFor("invite/4")).length, 1);
  });

  it("tells a refusal, a cancelled call, and one that was answered while it was cancelled", async () => {
    phone.reply(await placed(phone.uri), 404);
    assert.deepEqual(await ladder(5), [
      "> inviting",
      "inviting",
      "rejected",
      "> terminated",
      "failed",
    ]);
    const refused = await first("invite/3");
    assert.deepEqual([refused.payload, refused.sip.cause], [404, "not-found"]);
    for (const racing of [false, true]) {
      await nodeRed.clearCaptured();
      const invite = await placed(phone.uri);
      phone.reply(invite, 180);
      const [, { msg }] = (await nodeRed.waitFor("invite/2", 2)) as [Captured, Captured];
      await nodeRed.inject("bye", { sip: msg.sip });
      const cancel = await phone.comes("CANCEL");
      if (racing) phone.reply(invite, 200, { body: phone.description() });
      phone.reply(cancel, 200);
      if (racing) phone.reply(await phone.comes("BYE"), 200);
      else phone.reply(invite, 487);
      const failed = await first("invite/3");
      assert.deepEqual([failed.topic, failed.sip.cause], ["failed", "cancelled"]);
      assert.equal((await first("bye/1")).topic, "ended");
      assert.deepEqual(await ladder(8), [
        "> inviting",
        "inviting",
        "> early",
        "progress",
        "> terminating",
        "cancelled",
        "> terminated",
        "failed",
      ]);
      assert.equal((await nodeRed.captured("invite/1")).length, 0);
    }
  });

  it("forks, and follows redirects by preference", async () => {
    const second = await RawPhone.open(port);
    const invite = await placed([phone.uri, { uri: second.uri, headers: { "X-T": "2" } }]);
    const other = await second.comes("INVITE");
    assert.equal(other.get("x-t"), "2");
    second.reply(other, 180);
    phone.reply(invite, 200, { body: phone.description() });
    const cancel = await second.comes("CANCEL");
    second.reply(cancel, 200);
    second.reply(other, 487);
    const answered = await first("invite/1");
    assert.deepEqual(
      answered.sip.targets.map(({ state }: { state: string }) => state),
      ["answered", "cancelled"],
    );
    phone.request(phone.dialogOf(invite), "BYE");
    await phone.answered(200, "BYE");

    await nodeRed.clearCaptured();
    const third = await RawPhone.open(port);
    const contact = `${third.uri}>;q=0.2, "Best" <${second.uri};x=1?Subject=no>;q=0.9, <http://x`;
    phone.reply(await placed(phone.uri), 302, { contact });
    const redirected = await second.comes("INVITE");
    assert.equal(redirected.get("subject"), "");
    second.reply(redirected, 404);
    third.reply(await third.comes("INVITE"), 486);
    const failed = await first("invite/3");
    assert.equal(failed.sip.cause, "busy");
    const redirecting = (await nodeRed.captured("invite/2")).find(
      ({ msg }) => msg.topic === "redirecting",
    )?.msg;
    assert.deepEqual(redirecting.payload, [`${second.uri};x=1`, third.uri]);
    second.close();
    third.close();

    await nodeRed.clearCaptured();
    const unfollowed = await placed(phone.uri, { options: { redirects: 0 } });
    phone.reply(unfollowed, 302, { contact: `sip:a@x>;q=0.3, "B" <sip:b@y` });
    const report = await first("invite/3");
    assert.deepEqual([report.payload, report.sip.cause], [302, "redirected"]);
    assert.deepEqual(report.sip.contacts, [
      { uri: "sip:b@y", displayName: "B" },
      { uri: "sip:a@x", q: 0.3 },
    ]);
  });

  it("without media: asks for msg.sdp, and sends it", async () => {
    const other = await RawPhone.open(portWithoutMedia);
    const call = other.invite("anyone");
    const { sip } = await first("none/1");
    await nodeRed.inject("accept", { sip });
    await nodeRed.inject("bare", { payload: other.uri });
    const errors = await nodeRed.waitFor("catch", 2);
    assert.deepEqual(
      errors.map(({ msg }) => msg.error.code),
      ["no-sdp", "no-sdp"],
    );
    await nodeRed.inject("accept", { sip, sdp: other.description({ port: 41_000 }) });
    assert.match((await other.final(call)).body, /m=audio 41000 /);
    const accepted = await first("accept/1");
    assert.equal(accepted.sdp, undefined);
    other.request(call, "BYE");
    await other.answered(200, "BYE");
    await nodeRed.inject("bare", { payload: other.uri, sdp: other.description({ port: 42_000 }) });
    const invite = await other.comes("INVITE");
    assert.match(invite.body, /m=audio 42000 /);
    other.reply(invite, 486);
    await first("bare/3");
    other.close();
  });

  it("keeps data in the call and nowhere else", async () => {
    const { call, msg } = await answeredCall();
    const { session } = msg.sip;
    await nodeRed.inject("session", { sip: { session, data: { a: 1, b: { c: 2 } } } });
    await nodeRed.inject("session", { sip: { session, data: { a: null, d: 3 } } });
    await nodeRed.inject("session", { sip: { session: "over", data: { z: 1 } } });
    await nodeRed.waitFor("session/2");
    const alive = await nodeRed.waitFor("session/1", 2);
    assert.deepEqual(alive[1]?.msg.sip.data, { b: { c: 2 }, d: 3 });
    phone.request(call, "BYE");
    assert.deepEqual((await first("answer/2")).sip.data, { b: { c: 2 }, d: 3 });
  });
});
