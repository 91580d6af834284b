/**
 * Writes a WAV file (16-bit PCM) piece by piece. The lengths in its header are brought up to date at least once a
 * second, so that a crash costs the last second at most; everything is written in order and never blocks the thread.
 */
import { mkdir, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { errorText, MediaError } from "../../foundation/index.js";

export const WAV_HEADER_LENGTH = 44;
/** Longer than this the lengths of the header do not fit; nobody speaks for a day. Bytes. */
const LONGEST = 0xffff_ffff - WAV_HEADER_LENGTH;
const PCM = 1;
const BYTES_PER_SAMPLE = 2;
/** What waits for a disk that does not keep up, bytes: four minutes of mono at 8 kHz. More is a failure, not memory. */
const MOST_WAITING = 4 * 1024 * 1024;

export interface WavFormat {
  readonly channels: 1 | 2;
  /** Hz. */
  readonly sampleRate: number;
}

/** Where recorded bytes go. */
export interface RecordingTarget {
  /** Never throws; what goes wrong is told by `finish`. `data` must stay as it is. */
  write(data: Buffer): void;
  /** Brings the header up to date. */
  update(): void;
  /** Bytes so far, header included. */
  readonly bytes: number;
  /** Set once something could not be written; the recording is over then. */
  readonly failed: MediaError | undefined;
  /** Ends it. @returns the whole WAV of a target in memory. Rejects with MediaError, rule `record-failed`. */
  finish(): Promise<Buffer | undefined>;
}

/** The header of a file with so many bytes of samples. */
export function wavHeader(format: WavFormat, dataLength: number): Buffer {
  const header = Buffer.alloc(WAV_HEADER_LENGTH);
  const frame = format.channels * BYTES_PER_SAMPLE;
  const length = Math.min(dataLength, LONGEST);
  header.write("RIFF", 0, "latin1");
  header.writeUInt32LE(length + WAV_HEADER_LENGTH - 8, 4);
  header.write("WAVEfmt ", 8, "latin1");
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(PCM, 20);
  header.writeUInt16LE(format.channels, 22);
  header.writeUInt32LE(format.sampleRate, 24);
  header.writeUInt32LE(format.sampleRate * frame, 28);
  header.writeUInt16LE(frame, 32);
  header.writeUInt16LE(BYTES_PER_SAMPLE * 8, 34);
  header.write("data", 36, "latin1");
  header.writeUInt32LE(length, 40);
  return header;
}

/** @throws (rejects with) MediaError, rule `record-failed`, when the file cannot be made. */
export async function openWavFile(path: string, format: WavFormat): Promise<RecordingTarget> {
  let file: FileHandle | undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
    file = await open(path, "w");
    await file.write(wavHeader(format, 0), 0, WAV_HEADER_LENGTH, 0);
  } catch (error) {
    // What cannot be written need not be closed well.
    await file?.close().catch(() => undefined);
    throw recordFailed(error);
  }
  return wavFile(file, format);
}

/** Writes to an open file, which has its first header already. */
export function wavFile(
  file: Pick<FileHandle, "write" | "close">,
  format: WavFormat,
): RecordingTarget {
  return new WavFile(file, format);
}

/** Keeps the recording in memory. @param mostBytes - More ends it. */
export function wavInMemory(format: WavFormat, mostBytes: number): RecordingTarget {
  return new WavMemory(format, mostBytes);
}

class WavFile implements RecordingTarget {
  readonly #file: Pick<FileHandle, "write" | "close">;
  readonly #format: WavFormat;
  #position = WAV_HEADER_LENGTH;
  /** Bytes that are not written yet. */
  #waiting = 0;
  #failed: MediaError | undefined;
  /** One write after the other. */
  #queue: Promise<void> = Promise.resolve();

  constructor(file: Pick<FileHandle, "write" | "close">, format: WavFormat) {
    this.#file = file;
    this.#format = format;
  }

  get bytes(): number {
    return this.#position;
  }

  get failed(): MediaError | undefined {
    return this.#failed;
  }

  write(data: Buffer): void {
    if (this.#failed) return;
    if (this.#waiting + data.length > MOST_WAITING) {
      this.#failed = recordFailed("the disk does not keep up");
      return;
    }
    const position = this.#position;
    this.#position += data.length;
    this.#waiting += data.length;
    this.#enqueue(async () => {
      await this.#writeAll(data, position);
      this.#waiting -= data.length;
    });
  }

  update(): void {
    const length = this.#position - WAV_HEADER_LENGTH;
    this.#enqueue(() => this.#writeAll(wavHeader(this.#format, length), 0));
  }

  async finish(): Promise<undefined> {
    this.update();
    await this.#queue;
    try {
      await this.#file.close();
    } catch (error) {
      this.#failed ??= recordFailed(error);
    }
    if (this.#failed) throw this.#failed;
    return undefined;
  }

  #enqueue(work: () => Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#failed) return;
      try {
        await work();
      } catch (error) {
        this.#failed = recordFailed(error);
      }
    });
  }

  /** A full disk can take a part. */
  async #writeAll(data: Buffer, position: number): Promise<void> {
    for (let done = 0; done < data.length;) {
      const { bytesWritten } = await this.#file.write(
        data,
        done,
        data.length - done,
        position + done,
      );
      if (bytesWritten === 0) throw new Error("nothing more can be written");
      done += bytesWritten;
    }
  }
}

class WavMemory implements RecordingTarget {
  readonly #format: WavFormat;
  readonly #mostBytes: number;
  readonly #pieces: Buffer[] = [];
  #length = 0;
  #failed: MediaError | undefined;

  constructor(format: WavFormat, mostBytes: number) {
    this.#format = format;
    this.#mostBytes = mostBytes;
  }

  get bytes(): number {
    return WAV_HEADER_LENGTH + this.#length;
  }

  get failed(): MediaError | undefined {
    return this.#failed;
  }

  write(data: Buffer): void {
    if (this.#failed) return;
    if (this.#length + data.length > this.#mostBytes) {
      this.#failed = new MediaError(
        `A recording in memory may have ${this.#mostBytes} bytes; record longer ones to a file`,
        { rule: "record-failed", statusHint: 500 },
      );
      return;
    }
    this.#pieces.push(data);
    this.#length += data.length;
  }

  update(): void {
    // The header is made at the end.
  }

  finish(): Promise<Buffer> {
    return Promise.resolve(
      Buffer.concat([wavHeader(this.#format, this.#length), ...this.#pieces.splice(0)]),
    );
  }
}

function recordFailed(error: unknown): MediaError {
  return new MediaError(`The recording cannot be written: ${errorText(error)}`, {
    cause: error,
    rule: "record-failed",
    statusHint: 500,
  });
}
