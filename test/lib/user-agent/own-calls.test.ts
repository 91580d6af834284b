/**
 * Calls that one user agent places through a proxy and that come back to itself (RFC 3261 §8.2.2.2). Requirements:
 *  1. Two accounts of one user agent call each other; a call that returns to its own account is a loop, 482.
 *  2. A call that takes the place of another of ours is none, whatever accounts both have: attended transfer where the
 *     transferee and the target are calls of this user agent.
 *  3. Calls that are placed for others, and come back by whatever way, end when the hops are used up (RFC 7332).
 */
import assert from "node:assert/strict";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";

const PROXY = "10.0.0.9";

/** A user agent with two accounts behind a proxy that sends every request back to it. */
async function setUp() {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const bob = new Person("bob", "10.0.0.2", network, clock);
  const carol = new Person("carol", "10.0.0.3", network, clock);
  for (const person of [bob, carol]) {
    await person.userAgent.start();
    person.takeCalls((session) => void session.accept());
  }
  for (const user of ["bob", "desk"]) {
    bob.userAgent.addAccount({
      id: user,
      uri: `sip:${user}@${PROXY}`,
      registrar: `sip:${PROXY}`,
      register: false,
    });
  }
  let count = 0;
  const endpoint = network.endpoint({ name: "proxy", address: PROXY });
  const forward = (text: string): void =>
    endpoint.datagramFlow("10.0.0.2", 5060).send(Buffer.from(text));
  await endpoint.start({
    onMessage: () => undefined,
    onMalformed: () => undefined,
    onConnectionState: () => undefined,
  });
  // What it reads is sent on as it is, but for the Via line on top.
  const raw = endpoint.receive.bind(endpoint);
  endpoint.receive = (bytes, flow) => {
    raw(bytes, flow);
    const text = bytes.toString();
    const isResponse = text.startsWith("SIP/2.0");
    const via = `Via: SIP/2.0/UDP ${PROXY}:5060;branch=z9hG4bKproxy${++count}\r\n`;
    const afterStart = text.indexOf("\r\n") + 2;
    if (!isResponse) forward(text.slice(0, afterStart) + via + text.slice(afterStart));
    else forward(text.replace(/^Via: [^\r]*\r\n/im, ""));
  };
  const pass = (ms: number): Promise<void> => clock.advanceAsync(ms);
  return { bob, carol, pass, end: () => endAll(clock, [bob, carol]) };
}

describe("a call to ourselves", () => {
  it("from one account to another is taken", async () => {
    const { bob, pass, end } = await setUp();
    const call = bob.userAgent.invite({ account: "bob", targets: [`sip:desk@${PROXY}`] });
    await pass(200);
    const [taken] = bob.calls;
    assert.equal(taken.accountId, "desk");
    assert.deepEqual([call.state, taken.state], ["established", "established"]);
    assert.notEqual(call.id, taken.id);
    await Promise.all([call.end(), pass(200)]);
    assert.equal(taken.snapshot().cause, "remote-bye");
    await end();
  });

  it("from an account to itself is a loop", async () => {
    const { bob, pass, end } = await setUp();
    const call = bob.userAgent.invite({ account: "bob", targets: [`sip:bob@${PROXY}`] });
    await pass(200);
    assert.equal(bob.last("failed").statusCode, 482);
    assert.equal(call.state, "terminated");
    assert.equal(bob.calls.length, 0);
    await end();
  });

  for (const account of ["bob", "desk"]) {
    it(`takes the place of another call, by REFER in a call of the account ${account}`, async () => {
      const { bob, carol, pass, end } = await setUp();
      bob.userAgent.requestPolicy = (name) => ({ listened: name === "refer", holdMs: 1_000 });
      bob.userAgent.on("sessionEvent", (_session, event) => {
        if (event.name === "refer") void event.pending?.accept({ follow: true });
      });
      // Carol has both of our calls, and puts them together.
      const first = bob.userAgent.invite({ account, targets: [carol.uri] });
      const second = bob.userAgent.invite({ account: "bob", targets: [carol.uri] });
      await pass(200);
      const [theirFirst, theirSecond] = carol.calls;
      const { callId, localTag, remoteTag = "" } = theirSecond.snapshot();
      const replaces = encodeURIComponent(`${callId};to-tag=${remoteTag};from-tag=${localTag}`);
      const transferred = theirFirst.refer({ to: `<sip:bob@${PROXY}?Replaces=${replaces}>` });
      await pass(500);
      assert.equal((await transferred).ok, true);
      await pass(500);
      const [fresh] = bob.calls;
      assert.equal(fresh.snapshot().replaces, second.id);
      assert.equal(fresh.state, "established");
      assert.equal(second.snapshot().cause, "replaced");
      assert.equal(first.snapshot().cause, "remote-bye");
      await end();
    });
  }

  it("that is forwarded in a circle, between two or to itself, ends when no hop is left", async () => {
    for (const isDirect of [true, false]) {
      const clock = new ManualClock();
      const network = new LoopNetwork(clock);
      const bob = new Person("bob", "10.0.0.2", network, clock);
      const carol = new Person("carol", "10.0.0.3", network, clock);
      const forward = (from: Person, to: Person): void =>
        from.takeCalls((session) => {
          const onward = from.userAgent.invite({ targets: [to.uri], near: session.id });
          onward.on("event", ({ name }) => {
            if (name === "failed") void session.reject({ statusCode: 486 });
          });
        });
      forward(bob, isDirect ? bob : carol);
      forward(carol, bob);
      for (const person of [bob, carol]) await person.userAgent.start();
      const call = carol.userAgent.invite({ targets: [bob.uri] });
      await clock.advanceAsync(2_000);
      assert.equal(call.state, "terminated");
      assert.equal(call.snapshot().cause, "busy");
      assert.equal(bob.calls.length + carol.calls.length, 71);
      const invites = network.messages.filter(({ label }) => label === "INVITE");
      const hops = invites.map(({ text }) => Number(/^Max-Forwards: (\d+)/m.exec(text)?.[1]));
      assert.deepEqual(
        hops,
        Array.from({ length: 71 }, (_, i) => 70 - i),
      );
      const causes = [...bob.events, ...carol.events]
        .filter(([, { name }]) => name === "failed")
        .map(([, { snapshot }]) => snapshot.cause);
      assert.equal(causes.filter((cause) => cause === "blocked").length, 1);
      await clock.advanceAsync(40_000);
      await endAll(clock, [bob, carol]);
    }
  });
});
