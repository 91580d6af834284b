/**
 * What a flow says. Hard cases: pieces that end in the middle of a sample, more than a minute at once, a clear while a
 * packet is half full, marks at every place, and the end with all of it still waiting.
 */
import assert from "node:assert/strict";
import { Player } from "../../../../lib/media/audio/player.js";
import { StreamSource } from "../../../../lib/media/audio/stream-source.js";
import type { StreamSourceOptions } from "../../../../lib/media/audio/stream-source.js";
import { encodeG711 } from "../../../../lib/media/codec/g711.js";
import { toneAmplitude } from "../../../support/rtp-phone.js";

const PACKET = 160;

function setUp(options: Partial<StreamSourceOptions> = {}) {
  const told: string[] = [];
  const source = new StreamSource({
    format: "pcm16",
    sampleRate: 8000,
    onMark: (mark, milliseconds) => told.push(`${mark} at ${milliseconds}`),
    onClose: () => told.push("closed"),
    ...options,
  });
  return {
    source,
    told,
    /** One packet time. */
    packet(lineRate = source.sampleRate, count = (lineRate * 20) / 1000): number[] {
      const target = new Int16Array(count).fill(-1);
      const given = source.read(target, count);
      source.sent(lineRate, (lineRate * 20) / 1000);
      return [...target.subarray(0, given)];
    },
  };
}

/** Bytes of numbered samples, little endian. */
function pcm(count: number, first = 1): Buffer {
  const bytes = Buffer.alloc(count * 2);
  for (let i = 0; i < count; i++)
    bytes.writeInt16LE(((first + i) % 30_000) * (i % 2 ? -1 : 1), i * 2);
  return bytes;
}

function values(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(i * 2));
}

describe("StreamSource", () => {
  it("says what comes, whatever its pieces are, down to single bytes and empty ones", () => {
    const bytes = pcm(PACKET);
    for (const length of [1, 3, 7, 319, 320]) {
      const { source, packet } = setUp();
      for (let at = 0; at < bytes.length; at += length) {
        source.push(bytes.subarray(at, at + length));
        source.push(Buffer.alloc(0));
      }
      assert.deepEqual(packet(), values(bytes), `${length}`);
    }
  });

  it("keeps half a sample until its other half comes", () => {
    const { source, packet } = setUp();
    source.push(Buffer.from([0x34]));
    assert.equal(source.queuedMs, 0);
    assert.deepEqual(packet(), []);
    source.push(Buffer.from([0x12, 0xff]));
    assert.equal(packet()[0], 0x1234);
    source.push(Buffer.from([0xff]));
    assert.equal(packet()[0], -1);
  });

  it("says µ-law", () => {
    const samples = Int16Array.from([0, 1000, -1000, 32_000]);
    const codes = new Uint8Array(4);
    encodeG711("PCMU", samples, 4, codes, 0);
    const { source, packet } = setUp({ format: "mulaw" });
    source.push(codes);
    const said = packet().slice(0, 4);
    samples.forEach((sample, i) => assert.ok(Math.abs(said[i] - sample) <= Math.abs(sample) / 16));
  });

  it("adds a little silence when nothing follows, then has nothing to say until more comes", () => {
    const { source, packet } = setUp();
    assert.ok(source.idle);
    source.push(pcm(200));
    assert.ok(!source.idle);
    assert.equal(packet().length, PACKET);
    assert.deepEqual(packet(), [
      ...values(pcm(200)).slice(PACKET),
      ...new Array<number>(120).fill(0),
    ]);
    assert.ok(!source.idle);
    assert.deepEqual(packet(), new Array<number>(40).fill(0));
    assert.ok(source.idle);
    assert.deepEqual(packet(), []);
    source.push(pcm(1));
    assert.equal(packet()[0], 1);
    assert.ok(!source.ended && !source.failed);
  });

  it("keeps the last minute of what is too much, and of 10 MB at once", () => {
    for (const [format, bytesPerSample] of [
      ["pcm16", 2],
      ["mulaw", 1],
    ] as const) {
      const { source } = setUp({ format });
      for (let second = 0; second < 70; second++) source.push(Buffer.alloc(8000 * bytesPerSample));
      assert.equal(source.queuedMs, 60_000);
      source.push(Buffer.alloc(10 * 1024 * 1024 + 1, 1));
      assert.equal(source.queuedMs, 60_000);
      const target = new Int16Array(1);
      source.read(target, 1);
      if (format === "pcm16") assert.equal(target[0], 0x0101);
    }
  });

  describe("marks", () => {
    it("come out when the sound before them was sent, with the time that was heard", () => {
      const { source, told, packet } = setUp();
      source.mark(1);
      assert.deepEqual(told, ["1 at 0"]);
      source.push(pcm(PACKET));
      source.mark(2);
      source.push(pcm(200));
      source.mark(3);
      source.mark(4);
      source.push(pcm(1000));
      assert.equal(source.marks, 3);
      packet();
      assert.deepEqual(told.splice(0), ["1 at 0", "2 at 20"]);
      packet();
      assert.deepEqual(told, []);
      packet();
      assert.deepEqual(told, ["3 at 45", "4 at 45"]);
    });

    it("wait for what a converter of rates still holds", () => {
      const { source, told, packet } = setUp({ sampleRate: 16_000 });
      source.push(pcm(320));
      source.mark(1);
      packet(8000, 320);
      assert.deepEqual(told, []);
      packet(8000, 320);
      assert.deepEqual(told, ["1 at 20"]);
      source.push(pcm(640));
      source.mark(2);
      source.push(pcm(640));
      packet(8000, 640);
      assert.equal(told.length, 1);
      packet(8000, 240);
      assert.equal(told[1], "2 at 60");
    });

    it("in what is dropped come out at once", () => {
      const { source, told } = setUp();
      source.push(pcm(8000));
      source.mark(1);
      source.push(pcm(8000 * 59));
      source.mark(2);
      assert.deepEqual(told, []);
      source.push(pcm(8000));
      assert.deepEqual(told, ["1 at 0"]);
      assert.equal(source.marks, 1);
    });

    it("in what is cleared come out at once", () => {
      const { source, told, packet } = setUp();
      source.push(pcm(800));
      source.mark(1);
      source.push(pcm(800));
      source.mark(2);
      packet();
      source.clear();
      assert.deepEqual(told, ["1 at 20", "2 at 20"]);
      source.clear();
      assert.equal(told.length, 2);
    });
  });

  describe("clear", () => {
    it("takes effect with the next packet, also in the middle of one", () => {
      const { source, packet } = setUp();
      source.push(pcm(PACKET + 80));
      assert.equal(packet().length, PACKET);
      source.clear();
      assert.deepEqual(packet(), new Array<number>(PACKET).fill(0));
      assert.deepEqual(packet(), []);
      source.push(pcm(5, 7));
      assert.equal(packet()[0], 7);
    });

    it("forgets half a sample: the next words begin anew", () => {
      const { source, packet } = setUp();
      source.push(Buffer.from([1, 0, 2]));
      source.clear();
      source.push(pcm(3, 5));
      assert.deepEqual(packet().slice(0, 3), [5, -6, 7]);
    });

    it("of a stream that says nothing does nothing", () => {
      const { source, told, packet } = setUp();
      source.clear();
      assert.ok(source.idle);
      assert.deepEqual(packet(), []);
      assert.deepEqual(told, []);
    });
  });

  describe("of a live speaker", () => {
    const frame = (value: number): Buffer => {
      const bytes = Buffer.alloc(320);
      for (let i = 0; i < 160; i++) bytes.writeInt16LE(value, i * 2);
      return bytes;
    };

    it("that was held up is on time again after the next pause, with no word lost", () => {
      for (const frames of [10, 40]) {
        const { source, packet } = setUp();
        let heard = 0;
        const next = (): number => (heard += packet().filter((sample) => sample === 5000).length);
        const live = (value: number, count: number): void => {
          for (let i = 0; i < count; i++) {
            source.push(frame(value));
            next();
          }
        };
        live(5000, 20);
        for (let i = 0; i < frames; i++) next();
        // These come at once, then all go on as before.
        for (let i = 0; i < frames; i++) source.push(frame(5000));
        live(5000, 160);
        assert.equal(source.queuedMs, frames * 20);
        live(20, frames + 5);
        assert.ok(source.queuedMs <= 60, `${source.queuedMs} ms`);
        live(20, 200);
        assert.ok(source.queuedMs >= 20 && source.queuedMs <= 60, `${source.queuedMs} ms`);
        live(5000, 5);
        for (let i = 0; i < 5; i++) next();
        assert.equal(heard, (185 + frames) * 160);
      }
    });

    it("keeps every pause of what came ahead of its time, in one piece or in many", () => {
      const sentence = Buffer.concat([
        frame(5000),
        ...Array.from({ length: 20 }, () => frame(0)),
        frame(5000),
      ]);
      for (const [gap, speed] of [
        [0, 22],
        [3, 22],
        [30, 22],
        [200, 2],
      ]) {
        const { source, packet } = setUp();
        const heard: number[] = [];
        for (let round = 0; round < 10; round++) {
          for (let at = 0; at < sentence.length; at += 320 * speed) {
            source.push(sentence.subarray(at, at + 320 * speed));
            heard.push(packet()[0] ?? 0);
          }
          for (let i = 0; i < gap; i++) heard.push(packet()[0] ?? 0);
        }
        while (!source.idle) heard.push(packet()[0] ?? 0);
        const words = heard.flatMap((value, at) => (value === 5000 ? [at] : []));
        assert.equal(words.length, 20);
        for (let i = 0; i < 20; i += 2) assert.equal(words[i + 1] - words[i], 21);
      }
    });
  });

  it("lets its marks go at its end, once, and takes nothing afterwards", () => {
    const { source, told, packet } = setUp();
    for (let i = 0; i < 61; i++) source.push(pcm(8000));
    source.mark(1);
    source.close();
    source.close();
    assert.deepEqual(told, ["1 at 0", "closed"]);
    assert.ok(source.ended && !source.failed);
    source.push(pcm(8000));
    assert.equal(source.queuedMs, 0);
    assert.deepEqual(packet(), new Array<number>(PACKET).fill(0));
  });

  it("remembers no memory of a long queue", () => {
    const { source } = setUp({ sampleRate: 48_000 });
    source.push(Buffer.alloc(48_000 * 60 * 2));
    source.clear();
    assert.equal(source.queuedMs, 0);
  });
});

describe("a stream in the player", () => {
  const tone = (frequency: number, sampleRate: number, count: number): Buffer => {
    const bytes = Buffer.alloc(count * 2);
    for (let i = 0; i < count; i++) {
      bytes.writeInt16LE(
        Math.round(10_000 * Math.sin((2 * Math.PI * frequency * i) / sampleRate)),
        i * 2,
      );
    }
    return bytes;
  };

  it("of another rate is heard whole, at its pitch, and ends in silence", () => {
    for (const [rate, line] of [
      [24_000, 8000],
      [16_000, 8000],
      [8000, 16_000],
      [8000, 48_000],
      [48_000, 16_000],
    ]) {
      const { source } = setUp({ sampleRate: rate });
      const player = new Player(() => undefined);
      player.setLineRate(line);
      player.play({ id: 1, source, background: false, settle: 0 });
      source.push(tone(440, rate, rate / 10));
      const heard: number[] = [];
      for (let i = 0; i < 10; i++) {
        const packet = new Int16Array(line / 50);
        if (!player.read(packet, packet.length)) packet.fill(0);
        heard.push(...packet);
      }
      const loud = (sample: number): boolean => Math.abs(sample) > 300;
      const length = heard.findLastIndex(loud) - heard.findIndex(loud);
      assert.ok(Math.abs(length - line / 10) < line / 250, `${rate} in ${line}: ${length} samples`);
      const middle = Int16Array.from(heard.slice(line / 50, line / 12));
      const amplitude = toneAmplitude(middle, 440, line);
      assert.ok(Math.abs(amplitude - 10_000) < 700, `${rate} in ${line}: ${amplitude}`);
      assert.ok(source.idle);
    }
  });

  it("covers its background only while it has something to say", () => {
    const { source } = setUp();
    const player = new Player(() => undefined);
    const background = setUp().source;
    background.push(Buffer.alloc(16_000, 0x11));
    player.play({ id: 1, source: background, background: true, settle: 0 });
    player.play({ id: 2, source, background: false, settle: 0 });
    const packet = (): number => {
      const target = new Int16Array(PACKET);
      return player.read(target, PACKET) ? target[0] : 0;
    };
    assert.equal(packet(), 0x1111);
    assert.ok(!player.coversBridge);
    source.push(pcm(PACKET, 5));
    assert.ok(player.coversBridge);
    assert.equal(packet(), 5);
    assert.equal(packet(), 0);
    assert.equal(packet(), 0x1111);
  });

  it("goes on when the codec changes, and is idle behind converters too", () => {
    const { source } = setUp();
    const player = new Player(() => undefined);
    player.play({ id: 1, source, background: false, settle: 0 });
    player.setLineRate(16_000);
    source.push(tone(440, 8000, 800));
    const heard: number[] = [];
    for (let i = 0; i < 12; i++) {
      const packet = new Int16Array(320);
      if (player.read(packet, 320)) heard.push(...packet);
    }
    assert.ok(heard.filter((sample) => Math.abs(sample) > 300).length > 1400);
    assert.ok(!player.coversBridge);
  });
});
