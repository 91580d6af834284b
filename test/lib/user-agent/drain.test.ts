/**
 * Draining between real user agents: nothing new begins, nothing that is up is harmed, and it can be taken back. Hard cases
 * first: transfers into a call, second legs, calls that ring, requests held while it begins, stop and resume in the middle.
 */
import assert from "node:assert/strict";
import { InvalidStateError } from "../../../lib/foundation/index.js";
import type { Session } from "../../../lib/session/index.js";
import type { DrainState } from "../../../lib/user-agent/index.js";
import { endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

async function scene(options: PersonOptions = {}, peerAddress = "10.0.0.9") {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock);
  const bob = new Person("bob", "10.0.0.2", network, clock, options);
  const carol = new Person("carol", "10.0.0.3", network, clock);
  const people = [alice, bob, carol];
  for (const person of people) {
    await person.userAgent.start();
    person.takeCalls((session) => void session.accept());
  }
  const peer = await new ScriptedPeer(network, { name: "peer", address: peerAddress }).start();
  const states: DrainState[] = [];
  bob.userAgent.on("drain", (state) => states.push(state));
  const pass = (ms: number) => clock.advanceAsync(ms);
  const call = async (from: Person, to: Person): Promise<[Session, Session]> => {
    const session = from.userAgent.invite({ targets: [to.uri] });
    await pass(100);
    const theirs = to.calls.at(-1);
    assert.ok(theirs);
    return [session, theirs];
  };
  /** Answer to a request of the peer. */
  const ask = async (method: string, headers: string[] = []) => {
    peer.responses.length = 0;
    const via = `Via: SIP/2.0/UDP ${peerAddress}:5060;branch=z9hG4bK${Math.random()};rport`;
    peer.send(requestText({ method, via, headers }), "10.0.0.2");
    await pass(50);
    const answer = peer.responses.at(-1);
    assert.ok(answer, `no answer to ${method}`);
    if (method === "INVITE") {
      const ack = requestText({ method: "ACK", via, callId: answer.callId });
      peer.send(ack.replace(/^From:.*$/m, `From: ${answer.from.toString()}`), "10.0.0.2");
    }
    return answer;
  };
  const end = () => endAll(clock, people);
  return { clock, network, alice, bob, carol, peer, states, pass, call, ask, end };
}

const CONTACT = "Contact: <sip:peer@10.0.0.9>";

describe("a user agent that is drained", () => {
  it("refuses what is new with 503 and Retry-After, and reports none of it", async () => {
    const { bob, ask, end, states } = await scene();
    bob.userAgent.drain();
    const requests: [string, string[]][] = [
      ["INVITE", [CONTACT]],
      ["MESSAGE", []],
      ["SUBSCRIBE", [CONTACT, "Event: dialog"]],
      ["REFER", [CONTACT, "Refer-To: <sip:carol@10.0.0.3>"]],
      ["NOTIFY", [CONTACT, "Event: dialog", "Subscription-State: active"]],
      ["OPTIONS", []],
      ["PUBLISH", []],
    ];
    for (const [method, headers] of requests) {
      const answer = await ask(method, headers);
      assert.equal(answer.statusCode, 503, method);
      assert.equal(answer.headers.get("retry-after"), "30", method);
    }
    assert.deepEqual(bob.heardOfStack(), []);
    assert.equal(bob.calls.length, 0);
    assert.deepEqual(states, ["draining", "drained"]);
    await end();
  });

  it("lets an established call go on to its end, and tells when it was the last", async () => {
    const { alice, bob, call, pass, states, end } = await scene();
    const [ours, theirs] = await call(alice, bob);
    const [second] = await call(alice, bob);
    bob.userAgent.drain();
    assert.equal(bob.userAgent.drainState, "draining");
    assert.equal((await withTime(pass, ours.reinvite({ action: "hold" }))).ok, true);
    assert.equal((await withTime(pass, theirs.request({ method: "OPTIONS" }))).ok, true);
    await withTime(pass, ours.end());
    assert.deepEqual(states, ["draining"]);
    await withTime(pass, second.end());
    assert.deepEqual(states, ["draining", "drained"]);
    assert.equal(bob.userAgent.drainState, "drained");
    await end();
  });

  it("lets calls that ring be answered and cancelled", async () => {
    const { alice, bob, pass, states, end } = await scene();
    bob.takeCalls((session) => void session.progress({ statusCode: 180 }));
    const [first, second] = [1, 2].map(() => alice.userAgent.invite({ targets: [bob.uri] }));
    await pass(50);
    bob.userAgent.drain();
    void bob.calls[0]?.accept();
    await pass(50);
    assert.equal(first?.state, "established");
    void second?.end();
    await pass(50);
    assert.equal(bob.calls[1]?.snapshot().cause, "cancelled");
    await withTime(pass, first.end());
    assert.deepEqual(states, ["draining", "drained"]);
    await end();
  });

  it("calls nobody anew, except for a call that is up", async () => {
    const { alice, bob, carol, call, pass, end } = await scene();
    const [, theirs] = await call(alice, bob);
    bob.userAgent.drain();
    const refused = bob.userAgent.invite({ targets: [carol.uri] });
    const unknown = bob.userAgent.invite({ targets: [carol.uri], near: "nobody" });
    const second = bob.userAgent.invite({ targets: [carol.uri], near: theirs.id });
    await pass(100);
    for (const session of [refused, unknown]) {
      assert.equal(session.snapshot().cause, "shutdown");
      assert.deepEqual(bob.heard(session), ["failed"]);
    }
    assert.equal(second.state, "established");
    // The call for which it is placed is over.
    await withTime(pass, theirs.end());
    const late = bob.userAgent.invite({ targets: [carol.uri], near: theirs.id });
    await pass(100);
    assert.equal(late.snapshot().cause, "shutdown");
    assert.equal(bob.userAgent.drainState, "draining");
    await end();
  });

  it("lets one of its calls be transferred, by REFER and by Replaces", async () => {
    const { alice, bob, carol, call, pass, states, end } = await scene();
    const [ours] = await call(alice, bob);
    bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 500 });
    bob.userAgent.on("sessionEvent", (_session, event) => {
      if (event.name === "refer") void event.pending?.accept({ follow: true });
    });
    bob.userAgent.drain();
    const { callId, localTag, remoteTag = "" } = ours.snapshot();
    const replaces = { callId, toTag: remoteTag, fromTag: localTag };
    const taken = carol.userAgent.invite({ targets: [bob.uri], replaces });
    await pass(1_000);
    assert.equal(taken.state, "established");
    assert.equal(ours.state, "terminated");
    const referred = taken.refer({ to: alice.uri });
    await pass(2_000);
    assert.equal((await referred).ok, true);
    const [moved] = [...bob.userAgent.sessions.values()];
    assert.equal(moved?.direction, "outgoing");
    assert.equal(moved.state, "established");
    assert.deepEqual(states, ["draining"]);
    // Who names a call that never was is no part of one.
    const other = carol.userAgent.invite({
      targets: [bob.uri],
      replaces: { callId: "none", toTag: "a", fromTag: "b" },
    });
    await pass(100);
    assert.equal(other.snapshot().cause, "unavailable");
    await end();
  });

  it("refuses a request that a supplement held when it began", async () => {
    const { alice, bob, pass, end } = await scene();
    bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 200 });
    bob.userAgent.addSupplement({
      methods: ["INVITE"],
      incomingRequest: (_message, context) => context.hold(200).verdict,
    });
    const session = alice.userAgent.invite({ targets: [bob.uri] });
    await pass(10);
    bob.userAgent.drain();
    await pass(500);
    assert.equal(session.snapshot().cause, "unavailable");
    await end();
  });

  it("takes calls again after resume, and drains again", async () => {
    const { alice, bob, call, pass, ask, states, end } = await scene();
    bob.userAgent.drain();
    bob.userAgent.drain();
    bob.userAgent.resume();
    bob.userAgent.resume();
    assert.equal((await ask("OPTIONS")).statusCode, 200);
    const [ours] = await call(alice, bob);
    bob.userAgent.drain();
    bob.userAgent.resume();
    await withTime(pass, ours.end());
    assert.deepEqual(states, ["draining", "drained", "none", "draining", "none"]);
    await end();
  });

  it("stops in either state, and cannot be drained before its start or after its end", async () => {
    for (const withCall of [true, false]) {
      const { alice, bob, call, pass, end } = await scene();
      if (withCall) await call(alice, bob);
      bob.userAgent.drain();
      const stopped = bob.userAgent.stop();
      await pass(100);
      await stopped;
      assert.throws(() => bob.userAgent.drain(), InvalidStateError);
      bob.userAgent.resume();
      assert.equal(bob.userAgent.running, false);
      await end();
    }
    const idle = new Person(
      "dave",
      "10.0.0.4",
      new LoopNetwork(new ManualClock()),
      new ManualClock(),
    );
    assert.throws(() => idle.userAgent.drain(), InvalidStateError);
  });
});

describe("accounts of a user agent that is drained", () => {
  async function registered() {
    const stage = await scene();
    const { bob, peer, pass } = stage;
    peer.onRequest = (request) => {
      const contact = request.headers.get("contact") ?? "";
      peer.reply(request, 200, { headers: [["Contact", `${contact};expires=600`]] });
    };
    const add = (id: string, register = true) =>
      bob.userAgent.addAccount({ id, uri: `sip:${id}@10.0.0.9`, register });
    const accounts = { one: add("one"), byHand: add("by-hand", false), other: add("other", false) };
    void accounts.byHand.register();
    await pass(100);
    /** `user expires` of each REGISTER since the last look. */
    const seen = () => {
      const texts = peer.requests.map(
        ({ from, headers }) => `${from.uri.toString().slice(4, -9)} ${headers.get("expires")}`,
      );
      peer.requests.length = 0;
      return texts.sort();
    };
    assert.deepEqual(seen(), ["by-hand 3600", "one 3600"]);
    return { ...stage, add, seen, ...accounts };
  }

  it("are un-registered, and those that were registered are so again after resume", async () => {
    const { bob, pass, seen, one, other, end } = await registered();
    bob.userAgent.drain();
    await pass(100);
    assert.deepEqual(seen(), ["by-hand 0", "one 0"]);
    await pass(3_600_000);
    assert.deepEqual(seen(), []);
    bob.userAgent.resume();
    await pass(100);
    assert.deepEqual(seen(), ["by-hand 3600", "one 3600"]);
    assert.equal(one.registration.state, "registered");
    assert.equal(other.registration.state, "unregistered");
    await end();
  });

  it("register neither by hand nor when they are added, but after resume", async () => {
    const { bob, pass, seen, add, other, end } = await registered();
    bob.userAgent.drain();
    await pass(100);
    seen();
    assert.deepEqual(await other.register(), { ok: false, cause: "shutdown", statusCode: 0 });
    const added = add("late");
    await pass(60_000);
    assert.deepEqual(seen(), []);
    bob.userAgent.resume();
    await pass(100);
    assert.deepEqual(seen(), ["by-hand 3600", "late 3600", "one 3600"]);
    assert.equal(added.registration.state, "registered");
    await end();
  });

  it("are registered after all when resume comes before the registrar has answered", async () => {
    const { bob, pass, seen, one, end } = await registered();
    bob.userAgent.drain();
    bob.userAgent.resume();
    await pass(2_000);
    assert.deepEqual(seen().slice(-1), ["one 3600"]);
    assert.equal(one.registration.state, "registered");
    await end();
  });

  it("that are taken away meanwhile stay away, and an unreachable registrar holds nothing up", async () => {
    const { bob, peer, pass, seen, end } = await registered();
    peer.onRequest = () => undefined;
    bob.userAgent.drain();
    await pass(40_000);
    void bob.userAgent.removeAccount("one");
    seen();
    bob.userAgent.resume();
    await pass(100);
    assert.deepEqual(seen(), ["by-hand 3600"]);
    peer.onRequest = (request) => peer.reply(request, 200);
    await end();
  });
});

describe("OPTIONS", () => {
  it("tells neighbours the load: calls, their limit, and how late the event loop is", async () => {
    const { alice, bob, call, ask, end } = await scene({
      maxSessions: 2,
      eventLoopLag: () => 3.4,
    });
    assert.equal((await ask("OPTIONS")).headers.get("x-load"), "calls=0;limit=2;lag=3");
    await call(alice, bob);
    assert.equal((await ask("OPTIONS")).headers.get("x-load"), "calls=1;limit=2;lag=3");
    await call(alice, bob);
    const full = await ask("OPTIONS");
    assert.deepEqual([full.statusCode, full.headers.get("retry-after")], [503, "10"]);
    assert.equal(full.headers.get("x-load"), "calls=2;limit=2;lag=3");
    bob.userAgent.drain();
    const drained = await ask("OPTIONS");
    assert.deepEqual([drained.statusCode, drained.headers.get("retry-after")], [503, "30"]);
    assert.equal(drained.headers.get("x-load"), "calls=2;limit=2;lag=3");
    await end();
  });

  it("leaves out what is unlimited or not measured, and tells strangers nothing", async () => {
    const local = await scene();
    assert.equal((await local.ask("OPTIONS")).headers.get("x-load"), "calls=0");
    await local.end();
    const allow = ["0.0.0.0/0"];
    const stranger = await scene({ allow }, "198.51.100.9");
    const answer = await stranger.ask("OPTIONS");
    assert.deepEqual([answer.statusCode, answer.headers.has("x-load")], [200, false]);
    stranger.bob.userAgent.drain();
    assert.equal((await stranger.ask("OPTIONS")).headers.has("x-load"), false);
    await stranger.end();
    const known = await scene({ allow, trusted: ["198.51.100.9"] }, "198.51.100.9");
    assert.equal((await known.ask("OPTIONS")).headers.get("x-load"), "calls=0");
    await known.end();
  });
});

async function withTime<T>(pass: (ms: number) => Promise<void>, promise: Promise<T>): Promise<T> {
  await pass(200);
  return promise;
}
