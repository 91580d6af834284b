/**
 * Media of two calls that flows through a relay which every description passes: between real user agents, bob is in the
 * middle and the relay writes its own address into what it passes on. Hard cases first: it refuses, it is lost, a side
 * refuses then, everything ends in the middle of it.
 */
import assert from "node:assert/strict";
import { MediaError } from "../../../lib/foundation/index.js";
import type { DescriptionPath, Place } from "../../../lib/session/direct-media.js";
import type { Session } from "../../../lib/session/index.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";

const REFUSES = { allow: ["0.0.0.0/0"] };

class FakeRelay implements DescriptionPath {
  readonly said: string[] = [];
  address = "10.9.9.1";
  fails: "offer" | "answer" | undefined;
  ends = 0;
  offer(from: Place, sdp: string): Promise<string> {
    return this.#pass("offer", from, sdp);
  }
  answer(from: Place, sdp: string): Promise<string> {
    return this.#pass("answer", from, sdp);
  }
  refused(): void {
    this.said.push("refused");
  }
  end(): void {
    this.ends++;
  }
  statistics(): Promise<{
    packetsSent: number;
    packetsReceived: number;
    packetsLost: number;
    jitter: number;
  }> {
    return Promise.resolve({ packetsSent: 100, packetsReceived: 200, packetsLost: 3, jitter: 4 });
  }
  #pass(what: "offer" | "answer", from: Place, sdp: string): Promise<string> {
    this.said.push(`${what} ${from}`);
    if (this.fails === what) return Promise.reject(new MediaError("no engine"));
    return Promise.resolve(sdp.replace(/^c=IN IP4 .*$/m, `c=IN IP4 ${this.address}`));
  }
}

async function threePeople() {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock, REFUSES);
  const bob = new Person("bob", "10.0.0.2", network, clock);
  const carol = new Person("carol", "10.0.0.3", network, clock, REFUSES);
  for (const person of [alice, bob, carol]) {
    await person.userAgent.start();
    person.takeCalls((session) => void session.accept());
  }
  const pass = (ms: number) => clock.advanceAsync(ms);
  const toAlice = bob.userAgent.invite({ targets: [alice.uri] });
  const toCarol = bob.userAgent.invite({ targets: [carol.uri] });
  await pass(100);
  const relay = new FakeRelay();
  const direct = toAlice.direct(toCarol, relay);
  return {
    people: { alice, carol },
    bob,
    pass,
    relay,
    direct,
    toAlice,
    toCarol,
    seen: [alice.calls[0], carol.calls[0]] as const,
    end: () => endAll(clock, [alice, bob, carol]),
  };
}

const targets = (sessions: readonly Session[]): string[] =>
  sessions.map((session) => session.snapshot().media?.[0]?.address ?? "nowhere");
const HERE = ["10.0.0.2", "10.0.0.2"];
const RELAYED = ["10.9.9.1", "10.9.9.1"];

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

describe("media through a relay between two calls", () => {
  it("flows there, comes back, and what was counted there is told at the end", async () => {
    const { bob, pass, relay, direct, toAlice, seen, end } = await threePeople();
    const started = direct.start();
    await pass(500);
    assert.equal((await started).ok, true);
    assert.deepEqual(targets(seen), RELAYED);
    assert.deepEqual(relay.said, ["offer 0", "answer 1"]);
    void direct.stop();
    await pass(500);
    assert.deepEqual(targets(seen), HERE);
    assert.equal(relay.ends, 1);
    void seen[0].end();
    await pass(500);
    const statistics = await toAlice.mediaStatistics;
    assert.deepEqual([statistics?.packetsReceived, statistics?.packetsLost], [200, 3]);
    assert.deepEqual(bob.errors, []);
    await end();
  });

  it("passes changes of either side on, and takes a refused one back", async () => {
    const { people, pass, relay, direct, seen, end } = await threePeople();
    void direct.start();
    await pass(500);
    const held = seen[1].reinvite({ action: "hold" });
    await pass(500);
    assert.equal((await held).ok, true);
    assert.equal(seen[0].snapshot().hold, "remote");
    assert.deepEqual(relay.said.slice(2), ["offer 1", "answer 0"]);
    refuseNext(people.alice, 403);
    const resumed = seen[1].reinvite({ action: "resume" });
    await pass(2000);
    assert.deepEqual([(await resumed).ok, (await resumed).statusCode], [false, 403]);
    assert.deepEqual(relay.said.slice(4), ["offer 1", "refused"]);
    relay.fails = "offer";
    const again = seen[1].reinvite({ action: "resume" });
    await pass(2000);
    assert.deepEqual([(await again).ok, (await again).statusCode], [false, 500]);
    assert.deepEqual(targets(seen), RELAYED);
    await end();
  });

  for (const fails of ["offer", "answer"] as const) {
    it(`stays here when the relay does not take the ${fails}`, async () => {
      const { pass, relay, direct, toAlice, seen, end } = await threePeople();
      relay.fails = fails;
      const started = direct.start();
      await pass(2000);
      const outcome = await started;
      assert.deepEqual([outcome.ok, outcome.reason], [false, "no engine"]);
      assert.deepEqual(targets(seen), HERE);
      assert.equal(toAlice.signaling, "stable");
      assert.ok(relay.ends > 0);
      await end();
    });
  }

  it("moves to another relay when its own is lost, and only then", async () => {
    const { pass, relay, direct, seen, end } = await threePeople();
    const started = direct.start();
    assert.equal((await direct.again()).ok, false);
    await pass(500);
    await started;
    relay.address = "10.9.9.2";
    const moved = direct.again();
    // Whoever changes something meanwhile is told to come again.
    await pass(500);
    assert.equal((await moved).ok, true);
    assert.deepEqual(targets(seen), ["10.9.9.2", "10.9.9.2"]);
    assert.equal(relay.ends, 0);
    await end();
  });

  for (const trouble of ["no relay", "no relay for the answer", "alice refuses", "carol refuses"]) {
    it(`comes back when the relay is lost and ${trouble}`, async () => {
      const { people, pass, relay, direct, seen, end } = await threePeople();
      void direct.start();
      await pass(500);
      if (trouble.startsWith("no relay"))
        relay.fails = trouble.endsWith("answer") ? "answer" : "offer";
      else refuseNext(people[trouble.startsWith("alice") ? "alice" : "carol"], 488);
      const moved = direct.again();
      await pass(5000);
      assert.equal((await moved).ok, false);
      assert.deepEqual(targets(seen), HERE);
      assert.ok(relay.ends > 0);
      await end();
    });
  }

  it("comes back when it is stopped while it moves, whatever the peers and the relay say", async () => {
    for (const trouble of ["none", "offer", "answer"] as const) {
      for (const after of [0, 3, 12]) {
        const { pass, relay, direct, seen, end } = await threePeople();
        void direct.start();
        await pass(500);
        if (trouble !== "none") relay.fails = trouble;
        const moved = direct.again();
        await pass(after);
        const stopped = direct.stop();
        await pass(5000);
        await Promise.all([moved, stopped]);
        assert.deepEqual(targets(seen), HERE, `${trouble} ${after} ms`);
        assert.ok(relay.ends > 0);
        await end();
      }
    }
  });

  it("ends at the relay when a call ends in any moment", async () => {
    for (const after of [0, 1, 2, 5, 10, 20, 40, 500]) {
      const { pass, relay, direct, toCarol, seen, end } = await threePeople();
      const started = direct.start();
      await pass(after);
      void seen[0].end();
      await pass(500);
      await started;
      void direct.stop();
      await pass(5000);
      assert.ok(relay.ends > 0, `after ${after} ms`);
      assert.equal(toCarol.state, "established");
      assert.equal(targets(seen)[1], "10.0.0.2");
      await end();
    }
  });
});
