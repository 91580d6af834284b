/**
 * Whole calls between two user agents, with the n-th packet lost, doubled or refused by the network, for every n.
 * Requirements: each session ends exactly once with its last event and a documented cause; both sides agree that the
 * call is over; no session, dialog, timer or request is left; a single fault never spoils a call over UDP.
 */
import assert from "node:assert/strict";
import type { Session } from "../../../lib/session/index.js";
import { aliceAndBob, endAll, Person, type AliceAndBob } from "../../support/alice-and-bob.js";
import type { LoopFault } from "../../support/loop-network.js";
import { SeededRandom } from "../../support/seeded-random.js";
import { ManualClock } from "../../support/manual-clock.js";
import { LoopNetwork } from "../../support/loop-network.js";

/** Longer than every timer of a call: 64·T1 for the INVITE, and again for its BYE. */
const LONG_ENOUGH = 150_000;

/** A story that leads to the end of all its calls. */
interface Story {
  readonly name: string;
  play(stage: AliceAndBob, carol: Person): Promise<void>;
  /** How alice's call ends when nothing goes wrong for good. */
  readonly expected: RegExp;
}

function place(stage: AliceAndBob): Session {
  return stage.alice.userAgent.invite({ targets: [stage.bob.uri] });
}

/** What the application starts and does not wait for; a rejection would be a misuse. */
function start(promise: Promise<unknown>): void {
  promise.catch((error: unknown) => assert.fail(String(error)));
}

const stories: Story[] = [
  {
    name: "a call that the caller ends",
    expected: /^ended:local-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.progress()));
      const call = place(stage);
      await stage.pass(2000);
      for (const session of stage.bob.calls) start(session.accept());
      await stage.pass(40_000);
      start(call.end());
    },
  },
  {
    name: "a call that the callee ends before the ACK",
    expected: /^ended:remote-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => {
        start(session.accept());
        start(session.end());
      });
      place(stage);
      await stage.pass(40_000);
    },
  },
  {
    name: "a call that is cancelled while it rings",
    expected: /^failed:cancelled$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.progress()));
      const call = place(stage);
      await stage.pass(2000);
      start(call.end());
    },
  },
  {
    name: "a call that is cancelled as it is answered",
    expected: /^(failed:cancelled|ended:local-bye)$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.progress()));
      const call = place(stage);
      await stage.pass(2000);
      for (const session of stage.bob.calls) start(session.accept());
      start(call.end());
    },
  },
  {
    name: "a call that is refused",
    expected: /^failed:busy$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.reject()));
      place(stage);
      await stage.pass(2000);
    },
  },
  {
    name: "a call with the offer in the 200, ended by both at once",
    expected: /^ended:(local|remote)-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.accept()));
      const call = stage.alice.userAgent.invite({ targets: [stage.bob.uri], delayedOffer: true });
      await stage.pass(40_000);
      start(call.end());
      for (const session of stage.bob.calls) start(session.end());
    },
  },
  {
    name: "a call with digits and messages inside",
    expected: /^ended:remote-bye$/,
    async play(stage) {
      stage.bob.takeCalls((session) => start(session.accept()));
      const call = place(stage);
      await stage.pass(40_000);
      start(call.sendDigits({ digits: "1,#", method: "info-relay", gap: 50 }));
      start(call.request({ method: "OPTIONS" }));
      await stage.pass(80_000);
      for (const session of stage.bob.calls) start(session.end());
    },
  },
  {
    name: "a call that is transferred",
    expected: /^ended:transferred$/,
    async play(stage, carol) {
      carol.takeCalls((session) => {
        start(session.progress());
        start(session.accept());
      });
      stage.bob.takeCalls((session) => start(session.accept()));
      stage.bob.userAgent.requestPolicy = (name) => ({
        listened: name === "refer",
        holdMs: name === "refer" ? 500 : 0,
      });
      stage.bob.userAgent.on("sessionEvent", (_session, { pending }) => {
        if (pending !== undefined) start(pending.accept({ follow: true }));
      });
      const call = place(stage);
      await stage.pass(40_000);
      start(call.refer({ to: carol.uri }));
      await stage.pass(100_000);
      start(call.end());
      for (const session of carol.calls) start(session.end());
      for (const session of stage.bob.userAgent.sessions.values()) start(session.end());
    },
  },
];

const FAULTS: readonly (readonly [LoopFault, string])[] = [
  ["drop", "lost"],
  ["duplicate", "doubled"],
  ["fail", "refused by the network"],
  [700, "late"],
];

/** How each session of a person ended; fails when one ended twice, not at all, or not last. */
function endings(person: Person): string[] {
  const bySession = new Map<Session, string[]>();
  for (const [session, { name, snapshot }] of person.events) {
    const list = bySession.get(session) ?? [];
    bySession.set(session, list);
    const isEnd = name === "ended" || name === "failed";
    list.push(isEnd ? `${name}:${String(snapshot.cause)}` : name);
  }
  return [...bySession.values()].map((names) => {
    const ends = names.filter((name) => /^(ended|failed):/.test(name));
    assert.equal(ends.length, 1, `${person.name} heard ${names.join(" ")}`);
    assert.equal(names.at(-1), ends[0]);
    const answered = names.includes("answered");
    assert.equal(ends[0]?.startsWith("ended"), answered, names.join(" "));
    return ends[0] ?? "";
  });
}

async function stage(): Promise<{ readonly pair: AliceAndBob; readonly carol: Person }> {
  const pair = await aliceAndBob();
  const carol = new Person("carol", "10.0.0.3", pair.network, pair.clock);
  await carol.userAgent.start();
  return { pair, carol };
}

/** A request that the own network refuses is lost for good (RFC 3261 §17.1.4): the other side may know nothing. */
async function hangUpAll(pair: AliceAndBob, carol: Person): Promise<void> {
  for (const { userAgent } of [pair.alice, pair.bob, carol]) {
    for (const session of userAgent.sessions.values()) start(session.end());
  }
  await pair.pass(LONG_ENOUGH);
}

/** Plays a story with one fault. @returns the number of packets. */
async function play(story: Story, fault?: { n: number; what: LoopFault }): Promise<number> {
  const { pair, carol } = await stage();
  if (fault) pair.network.onPacket(fault.n, fault.what);
  await story.play(pair, carol);
  await pair.pass(LONG_ENOUGH);
  const isRefused = fault?.what === "fail";
  if (isRefused) await hangUpAll(pair, carol);
  for (const person of [pair.alice, pair.bob, carol]) {
    const kept = [...person.userAgent.sessions.values()].map(({ state }) => state);
    assert.deepEqual(kept, [], `${person.name} keeps a call:\n${pair.network.ladder().join("\n")}`);
  }
  const [ending] = endings(pair.alice);
  endings(pair.bob);
  endings(carol);
  if (!isRefused) assert.match(ending ?? "", story.expected, pair.network.ladder().join("\n"));
  const packets = pair.network.messages.length;
  await endAll(pair.clock, [pair.alice, pair.bob, carol]);
  return packets;
}

for (const story of stories) {
  describe(`${story.name}, over a network with a fault`, () => {
    for (const [what, title] of FAULTS) {
      it(`ends well whichever packet is ${title}`, async function () {
        this.timeout(60_000);
        const packets = await play(story);
        for (let n = 1; n <= Math.min(packets + 2, 30); n++) {
          try {
            await play(story, { n, what });
          } catch (error) {
            throw new Error(`with packet ${n} ${title}`, { cause: error });
          }
        }
      });
    }
  });
}

describe("many calls over a bad network", () => {
  for (const loss of [0.1, 0.2, 0.3]) {
    it(`with ${loss * 100} % loss both ways all end, nearly all well`, async function () {
      this.timeout(60_000);
      const clock = new ManualClock();
      const network = new LoopNetwork(clock, new SeededRandom(loss * 1000));
      network.loss = loss;
      network.duplicates = 0.05;
      network.delayMs = [0, 200];
      const alice = new Person("alice", "10.0.0.1", network, clock);
      const bob = new Person("bob", "10.0.0.2", network, clock);
      await alice.userAgent.start();
      await bob.userAgent.start();
      bob.takeCalls((session) => {
        start(session.progress());
        start(session.accept());
      });
      const calls = 60;
      for (let i = 0; i < calls; i++) {
        const call = alice.userAgent.invite({ targets: [bob.uri], timeoutMs: 0 });
        call.on("event", ({ name }) => {
          if (name === "confirmed") clock.setTimer(10_000, () => start(call.end()));
        });
        await clock.advanceAsync(100);
      }
      await clock.advanceAsync(200_000);
      const ends = endings(alice);
      endings(bob);
      assert.equal(ends.length, calls);
      const good = ends.filter((end) => end === "ended:local-bye").length;
      assert.ok(good >= calls * 0.98, `${good} of ${calls} calls went well`);
      assert.equal(alice.userAgent.sessions.size + bob.userAgent.sessions.size, 0);
      network.loss = 0;
      await endAll(clock, [alice, bob]);
    });
  }
});
