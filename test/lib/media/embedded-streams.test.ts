/**
 * Streams of the embedded handler over real sockets on loopback, with the real worker. Time is real here; each case
 * lasts a second or two. Hard cases: the main thread is blocked, packets are lost, the codec changes, the call ends.
 */
import assert from "node:assert/strict";
import type { Worker } from "node:worker_threads";
import { InvalidArgumentError } from "../../../lib/foundation/index.js";
import { audioCodec } from "../../../lib/media/codec/codecs.js";
import { EmbeddedMediaHandler } from "../../../lib/media/index.js";
import { createRtpWorker } from "../../../lib/media/worker-client.js";
import { WorkerPool } from "../../../lib/media/worker-pool.js";
import type {
  AudioControl,
  AudioStream,
  MediaSession,
  StreamFrame,
  StreamOptions,
} from "../../../lib/session/media-handler.js";
import { onceMoreWhenDisturbed } from "../../support/disturbance.js";
import { pause, RtpPhone, toneAmplitude, toneFrequency } from "../../support/rtp-phone.js";

const RANGE = { portMin: 12_000, portMax: 20_999 };

/** Raw samples of a sine. */
function tone(frequency: number, ms: number, sampleRate = 8000): Buffer {
  const count = Math.round((sampleRate * ms) / 1000);
  const bytes = Buffer.alloc(count * 2);
  for (let i = 0; i < count; i++) {
    const value = 10_000 * Math.sin((2 * Math.PI * frequency * i) / sampleRate);
    bytes.writeInt16LE(Math.round(value), i * 2);
  }
  return bytes;
}

function samplesOf(frames: readonly StreamFrame[]): Int16Array {
  const bytes = Buffer.concat(frames.map(({ data }) => data));
  return Int16Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(i * 2));
}

/** Nothing else runs on this thread. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const loud = (sample: number): boolean => Math.abs(sample) > 500;

describe("streams of the embedded handler", function () {
  this.timeout(30_000);
  beforeEach(onceMoreWhenDisturbed);
  let handler: EmbeddedMediaHandler;
  let phone: RtpPhone;
  let session: MediaSession;
  let audio: AudioControl;
  const frames: StreamFrame[] = [];

  before(async () => {
    handler = new EmbeddedMediaHandler(RANGE);
    await handler.start();
  });
  beforeEach(async () => {
    frames.length = 0;
    phone = await RtpPhone.open();
    session = handler.createSession({
      sessionId: "test",
      localAddress: "127.0.0.1",
      remoteAddress: "127.0.0.1",
      events: {
        onDigit: () => undefined,
        onMediaTimeout: () => undefined,
        onError: (error) => assert.fail(error),
      },
    });
    assert.ok(session.audio);
    audio = session.audio;
    phone.connectTo(await session.answer(phone.description()));
    session.start();
  });
  afterEach(async () => {
    await session.close();
    await phone.close();
  });
  after(() => handler.close());

  const start = (options: Partial<StreamOptions> = {}): Promise<AudioStream> =>
    audio.stream(
      { format: "pcm16", sampleRate: 8000, frame: 20, ...options },
      { onFrame: (frame) => frames.push(frame) },
    );
  /** What was heard from the first sound to the last. */
  const sound = (): Int16Array => {
    const heard = phone.samples();
    return heard.slice(heard.findIndex(loud), heard.findLastIndex(loud) + 1);
  };

  it("bring what the phone says in frames without a gap", async () => {
    phone.speak(440);
    await start({ sampleRate: 24_000 });
    await phone.until(() => frames.length >= 60);
    phone.hush();
    frames.slice(0, 60).forEach(({ data, sequence, timestamp }, i) => {
      assert.deepEqual([data.length, sequence, timestamp], [960, i, i * 20]);
    });
    const heard = samplesOf(frames.slice(10, 60));
    assert.ok(Math.abs(toneFrequency(heard, 24_000) - 440) < 2);
    assert.ok(Math.abs(toneAmplitude(heard, 440, 24_000) - 8000) < 400);
  });

  it("say what the flow sends, in pieces of any length and another rate, without a gap", async () => {
    const stream = await start({ sampleRate: 24_000 });
    const bytes = tone(500, 1000, 24_000);
    for (let at = 0; at < bytes.length; at += 3333) stream.send(bytes.subarray(at, at + 3333));
    const heardMs = await stream.mark();
    assert.ok(heardMs === 1000, `${heardMs}`);
    await pause(40);
    const heard = sound();
    assert.ok(Math.abs(heard.length - 8000) < 80, `${heard.length} samples`);
    assert.ok(Math.abs(toneFrequency(heard.slice(100, 7900)) - 500) < 2);
    assert.equal(phone.packetsLost, 0);
  });

  it("lose nothing while this thread is blocked for two seconds, in neither direction", async () => {
    const stream = await start();
    await phone.until(() => frames.length > 5);
    stream.send(tone(500, 3000));
    const before = frames.length;
    block(2000);
    await stream.mark();
    await phone.until(() => frames.length >= before + 145);
    frames.forEach(({ sequence }, i) => assert.equal(sequence, i));
    const heard = sound();
    assert.ok(Math.abs(heard.length - 24_000) < 40, `${heard.length} samples`);
    assert.equal(phone.packetsLost, 0);
    assert.ok(Math.abs(toneFrequency(heard.slice(100, 23_900)) - 500) < 1);
  });

  it("have a frame for every packet time when packets are lost", async () => {
    await start();
    const timer = setInterval(() => {
      // Whole cycles in each packet.
      phone.sendAudio(400);
      // Every fifth is lost on the way.
      if (phone.packetsSent % 4 === 0) {
        phone.sequenceNumber = (phone.sequenceNumber + 1) & 0xffff;
        phone.timestamp += 160;
      }
    }, 18);
    await phone.until(() => frames.length >= 60);
    clearInterval(timer);
    frames.forEach(({ sequence }, i) => assert.equal(sequence, i));
    assert.ok(toneAmplitude(samplesOf(frames.slice(10, 60)), 400) > 5000);
  });

  it("are silent within one packet of a clear, whatever waits", async () => {
    const stream = await start();
    stream.send(Buffer.alloc(10 * 1024 * 1024, 0x22));
    const mark = stream.mark();
    await phone.until(() => phone.samples().some(loud));
    stream.clear();
    const heardMs = await mark;
    const cleared = phone.packets.length;
    await phone.until(() => phone.packets.length >= cleared + 10);
    assert.ok(heardMs >= 20 && heardMs < 500, `${heardMs}`);
    const after = phone.packets.slice(cleared + 2);
    assert.ok(after.every(({ payload }) => payload.every((code) => code === 0xff)));
    stream.send(tone(500, 200));
    assert.equal(await stream.mark(), heardMs + 200);
  });

  it("go on when a re-INVITE changes the codec from 8 to 16 kHz, at the same pitch", async () => {
    const stream = await start();
    phone.speak(440);
    stream.send(tone(500, 2000));
    await phone.until(() => frames.length >= 25);
    const g722 = phone
      .description()
      .replace(/RTP\/AVP .*/, "RTP/AVP 9 101")
      .replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:9 G722/8000");
    await session.answer(g722);
    session.start();
    phone.hush();
    const from = frames.length;
    const encoder = audioCodec("G722")?.createEncoder(undefined);
    const decoder = audioCodec("G722")?.createDecoder();
    assert.ok(encoder && decoder);
    const samples = new Int16Array(320);
    let phase = 0;
    const timer = setInterval(() => {
      for (let i = 0; i < 320; i++) {
        samples[i] = 8000 * Math.sin((2 * Math.PI * 700 * phase++) / 16_000);
      }
      const payload = Buffer.alloc(160);
      encoder.encode(samples, 320, payload, 0);
      phone.send(9, payload, { timestamp: phone.timestamp });
      phone.timestamp += 160;
    }, 20);
    await stream.mark();
    await phone.until(() => frames.length >= from + 50);
    clearInterval(timer);
    frames.forEach(({ sequence, data }, i) => assert.deepEqual([sequence, data.length], [i, 320]));
    assert.ok(toneAmplitude(samplesOf(frames.slice(5, from - 2)), 440) > 6000);
    assert.ok(toneAmplitude(samplesOf(frames.slice(from + 15, from + 50)), 700) > 6000);
    const wide = phone.packets.filter(({ payloadType }) => payloadType === 9);
    assert.ok(wide.length > 40, `${wide.length}`);
    const heard: number[] = [];
    for (const { payload } of wide) {
      const decoded = new Int16Array(320);
      heard.push(...decoded.subarray(0, decoder.decode(payload, 0, payload.length, decoded)));
    }
    const middle = Int16Array.from(heard.slice(1600, 11_200));
    assert.ok(
      Math.abs(toneFrequency(middle, 16_000) - 500) < 3,
      `${toneFrequency(middle, 16_000)}`,
    );
  });

  it("end by stop, a newer sound and the end of the call, with their marks", async () => {
    const ends: string[] = [];
    const run = async (name: string): Promise<AudioStream> => {
      const stream = await start();
      stream.send(tone(500, 5000));
      void stream.mark().then((ms) => ends.push(`${name} mark ${ms < 1000}`));
      void stream.done.then((result) => ends.push(`${name} ${result}`));
      return stream;
    };
    const first = await run("first");
    first.stop();
    await first.done;
    const second = await run("second");
    const playback = await audio.play({ kind: "tone", name: "beep" });
    await second.done;
    assert.equal(await playback.done, "completed");
    const third = await run("third");
    const fourth = await run("fourth");
    await third.done;
    await session.close();
    await fourth.done;
    const names = ["first", "second", "third", "fourth"];
    assert.deepEqual(
      ends,
      names.flatMap((name) => [`${name} mark true`, `${name} stopped`]),
    );
    first.send(Buffer.alloc(2));
    first.clear();
    first.stop();
    assert.ok((await first.mark()) >= 0);
    await assert.rejects(start(), { rule: "no-media" });
  });

  it("go on in silence while the peer holds, and what is said passes unheard", async () => {
    const stream = await start();
    phone.speak(440);
    await phone.until(() => frames.length >= 10);
    await session.answer(phone.description({ direction: "inactive" }));
    session.start();
    stream.send(tone(500, 300));
    const before = phone.packets.length;
    const from = frames.length;
    assert.equal(await stream.mark(), 300);
    await phone.until(() => frames.length >= from + 30);
    frames.forEach(({ sequence }, i) => assert.equal(sequence, i));
    assert.ok(samplesOf(frames.slice(from + 20)).every((sample) => Math.abs(sample) < 500));
    assert.ok(phone.packets.length <= before + 2);
  });

  it("fail when the worker is lost, and their marks come out", async () => {
    let worker: Worker | undefined;
    const other = new EmbeddedMediaHandler({
      ...RANGE,
      workers: new WorkerPool({ createWorker: () => (worker = createRtpWorker()) }),
    });
    const errors: Error[] = [];
    const broken = other.createSession({
      sessionId: "broken",
      localAddress: "127.0.0.1",
      remoteAddress: "127.0.0.1",
      events: {
        onDigit: () => undefined,
        onMediaTimeout: () => undefined,
        onError: (error) => errors.push(error),
      },
    });
    await broken.answer(phone.description());
    broken.start();
    const stream = await broken.audio?.stream(
      { format: "pcm16", sampleRate: 8000, frame: 20 },
      { onFrame: () => undefined },
    );
    assert.ok(stream);
    stream.send(tone(500, 5000));
    const mark = stream.mark();
    await worker?.terminate();
    assert.equal(await stream.done, "failed");
    assert.equal(await mark, 0);
    assert.equal(errors.length, 1);
    await other.close();
  });

  it("are refused with options that are none", async () => {
    for (const options of [
      { format: "opus" as "pcm16" },
      { sampleRate: 44_100 },
      { frame: 0 },
      { frame: 2000 },
      { frame: Number.NaN },
      { frame: 10.01 },
    ]) {
      await assert.rejects(start(options), InvalidArgumentError, JSON.stringify(options));
    }
  });

  it("may be started and stopped a thousand times", async () => {
    for (let i = 0; i < 1000; i++) {
      const stream = await start();
      stream.send(tone(500, 100));
      stream.stop();
      await stream.done;
    }
    const stream = await start();
    stream.send(tone(500, 100));
    assert.equal(await stream.mark(), 100);
  });
});
