/** A source heard at another rate than its own: when the codec changes in mid-call, or a bridge joins two rates. */
import type { SampleSource } from "./audio-source.js";
import { Resampler } from "./resampler.js";
import { toSample } from "./samples.js";

/** Milliseconds that are converted at once. */
const BLOCK_MS = 10;

/** @returns the source itself when it has that rate already. */
export function atRate(source: SampleSource, sampleRate: number): SampleSource {
  return source.sampleRate === sampleRate ? source : new RateConverter(source, sampleRate);
}

class RateConverter implements SampleSource {
  readonly sampleRate: number;
  readonly #source: SampleSource;
  readonly #resampler: Resampler;
  readonly #block: Int16Array;
  #ready: Float32Array = new Float32Array(0);
  #given = 0;
  #flushed = false;

  constructor(source: SampleSource, sampleRate: number) {
    this.#source = source;
    this.sampleRate = sampleRate;
    this.#resampler = new Resampler(source.sampleRate, sampleRate);
    this.#block = new Int16Array((source.sampleRate * BLOCK_MS) / 1000);
  }

  get ended(): boolean {
    return this.#source.ended && this.#flushed && this.#given >= this.#ready.length;
  }

  get failed(): boolean {
    return this.#source.failed;
  }

  get idle(): boolean {
    return this.#source.idle === true && this.#given >= this.#ready.length;
  }

  read(target: Int16Array, count: number): number {
    let filled = 0;
    while (filled < count) {
      if (this.#given >= this.#ready.length && !this.#convert()) break;
      const part = Math.min(count - filled, this.#ready.length - this.#given);
      for (let i = 0; i < part; i++) target[filled + i] = toSample(this.#ready[this.#given + i]);
      filled += part;
      this.#given += part;
    }
    return filled;
  }

  close(): void {
    this.#flushed = true;
    this.#given = this.#ready.length;
    this.#source.close();
  }

  /** @returns false when there is nothing more now. */
  #convert(): boolean {
    const count = this.#source.read(this.#block, this.#block.length);
    if (count > 0)
      this.#take(this.#resampler.push(new Float32Array(this.#block.subarray(0, count))));
    else if (this.#source.ended && !this.#flushed) {
      this.#flushed = true;
      this.#take(this.#resampler.flush());
    } else return false;
    return true;
  }

  #take(samples: Float32Array): void {
    this.#ready = samples;
    this.#given = 0;
  }
}
