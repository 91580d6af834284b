/** Frames of any rate brought to one rate, for those who hear a call whose codec may change. */
import { Resampler } from "./resampler.js";
import { toSample } from "./samples.js";

export class FrameConverter {
  readonly #to: number;
  #from = 0;
  #resampler: Resampler | undefined;
  #converted = new Int16Array(0);

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
    const converted = this.#resampler.push(new Float32Array(samples.subarray(0, count)));
    if (this.#converted.length < converted.length) {
      this.#converted = new Int16Array(converted.length);
    }
    for (let i = 0; i < converted.length; i++) this.#converted[i] = toSample(converted[i]);
    return this.#converted.subarray(0, converted.length);
  }
}
