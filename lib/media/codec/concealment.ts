/**
 * Hides missing packets of codecs that cannot do so themselves, after the idea of ITU-T G.711 Appendix I: the last
 * pitch period is repeated and fades to silence within 60 ms; what comes next is blended in.
 */

/** Milliseconds of what was heard that are kept; longer than two of the longest pitch periods. */
const HISTORY_MS = 40;
/** A voice lies between 66 and 400 Hz. */
const SHORTEST_PERIOD_MS = 2.5;
const LONGEST_PERIOD_MS = 15;
/** Full loudness for so long, then down to nothing in `FADE_MS`. */
const HOLD_MS = 10;
const FADE_MS = 50;
/** The blend back into what was really said. */
const BLEND_MS = 4;

export class Concealment {
  readonly #perMs: number;
  readonly #history: Int16Array;
  /** Samples concealed since the last packet; 0 = none. */
  #concealed = 0;
  #period = 0;

  /** @param sampleRate - Hz. */
  constructor(sampleRate: number) {
    this.#perMs = sampleRate / 1000;
    this.#history = new Int16Array(HISTORY_MS * this.#perMs);
  }

  /** A packet was decoded: remembers it and blends it with what was made up before it. */
  heard(samples: Int16Array, count: number): void {
    if (this.#concealed > 0) this.#blend(samples, count);
    this.#concealed = 0;
    const history = this.#history;
    const kept = Math.min(count, history.length);
    history.copyWithin(0, kept);
    for (let i = 0; i < kept; i++) history[history.length - kept + i] = samples[count - kept + i];
  }

  /** Fills `count` samples in place of a missing packet. */
  conceal(target: Int16Array, count: number): void {
    if (this.#concealed === 0) this.#period = this.#pitch();
    for (let i = 0; i < count; i++) target[i] = this.#made(this.#concealed + i);
    this.#concealed += count;
  }

  /** The n-th sample of what is made up. */
  #made(place: number): number {
    const loudness = 1 - (place / this.#perMs - HOLD_MS) / FADE_MS;
    if (loudness <= 0) return 0;
    const history = this.#history;
    const sample = history[history.length - this.#period + (place % this.#period)];
    return loudness >= 1 ? sample : Math.round(sample * loudness);
  }

  #blend(samples: Int16Array, count: number): void {
    const length = Math.min(count, Math.round(BLEND_MS * this.#perMs));
    for (let i = 0; i < length; i++) {
      const share = i / length;
      samples[i] = Math.round(samples[i] * share + this.#made(this.#concealed + i) * (1 - share));
    }
  }

  /** The lag at which the end of what was heard is most like itself. Searched coarsely, then finely. */
  #pitch(): number {
    const shortest = Math.round(SHORTEST_PERIOD_MS * this.#perMs);
    const longest = Math.round(LONGEST_PERIOD_MS * this.#perMs);
    const coarse = Math.max(1, Math.round(this.#perMs / 4));
    const best = this.#bestLag(shortest, longest, coarse, coarse);
    return this.#bestLag(
      Math.max(shortest, best - coarse),
      Math.min(longest, best + coarse),
      1,
      Math.max(1, Math.round(this.#perMs / 8)),
    );
  }

  #bestLag(from: number, to: number, step: number, stride: number): number {
    const history = this.#history;
    const window = Math.round(LONGEST_PERIOD_MS * this.#perMs);
    const start = history.length - window;
    let best = to;
    let bestLikeness = -Infinity;
    for (let lag = from; lag <= to; lag += step) {
      let product = 0;
      let energy = 1;
      for (let i = start; i < history.length; i += stride) {
        product += history[i] * history[i - lag];
        energy += history[i - lag] * history[i - lag];
      }
      const likeness = product / Math.sqrt(energy);
      if (likeness > bestLikeness) {
        bestLikeness = likeness;
        best = lag;
      }
    }
    return best;
  }
}
