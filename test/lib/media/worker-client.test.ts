import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { MediaError, silentLogger } from "../../../lib/foundation/index.js";
import { WorkerClient } from "../../../lib/media/worker-client.js";
import { ManualClock } from "../../support/manual-clock.js";

/** A thread that listens, answers `open` with port 1, dies at `play`, and does not answer `close`. */
const SCRIPT = `
  const { parentPort } = require("node:worker_threads");
  parentPort.on("message", (message) => {
    if (message.type === "open") parentPort.postMessage({ type: "reply", id: message.id, result: { port: 1 } });
    if (message.type === "play") throw new Error("boom");
    if (message.type === "shutdown") parentPort.close();
    if (message.type === "digits") parentPort.postMessage({ type: "failure", id: message.id, error: { message: "no", rule: "limit", statusHint: 503 } });
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

function setUp(script = SCRIPT) {
  const clock = new ManualClock();
  let started = 0;
  const client = new WorkerClient({
    clock,
    logger: silentLogger,
    createWorker: () => {
      started += 1;
      // What it throws on purpose is not shown in the output of the tests.
      return new Worker(script, { eval: true, stderr: true });
    },
  });
  return { clock, client, started: () => started };
}

describe("WorkerClient", () => {
  it("starts the thread when it is first needed, once", async () => {
    const { client, started } = setUp();
    assert.equal(started(), 0);
    const replies = await Promise.all([client.request(OPEN), client.request(OPEN)]);
    assert.deepEqual(replies, [{ port: 1 }, { port: 1 }]);
    await client.start();
    assert.equal(started(), 1);
    await client.close();
  });

  it("gives the worker's refusal as MediaError", async () => {
    const { client } = setUp();
    await assert.rejects(
      client.request({
        type: "digits",
        session: 1,
        digits: "1",
        method: "rfc4733",
        duration: 1,
        gap: 1,
      }),
      (error) => error instanceof MediaError && error.rule === "limit" && error.statusHint === 503,
    );
    await client.close();
  });

  it("tells sessions and rejects requests when the thread dies, and starts another for the next", async () => {
    const { client, started } = setUp();
    const lost: string[] = [];
    client.listen(1, { onMessage: () => undefined, onLost: (error) => lost.push(error.message) });
    await client.start();
    const waiting = client.request({ type: "close", session: 1 });
    await assert.rejects(client.request(PLAY), MediaError);
    await assert.rejects(waiting, MediaError);
    assert.equal(lost.length, 1);
    assert.match(lost[0], /worker ended with code 1/);
    assert.deepEqual(await client.request(OPEN), { port: 1 });
    assert.equal(started(), 2);
    await client.close();
  });

  it("does not start a thread that dies again and again, until some time has passed", async () => {
    const { client, clock, started } = setUp();
    for (let i = 0; i < 5; i++) await assert.rejects(client.request(PLAY), MediaError);
    await assert.rejects(
      client.request(OPEN),
      (error) => error instanceof MediaError && /again and again/.test(error.message),
    );
    assert.equal(started(), 5);
    clock.advance(10_001);
    assert.deepEqual(await client.request(OPEN), { port: 1 });
    await client.close();
  });

  it("ends a thread that answers no open any more: its calls hear that it is lost, the next gets another", async () => {
    const hangs = `
      const { parentPort } = require("node:worker_threads");
      parentPort.postMessage({ type: "ready" });
      parentPort.on("message", (message) => {
        if (message.type === "close") parentPort.postMessage({ type: "reply", id: message.id, result: {} });
        if (message.type === "shutdown") parentPort.close();
      });`;
    const { client, clock, started } = setUp(hangs);
    const lost: string[] = [];
    client.listen(1, { onMessage: () => undefined, onLost: (error) => lost.push(error.message) });
    await client.start();
    const opening = assert.rejects(client.request(OPEN), MediaError);
    clock.advance(9_999);
    await client.request({ type: "close", session: 1 });
    assert.equal(client.state, "ready", "it is given its time");
    clock.advance(1_002);
    await opening;
    assert.equal(lost.length, 1);
    assert.equal(client.state, "stopped");
    await client.request({ type: "close", session: 1 });
    assert.equal(started(), 2);
    await client.close();
    assert.equal(clock.pendingTimers(), 0);
  });

  it("gives a thread that is asked while it starts three times as long", async () => {
    const { client, clock } = setUp("setInterval(() => {}, 1000)");
    const opening = assert.rejects(client.request(OPEN), MediaError);
    clock.advance(30_999);
    assert.equal(client.state, "starting");
    clock.advance(2);
    await opening;
    await client.close();
    assert.equal(clock.pendingTimers(), 0);
  });

  it("does not end a thread whose answer came while the own thread was busy", async () => {
    const { client, clock, started } = setUp();
    await client.start();
    const opening = client.request(OPEN);
    clock.advance(10_500);
    assert.deepEqual(await opening, { port: 1 });
    clock.advance(20_000);
    assert.deepEqual(await client.request(OPEN), { port: 1 });
    assert.equal(started(), 1);
    await client.close();
    assert.equal(clock.pendingTimers(), 0);
  });

  it("survives a thread that cannot start", async () => {
    const { client } = setUp("throw new Error('bad')");
    await client.start();
    await assert.rejects(client.request(OPEN), MediaError);
    await client.close();
  });

  it("survives a system that gives no thread", async () => {
    const client = new WorkerClient({
      clock: new ManualClock(),
      logger: silentLogger,
      createWorker: () => {
        throw new Error("EAGAIN");
      },
    });
    await client.start();
    await assert.rejects(client.request(OPEN), /could not be started/);
    assert.equal(client.state, "stopped");
    for (let i = 0; i < 3; i++) await assert.rejects(client.request(OPEN), MediaError);
    assert.ok(client.failing);
    await client.close();
  });

  it("ends a thread that does not end by itself", async () => {
    const { client, clock } = setUp("setInterval(() => {}, 1000)");
    void client.start();
    const closing = client.close();
    clock.advance(2_000);
    await closing;
    assert.equal(clock.pendingTimers(), 0);
  });

  it("refuses everything after close, which may come twice or without a thread", async () => {
    const { client, started } = setUp();
    await client.close();
    await client.close();
    await assert.rejects(client.request(OPEN), MediaError);
    client.post({ type: "shutdown" });
    assert.equal(started(), 0);
  });
});
