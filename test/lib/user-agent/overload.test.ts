/**
 * Hard cases: a thread that is busy with something else, a flow that blocks it, load that comes and goes, silence.
 */
import assert from "node:assert/strict";
import { Overload } from "../../../lib/user-agent/overload.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

describe("Overload", () => {
  let clock: ManualClock;
  let load: number;
  /** Of each 10 ms since it was asked last. */
  let loads: number[];
  let overload: Overload;
  let taken: number;
  /** Do callers repeat every tenth request? */
  let repeats: boolean;
  let asked: number;

  beforeEach(() => {
    clock = new ManualClock();
    load = 0.5;
    loads = [];
    repeats = true;
    asked = 0;
    overload = new Overload(
      clock,
      () => {
        const all = loads.splice(0);
        return all.length === 0 ? load : all.reduce((sum, each) => sum + each, 0) / all.length;
      },
      () => (repeats ? Math.floor(asked / 10) : 0),
    );
    taken = 0;
  });

  /** New calls at an even rate. @returns how many were taken. */
  function calls(perSecond: number, seconds: number, loadOf?: (takenPerSecond: number) => number) {
    const before = taken;
    const steps = Math.round(seconds * 100);
    for (let step = 0; step < steps; step++) {
      const from = taken;
      clock.advance(10);
      for (let i = 0; i < perSecond / 100; i++, asked++) if (overload.admits()) taken++;
      if (loadOf !== undefined) loads.push(loadOf((taken - from) * 100));
    }
    return taken - before;
  }

  it("takes everything while the thread has time", () => {
    assert.equal(calls(5_000, 3), 15_000);
    assert.equal(overload.limit, Infinity);
  });

  it("refuses what is too much after a moment of saturation, and takes what can be served", () => {
    // A call takes a 6,000th of a second, a refusal a quarter of that.
    let debt = 0;
    const served = (perSecond: number) => (accepted: number) => {
      const work = accepted / 6_000 + (perSecond - accepted) / 24_000;
      // What does not fit into the socket's buffer is lost.
      debt = Math.min(5, Math.max(0, debt + work - 1));
      return debt > 0 ? 1 : Math.min(1, work);
    };
    calls(10_000, 5, served(10_000));
    const steady = calls(10_000, 5, served(10_000)) / 5;
    assert.ok(steady > 3_800 && steady < 5_200, `${steady} calls per second`);
    assert.ok(overload.shed > 0);
  });

  it("refuses nobody while nothing has to be repeated, however busy the thread is", () => {
    load = 1;
    repeats = false;
    assert.equal(calls(8_000, 5), 40_000);
    assert.equal(overload.limit, Infinity);
  });

  it("is gone soon after the rush is over", () => {
    load = 1;
    calls(8_000, 2);
    assert.ok(overload.limit < 8_000);
    load = 0.3;
    calls(500, 4);
    assert.equal(overload.limit, Infinity);
  });

  it("never refuses the few calls of a thread that something else keeps busy", () => {
    load = 1;
    assert.equal(calls(100, 20), 2_000);
    assert.equal(overload.limit, Infinity);
    calls(5_000, 30);
    assert.ok(overload.limit >= 100, String(overload.limit));
    assert.ok(calls(5_000, 10) >= 900);
  });

  it("draws no conclusion from a flow that blocks the thread, nor from a pause", () => {
    load = 1;
    for (let i = 0; i < 20; i++) {
      clock.advance(2_000);
      for (let n = 0; n < 3_000; n++) assert.ok(overload.admits());
    }
    load = 1;
    calls(5_000, 2);
    assert.ok(overload.limit < Infinity);
    clock.advance(60_000);
    assert.ok(overload.admits());
    assert.equal(overload.limit, Infinity);
  });
});

describe("a user agent whose thread has no time left", () => {
  it("refuses new calls with 503 and Retry-After; calls that are up, their repetitions and their ends are served", async () => {
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const alice = new Person("alice", "10.0.0.1", network, clock);
    const bob = new Person("bob", "10.0.0.2", network, clock, { threadLoad: () => 1 });
    for (const person of [alice, bob]) await person.userAgent.start();
    bob.takeCalls();
    const call = alice.userAgent.invite({ targets: [bob.uri] });
    await clock.advanceAsync(100);
    void bob.calls[0].accept();
    await clock.advanceAsync(100);
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    let number = 0;
    const invite = (): string =>
      requestText({
        method: "INVITE",
        callId: `rush-${++number}`,
        via: `Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKrush${number};rport`,
        headers: ["Contact: <sip:peer@10.0.0.9>"],
      });
    const firstInvite = invite();
    peer.send(firstInvite, "10.0.0.2");
    for (let step = 0; step < 220; step++) {
      await clock.advanceAsync(10);
      for (let i = 0; i < 3; i++) peer.send(invite(), "10.0.0.2");
      peer.send(firstInvite, "10.0.0.2");
    }
    await clock.advanceAsync(50);
    const refused = peer.responses.filter(({ statusCode }) => statusCode === 503);
    assert.ok(refused.length > 60, `${refused.length} refused`);
    assert.ok(refused.every(({ headers }) => headers.get("retry-after") === "5"));
    assert.equal(bob.userAgent.counters().refusedByLoad, refused.length);
    assert.equal(bob.userAgent.counters().sessions, 662 - refused.length);
    peer.responses.length = 0;
    peer.send(firstInvite, "10.0.0.2");
    await clock.advanceAsync(50);
    assert.equal(peer.responses.filter(({ callId }) => callId === "rush-1").length, 1);
    assert.ok(peer.responses.every(({ statusCode }) => statusCode < 200));
    // A transfer belongs to a call that is up.
    const carol = new Person("carol", "10.0.0.3", network, clock);
    await carol.userAgent.start();
    const { callId, localTag, remoteTag = "" } = call.snapshot();
    const replaces = { callId, toTag: remoteTag, fromTag: localTag };
    // The window is full when the transfer comes.
    for (let i = 0; i < 60; i++) peer.send(invite(), "10.0.0.2");
    await clock.advanceAsync(1);
    assert.ok(bob.userAgent.counters().refusedByLoad > refused.length);
    const taken = carol.userAgent.invite({ targets: [bob.uri], replaces });
    await clock.advanceAsync(10);
    void bob.calls.at(-1)?.accept();
    await clock.advanceAsync(100);
    assert.equal(taken.state, "established");
    void taken.end();
    await clock.advanceAsync(100);
    assert.equal(call.state, "terminated");
    assert.equal(bob.calls[0].state, "terminated");
    await endAll(clock, [alice, bob, carol]);
  });

  it("counts the answers that it had to send again", async () => {
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock);
    await bob.userAgent.start();
    bob.takeCalls((session) => void session.accept());
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    const headers = ["Contact: <sip:peer@10.0.0.9>"];
    peer.send(requestText({ method: "INVITE", headers }), "10.0.0.2");
    await clock.advanceAsync(4_000);
    // After 0.5, 1.5 and 3.5 s (RFC 3261 §13.3.1.4).
    assert.equal(bob.userAgent.counters().repeatedAnswers, 3);
    await endAll(clock, [bob]);
  });
});
