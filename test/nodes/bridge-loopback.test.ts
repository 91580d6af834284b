/**
 * sip-bridge over real user agents, real UDP and real sound on 127.0.0.1: the house joins calls of telephones that are nodes
 * of another stack. Each case plays a tone at one end and measures it in a recording at the other.
 */
import assert from "node:assert/strict";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import {
  type FlowEntry,
  type Message,
  NodeBench,
  stack,
  useNodeRed,
} from "../support/node-bench.js";
import { toneAmplitude, toneFrequency, wavOfTone } from "../support/rtp-phone.js";

const here = (id: string, rtp: number, more = {}): FlowEntry =>
  stack(
    {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
      rtpPortMin: rtp,
      rtpPortMax: rtp + 98,
      ...more,
    },
    id,
  );

describe("sip-bridge with the real library", function () {
  this.timeout(30_000);
  beforeEach(onceMoreWhenDisturbed);
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  const running = (id: string): boolean =>
    (bench.node(id) as unknown as { userAgent?: { running: boolean } }).userAgent?.running === true;
  const portOf = (id: string): number => {
    const { userAgent } = bench.node(id) as unknown as {
      userAgent: { bound: { port: number }[] };
    };
    return userAgent.bound[0].port;
  };
  const until = async (condition: () => boolean, limitMs = 8000): Promise<void> => {
    const end = Date.now() + limitMs;
    while (!condition()) {
      if (Date.now() > end) {
        assert.fail(
          `not reached; seen: ${bench.order().join(" ")} ${JSON.stringify(bench.of("caught"))}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  /** The next message of that recorder. */
  const next = async (from: string, act: () => void): Promise<Message> => {
    const before = bench.of(from).length;
    act();
    await until(() => bench.of(from).length > before);
    return bench.of(from)[before];
  };

  const start = async (codecs = "PCMU", more: FlowEntry[] = []): Promise<void> => {
    await bench.loadReal([
      here("house", 21_300, { codecs: "G722,PCMU,PCMA" }),
      here("phones", 21_400, { codecs: "PCMU" }),
      here("others", 21_500, { codecs }),
      { id: "in", type: "sip-incoming", stack: "house" },
      { id: "dial", type: "sip-invite", stack: "house", to: "to", toType: "msg" },
      { id: "join", type: "sip-bridge" },
      { id: "ans", type: "sip-accept" },
      { id: "bye", type: "sip-bye" },
      { id: "change", type: "sip-reinvite" },
      { id: "press", type: "sip-dtmf", gap: 60 },
      { id: "refer", type: "sip-refer", to: "to", toType: "msg" },
      { id: "referred", type: "sip-event", stack: "house", events: "refer", answerWithin: 3000 },
      { id: "follow", type: "sip-accept", follow: true },
      { id: "call", type: "sip-invite", stack: "phones", to: "to", toType: "msg" },
      { id: "rung", type: "sip-incoming", stack: "others" },
      { id: "early", type: "sip-progress", statusCode: 183, earlyMedia: true },
      { id: "play", type: "sip-play" },
      { id: "rec", type: "sip-record", maxDuration: 0.6, terminator: "" },
      { id: "keys", type: "sip-event", stack: "others", events: "dtmf" },
      ...more,
    ]);
    for (const id of ["house", "phones", "others"]) await until(() => running(id));
  };

  interface Leg {
    /** At the house, and at the telephone. */
    readonly here: Message;
    readonly there: Message;
  }
  /** A telephone calls the house. */
  const comesIn = async (more = {}): Promise<Leg> => {
    const ringing = await next("in:1", () =>
      bench.send("call", { to: `sip:house@127.0.0.1:${portOf("house")}`, ...more }),
    );
    const there = next("call:1", () => undefined);
    const here = await next("ans:1", () => bench.send("ans", ringing));
    return { here, there: await there };
  };
  /** The house calls a telephone, which rings. */
  const rings = (): Promise<Message> =>
    next("rung:1", () => bench.send("dial", { to: `sip:phone@127.0.0.1:${portOf("others")}` }));
  const goesOut = async (): Promise<Leg> => {
    const ringing = await rings();
    const here = next("dial:1", () => undefined);
    const there = await next("ans:1", () => bench.send("ans", ringing));
    return { here: await here, there };
  };
  const join = (a: Leg, b: Leg, options = {}): Promise<Message> =>
    next("join:1", () =>
      bench.send("join", {
        options,
        sip: { session: a.here.sip.session, peer: b.here.sip.session },
      }),
    );
  /** A tone at one end is heard at the other. */
  const hears = async (listener: Message, speaker: Message, hz: number): Promise<void> => {
    const { session } = speaker.sip;
    bench.send("play", { payload: wavOfTone(hz, 1400, { amplitude: 8000 }), sip: { session } });
    await new Promise((resolve) => setTimeout(resolve, 350));
    const { payload } = await next("rec:1", () =>
      bench.send("rec", { sip: { session: listener.sip.session } }),
    );
    const wav: Buffer = payload;
    const samples = Int16Array.from({ length: (wav.length - 44) / 2 }, (_, i) =>
      wav.readInt16LE(44 + 2 * i),
    );
    const judged = samples.slice(samples.length / 3);
    const rate = wav.readUInt32LE(24);
    const found = toneFrequency(judged, rate);
    assert.ok(Math.abs(found - hz) < hz / 100, `${found} Hz instead of ${hz}`);
    const level = 20 * Math.log10(toneAmplitude(judged, hz, rate) / 8000);
    assert.ok(Math.abs(level) < 1, `${level} dB`);
    bench.send("play", { control: "stop", options: { all: true }, sip: { session } });
  };

  for (const codecs of ["PCMU", "G722"]) {
    it(`joins two calls (PCMU and ${codecs}): sound, keys, a hold, and the end of one ends both`, async () => {
      await start(codecs);
      const [a, b] = [await comesIn(), await goesOut()];
      await join(a, b);
      await hears(b.there, a.there, 440);
      await hears(a.there, b.there, 700);
      const key = await next("keys:1", () =>
        bench.send("press", { payload: "5", sip: { session: a.there.sip.session } }),
      );
      assert.equal(key.payload, "5");
      const change = (action: string): Promise<Message> =>
        next("change:1", () =>
          bench.send("change", { options: { action }, sip: { session: a.there.sip.session } }),
        );
      await change("hold");
      await change("resume");
      await hears(b.there, a.there, 440);
      const ended = await next("join:2", () => bench.send("bye", { sip: b.there.sip }));
      assert.equal(ended.sip.session, b.here.sip.session);
      assert.equal(ended.payload, "remote-bye");
      await until(() => bench.of("call:4").length === 1 && bench.of("rung:2").length === 1);
      assert.deepEqual(bench.of("caught"), []);
    });
  }

  it("ends what plays and streams in both calls, and is covered by what is played later", async () => {
    await start("PCMU", [{ id: "live", type: "sip-stream" }]);
    const [a, b] = [await comesIn(), await goesOut()];
    bench.send("play", { payload: "tone:dial", sip: { session: a.here.sip.session } });
    bench.send("live", { control: "start", sip: { session: b.here.sip.session } });
    await until(() => bench.of("live:1").length > 5);
    await join(a, b);
    await until(() => bench.of("play:1").length === 1 && bench.of("live:3").length === 1);
    assert.equal(bench.only("play:1").payload, "stopped");
    assert.equal(bench.only("live:3").topic, "stopped");
    await hears(b.there, b.here, 600);
    await hears(b.there, a.there, 440);
    assert.deepEqual(bench.of("caught"), []);
  });

  it("joins a call that only rings, with early sound, and stays when it is answered", async () => {
    await start();
    const a = await comesIn();
    const ringing = await rings();
    const progress = await next("dial:2", () => bench.send("early", ringing));
    const b: Leg = { here: progress, there: ringing };
    while (bench.of("dial:2").at(-1).sip.statusCode !== 183) await next("dial:2", () => undefined);
    await join(a, b);
    await hears(a.there, b.there, 440);
    await next("ans:1", () => bench.send("ans", ringing));
    await hears(a.there, b.there, 500);
    await hears(b.there, a.there, 700);
    await next("join:2", () => bench.send("bye", { sip: a.there.sip }));
    await until(() => bench.of("rung:2").length === 1);
    assert.deepEqual(bench.of("caught"), []);
  });

  it("moves to the call that takes a leg's place (Replaces)", async () => {
    await start();
    const [a, b] = [await comesIn(), await goesOut()];
    await join(a, b);
    const { callId, localTag, remoteTag } = a.there.sip;
    const replaces = { callId, toTag: remoteTag, fromTag: localTag };
    const heir = await comesIn({ options: { replaces } });
    assert.equal(heir.here.sip.replaces, a.here.sip.session);
    await until(() => bench.of("in:2").length === 1);
    assert.equal(bench.only("in:2").payload, "replaced");
    await hears(b.there, heir.there, 440);
    await hears(heir.there, b.there, 700);
    assert.deepEqual(bench.of("join:2"), []);
    const ended = await next("join:2", () => bench.send("bye", { sip: b.there.sip }));
    assert.equal(ended.sip.peer, heir.here.sip.session);
    await until(() => bench.of("call:4").length === 2);
  });

  it("moves to the call of a REFER that the flow follows", async () => {
    await start();
    const [a, b] = [await comesIn(), await goesOut()];
    await join(a, b);
    const refer = await next("referred:1", () =>
      bench.send("refer", {
        to: `sip:third@127.0.0.1:${portOf("others")}`,
        sip: { session: a.there.sip.session },
      }),
    );
    const ringing = await next("rung:1", () => bench.send("follow", refer));
    const followed = next("follow:1", () => undefined);
    const third = await next("ans:1", () => bench.send("ans", ringing));
    assert.equal((await followed).sip.peer, a.here.sip.session);
    await until(() => bench.of("call:4").length === 1);
    await hears(b.there, third, 440);
    await hears(third, b.there, 700);
    assert.deepEqual(bench.of("join:2"), []);
    const ended = await next("join:2", () => bench.send("bye", { sip: third.sip }));
    assert.equal(ended.sip.session, (await followed).sip.session);
    assert.equal(ended.sip.peer, b.here.sip.session);
    await until(() => bench.of("rung:2").length === 2);
  });

  it("lets the sound flow directly, and has it back when it is stopped", async () => {
    await start();
    const [a, b] = [await comesIn(), await goesOut()];
    await join(a, b, { mode: "signaling" });
    await hears(b.there, a.there, 440);
    await hears(a.there, b.there, 700);
    // Nothing of it is here.
    bench.send("play", { payload: "tone:beep", sip: { session: a.here.sip.session } });
    await until(() => bench.of("caught").length === 1);
    assert.equal(bench.only("caught").error.code, "no-media");
    await next("join:2", () =>
      bench.send("join", { control: "stop", sip: { session: a.here.sip.session } }),
    );
    await hears(a.there, a.here, 600);
    await hears(b.here, b.there, 500);
    await join(a, b);
    await hears(b.there, a.there, 440);
  });
});
