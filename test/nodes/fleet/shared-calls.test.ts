/**
 * Calls that outlive their instance, with real user agents on a network in memory and a group in memory: `first` dies or is
 * stopped for a while, `second` and `third` go on. Hard cases first: two survivors at once, both ends in the same moment, a
 * record that nobody understands, no group, an instance that comes back.
 */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import type { Node, NodeAPI } from "node-red";
import type { Session } from "../../../lib/index.js";
import { CallBridge } from "../../../nodes/shared/bridges.js";
import { type Call, callOf, findCall } from "../../../nodes/shared/call.js";
import { dispatcher } from "../../../nodes/shared/dispatcher.js";
import { replaceEnvironment } from "../../../nodes/shared/environment.js";
import { dialogKey } from "../../../nodes/shared/fleet/call-unit.js";
import { SharedCalls } from "../../../nodes/shared/fleet/shared-calls.js";
import { addLiveNode, type LiveNode, removeLiveNode } from "../../../nodes/shared/live-nodes.js";
import { RestoredInput, RestoredOwner } from "../../../nodes/shared/restored-owner.js";
import { NodeStatus } from "../../../nodes/shared/status.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { type FakeGroup, FakeGroups } from "../../support/fake-group.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";

const OPEN = { allow: ["0.0.0.0/0"] };
const STACK = "stack";

interface Sent {
  readonly node: string;
  readonly output: number;
  readonly msg: Record<string, unknown>;
}

/** One instance: a user agent with its group, as an engine joins them. */
class Instance extends Person {
  readonly group: FakeGroup;
  readonly calls_: SharedCalls;
  readonly warnings: string[] = [];

  constructor(
    name: string,
    address: string,
    network: LoopNetwork,
    clock: ManualClock,
    groups: FakeGroups,
  ) {
    super(name, address, network, clock, OPEN);
    this.group = groups.join(name);
    const quiet = (): void => undefined;
    this.calls_ = new SharedCalls({
      group: this.group,
      stackId: STACK,
      clock,
      isDraining: () => false,
      logger: {
        debug: quiet,
        info: quiet,
        warn: (text) => this.warnings.push(text),
        error: (text) => this.errors.push(text),
      },
    });
    this.userAgent.on("sessionEvent", (session, event) => {
      const call = callOf(session, STACK);
      dispatcher.event(call.id, event.name, () => {
        const delivery = call.owner?.deliver(event);
        return delivery === undefined ? [] : [delivery];
      });
      call.observe(event);
      this.calls_.observe(call, event.name);
    });
    this.calls_.attach(this.userAgent);
  }
}

async function stage() {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const groups = new FakeGroups();
  const alice = new Person("alice", "10.0.0.1", network, clock, OPEN);
  const carol = new Person("carol", "10.0.0.3", network, clock, OPEN);
  const instances = ["first", "second", "third"].map(
    (name, i) => new Instance(name, `10.0.0.${7 + i}`, network, clock, groups),
  );
  const [first, second, third] = instances;
  assert.ok(first && second && third);
  const restore = replaceEnvironment({ clock });
  restoreEnvironment = restore;
  const sent: Sent[] = [];
  const nodes = ["owner", "bridge"].map((id) => liveRecorder(id, sent));
  for (const person of [alice, carol, ...instances]) {
    await person.userAgent.start();
    person.takeCalls((session) => void session.accept());
  }
  /** Turns of the event loop in between, as records are written and read in their own. */
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i < 8; i++) {
      await clock.advanceAsync(ms / 8);
      await turn();
    }
  };
  const call = async (target: Person): Promise<Call> => {
    const session = first.userAgent.invite({ targets: [target.uri], data: { for: target.name } });
    await pass(100);
    const ours = findCall(session.id);
    assert.ok(ours);
    ours.setOwner(new RestoredOwner("owner", ours));
    ours.onChanged?.();
    await pass(1);
    return ours;
  };
  return {
    clock,
    network,
    groups,
    alice,
    carol,
    first,
    second,
    third,
    sent,
    sentBy: (node: string) => sent.filter((one) => one.node === node),
    pass,
    call,
    records: () => [...groups.records.values()],
    /** Two calls whose sound flows directly between alice and carol. */
    pair: async () => {
      const toAlice = await call(alice);
      const toCarol = await call(carol);
      const bridge = new CallBridge(
        { input: new RestoredInput("bridge"), mode: "signaling", hangup: true },
        toAlice,
        toCarol,
      );
      const started = bridge.start();
      await pass(1_000);
      await started;
      sent.length = 0;
      return { toAlice, toCarol };
    },
    /** The process is gone: nothing comes from it any more, and the proxy sends to others what is for it. */
    kill: (heir: Person = second) => {
      network.rule((packet) => (packet.from === "first" ? "drop" : undefined));
      first.endpoint.moveTo("10.0.99.99");
      heir.endpoint.moveTo("10.0.0.7");
      first.calls_.stop();
      for (const session of [...first.userAgent.sessions.values()]) vanish(session);
      network.clearLog();
    },
    tellDeath: () => groups.kill(first.group),
    ladder: () => network.ladder().filter((line) => !line.endsWith("(dropped)")),
    end: async () => {
      for (const { calls_ } of instances) calls_.stop();
      await endAll(clock, [alice, carol, ...instances]);
      for (const live of nodes) removeLiveNode(live);
      restore();
    },
  };
}

/** One process has one table of calls; the dead one's entries leave it without a trace. */
function vanish(session: Session): void {
  const call = findCall(session.id);
  if (call?.bridge instanceof CallBridge) call.bridge.forget();
  call?.forget();
}

function liveRecorder(id: string, sent: Sent[]): LiveNode {
  const node = {
    id,
    send: (outputs: (Record<string, unknown> | null)[]) =>
      outputs.forEach((msg, i) => msg !== null && sent.push({ node: id, output: i + 1, msg })),
    error: (text: string) => assert.fail(text),
    status: () => undefined,
  } as unknown as Node;
  const RED = {
    _: (key: string) => key,
    util: { cloneMessage: structuredClone },
  } as unknown as NodeAPI;
  const live: LiveNode = {
    id,
    node,
    RED,
    status: new NodeStatus(node, RED),
    stackId: STACK,
    accountId: undefined,
    showBase: () => undefined,
  };
  addLiveNode(live);
  return live;
}

const lastOf = (person: Person): Session => {
  const session = [...person.userAgent.sessions.values()].at(-1);
  assert.ok(session, `${person.name} has no call`);
  return session;
};

/** Of the last scene, also of a test that failed before its end: what comes after has its own clock. */
let restoreEnvironment: () => void = () => undefined;

describe("Calls that outlive their instance", () => {
  afterEach(() => restoreEnvironment());

  it("keeps a record of a call from its answer to its end, and none before", async () => {
    const s = await stage();
    s.alice.takeCalls();
    const session = s.first.userAgent.invite({ targets: [s.alice.uri] });
    await s.pass(100);
    assert.deepEqual(s.records(), []);
    await Promise.all([s.alice.calls[0]?.accept(), s.pass(100)]);
    const [record] = s.records();
    assert.equal(record?.kind, "call");
    const { callId, localTag } = session.snapshot();
    assert.equal(record?.key, dialogKey(callId, localTag));
    assert.doesNotMatch(record?.value ?? "", /password/i);
    await Promise.all([session.end(), s.pass(100)]);
    assert.deepEqual(s.records(), []);
    assert.equal(s.first.calls_.size, 0);
    await s.end();
  });

  it("writes a record again when data, target or session timer change, within seconds and never twice the same", async () => {
    const s = await stage();
    const call = await s.call(s.alice);
    let puts = 0;
    const put = s.first.group.put.bind(s.first.group);
    s.first.group.put = (...args) => {
      puts++;
      put(...args);
    };
    await s.pass(20_000);
    assert.equal(puts, 0, "nothing has changed");
    call.mergeData({ step: 2 });
    await s.pass(10);
    assert.equal(puts, 1);
    assert.match(s.records()[0]?.value ?? "", /"step":2/);
    await Promise.all([lastOf(s.alice).reinvite({ action: "refresh" }), s.pass(1_000)]);
    await s.pass(12_000);
    assert.equal(puts, 2, "an UPDATE that no event tells of");
    await Promise.all([call.session.end(), s.pass(100)]);
    await s.end();
  });

  it("hangs up a call that is not joined, once, with the right duration at its owner", async () => {
    const s = await stage();
    const call = await s.call(s.alice);
    await s.pass(7_000);
    s.kill();
    s.tellDeath();
    await s.pass(1_000);
    assert.equal(s.ladder().filter((line) => line.startsWith("BYE")).length, 1);
    const bye = s.network.messages.find(
      ({ label, fate }) => label === "BYE" && fate === "delivered",
    );
    assert.match(bye?.text ?? "", /Reason: SIP;cause=503;text="Instance lost"/);
    assert.equal(s.alice.last("ended").snapshot.cause, "remote-bye");
    const ends = s.sentBy("owner");
    assert.equal(ends.length, 1);
    assert.equal(ends[0]?.output, 4);
    const sip = ends[0]?.msg["sip"] as Record<string, unknown>;
    assert.equal(sip["session"], call.id);
    assert.equal(sip["cause"], "shutdown");
    assert.deepEqual(sip["data"], { for: "alice" });
    assert.ok(Math.abs(Number(sip["duration"]) - 7.2) < 1, `duration ${String(sip["duration"])}`);
    assert.deepEqual(s.records(), []);
    await s.end();
  });

  it("shares the calls of a dead instance among the survivors, each call once", async () => {
    const s = await stage();
    for (let i = 0; i < 30; i++) await s.call(s.alice);
    assert.equal(s.records().length, 30);
    s.kill();
    s.tellDeath();
    await s.pass(3_000);
    const byes = s.ladder().filter((line) => line.startsWith("BYE"));
    assert.equal(byes.length, 30);
    for (let i = 0; i < 10; i++) await s.pass(0);
    assert.equal(s.sent.length, 30);
    assert.equal(s.alice.userAgent.sessions.size, 0);
    assert.deepEqual(s.records(), []);
    await s.end();
  });

  for (const [who, cause] of [
    ["alice", "remote-bye"],
    ["carol", "remote-bye"],
  ] as const) {
    it(`goes on with two calls that are joined: silent, hold passes, BYE of ${who} ends both`, async () => {
      const s = await stage();
      const { toAlice, toCarol } = await s.pair();
      assert.equal(s.records().length, 2);
      await s.pass(5_000);
      s.kill();
      s.tellDeath();
      await s.pass(1_000);
      assert.deepEqual(s.ladder(), [], "nothing is sent");
      assert.equal(s.sent.length, 0);
      assert.equal(s.records().length, 2);
      const heirs = [s.second, s.third].filter(({ userAgent }) => userAgent.sessions.size === 2);
      assert.equal(heirs.length, 1, "one has both");
      const [heir] = heirs;
      if (heir === s.third) {
        s.second.endpoint.moveTo("10.0.0.8");
        s.third.endpoint.moveTo("10.0.0.7");
      }
      const held = lastOf(s.alice).reinvite({ action: "hold" });
      await s.pass(1_000);
      assert.equal((await held).ok, true);
      assert.equal(lastOf(s.carol).snapshot().hold, "remote");
      const hanging = who === "alice" ? s.alice : s.carol;
      await Promise.all([lastOf(hanging).end(), s.pass(1_000)]);
      assert.equal(s.alice.userAgent.sessions.size + s.carol.userAgent.sessions.size, 0);
      const ends = s.sentBy("owner");
      assert.deepEqual(
        ends.map(({ msg }) => (msg["sip"] as Record<string, unknown>)["session"]).sort(),
        [toAlice.id, toCarol.id].sort(),
      );
      const [bridged] = s.sentBy("bridge");
      assert.equal(bridged?.output, 2);
      assert.equal(bridged?.msg["payload"], cause);
      assert.deepEqual(s.records(), []);
      await s.end();
    });
  }

  it("takes a call over when a request comes in before the death is known", async () => {
    const s = await stage();
    await s.pair();
    s.kill();
    const bye = lastOf(s.alice).end();
    await s.pass(3_000);
    assert.equal(s.alice.userAgent.sessions.size, 1, "it waits for the news");
    s.tellDeath();
    await s.pass(2_000);
    await bye;
    assert.equal(s.alice.userAgent.sessions.size + s.carol.userAgent.sessions.size, 0);
    assert.equal(s.sentBy("owner").length, 2);
    await s.end();
  });

  it("goes on after a death in the middle of a hold, which is then lost, and of its repetition", async () => {
    const s = await stage();
    await s.pair();
    // The other leg is being asked when the instance dies.
    s.network.drop((packet) => packet.label === "INVITE" && packet.to === "carol");
    const held = lastOf(s.alice).reinvite({ action: "hold" });
    await s.pass(300);
    s.kill();
    s.groups.leave(s.third.group);
    s.tellDeath();
    await s.pass(1_000);
    assert.equal(s.second.userAgent.sessions.size, 2);
    await Promise.all([lastOf(s.carol).end(), s.pass(1_000)]);
    await held;
    assert.equal(s.alice.userAgent.sessions.size + s.carol.userAgent.sessions.size, 0);
    assert.deepEqual(s.records(), []);
    await s.end();
  });

  it("ends both legs once when both hang up at the same time at different survivors", async () => {
    const s = await stage();
    await s.pair();
    s.kill();
    // The proxy sends what carol says to the third.
    const target = lastOf(s.carol);
    s.groups.kill(s.first.group);
    const byes = [lastOf(s.alice).end(), target.end()];
    await s.pass(4_000);
    await Promise.all(byes);
    assert.equal(s.alice.userAgent.sessions.size + s.carol.userAgent.sessions.size, 0);
    assert.equal(s.sentBy("owner").length, 2, "each end once");
    assert.equal(s.sentBy("bridge").length, 1);
    assert.deepEqual(s.records(), []);
    await s.end();
  });

  it("hands a request over to the survivor that has the call", async () => {
    const s = await stage();
    await s.pair();
    s.kill(s.third);
    // The second takes both, the third gets what is for the dead one.
    s.groups.leave(s.third.group);
    s.tellDeath();
    await s.pass(500);
    s.groups.groups.add(s.third.group);
    assert.equal(s.second.userAgent.sessions.size, 2);
    await Promise.all([lastOf(s.alice).end(), s.pass(1_000)]);
    assert.ok(s.ladder().includes("BYE alice → third"));
    assert.ok(s.ladder().includes("200 second → alice"));
    assert.equal(s.carol.userAgent.sessions.size, 0);
    await s.end();
  });

  it("forgets calls that were taken while it was stopped, without BYE and without a message", async () => {
    const s = await stage();
    const { toAlice, toCarol } = await s.pair();
    // Stopped for six seconds: the others take it for dead.
    s.groups.leave(s.first.group);
    const taken = [toAlice.id, toCarol.id];
    for (const record of s.records()) record.holder = "second";
    s.groups.groups.add(s.first.group);
    s.network.clearLog();
    toAlice.mergeData({ late: true });
    await s.pass(12_000);
    assert.equal(s.first.userAgent.sessions.size, 0);
    assert.deepEqual(s.ladder(), []);
    assert.equal(s.sent.length, 0);
    for (const id of taken) assert.equal(findCall(id), undefined);
    assert.equal(s.records().length, 2, "the other's records stay");
    for (const person of [s.alice, s.carol]) {
      await Promise.all([lastOf(person).end(), s.pass(100)]);
    }
    await s.end();
  });

  it("drops records that it does not understand, and hangs up what is left of a pair", async () => {
    const s = await stage();
    await s.pair();
    s.kill();
    for (const record of s.records()) {
      const value = JSON.parse(record.value) as { version: number; calls?: { call: unknown }[] };
      if (value.calls?.[1] !== undefined) value.calls[1].call = { version: 99 };
      record.value = JSON.stringify(value);
    }
    for (const [i, value] of [
      "{",
      "[]",
      '{"version":2}',
      '{"version":1,"calls":[7]}',
      '{"version":1,"see":"k6"}',
      '{"version":1,"see":"k6"}',
    ].entries()) {
      s.groups.records.set(`call k${i + 1}`, {
        kind: "call",
        key: `k${i + 1}`,
        holder: "first",
        value,
      });
    }
    s.tellDeath();
    await s.pass(2_000);
    assert.equal(s.alice.userAgent.sessions.size, 0);
    assert.equal(s.sentBy("owner").length, 1);
    assert.equal(s.second.errors.length + s.third.errors.length, 0);
    await Promise.all([lastOf(s.carol).end(), s.pass(10_000)]);
    await s.end();
  });

  it("goes on alone without its group: 481 for what it does not know", async () => {
    const s = await stage();
    const call = await s.call(s.alice);
    s.kill();
    s.second.group.setConnected(false);
    s.third.group.setConnected(false);
    s.tellDeath();
    // The transaction of the BYE lives for five seconds after its answer.
    await Promise.all([lastOf(s.alice).end(), s.pass(8_000)]);
    assert.ok(s.ladder().includes("481 second → alice"));
    assert.equal(findCall(call.id), undefined);
    await s.end();
  });
});
