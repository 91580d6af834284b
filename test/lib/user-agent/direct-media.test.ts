/**
 * Media that flows directly between the peers of two calls (RFC 3725), between real user agents: bob is in the middle.
 * Hard cases first: each side refuses, hangs up in the middle, changes at the same time; then holds and goes back.
 */
import assert from "node:assert/strict";
import { InvalidArgumentError, InvalidStateError } from "../../../lib/foundation/index.js";
import type { Session } from "../../../lib/session/index.js";
import { endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";

const REFUSES = { allow: ["0.0.0.0/0"] };

async function threePeople(options: { bob?: PersonOptions } = {}) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock, REFUSES);
  const bob = new Person("bob", "10.0.0.2", network, clock, options.bob);
  const carol = new Person("carol", "10.0.0.3", network, clock, REFUSES);
  const people = [alice, bob, carol];
  for (const person of people) {
    await person.userAgent.start();
    person.takeCalls((session) => void session.accept());
  }
  const pass = (ms: number) => clock.advanceAsync(ms);
  const toAlice = bob.userAgent.invite({ targets: [alice.uri] });
  const toCarol = bob.userAgent.invite({ targets: [carol.uri] });
  await pass(100);
  const [atAlice] = alice.calls;
  const [atCarol] = carol.calls;
  return {
    clock,
    network,
    alice,
    bob,
    carol,
    pass,
    toAlice,
    toCarol,
    atAlice,
    atCarol,
    end: () => endAll(clock, people),
  };
}

/** Where a peer sends its media, and which way it flows there. */
const target = (session: Session): string => {
  const [stream] = session.snapshot().media ?? [];
  return stream === undefined ? "nowhere" : `${stream.address} ${stream.direction}`;
};

/** Refuses the next re-INVITE. */
function refuseNext(person: Person, statusCode: number): void {
  const before = person.userAgent.requestPolicy;
  person.userAgent.requestPolicy = () => ({ listened: true, holdMs: 1000 });
  const off = person.userAgent.on("sessionEvent", (_session, event) => {
    if (event.name !== "reinvite") return;
    off();
    person.userAgent.requestPolicy = before;
    void event.pending?.reject({ statusCode });
  });
}

describe("media directly between two calls", () => {
  it("flows from each peer to the other, and comes back", async () => {
    const { bob, pass, toAlice, toCarol, atAlice, atCarol, end } = await threePeople();
    const direct = toAlice.direct(toCarol);
    const started = direct.start();
    await pass(500);
    assert.equal((await started).ok, true);
    assert.equal(target(atAlice), "10.0.0.3 sendrecv");
    assert.equal(target(atCarol), "10.0.0.1 sendrecv");
    assert.deepEqual([toAlice.signaling, toCarol.signaling], ["stable", "stable"]);
    const stopped = direct.stop();
    await pass(500);
    await stopped;
    assert.equal(target(atAlice), "10.0.0.2 sendrecv");
    assert.equal(target(atCarol), "10.0.0.2 sendrecv");
    assert.deepEqual([toAlice.state, toCarol.state], ["established", "established"]);
    assert.deepEqual(bob.errors, []);
    await end();
  });

  it("keeps one origin towards each peer, whose version grows (RFC 3264 §8)", async () => {
    const { pass, toAlice, toCarol, atAlice, atCarol, end } = await threePeople();
    const origins: string[][] = [[], []];
    const note = (): void => {
      for (const [index, session] of [atAlice, atCarol].entries()) {
        const line = /^o=.*$/m.exec(session.mediaSession?.remoteSdp ?? "")?.[0] ?? "";
        origins[index].push(line.trim());
      }
    };
    note();
    const direct = toAlice.direct(toCarol);
    void direct.start();
    await pass(500);
    note();
    void direct.stop();
    await pass(500);
    note();
    for (const lines of origins) {
      const fields = lines.map((line) => line.split(" "));
      assert.equal(new Set(fields.map(([, id]) => id)).size, 1, lines.join(" | "));
      const versions = fields.map(([, , version]) => BigInt(version));
      assert.deepEqual(versions, [versions[0], versions[0] + 1n, versions[0] + 2n]);
    }
    await end();
  });

  it("passes a hold on, and its end", async () => {
    const { bob, pass, toAlice, toCarol, atAlice, atCarol, end } = await threePeople();
    void toAlice.direct(toCarol).start();
    await pass(500);
    const held = atAlice.reinvite({ action: "hold" });
    await pass(500);
    assert.equal((await held).ok, true);
    assert.equal(atCarol.snapshot().hold, "remote");
    assert.equal(target(atCarol), "10.0.0.1 recvonly");
    assert.equal(toAlice.snapshot().hold, "remote");
    const resumed = atAlice.reinvite({ action: "resume" });
    await pass(500);
    assert.equal((await resumed).ok, true);
    assert.equal(target(atCarol), "10.0.0.1 sendrecv");
    assert.equal(target(atAlice), "10.0.0.3 sendrecv");
    // A sign of life needs nobody else.
    const before = bob.heard(toCarol).length;
    const refreshed = atAlice.reinvite({ action: "refresh" });
    await pass(500);
    assert.equal((await refreshed).ok, true);
    assert.equal(bob.heard(toCarol).length, before);
    await end();
  });

  it("gives a change that the other side refuses back to who asked for it", async () => {
    const { carol, pass, toAlice, toCarol, atAlice, atCarol, end } = await threePeople();
    void toAlice.direct(toCarol).start();
    await pass(500);
    refuseNext(carol, 403);
    const held = atAlice.reinvite({ action: "hold" });
    await pass(2000);
    const outcome = await held;
    assert.deepEqual([outcome.ok, outcome.statusCode], [false, 403]);
    assert.equal(target(atAlice), "10.0.0.3 sendrecv");
    assert.equal(target(atCarol), "10.0.0.1 sendrecv");
    await end();
  });

  it("survives that both sides change at once: one waits for the other", async () => {
    const { pass, toAlice, toCarol, atAlice, atCarol, end } = await threePeople();
    void toAlice.direct(toCarol).start();
    await pass(500);
    const changes = [atAlice.reinvite({ action: "hold" }), atCarol.reinvite({ action: "hold" })];
    await pass(30_000);
    // The one whose patience ends before the other's change is through is told 491, and asks again.
    const outcomes = await Promise.all(changes);
    assert.ok(outcomes.some(({ ok }) => ok));
    for (const [place, { ok, statusCode }] of outcomes.entries()) {
      if (ok) continue;
      assert.equal(statusCode, 491);
      const again = [atAlice, atCarol][place].reinvite({ action: "hold" });
      await pass(1000);
      assert.equal((await again).ok, true);
    }
    assert.equal(atAlice.snapshot().hold, "both");
    assert.equal(atCarol.snapshot().hold, "both");
    await end();
  });

  for (const who of ["alice", "carol"] as const) {
    it(`stays here when ${who} refuses`, async () => {
      const people = await threePeople();
      const { pass, toAlice, toCarol, atAlice, atCarol, end } = people;
      refuseNext(people[who], 488);
      const started = toAlice.direct(toCarol).start();
      await pass(2000);
      const outcome = await started;
      assert.deepEqual([outcome.ok, outcome.statusCode], [false, 488]);
      assert.equal(target(atAlice), "10.0.0.2 sendrecv");
      assert.equal(target(atCarol), "10.0.0.2 sendrecv");
      assert.deepEqual([toAlice.state, toCarol.state], ["established", "established"]);
      await end();
    });
  }

  for (const [name, ends] of [
    ["the first", 0],
    ["the second", 1],
  ] as const) {
    for (const after of [0, 1, 2, 5, 10, 20, 40]) {
      it(`leaves the other call with sound when ${name} hangs up after ${after} ms`, async () => {
        const { pass, toAlice, toCarol, atAlice, atCarol, end } = await threePeople();
        const direct = toAlice.direct(toCarol);
        const started = direct.start();
        await pass(after);
        void [atAlice, atCarol][ends].end();
        await pass(500);
        await started;
        void direct.stop();
        await pass(5000);
        const [left, seen] = ends === 0 ? [toCarol, atCarol] : [toAlice, atAlice];
        assert.equal(left.state, "established");
        assert.equal(target(seen), "10.0.0.2 sendrecv");
        await end();
      });
    }
  }

  it("comes back when it is stopped while it is being begun", async () => {
    for (const after of [0, 1, 3, 6, 12, 25]) {
      const { pass, toAlice, toCarol, atAlice, atCarol, end } = await threePeople();
      const direct = toAlice.direct(toCarol);
      const started = direct.start();
      await pass(after);
      const stopped = direct.stop();
      await pass(5000);
      await Promise.all([started, stopped]);
      assert.equal(target(atAlice), "10.0.0.2 sendrecv", `after ${after} ms`);
      assert.equal(target(atCarol), "10.0.0.2 sendrecv", `after ${after} ms`);
      await end();
    }
  });

  it("leaves no call without sound when it is stopped while a side refuses or hangs up", async () => {
    for (const trouble of ["alice refuses", "carol refuses", "alice hangs up", "carol hangs up"]) {
      const people = await threePeople();
      const { pass, toAlice, toCarol, atAlice, atCarol, end } = people;
      const [who] = trouble.split(" ") as ["alice" | "carol"];
      if (trouble.endsWith("refuses")) refuseNext(people[who], 488);
      const direct = toAlice.direct(toCarol);
      const started = direct.start();
      await pass(1);
      const stopped = direct.stop();
      if (trouble.endsWith("hangs up")) void (who === "alice" ? atAlice : atCarol).end();
      await pass(6000);
      assert.equal((await started).ok, false);
      await stopped;
      await direct.stop();
      for (const session of [atAlice, atCarol]) {
        if (session.state === "established")
          assert.equal(target(session), "10.0.0.2 sendrecv", trouble);
      }
      await end();
    }
  });

  it("gives the first our own answer when the second takes its time, and the second its sound back", async () => {
    const { carol, pass, toAlice, toCarol, atAlice, atCarol, end } = await threePeople();
    carol.userAgent.requestPolicy = () => ({ listened: true, holdMs: 15_000 });
    const started = toAlice.direct(toCarol).start();
    await pass(12_000);
    assert.equal(target(atAlice), "10.0.0.2 sendrecv");
    assert.equal(toAlice.signaling, "stable");
    await pass(25_000);
    assert.equal((await started).ok, false);
    assert.equal(target(atCarol), "10.0.0.2 sendrecv");
    assert.equal(target(atAlice), "10.0.0.2 sendrecv");
    await end();
  });

  it("is joined without media of ours, by what the flow described before", async () => {
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const alice = new Person("alice", "10.0.0.1", network, clock);
    const bob = new Person("bob", "10.0.0.2", network, clock, { media: false });
    const carol = new Person("carol", "10.0.0.3", network, clock);
    for (const person of [alice, bob, carol]) {
      await person.userAgent.start();
      person.takeCalls((session) => void session.accept());
    }
    const sdp =
      "v=0\r\no=- 7 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n";
    const toAlice = bob.userAgent.invite({ targets: [alice.uri], sdp });
    const toCarol = bob.userAgent.invite({ targets: [carol.uri], sdp });
    await clock.advanceAsync(200);
    const direct = toAlice.direct(toCarol);
    const started = direct.start();
    await clock.advanceAsync(500);
    assert.equal((await started).ok, true);
    assert.equal(target(alice.calls[0]), "10.0.0.3 sendrecv");
    void direct.stop();
    await clock.advanceAsync(500);
    assert.equal(target(alice.calls[0]), "10.0.0.9 sendrecv");
    assert.equal(target(carol.calls[0]), "10.0.0.9 sendrecv");
    await endAll(clock, [alice, bob, carol]);
  });

  it("needs two calls that are up", async () => {
    const { bob, alice, pass, toAlice, end } = await threePeople();
    assert.throws(() => toAlice.direct(toAlice), InvalidArgumentError);
    alice.takeCalls();
    const ringing = bob.userAgent.invite({ targets: [alice.uri] });
    await pass(100);
    assert.throws(() => toAlice.direct(ringing), InvalidStateError);
    await end();
  });
});
