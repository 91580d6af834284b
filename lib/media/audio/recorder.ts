/**
 * Records a call: mixes or lays side by side what both hear, notices silence, counts time, and ends by one of several
 * reasons. Runs in the worker; hands finished seconds to its target.
 */
import type { MediaError } from "../../foundation/index.js";
import type { RecordingEnd, RecordOptions } from "../../session/media-handler.js";
import type { AudioListener } from "../rtp/rtp-session.js";
import { FrameConverter } from "./frame-converter.js";
import { toSample } from "./samples.js";
import type { RecordingTarget } from "./wav-writer.js";

export type RecordingChannels = RecordOptions["channels"];

export interface RecorderOptions {
  readonly channels: RecordingChannels;
  /** Hz of the recording. */
  readonly sampleRate: number;
  /** Milliseconds; 0 = no limit. */
  readonly maxDuration: number;
  /** Milliseconds of silence that end it; 0 = none do. */
  readonly silence: number;
  readonly target: RecordingTarget;
  /** It has ended by itself; called once, `finish` is due. */
  readonly onEnd: (reason: RecordingEnd) => void;
}

/** What was recorded. */
export interface RecordingSummary {
  readonly reason: RecordingEnd;
  readonly seconds: number;
  readonly bytes: number;
  /** The WAV, when it went to memory. */
  readonly data: Buffer | undefined;
  /** What could not be written; the part before it is there. */
  readonly error: MediaError | undefined;
}

/** Mean amplitude below which nothing is said: −48 dB or so, above the noise of a line. */
const SILENT = 130;
/** Seconds of samples that are written together. */
const PIECE_S = 0.5;

export class Recorder implements AudioListener {
  readonly #options: RecorderOptions;
  readonly #perFrame: number;
  #piece: Int16Array;
  #filled = 0;
  #samples = 0;
  #silentMs = 0;
  #paused = false;
  #ended: RecordingEnd | undefined;
  readonly #remote: FrameConverter;
  readonly #local: FrameConverter;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#perFrame = options.channels === "stereo" ? 2 : 1;
    this.#piece = new Int16Array(this.#pieceLength());
    this.#remote = new FrameConverter(options.sampleRate);
    this.#local = new FrameConverter(options.sampleRate);
  }

  /** Seconds so far, pauses left out. */
  get seconds(): number {
    return this.#samples / this.#options.sampleRate;
  }

  get paused(): boolean {
    return this.#paused;
  }

  set paused(paused: boolean) {
    this.#paused = paused;
    this.#silentMs = 0;
  }

  frame(remote: Int16Array, local: Int16Array, count: number, sampleRate: number): void {
    if (this.#paused || this.#ended !== undefined) return;
    const { channels, maxDuration, silence, target } = this.#options;
    const heard = this.#remote.convert(remote, count, sampleRate);
    const said = channels === "remote" ? heard : this.#local.convert(local, count, sampleRate);
    // Both converters have the same delay, so both have as many.
    const most = maxDuration === 0 ? Infinity : (maxDuration * this.#options.sampleRate) / 1000;
    const length = Math.min(
      heard.length,
      said.length,
      Math.max(0, Math.round(most - this.#samples)),
    );
    for (let i = 0; i < length; i++) this.#add(channels, heard[i], said[i]);
    this.#samples += length;
    if (silence > 0) this.#listen(remote, count, (count * 1000) / sampleRate);
    if (target.failed) this.#end("failed");
    else if (this.#samples >= most) this.#end("max");
    else if (silence > 0 && this.#silentMs >= silence) this.#end("silence");
  }

  /** Ends it and brings everything to its target. Once. Never rejects. */
  async finish(reason: RecordingEnd): Promise<RecordingSummary> {
    this.#ended ??= reason;
    this.#flush();
    const { target } = this.#options;
    try {
      const data = await target.finish();
      return this.#summary(this.#ended, data, target.failed);
    } catch {
      return this.#summary("failed", undefined, target.failed);
    }
  }

  #summary(
    reason: RecordingEnd,
    data: Buffer | undefined,
    error: MediaError | undefined,
  ): RecordingSummary {
    const { bytes } = this.#options.target;
    return { reason, seconds: Math.round(this.seconds * 1000) / 1000, bytes, data, error };
  }

  #add(channels: RecordingChannels, heard: number, said: number): void {
    if (channels === "mixed") {
      this.#piece[this.#filled++] = toSample(heard + said);
    } else {
      this.#piece[this.#filled++] = heard;
      if (channels === "stereo") this.#piece[this.#filled++] = said;
    }
    if (this.#filled >= this.#piece.length) this.#flush();
  }

  #flush(): void {
    if (this.#filled === 0) return;
    const samples = this.#piece.subarray(0, this.#filled);
    this.#options.target.write(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength));
    this.#options.target.update();
    // The target keeps the old one.
    this.#piece = new Int16Array(this.#pieceLength());
    this.#filled = 0;
  }

  #pieceLength(): number {
    return Math.round(this.#options.sampleRate * PIECE_S) * this.#perFrame;
  }

  #listen(remote: Int16Array, count: number, milliseconds: number): void {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += Math.abs(remote[i]);
    this.#silentMs = sum / Math.max(1, count) < SILENT ? this.#silentMs + milliseconds : 0;
  }

  #end(reason: RecordingEnd): void {
    this.#ended = reason;
    this.#options.onEnd(reason);
  }
}
