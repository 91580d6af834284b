/** Reads the samples of a WAV file, or raw ones. */
import { PIECE_MS } from "./sound-decoder.js";
import type { SoundDecoder } from "./sound-decoder.js";
import { decodeToMono, frameLength } from "./pcm-format.js";
import type { PcmFormat } from "./pcm-format.js";
import type { RandomAccess } from "./random-access.js";
import type { WavAudio } from "./wav-header.js";

export class WavDecoder implements SoundDecoder {
  readonly sampleRate: number;
  readonly #access: RandomAccess;
  readonly #format: PcmFormat;
  /** Bytes. */
  readonly #start: number;
  readonly #end: number;
  readonly #pieceLength: number;
  #position: number;

  constructor(access: RandomAccess, audio: WavAudio) {
    const frame = frameLength(audio.format);
    this.#access = access;
    this.#format = audio.format;
    this.sampleRate = audio.format.sampleRate;
    this.#start = audio.dataStart;
    this.#end = audio.dataStart + Math.floor(audio.dataLength / frame) * frame;
    this.#pieceLength = Math.ceil((audio.format.sampleRate * PIECE_MS) / 1000) * frame;
    this.#position = audio.dataStart;
  }

  async next(): Promise<Float32Array | undefined> {
    const length = Math.min(this.#pieceLength, this.#end - this.#position);
    if (length <= 0) return undefined;
    const data = await this.#access.read(this.#position, length);
    this.#position += data.length;
    // Shorter than it was at the start: somebody cut the file.
    if (data.length < length) this.#position = this.#end;
    const samples = decodeToMono(data, this.#format);
    return samples.length === 0 ? undefined : samples;
  }

  rewind(): Promise<void> {
    this.#position = this.#start;
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#access.close();
  }
}
