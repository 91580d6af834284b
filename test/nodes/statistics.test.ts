/**
 * What the media of a call have counted, at its end and in the metrics. Hard cases: the thread that counts hangs, or
 * has died; calls without sound; the end of one call is not kept back by another's.
 */
import assert from "node:assert/strict";
import type { MediaStatistics } from "../../lib/index.js";
import type { FakeSession } from "../support/fake-user-agent.js";
import { adminRequest, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

const COUNTED: MediaStatistics = {
  packetsSent: 500,
  packetsReceived: 490,
  packetsLost: 10,
  jitter: 1.25,
  roundTrip: 12.5,
  concealed: 200,
};

describe("statistics of a call", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(async () => {
    bench = new NodeBench();
    await bench.load([
      stack({ name: 'the "door"' }),
      { id: "in", type: "sip-incoming", stack: "stack" },
      { id: "event", type: "sip-event", stack: "stack", events: ["ended", "failed"] },
    ]);
  });
  afterEach(() => bench.unload());

  const answered = async (): Promise<FakeSession> => {
    const session = bench.userAgent.ring();
    assert.ok(session);
    await bench.settle();
    session.answer();
    await bench.settle();
    bench.clear();
    return session;
  };

  it("come with its end, which waits for them", async () => {
    const session = await answered();
    let resolve: (statistics: MediaStatistics) => void = () => undefined;
    session.statistics = new Promise((done) => (resolve = done));
    session.close("remote-bye");
    await bench.settle();
    assert.deepEqual(bench.order(), []);
    resolve(COUNTED);
    await bench.settle();
    assert.deepEqual(bench.order(), ["in:2", "event:1"]);
    assert.deepEqual(bench.only("in:2").sip.statistics, COUNTED);
    assert.deepEqual(bench.only("event:1").sip.statistics, COUNTED);
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("are not waited for without end", async () => {
    const session = await answered();
    session.statistics = new Promise(() => undefined);
    const other = await answered();
    session.close("remote-bye");
    other.close("local-bye");
    await bench.settle();
    assert.deepEqual(
      bench.of("in:2").map((msg) => msg.payload),
      ["local-bye"],
    );
    bench.clock.advance(1500);
    await bench.settle();
    assert.deepEqual(
      bench.of("in:2").map((msg) => msg.payload),
      ["local-bye", "remote-bye"],
    );
    assert.equal(bench.of("in:2")[1].sip.statistics, undefined);
  });

  it("come to the nodes of a Deploy in between, also when that has replaced the stack", async () => {
    for (const change of [{}, { mediaTimeout: 30 }]) {
      const session = await answered();
      let resolve: (statistics: MediaStatistics) => void = () => undefined;
      session.statistics = new Promise((done) => (resolve = done));
      session.close("remote-bye");
      await bench.settle();
      await bench.deploy([
        stack({ name: 'the "door"', ...change }),
        { id: "in", type: "sip-incoming", stack: "stack" },
        { id: "event", type: "sip-event", stack: "stack", events: ["ended", "failed"] },
      ]);
      assert.deepEqual(bench.order(), []);
      resolve(COUNTED);
      await bench.settle();
      assert.deepEqual(bench.only("in:2").sip.statistics, COUNTED);
      bench.clear();
    }
  });

  it("that never come keep no other call back, however many", async () => {
    const hanging: FakeSession[] = [];
    for (let i = 0; i < 300; i++) {
      const session = await answered();
      session.statistics = new Promise(() => undefined);
      hanging.push(session);
    }
    for (const session of hanging) session.close("remote-bye");
    const other = await answered();
    other.close("local-bye");
    await bench.settle(400);
    assert.deepEqual(
      bench.of("in:2").map((msg) => msg.payload),
      ["local-bye"],
    );
    bench.clock.advance(1500);
    await bench.settle(2000);
    assert.equal(bench.of("in:2").length, 301);
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("are missing where there was no sound, or it was lost", async () => {
    const session = await answered();
    session.statistics = Promise.resolve(undefined);
    session.close("remote-bye");
    const other = await answered();
    other.close("remote-bye");
    await bench.settle();
    for (const msg of bench.of("in:2")) assert.ok(!("statistics" in msg.sip));
    assert.ok(bench.of("in:2").length > 0);
  });

  it("are added up in the metrics", async () => {
    for (let i = 0; i < 2; i++) {
      const session = await answered();
      session.statistics = Promise.resolve(COUNTED);
      session.close("remote-bye");
      await bench.settle();
    }
    await answered();
    const { text, headers } = await adminRequest().get("/sip/metrics").expect(200);
    assert.match(String(headers["content-type"]), /^text\/plain;.* version=0\.0\.4/);
    const stackLabels = 'stack="stack",name="the \\"door\\""';
    for (const line of [
      `sip_stack_up{${stackLabels}} 1`,
      `sip_calls{${stackLabels},direction="incoming",state="established"} 1`,
      `sip_calls{${stackLabels},direction="outgoing",state="established"} 0`,
      `sip_calls_ended_total{${stackLabels},direction="incoming",cause="remote-bye"} 2`,
      `sip_rtp_packets_sent_total{${stackLabels}} 1000`,
      `sip_rtp_packets_lost_total{${stackLabels}} 20`,
      `sip_rtp_concealed_seconds_total{${stackLabels}} 0.4`,
      "# TYPE sip_rtp_packets_sent_total counter",
    ]) {
      assert.ok(text.includes(`${line}\n`), `${line} in\n${text}`);
    }
    for (const line of text.trimEnd().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{.*\} \d+(\.\d+)?)$/);
    }
  });
});
