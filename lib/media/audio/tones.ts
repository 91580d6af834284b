/** Tones made by calculation: call progress tones by country, a beep, silence, and the digits in band (ITU-T Q.23). */
import type { SampleSource } from "./audio-source.js";
import { NATIONAL_TONES, nationalTone, TONE_COUNTRIES } from "./tone-plans.js";

/** A stretch of one or two frequencies, or of silence. */
interface ToneSegment {
  /** Whole Hz; empty = silence. */
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

/** A tone that has no end of its own sounds this long each time it is played, in whole cadences. Milliseconds. */
const ONE_PLAY = 5_000;
/** The longest that a name can ask for: an hour. */
const LONGEST = 3_600_000;

/** The names that `toneSource` knows, each with `/` and a country or milliseconds, or both, if need be. */
export const TONE_NAMES: readonly string[] = [...NATIONAL_TONES, "beep", "silence"];
/** For error texts. */
export const KNOWN_TONES = `${TONE_NAMES.join(", ")}, of the countries ${TONE_COUNTRIES.join(", ")}`;

/** Short names. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["waiting", "call-waiting"],
  ["info", "special-information"],
]);

/** −13 dBm0 in all, the middle of what ITU-T E.180 §4 recommends: the peak of a sine, and of each of two. */
const AMPLITUDE = 5_100;
const PAIR_AMPLITUDES = [3_600, 3_600] as const;
/** Each of the two tones of a digit. */
const DIGIT_AMPLITUDES = [6_500, 8_000] as const;
/** Rise and fall at the ends of a stretch, so that it does not click. Milliseconds. */
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
 * @param name - One of TONE_NAMES; with a country (`ring/uk`), with milliseconds (`silence/500`), or with both.
 * @param repeats - How often it is played, Infinity = until stopped.
 * @param sampleRate - Hz.
 * @returns undefined when there is no tone of this name.
 */
export function toneSource(
  name: string,
  repeats: number,
  sampleRate: number,
): SampleSource | undefined {
  const [tone, ...more] = name.split("/");
  const milliseconds = /^\d{1,7}$/.test(more.at(-1) ?? "") ? Number(more.pop()) : undefined;
  if (more.length > 1 || (milliseconds ?? 0) > LONGEST) return undefined;
  const definition = definitionOf(ALIASES.get(tone) ?? tone, more.at(0));
  if (definition === undefined) return undefined;
  if (milliseconds !== undefined) {
    const segments = cut(definition.segments, milliseconds);
    return new ToneSource(segments, repeats, undefined, sampleRate);
  }
  // A tone that ends by itself is repeated with a pause as long as itself.
  const [first] = definition.segments;
  const segments =
    definition.once && repeats > 1 ? [first, off(first.duration)] : definition.segments;
  const rounds = definition.once ? repeats : repeats * Math.ceil(ONE_PLAY / lengthOf(segments));
  return new ToneSource(segments, rounds, undefined, sampleRate);
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

function definitionOf(tone: string, country: string | undefined): ToneDefinition | undefined {
  if (tone === "silence" || tone === "beep") {
    if (country !== undefined) return undefined;
    return tone === "beep"
      ? { segments: [on(1000, 250)], once: true }
      : { segments: [off(1000)], once: false };
  }
  const national = NATIONAL_TONES.find((known) => known === tone);
  const stretches = national && nationalTone(national, country);
  return (
    stretches && {
      segments: stretches.map(({ frequencies, duration = ONE_PLAY }) => ({
        frequencies,
        duration,
      })),
      once: false,
    }
  );
}

/** The segments, repeated and cut to a length. A single one becomes so long, without seams. */
function cut(segments: readonly ToneSegment[], milliseconds: number): ToneSegment[] {
  if (segments.length === 1) return [{ ...segments[0], duration: milliseconds }];
  const result: ToneSegment[] = [];
  for (let left = milliseconds, next = 0; left > 0; next = (next + 1) % segments.length) {
    const duration = Math.min(left, segments[next].duration);
    result.push({ ...segments[next], duration });
    left -= duration;
  }
  return result;
}

function lengthOf(segments: readonly ToneSegment[]): number {
  return segments.reduce((sum, { duration }) => sum + duration, 0);
}

/** A second of a sine of 1 Hz, by sample rate: tones are of whole hertz, so each takes every so many-th of it. */
const SINES = new Map<number, Float64Array>();

function oneHertz(sampleRate: number): Float64Array {
  let sine = SINES.get(sampleRate);
  if (sine === undefined) {
    sine = Float64Array.from({ length: sampleRate }, (_, i) =>
      Math.sin((2 * Math.PI * i) / sampleRate),
    );
    SINES.set(sampleRate, sine);
  }
  return sine;
}

/** Plays stretches in turn. */
class ToneSource implements SampleSource {
  readonly sampleRate: number;
  readonly failed = false;
  readonly #segments: readonly ToneSegment[];
  /** Undefined = as loud as exchanges are. */
  readonly #amplitudes: readonly number[] | undefined;
  #rounds: number;
  #segment = 0;
  /** Samples since the stretch began. */
  #position = 0;

  constructor(
    segments: readonly ToneSegment[],
    rounds: number,
    amplitudes: readonly number[] | undefined,
    sampleRate: number,
  ) {
    this.sampleRate = sampleRate;
    this.#segments = segments;
    this.#rounds = lengthOf(segments) === 0 ? 0 : rounds;
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
    const ramp = (this.sampleRate * RAMP_MS) / 1000;
    const { frequencies } = segment;
    const sine = oneHertz(this.sampleRate);
    const amplitudes = this.#amplitudes ?? (frequencies.length > 1 ? PAIR_AMPLITUDES : [AMPLITUDE]);
    for (const [index, frequency] of frequencies.entries()) {
      const amplitude = amplitudes[Math.min(index, amplitudes.length - 1)];
      let phase = (frequency * this.#position) % this.sampleRate;
      for (let i = 0; i < count; i++) {
        const place = this.#position + i;
        const edge = smooth ? Math.min(place, length - place, ramp) / ramp : 1;
        target[offset + i] += Math.round(sine[phase] * amplitude * edge);
        phase += frequency;
        if (phase >= this.sampleRate) phase -= this.sampleRate;
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
