/**
 * The calls of a switchboard through the nodes: linphonec telephones and a Node-RED at one Kamailio. Hold from both sides
 * (RFC 3264 §8.4), transfers in each role that the phone can play (RFC 5589), a call without an offer, early media.
 */
import assert from "node:assert/strict";
import { pause } from "../support/node-red.js";
import type { Linphone } from "../support/peers/linphone.js";
import { needs } from "../support/peers/process.js";
import { type Message, same, TelephoneRoom } from "../support/peers/telephone-room.js";
import { readWav, toneShare } from "../support/peers/wav.js";

describe("flows and linphone telephones at a registrar", function () {
  this.timeout(40_000);
  let room: TelephoneRoom;
  let alice: Linphone;
  let carol: Linphone;

  before(async function () {
    needs(this, "kamailio", "linphonec", "openssl");
    room = new TelephoneRoom({ number: 0 });
    await room.open();
    [alice, carol] = await Promise.all([
      room.phone("alice", 0, { tone: 440 }),
      room.phone("carol", 1, { tone: 660, earlyMedia: true }),
    ]);
  });

  afterEach(() => room?.clear());

  after(() => room?.close());

  /** Somewhere in its recording the telephone heard that tone alone, for a quarter of a second. */
  function heard(phone: Linphone, file: string, frequency: number): void {
    const { rate, samples } = readWav(phone.recording(file));
    const shares = [];
    for (let at = 0; at + rate / 4 <= samples.length; at += rate / 20)
      shares.push(toneShare(samples.subarray(at, at + rate / 4), rate, frequency));
    const best = Math.max(0, ...shares);
    assert.ok(best > 0.8, `${phone.options.name}: ${frequency} Hz is ${best} of what was heard`);
  }

  async function holdBothWays(call: Message, phone: Linphone): Promise<void> {
    const from = phone.trace.length;
    await room.act("reinvite", call, { action: "hold" });
    const held = await room.sees("reinvite/1", (msg) => msg.payload === "hold");
    assert.equal(held.sip.hold, "local");
    await phone.until(/to LinphoneCallPausedByRemote/, from);
    await room.act("reinvite", call, { action: "resume" });
    const resumed = await room.sees("reinvite/1", (msg) => msg.payload === "resume");
    assert.equal(resumed.sip.hold, "none");
    await phone.command("pause");
    assert.equal((await room.event("hold", call)).sip.hold, "remote");
    await phone.command(`resume ${(await phone.calls())[0] ?? ""}`);
    assert.equal((await room.event("resume", call)).sip.hold, "none");
  }

  it("holds a phone that it called, is held by it, and hears it hang up", async () => {
    const call = await room.calls("alice");
    await holdBothWays(call, alice);
    await alice.command("terminate");
    const ended = await room.sees("invite/4", same(call));
    assert.equal(ended.sip.cause, "remote-bye");
  });

  it("holds a phone that called, is held by it, and hangs up", async () => {
    const call = await room.isCalled(alice, "nodered");
    await holdBothWays(call, alice);
    await room.act("bye", call);
    const ended = await room.sees("incoming/2", same(call));
    assert.equal(ended.sip.cause, "local-bye");
  });

  it("puts two phones together: attended transfer by the flow, who hear each other", async () => {
    const first = await room.calls("alice");
    const consultation = await room.calls("carol");
    await carol.record("after.wav");
    await room.act("refer", first, { target: consultation.sip.session });
    await room.sees("refer/1", same(first));
    assert.equal((await room.sees("invite/4", same(first))).sip.cause, "transferred");
    await room.sees("invite/4", same(consultation));
    await pause(1200);
    await carol.command("terminate all");
    heard(carol, "after.wav", 440);
  });

  it("is transferred by a phone to a second stack, which it takes over with Replaces", async () => {
    const first = await room.isCalled(alice, "nodered");
    await alice.command("pause");
    const consultation = await room.isCalled(alice, "bob");
    const [one, two] = await alice.calls();
    await alice.command(`transfer ${one} --to-call ${two}`);
    const refer = await room.sees("refers", same(first));
    assert.equal(refer.payload, "sip:bob@sip.test");
    await room.nodeRed.inject("accept", { sip: refer.sip, options: { follow: true } });
    const third = await room.sees("incoming/1", (msg) => msg.sip.replaces !== undefined);
    assert.equal(third.sip.replaces, consultation.sip.session);
    await room.answers(third);
    const taken = await room.sees("accept/1", (msg) => msg.sip.peer === first.sip.session);
    assert.notEqual(taken.sip.session, first.sip.session);
    const replaced = await room.event("replaced", consultation);
    assert.equal(replaced.sip.replacedBy, third.sip.session);
    assert.equal((await room.sees("incoming/2", same(consultation))).sip.cause, "replaced");
    await room.sees("incoming/2", same(first));
    await room.act("bye", taken);
  });

  it("is transferred by a phone to another phone, which it calls with Replaces", async () => {
    const first = await room.isCalled(alice, "nodered");
    await alice.command("pause");
    await alice.talksTo("sip:carol@sip.test");
    const [one, two] = await alice.calls();
    await alice.command(`transfer ${one} --to-call ${two}`);
    const refer = await room.sees("refers", same(first));
    await room.nodeRed.inject("accept", { sip: refer.sip, options: { follow: true } });
    const call = await room.sees("accept/1", (msg) => msg.sip.peer === first.sip.session);
    assert.equal(call.sip.remote.user, "carol");
    await room.sees("incoming/2", same(first));
    assert.equal((await carol.calls()).length, 1);
    assert.equal((await alice.calls()).length, 0);
    await room.act("bye", call);
    await room.event("ended", call);
  });

  it("is the target of a transfer between two phones", async () => {
    const call = await room.isCalled(carol, "bob");
    await carol.command("pause");
    await carol.talksTo("sip:alice@sip.test");
    const [one, two] = await carol.calls();
    await carol.command(`transfer ${two} --to-call ${one}`);
    const third = await room.sees("incoming/1", (msg) => msg.sip.replaces !== undefined);
    assert.equal(third.sip.remote.user, "alice");
    assert.equal(third.sip.replaces, call.sip.session);
    await room.answers(third);
    assert.equal((await room.event("replaced", call)).sip.replacedBy, third.sip.session);
    await room.sees("incoming/2", same(call));
  });

  it("transfers a phone blindly to another", async () => {
    const call = await room.calls("alice");
    await room.act("refer", call, { to: "sip:carol@sip.test" });
    const done = await room.sees("refer/1", same(call));
    assert.equal(done.payload, 200);
    assert.equal((await room.sees("invite/4", same(call))).sip.cause, "transferred");
    assert.equal((await carol.calls()).length, 1);
  });

  it("is transferred blindly by a phone and follows", async () => {
    const first = await room.isCalled(alice, "nodered");
    const from = alice.trace.length;
    await alice.command("transfer sip:carol@sip.test");
    const refer = await room.sees("refers", same(first));
    await room.nodeRed.inject("accept", { sip: refer.sip, options: { follow: true } });
    const call = await room.sees("accept/1", (msg) => msg.sip.peer === first.sip.session);
    assert.equal(call.sip.remote.user, "carol");
    await alice.until(/SIP\/2\.0 200/, from);
    await room.sees("incoming/2", same(first));
    await room.act("bye", call);
    await room.event("ended", call);
  });

  it("hears the early media of a phone that rings, then its answer", async () => {
    await carol.command("autoanswer disable");
    await carol.record("early.wav");
    const inviting = await room.dials("carol");
    const early = await room.sees("invite/2", (msg) => same(inviting)(msg) && msg.payload === 183);
    assert.equal(early.sip.media[0].kind, "audio");
    await room.act("play", early, { source: "tone:dial" });
    await pause(800);
    await carol.command("answer");
    const call = await room.sees("invite/1", same(inviting));
    await pause(600);
    await room.act("bye", call);
    await room.sees("invite/4", same(call));
    heard(carol, "early.wav", 425);
    await carol.command("autoanswer enable");
  });

  it("calls a phone without an offer and answers the phone's", async () => {
    const from = alice.trace.length;
    const call = await room.calls("alice", { delayedOffer: true });
    assert.equal(call.sip.media[0].direction, "sendrecv");
    const invite = /^INVITE sip:[^]*?\r?\n\r?\n/m.exec(alice.trace.slice(from))?.[0];
    assert.match(invite ?? "", /Content-Length: *0/i);
    await room.act("reinvite", call, { action: "renegotiate", delayedOffer: true });
    await room.sees("reinvite/1", same(call));
    await room.act("bye", call);
    await room.sees("invite/4", same(call));
  });

  it("plays early media to a phone that calls, before it answers", async () => {
    await alice.record("early.wav");
    const ringing = await room.rings(alice, "nodered", " --early-media");
    await room.act("progress", ringing, { statusCode: 183, earlyMedia: true });
    await room.sees("progress/1", same(ringing));
    await room.act("play", ringing, { source: "tone:dial" });
    await pause(1500);
    await room.answers(ringing);
    await pause(300);
    await alice.command("terminate all");
    heard(alice, "early.wav", 425);
  });

  it("is called by a phone without an offer", async () => {
    await alice.stop();
    const late = await room.phone("alice", 2, { delayedOffer: true });
    const ringing = await room.rings(late, "nodered");
    assert.equal(ringing.sip.remoteSdp, undefined);
    const call = await room.answers(ringing);
    assert.equal(call.sip.media[0].direction, "sendrecv");
    await late.command("terminate");
    assert.equal((await room.sees("incoming/2", same(call))).sip.cause, "remote-bye");
  });
});
