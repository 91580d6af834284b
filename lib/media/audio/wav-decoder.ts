/** Reads the samples of a WAV file, or raw ones. */
import { PIECE_MS } from "./sound-decoder.js";
import type { SoundDecoder } from "./sound-decoder.js";
import { decodeToMono, frameLength, isPlain, readPlain } from "./pcm-format.js";
import type { PcmFormat } from "./pcm-format.js";
import type { RandomAccess } from "./random-access.js";
import { SequentialReader } from "./sequential-reader.js";
import type { WavAudio } from "./wav-header.js";

export class WavDecoder implements SoundDecoder {
  readonly sampleRate: number;
  readonly #access: RandomAccess;
  /** A read from the disk costs more than decoding what it brings, so it brings several pieces. */
  readonly #reader: SequentialReader;
  readonly #format: PcmFormat;
  /** Bytes. */
  readonly #start: number;
  readonly #end: number;
  readonly #pieceLength: number;
  /** Of the last piece: memory for each would have to be found and given back five times a second and stream. */
  #samples: Float32Array | Int16Array;

  constructor(access: RandomAccess, audio: WavAudio) {
    const frame = frameLength(audio.format);
    this.#access = access;
    this.#reader = new SequentialReader(access);
    this.#samples = new (isPlain(audio.format) ? Int16Array : Float32Array)(0);
    this.#format = audio.format;
    this.sampleRate = audio.format.sampleRate;
    this.#start = audio.dataStart;
    this.#end = audio.dataStart + Math.floor(audio.dataLength / frame) * frame;
    this.#pieceLength = Math.ceil((audio.format.sampleRate * PIECE_MS) / 1000) * frame;
    this.#reader.seek(audio.dataStart);
  }

  async next(): Promise<Float32Array | Int16Array | undefined> {
    const length = Math.min(this.#pieceLength, this.#end - this.#reader.position);
    if (length <= 0) return undefined;
    const data = await this.#reader.peek(length);
    // Shorter than it was at the start: somebody cut the file.
    this.#reader.seek(data.length < length ? this.#end : this.#reader.position + length);
    const count = Math.floor(data.length / frameLength(this.#format));
    if (this.#samples.length < count) {
      this.#samples = new (isPlain(this.#format) ? Int16Array : Float32Array)(count);
    }
    const scratch = this.#samples;
    const samples =
      scratch instanceof Int16Array
        ? readPlain(data, scratch)
        : decodeToMono(data, this.#format, scratch);
    return samples.length === 0 ? undefined : samples;
  }

  rewind(): Promise<void> {
    this.#reader.seek(this.#start);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#access.close();
  }
}
