/** Reads a playout buffer at the rate that is wanted, whatever rate the packets in it have. */
import type { SampleSource } from "../audio/audio-source.js";
import { atRate } from "../audio/rate-converter.js";
import type { PlayoutBuffer } from "./playout-buffer.js";

export class PlayoutReader {
  readonly #playout: PlayoutBuffer;
  #converted: SampleSource | undefined;
  #convertedFrom = 0;
  #now = 0;
  /** Of the block that is being given: a short read may need no new one. */
  #heard = false;

  constructor(playout: PlayoutBuffer) {
    this.#playout = playout;
  }

  /**
   * Fills `count` samples of `sampleRate`, silence where nothing comes.
   *
   * @returns false when all of it is silence because nothing comes.
   */
  read(target: Int16Array, count: number, sampleRate: number, nowMs: number): boolean {
    const rate = this.#playout.sampleRate;
    if (rate === undefined) {
      target.fill(0, 0, count);
      return false;
    }
    this.#now = nowMs;
    if (rate === sampleRate) {
      this.#converted = undefined;
      return this.#playout.pull(target, count, nowMs);
    }
    if (this.#converted?.sampleRate !== sampleRate || this.#convertedFrom !== rate) {
      this.#converted = this.#convert(rate, sampleRate);
      this.#convertedFrom = rate;
    }
    const filled = this.#converted.read(target, count);
    target.fill(0, filled, count);
    return this.#heard;
  }

  #convert(from: number, to: number): SampleSource {
    const source: SampleSource = {
      sampleRate: from,
      ended: false,
      failed: false,
      read: (target, count) => {
        this.#heard = this.#playout.pull(target, count, this.#now);
        return count;
      },
      close: () => undefined,
    };
    return atRate(source, to);
  }
}
