/** Listens for digits as tones in a call whose peer cannot send them as telephone events. */
import { FrameConverter } from "../audio/frame-converter.js";
import { DETECTOR_RATE, ToneDetector } from "../audio/tone-detector.js";
import type { HeardDigit } from "../audio/tone-detector.js";
import type { AudioListener } from "./rtp-session.js";

export class InbandDigits implements AudioListener {
  readonly #detector: ToneDetector;
  readonly #converter = new FrameConverter(DETECTOR_RATE);

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
    const heard = this.#converter.convert(remote, count, sampleRate);
    this.#detector.push(heard, heard.length, concealed);
  }
}
