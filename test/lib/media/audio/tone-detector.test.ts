import assert from "node:assert/strict";
import { Resampler } from "../../../../lib/media/audio/resampler.js";
import { ToneDetector } from "../../../../lib/media/audio/tone-detector.js";
import { digitFrequencies, digitTones } from "../../../../lib/media/audio/tones.js";
import { InbandDigits } from "../../../../lib/media/rtp/inband-digits.js";
import { decodeG711, encodeG711 } from "../../../../lib/media/codec/g711.js";
import { SeededRandom } from "../../../support/seeded-random.js";

const DIGITS = "0123456789ABCD*#";

function detect(samples: Int16Array): string {
  let digits = "";
  const detector = new ToneDetector(({ digit }) => (digits += digit));
  for (let at = 0; at < samples.length; at += 160) {
    const part = samples.subarray(at, at + 160);
    detector.push(part, part.length);
  }
  detector.push(new Int16Array(800), 800);
  return digits;
}

interface Tone {
  /** Milliseconds. */
  readonly duration: number;
  readonly low?: number;
  readonly high?: number;
  /** Factor on both frequencies. */
  readonly shift?: number;
  /** Amplitude of white noise. */
  readonly noise?: number;
  /** Samples of silence first, so that blocks lie differently. */
  readonly offset?: number;
}

function tone(digit: string, options: Tone): Int16Array {
  const [low, high] = digitFrequencies(digit) ?? [0, 0];
  const random = new SeededRandom(digit.charCodeAt(0));
  const offset = options.offset ?? 0;
  const length = options.duration * 8;
  const samples = new Int16Array(offset + length + 800);
  const shift = options.shift ?? 1;
  for (let i = 0; i < samples.length; i++) {
    const inside = i >= offset && i < offset + length;
    const sound = inside
      ? (options.low ?? 5000) * Math.sin((2 * Math.PI * low * shift * i) / 8000) +
        (options.high ?? 6000) * Math.sin((2 * Math.PI * high * shift * i) / 8000 + 1)
      : 0;
    samples[i] = Math.round(sound + (random.next() * 2 - 1) * (options.noise ?? 0));
  }
  return samples;
}

/** Voiced sound: a gliding pitch with its harmonics under wandering resonances of 100 Hz width, and hiss. */
function speech(seconds: number, seed: number): Int16Array {
  const random = new SeededRandom(seed);
  const samples = new Int16Array(seconds * 8000);
  let pitch = 120;
  let glide = 0;
  let phase = 0;
  let formants = [500, 1500, 2500];
  for (let i = 0; i < samples.length; i++) {
    if (i % 800 === 0) {
      glide = (random.next() - 0.5) * 0.02;
      formants = [
        300 + random.next() * 700,
        900 + random.next() * 1500,
        2200 + random.next() * 900,
      ];
    }
    if (i % 2400 === 0) pitch = 90 + random.next() * 240;
    pitch *= 1 + glide / 80;
    phase += (2 * Math.PI * pitch) / 8000;
    let sum = 0;
    for (let harmonic = 1; harmonic * pitch < 3600; harmonic++) {
      const frequency = harmonic * pitch;
      let gain = 0;
      for (const formant of formants) gain += 1 / (1 + ((frequency - formant) / 50) ** 2);
      sum += gain * Math.sin(harmonic * phase);
    }
    const loudness = 0.5 + 0.5 * Math.sin((2 * Math.PI * i) / 2600);
    samples[i] = Math.max(
      -32_768,
      Math.min(32_767, (sum * 4000 + (random.next() - 0.5) * 600) * loudness),
    );
  }
  return samples;
}

describe("ToneDetector", () => {
  it("hears every digit of 40 ms and more, wherever it begins, through either law", () => {
    for (const law of ["PCMU", "PCMA"] as const) {
      for (const duration of [40, 60, 100, 400]) {
        for (const [place, digit] of [...DIGITS].entries()) {
          const samples = tone(digit, { duration, offset: place * 13 });
          const coded = new Uint8Array(samples.length);
          encodeG711(law, samples, samples.length, coded, 0);
          decodeG711(law, coded, 0, coded.length, samples);
          assert.equal(detect(samples), digit, `${digit} of ${duration} ms as ${law}`);
        }
      }
    }
  });

  it("tells a row of the same digits apart, and how long they were", () => {
    const source = digitTones("1155#", 50, 40, 8000);
    const samples = new Int16Array(8 * 800);
    source.read(samples, samples.length);
    assert.equal(detect(samples), "1155#");
    let duration = 0;
    const detector = new ToneDetector((digit) => (duration = digit.duration));
    const long = tone("5", { duration: 500 });
    detector.push(long, long.length);
    assert.ok(Math.abs(duration - 500) < 30, `${duration} ms`);
  });

  const CASES: [string, Tone, boolean][] = [
    ["too short a tone", { duration: 20 }, false],
    ["1.5 % above", { duration: 80, shift: 1.015 }, true],
    ["1.5 % below", { duration: 80, shift: 0.985 }, true],
    ["3.5 % above", { duration: 80, shift: 1.035 }, false],
    ["3.5 % below", { duration: 80, shift: 0.965 }, false],
    ["the high tone 7 dB stronger", { duration: 80, low: 3000, high: 6700 }, true],
    ["the low tone 3 dB stronger", { duration: 80, low: 6000, high: 4300 }, true],
    ["the low tone 10 dB stronger", { duration: 80, low: 9000, high: 2800 }, false],
    ["one tone alone", { duration: 80, low: 6000, high: 0 }, false],
    ["soft tones", { duration: 80, low: 180, high: 200 }, true],
    ["softer than any telephone", { duration: 80, low: 20, high: 20 }, false],
    ["noise 16 dB below", { duration: 80, noise: 1500 }, true],
    ["noise as loud", { duration: 80, noise: 16_000 }, false],
  ];
  for (const [name, options, heard] of CASES) {
    it(`${heard ? "hears" : "does not take for a digit"}: ${name}`, () => {
      for (const digit of "159D") {
        assert.equal(detect(tone(digit, options)), heard ? digit : "", digit);
      }
    });
  }

  it("takes no speech, no music and no noise for digits", () => {
    for (let seed = 1; seed <= 12; seed++) {
      const found = detect(speech(20, seed));
      assert.equal(found, "", `seed ${seed}`);
    }
    const random = new SeededRandom(99);
    assert.equal(
      detect(Int16Array.from({ length: 80_000 }, () => (random.next() - 0.5) * 20_000)),
      "",
    );
    for (const frequency of [425, 700, 1000, 1336]) {
      const pure = Int16Array.from({ length: 16_000 }, (_, i) =>
        Math.round(9000 * Math.sin((2 * Math.PI * frequency * i) / 8000)),
      );
      assert.equal(detect(pure), "", `${frequency} Hz`);
    }
  });

  it("listens at the rate of the call", () => {
    for (const sampleRate of [8000, 16_000, 48_000]) {
      let digits = "";
      const listener = new InbandDigits(({ digit }) => (digits += digit));
      const source = digitTones("42*", 80, 80, 8000);
      const samples = new Int16Array(8000);
      source.read(samples, 8000);
      const converted =
        sampleRate === 8000
          ? samples
          : Int16Array.from(new Resampler(8000, sampleRate).push(Float32Array.from(samples)));
      const frame = sampleRate / 50;
      for (let at = 0; at + frame <= converted.length; at += frame) {
        listener.frame(converted.subarray(at, at + frame), converted, frame, sampleRate, false);
      }
      assert.equal(digits, "42*", `${sampleRate}`);
    }
  });
});
