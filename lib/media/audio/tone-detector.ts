/**
 * Finds digits that are sent as tones in the sound (ITU-T Q.23, limits of Q.24): Goertzel filters on the eight
 * frequencies and their second harmonics, with the tests that keep speech from being taken for digits.
 */
import { digitAt, DIGIT_COLUMNS, DIGIT_ROWS } from "./tones.js";

export interface HeardDigit {
  readonly digit: string;
  /** Milliseconds. */
  readonly duration: number;
}

/** Hz that the detector works at. */
export const DETECTOR_RATE = 8000;
/** Samples looked at together: 12.75 ms, so that a tone of 40 ms fills two of them wherever it begins. */
const BLOCK = 102;
const BLOCK_MS = (BLOCK * 1000) / DETECTOR_RATE;
/** Mean square of the weakest tone pair that counts, −36 dBm0 or so. */
const LOWEST_POWER = 4_000;
/** Power ratios: the high tone may be 8 dB above the low one, the low one 4 dB above the high one (Q.24). */
const MOST_TWIST = 6.3;
const MOST_REVERSE_TWIST = 2.5;
/** The best of a group stands out of the others by 6 dB. */
const LEAST_LEAD = 4;
/** Both tones hold this share of all that is heard; a voice spreads over many frequencies. */
const LEAST_SHARE = 0.74;
/** A voice has harmonics, a tone has none. */
const MOST_HARMONIC = 0.1;
/** How far beside the digit's frequency a stronger tone means that it is none: 1.5 % must pass, 3.5 % must not. */
const BESIDE = 0.032;
/** A tone is as loud in one block as in the next, a voice seldom: 2 dB. */
const STEADY = 1.6;
/** Blocks that agree before a digit is believed, and that disagree before it is over. */
const ENOUGH_HITS = 2;
const ENOUGH_MISSES = 3;
/** Blocks of made-up sound that a digit outlives: 100 ms. */
const LONGEST_HOLD = 8;
/** A tone as short as `ENOUGH_HITS` must be followed by less than this share of its power; a voice goes on. */
const MOST_AFTER = 0.8;

export class ToneDetector {
  readonly #onDigit: (digit: HeardDigit) => void;
  /** The last block and the one before it. */
  readonly #samples = new Float64Array(2 * BLOCK);
  #filled = 0;
  #candidate: string | undefined;
  #hits = 0;
  #misses = 0;
  /** Mean square of the last block that counted, and whether what followed was as loud. */
  #loudness = 0;
  #goesOn = false;
  /** The block holds sound that was made up; how many such blocks a digit has waited. */
  #concealed = false;
  #held = 0;

  /** @param onDigit - Called when a digit has ended. */
  constructor(onDigit: (digit: HeardDigit) => void) {
    this.#onDigit = onDigit;
  }

  /**
   * Takes samples of `DETECTOR_RATE`, any number of them.
   *
   * @param concealed - Some of them were made up: what they lack of a tone does not end it.
   */
  push(samples: Int16Array, count: number, concealed = false): void {
    this.#concealed ||= concealed;
    for (let i = 0; i < count; i++) {
      this.#samples[BLOCK + this.#filled] = samples[i];
      this.#filled += 1;
      if (this.#filled < BLOCK) continue;
      this.#block();
      this.#samples.copyWithin(0, BLOCK);
      this.#filled = 0;
      this.#concealed = concealed;
    }
  }

  #block(): void {
    const power = this.#power();
    const digit = this.#digitOfBlock(power);
    if (digit !== undefined && digit === this.#candidate) {
      this.#hits += 1;
      this.#misses = 0;
      // Twice as long a look tells frequencies apart that one block cannot; made-up sound in it would not let it.
      const believed = this.#hits > ENOUGH_HITS || (this.#isSteady(power) && this.#centred(digit));
      if (!believed && this.#held === 0) this.#hits = 1;
      this.#loudness = power;
      return;
    }
    if (this.#hits > 0 && this.#concealed && digit === undefined && this.#held < LONGEST_HOLD) {
      this.#held += 1;
      return;
    }
    if (this.#hits >= ENOUGH_HITS) {
      this.#misses += 1;
      if (this.#misses === 1) this.#goesOn = power > this.#loudness * MOST_AFTER;
      // A click or a lost packet within a digit does not make two of it.
      if (this.#misses < ENOUGH_MISSES && digit === undefined) return;
      this.#report();
    }
    this.#candidate = digit;
    this.#hits = digit === undefined ? 0 : 1;
    this.#misses = 0;
    this.#held = 0;
    this.#loudness = power;
  }

  #report(): void {
    const digit = this.#candidate;
    if (digit === undefined || (this.#hits === ENOUGH_HITS && this.#goesOn)) return;
    // The ends of the tone lie in blocks that did not count.
    this.#onDigit({ digit, duration: Math.round((this.#hits + 1) * BLOCK_MS) });
  }

  #digitOfBlock(power: number): string | undefined {
    if (power < LOWEST_POWER) return undefined;
    const row = this.#strongest(DIGIT_ROWS);
    const column = this.#strongest(DIGIT_COLUMNS);
    if (row === undefined || column === undefined) return undefined;
    if (column.power > row.power * MOST_TWIST) return undefined;
    if (row.power > column.power * MOST_REVERSE_TWIST) return undefined;
    if (row.power + column.power < power * LEAST_SHARE) return undefined;
    const harmonics =
      this.#powerAt(2 * DIGIT_ROWS[row.place], BLOCK) +
      this.#powerAt(2 * DIGIT_COLUMNS[column.place], BLOCK);
    if (harmonics > (row.power + column.power) * MOST_HARMONIC) return undefined;
    return digitAt(row.place, column.place);
  }

  /** Mean square of the last block. */
  #power(): number {
    let sum = 0;
    for (let i = BLOCK; i < 2 * BLOCK; i++) sum += this.#samples[i] * this.#samples[i];
    return sum / BLOCK;
  }

  /** Undefined when none of the group stands out. */
  #strongest(
    frequencies: readonly number[],
  ): { readonly place: number; readonly power: number } | undefined {
    const powers = frequencies.map((frequency) => this.#powerAt(frequency, BLOCK));
    const power = Math.max(...powers);
    const place = powers.indexOf(power);
    const alone = powers.every((other, index) => index === place || other * LEAST_LEAD < power);
    return alone ? { place, power } : undefined;
  }

  #isSteady(power: number): boolean {
    return power < this.#loudness * STEADY && this.#loudness < power * STEADY;
  }

  #centred(digit: string): boolean {
    for (const [row, low] of DIGIT_ROWS.entries()) {
      for (const [column, high] of DIGIT_COLUMNS.entries()) {
        if (digitAt(row, column) !== digit) continue;
        return [low, high].every((frequency) => {
          const middle = this.#powerAt(frequency, 2 * BLOCK);
          return (
            middle >= this.#powerAt(frequency * (1 - BESIDE), 2 * BLOCK) &&
            middle >= this.#powerAt(frequency * (1 + BESIDE), 2 * BLOCK)
          );
        });
      }
    }
    return false;
  }

  /** Mean square of a tone of this frequency in the last `length` samples (Goertzel). */
  #powerAt(frequency: number, length: number): number {
    const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / DETECTOR_RATE);
    let before = 0;
    let beforeThat = 0;
    for (let i = 2 * BLOCK - length; i < 2 * BLOCK; i++) {
      const value = this.#samples[i] + coefficient * before - beforeThat;
      beforeThat = before;
      before = value;
    }
    const magnitude = before * before + beforeThat * beforeThat - coefficient * before * beforeThat;
    return (2 * magnitude) / (length * length);
  }
}
