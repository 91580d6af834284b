/** What the built-in caller hears: the sound of the first minute, and how loud it was all the time. */
import type { StreamFrame } from "../../../lib/index.js";

export const HEARD_RATE = 8000;
/** Milliseconds. */
export const HEARD_FRAME = 20;
const LONGEST_SOUND_S = 60;
const MOST_BYTES = LONGEST_SOUND_S * HEARD_RATE * 2;
/** One per frame of the longest call, and its ringing. */
const MOST_LEVELS = 50_000;
/** Points of the picture. */
export const MOST_PEAKS = 400;
const WAV_HEADER = 44;

export class Heard {
  readonly #frames: Buffer[] = [];
  /** Of each frame its loudest sample, 0 … 255. */
  readonly #levels: number[] = [];
  #bytes = 0;

  add({ data }: StreamFrame): void {
    if (this.#levels.length >= MOST_LEVELS) return;
    let peak = 0;
    for (let at = 0; at + 1 < data.length; at += 2) {
      peak = Math.max(peak, Math.abs(data.readInt16LE(at)));
    }
    this.#levels.push(Math.round((peak / 32_768) * 255));
    if (this.#bytes + data.length > MOST_BYTES) return;
    this.#frames.push(data);
    this.#bytes += data.length;
  }

  /** Of the whole call. */
  get seconds(): number {
    return (this.#levels.length * HEARD_FRAME) / 1000;
  }

  /** Of the sound that is kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** 0 … 1, at most `MOST_PEAKS`, each for the same time. */
  peaks(): number[] {
    const each = Math.max(1, Math.ceil(this.#levels.length / MOST_PEAKS));
    const peaks: number[] = [];
    for (let from = 0; from < this.#levels.length; from += each) {
      const loudest = Math.max(...this.#levels.slice(from, from + each));
      peaks.push(Math.round((loudest / 255) * 1000) / 1000);
    }
    return peaks;
  }

  /** The first minute as a WAV file; undefined when there is nothing. */
  wav(): Buffer | undefined {
    if (this.#bytes === 0) return undefined;
    const header = Buffer.alloc(WAV_HEADER);
    header.write("RIFF", 0, "latin1");
    header.writeUInt32LE(WAV_HEADER - 8 + this.#bytes, 4);
    header.write("WAVEfmt ", 8, "latin1");
    header.writeUInt32LE(16, 16);
    header.writeUInt16LE(1, 20);
    header.writeUInt16LE(1, 22);
    header.writeUInt32LE(HEARD_RATE, 24);
    header.writeUInt32LE(HEARD_RATE * 2, 28);
    header.writeUInt16LE(2, 32);
    header.writeUInt16LE(16, 34);
    header.write("data", 36, "latin1");
    header.writeUInt32LE(this.#bytes, 40);
    return Buffer.concat([header, ...this.#frames]);
  }

  /** The peaks stay. */
  dropSound(): void {
    this.#frames.length = 0;
    this.#bytes = 0;
  }
}
