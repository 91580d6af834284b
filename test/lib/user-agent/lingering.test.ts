/**
 * What is left in memory of calls that are over while their transactions still wait for repetitions (64·T1): not the sessions.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Session } from "../../../lib/session/index.js";
import { aliceAndBob, type AliceAndBob } from "../../support/alice-and-bob.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Ends a call in some way. */
type Way = (stage: AliceAndBob, call: Session) => Promise<void>;

const ways: Readonly<Record<string, Way>> = {
  "ended by the caller": async ({ pass }, call) => {
    await pass(1_000);
    void call.end();
    await pass(1_000);
  },
  "ended by the called one": async ({ bob, pass }) => {
    await pass(1_000);
    void bob.calls.at(-1)?.end();
    await pass(1_000);
  },
  "held and resumed before": async ({ pass }, call) => {
    await pass(1_000);
    for (const action of ["hold", "resume"] as const) {
      void call.reinvite({ action });
      await pass(1_000);
    }
    void call.end();
    await pass(1_000);
  },
};

/** In a function of its own, so that no frame keeps what it makes. */
async function calls(stage: AliceAndBob, way: Way): Promise<WeakRef<Session>[]> {
  const { alice, bob } = stage;
  const weak: WeakRef<Session>[] = [];
  for (let i = 0; i < 5; i++) {
    const call = alice.userAgent.invite({ targets: [bob.uri] });
    await way(stage, call);
    assert.equal(call.state, "terminated");
    weak.push(new WeakRef(call), ...bob.calls.map((session) => new WeakRef(session)));
    bob.calls.length = 0;
    for (const person of [alice, bob]) person.events.length = person.stackEvents.length = 0;
  }
  return weak;
}

describe("calls that are over", () => {
  for (const [name, way] of Object.entries(ways)) {
    it(`are forgotten while their transactions linger: ${name}`, async () => {
      const stage = await aliceAndBob();
      stage.bob.takeCalls((session) => void session.accept());
      const weak = await calls(stage, way);
      // Repetitions of in-dialog requests are absorbed for 5 s, those of the INVITE for 32 s.
      await stage.pass(1_000);
      await new Promise((resolve) => setImmediate(resolve));
      collect();
      assert.ok((stage.alice.userAgent.counters().clientTransactions ?? 0) >= 5, "INVITEs linger");
      const kept = weak.filter((one) => one.deref() !== undefined).length;
      assert.ok(kept <= 1, `${kept} of ${weak.length} sessions are kept`);
      await stage.pass(40_000);
      await stage.end();
    });
  }
});
