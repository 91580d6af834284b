/**
 * Plays MP3 (MPEG audio, layers I to III) by mpg123 as WebAssembly: a decoder of its own for each source, made when
 * the first sound is needed. Gets whole frames only, so that a piece is never longer than it should be.
 */
import { PIECE_MS } from "./sound-decoder.js";
import type { SoundDecoder } from "./sound-decoder.js";
import { findFrame } from "./mp3-frames.js";
import type { Mp3Frame } from "./mp3-frames.js";
import type { RandomAccess } from "./random-access.js";
import { SequentialReader } from "./sequential-reader.js";

/** So many pieces in a row without a sample, and the stream cannot be decoded. */
const MOST_SILENT_PIECES = 5;

/** What of the library's decoder is used. */
interface FrameDecoder {
  readonly ready: Promise<void>;
  reset(): Promise<void>;
  free(): void;
  decode(data: Uint8Array): {
    readonly channelData: readonly Float32Array[];
    readonly samplesDecoded: number;
  };
}

/** @returns undefined when no sound of this kind is in there. */
export async function openMp3(access: RandomAccess): Promise<SoundDecoder | undefined> {
  const reader = new SequentialReader(access);
  const first = await findFrame(reader, undefined);
  return first && new Mp3Decoder(access, reader, first);
}

class Mp3Decoder implements SoundDecoder {
  readonly sampleRate: number;
  readonly #access: RandomAccess;
  readonly #reader: SequentialReader;
  readonly #kind: number;
  /** Of the first frame. */
  readonly #start: number;
  #decoder: FrameDecoder | undefined;

  constructor(access: RandomAccess, reader: SequentialReader, first: Mp3Frame) {
    this.sampleRate = first.sampleRate;
    this.#access = access;
    this.#reader = reader;
    this.#kind = first.kind;
    this.#start = reader.position;
  }

  async next(): Promise<Float32Array | undefined> {
    const decoder = (this.#decoder ??= await createDecoder());
    // The first frame may hold a table only, and the decoder may want to see more before it gives a sound.
    for (let silent = 0; silent < MOST_SILENT_PIECES; silent++) {
      const frames = await this.#frames();
      if (frames.length === 0) return undefined;
      const { channelData, samplesDecoded } = decoder.decode(Buffer.concat(frames));
      if (samplesDecoded > 0) return toMono(channelData, samplesDecoded);
    }
    throw new Error("no MP3 frame of it can be decoded");
  }

  async rewind(): Promise<void> {
    this.#reader.seek(this.#start);
    await this.#decoder?.reset();
  }

  async close(): Promise<void> {
    const decoder = this.#decoder;
    this.#decoder = undefined;
    decoder?.free();
    await this.#access.close();
  }

  /** The frames of one piece. */
  async #frames(): Promise<Buffer[]> {
    const wanted = (this.sampleRate * PIECE_MS) / 1000;
    const frames: Buffer[] = [];
    for (let samples = 0; samples < wanted;) {
      const frame = await findFrame(this.#reader, this.#kind);
      if (frame === undefined) break;
      // The last frame of a file that was cut is shorter: nothing can be made of it.
      const bytes = await this.#reader.peek(frame.length);
      if (bytes.length < frame.length) break;
      frames.push(bytes);
      this.#reader.skip(frame.length);
      samples += frame.samples;
    }
    return frames;
  }
}

async function createDecoder(): Promise<FrameDecoder> {
  // The library is a module of the newer kind, loaded when the first MP3 of this thread is played.
  const { MPEGDecoder } = await import("mpg123-decoder");
  const decoder: FrameDecoder = new MPEGDecoder();
  await decoder.ready;
  return decoder;
}

function toMono(channels: readonly Float32Array[], count: number): Float32Array {
  const [left, right] = channels;
  const mono = new Float32Array(count);
  for (let i = 0; i < count; i++) mono[i] = (left[i] + right[i]) / 2;
  return mono;
}
