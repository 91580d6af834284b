/**
 * Sounds that many calls play, decoded once: an announcement that is opened a second time is read whole into memory, and from
 * its next round on, or from the start, every call takes its samples from there. Long files are still read piece by piece by
 * each call. A file that has changed on the disk is another one.
 */
import { Resampler } from "./resampler.js";
import type { SampleSource } from "./audio-source.js";
import type { SoundDecoder } from "./sound-decoder.js";
import { toSample } from "./samples.js";

/** Of one sound: 131 s at 8 kHz, 22 s at 48 kHz, 2 MB. */
const MOST_SAMPLES = 1 << 20;
/** Of all of a thread: 16 MB. */
const MOST_SAMPLES_IN_ALL = 8 << 20;
/** Sounds that are known, most of them only by name. */
const MOST_SOUNDS = 1_000;
/** Those that are read at the same time; each gives way after every piece. */
const MOST_READ_AT_ONCE = 4;

interface Sound {
  samples: Int16Array | undefined;
  /** It is being read, was too long, or cannot be read. */
  isDecided: boolean;
}

export class SharedSounds {
  /** The one that was asked for last stands last. */
  readonly #sounds = new Map<string, Sound>();
  #reading = 0;
  #kept = 0;

  /** Samples that are kept. */
  get kept(): number {
    return this.#kept;
  }

  /** Sounds that are being read. */
  get reading(): number {
    return this.#reading;
  }

  /**
   * @param identity - Of the file with its size and time.
   * @param sampleRate - Hz of the samples that are wanted.
   * @returns all samples, or undefined when they are not there (yet).
   */
  find(identity: string, sampleRate: number): Int16Array | undefined {
    const key = `${sampleRate} ${identity}`;
    const sound = this.#sounds.get(key);
    if (sound?.samples === undefined) return undefined;
    this.#sounds.delete(key);
    this.#sounds.set(key, sound);
    return sound.samples;
  }

  /** Somebody opens it: the second time it is read, by a decoder of its own. Returns at once; never throws. */
  opened(identity: string, sampleRate: number, decoder: () => Promise<SoundDecoder>): void {
    const key = `${sampleRate} ${identity}`;
    const known = this.#sounds.get(key);
    if (known === undefined) {
      this.#sounds.set(key, { samples: undefined, isDecided: false });
      this.#makeRoom();
    } else if (!known.isDecided && this.#reading < MOST_READ_AT_ONCE) {
      known.isDecided = true;
      void this.#read(key, known, sampleRate, decoder);
    }
  }

  async #read(
    key: string,
    sound: Sound,
    sampleRate: number,
    open: () => Promise<SoundDecoder>,
  ): Promise<void> {
    this.#reading++;
    let decoder: SoundDecoder | undefined;
    try {
      decoder = await open();
      const samples = await wholeOf(decoder, sampleRate);
      if (samples !== undefined && this.#sounds.get(key) === sound) {
        sound.samples = samples;
        this.#kept += samples.length;
        this.#makeRoom();
      }
    } catch {
      // Whoever plays it reads it for itself and is told what is wrong.
    } finally {
      await decoder?.close().catch(() => undefined);
      this.#reading--;
    }
  }

  /** The one that was not asked for the longest goes first. */
  #makeRoom(): void {
    for (const [key, { samples }] of this.#sounds) {
      if (this.#kept <= MOST_SAMPLES_IN_ALL && this.#sounds.size <= MOST_SOUNDS) return;
      this.#sounds.delete(key);
      this.#kept -= samples?.length ?? 0;
    }
  }
}

/** @returns undefined when it is too long. */
async function wholeOf(decoder: SoundDecoder, sampleRate: number): Promise<Int16Array | undefined> {
  const resampler =
    decoder.sampleRate === sampleRate ? undefined : new Resampler(decoder.sampleRate, sampleRate);
  const pieces: Int16Array[] = [];
  let length = 0;
  const keep = (samples: Float32Array | Int16Array): void => {
    pieces.push(
      samples instanceof Int16Array
        ? samples.slice()
        : Int16Array.from(samples, (sample) => toSample(sample * 32_768)),
    );
    length += samples.length;
  };
  for (;;) {
    const samples = await decoder.next();
    if (samples === undefined) break;
    keep(resampler ? resampler.push(asFloat(samples)) : samples);
    if (length > MOST_SAMPLES) return undefined;
    // Packets of other streams come first.
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (resampler) keep(resampler.flush());
  const whole = new Int16Array(length);
  let filled = 0;
  for (const piece of pieces) {
    whole.set(piece, filled);
    filled += piece.length;
  }
  return whole;
}

export function asFloat(samples: Float32Array | Int16Array): Float32Array {
  if (samples instanceof Float32Array) return samples;
  const float = new Float32Array(samples.length);
  for (let i = 0; i < samples.length; i++) float[i] = samples[i] / 32_768;
  return float;
}

/** Plays samples that are all there, which others may play, too. */
export class MemorySource implements SampleSource {
  readonly failed = false;
  readonly #samples: Int16Array;
  #rounds: number;
  #position = 0;

  /** @param rounds - How many times they are played; Infinity = for ever. */
  constructor(
    samples: Int16Array,
    rounds: number,
    readonly sampleRate: number,
  ) {
    this.#samples = samples;
    this.#rounds = samples.length === 0 ? 0 : rounds;
  }

  get ended(): boolean {
    return this.#rounds <= 0;
  }

  read(target: Int16Array, count: number): number {
    const samples = this.#samples;
    let filled = 0;
    while (filled < count && this.#rounds > 0) {
      const part = Math.min(count - filled, samples.length - this.#position);
      for (let i = 0; i < part; i++) target[filled + i] = samples[this.#position + i];
      filled += part;
      this.#position += part;
      if (this.#position < samples.length) continue;
      this.#position = 0;
      this.#rounds -= 1;
    }
    return filled;
  }

  close(): void {
    this.#rounds = 0;
  }
}
