/** Frames for a flow. Hard cases: packets of another length or rate, a codec that changes, nobody who fetches. */
import assert from "node:assert/strict";
import { StreamFrames } from "../../../../lib/media/audio/stream-frames.js";
import type { StreamFramesOptions } from "../../../../lib/media/audio/stream-frames.js";
import { decodeG711 } from "../../../../lib/media/codec/g711.js";
import { toneAmplitude } from "../../../support/rtp-phone.js";

function setUp(options: Partial<StreamFramesOptions> = {}) {
  const frames: { sequence: number; data: Uint8Array }[] = [];
  let fetched = 0;
  const made = new StreamFrames({
    format: "pcm16",
    sampleRate: 8000,
    frame: 20,
    fetched: () => fetched,
    onFrame: (sequence, data) => frames.push({ sequence, data }),
    ...options,
  });
  return {
    made,
    frames,
    fetch: (count: number) => (fetched = (fetched + count) | 0),
    samples: () => {
      const all = Buffer.concat(frames.map(({ data }) => data));
      return Int16Array.from({ length: all.length / 2 }, (_, i) => all.readInt16LE(i * 2));
    },
  };
}

const tone = (count: number, sampleRate: number, from = 0): Int16Array =>
  Int16Array.from({ length: count }, (_, i) =>
    Math.round(10_000 * Math.sin((2 * Math.PI * 440 * (from + i)) / sampleRate)),
  );

describe("StreamFrames", () => {
  it("have exactly their length, whatever the packets have", () => {
    for (const [frame, packet] of [
      [20, 20],
      [10, 30],
      [60, 20],
      [12.5, 20],
      [1000, 40],
    ]) {
      const { made, frames, samples } = setUp({ frame });
      const count = packet * 8;
      for (let i = 0; i < 75; i++) made.take(tone(count, 8000, i * count), count, 8000);
      const total = Math.floor((75 * count) / (frame * 8));
      assert.deepEqual(
        frames.map(({ sequence, data }) => [sequence, data.length]),
        Array.from({ length: total }, (_, i) => [i, frame * 16]),
      );
      assert.deepEqual(samples(), tone(total * frame * 8, 8000));
    }
  });

  it("are little endian, each in memory of its own", () => {
    const { made, frames } = setUp({ frame: 10 });
    const samples = new Int16Array(160).fill(-2);
    samples[0] = 0x1234;
    made.take(samples, 160, 8000);
    assert.deepEqual([...frames[0].data.subarray(0, 4)], [0x34, 0x12, 0xfe, 0xff]);
    assert.equal(frames.length, 2);
    for (const { data } of frames) assert.equal(data.buffer.byteLength, 160);
    assert.notEqual(frames[0].data.buffer, frames[1].data.buffer);
  });

  it("are µ-law where that is asked for, at any rate", () => {
    const { made, frames } = setUp({ format: "mulaw", sampleRate: 16_000 });
    for (let i = 0; i < 10; i++) made.take(tone(320, 16_000, i * 320), 320, 16_000);
    assert.equal(frames.length, 10);
    assert.equal(frames[0].data.length, 320);
    const heard = new Int16Array(320);
    decodeG711("PCMU", frames[5].data, 0, 320, heard);
    assert.ok(Math.abs(toneAmplitude(heard, 440, 16_000) - 10_000) < 900);
  });

  it("keep their rate and pitch when the codec changes in mid-call", () => {
    const { made, samples } = setUp({ sampleRate: 24_000 });
    for (let i = 0; i < 25; i++) made.take(tone(160, 8000, i * 160), 160, 8000);
    for (let i = 0; i < 25; i++) made.take(tone(320, 16_000, i * 320), 320, 16_000);
    const heard = samples();
    // A second, less what two converters hold back.
    assert.ok(heard.length >= 23_040 && heard.length <= 24_000, `${heard.length}`);
    for (const from of [2400, 16_000]) {
      const amplitude = toneAmplitude(heard.slice(from, from + 4800), 440, 24_000);
      assert.ok(Math.abs(amplitude - 10_000) < 500, `${amplitude}`);
    }
  });

  it("that nobody fetches end after ten seconds; what is left out is missing in the numbers", () => {
    const { made, frames, fetch } = setUp();
    const packet = new Int16Array(160);
    for (let i = 0; i < 700; i++) made.take(packet, 160, 8000);
    assert.equal(frames.length, 500);
    fetch(3);
    for (let i = 0; i < 10; i++) made.take(packet, 160, 8000);
    assert.deepEqual(
      frames.slice(499).map(({ sequence }) => sequence),
      [499, 700, 701, 702],
    );
  });
});
