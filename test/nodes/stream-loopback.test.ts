/**
 * sip-stream with the real library and a foreign phone on loopback: how long a word takes from the caller to the flow
 * and back, and how soon a caller who talks has silence. Counted in packets of the call, not on a clock.
 */
import assert from "node:assert/strict";
import { audioCodec } from "../../lib/media/codec/codecs.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";
import { type PhoneCall, RawPhone } from "../support/raw-phone.js";
import { RtpPhone } from "../support/rtp-phone.js";

const PACKET_MS = 20;
const WORDS = 8;

describe("sip-stream on loopback", function () {
  this.timeout(30_000);
  useNodeRed();
  let bench: NodeBench;
  let phone: RtpPhone;
  let signalling: RawPhone;
  let call: PhoneCall | undefined;
  let session: string;
  /** Of the silence that the phone sends, in the codec of the call. */
  let payloadType = 0;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(async () => {
    if (call !== undefined) {
      signalling.request(call, "BYE");
      await signalling.answered(200, "BYE");
    }
    signalling.close();
    await phone.close();
    await bench.unload();
  });

  const until = async (condition: () => boolean, what: string): Promise<void> => {
    if (await phone.until(condition, 10_000)) return;
    assert.fail(`${what} did not come; seen: ${[...new Set(bench.order())].join(" ")}`);
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
      { ...live, id: "live", type: "sip-stream" },
    ]);
    phone = await RtpPhone.open();
    const { userAgent } = bench.node("stack") as unknown as {
      userAgent: { running: boolean; bound: { port: number }[] };
    };
    await until(() => userAgent.running, "the stack runs");
    signalling = await RawPhone.open(userAgent.bound[0].port);
    const offer = phone
      .description()
      .replace("RTP/AVP 0", `RTP/AVP ${payloadType}`)
      .replace("a=rtpmap:0 PCMU/8000", `a=rtpmap:${payloadType} ${codec.name}`);
    call = signalling.invite("desk", { body: offer });
    await until(() => bench.of("in:1").length > 0, "the call");
    bench.send("ans", bench.of("in:1")[0]);
    phone.connectTo((await signalling.final(call)).body);
    await until(() => bench.of("ans:1").length > 0, "the ACK");
    session = bench.only("ans:1").sip.session;
    await until(() => phone.packets.length > 2, "sound");
    bench.send("live", { sip: { session } });
  };

  /**
   * The phone sends a packet for each that comes, one in 25 of them a word.
   *
   * @returns how many packets passed between each word and its echo.
   */
  const delays = async (
    word: Buffer,
    silence: Buffer,
    loud: (payload: Buffer) => boolean,
  ): Promise<number[]> => {
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
        phone.send(payloadType, speaks ? word : silence, { timestamp: phone.timestamp });
        phone.timestamp = (phone.timestamp + 160) >>> 0;
      }
    }, 2);
    await until(() => waits.length >= WORDS, "the echo of every word");
    clearInterval(timer);
    return waits;
  };

  const echo = { wires: [["live", "live:1"], ["live:2"], ["live:3"]] };

  it("brings a word through the flow and back in less than 150 ms", async () => {
    await streaming(echo);
    const silence = Buffer.alloc(160, 0xff);
    const loud = (payload: Buffer): boolean => !payload.equals(silence);
    const waits = await delays(Buffer.alloc(160, 0x10), silence, loud);
    assert.ok(Math.max(...waits) * PACKET_MS < 150, `${waits.join(" ")} packets`);
    assert.deepEqual(bench.of("caught"), []);
  });

  it("does so with G.722 and a model's 24 kHz, too", async () => {
    await streaming({ ...echo, sampleRate: 24_000 }, { payloadType: 9, name: "G722/8000" });
    const encoder = audioCodec("G722")?.createEncoder(undefined);
    assert.ok(encoder);
    const silence = Buffer.alloc(160);
    encoder.encode(new Int16Array(320), 320, silence, 0);
    const word = Buffer.alloc(160);
    encoder.encode(
      Int16Array.from({ length: 320 }, (_, i) => 12_000 * Math.sin(i / 4)),
      320,
      word,
      0,
    );
    const decoder = audioCodec("G722")?.createDecoder();
    const heard = new Int16Array(320);
    const loud = (payload: Buffer): boolean => {
      decoder?.decode(payload, 0, payload.length, heard);
      return heard.some((sample) => Math.abs(sample) > 3000);
    };
    const waits = await delays(word, silence, loud);
    assert.ok(Math.max(...waits) * PACKET_MS < 150, `${waits.join(" ")} packets`);
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
    assert.ok(waited * PACKET_MS < 150, `${waited} packets`);
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
    assert.ok(call);
    signalling.request(call, "BYE");
    await until(() => bench.of("in:2").length > 0, "the end");
    assert.deepEqual(
      bench.order().filter((from) => /^(live|in):[23]$/.test(from)),
      ["live:2", "live:2", "in:2"],
    );
    assert.deepEqual(bench.of("caught"), []);
    call = undefined;
  });
});
