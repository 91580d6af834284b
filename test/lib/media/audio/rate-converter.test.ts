/** Changing the rate of what plays. Hard cases: borders of packets, sources that are late, that end, that fail. */
import assert from "node:assert/strict";
import type { SampleSource } from "../../../../lib/media/audio/audio-source.js";
import { atRate } from "../../../../lib/media/audio/rate-converter.js";
import { Resampler } from "../../../../lib/media/audio/resampler.js";
import { toneSource } from "../../../../lib/media/audio/tones.js";
import { drained } from "../../../support/drained.js";
import { toneAmplitude, toneFrequency } from "../../../support/rtp-phone.js";

/** A sine of any rate, that can be late, cut or broken. */
class Sine implements SampleSource {
  readonly sampleRate: number;
  failed = false;
  late = false;
  closed = 0;
  #place = 0;
  readonly #frequency: number;
  #left: number;

  constructor(frequency: number, sampleRate: number, seconds: number) {
    this.sampleRate = sampleRate;
    this.#frequency = frequency;
    this.#left = seconds * sampleRate;
  }

  get ended(): boolean {
    return this.#left === 0 || this.failed;
  }

  read(target: Int16Array, count: number): number {
    if (this.late || this.failed) return 0;
    const given = Math.min(count, this.#left);
    for (let i = 0; i < given; i++) {
      const phase = (2 * Math.PI * this.#frequency * this.#place++) / this.sampleRate;
      target[i] = Math.round(10_000 * Math.sin(phase));
    }
    this.#left -= given;
    return given;
  }

  close(): void {
    this.closed += 1;
  }
}

const PAIRS: [number, number][] = [
  [8000, 48_000],
  [8000, 16_000],
  [16_000, 8000],
  [48_000, 8000],
  [44_100, 8000],
  [44_100, 48_000],
  [48_000, 16_000],
  [24_000, 16_000],
  [22_050, 48_000],
];

/** What comes out of the filter for a sine of the amplitude 1. */
function filtered(frequency: number, from: number, to: number): Float32Array {
  const input = Float32Array.from({ length: from / 2 }, (_, i) =>
    Math.sin((2 * Math.PI * frequency * i) / from),
  );
  return new Resampler(from, to).push(input).slice(to / 10, (to * 2) / 5);
}

const decibels = (ratio: number): number => 20 * Math.log10(ratio);
const effective = (samples: Float32Array): number =>
  Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);

describe("Resampler, measured", () => {
  for (const [from, to] of PAIRS) {
    const half = Math.min(from, to) / 2;
    it(`passes up to 85 % of the band within 0.5 dB from ${from} to ${to} Hz`, () => {
      for (const share of [0.02, 0.1, 0.3, 0.5, 0.7, 0.8, 0.85]) {
        const level = decibels(effective(filtered(half * share, from, to)) * Math.SQRT2);
        assert.ok(Math.abs(level) < 0.5, `${half * share} Hz at ${level} dB`);
      }
    });

    it(`keeps what is not in the band 60 dB down from ${from} to ${to} Hz`, () => {
      if (from > to) {
        for (const frequency of [half * 1.01, half * 1.1, half * 1.5, half * 1.9]) {
          if (frequency >= from / 2) continue;
          const level = decibels(effective(filtered(frequency, from, to)) * Math.SQRT2);
          assert.ok(level < -60, `${frequency} Hz at ${level} dB`);
        }
        return;
      }
      // Upwards: what is there besides the tone is its image and noise.
      const output = filtered(half * 0.85, from, to);
      const step = (2 * Math.PI * half * 0.85) / to;
      let sine = 0;
      let cosine = 0;
      for (const [i, sample] of output.entries()) {
        sine += (2 * sample * Math.sin(step * i)) / output.length;
        cosine += (2 * sample * Math.cos(step * i)) / output.length;
      }
      const rest = output.map(
        (sample, i) => sample - sine * Math.sin(step * i) - cosine * Math.cos(step * i),
      );
      const level = decibels(effective(rest) / effective(output));
      assert.ok(level < -55, `the rest is at ${level} dB`);
    });
  }
});

describe("atRate", () => {
  for (const [from, to] of PAIRS) {
    it(`keeps pitch, level and length from ${from} to ${to} Hz, without clicks`, async () => {
      const source = new Sine(440, from, 1);
      const samples = await drained(atRate(source, to), { sampleRate: to });
      assert.ok(Math.abs(samples.length - to) <= 8, `${samples.length} samples`);
      const middle = samples.slice(to / 20, to - to / 20);
      assert.ok(Math.abs(toneFrequency(middle, to) - 440) < 0.2);
      assert.ok(Math.abs(toneAmplitude(middle, 440, to) / 10_000 - 1) < 0.02);
      // A click is a bend that a sine of this pitch does not have.
      const most = 10_000 * ((2 * Math.PI * 440) / to) ** 2 + 4;
      for (let i = 1; i + 1 < middle.length; i++) {
        const bend = Math.abs(middle[i - 1] - 2 * middle[i] + middle[i + 1]);
        assert.ok(bend < most * 1.1, `a bend of ${bend} at ${i}`);
      }
      assert.equal(source.closed, 1);
    });
  }

  it("is silent while its source is late, and goes on", () => {
    const source = new Sine(440, 8000, 1);
    const converter = atRate(source, 16_000);
    const target = new Int16Array(320);
    assert.equal(converter.read(target, 320), 320);
    source.late = true;
    const rest = converter.read(target, 320);
    assert.ok(rest < 320);
    assert.equal(converter.read(target, 320), 0);
    assert.equal(converter.ended, false);
    source.late = false;
    assert.equal(converter.read(target, 320), 320);
  });

  it("is failed when its source is, without waiting for a rest", () => {
    const source = new Sine(440, 8000, 1);
    const converter = atRate(source, 48_000);
    converter.read(new Int16Array(960), 960);
    source.failed = true;
    while (converter.read(new Int16Array(960), 960) > 0);
    assert.ok(converter.ended);
    assert.ok(converter.failed);
  });

  it("gives nothing after it was closed", () => {
    const source = toneSource("dial", Infinity, 8000);
    assert.ok(source);
    const converter = atRate(source, 16_000);
    converter.read(new Int16Array(320), 320);
    converter.close();
    assert.ok(converter.ended);
    assert.ok(source.ended);
    assert.equal(converter.read(new Int16Array(320), 320), 0);
  });
});
