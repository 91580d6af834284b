import assert from "node:assert/strict";
import { g722 } from "../../../../lib/media/codec/g722-codec.js";
import { decibels, level, noise, signalToNoise, sine, sweep } from "../../../support/signals.js";

const RATE = 16_000;
const FRAME = 320;

/** What the other side hears, packet by packet. */
function heard(samples: Int16Array, lost: (packet: number) => boolean = () => false): Int16Array {
  const encoder = g722.createEncoder();
  const decoder = g722.createDecoder();
  const payload = new Uint8Array(160);
  const packet = new Int16Array(3200);
  const all = new Int16Array(samples.length);
  for (let at = 0; at + FRAME <= samples.length; at += FRAME) {
    const bytes = encoder.encode(samples.subarray(at, at + FRAME), FRAME, payload, 0);
    assert.equal(bytes, 160);
    if (lost(at / FRAME)) decoder.conceal(packet, FRAME);
    else assert.equal(decoder.decode(payload, 0, bytes, packet), FRAME);
    all.set(packet.subarray(0, FRAME), at);
  }
  return all;
}

/** FNV-1a. */
function digest(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

describe("G.722", () => {
  const SIGNALS: [string, Int16Array, number][] = [
    ["300 Hz", sine(300, 500, RATE), 55],
    ["1 kHz", sine(1000, 500, RATE), 43],
    ["1 kHz at full scale", sine(1000, 500, RATE, 1), 43],
    ["3.4 kHz", sine(3400, 500, RATE), 32],
    ["6 kHz, in the upper band", sine(6000, 500, RATE), 22],
    ["a sweep from 100 Hz to 7 kHz", sweep(100, 7000, 1000, RATE), 22],
    ["noise", noise(500, RATE), 10],
  ];
  for (const [name, sent, atLeast] of SIGNALS) {
    it(`carries ${name} with ${atLeast} dB to the noise and its loudness`, () => {
      const received = heard(sent);
      const { ratio, delay } = signalToNoise(sent, received, 40);
      assert.ok(ratio >= atLeast, `${ratio} dB at ${delay}`);
      const change = decibels(level(received) / level(sent));
      assert.ok(Math.abs(change) < 0.5, `${change} dB`);
    });
  }

  it("makes the codes of the reference algorithm, and decodes them as it does", () => {
    // Both numbers come from another implementation (spandsp 0.0.6), fed with the same noise.
    const samples = noise(500, RATE, 0.5);
    const codes = new Uint8Array(samples.length / 2);
    g722.createEncoder().encode(samples, samples.length, codes, 0);
    assert.equal(digest(codes), 0x2f3edd44);
    const decoder = g722.createDecoder();
    const decoded = new Int16Array(3200);
    const all = new Int16Array(samples.length);
    for (let at = 0; at < codes.length; at += 160) {
      decoder.decode(codes, at, at + 160, decoded);
      all.set(decoded.subarray(0, FRAME), at * 2);
    }
    assert.equal(digest(new Uint8Array(all.buffer)), 0x705cc93c);
  });

  it("keeps silence silent", () => {
    const received = heard(new Int16Array(RATE));
    assert.ok(
      received.every((sample) => Math.abs(sample) < 8),
      `${Math.max(...received)}`,
    );
    const encoder = g722.createEncoder();
    const other = g722.createEncoder();
    const [a, b] = [new Uint8Array(160), new Uint8Array(160)];
    assert.equal(encoder.encodeSilence(FRAME, a, 0), 160);
    other.encode(new Int16Array(FRAME), FRAME, b, 0);
    assert.deepEqual(a, b);
  });

  it("clips a square wave of full scale and does not wrap around", () => {
    const square = sine(200, 200, RATE, 1).map((sample) => (sample >= 0 ? 32_767 : -32_768));
    const received = heard(square);
    const { delay } = signalToNoise(square, received, 40);
    // In the middle of each half wave.
    for (let at = 1000; at + delay < received.length; at++) {
      if (square[at - 10] !== square[at + 10]) continue;
      assert.ok(received[at + delay] * square[at] > 0, `at ${at}`);
    }
  });

  it("counts two samples and one unit of the RTP clock per byte (RFC 3551 §4.5.2)", () => {
    assert.equal(g722.sampleRate, 16_000);
    assert.equal(g722.clockRate, 8_000);
    assert.equal(g722.maximumBytes(20), 160);
    assert.equal(g722.duration(new Uint8Array(200), 40, 200), 160);
  });

  it("hides a lost packet in a tone", () => {
    const sent = sine(400, 600, RATE);
    const received = heard(sent, (packet) => packet === 15);
    const gap = received.subarray(15 * FRAME, 16 * FRAME);
    assert.ok(Math.abs(decibels(level(gap) / level(sent))) < 3, `${level(gap)}`);
  });

  it("takes any bytes of any length, and packets longer than it has room for", () => {
    const decoder = g722.createDecoder();
    const target = new Int16Array(3200);
    assert.equal(decoder.decode(new Uint8Array(0), 0, 0, target), 0);
    assert.equal(decoder.decode(Uint8Array.of(1, 2, 3), 0, 3, target), 6);
    for (let code = 0; code < 256; code++) {
      assert.equal(decoder.decode(new Uint8Array(160).fill(code), 0, 160, target), 320);
    }
    assert.equal(decoder.decode(new Uint8Array(65_000), 0, 65_000, target), 3200);
  });
});
