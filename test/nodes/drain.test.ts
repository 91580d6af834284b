/** Draining a stack: by request, through deploys and failures; what nodes, the admin interface and the figures say of it. */
import assert from "node:assert/strict";
import { EventLoopLag } from "../../nodes/shared/event-loop-lag.js";
import { adminRequest, NodeBench, stack, useNodeRed } from "../support/node-bench.js";
import { ManualClock } from "../support/manual-clock.js";

interface ShownStack {
  readonly draining: boolean;
  readonly calls: number;
}

describe("draining a stack", () => {
  useNodeRed();
  let bench: NodeBench;

  const flow = (properties: Record<string, unknown> = {}) => [
    stack(properties),
    { id: "in", type: "sip-incoming", stack: "stack" },
    { id: "event", type: "sip-event", stack: "stack", events: ["registered"] },
  ];

  beforeEach(async () => {
    bench = new NodeBench();
    await bench.load(flow());
  });
  afterEach(() => bench.unload());

  const drain = () => adminRequest().post("/sip/stacks/stack/drain");
  const shown = async (): Promise<ShownStack> => {
    const { body } = await adminRequest().get("/sip/stacks").expect(200);
    const [{ draining, calls }] = body as [ShownStack];
    return { draining, calls };
  };
  const status = (id: string) => bench.statuses(id).at(-1);

  it("is told to the user agent, and shown by nodes, list and figures until it is undone", async () => {
    assert.deepEqual(await shown(), { draining: false, calls: 0 });
    const session = bench.userAgent.ring();
    assert.ok(session);
    await bench.settle();
    const answer = await drain().expect(202);
    assert.deepEqual([answer.body.draining, answer.body.calls], [true, 1]);
    await drain().expect(202);
    assert.deepEqual(bench.userAgent.log, ["start", "drain draining"]);
    assert.deepEqual(await shown(), { draining: true, calls: 1 });
    const { text } = await adminRequest().get("/sip/metrics").expect(200);
    assert.match(text, /^sip_stack_draining\{.*\} 1$/m);
    session.close("remote-bye");
    await bench.settle();
    await adminRequest().delete("/sip/stacks/stack/drain").expect(202);
    assert.deepEqual(await shown(), { draining: false, calls: 0 });
    assert.equal(bench.userAgent.log.at(-1), "drain none");
  });

  it("shows the number of calls that are left, then that none is", async () => {
    await drain().expect(202);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    assert.deepEqual(status("event"), { fill: "yellow", shape: "ring", text: "drained" });
  });

  it("goes on through a deploy that leaves the stack as it is, and ends with one that changes it", async () => {
    await drain().expect(202);
    await bench.deploy(flow());
    assert.equal((await shown()).draining, true);
    await bench.deploy(flow({ maxSessions: 5 }));
    assert.equal((await shown()).draining, false);
  });

  it("of a stack that cannot start yet begins when it has started", async () => {
    bench.onCreate = (userAgent) => {
      if (bench.userAgents.length < 3) userAgent.startError = new Error("port in use");
    };
    await bench.deploy(flow({ maxSessions: 7 }));
    await drain().expect(202);
    assert.deepEqual(bench.userAgent.log, ["start", "stop"]);
    assert.equal((await shown()).draining, true);
    // The next attempt is its own, one second later.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    assert.deepEqual(bench.userAgent.log, ["start", "drain drained"]);
  });

  it("of a stack that does not exist is 404", async () => {
    await adminRequest().post("/sip/stacks/nobody/drain").expect(404);
    await adminRequest().delete("/sip/stacks/nobody/drain").expect(404);
  });
});

describe("the delay of the event loop", () => {
  it("is the longest of the last 5 s", () => {
    let now = 0;
    let due: (() => void) | undefined;
    const clock = new ManualClock();
    const lag = new EventLoopLag(() => ({
      now: () => now,
      wallTime: () => now,
      defer: (callback) => clock.defer(callback),
      setTimer: (_delayMs, callback) => {
        due = callback;
        return { cancel: () => undefined };
      },
    }));
    const passes = (ms: number): void => {
      now += ms;
      due?.();
    };
    assert.equal(lag.now(), 0);
    for (const ms of [503, 540, 501]) passes(ms);
    assert.equal(lag.now(), 40);
    for (let i = 0; i < 9; i++) passes(502);
    assert.equal(lag.now(), 2);
  });

  it("is measured only while somebody asks", () => {
    const clock = new ManualClock();
    const lag = new EventLoopLag(() => clock);
    assert.equal(lag.now(), 0);
    assert.equal(clock.pendingTimers(), 1);
    for (let i = 0; i < 20; i++) clock.advance(500);
    assert.equal(lag.now(), 0);
    for (let i = 0; i < 40; i++) clock.advance(500);
    assert.equal(clock.pendingTimers(), 0);
  });
});
