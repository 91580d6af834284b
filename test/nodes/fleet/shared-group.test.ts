/**
 * A group on a clock of the test. Hard cases first: a paused holder, an outage that all have, lost data, slow answers, a
 * copied machine, errors of the store.
 */
import assert from "node:assert/strict";
import { SharedStateError } from "../../../nodes/shared/fleet/group.js";
import { SharedGroup } from "../../../nodes/shared/fleet/shared-group.js";
import { ManualClock } from "../../support/manual-clock.js";
import { MemoryServer, MemoryStore } from "../../support/memory-store.js";

interface Member {
  readonly group: SharedGroup;
  readonly store: MemoryStore;
  readonly log: string[];
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 12; i++) await Promise.resolve();
};

/** Can stand still while time goes on, as a process that is stopped: its timers come late then. */
class StoppedClock extends ManualClock {
  #missed = 0;

  override now(): number {
    return super.now() + this.#missed;
  }

  jump(ms: number): void {
    this.#missed += ms;
  }
}

describe("A group of instances", () => {
  let clock: ManualClock;
  let server: MemoryServer;
  let others: ManualClock[];
  let members: Member[];

  beforeEach(() => {
    clock = new ManualClock();
    server = new MemoryServer(clock);
    others = [];
    members = [];
  });

  afterEach(async () => {
    for (const { group, store } of members) {
      store.error = undefined;
      store.held = undefined;
      void group.close();
    }
    await advance(200);
  });

  /** @param own - a clock of its own, so that this member can stand still while time goes on for the others. */
  async function join(instance: string, own = clock): Promise<Member> {
    let store: MemoryStore | undefined;
    const log: string[] = [];
    const write = (text: string): void => void log.push(text);
    const logger = { debug: () => undefined, info: write, warn: write, error: write };
    const group = new SharedGroup({
      clock: own,
      logger,
      instance,
      openStore: (events) => (store = new MemoryStore(server, events)),
    });
    if (store === undefined) throw new Error("unreachable");
    const member = { group, store, log };
    members.push(member);
    if (own !== clock) others.push(own);
    store.events.onUp();
    await settle();
    return member;
  }

  /** In steps, with turns between them for what answers. */
  async function advance(ms: number, ...still: ManualClock[]): Promise<void> {
    for (let at = 0; at < ms; at += 50) {
      clock.advance(50);
      for (const one of others) if (!still.includes(one)) one.advance(50);
      await settle();
    }
  }

  function lease(member: Member, name = "one"): { log: string[]; isHeld: () => boolean } {
    const log: string[] = [];
    const lease = member.group.lease(name, {
      onGained: () => log.push("gained"),
      onLost: () => log.push("lost"),
    });
    return { log, isHeld: () => lease.isHeld };
  }

  it("knows its members, and each survivor hears of a death 3 to 5 s after it", async () => {
    const [a, b, c] = [await join("a"), await join("b"), await join("c")];
    await advance(1_000);
    assert.deepEqual([...a.group.members].sort(), ["a", "b", "c"]);
    const gone: string[] = [];
    a.group.onMemberGone((one) => gone.push(`a: ${one}`));
    b.group.onMemberGone((one) => gone.push(`b: ${one}`));
    c.store.error = new Error("killed");
    await advance(2_900);
    assert.deepEqual(gone, []);
    await advance(2_100);
    assert.deepEqual(gone, ["a: c", "b: c"]);
    await advance(5_000);
    assert.equal(gone.length, 2, "told once");
  });

  it("hears at once of a member that leaves, and gets its leases", async () => {
    const [a, b] = [await join("a"), await join("b")];
    const first = lease(a);
    await advance(50);
    const second = lease(b);
    await advance(1_000);
    assert.deepEqual([first.log, second.log], [["gained"], []]);
    void a.group.close();
    await advance(100);
    assert.deepEqual([first.log, second.log], [["gained", "lost"], ["gained"]]);
    assert.deepEqual([...b.group.members], ["b"]);
  });

  it("gives a lease that is released to the next, and not back", async () => {
    const [a, b] = [await join("a"), await join("b")];
    const log: string[] = [];
    const held = a.group.lease("one", {
      onGained: () => undefined,
      onLost: () => log.push("lost"),
    });
    await advance(50);
    const second = lease(b);
    await advance(50);
    await Promise.all([held.release(), advance(100)]);
    assert.deepEqual([log, second.log, held.isHeld], [["lost"], ["gained"], false]);
    assert.equal(server.leases.get("one"), "b");
  });

  it("takes the lease of a dead holder within 10 s", async () => {
    const [a, b] = [await join("a"), await join("b")];
    lease(a);
    await advance(50);
    const second = lease(b);
    await advance(500);
    a.store.error = new Error("killed");
    await advance(6_000);
    assert.deepEqual(second.log, ["gained"]);
  });

  it("a holder that was held up is not sure before it has asked, and stops when another one has the lease", async () => {
    const own = new StoppedClock();
    const [a, b] = [await join("a", own), await join("b")];
    const first = lease(a);
    await advance(50);
    const second = lease(b);
    await advance(500);
    await advance(7_000, own);
    assert.deepEqual([first.log, second.log], [["gained"], ["gained"]]);
    // It runs again: whatever comes first finds it unsure.
    own.jump(7_000);
    assert.equal(first.isHeld(), false);
    assert.deepEqual(first.log, ["gained"]);
    await advance(1_000);
    assert.deepEqual(first.log, ["gained", "lost"]);
    await advance(3_000);
    assert.deepEqual([second.isHeld(), first.isHeld()], [true, false]);
    assert.deepEqual([...a.group.members].sort(), ["a", "b"]);
  });

  it("a holder that was held up alone goes on after it has asked", async () => {
    const own = new StoppedClock();
    const a = await join("a", own);
    const first = lease(a);
    await advance(500);
    await advance(7_000, own);
    own.jump(7_000);
    await advance(1_100);
    assert.deepEqual(first.log, ["gained", "lost", "gained"]);
  });

  it("keeps what is held while the store is away, claims nothing, and judges nobody for a while after", async () => {
    const [a, b] = [await join("a"), await join("b")];
    const first = lease(a);
    await advance(50);
    const second = lease(b);
    await advance(500);
    a.group.put("call", "1", "value", 60);
    await advance(50);
    for (const { store } of members) {
      store.error = new Error("connection refused");
      store.events.onDown();
    }
    const gone: string[] = [];
    b.group.onMemberGone((one) => gone.push(one));
    assert.equal(a.group.isConnected, false);
    await advance(20_000);
    assert.deepEqual([first.isHeld(), second.isHeld(), gone], [true, false, []]);
    await assert.rejects(b.group.claim("call", "1"), SharedStateError);
    await assert.rejects(b.group.get("call", "1"), SharedStateError);
    // The one comes back two seconds before the other.
    b.store.error = undefined;
    await advance(2_000);
    assert.equal(b.group.isConnected, true);
    await assert.rejects(b.group.claim("call", "1"), SharedStateError);
    a.store.error = undefined;
    await advance(5_000);
    assert.deepEqual([first.isHeld(), second.log, gone], [true, [], []]);
  });

  it("a holder that alone is cut off goes on until it hears that another one has taken its lease", async () => {
    const [a, b] = [await join("a"), await join("b")];
    const first = lease(a);
    await advance(50);
    const second = lease(b);
    await advance(500);
    a.store.error = new Error("no route");
    a.store.events.onDown();
    await advance(6_000);
    assert.deepEqual([first.isHeld(), second.log], [true, ["gained"]]);
    a.store.error = undefined;
    await advance(1_100);
    assert.deepEqual([first.log, second.isHeld()], [["gained", "lost"], true]);
  });

  it("writes everything again when the store has lost its data, and a lease stays with its holder", async () => {
    const [a, b] = [await join("a"), await join("b")];
    const first = lease(a);
    await advance(50);
    const second = lease(b);
    a.group.put("call", "1", "value", 60);
    b.group.put("call", "2", "other", 60);
    await advance(1_000);
    server.forget();
    await advance(2_000);
    assert.deepEqual(server.records.get("call 1"), { holder: "a", value: "value" });
    assert.deepEqual(server.records.get("call 2"), { holder: "b", value: "other" });
    await advance(5_000);
    assert.deepEqual([first.log, second.log], [["gained"], []]);
    assert.equal(server.leases.get("one"), "a");
    assert.deepEqual([...a.group.members].sort(), ["a", "b"]);
  });

  it("rejects what is not answered within a second, and opens a new connection after five", async () => {
    const a = await join("a");
    await advance(500);
    a.store.held = [];
    const asked = a.group.get("call", "1");
    const result = assert.rejects(asked, SharedStateError);
    await advance(1_050);
    await result;
    await advance(2_500);
    assert.equal(a.group.isConnected, false);
    await advance(3_500);
    assert.ok(a.store.reconnects >= 1);
    const late = a.store.held;
    a.store.held = undefined;
    for (const answer of late) answer();
    await advance(1_500);
    assert.equal(a.group.isConnected, true);
  });

  it("writes only the newest value of a record when the store is slow", async () => {
    const a = await join("a");
    a.group.put("call", "1", "first", 60);
    await settle();
    a.store.held = [];
    a.group.put("call", "1", "second", 60);
    for (let i = 0; i < 100; i++) a.group.put("call", "1", `value ${i}`, 60);
    a.group.put("call", "2", "short", 60);
    a.group.remove("call", "2");
    const waiting = a.store.held;
    a.store.held = undefined;
    for (const answer of waiting) answer();
    await settle();
    await advance(1_000);
    assert.deepEqual(
      server.written.map(({ value }) => value),
      ["first", "second", "value 99"],
    );
    assert.deepEqual((await a.group.get("call", "1"))?.value, "value 99");
    assert.equal(server.records.has("call 2"), false);
  });

  it("goes on writing when a full store takes something again, and says once that it is full", async () => {
    const a = await join("a");
    a.store.error = new Error("OOM command not allowed when used memory > 'maxmemory'.");
    a.group.put("call", "1", "value", 60);
    await advance(3_000);
    assert.equal(a.log.filter((text) => text.includes("OOM")).length, 1);
    assert.equal(a.group.isConnected, false);
    a.store.error = undefined;
    await advance(2_000);
    assert.equal(server.records.get("call 1")?.value, "value");
  });

  it("lets a record be claimed once, and only when its holder is dead; who was taken for dead is told", async () => {
    const own = new StoppedClock();
    const [a, b, c] = [await join("a", own), await join("b"), await join("c")];
    const lost: string[] = [];
    a.group.onRecordLost((kind, key) => lost.push(`${kind} ${key}`));
    a.group.put("call", "1", "value", 60);
    await advance(500);
    assert.equal(await b.group.claim("call", "1"), undefined);
    assert.equal(await b.group.claim("call", "2"), undefined);
    await advance(7_000, own);
    assert.deepEqual(await b.group.heldBy("call", "a"), ["1"]);
    const claims = await Promise.all([b.group.claim("call", "1"), c.group.claim("call", "1")]);
    assert.deepEqual(
      claims.filter((claim) => claim !== undefined),
      [{ value: "value", formerHolder: "a" }],
    );
    own.jump(7_000);
    a.group.put("call", "1", "stale", 60);
    await advance(100);
    assert.deepEqual(lost, ["call 1"]);
    assert.equal(server.records.get("call 1")?.value, "value");
    // Whose state is anybody's is written by whoever is last.
    a.group.put("presence", "x", "from a", 60, "shared");
    await advance(50);
    b.group.put("presence", "x", "from b", 60, "shared");
    await advance(50);
    assert.equal((await a.group.get("presence", "x"))?.value, "from b");
    assert.deepEqual(lost, ["call 1"]);
  });

  it("takes another name when a second process has its own, and loses what it held to that one", async () => {
    const a = await join("a");
    const first = lease(a);
    await advance(1_500);
    server.beats.set("a", { at: clock.now(), count: 1_000 });
    await advance(1_100);
    assert.notEqual(a.group.instance, "a");
    assert.deepEqual(first.log.slice(0, 2), ["gained", "lost"]);
    assert.equal(a.log.filter((text) => text.includes("Another process")).length, 1);
    assert.ok(a.group.members.has(a.group.instance));
  });

  it("tells texts to the others and not to itself, and bounds what it keeps", async () => {
    const [a, b] = [await join("a"), await join("b")];
    const heard: string[] = [];
    a.group.subscribe("news", (text) => heard.push(`a: ${text}`));
    const unlisten = b.group.subscribe("news", (text) => heard.push(`b: ${text}`));
    a.group.publish("news", "two\nlines");
    a.group.publish("other", "x");
    a.group.publish("news", "x".repeat(100_000));
    assert.deepEqual(heard, ["b: two\nlines"]);
    unlisten();
    a.group.publish("news", "x");
    assert.equal(heard.length, 1);
    b.store.events.onText("");
    b.store.events.onText("nobody");
    a.group.put("call", "1", "x".repeat(100_000), 60);
    a.group.put("call", "k".repeat(2_000), "x", 60);
    await advance(100);
    assert.equal(server.records.size, 0);
    assert.equal(a.log.filter((text) => text.includes("is not shared")).length, 1);
  });

  it("outlives a listener that throws", async () => {
    const [a, b] = [await join("a"), await join("b")];
    const seen: string[] = [];
    await advance(1_000);
    a.group.onMemberGone(() => {
      throw new Error("listener");
    });
    a.group.onMemberGone((one) => seen.push(one));
    void b.group.close();
    await advance(100);
    assert.deepEqual(seen, ["b"]);
  });

  it("forgets a record of its own when its time is over", async () => {
    const a = await join("a");
    a.group.put("call", "1", "value", 5);
    await advance(65_000);
    assert.equal(server.records.size, 0);
  });

  it("leaves nothing running when it is closed", async () => {
    const a = await join("a");
    lease(a);
    await advance(100);
    void a.group.close();
    await advance(200);
    a.group.put("call", "1", "value", 60);
    a.group.publish("news", "x");
    await assert.rejects(a.group.get("call", "1"), SharedStateError);
    assert.deepEqual([a.store.isClosed, clock.pendingTimers()], [true, 0]);
  });
});
