/**
 * Plays stored audio, a file or a buffer, in pieces: reads ahead for one second, decodes, makes it mono and of the
 * rate that is wanted. Long files so cost no memory, and a slow disk no sound. Each packet asks for one piece at most,
 * so that many streams in one thread do not hold up each other's packets.
 */
import type { SoundDecoder } from "./sound-decoder.js";
import { PIECE_MS } from "./sound-decoder.js";
import type { SampleSource } from "./audio-source.js";
import { Resampler } from "./resampler.js";
import { toSample } from "./samples.js";
import { asFloat, MemorySource } from "./shared-sounds.js";

/** With less than this ready the next piece is read. Milliseconds. */
const READ_AHEAD_MS = 800;
/** Streams that begin together read at different times: so many packet times of 20 ms are in a piece. */
const TURNS = PIECE_MS / 20;
let opened = 0;
/** So much is ready before the first sample is asked for. Milliseconds. */
const PREPARED_MS = 400;

export class StoredAudio implements SampleSource {
  readonly sampleRate: number;
  readonly #decoder: SoundDecoder;
  readonly #resampler: Resampler | undefined;
  /** Decoded pieces, oldest first, and how much of the first was given out. */
  readonly #pieces: Int16Array[] = [];
  /** A piece that was given out, for the next. */
  #spare: Int16Array | undefined;
  #given = 0;
  #ready = 0;
  #rounds: number;
  /** Of this round. */
  #decoded = 0;
  #filling = false;
  #readToEnd = false;
  #closed = false;
  /** With fewer samples ready the next piece is read. */
  readonly #low: number;
  readonly #findWhole: () => Int16Array | undefined;
  /** Takes over once what was decoded here is played. */
  #whole: MemorySource | undefined;
  #released = false;
  #failed = false;
  #reason: unknown;

  /**
   * @param rounds - How many times it is played; Infinity = for ever.
   * @param sampleRate - Hz of what it gives.
   * @param findWhole - All of its samples, once somebody has decoded them; asked between two rounds.
   */
  constructor(
    decoder: SoundDecoder,
    rounds: number,
    sampleRate: number,
    findWhole: () => Int16Array | undefined = () => undefined,
  ) {
    this.#findWhole = findWhole;
    this.sampleRate = sampleRate;
    this.#decoder = decoder;
    this.#rounds = rounds;
    this.#low = (sampleRate * (READ_AHEAD_MS - (opened++ % TURNS) * 20)) / 1000;
    this.#resampler =
      decoder.sampleRate === sampleRate ? undefined : new Resampler(decoder.sampleRate, sampleRate);
  }

  get ended(): boolean {
    if (this.#ready > 0 || this.#whole?.ended === false) return false;
    return this.#readToEnd || this.#failed || this.#closed;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Why it failed. */
  get reason(): unknown {
    return this.#reason;
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
        this.#spare = this.#pieces.shift();
        this.#given = 0;
      }
    }
    this.#ready -= filled;
    if (this.#whole !== undefined) {
      return filled + this.#readWhole(target, filled, count);
    }
    if (this.#ready < this.#low && !this.#readToEnd && !this.#filling) void this.fill();
    return filled;
  }

  #readWhole(target: Int16Array, filled: number, count: number): number {
    if (filled === count || this.#whole === undefined) return 0;
    const rest = filled === 0 ? target : target.subarray(filled);
    return this.#whole.read(rest, count - filled);
  }

  /**
   * Reads the first pieces: the second of an MP3 may take a while, because a thread that decodes for the first time is
   * slow. Never rejects.
   */
  async prepare(): Promise<void> {
    const enough = (this.sampleRate * PREPARED_MS) / 1000;
    while (this.#ready < enough && !this.#readToEnd && !this.#failed && !this.#isClosed()) {
      await this.fill();
    }
  }

  /** Reads the next piece. Never rejects; what goes wrong ends the source as failed. */
  async fill(): Promise<void> {
    if (this.#filling || this.#closed || this.#failed) return;
    this.#filling = true;
    // A looped sound may be shorter than a piece.
    const enough = this.#ready + (this.sampleRate * PIECE_MS) / 2000;
    try {
      do {
        if (!this.#readToEnd) await this.#readPiece();
      } while (this.#ready < enough && !this.#readToEnd && !this.#isClosed());
    } catch (error) {
      // A disk that fails, a stream that cannot be decoded: the session hears silence, the flow `failed`.
      this.#failed = true;
      this.#reason = error;
    }
    this.#filling = false;
    if (this.#readToEnd || this.#failed || this.#closed) await this.#release();
  }

  close(): void {
    this.#closed = true;
    this.#pieces.length = 0;
    this.#ready = 0;
    this.#whole?.close();
    if (!this.#filling) void this.#release();
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  async #readPiece(): Promise<void> {
    const samples = await this.#decoder.next();
    if (samples) {
      this.#decoded += samples.length;
      this.#keep(this.#resampler ? this.#resampler.push(asFloat(samples)) : samples);
      return;
    }
    this.#rounds -= 1;
    // Nothing, however often repeated, is nothing.
    if (this.#rounds > 0 && this.#decoded > 0 && !this.#closed) {
      this.#decoded = 0;
      const whole = this.#findWhole();
      if (whole === undefined) {
        await this.#decoder.rewind();
        return;
      }
      this.#whole = new MemorySource(whole, this.#rounds, this.sampleRate);
    }
    this.#readToEnd = true;
    if (this.#resampler) this.#keep(this.#resampler.flush());
  }

  #keep(samples: Float32Array | Int16Array): void {
    if (samples.length === 0 || this.#closed) return;
    const isRight = this.#spare?.length === samples.length;
    const piece = (isRight ? this.#spare : undefined) ?? new Int16Array(samples.length);
    this.#spare = undefined;
    if (samples instanceof Int16Array) piece.set(samples);
    else for (let i = 0; i < samples.length; i++) piece[i] = toSample(samples[i] * 32_768);
    this.#pieces.push(piece);
    this.#ready += piece.length;
  }

  async #release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    try {
      await this.#decoder.close();
    } catch {
      // Closing a handle of a vanished file system fails; there is nothing left to free.
    }
  }
}
