/**
 * MP3. Hard cases: none inside, cut anywhere, tags of megabytes before it, garbage and further tags inside, hostile
 * frames, hours of it, loops without a gap, sources closed while they decode.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MediaError } from "../../../../lib/foundation/index.js";
import { readFrameHeader } from "../../../../lib/media/audio/mp3-frames.js";
import { openSource } from "../../../../lib/media/audio/open-source.js";
import { openStoredAudio } from "../../../../lib/media/audio/open-stored-audio.js";
import { openBuffer } from "../../../../lib/media/audio/random-access.js";
import type { RandomAccess } from "../../../../lib/media/audio/random-access.js";
import { drained } from "../../../support/drained.js";
import { pause, toneAmplitude, toneFrequency } from "../../../support/rtp-phone.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const fixture = (name: string): Buffer =>
  readFileSync(join(__dirname, "../../../fixtures/audio", name));
/** A second of 440 Hz at half of full scale: 22.05 kHz mono, and 44.1 kHz stereo with a tag. */
const MONO = fixture("tone-440.mp3");
const STEREO = fixture("tone-440-stereo-vbr.mp3");

async function heard(data: Buffer, sampleRate = 8000, loop: boolean | number = false) {
  return drained(await openSource({ kind: "buffer", data }, loop, sampleRate), { sampleRate });
}

function assertTone(samples: Int16Array, sampleRate = 8000, seconds = 1): void {
  const length = seconds * sampleRate;
  assert.ok(Math.abs(samples.length - length) <= 2, `${samples.length} samples`);
  const middle = samples.slice(sampleRate / 10, length - sampleRate / 10);
  const frequency = toneFrequency(middle, sampleRate);
  assert.ok(Math.abs(frequency - 440) < 0.5, `${frequency} Hz`);
  const level = 20 * Math.log10(toneAmplitude(middle, 440, sampleRate) / 16_384);
  assert.ok(Math.abs(level) < 0.3, `${level} dB`);
}

/** An ID3v2 tag of that many bytes in all. */
function id3(length: number): Buffer {
  const tag = Buffer.alloc(length);
  tag.write("ID3\u0004", 0, "latin1");
  const body = length - 10;
  tag[6] = body >> 21;
  tag[7] = (body >> 14) & 0x7f;
  tag[8] = (body >> 7) & 0x7f;
  tag[9] = body & 0x7f;
  return tag;
}

/** The places of all frames. */
function framesOf(data: Buffer): number[] {
  const places: number[] = [];
  for (let at = data.indexOf(0xff); at < data.length;) {
    const frame = readFrameHeader(data, at);
    if (!frame) break;
    places.push(at);
    at += frame.length;
  }
  return places;
}

describe("MP3", () => {
  for (const sampleRate of [8000, 16_000, 24_000, 48_000]) {
    it(`is played at its pitch, level and length at ${sampleRate} Hz`, async () => {
      assertTone(await heard(MONO, sampleRate), sampleRate);
      assertTone(await heard(STEREO, sampleRate), sampleRate);
    });
  }

  it("is repeated without a gap", async () => {
    const samples = await heard(STEREO, 8000, 3);
    assertTone(samples, 8000, 3);
    for (let at = 800; at + 80 < 23_200; at += 80) {
      const part = toneAmplitude(samples.slice(at, at + 80), 440);
      assert.ok(part > 13_000, `quiet at ${at}`);
    }
  });

  const frames = framesOf(MONO);
  const half = frames[Math.floor(frames.length / 2)];
  const PLAYED: [string, Buffer][] = [
    ["with a tag of 3 MB before it", Buffer.concat([id3(3_000_000), MONO])],
    ["with two tags before it", Buffer.concat([id3(50), id3(20), MONO])],
    ["with zeros before it", Buffer.concat([Buffer.alloc(5000), MONO])],
    ["with an old tag behind it", Buffer.concat([MONO, Buffer.from("TAG"), Buffer.alloc(125)])],
    [
      "with a tag in the middle",
      Buffer.concat([MONO.subarray(0, half), id3(300), MONO.subarray(half)]),
    ],
    [
      "with garbage in the middle",
      Buffer.concat([MONO.subarray(0, half), Buffer.alloc(700, 0x55), MONO.subarray(half)]),
    ],
  ];
  for (const [name, data] of PLAYED) {
    it(`is played ${name}`, async () => assertTone(await heard(data)));
  }

  it("is played as far as it goes when it is cut, in a frame or between two", async () => {
    for (const [index, at] of frames.entries()) {
      if (index < 6 || index % 7 !== 0) continue;
      for (const end of [at, at + 5, at + 30]) {
        const samples = await heard(MONO.subarray(0, end));
        // The first frame is a table, and the coder's delay is cut off.
        const expected = ((index - 3) * 576 * 8000) / 22_050;
        assert.ok(Math.abs(samples.length - expected) < 500, `${samples.length} of ${expected}`);
        const middle = samples.slice(200, samples.length - 200);
        assert.ok(Math.abs(toneFrequency(middle) - 440) < 2, `${toneFrequency(middle)} Hz`);
      }
    }
  });

  it("two files one behind the other are both played", async () => {
    const samples = await heard(Buffer.concat([MONO, id3(40), MONO]));
    assert.ok(samples.length > 15_900 && samples.length < 17_500, `${samples.length} samples`);
    assert.ok(Math.abs(toneFrequency(samples.slice(10_000, 15_000)) - 440) < 0.5);
  });

  const REFUSED: [string, Buffer, RegExp][] = [
    ["a tag only", id3(4000), /no sound of a known form/],
    ["a tag that is longer than the file", id3(4000).subarray(0, 50), /no sound of a known form/],
    ["one header without a frame", MONO.subarray(0, 4), /no sound of a known form/],
    ["a web page", Buffer.from("<!DOCTYPE html><html><body>404"), /it is a web page/],
    ["another web page", Buffer.from("\n  <html>"), /it is a web page/],
    ["an answer in JSON", Buffer.from('{"error": "quota"}'), /it is JSON/],
    ["FLAC", Buffer.from("fLaC\0\0\0\x22aaaaaaaaaa"), /it is FLAC/],
    ["M4A", Buffer.from("\0\0\0\x20ftypM4A aaaaaaaaaa"), /it is MP4 or M4A/],
    ["0xff only", Buffer.alloc(50_000, 0xff), /no sound of a known form/],
    ["zeros only", Buffer.alloc(50_000), /no sound of a known form/],
  ];
  for (const [name, data, text] of REFUSED) {
    it(`is not ${name}, which is refused and named`, async () => {
      await assert.rejects(heard(data), (error) => {
        assert.ok(error instanceof MediaError);
        assert.equal(error.rule, "unsupported-audio");
        assert.match(error.message, text);
        assert.match(error.message, /Accepted is WAV .* MP3/);
        return true;
      });
    });
  }

  it("with headers right and nothing behind them is refused or silent, never a throw", async () => {
    const hollow = Buffer.alloc(MONO.length);
    for (const at of frames) MONO.copy(hollow, at, at, at + 4);
    try {
      const samples = await heard(hollow);
      assert.ok(samples.every((sample) => Math.abs(sample) < 100));
    } catch (error) {
      assert.ok(error instanceof MediaError, String(error));
      assert.equal(error.rule, "unsupported-audio");
    }
  });

  it("survives 40 mutated files: plays something or refuses, never hangs", async () => {
    const random = new SeededRandom(99);
    const seeds = [MONO, STEREO];
    for (let round = 0; round < 40; round++) {
      const file = Buffer.from(seeds[round & 1]);
      const changes = 1 + Math.floor(random.next() * 60);
      for (let change = 0; change < changes; change++) {
        // The headers more often than the rest.
        const places = framesOf(seeds[round & 1]);
        const frame = places[Math.floor(random.next() * places.length)];
        const at =
          random.next() < 0.5
            ? frame + Math.floor(random.next() * 40)
            : Math.floor(random.next() * file.length);
        file[Math.min(at, file.length - 1)] = Math.floor(random.next() * 256);
      }
      try {
        const samples = await heard(file);
        assert.ok(samples.length < 80_000);
      } catch (error) {
        assert.ok(error instanceof MediaError, String(error));
      }
    }
  });

  it("of three hours is read piece by piece", async () => {
    const start = frames[1];
    const body = MONO.subarray(start);
    const size = start + body.length * 10_800;
    let read = 0;
    let largest = 0;
    const access: RandomAccess = {
      ...openBuffer(MONO, "long.mp3"),
      size,
      read: (position, length) => {
        const target = Buffer.alloc(Math.max(0, Math.min(length, size - position)));
        for (let i = 0; i < target.length; i++) {
          const place = position + i;
          target[i] = place < start ? MONO[place] : body[(place - start) % body.length];
        }
        read += target.length;
        largest = Math.max(largest, target.length);
        return Promise.resolve(target);
      },
    };
    const source = await openStoredAudio(access, { sampleRate: 8000 });
    const samples = await drained(source, { most: 40_000 });
    assert.ok(samples.length >= 40_000);
    assert.ok(read < 100_000, `${read} bytes for five seconds`);
    assert.ok(largest <= 32_768);
    assert.ok(toneAmplitude(samples.slice(32_000, 40_000), 440) > 12_000);
  });

  it("is freed when it is closed while it decodes", async () => {
    let closed = 0;
    const access: RandomAccess = {
      ...openBuffer(STEREO),
      close: () => {
        closed += 1;
        return Promise.resolve();
      },
    };
    const source = await openStoredAudio(access, { rounds: Infinity, sampleRate: 8000 });
    source.read(new Int16Array(160), 160);
    source.close();
    for (let i = 0; i < 20 && closed === 0; i++) await pause(1);
    assert.equal(closed, 1);
    assert.equal(source.read(new Int16Array(160), 160), 0);
  });

  it("the decoder of one source knows nothing of another's", async () => {
    const [a, b, c] = await Promise.all([heard(MONO), heard(STEREO), heard(MONO)]);
    assert.deepEqual(a, c);
    assertTone(b);
  });
});

describe("readFrameHeader", () => {
  it("knows the lengths of all versions and layers", () => {
    const length = (...bytes: number[]) => readFrameHeader(Buffer.from(bytes), 0)?.length;
    // MPEG 1 layer III, 128 kbit/s, 44.1 kHz, without and with padding.
    assert.equal(length(0xff, 0xfb, 0x90, 0x00), 417);
    assert.equal(length(0xff, 0xfb, 0x92, 0x00), 418);
    // MPEG 2 layer III, 64 kbit/s, 24 kHz.
    assert.equal(length(0xff, 0xf3, 0x84, 0x00), 192);
    // MPEG 2.5 layer III, 8 kbit/s, 8 kHz.
    assert.equal(length(0xff, 0xe3, 0x18, 0x00), 72);
    // Layer II, 192 kbit/s, 48 kHz; layer I, 32 kbit/s, 32 kHz.
    assert.equal(length(0xff, 0xfd, 0xa4, 0x00), 576);
    assert.equal(length(0xff, 0xff, 0x18, 0x00), 48);
  });

  it("refuses what is reserved or free", () => {
    for (const bytes of [
      [0xff, 0xeb, 0x90, 0x00],
      [0xff, 0xf9, 0x90, 0x00],
      [0xff, 0xfb, 0xf0, 0x00],
      [0xff, 0xfb, 0x00, 0x00],
      [0xff, 0xfb, 0x9c, 0x00],
      [0xff, 0xdb, 0x90, 0x00],
      [0xff, 0xfb, 0x90],
    ]) {
      assert.equal(readFrameHeader(Buffer.from(bytes), 0), undefined);
    }
  });
});
