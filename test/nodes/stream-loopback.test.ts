/**
 * sip-stream with the real library and a foreign phone on loopback: how long a word takes from the caller to the flow
 * and back, and how soon a caller who talks has silence. Counted in packets of the call, not on a clock.
 */
import assert from "node:assert/strict";
import { audioCodec } from "../../lib/media/codec/codecs.js";
import { onceMoreWhenDisturbed } from "../support/disturbance.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";
import { type PhoneCall, RawPhone } from "../support/raw-phone.js";
import { pause, RtpPhone, toneAmplitude } from "../support/rtp-phone.js";

const PACKET_MS = 20;
const WORDS = 8;
const LONGEST_MS = 150;

interface Talk {
  readonly phone: RtpPhone;
  readonly signalling: RawPhone;
  readonly call: PhoneCall;
  readonly session: string;
}

describe("sip-stream on loopback", function () {
  this.timeout(30_000);
  beforeEach(onceMoreWhenDisturbed);
  useNodeRed();
  let bench: NodeBench;
  const talks: Talk[] = [];
  /** Of the first call. */
  let phone: RtpPhone;
  let session: string;
  /** Of the silence that the phone sends, in the codec of the call. */
  let payloadType = 0;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(async () => {
    for (const { signalling, call, phone: rtp } of talks.splice(0)) {
      signalling.request(call, "BYE");
      await signalling.wait((heard) => heard.get("cseq").endsWith(" BYE"), "the end");
      signalling.close();
      await rtp.close();
    }
    await bench.unload();
  });

  const until = async (condition: () => boolean, what: string): Promise<void> => {
    if (await phone.until(condition, 10_000)) return;
    assert.fail(`${what} did not come; seen: ${[...new Set(bench.order())].join(" ")}`);
  };

  /** Another call of a foreign phone that is up. */
  const dial = async (codec = { payloadType: 0, name: "PCMU/8000" }): Promise<Talk> => {
    const rtp = await RtpPhone.open();
    const { userAgent } = bench.node("stack") as unknown as {
      userAgent: { running: boolean; bound: { port: number }[] };
    };
    while (!userAgent.running) await bench.settle();
    const signalling = await RawPhone.open(userAgent.bound[0].port);
    const offer = rtp
      .description()
      .replace("RTP/AVP 0", `RTP/AVP ${codec.payloadType}`)
      .replace("a=rtpmap:0 PCMU/8000", `a=rtpmap:${codec.payloadType} ${codec.name}`);
    const call = signalling.invite("desk", { body: offer });
    const before = bench.of("in:1").length;
    while (bench.of("in:1").length === before) await bench.settle();
    bench.send("ans", bench.of("in:1")[before]);
    rtp.connectTo((await signalling.final(call)).body);
    while (bench.of("ans:1").length === before) await bench.settle();
    const talk = { signalling, call, phone: rtp, session: bench.of("ans:1")[before].sip.session };
    talks.push(talk);
    assert.ok(await rtp.until(() => rtp.packets.length > 2));
    return talk;
  };

  /** A call of the phone that is up, and the stream of node `live` in it. */
  const streaming = async (
    live: Partial<FlowEntry>,
    codec = { payloadType: 0, name: "PCMU/8000" },
  ): Promise<void> => {
    payloadType = codec.payloadType;
    await bench.loadReal([
      stack({
        transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
        rtpPortMin: 22_200,
        rtpPortMax: 22_298,
      }),
      { id: "in", type: "sip-incoming", stack: "stack" },
      { id: "ans", type: "sip-accept" },
      { id: "join", type: "sip-bridge" },
      { ...live, id: "live", type: "sip-stream" },
    ]);
    ({ phone, session } = await dial(codec));
    bench.send("live", { sip: { session } });
  };

  /**
   * The phone sends a packet for each that comes, one in 25 of them a word.
   *
   * Counts how many packets pass between each word and its echo, until eight in a row took less than 150 ms: a busy
   * machine may hold up the first.
   */
  const delays = async (
    said: (speaks: boolean) => Buffer,
    loud: (payload: Buffer) => boolean,
  ): Promise<void> => {
    const waits: number[] = [];
    let seen = phone.packets.length;
    let since: number | undefined;
    let sent = 0;
    const timer = setInterval(() => {
      for (; seen < phone.packets.length; seen++) {
        const isLoud = loud(phone.packets[seen].payload);
        if (since !== undefined) since += 1;
        if (since !== undefined && isLoud) {
          waits.push(since);
          since = undefined;
        }
        const speaks = ++sent > 25 && sent % 25 === 0;
        if (speaks) since = 0;
        phone.send(payloadType, said(speaks), { timestamp: phone.timestamp });
        phone.timestamp = (phone.timestamp + 160) >>> 0;
      }
    }, 2);
    const inTime = (): boolean =>
      waits.length >= WORDS && Math.max(...waits.slice(-WORDS)) * PACKET_MS < LONGEST_MS;
    await phone.until(inTime, 20_000);
    clearInterval(timer);
    assert.ok(inTime(), `${waits.join(" ")} packets`);
  };

  const echo = { wires: [["live", "live:1"], ["live:2"], ["live:3"]] };

  it("brings a word through the flow and back in less than 150 ms", async () => {
    await streaming(echo);
    const silence = Buffer.alloc(160, 0xff);
    const word = Buffer.alloc(160, 0x10);
    const loud = (payload: Buffer): boolean => !payload.equals(silence);
    await delays((speaks) => (speaks ? word : silence), loud);
    assert.deepEqual(bench.of("caught"), []);
  });

  it("does so with G.722 and a model's 24 kHz, too", async () => {
    await streaming({ ...echo, sampleRate: 24_000 }, { payloadType: 9, name: "G722/8000" });
    const encoder = audioCodec("G722")?.createEncoder(undefined);
    assert.ok(encoder);
    const word = Int16Array.from({ length: 320 }, (_, i) => 12_000 * Math.sin(i / 4));
    const said = (speaks: boolean): Buffer => {
      const payload = Buffer.alloc(160);
      encoder.encode(speaks ? word : new Int16Array(320), 320, payload, 0);
      return payload;
    };
    const decoder = audioCodec("G722")?.createDecoder();
    const heard = new Int16Array(320);
    const loud = (payload: Buffer): boolean => {
      decoder?.decode(payload, 0, payload.length, heard);
      return heard.some((sample) => Math.abs(sample) > 3000);
    };
    await delays(said, loud);
  });

  it("is silent for a caller who interrupts: the flow hears him and clears", async () => {
    await streaming({});
    const speech = Buffer.alloc(8000 * 2 * 20, 0x22);
    bench.send("live", { payload: speech, sip: { session } });
    const quiet = phone.packets[0].payload;
    const speaks = (): boolean => !phone.packets.at(-1)?.payload.equals(quiet);
    await until(speaks, "speech");
    bench.send("live", { control: "mark", name: "sentence", sip: { session } });
    let heard = 0;
    const listener = setInterval(() => {
      const frames = bench.of("live:1");
      for (; heard < frames.length; heard++) {
        const { payload } = frames[heard] as { payload: Buffer };
        if (Math.abs(payload.readInt16LE(100)) < 1000) continue;
        clearInterval(listener);
        bench.send("live", { control: "clear", sip: { session } });
        return;
      }
    }, 1);
    const talkedAt = phone.packets.length;
    phone.speak(440);
    await until(() => !speaks(), "silence");
    const waited = phone.packets.length - talkedAt;
    assert.ok(waited * PACKET_MS < LONGEST_MS, `${waited} packets`);
    await until(() => bench.of("live:3").length > 0, "the mark");
    const { topic, payload, name } = bench.only("live:3");
    assert.deepEqual([topic, name], ["mark", "sentence"]);
    assert.ok(payload > 0 && payload < 2000, `${payload} ms`);
  });

  it("ends with the call while it speaks", async () => {
    await streaming({ wires: [[], ["live:2"], ["live:3"]] });
    bench.send("live", { payload: Buffer.alloc(160_000, 0x22), sip: { session } });
    bench.send("live", { control: "mark", sip: { session } });
    await until(() => phone.packets.length > 20, "sound");
    const [{ signalling, call }] = talks;
    signalling.request(call, "BYE");
    await until(() => bench.of("in:2").length > 0, "the end");
    assert.deepEqual(
      bench.order().filter((from) => /^(live|in):[23]$/.test(from)),
      ["live:2", "live:2", "in:2"],
    );
    assert.deepEqual(bench.of("caught"), []);
  });

  it("lets its marks go before it has stopped", async () => {
    await streaming({});
    bench.send("live", { payload: Buffer.alloc(160_000, 0x22), sip: { session } });
    bench.send("live", { control: "mark", sip: { session } });
    await until(() => phone.packets.length > 20, "sound");
    bench.send("live", { control: "stop", sip: { session } });
    await until(() => bench.of("live:3").length === 2, "the end");
    assert.deepEqual(
      bench.of("live:3").map(({ topic }) => topic),
      ["mark", "stopped"],
    );
    const frames = bench.of("live:1").length;
    await pause(100);
    assert.equal(bench.of("live:1").length, frames);
  });

  it("is ended by a new bridge, hears a bridge when it is newer, and covers it while it speaks", async () => {
    await streaming({});
    const second = await dial();
    await until(() => bench.of("live:1").length > 3, "frames");
    bench.send("join", { sip: { session, peer: second.session } });
    await until(() => bench.of("join:1").length === 1, "the bridge");
    await until(() => bench.of("live:3").length === 1, "the end of the stream");
    assert.equal(bench.only("live:3").topic, "stopped");
    bench.send("live", { sip: { session } });
    // Whole cycles in each packet.
    phone.speak(400);
    second.phone.speak(1000);
    const before = bench.of("live:1").length;
    await until(() => bench.of("live:1").length >= before + 60, "frames");
    const heard = (from: RtpPhone, packets: number, frequency: number): number =>
      toneAmplitude(from.samples().slice(-160 * packets), frequency);
    // The two talk with each other, and the flow hears its own caller.
    assert.ok(heard(phone, 20, 1000) > 4000);
    assert.ok(heard(second.phone, 20, 400) > 4000);
    const frames = bench.of("live:1").slice(-20) as { payload: Buffer }[];
    const bytes = Buffer.concat(frames.map(({ payload }) => payload));
    const samples = Int16Array.from({ length: bytes.length / 2 }, (_, i) =>
      bytes.readInt16LE(i * 2),
    );
    assert.ok(toneAmplitude(samples, 400) > 4000);
    bench.send("live", { payload: Buffer.alloc(16_000), sip: { session } });
    bench.send("live", { control: "mark", sip: { session } });
    await pause(600);
    assert.ok(heard(phone, 20, 1000) < 100);
    assert.ok(heard(second.phone, 20, 400) > 4000);
    await until(() => bench.of("live:3").length === 2, "the mark");
    await pause(600);
    assert.ok(heard(phone, 20, 1000) > 4000);
    assert.deepEqual(bench.of("caught"), []);
  });
});
