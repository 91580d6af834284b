/**
 * What the peer says, cut into frames of equal length in the form a flow has asked for. Frames that nobody fetches are
 * not made without end: beyond a limit the newest are left out, and their numbers are missing.
 */
import type { StreamOptions } from "../../session/media-handler.js";
import { encodeG711 } from "../codec/g711.js";
import { FrameConverter } from "./frame-converter.js";

export interface StreamFramesOptions extends StreamOptions {
  /** How many frames were fetched, counted by the other thread. */
  readonly fetched: () => number;
  readonly onFrame: (sequence: number, data: Uint8Array) => void;
}

/** Milliseconds of frames that wait to be fetched at most. */
const LONGEST_WAIT_MS = 10_000;

export class StreamFrames {
  readonly #options: StreamFramesOptions;
  readonly #converter: FrameConverter;
  readonly #samples: Int16Array;
  readonly #mostWaiting: number;
  #filled = 0;
  #sequence = 0;
  #given = 0;

  constructor(options: StreamFramesOptions) {
    this.#options = options;
    this.#converter = new FrameConverter(options.sampleRate);
    this.#samples = new Int16Array(Math.round((options.sampleRate * options.frame) / 1000));
    this.#mostWaiting = Math.ceil(LONGEST_WAIT_MS / options.frame);
  }

  /** @param sampleRate - Hz of this piece. */
  take(samples: Int16Array, count: number, sampleRate: number): void {
    const heard = this.#converter.convert(samples, count, sampleRate);
    let at = 0;
    while (at < heard.length) {
      const part = Math.min(heard.length - at, this.#samples.length - this.#filled);
      this.#samples.set(heard.subarray(at, at + part), this.#filled);
      at += part;
      this.#filled += part;
      if (this.#filled < this.#samples.length) break;
      this.#filled = 0;
      this.#give();
    }
  }

  #give(): void {
    const sequence = this.#sequence++;
    // Both count on within 32 bits.
    if (((this.#given - this.#options.fetched()) | 0) >= this.#mostWaiting) return;
    this.#given = (this.#given + 1) | 0;
    this.#options.onFrame(sequence, this.#encoded());
  }

  /** In memory of its own, which can be given away. */
  #encoded(): Uint8Array {
    const samples = this.#samples;
    if (this.#options.format === "mulaw") {
      const codes = new Uint8Array(samples.length);
      encodeG711("PCMU", samples, samples.length, codes, 0);
      return codes;
    }
    const bytes = new Uint8Array(samples.length * 2);
    for (let i = 0, at = 0; i < samples.length; i++, at += 2) {
      bytes[at] = samples[i] & 0xff;
      bytes[at + 1] = (samples[i] >> 8) & 0xff;
    }
    return bytes;
  }
}
