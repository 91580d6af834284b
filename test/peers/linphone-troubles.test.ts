/**
 * What goes wrong between the nodes and linphonec telephones at one Kamailio: rejections, nobody answers, forks of the
 * proxy, a redirection, failed transfers, other transports, a telephone that dies. Beside them three calls go on with
 * session timers (RFC 4028): the telephone refreshes as caller and as callee, and the flow does.
 */
import assert from "node:assert/strict";
import { pause } from "../support/node-red.js";
import type { Linphone } from "../support/peers/linphone.js";
import { needs } from "../support/peers/process.js";
import { type Message, same, TelephoneRoom } from "../support/peers/telephone-room.js";

describe("flows, linphone telephones and trouble", function () {
  this.timeout(120_000);
  let room: TelephoneRoom;
  let alice: Linphone;
  let carol: Linphone;
  /** It calls, and refreshes the session timer. */
  let dave: Linphone;
  /** It is called, and refreshes the session timer. */
  let frank: Linphone;
  /** Lets us refresh. */
  let erin: Linphone;
  const timed: { byCaller?: Message; byCallee?: Message; byUs?: Message; since: number } = {
    since: 0,
  };

  before(async function () {
    needs(this, "kamailio", "linphonec", "openssl");
    // The telephones ask for less than RFC 4028 would let them, so that three refreshes fit into a test.
    room = new TelephoneRoom({ number: 1, stack: { minSE: 0, sessionExpires: 1800 } });
    await room.open();
    const seconds = 8;
    [alice, carol, dave, frank, erin] = await Promise.all([
      room.phone("alice", 0, { answers: false }),
      room.phone("carol", 1),
      room.phone("dave", 2, { sessionTimer: { seconds, refresher: "uac" }, expires: 10 }),
      room.phone("frank", 8, { sessionTimer: { seconds, refresher: "uas" } }),
      room.phone("erin", 3, { sessionTimer: { seconds, refresher: "uas" } }),
    ]);
    timed.byUs = await room.isCalled(erin, "nodered");
    timed.since = Date.now();
    timed.byCaller = await room.isCalled(dave, "nodered");
    timed.byCallee = await room.calls("frank");
  });

  afterEach(() =>
    room?.clear({
      phones: [dave, frank, erin],
      calls: [timed.byCaller, timed.byCallee, timed.byUs].filter(Boolean),
    }),
  );

  after(() => room?.close());

  /** The call is still there: it can be held. */
  async function goesOn(call: Message): Promise<void> {
    await room.act("reinvite", call, { action: "hold" });
    await room.sees("reinvite/1", same(call));
  }

  it("is rejected by a person (603)", async () => {
    const inviting = await room.dials("alice");
    await room.sees("invite/2", (msg) => same(inviting)(msg) && msg.payload === 180);
    await alice.command("terminate");
    const failed = await room.sees("invite/3", same(inviting));
    assert.deepEqual([failed.payload, failed.sip.cause], [603, "rejected"]);
  });

  it("is told that a phone is busy (486)", async () => {
    const call = await room.calls("carol");
    const inviting = await room.dials("carol");
    const failed = await room.sees("invite/3", same(inviting));
    assert.deepEqual([failed.payload, failed.sip.cause], [486, "busy"]);
    await goesOn(call);
  });

  it("gives up when nobody answers, and the phone stops ringing", async () => {
    const from = alice.trace.length;
    const inviting = await room.dials("alice", { timeout: 1.5 });
    const failed = await room.sees("invite/3", same(inviting));
    assert.equal(failed.sip.cause, "no-answer");
    await alice.until(/^CANCEL sip:/m, from);
    await alice.until(/to LinphoneCallReleased/, from);
  });

  it("cancels a ringing phone for its flow", async () => {
    const from = alice.trace.length;
    const inviting = await room.dials("alice");
    await room.sees("invite/2", (msg) => same(inviting)(msg) && msg.payload === 180);
    await room.act("bye", inviting);
    const failed = await room.sees("invite/3", same(inviting));
    assert.equal(failed.sip.cause, "cancelled");
    await alice.until(/to LinphoneCallReleased/, from);
  });

  it("reaches two phones of one user: the first to answer wins, the other is told why it lost", async () => {
    await carol.command("autoanswer disable");
    const other = await room.phone("carol", 4, { answers: false });
    const from = carol.trace.length;
    const inviting = await room.dials("carol");
    const ringing = (msg: Message) => same(inviting)(msg) && msg.payload === 180;
    const first = await room.sees("invite/2", ringing);
    const second = (msg: Message) => ringing(msg) && msg.sip.remoteTag !== first.sip.remoteTag;
    await room.sees("invite/2", second);
    await other.command("answer");
    const call = await room.sees("invite/1", same(inviting));
    await carol.until(/^CANCEL sip:[^]*?^Reason: *SIP;cause=200/m, from);
    await room.act("bye", call);
    await room.sees("invite/4", same(call));
    await other.unregister();
    await other.stop();
    await carol.command("autoanswer enable");
  });

  it("loses a call to another phone of the same user and says so", async () => {
    const other = await room.phone("tess", 5, { answers: false });
    await carol.command("call sip:tess@sip.test");
    const ringing = await room.sees("incoming/1");
    await other.command("answer");
    const failed = await room.sees("incoming/2", same(ringing));
    assert.equal(failed.sip.cause, "answered-elsewhere");
    await other.unregister();
    await other.stop();
  });

  it("follows the proxy's redirection, or reports it", async () => {
    const inviting = await room.dials("moved");
    const redirecting = await room.sees("invite/2", (msg) => msg.topic === "redirecting");
    assert.deepEqual(redirecting.payload, ["sip:carol@sip.test"]);
    const call = await room.sees("invite/1", same(inviting));
    // The dialog keeps the name that was dialled (RFC 3261 §8.1.3.4); the phone that took it is carol's.
    assert.equal(call.sip.remote.user, "moved");
    assert.equal((await carol.calls()).length, 1);
    const second = await room.dials("moved", { redirects: 0 });
    const failed = await room.sees("invite/3", same(second));
    assert.deepEqual([failed.payload, failed.sip.cause], [302, "redirected"]);
    assert.equal(failed.sip.contacts[0].uri, "sip:carol@sip.test");
  });

  it("transfers a phone to a busy target: the NOTIFY says 486, the call goes on", async () => {
    const call = await room.calls("carol");
    await room.act("refer", call, { to: "sip:bob@sip.test" });
    const ringing = await room.sees("incoming/1", (msg) => msg.sip.remote.user === "carol");
    await room.act("reject", ringing, { statusCode: 486 });
    const failed = await room.sees("refer/3", same(call));
    assert.equal(failed.payload, 486);
    await goesOn(call);
    assert.ok(!(await room.ladder(call)).includes("ended"));
  });

  it("is transferred by a phone to a busy target: the phone hears 486, their call goes on", async () => {
    const call = await room.isCalled(carol, "nodered");
    const from = carol.trace.length;
    await carol.command("transfer sip:bob@sip.test");
    const refer = await room.sees("refers", same(call));
    await room.nodeRed.inject("accept", { sip: refer.sip, options: { follow: true } });
    const ringing = await room.sees("incoming/1", (msg) => msg.sip.remote.user === "nodered");
    await room.act("reject", ringing, { statusCode: 486 });
    await room.sees("accept/2");
    await carol.until(/^NOTIFY sip:[^]*?SIP\/2\.0 486/m, from);
    await goesOn(call);
    assert.ok(!(await room.ladder(call)).includes("ended"));
  });

  for (const [transport, account] of [
    ["tcp", "tina"],
    ["tls", "tess"],
  ] as const) {
    it(`talks ${transport} with a phone, registers anew in the call, holds and is held`, async () => {
      const place = transport === "tcp" ? 6 : 7;
      const phone = await room.phone("alice", place, { transport });
      const call = await room.isCalled(phone, account);
      assert.equal(call.sip.source.protocol, transport);
      await room.nodeRed.inject("register", { control: "register", options: { account } });
      await room.sees("register/1");
      await goesOn(call);
      await room.act("reinvite", call, { action: "resume" });
      await room.sees("reinvite/1", (msg) => same(call)(msg) && msg.payload === "resume");
      await phone.command("pause");
      await room.event("hold", call);
      await phone.command("terminate");
      assert.equal((await room.sees("incoming/2", same(call))).sip.cause, "remote-bye");
      await phone.unregister();
      await phone.stop();
    });
  }

  /** 2xx to UPDATEs that went on in the trace. */
  function refreshes(phone: Linphone, callId: string): number {
    const messages = phone.trace.split(/^(?=SIP\/2\.0 |[A-Z]+ sip:)/m);
    const sequence = new Set<string>();
    for (const message of messages) {
      if (!message.startsWith("SIP/2.0 2") || !message.includes(callId)) continue;
      const cseq = /^CSeq: *(\d+ UPDATE)/im.exec(message)?.[1];
      if (cseq !== undefined && /^Session-Expires:/im.test(message)) sequence.add(cseq);
    }
    return sequence.size;
  }

  it("has had more than three refreshes of a phone that called, and of one that was called", async () => {
    const counts = [
      refreshes(dave, timed.byCaller.sip.callId),
      refreshes(frank, timed.byCallee.sip.callId),
    ];
    assert.ok(
      counts.every((count) => count > 3),
      counts.join(" "),
    );
  });

  it("ends the calls of phones that died: session-expired", async () => {
    await Promise.all([dave.kill(), frank.kill()]);
    for (const [name, call] of [
      ["incoming/2", timed.byCaller],
      ["invite/4", timed.byCallee],
    ] as const) {
      const ended = await room.sees(name, same(call), 50_000);
      assert.equal(ended.sip.cause, "session-expired");
    }
  });

  it("refreshes itself three times, every 45 s because nothing shorter may be asked for", async () => {
    const end = timed.since + 170_000;
    while (refreshes(erin, timed.byUs.sip.callId) < 3 && Date.now() < end) await pause(500);
    assert.ok(refreshes(erin, timed.byUs.sip.callId) >= 3);
    assert.ok(Date.now() - timed.since > 90_000);
    await goesOn(timed.byUs);
    await erin.command("terminate");
    await room.sees("incoming/2", same(timed.byUs));
  });

  it("raised no error on the way", async () => {
    const errors = await room.nodeRed.captured("caught");
    assert.deepEqual(
      errors.map(({ msg }) => msg.error.message),
      [],
    );
  });
});
