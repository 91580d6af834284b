/** How well a tone came through: its pitch, its loudness and its gaps, also beside other tones. */

export interface HeardTone {
  /** Hz. */
  readonly frequency: number;
  /** Against `level`. */
  readonly decibels: number;
  /** Milliseconds of the longest gap. */
  readonly gap: number;
  /** Seconds from its first to its last moment. */
  readonly seconds: number;
}

export interface ExpectedTone {
  /** Hz, a multiple of 100: other tones of such frequencies then do not disturb. */
  readonly frequency: number;
  /** Peak of the sine that was sent, full scale = 1. */
  readonly level: number;
  /** Seconds of it that are judged. Default: 2, half a second after it began, when the peer's stream has settled. */
  readonly judged?: number;
}

const WINDOW_MS = 10;
const STEP_MS = 2.5;
/** A window in which a fifth of the tone is left is a part of a gap. */
const QUIET = 0.2;
const SETTLING_S = 0.5;

/**
 * Judges a recording. @param channel - 0 or 1 of a stereo one.
 * @throws Error when the tone is not there, or not for long enough.
 */
export function heardTone(wav: Buffer, tone: ExpectedTone, channel = 0): HeardTone {
  const { rate, samples } = readChannel(wav, channel);
  const window = Math.round((rate * WINDOW_MS) / 1000);
  const step = Math.max(1, Math.round((rate * STEP_MS) / 1000));
  const levels: number[] = [];
  for (let at = 0; at + window <= samples.length; at += step)
    levels.push(peak(samples.subarray(at, at + window), rate, tone.frequency));
  const loud = levels.map((level) => level > QUIET * tone.level);
  const first = loud.indexOf(true);
  if (first < 0) throw new Error(`${tone.frequency} Hz is not in ${samples.length / rate} s`);
  const seconds = ((loud.lastIndexOf(true) - first) * step + window) / rate;
  const judged = tone.judged ?? 2;
  const from = first * step + SETTLING_S * rate;
  const part = samples.subarray(from, from + judged * rate);
  if (part.length < judged * rate || seconds < judged)
    throw new Error(`${tone.frequency} Hz lasts ${seconds} s in ${samples.length / rate} s`);
  let quiet = 0;
  let longest = 0;
  const firstWindow = Math.ceil(from / step);
  const lastWindow = firstWindow + (judged * 1000) / STEP_MS;
  for (const isLoud of loud.slice(firstWindow, lastWindow)) {
    quiet = isLoud ? 0 : quiet + 1;
    longest = Math.max(longest, quiet);
  }
  // Of short pieces, because a jitter buffer that stretches the tone here and there does not make it less loud.
  const sorted = levels.slice(firstWindow, lastWindow).toSorted((a, b) => a - b);
  return {
    frequency: strongest(part, rate, tone.frequency),
    decibels: 20 * Math.log10(sorted[sorted.length >> 1] / tone.level),
    gap: longest === 0 ? 0 : (longest - 1) * STEP_MS + (1 - 2 * QUIET) * WINDOW_MS,
    seconds,
  };
}

/** Samples of one channel of a 16-bit WAV, −1 … 1. */
export function readChannel(wav: Buffer, channel = 0): { rate: number; samples: Float64Array } {
  const channels = wav.readUInt16LE(22);
  const start = wav.indexOf("data", 12, "latin1") + 8;
  const count = Math.floor((wav.length - start) / (2 * channels));
  const samples = Float64Array.from(
    { length: count },
    (_, i) => wav.readInt16LE(start + 2 * (channels * i + channel)) / 32_768,
  );
  return { rate: wav.readUInt32LE(24), samples };
}

/** Amplitude of one frequency. */
function peak(samples: Float64Array, rate: number, frequency: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / rate);
  let before = 0;
  let last = 0;
  for (const sample of samples) {
    const next = sample + coefficient * last - before;
    before = last;
    last = next;
  }
  const power = last * last + before * before - coefficient * last * before;
  return (2 * Math.sqrt(Math.max(0, power))) / samples.length;
}

/** The frequency within 3 % of the expected one that is strongest, to a tenth of a percent. */
function strongest(samples: Float64Array, rate: number, expected: number): number {
  let best = 0;
  let found = expected;
  for (let tenth = -30; tenth <= 30; tenth++) {
    const frequency = expected * (1 + tenth / 1000);
    const level = peak(samples, rate, frequency);
    if (level <= best) continue;
    best = level;
    found = frequency;
  }
  return found;
}
