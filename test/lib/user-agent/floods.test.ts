/**
 * Floods from within `allow`, without a limit of requests per second: who forges INVITEs keeps nobody else from being served,
 * and nothing grows without limit. Who is outside of `allow`: strangers.test.ts; against a real Node-RED: test/e2e/flood.test.ts.
 */
import assert from "node:assert/strict";
import { SilencedSources } from "../../../lib/user-agent/silenced-sources.js";
import { UnfinishedCalls, type UnfinishedCall } from "../../../lib/user-agent/unfinished-calls.js";
import { endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

describe("unfinished calls of a source", () => {
  let clock: ManualClock;
  let calls: UnfinishedCalls;
  beforeEach(() => {
    clock = new ManualClock();
    calls = new UnfinishedCalls(clock);
  });

  /** As many calls as are admitted, up to `most`, each answered when asked for; then time passes. */
  function fill(address: string, most: number, isAnswered = false): UnfinishedCall[] {
    const taken: UnfinishedCall[] = [];
    while (taken.length < most && calls.admits(address) === "now") taken.push(calls.add(address));
    if (isAnswered) for (const call of taken) call.answered();
    clock.advance(1_000);
    return taken;
  }

  it("are limited when they are old: 300 that wait for an ACK, 600 in all", () => {
    assert.equal(fill("a", 600).length, 600);
    assert.equal(calls.admits("a"), "later");
    const [first] = fill("b", 300, true);
    assert.equal(calls.admits("b"), "later");
    first.closed();
    assert.equal(calls.admits("b"), "now");
    assert.equal(calls.size, 899);
  });

  it("are refused in words only when there are too many for two seconds", () => {
    fill("a", 600);
    assert.equal(calls.admits("a"), "later");
    clock.advance(1_999);
    assert.equal(calls.admits("a"), "later");
    clock.advance(1);
    assert.equal(calls.admits("a"), "never");
  });

  it("may be many while they are young, as a burst is", () => {
    for (let i = 0; i < 1_900; i++) calls.add("a").answered();
    assert.equal(calls.admits("a"), "now");
    clock.advance(299);
    assert.equal(calls.admits("a"), "now");
    clock.advance(1);
    assert.equal(calls.admits("a"), "later");
  });

  it("may be more for those who confirm what they begin", () => {
    for (let i = 0; i < 1_000; i++) {
      const call = calls.add("a");
      call.answered();
      call.confirmed();
    }
    assert.equal(calls.size, 0);
    fill("a", 1_000, true);
    assert.equal(fill("a", 5_000, true).length, 600);
    assert.equal(calls.admits("a"), "later");
  });

  it("count once, however often their end is told", () => {
    const call = calls.add("a");
    for (let i = 0; i < 3; i++) {
      call.answered();
      call.confirmed();
      call.closed();
      call.answered();
    }
    assert.equal(calls.size, 0);
    fill("a", 300, true);
    assert.equal(calls.admits("a"), "now", "one confirmed call is worth one more");
    fill("a", 1, true);
    assert.equal(calls.admits("a"), "later");
  });

  it("of forged addresses are shared out, then refused, and those who are known still come in", () => {
    calls.add("known").confirmed();
    for (let i = 0; i < 20_000; i++) {
      clock.advance(1);
      if (calls.admits(`forged ${i}`) === "now") calls.add(`forged ${i}`).answered();
    }
    assert.ok(calls.size <= 1_210, `${calls.size}`);
    assert.equal(calls.admits("unknown"), "later");
    assert.equal(fill("known", 90, true).length, 90);
  });
});

describe("silenced sources", () => {
  const invite = Buffer.from(requestText({ method: "INVITE" }));
  const options = Buffer.from(requestText({ method: "OPTIONS" }));
  const bye = Buffer.from(requestText({ method: "BYE", to: "<sip:bob@10.0.0.2>;tag=b" }));

  it("are not read for their time, but for what belongs to a call", () => {
    const clock = new ManualClock();
    const sources = new SilencedSources(clock);
    sources.add("a", 500, "gate");
    assert.deepEqual(
      [invite, options, bye].map((data) => sources.silences("a", data)),
      ["gate", "gate", undefined],
    );
    assert.equal(sources.silences("b", invite), undefined);
    clock.advance(500);
    assert.equal(sources.silences("a", invite), undefined);
    assert.ok(sources.isEmpty);
  });

  it("for want of room lose their calls only", () => {
    const sources = new SilencedSources(new ManualClock());
    sources.add("a", 10, "room");
    sources.add("b", 0, "room");
    assert.deepEqual(
      [invite, options, bye, Buffer.from("IN")].map((data) => sources.silences("a", data)),
      ["room", undefined, undefined, undefined],
    );
    assert.equal(sources.silences("b", invite), undefined);
  });

  it("are remembered up to a limit, the latest of them", () => {
    const sources = new SilencedSources(new ManualClock());
    for (let i = 0; i < 20_000; i++) sources.add(`${i}`, 1_000, "rate");
    assert.equal(sources.size, 4_096);
    assert.equal(sources.silences("19999", invite), "rate");
  });
});

describe("a flood of INVITEs", () => {
  const OFFER = [
    "v=0",
    "o=peer 1 1 IN IP4 10.0.0.9",
    "s=-",
    "c=IN IP4 10.0.0.9",
    "t=0 0",
    "m=audio 4000 RTP/AVP 0",
    "",
  ].join("\r\n");

  const invite = () =>
    requestText({
      method: "INVITE",
      headers: ["Contact: <sip:peer@10.0.0.9>", "Content-Type: application/sdp"],
      body: OFFER,
    });

  async function setUp(options: PersonOptions = {}) {
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock, options);
    const alice = new Person("alice", "10.0.0.1", network, clock);
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    for (const person of [alice, bob]) await person.userAgent.start();
    const flood = async (count: number) => {
      for (let i = 0; i < count; i++) {
        peer.send(invite(), "10.0.0.2");
        if (i % 10 === 9) await clock.advanceAsync(5);
        if (i % 500 === 0) network.clearLog();
      }
    };
    const end = async () => {
      await clock.advanceAsync(80_000);
      const { sessions, serverTransactions, lingering } = bob.userAgent.counters();
      assert.deepEqual([sessions, serverTransactions, lingering], [0, 0, 0]);
      await endAll(clock, [alice, bob]);
    };
    return { clock, network, bob, alice, peer, flood, end };
  }

  for (const way of ["answers", "lets ring"] as const) {
    it(`at a callee that ${way} all of them: calls of others come in, and the flood is mostly not even read`, async function () {
      this.timeout(30_000);
      const { clock, bob, alice, peer, flood, end } = await setUp();
      bob.takeCalls((session) => void (way === "answers" ? session.accept() : session.progress()));
      await flood(8_000);
      const { sessions = 0, dropped = 0 } = bob.userAgent.counters();
      assert.ok(sessions <= (way === "answers" ? 620 : 2_020), `${sessions} sessions`);
      assert.ok(dropped > 1_500, `${dropped} dropped unread`);
      bob.takeCalls((session) => void session.accept());
      const call = alice.userAgent.invite({ targets: [bob.uri] });
      peer.responses.length = 0;
      peer.send(requestText({ method: "OPTIONS" }), "10.0.0.2");
      await clock.advanceAsync(100);
      assert.equal(call.state, "established");
      assert.ok(peer.statuses().includes(200), "the flood's own address is answered otherwise");
      void call.end();
      if (way === "lets ring") for (const one of bob.calls) void one.end();
      await end();
    });
  }

  it("above `maxSessions` is told 503 a hundred times a second, once each, then nothing", async function () {
    this.timeout(30_000);
    const { bob, clock, peer, flood, end } = await setUp({ maxSessions: 1 });
    bob.takeCalls();
    await flood(2_000);
    const refused = peer.statuses().filter((status) => status === 503).length;
    assert.ok(refused >= 100 && refused <= 250, `${refused} refusals`);
    await clock.advanceAsync(60_000);
    assert.equal(peer.statuses().filter((status) => status === 503).length, refused);
    for (const call of bob.calls) void call.end();
    await end();
  });
});
