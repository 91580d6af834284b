import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { silentLogger } from "../../../lib/foundation/index.js";
import type { Logger } from "../../../lib/foundation/index.js";
import { WorkerPool } from "../../../lib/media/worker-pool.js";
import type { PoolMember, WorkerPlace, WorkerPoolOptions } from "../../../lib/media/worker-pool.js";
import { ManualClock, settle } from "../../support/manual-clock.js";

/** A thread that listens, answers every open with its own number, and dies of a play. */
const SCRIPT = `
  const { parentPort, threadId } = require("node:worker_threads");
  let loaded = [];
  parentPort.on("message", (message) => {
    if (message.type === "load") loaded.push(...message.codecs);
    if (message.type === "open") parentPort.postMessage({ type: "reply", id: message.id, result: { port: threadId, unusable: loaded } });
    if (message.type === "play") throw new Error("boom");
    if (message.type === "shutdown") parentPort.close();
  });
  parentPort.postMessage({ type: "ready" });
`;

const OPEN = {
  type: "open",
  session: 1,
  address: "127.0.0.1",
  portMin: 1,
  portMax: 2,
  codecs: [],
  mediaTimeout: 0,
} as const;
const PLAY = {
  type: "play",
  session: 1,
  source: { kind: "tone", name: "ring" },
  options: {},
} as const;

describe("WorkerPool", () => {
  const pools: { leave(): Promise<void> }[] = [];

  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.leave()));
  });

  function setUp(options: WorkerPoolOptions = {}, script = SCRIPT) {
    const clock = new ManualClock();
    const workers: Worker[] = [];
    const pool = new WorkerPool({
      clock,
      mostWorkers: 3,
      callsPerWorker: 2,
      createWorker: () => {
        const worker = new Worker(script, { eval: true, stderr: true });
        workers.push(worker);
        return worker;
      },
      ...options,
    });
    const member = join(pool);
    return { clock, pool, member, workers };
  }

  function join(pool: WorkerPool, logger: Logger = silentLogger): PoolMember {
    const member = pool.join(logger);
    pools.push({ leave: () => member.leave(Promise.resolve()) });
    return member;
  }

  let lastCall = 0;

  /** Waits until every thread that was started listens. */
  async function ready(places: readonly WorkerPlace[], workers: readonly Worker[]): Promise<void> {
    await Promise.all(places.map(({ worker }) => worker.start()));
    await Promise.all(workers.map((worker) => asked(worker)));
  }

  function asked(worker: Worker): Promise<unknown> {
    worker.postMessage({ type: "open", id: 0 });
    return once(worker, "message");
  }

  function place(member: PoolMember, near?: string): WorkerPlace {
    return member.place(`call-${++lastCall}`, near);
  }

  it("starts no thread before the first call", async () => {
    const { member, workers, pool } = setUp();
    assert.equal(workers.length, 0);
    const first = place(member);
    assert.equal(workers.length, 0);
    await first.worker.request(OPEN);
    assert.equal(workers.length, 1);
    assert.equal(pool.workerCount, 1);
  });

  it("starts the first beforehand when asked, once for all members", async () => {
    const { member, pool, workers } = setUp();
    await member.start(["PCMU"]);
    await join(pool).start(["PCMU"]);
    assert.equal(workers.length, 1);
    const { worker } = place(member);
    assert.deepEqual((await worker.request(OPEN)).unusable, ["PCMU", "PCMU"]);
  });

  it("starts another thread when all have their share, and uses it as soon as it listens", async () => {
    const { member, workers } = setUp();
    await member.start(["OPUS"]);
    const one = place(member);
    assert.equal(workers.length, 1);
    const two = place(member);
    assert.equal(workers.length, 2);
    const three = place(member);
    assert.equal(three.worker, one.worker, "the second does not listen yet");
    await ready([one], workers);
    const four = place(member);
    const five = place(member);
    assert.equal(two.worker, one.worker);
    assert.notEqual(four.worker, one.worker);
    assert.equal(five.worker, four.worker);
    const reply = await four.worker.request(OPEN);
    assert.deepEqual(reply.unusable, ["OPUS"], "the codecs are loaded there, too");
    assert.equal(workers.length, 3);
  });

  it("starts no more threads than it may, and spreads what comes", async () => {
    const { member, workers } = setUp();
    await member.start([]);
    const places = [place(member), place(member)];
    for (let i = 0; i < 28; i++) {
      await ready(places, workers);
      places.push(place(member));
    }
    assert.equal(workers.length, 3);
    const counts = new Map<unknown, number>();
    for (const { worker } of places) counts.set(worker, (counts.get(worker) ?? 0) + 1);
    assert.deepEqual([...counts.values()], [10, 10, 10]);
  });

  it("puts a call beside the one it is likely to be joined with", async () => {
    const { member, pool, workers } = setUp({ mostWorkers: 2 });
    await member.start([]);
    const first = member.place("first");
    place(member);
    await ready([first], workers);
    const second = member.place("second");
    assert.notEqual(second.worker, first.worker);
    const other = join(pool);
    for (let i = 0; i < 6; i++) {
      assert.equal(place(other, "first").worker, first.worker);
      assert.equal(place(other, "second").worker, second.worker);
    }
    second.leave();
    second.leave();
    assert.equal(place(other, "nobody").worker, second.worker, "the one with fewer calls");
  });

  it("loses only the calls of the thread that dies", async () => {
    const { member, workers } = setUp({ mostWorkers: 2 });
    await member.start([]);
    const one = place(member);
    const two = place(member);
    await ready([one], workers);
    const three = place(member);
    const lost: string[] = [];
    for (const [name, { worker }] of Object.entries({ one, two, three })) {
      worker.listen(worker.nextNumber(), {
        onMessage: () => undefined,
        onLost: () => lost.push(name),
      });
    }
    await assert.rejects(one.worker.request(PLAY));
    assert.deepEqual(lost, ["one", "two"]);
    assert.equal((await three.worker.request(OPEN)).port, workers[1].threadId);
    assert.equal(place(member).worker, three.worker, "one that listens comes first");
    await one.worker.request(OPEN);
    assert.equal(workers.length, 3);
  });

  it("puts no call into a thread that fails again and again, as long as another is there", async () => {
    const { member, workers } = setUp({ mostWorkers: 2 });
    await member.start([]);
    const first = member.place("first");
    place(member);
    await ready([first], workers);
    const second = place(member);
    assert.notEqual(second.worker, first.worker);
    for (let i = 0; i < 5; i++) await assert.rejects(first.worker.request(PLAY));
    assert.ok(first.worker.failing);
    for (let i = 0; i < 5; i++) assert.equal(place(member).worker, second.worker);
    assert.equal(place(member, "first").worker, second.worker);
  });

  it("refuses calls with an error when the only thread cannot be started", async () => {
    const { member, clock } = setUp({
      mostWorkers: 1,
      createWorker: () => {
        throw new Error("EAGAIN");
      },
    });
    await member.start(["PCMU"]);
    for (let i = 0; i < 6; i++) {
      await assert.rejects(place(member).worker.request(OPEN), { rule: "no-media" });
    }
    assert.equal(clock.pendingTimers(), 0);
  });

  it("ends a thread without calls when the others have room", async () => {
    const { member, pool, workers } = setUp({ mostWorkers: 2 });
    await member.start([]);
    const one = place(member);
    const two = place(member);
    await ready([one], workers);
    const three = place(member);
    assert.equal(pool.workerCount, 2);
    three.leave();
    assert.equal(pool.workerCount, 2, "it would soon be needed again");
    two.leave();
    one.leave();
    assert.equal(pool.workerCount, 1);
    const { worker } = place(member);
    assert.equal((await worker.request(OPEN)).port, workers[1].threadId);
  });

  it("ends the threads with the last member; whoever comes later gets new ones", async () => {
    const { member, pool, workers } = setUp();
    const other = join(pool);
    await place(member).worker.request(OPEN);
    const { worker } = place(other);
    await member.leave(Promise.resolve());
    await member.leave(Promise.resolve());
    assert.equal((await worker.request(OPEN)).port, workers[0].threadId);
    const exited = once(workers[0], "exit");
    const leaving = other.leave(Promise.resolve());
    await settle();
    assert.equal(pool.workerCount, 0);
    const reply = await place(join(pool)).worker.request(OPEN);
    await leaving;
    await exited;
    assert.equal(reply.port, workers.at(-1)?.threadId);
  });

  it("waits for a member's calls to end, but not for ever", async () => {
    const { member, pool, clock } = setUp();
    const stays = join(pool);
    let isGone = false;
    const leaving = member.leave(new Promise(() => undefined)).then(() => (isGone = true));
    await clock.advanceAsync(1_000);
    assert.equal(isGone, false);
    await clock.advanceAsync(1_000);
    await leaving;
    await stays.leave(Promise.reject(new Error("as good as an end")));
    assert.equal(clock.pendingTimers(), 0);
  });

  it("refuses calls of a member that has left, whatever others do", async () => {
    const { member, pool, workers } = setUp();
    join(pool);
    await member.leave(Promise.resolve());
    await member.start(["PCMU"]);
    await assert.rejects(place(member).worker.request(OPEN), { rule: "no-media" });
    place(member).leave();
    assert.equal(workers.length, 0);
  });

  it("tells what happens to its threads once, to the eldest member", async () => {
    const { member, pool } = setUp();
    const heard: string[] = [];
    const logger = (name: string): Logger => ({
      ...silentLogger,
      error: (text) => heard.push(`${name}: ${text}`),
    });
    const second = join(pool, logger("second"));
    join(pool, logger("third"));
    await member.leave(Promise.resolve());
    await assert.rejects(place(second).worker.request(PLAY));
    assert.equal(heard.length, 1);
    assert.match(heard[0], /^second: The RTP worker ended with code 1; the sound of its calls/);
  });
});
