import assert from "node:assert/strict";
import { Resampler } from "../../../../lib/media/audio/resampler.js";
import { toneAmplitude, toneFrequency } from "../../../support/rtp-phone.js";

function sine(frequency: number, rate: number, seconds: number): Float32Array {
  return Float32Array.from({ length: Math.round(rate * seconds) }, (_, i) =>
    Math.sin((2 * Math.PI * frequency * i) / rate),
  );
}

function toInt16(samples: Float32Array): Int16Array {
  return Int16Array.from(samples, (sample) => Math.round(sample * 10_000));
}

function resampled(input: Float32Array, from: number, piece = input.length): Float32Array {
  const resampler = new Resampler(from, 8000);
  const parts: Float32Array[] = [];
  for (let at = 0; at < input.length; at += piece) {
    parts.push(resampler.push(input.subarray(at, at + piece)));
  }
  parts.push(resampler.flush());
  const output = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    output.set(part, place);
    place += part.length;
  }
  return output;
}

const RATES = [4000, 6000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];

describe("Resampler", () => {
  for (const rate of RATES) {
    it(`keeps a tone of 1000 Hz from ${rate} Hz: frequency, level, length, beginning`, () => {
      const output = resampled(sine(1000, rate, 0.5), rate);
      const middle = toInt16(output).slice(800, 3200);
      assert.ok(Math.abs(toneFrequency(middle) - 1000) < 0.5);
      assert.ok(Math.abs(toneAmplitude(middle, 1000) / 10_000 - 1) < 0.02);
      assert.ok(Math.abs(output.length - 4000) <= 2, `${output.length} samples`);
      // No delay: the first quarter wave peaks after two samples.
      assert.ok(output[2] > 0.6, `begins with ${[...output.slice(0, 4)].join(" ")}`);
    });
  }

  it("keeps a tone from a rate that shares nothing with 8000", () => {
    const output = resampled(sine(1000, 44_101, 0.5), 44_101);
    assert.ok(Math.abs(toneFrequency(toInt16(output).slice(800, 3200)) - 1000) < 0.5);
  });

  for (const rate of [16_000, 44_100, 48_000]) {
    it(`lets nothing above 4.2 kHz through from ${rate} Hz`, () => {
      for (const frequency of [4300, 5000, 6500, 7900]) {
        const output = toInt16(resampled(sine(frequency, rate, 0.25), rate)).slice(400, 1600);
        const loudest = output.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
        assert.ok(loudest < 30, `${frequency} Hz leaves ${loudest} of 10000`);
      }
    });

    it(`passes speech up to 3.3 kHz from ${rate} Hz`, () => {
      for (const frequency of [100, 300, 1700, 3300]) {
        const output = toInt16(resampled(sine(frequency, rate, 0.25), rate)).slice(400, 1600);
        const amplitude = toneAmplitude(output, frequency) / 10_000;
        assert.ok(amplitude > 0.9 && amplitude < 1.05, `${frequency} Hz at ${amplitude}`);
      }
    });
  }

  it("gives the same samples whatever the pieces", () => {
    const input = sine(700, 44_100, 0.2);
    const whole = resampled(input, 44_100);
    for (const piece of [1, 7, 100, 441, 5000]) {
      assert.deepEqual(resampled(input, 44_100, piece), whole);
    }
  });

  it("takes nothing and gives nothing", () => {
    assert.equal(new Resampler(48_000, 8000).push(new Float32Array(0)).length, 0);
  });
});
