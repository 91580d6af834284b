/**
 * Tones made by calculation: the call progress tones of the German network (ITU-T E.180 supplement 2), a beep, and the
 * digits in band (ITU-T Q.23).
 */
import type { SampleSource } from "./audio-source.js";

/** A stretch of one or two frequencies, or of silence. */
interface ToneSegment {
  /** Hz; empty = silence. */
  readonly frequencies: readonly number[];
  /** Milliseconds. */
  readonly duration: number;
}

interface ToneDefinition {
  readonly segments: readonly ToneSegment[];
  /** One play is one pass over its segments; else it goes on from the first for `ONE_PLAY`. */
  readonly once: boolean;
}

const on = (frequency: number, duration: number): ToneSegment => ({
  frequencies: [frequency],
  duration,
});
const off = (duration: number): ToneSegment => ({ frequencies: [], duration });
const forEver = (...segments: ToneSegment[]): ToneDefinition => ({ segments, once: false });

/** A tone that has no end of its own sounds this long each time it is played, in whole cadences. Milliseconds. */
const ONE_PLAY = 5_000;

const TONES: ReadonlyMap<string, ToneDefinition> = new Map([
  ["ring", forEver(on(425, 1000), off(4000))],
  ["busy", forEver(on(425, 480), off(480))],
  ["congestion", forEver(on(425, 240), off(240))],
  ["dial", forEver(on(425, ONE_PLAY))],
  ["waiting", forEver(on(425, 200), off(200), on(425, 200), off(5000))],
  ["silence", forEver(off(1000))],
  ["beep", { segments: [on(1000, 250)], once: true }],
]);

/** The names that `toneSource` knows. */
export const TONE_NAMES: readonly string[] = [...TONES.keys()];

/** −13 dBm0 or so: as loud as exchanges are. */
const AMPLITUDE = 6_000;
/** Each of the two tones of a digit. */
const DIGIT_AMPLITUDES = [6_500, 8_000] as const;
/** Rise and fall at the ends of a stretch, so that it does not click. */
const RAMP_MS = 2;

/** Hz. */
export const DIGIT_ROWS = [697, 770, 852, 941] as const;
export const DIGIT_COLUMNS = [1209, 1336, 1477, 1633] as const;
const DIGIT_KEYS = "123A456B789C*0#D";

/** The digit of a row and a column, each 0 to 3. */
export function digitAt(row: number, column: number): string {
  return DIGIT_KEYS.charAt(row * 4 + column);
}

/** The two frequencies of a digit, Hz, the lower first; undefined for what is no digit. */
export function digitFrequencies(digit: string): readonly [number, number] | undefined {
  const place = DIGIT_KEYS.indexOf(digit.toUpperCase());
  if (place < 0 || digit.length !== 1) return undefined;
  return [DIGIT_ROWS[place >> 2], DIGIT_COLUMNS[place & 3]];
}

/**
 * @param repeats - how often it is played, Infinity = until stopped.
 * @param sampleRate - Hz.
 * @returns undefined when there is no tone of this name.
 */
export function toneSource(
  name: string,
  repeats: number,
  sampleRate: number,
): SampleSource | undefined {
  const definition = TONES.get(name);
  if (definition === undefined) return undefined;
  // A tone that ends by itself is repeated with a pause as long as itself.
  const [first] = definition.segments;
  const segments =
    definition.once && repeats > 1 ? [first, off(first.duration)] : definition.segments;
  const cadence = definition.segments.reduce((sum, { duration }) => sum + duration, 0);
  const rounds = definition.once ? repeats : repeats * Math.ceil(ONE_PLAY / cadence);
  return new ToneSource(segments, rounds, [AMPLITUDE], sampleRate);
}

/** Digits as dual tones; `,` is a pause of half a second. */
export function digitTones(
  digits: string,
  durationMs: number,
  gapMs: number,
  sampleRate: number,
): SampleSource {
  const segments: ToneSegment[] = [];
  for (const digit of digits) {
    const frequencies = digitFrequencies(digit);
    if (frequencies === undefined) {
      segments.push(off(500));
    } else {
      if (segments.length > 0) segments.push(off(gapMs));
      segments.push({ frequencies, duration: durationMs });
    }
  }
  return new ToneSource(segments, 1, DIGIT_AMPLITUDES, sampleRate);
}

/** Plays stretches in turn. */
class ToneSource implements SampleSource {
  readonly failed = false;
  readonly #segments: readonly ToneSegment[];
  readonly #amplitudes: readonly number[];
  #rounds: number;
  #segment = 0;
  /** Samples since the stretch began. */
  #position = 0;

  constructor(
    segments: readonly ToneSegment[],
    rounds: number,
    amplitudes: readonly number[],
    readonly sampleRate: number,
  ) {
    this.#segments = segments;
    this.#rounds = segments.length === 0 ? 0 : rounds;
    this.#amplitudes = amplitudes;
  }

  get ended(): boolean {
    return this.#rounds <= 0;
  }

  read(target: Int16Array, count: number): number {
    let filled = 0;
    while (filled < count && this.#rounds > 0) {
      const segment = this.#segments[this.#segment];
      const length = Math.round((segment.duration * this.sampleRate) / 1000);
      const part = Math.min(count - filled, length - this.#position);
      this.#write(target, filled, part, segment, length);
      filled += part;
      this.#position += part;
      if (this.#position >= length) this.#nextSegment();
    }
    return filled;
  }

  close(): void {
    this.#rounds = 0;
  }

  #write(
    target: Int16Array,
    offset: number,
    count: number,
    segment: ToneSegment,
    length: number,
  ): void {
    target.fill(0, offset, offset + count);
    // A continuous tone must not dip where its stretch begins again; whole hertz fit into whole seconds.
    const smooth = this.#segments.length > 1 || this.#rounds !== Infinity;
    for (const [index, frequency] of segment.frequencies.entries()) {
      const amplitude = this.#amplitudes[Math.min(index, this.#amplitudes.length - 1)];
      const step = (2 * Math.PI * frequency) / this.sampleRate;
      const ramp = (RAMP_MS * this.sampleRate) / 1000;
      for (let i = 0; i < count; i++) {
        const place = this.#position + i;
        const edge = smooth ? Math.min(place, length - place, ramp) / ramp : 1;
        target[offset + i] += Math.round(Math.sin(step * place) * amplitude * edge);
      }
    }
  }

  #nextSegment(): void {
    this.#position = 0;
    this.#segment += 1;
    if (this.#segment < this.#segments.length) return;
    this.#segment = 0;
    this.#rounds -= 1;
  }
}
