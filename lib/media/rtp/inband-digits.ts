/** Listens for digits as tones in a call whose peer cannot send them as telephone events. */
import { Resampler } from "../audio/resampler.js";
import { DETECTOR_RATE, ToneDetector } from "../audio/tone-detector.js";
import type { HeardDigit } from "../audio/tone-detector.js";
import type { AudioListener } from "./rtp-session.js";

export class InbandDigits implements AudioListener {
  readonly #detector: ToneDetector;
  #resampler: Resampler | undefined;
  #sampleRate = DETECTOR_RATE;

  /** @param onDigit - Called when a digit has ended. */
  constructor(onDigit: (digit: HeardDigit) => void) {
    this.#detector = new ToneDetector(onDigit);
  }

  frame(
    remote: Int16Array,
    _local: Int16Array,
    count: number,
    sampleRate: number,
    concealed: boolean,
  ): void {
    if (sampleRate === DETECTOR_RATE) {
      this.#detector.push(remote, count, concealed);
      return;
    }
    if (this.#resampler === undefined || this.#sampleRate !== sampleRate) {
      this.#sampleRate = sampleRate;
      this.#resampler = new Resampler(sampleRate, DETECTOR_RATE);
    }
    const converted = this.#resampler.push(Float32Array.from(remote.subarray(0, count)));
    this.#detector.push(Int16Array.from(converted), converted.length, concealed);
  }
}
