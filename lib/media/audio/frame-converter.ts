/** Frames of any rate brought to one rate, for those who hear a call whose codec may change. */
import { Resampler } from "./resampler.js";
import { toSample } from "./samples.js";

export class FrameConverter {
  readonly #to: number;
  #from = 0;
  #resampler: Resampler | undefined;

  /** @param to - Hz. */
  constructor(to: number) {
    this.#to = to;
  }

  /**
   * @param from - Hz of this frame.
   * @returns what is ready of it, valid until the next call.
   */
  convert(samples: Int16Array, count: number, from: number): Int16Array {
    if (from === this.#to) {
      this.#resampler = undefined;
      return samples.subarray(0, count);
    }
    if (this.#resampler === undefined || this.#from !== from) {
      this.#from = from;
      this.#resampler = new Resampler(from, this.#to);
    }
    const converted = this.#resampler.push(Float32Array.from(samples.subarray(0, count)));
    return Int16Array.from(converted, toSample);
  }
}
