/**
 * Changes the sample rate with a polyphase low-pass filter: a windowed sinc (Kaiser window, 70 dB) that passes
 * what the lower of both rates can carry. Streams: what is pushed may come in pieces of any length.
 */

/** Stop band attenuation, dB. */
const ATTENUATION = 70;
/** Kaiser's β for that attenuation. */
const BETA = 0.1102 * (ATTENUATION - 8.7);
/** The filter falls from the first to the second share of half the lower rate: 3.4 to 4 kHz at 8 kHz. */
const PASS_EDGE = 0.85;
const STOP_EDGE = 1;
/** Ratios with more phases use the nearest of these. */
const MOST_PHASES = 1024;
/** Filters kept for the next stream of the same rates. */
const MOST_FILTERS = 16;

interface PolyphaseFilter {
  readonly phases: number;
  /** Coefficients of one phase, a multiple of four. */
  readonly taps: number;
  /** `phases` rows of `taps` coefficients. */
  readonly coefficients: Float32Array;
}

const filters = new Map<string, PolyphaseFilter>();

export class Resampler {
  readonly #from: number;
  readonly #to: number;
  readonly #filter: PolyphaseFilter;
  /** The last samples of what came, as many as the filter looks back on, then the new ones. */
  #history: Float32Array;
  /** Place of the next output sample in input samples: whole part, from the start of `#history` … */
  #index = 0;
  /** … and the rest in units of 1/`to`. */
  #fraction = 0;

  /** @param from - Hz. @param to - Hz. */
  constructor(from: number, to: number) {
    const divisor = greatestCommonDivisor(from, to);
    this.#from = from / divisor;
    this.#to = to / divisor;
    this.#filter = filterFor(this.#from, this.#to);
    // Silence before the beginning, so that the filter is centred on the first sample.
    this.#history = new Float32Array(this.#filter.taps / 2 - 1);
  }

  /** @returns the samples that are ready now. */
  push(input: Float32Array): Float32Array {
    const { taps, phases, coefficients } = this.#filter;
    const samples = new Float32Array(this.#history.length + input.length);
    samples.set(this.#history);
    samples.set(input, this.#history.length);
    const output = new Float32Array(
      Math.max(0, Math.ceil(((samples.length - this.#index) * this.#to) / this.#from) + 1),
    );
    let count = 0;
    let index = this.#index;
    let fraction = this.#fraction;
    while (index + taps <= samples.length) {
      const row = Math.floor((fraction * phases) / this.#to) * taps;
      // Four sums at a time, which do not wait for each other; this loop is the cost of the whole room.
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let i = 0, at = index, tap = row; i < taps; i += 4, at += 4, tap += 4) {
        a += samples[at] * coefficients[tap];
        b += samples[at + 1] * coefficients[tap + 1];
        c += samples[at + 2] * coefficients[tap + 2];
        d += samples[at + 3] * coefficients[tap + 3];
      }
      output[count++] = a + b + c + d;
      fraction += this.#from;
      const whole = Math.floor(fraction / this.#to);
      index += whole;
      fraction -= whole * this.#to;
    }
    this.#fraction = fraction;
    const used = Math.min(index, samples.length);
    this.#history = samples.slice(used);
    this.#index = index - used;
    return output.subarray(0, count);
  }

  /** The samples that wait for what does not come any more. */
  flush(): Float32Array {
    return this.push(new Float32Array(this.#filter.taps / 2));
  }
}

function filterFor(from: number, to: number): PolyphaseFilter {
  const key = `${from}/${to}`;
  let filter = filters.get(key);
  if (filter === undefined) {
    filter = designFilter(from, to);
    if (filters.size >= MOST_FILTERS) filters.clear();
    filters.set(key, filter);
  }
  return filter;
}

function designFilter(from: number, to: number): PolyphaseFilter {
  const phases = Math.min(to, MOST_PHASES);
  // Frequencies as shares of the input rate.
  const half = (Math.min(from, to) / from) * 0.5;
  const cutoff = (half * (PASS_EDGE + STOP_EDGE)) / 2;
  const transition = half * (STOP_EDGE - PASS_EDGE);
  const taps = 4 * Math.ceil((ATTENUATION - 8) / (2.285 * 2 * Math.PI * transition) / 4);
  const centre = taps / 2 - 1;
  const coefficients = new Float32Array(phases * taps);
  for (let phase = 0; phase < phases; phase++) {
    const offset = phase / phases;
    let sum = 0;
    for (let i = 0; i < taps; i++) {
      const distance = i - centre - offset;
      const value = sinc(2 * cutoff * distance) * kaiser(distance / (taps / 2));
      coefficients[phase * taps + i] = value;
      sum += value;
    }
    // Each phase passes a constant unchanged.
    for (let i = 0; i < taps; i++) coefficients[phase * taps + i] /= sum;
  }
  return { phases, taps, coefficients };
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Kaiser's window from its middle to its end; filters are designed in the time of packets, so it is looked up. */
const WINDOW_STEPS = 2048;
let window: Float64Array | undefined;

/** @param x - From −1 to 1. */
function kaiser(x: number): number {
  window ??= Float64Array.from({ length: WINDOW_STEPS + 1 }, (_, i) => {
    const place = i / WINDOW_STEPS;
    return bessel(BETA * Math.sqrt(1 - place * place)) / bessel(BETA);
  });
  const place = Math.abs(x) * WINDOW_STEPS;
  const below = Math.floor(place);
  if (below >= WINDOW_STEPS) return 0;
  return window[below] + (window[below + 1] - window[below]) * (place - below);
}

/** The modified Bessel function of order 0, by its power series. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
