/**
 * Hostile input through the whole user agent, in process: mutated datagrams of every kind of message must not throw,
 * must leave no state once their time is over, and must not keep others from being served.
 */
import assert from "node:assert/strict";
import { Mutation } from "../../fuzz/mutation.js";
import { SDP, soundMessages } from "../../fuzz/sound-messages.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";
import { SeededRandom } from "../../support/seeded-random.js";

describe("hostile datagrams", () => {
  it("20,000 of them leave nothing behind, and a good request is answered", async function () {
    this.timeout(60_000);
    const prototype = Object.getOwnPropertyNames(Object.prototype).join();
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock);
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    await bob.userAgent.start();
    let calls = 0;
    bob.userAgent.onIncomingCall = (session) => {
      const turn = calls++ % 4;
      if (turn === 0) return false;
      if (turn === 1) void session.accept();
      if (turn === 2) void session.progress();
      if (turn === 3) void session.reject({ statusCode: 486 });
      return true;
    };
    bob.userAgent.requestPolicy = (name) => ({
      listened: true,
      holdMs: name === "refer" ? 300 : 0,
    });
    const mutation = new Mutation(new SeededRandom(20_260_101));
    const flow = peer.endpoint.datagramFlow("10.0.0.2", 5060);
    for (let round = 0; round < 200; round++) {
      const texts = soundMessages();
      for (let i = 0; i < 100; i++) {
        const text = mutation.pick(texts);
        const sound = Buffer.from(text, "latin1");
        flow.send(mutation.of(sound, sound));
      }
      await clock.advanceAsync(200);
      bob.events.length = 0;
      bob.stackEvents.length = 0;
      network.clearLog();
      peer.responses.length = 0;
      peer.requests.length = 0;
    }
    for (const session of bob.userAgent.sessions.values()) void session.end();
    await clock.advanceAsync(70_000);
    const counters = bob.userAgent.counters();
    for (const name of [
      "dialogs",
      "sessions",
      "pendingRequests",
      "outgoingRequests",
      "serverTransactions",
      "clientTransactions",
    ]) {
      assert.equal(counters[name], 0, name);
    }
    peer.responses.length = 0;
    peer.send(requestText({ method: "OPTIONS" }), "10.0.0.2");
    await clock.advanceAsync(100);
    assert.deepEqual(peer.statuses(), [200]);
    assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), prototype);
    await endAll(clock, [bob]);
  });

  it("floods of INVITEs never grow the stack beyond its limits", async function () {
    this.timeout(60_000);
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock, {
      maxSessions: 50,
      maxRequestsPerSecond: 20,
    });
    bob.takeCalls();
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    await bob.userAgent.start();
    for (let i = 0; i < 5_000; i++) {
      peer.send(
        requestText({
          method: "INVITE",
          headers: ["Contact: <sip:peer@10.0.0.9>", "Content-Type: application/sdp"],
          body: SDP,
        }),
        "10.0.0.2",
      );
      if (i % 100 === 0) {
        await clock.advanceAsync(50);
        network.clearLog();
      }
    }
    const { sessions, serverTransactions } = bob.userAgent.counters();
    assert.ok((sessions ?? 0) <= 50, `${sessions} sessions`);
    assert.ok((serverTransactions ?? 0) < 400, `${serverTransactions} transactions`);
    await clock.advanceAsync(40_000);
    await endAll(clock, [bob]);
  });
});
