/**
 * G.722 (ITU-T G.722, mode 1, 64 kbit/s): 16 kHz samples to and from one byte for two of them. A quadrature mirror
 * filter halves the band; each half is coded as the difference to what was expected of it, six bits for the lower and
 * two for the upper. The names of steps in the comments are those of the recommendation (§3, §4, §6).
 */

/** First half of the symmetric filter of 24 taps, in 1/8192 (table 11). */
const HALF_FILTER = [3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876];
const TAPS = 24;
/** The taps that even and odd places of the delay line meet. */
const EVEN_TAPS = Int32Array.from({ length: TAPS / 2 }, (_, i) => tap(2 * i));
const ODD_TAPS = Int32Array.from({ length: TAPS / 2 }, (_, i) => tap(2 * i + 1));

/** Thresholds of the lower band's quantizer, in units of the step size (table 14, Q6). */
const LOWER_THRESHOLDS = Int32Array.of(
  ...[35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940],
  ...[1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919],
);
/** Magnitudes that the six bits of the lower band stand for, smallest first (table 16, QQ6). */
const LOWER_MAGNITUDES_6 = [
  ...[136, 432, 728, 1040, 1360, 1688, 2032, 2400, 2776, 3168, 3576, 4008, 4464, 4944, 5456, 6000],
  ...[6576, 7192, 7856, 8576, 9360, 10232, 11192, 12280, 13512, 14984, 16704, 19008, 21904, 24808],
];
/** The same for the upper four of them, which the prediction goes by (table 15, QQ4). */
const LOWER_MAGNITUDES_4 = [0, 1200, 2584, 4240, 6288, 8968, 12896, 20456];
/** Magnitudes of the upper band's two bits (table 20, QQ2) and the threshold between them (Q2). */
const UPPER_MAGNITUDES = [1616, 7408];
const UPPER_THRESHOLD = 564;
/** How much the logarithmic step size moves with each magnitude, small ones first (tables 17 and 21, WL and WH). */
const LOWER_MULTIPLIERS = [-60, -30, 58, 172, 334, 538, 1198, 3042];
const UPPER_MULTIPLIERS = [-214, 798];
/** 2048·2^(i/32), as in table 18 (ILB). */
const ANTILOG = Int32Array.from({ length: 32 }, (_, i) => Math.round(2048 * 2 ** (i / 32)));

/** Numbers of the lower band's codes: by interval, for negative and positive differences (table 14). */
const LOWER_CODES_NEGATIVE = Uint8Array.from({ length: 30 }, (_, i) => (i < 2 ? 63 - i : 33 - i));
const LOWER_CODES_POSITIVE = Uint8Array.from({ length: 30 }, (_, i) => 61 - i);
const LOWER_6 = new Int32Array(64);
const LOWER_4 = new Int32Array(16);
const LOWER_STEPS = new Int32Array(16);
for (const [interval, magnitude] of LOWER_MAGNITUDES_6.entries()) {
  LOWER_6[LOWER_CODES_POSITIVE[interval]] = magnitude;
  LOWER_6[LOWER_CODES_NEGATIVE[interval]] = -magnitude;
}
// Four codes that no encoder of this mode makes stand for the smallest negative magnitude.
for (let code = 0; code < 4; code++) LOWER_6[code] = -LOWER_MAGNITUDES_6[0];
for (let code = 0; code < 16; code++) {
  const interval = code < 8 ? 8 - code : 15 - code;
  const size = code === 0 ? 0 : interval;
  LOWER_4[code] = code < 8 ? -LOWER_MAGNITUDES_4[size] : LOWER_MAGNITUDES_4[size];
  LOWER_STEPS[code] = LOWER_MULTIPLIERS[size];
}
/** By the two bits of the upper band: large and small negative, large and small positive. */
const UPPER_2 = Int32Array.of(
  -UPPER_MAGNITUDES[1],
  -UPPER_MAGNITUDES[0],
  UPPER_MAGNITUDES[1],
  UPPER_MAGNITUDES[0],
);
const UPPER_STEPS = Int32Array.of(
  UPPER_MULTIPLIERS[1],
  UPPER_MULTIPLIERS[0],
  UPPER_MULTIPLIERS[1],
  UPPER_MULTIPLIERS[0],
);

const LOWER_MOST_LOGARITHM = 18_432;
const UPPER_MOST_LOGARITHM = 22_528;

/** What one half of the band expects next: two poles, six zeros, and a step size that follows the signal. */
class Band {
  /** Sum of both predictions (S). */
  expected = 0;
  /** Step size of the quantizer (DET). */
  step: number;
  #logarithm = 0;
  #zeros = 0;
  readonly #differences = new Int32Array(7);
  readonly #zeroWeights = new Int32Array(7);
  #pole1 = 0;
  #pole2 = 0;
  #rebuilt1 = 0;
  /** Signs of the last partly rebuilt samples: −1 or 0. */
  #sign1 = 0;
  #sign2 = 0;

  /**
   * @param shift - From the logarithm to the step size: 8 for the lower band, 10 for the upper.
   * @param most - Of the logarithm.
   */
  constructor(
    step: number,
    private readonly shift: number,
    private readonly most: number,
  ) {
    this.step = step;
  }

  /** Moves the step size (LOGSCL, SCALEL and their like of the upper band). */
  scale(multiplier: number): void {
    const moved = ((this.#logarithm * 127) >> 7) + multiplier;
    this.#logarithm = moved < 0 ? 0 : moved > this.most ? this.most : moved;
    const mantissa = ANTILOG[(this.#logarithm >> 6) & 31];
    const down = this.shift - (this.#logarithm >> 11);
    this.step = (down < 0 ? mantissa << -down : mantissa >> down) << 2;
  }

  /** Takes the quantized difference and predicts the next sample (block 4). */
  adapt(difference: number): void {
    const rebuilt = saturated(this.expected + difference);
    const sign = saturated(this.#zeros + difference) >> 15;
    this.#adaptPoles(sign);
    this.#zeros = this.#adaptZeros(difference);
    const poles =
      ((this.#pole1 * saturated(rebuilt * 2)) >> 15) +
      ((this.#pole2 * saturated(this.#rebuilt1 * 2)) >> 15);
    this.#rebuilt1 = rebuilt;
    this.expected = saturated(saturated(poles) + this.#zeros);
  }

  /** UPPOL2 and UPPOL1, kept where the filter is stable. */
  #adaptPoles(sign: number): void {
    const same1 = sign === this.#sign1;
    const four = saturated(this.#pole1 * 4);
    const second =
      ((same1 ? saturated(-four) : four) >> 7) +
      (sign === this.#sign2 ? 128 : -128) +
      ((this.#pole2 * 32_512) >> 15);
    this.#pole2 = second > 12_288 ? 12_288 : second < -12_288 ? -12_288 : second;
    const first = (same1 ? 192 : -192) + ((this.#pole1 * 32_640) >> 15);
    const limit = 15_360 - this.#pole2;
    this.#pole1 = first > limit ? limit : first < -limit ? -limit : first;
    this.#sign2 = this.#sign1;
    this.#sign1 = sign;
  }

  /** UPZERO, DELAYA and FILTEZ in one go, oldest difference first. @returns the prediction of the zeros. */
  #adaptZeros(difference: number): number {
    const differences = this.#differences;
    const weights = this.#zeroWeights;
    const nudge = difference === 0 ? 0 : 128;
    const sign = difference >> 15;
    differences[0] = difference;
    let sum = 0;
    for (let i = 6; i > 0; i--) {
      const towards = differences[i] >> 15 === sign ? nudge : -nudge;
      const weight = saturated(((weights[i] * 32_640) >> 15) + towards);
      weights[i] = weight;
      const later = differences[i - 1];
      differences[i] = later;
      sum += (weight * saturated(later * 2)) >> 15;
    }
    return saturated(sum);
  }
}

/** Both bands, as encoder and decoder keep them alike. */
class Bands {
  readonly lower = new Band(32, 8, LOWER_MOST_LOGARITHM);
  readonly upper = new Band(8, 10, UPPER_MOST_LOGARITHM);

  /** Both take what the code says, as the other side will. */
  adapt(code: number): void {
    const lower = (code & 0x3f) >> 2;
    const difference = (this.lower.step * LOWER_4[lower]) >> 15;
    this.lower.scale(LOWER_STEPS[lower]);
    this.lower.adapt(difference);
    const upper = code >> 6;
    const upperDifference = (this.upper.step * UPPER_2[upper]) >> 15;
    this.upper.scale(UPPER_STEPS[upper]);
    this.upper.adapt(upperDifference);
  }
}

export class G722Encoder {
  readonly #bands = new Bands();
  readonly #line = new DelayLine();

  /** Encodes `count` samples, an even number, into half as many bytes of `target` from `offset` on. */
  encode(samples: Int16Array, count: number, target: Uint8Array, offset: number): void {
    const line = this.#line;
    for (let i = 0; i + 1 < count; i += 2) {
      line.push(samples[i], samples[i + 1]);
      const even = line.even();
      const odd = line.odd();
      const code = this.#code((even + odd) >> 14, (even - odd) >> 14);
      this.#bands.adapt(code);
      target[offset + (i >> 1)] = code;
    }
  }

  /** QUANTL and QUANTH. */
  #code(low: number, high: number): number {
    const { lower, upper } = this.#bands;
    const difference = saturated(low - lower.expected);
    const magnitude = difference < 0 ? ~difference : difference;
    let from = 0;
    let to = LOWER_THRESHOLDS.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (magnitude < (LOWER_THRESHOLDS[middle] * lower.step) >> 12) to = middle;
      else from = middle + 1;
    }
    const lowCode = difference < 0 ? LOWER_CODES_NEGATIVE[from] : LOWER_CODES_POSITIVE[from];
    const upperDifference = saturated(high - upper.expected);
    const upperMagnitude = upperDifference < 0 ? ~upperDifference : upperDifference;
    const large = upperMagnitude >= (UPPER_THRESHOLD * upper.step) >> 12;
    return (((upperDifference < 0 ? 0 : 2) + (large ? 0 : 1)) << 6) | lowCode;
  }
}

export class G722Decoder {
  readonly #bands = new Bands();
  readonly #line = new DelayLine();

  /** Decodes the codes of `source` from `start` up to `end` into twice as many samples at the beginning of `target`. */
  decode(source: Uint8Array, start: number, end: number, target: Int16Array): void {
    const { lower, upper } = this.#bands;
    const line = this.#line;
    for (let i = start, at = 0; i < end; i++, at += 2) {
      const code = source[i];
      const low = limited(lower.expected + ((lower.step * LOWER_6[code & 0x3f]) >> 15));
      const high = limited(upper.expected + ((upper.step * UPPER_2[code >> 6]) >> 15));
      this.#bands.adapt(code);
      line.push(low + high, low - high);
      target[at] = saturated(line.even() >> 11);
      target[at + 1] = saturated(line.odd() >> 11);
    }
  }
}

/** The last 24 values, twice in a row so that the filter reads them without wrapping. */
class DelayLine {
  readonly #values = new Int32Array(2 * TAPS);
  /** Place of the oldest value. */
  #start = 0;

  push(first: number, second: number): void {
    const values = this.#values;
    const start = this.#start;
    values[start] = values[start + TAPS] = first;
    values[start + 1] = values[start + 1 + TAPS] = second;
    this.#start = (start + 2) % TAPS;
  }

  /** Sum over the second, fourth … value: its taps are those of odd places, as the filter is symmetric. */
  even(): number {
    return this.#sum(1, ODD_TAPS);
  }

  /** Sum over the first, third … value. */
  odd(): number {
    return this.#sum(0, EVEN_TAPS);
  }

  #sum(offset: number, taps: Int32Array): number {
    const values = this.#values;
    let sum = 0;
    for (let i = 0, at = this.#start + offset; i < TAPS / 2; i++, at += 2) {
      sum += values[at] * taps[i];
    }
    return sum;
  }
}

function tap(place: number): number {
  return HALF_FILTER[place < TAPS / 2 ? place : TAPS - 1 - place];
}

function saturated(value: number): number {
  return value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : value;
}

/** LIMIT of the rebuilt sub-band samples. */
function limited(value: number): number {
  return value > 16_383 ? 16_383 : value < -16_384 ? -16_384 : value;
}
