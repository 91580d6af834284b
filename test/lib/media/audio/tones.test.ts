/** Tones by country. Hard cases: names that no table may answer, lengths, levels, clicks, every rate of a line. */
import assert from "node:assert/strict";
import {
  NATIONAL_TONES,
  nationalTone,
  TONE_COUNTRIES,
} from "../../../../lib/media/audio/tone-plans.js";
import { toneSource } from "../../../../lib/media/audio/tones.js";
import { toneAmplitude } from "../../../support/rtp-phone.js";

function heard(name: string, count: number, sampleRate = 8000, repeats = Infinity): Int16Array {
  const source = toneSource(name, repeats, sampleRate);
  assert.ok(source, name);
  assert.equal(source.sampleRate, sampleRate);
  const samples = new Int16Array(count);
  return samples.subarray(0, source.read(samples, count));
}

const effective = (samples: Int16Array): number =>
  Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);

describe("tones by country", () => {
  it("are known for twenty countries and the European plan, each with all tones", () => {
    assert.ok(TONE_COUNTRIES.length >= 20);
    for (const country of TONE_COUNTRIES) {
      for (const tone of NATIONAL_TONES) {
        const stretches = nationalTone(tone, country);
        assert.ok(stretches && stretches.length > 0);
        for (const { frequencies, duration } of stretches) {
          assert.ok(frequencies.length <= 2);
          assert.ok(frequencies.every((hertz) => hertz >= 300 && hertz <= 2000));
          assert.ok(duration === undefined || (duration >= 30 && duration <= 15_000));
        }
      }
    }
  });

  for (const [name, on, frequencies] of [
    ["ring/uk", 400, [400, 450]],
    ["busy/us", 500, [480, 620]],
    ["busy/de", 480, [425]],
    ["ring/fr", 1500, [440]],
    ["congestion/ch", 200, [425]],
    ["dial/uk", 5000, [350, 440]],
    ["special-information", 330, [950]],
    ["call-waiting/at", 40, [420]],
  ] as const) {
    for (const sampleRate of [8000, 16_000, 48_000]) {
      it(`${name} begins with ${frequencies.join(" and ")} Hz at −13 dBm0 (${sampleRate} Hz)`, () => {
        const samples = heard(name, (on * sampleRate) / 1000, sampleRate);
        // Without its ends, which rise and fall. A sine of full scale has 3.14 dBm0 (ITU-T G.711).
        const edge = Math.round(0.003 * sampleRate);
        const middle = samples.slice(edge, samples.length - edge);
        const level = 20 * Math.log10((effective(middle) * Math.SQRT2) / 32_768) + 3.14;
        assert.ok(Math.abs(level + 13) < 1, `${level} dBm0`);
        for (const frequency of frequencies) {
          const amplitude = toneAmplitude(middle, frequency, sampleRate);
          assert.ok(amplitude > 2500, `${frequency} Hz at ${amplitude}`);
        }
      });
    }
  }

  it("rise and fall without a click, wherever packets end", () => {
    for (const name of [
      "ring/uk",
      "busy/us",
      "special-information/cz",
      "beep",
      "call-waiting/it",
    ]) {
      const source = toneSource(name, 3, 8000);
      assert.ok(source);
      let before = 0;
      const frame = new Int16Array(160);
      for (let packet = 0; packet < 200 && !source.ended; packet++) {
        const count = source.read(frame, 160);
        for (const sample of frame.subarray(0, count)) {
          // The steepest sine of the table: 1850 Hz; a click would be a jump.
          assert.ok(Math.abs(sample - before) < 7200, `${name}: from ${before} to ${sample}`);
          before = sample;
        }
      }
    }
  });

  it("have short names, and lengths in milliseconds", () => {
    assert.deepEqual(heard("waiting", 8000), heard("call-waiting", 8000));
    assert.deepEqual(heard("info/uk", 8000), heard("special-information/uk", 8000));
    assert.deepEqual(heard("ring", 8000), heard("ring/de", 8000));
    assert.equal(heard("silence/500", 80_000, 8000, 1).length, 4000);
    assert.equal(heard("silence/500", 80_000, 8000, 3).length, 12_000);
    assert.equal(heard("ring/uk/700", 80_000, 8000, 1).length, 5600);
    assert.equal(heard("dial/1234", 80_000, 8000, 1).length, 9872);
    assert.equal(heard("beep/100", 80_000, 8000, 1).length, 800);
    assert.equal(heard("silence/0", 80_000, 8000, 1).length, 0);
  });

  it("of other names there are none", () => {
    for (const name of [
      "",
      "/",
      "ring/",
      "ring/xx",
      "ring/UK",
      "ring/uk/x",
      "ring/uk/de",
      "ring/1/2",
      "beep/uk",
      "ring/-1",
      "ring/99999999",
      "ring/constructor",
      "__proto__/uk",
      "toString",
    ]) {
      assert.equal(toneSource(name, 1, 8000), undefined, name);
    }
  });
});
