/**
 * Calls over a network that loses, delays, doubles and reorders datagrams, both ways. RFC 3261's timers allow for about
 * q⁷ + 2·q¹¹ failures, where q is the chance that a message or its answer is lost: 0.001 %, 0.08 % and 1 % at 10, 20 and
 * 30 % loss. Whatever happens, nothing is left 64·T1 later.
 */
import assert from "node:assert/strict";
import { aliceAndBob } from "../../support/alice-and-bob.js";
import type { Session } from "../../../lib/session/index.js";

const CALLS = 1_000;
/** Calls that begin in one second. */
const RATE = 20;

interface Outcome {
  /** Answered, confirmed on both sides, and ended by the caller's BYE on both. */
  readonly complete: number;
  readonly causes: Readonly<Record<string, number>>;
}

async function storm(loss: number): Promise<Outcome> {
  const { clock, network, alice, bob, pass, end } = await aliceAndBob({
    bob: { maxRequestsPerSecond: 0 },
  });
  network.loss = loss;
  network.duplicates = 0.05;
  network.delayMs = [0, 200];
  bob.takeCalls((session) => {
    clock.setTimer(500, () => void session.accept());
  });
  const ends = new Map<string, string>();
  const causes: Record<string, number> = {};
  bob.userAgent.on("sessionEvent", (_session, { name, snapshot }) => {
    if (name === "ended" || name === "failed")
      ends.set(snapshot.callId, `${name}:${snapshot.cause}`);
  });
  let complete = 0;
  alice.userAgent.on("sessionEvent", (session: Session, { name, snapshot }) => {
    if (name === "confirmed") clock.setTimer(3_000, () => void session.end());
    if (name !== "ended" && name !== "failed") return;
    const key = `${name}:${snapshot.cause}`;
    causes[key] = (causes[key] ?? 0) + 1;
  });
  const placed: Session[] = [];
  for (let i = 0; i < CALLS; i++) {
    placed.push(alice.userAgent.invite({ targets: [bob.uri] }));
    await pass(1_000 / RATE);
    if (i % 50 === 0) {
      network.clearLog();
      for (const person of [alice, bob]) person.events.length = person.stackEvents.length = 0;
    }
  }
  // Setting up takes 32 s at most, talking 3 s, and a BYE 32 s.
  await pass(80_000);
  assert.equal(alice.userAgent.sessions.size, 0, "the caller has calls left");
  assert.equal(bob.userAgent.sessions.size, 0, "the callee has calls left");
  for (const session of placed) {
    const { cause, callId } = session.snapshot();
    if (cause === "local-bye" && ends.get(callId) === "ended:remote-bye") complete++;
  }
  network.loss = 0;
  await pass(40_000);
  await end();
  return { complete, causes };
}

describe("1,000 calls over a network that loses datagrams both ways", () => {
  for (const [loss, least] of [
    [0.1, 999],
    [0.2, 997],
    [0.3, 980],
  ] as const) {
    it(`at ${loss * 100} % loss: at least ${least} are complete, none is left hanging`, async function () {
      this.timeout(120_000);
      const { complete, causes } = await storm(loss);
      assert.ok(
        complete >= least,
        `${complete} complete; the caller's ends: ${JSON.stringify(causes)}`,
      );
    });
  }
});
