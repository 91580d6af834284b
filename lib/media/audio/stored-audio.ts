/**
 * Plays stored audio, a file or a buffer, in pieces: reads ahead for one second, decodes, makes it mono and of the line's rate.
 * Long files so cost no memory, and a slow disk no sound. Each packet asks for one piece at most, so that many
 * streams in one thread do not hold up each other's packets.
 */
import { MediaError } from "../../foundation/index.js";
import type { SampleSource } from "./audio-source.js";
import { decodeToMono, frameLength } from "./pcm-format.js";
import type { PcmFormat } from "./pcm-format.js";
import type { RandomAccess } from "./random-access.js";
import { Resampler } from "./resampler.js";
import { readWavHeader } from "./wav-header.js";
import type { WavAudio } from "./wav-header.js";

/** One piece is this long. */
const PIECE_MS = 200;
/** With less ready the next piece is read. */
const READ_AHEAD_MS = 800;

/**
 * Opens a WAV source, or raw samples when `raw` is given, and has the first piece ready.
 *
 * @param rounds - How many times it is played; Infinity = for ever.
 * @param sampleRate - Hz that it is wanted at.
 * @throws MediaError, rule `unsupported-audio`; the access is closed then.
 */
export async function openStoredAudio(
  access: RandomAccess,
  rounds: number,
  sampleRate: number,
  raw?: PcmFormat,
): Promise<SampleSource> {
  try {
    const audio: WavAudio = raw
      ? { format: raw, dataStart: 0, dataLength: access.size }
      : await readWavHeader(access);
    const source = new StoredAudio(access, audio, rounds, sampleRate);
    await source.fill();
    return source;
  } catch (error) {
    await access.close();
    if (error instanceof MediaError) throw error;
    throw new MediaError(`The audio of "${access.name}" cannot be read`, {
      cause: error,
      rule: "unsupported-audio",
    });
  }
}

class StoredAudio implements SampleSource {
  readonly sampleRate: number;
  readonly #access: RandomAccess;
  readonly #format: PcmFormat;
  readonly #start: number;
  readonly #end: number;
  readonly #resampler: Resampler | undefined;
  /** Decoded pieces, oldest first, and how much of the first was given out. */
  readonly #pieces: Int16Array[] = [];
  #given = 0;
  #ready = 0;
  /** Bytes. */
  #position: number;
  #rounds: number;
  #filling = false;
  #readToEnd = false;
  #closed = false;
  #failed = false;

  constructor(access: RandomAccess, audio: WavAudio, rounds: number, sampleRate: number) {
    this.sampleRate = sampleRate;
    this.#access = access;
    this.#format = audio.format;
    this.#start = audio.dataStart;
    const frame = frameLength(audio.format);
    const length = Math.floor(audio.dataLength / frame) * frame;
    this.#end = audio.dataStart + length;
    this.#position = audio.dataStart;
    // Nothing, however often repeated, is nothing.
    this.#rounds = length === 0 ? 0 : rounds;
    this.#readToEnd = this.#rounds <= 0;
    this.#resampler =
      audio.format.sampleRate === sampleRate
        ? undefined
        : new Resampler(audio.format.sampleRate, sampleRate);
  }

  get ended(): boolean {
    return this.#ready === 0 && (this.#readToEnd || this.#failed || this.#closed);
  }

  get failed(): boolean {
    return this.#failed;
  }

  read(target: Int16Array, count: number): number {
    let filled = 0;
    while (filled < count) {
      const piece = this.#pieces.at(0);
      if (piece === undefined) break;
      const part = Math.min(count - filled, piece.length - this.#given);
      target.set(piece.subarray(this.#given, this.#given + part), filled);
      filled += part;
      this.#given += part;
      if (this.#given === piece.length) {
        this.#pieces.shift();
        this.#given = 0;
      }
    }
    this.#ready -= filled;
    if (this.#ready < this.#samples(READ_AHEAD_MS) && !this.#readToEnd && !this.#filling)
      void this.fill();
    return filled;
  }

  /** Reads the next piece. Never rejects; what goes wrong ends the source as failed. */
  async fill(): Promise<void> {
    if (this.#filling || this.#closed || this.#failed) return;
    this.#filling = true;
    // A looped sound may be shorter than a piece.
    const enough = this.#ready + this.#samples(PIECE_MS / 2);
    try {
      do {
        if (!this.#readToEnd) await this.#readPiece();
      } while (this.#ready < enough && !this.#readToEnd && !this.#isClosed());
    } catch {
      // A disk that fails, a file system that went away: the session hears silence, the flow `failed`.
      this.#failed = true;
    }
    this.#filling = false;
    if (this.#readToEnd || this.#failed || this.#closed) await this.#release();
  }

  close(): void {
    this.#closed = true;
    this.#pieces.length = 0;
    this.#ready = 0;
    if (!this.#filling) void this.#release();
  }

  #samples(milliseconds: number): number {
    return (this.sampleRate * milliseconds) / 1000;
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  async #readPiece(): Promise<void> {
    const frame = frameLength(this.#format);
    const wanted = Math.ceil((this.#format.sampleRate * PIECE_MS) / 1000) * frame;
    const length = Math.min(wanted, this.#end - this.#position);
    const data = await this.#access.read(this.#position, length);
    this.#position += data.length;
    // Shorter than it was at the start: somebody cut the file.
    const exhausted = data.length < length || this.#position >= this.#end;
    if (data.length >= frame) this.#append(decodeToMono(data, this.#format));
    if (!exhausted) return;
    this.#rounds -= 1;
    this.#position = this.#start;
    if (this.#rounds > 0 && data.length >= frame) return;
    this.#readToEnd = true;
    if (this.#resampler) this.#keep(this.#resampler.flush());
  }

  #append(samples: Float32Array): void {
    this.#keep(this.#resampler ? this.#resampler.push(samples) : samples);
  }

  #keep(samples: Float32Array): void {
    if (samples.length === 0 || this.#closed) return;
    const piece = new Int16Array(samples.length);
    for (let i = 0; i < samples.length; i++) {
      const sample = samples[i] * 32_768;
      piece[i] = sample > 32_767 ? 32_767 : sample < -32_768 ? -32_768 : Math.round(sample);
    }
    this.#pieces.push(piece);
    this.#ready += piece.length;
  }

  #released = false;

  async #release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    try {
      await this.#access.close();
    } catch {
      // Closing a handle of a vanished file system fails; there is nothing left to free.
    }
  }
}
