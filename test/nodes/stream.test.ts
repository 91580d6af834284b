/**
 * sip-stream (contract §4.7). Hard cases: sound that comes while the stream opens, or starts it; a stop and new sound
 * in one breath; hang-up in mid-stream with marks waiting; a newer source; a deploy that removes the node; a flow that
 * does not keep up.
 */
import assert from "node:assert/strict";
import { MediaError } from "../../lib/index.js";
import type { FakeAudio, FakeSession, FakeStream } from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

const PCM = { format: "pcm16", sampleRate: 8000, frame: 20 };

describe("sip-stream", () => {
  useNodeRed();
  let bench: NodeBench;
  let session: FakeSession;
  let flow: FlowEntry[];
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  const established = async (...nodes: FlowEntry[]): Promise<void> => {
    flow = [stack(), { id: "in", type: "sip-incoming", stack: "stack" }, ...nodes];
    await bench.load(flow);
    const rung = bench.userAgent.ring();
    assert.ok(rung);
    session = rung;
    await bench.settle();
    session.answer();
    await bench.settle();
    bench.clear();
  };
  const node = (more = {}): FlowEntry => ({ id: "live", type: "sip-stream", ...more });
  const audio = (): FakeAudio => session.fakeAudio as FakeAudio;
  const to = (id: string, msg: Record<string, unknown> = {}): Promise<void> =>
    bench.input(id, { ...msg, sip: { session: session.id } });
  const streaming = (count = 1): FakeStream => {
    assert.equal(audio().streams.length, count, JSON.stringify(bench.recorded));
    return audio().streams[count - 1];
  };

  it("starts with any message, with the defaults of the contract, and sends frames", async () => {
    await established(node());
    await to("live", { _msgid: "m1", keep: { mine: [1] }, payload: "gone", topic: "old" });
    const stream = streaming();
    assert.deepEqual(stream.options, PCM);
    stream.hear(Buffer.from([1, 2]));
    stream.hear(Buffer.from([3, 4]));
    await bench.settle();
    const messages = bench.of("live:1");
    assert.deepEqual(messages, [
      {
        _msgid: "m1",
        keep: { mine: [1] },
        topic: "audio",
        payload: Buffer.from([1, 2]),
        sip: { session: session.id, event: "audio", sequence: 0, timestamp: 0 },
      },
      {
        _msgid: "m1",
        keep: { mine: [1] },
        topic: "audio",
        payload: Buffer.from([3, 4]),
        sip: { session: session.id, event: "audio", sequence: 1, timestamp: 20 },
      },
    ]);
    assert.notEqual(messages[0].keep, messages[1].keep);
    assert.deepEqual(bench.order(), ["live:1", "live:1"]);
  });

  it("carries nothing in msg.sip of its frames, neither peer nor request", async () => {
    await established(node());
    await bench.input("live", { sip: { session: session.id, peer: "p", request: "r", data: {} } });
    streaming().hear(Buffer.alloc(2));
    await bench.settle();
    const { sip } = bench.only("live:1");
    assert.deepEqual(Object.keys(sip), ["session", "event", "sequence", "timestamp"]);
  });

  it("takes format, rate and frame from its properties and from msg.options", async () => {
    await established(
      node({ format: "mulaw", sampleRate: "16000", frame: "60" }),
      node({ id: "other" }),
    );
    await to("live");
    assert.deepEqual(streaming().options, { format: "mulaw", sampleRate: 16_000, frame: 60 });
    await to("other", { options: { sampleRate: 48_000, frame: 12.5 } });
    assert.deepEqual(streaming(2).options, { format: "pcm16", sampleRate: 48_000, frame: 12.5 });
  });

  for (const options of [
    { format: "opus" },
    { sampleRate: 11_025 },
    { sampleRate: "fast" },
    { frame: 5 },
    { frame: 5000 },
    { frame: 10.01 },
  ]) {
    it(`refuses ${JSON.stringify(options)} with bad-option`, async () => {
      await established(node());
      await to("live", { options });
      assert.equal(bench.only("caught").error.code, "bad-option");
      assert.equal(audio().streams.length, 0);
    });
  }

  it("says what Buffers hold; the first starts the stream and gets the frames", async () => {
    await established(node());
    await to("live", { payload: Buffer.from([1, 2]), first: true });
    await to("live", { payload: Buffer.from([3]) });
    await to("live", { payload: Buffer.alloc(0) });
    assert.deepEqual(streaming().calls, ["0102", "03", ""]);
    // The first waits as the start message; the others have done their work.
    assert.deepEqual(bench.order(), ["completed", "completed"]);
    streaming().hear(Buffer.alloc(2));
    await bench.settle();
    assert.equal(bench.only("live:1").first, true);
  });

  it("says in order what comes while it opens, unharmed by what the flow does to it", async () => {
    await established(node());
    let open: () => void = () => undefined;
    audio().opening = new Promise((resolve) => (open = resolve));
    await to("live");
    const sound = Buffer.from([1]);
    await to("live", { payload: sound });
    sound.fill(9);
    await to("live", { payload: Buffer.from([2]) });
    await to("live", { control: "clear" });
    await to("live", { control: "mark" });
    await to("live", { payload: Buffer.from([3]) });
    open();
    await bench.settle();
    assert.deepEqual(streaming().calls, ["01", "02", "clear", "mark", "03"]);
    assert.equal(bench.of("completed").length, 4);
  });

  it("does nothing when it is started again, and asks for no second frame", async () => {
    await established(node());
    await to("live", { n: 1 });
    await to("live", { n: 2 });
    await to("live", { n: 3, control: "start", payload: Buffer.from([1]) });
    assert.deepEqual(streaming().calls, []);
    assert.deepEqual(bench.order(), ["completed", "completed"]);
    streaming().hear(Buffer.alloc(2));
    await bench.settle();
    assert.equal(bench.only("live:1").n, 1);
  });

  it("stop sends the start message to control, and new sound starts a new stream", async () => {
    await established(node());
    await to("live", { n: 1 });
    const first = streaming();
    bench.send("live", { control: "stop", sip: { session: session.id } });
    await to("live", { n: 2, payload: Buffer.from([7]) });
    assert.deepEqual(first.calls, ["stop"]);
    assert.deepEqual(streaming(2).calls, ["07"]);
    const msg = bench.only("live:3");
    assert.deepEqual([msg.topic, msg.payload, msg.n], ["stopped", "stopped", 1]);
    assert.equal(msg.sip.state, "established");
    assert.equal(msg.sip.event, "stopped");
    // Frames that were on their way come to nobody.
    first.hear(Buffer.alloc(2));
    await bench.settle();
    assert.deepEqual(bench.of("live:1"), []);
    assert.deepEqual(bench.order().sort(), ["completed", "completed", "live:3"]);
  });

  it("stop, clear and stop again of nothing are done, a mark of nothing comes out at once", async () => {
    await established(node());
    await to("live", { control: "stop" });
    await to("live", { control: "clear" });
    assert.deepEqual(bench.order(), ["completed", "completed"]);
    await to("live", { control: "mark", name: "a" });
    const msg = bench.only("live:3");
    assert.deepEqual([msg.topic, msg.payload, msg.name], ["mark", 0, "a"]);
    assert.equal("control" in msg, false);
    assert.equal(audio().streams.length, 0);
  });

  it("marks come out in their time, each with what was heard, and clear lets them go", async () => {
    await established(node());
    await to("live");
    await to("live", { control: "mark", name: "a" });
    await to("live", { control: "mark", name: "b" });
    await to("live", { control: "clear" });
    assert.deepEqual(bench.of("live:3"), []);
    streaming().marks[0](120);
    streaming().marks[1](250);
    await bench.settle();
    assert.deepEqual(
      bench.of("live:3").map(({ topic, payload, name }) => [topic, payload, name]),
      [
        ["mark", 120, "a"],
        ["mark", 250, "b"],
      ],
    );
    assert.equal(bench.of("live:3")[0].sip.event, "mark");
  });

  it("refuses words that it does not know, and more marks than a flow can mean", async () => {
    await established(node());
    for (const control of ["pause", "resume", "rewind", 7]) await to("live", { control });
    assert.deepEqual(
      bench.of("caught").map(({ error }) => error.code),
      ["bad-control", "bad-control", "bad-control", "bad-control"],
    );
    bench.clear();
    await to("live");
    for (let i = 0; i < 1001; i++) {
      bench.send("live", { control: "mark", sip: { session: session.id } });
    }
    await bench.settle(200);
    assert.equal(bench.only("caught").error.code, "limit");
  });

  it("a newer play or stream ends it, by control; one node's control is not another's", async () => {
    await established(node(), node({ id: "two" }), { id: "play", type: "sip-play" });
    await to("live", { n: 1 });
    await to("two", { n: 2 });
    assert.equal(bench.only("live:3").n, 1);
    await to("live", { control: "stop" });
    await to("live", { control: "clear" });
    assert.deepEqual(streaming(2).calls, []);
    await to("play", { payload: "tone:beep" });
    assert.equal(bench.only("two:3").n, 2);
    await to("two", { n: 3, payload: Buffer.from([1]) });
    assert.equal(bench.only("play:1").payload, "stopped");
    assert.deepEqual(streaming(3).calls, ["01"]);
  });

  it("with options.all stop ends every source of the call, from either node", async () => {
    await established(node(), { id: "play", type: "sip-play" });
    await to("play", { payload: "tone:ring", options: { background: true } });
    await to("live");
    await to("live", { control: "stop", options: { all: true } });
    assert.deepEqual(streaming().calls, ["stop"]);
    assert.deepEqual(audio().last.calls, ["stop"]);
    await to("live");
    await to("play", { control: "stop", options: { all: true } });
    assert.deepEqual(streaming(2).calls, ["stop"]);
  });

  it("a call that ends takes the start message and the waiting marks to ended", async () => {
    await established(node());
    await to("live", { n: 1 });
    await to("live", { control: "mark", n: 2 });
    const stream = streaming();
    stream.hear(Buffer.alloc(2));
    session.close("remote-bye");
    for (const mark of stream.marks) mark(5);
    stream.hear(Buffer.alloc(2));
    await bench.settle();
    assert.deepEqual(
      bench.order().filter((from) => from !== "completed"),
      ["live:1", "live:2", "live:2", "in:2"],
    );
    assert.deepEqual(
      bench.of("live:2").map(({ n, topic, payload, sip }) => [n, topic, payload, sip.cause]),
      [
        [1, "ended", "remote-bye", "remote-bye"],
        [2, "ended", "remote-bye", "remote-bye"],
      ],
    );
    assert.equal(bench.of("completed").length, 2);
  });

  it("in a call that is over everything but stop and clear goes to ended, silently", async () => {
    await established(node());
    session.close("remote-bye");
    await bench.settle();
    bench.clear();
    await to("live");
    await to("live", { payload: Buffer.alloc(320) });
    await to("live", { control: "mark" });
    assert.deepEqual(
      bench.of("live:2").map(({ topic, sip }) => [topic, sip.cause]),
      new Array(3).fill(["ended", "no-session"]),
    );
    bench.clear();
    await to("live", { control: "stop" });
    await to("live", { control: "clear" });
    assert.deepEqual(bench.order(), ["completed", "completed"]);
    bench.clear();
    await bench.input("live", { payload: Buffer.alloc(2) });
    assert.equal(bench.only("caught").error.code, "no-handle");
  });

  it("tells what went wrong: no sound yet, a stream that broke off", async () => {
    await established(node());
    audio().ready = false;
    await to("live");
    assert.equal(bench.only("caught").error.code, "no-media");
    bench.clear();
    audio().ready = true;
    audio().error = new MediaError("gone", { rule: "no-session" });
    await to("live", { payload: Buffer.from([1]) });
    assert.equal(bench.only("caught").error.code, "no-session");
    bench.clear();
    audio().error = undefined;
    await to("live");
    streaming().finish("failed");
    await bench.settle();
    assert.equal(bench.only("caught").error.code, "media-failed");
    await to("live");
    streaming(2);
  });

  it("goes on through a deploy, and is stopped when its node is gone", async () => {
    await established(node());
    await to("live", { n: 1 });
    await bench.deploy(undefined);
    streaming().hear(Buffer.from([1, 2]));
    await to("live", { payload: Buffer.from([3]) });
    assert.equal(bench.only("live:1").n, 1);
    assert.deepEqual(streaming().calls, ["03"]);
    await bench.deploy(flow.filter(({ id }) => id !== "live"));
    assert.deepEqual(streaming().calls, ["03", "stop"]);
    assert.equal(session.state, "established");
  });

  it("leaves out frames that a flow does not fetch for ten seconds, and goes on then", async () => {
    await established(node());
    await to("live");
    for (let i = 0; i < 600; i++) streaming().hear(Buffer.alloc(2));
    await bench.settle(600);
    assert.equal(bench.of("live:1").length, 500);
    streaming().hear(Buffer.alloc(2));
    await bench.settle();
    assert.equal(bench.of("live:1").at(-1).sip.sequence, 600);
  });

  it("merges data of sound that comes for the call", async () => {
    await established(node());
    await bench.input("live", { sip: { session: session.id, data: { turn: 1 } } });
    await bench.input("live", {
      payload: Buffer.alloc(2),
      sip: { session: session.id, data: { turn: 2 } },
    });
    assert.deepEqual(session.data, { turn: 2 });
  });
});
