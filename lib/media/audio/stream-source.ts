/**
 * What a flow says into a call as it comes: a source of samples that is fed with bytes in pieces of any length. It
 * waits in silence for more, forgets on demand what it has not said yet, and tells when it has come to a mark.
 */
import type { StreamFormat } from "../../session/media-handler.js";
import { decodeG711 } from "../codec/g711.js";
import type { SampleSource } from "./audio-source.js";
import { SampleQueue } from "./sample-queue.js";

export interface StreamSourceOptions {
  /** Of the bytes. */
  readonly format: StreamFormat;
  /** Hz. */
  readonly sampleRate: number;
  /** All before the mark was sent, or will not be. `milliseconds`: how much was heard of the stream until there. */
  readonly onMark: (mark: number, milliseconds: number) => void;
  /** It is heard no more; called once. */
  readonly onClose: () => void;
}

interface Mark {
  readonly id: number;
  /** Samples before it. */
  readonly position: number;
}

/** More than this never waits; the oldest is dropped then. */
export const LONGEST_QUEUE_S = 60;
/**
 * Silence after the last sample, so that what is behind us to change the rate gives away what it holds; after it the
 * stream says nothing.
 */
const TAIL_MS = 20;
/** How much a converter of rates may hold. */
const CONVERTER_MS = 15;
/** The queue is watched for so long to tell sound that is spoken just now from sound that was there before. */
const WATCH_MS = 1000;
/** In so many of these times as much must have come as was said, a tenth more or less. */
const STEADY = 2;
/** So much at a time is left out to catch up, where it is quiet; so much always waits. */
const PIECE_MS = 10;
const KEPT_MS = 30;
/** The loudest sample of a pause. */
const QUIET = 300;

export class StreamSource implements SampleSource {
  readonly sampleRate: number;
  readonly failed = false;
  readonly #options: StreamSourceOptions;
  readonly #queue: SampleQueue;
  readonly #tail: number;
  /** The first byte of a sample whose second has not come yet. */
  #half: number | undefined;
  readonly #marks: Mark[] = [];
  /** Samples that came. */
  #written = 0;
  /** Samples that were read, dropped or cleared. */
  #passed = 0;
  /** Samples that were read. */
  #heard = 0;
  /** Samples of silence read since the last that was said. */
  #silence = Infinity;
  /** Samples: how long it has been watched, what came meanwhile, the least that waited. */
  #watched = 0;
  #came = 0;
  #least = Infinity;
  /** How often in a row as much came as was said. */
  #steady = 0;
  /** Samples by which the sound of a live speaker is late. */
  #late = 0;
  #closed = false;

  constructor(options: StreamSourceOptions) {
    this.#options = options;
    this.sampleRate = options.sampleRate;
    this.#queue = new SampleQueue(LONGEST_QUEUE_S * options.sampleRate);
    this.#tail = Math.round((TAIL_MS * options.sampleRate) / 1000);
  }

  /** True once it was closed: a stream that is empty may go on. */
  get ended(): boolean {
    return this.#closed;
  }

  /** Nothing is to be said now. */
  get idle(): boolean {
    return this.#queue.length === 0 && this.#silence >= this.#tail;
  }

  /** Milliseconds that wait. */
  get queuedMs(): number {
    return (this.#queue.length * 1000) / this.sampleRate;
  }

  /** Marks that wait. */
  get marks(): number {
    return this.#marks.length;
  }

  push(data: Uint8Array): void {
    if (this.#closed || data.length === 0) return;
    const samples = this.#options.format === "mulaw" ? fromMuLaw(data) : this.#fromPcm(data);
    this.#written += samples.length;
    const dropped = this.#queue.push(samples);
    this.#came += samples.length;
    if (dropped === 0) return;
    this.#passed += dropped;
    this.#reportUntil(this.#passed, true);
  }

  /** Forgets what has not been said, half samples included; the marks in it come out. */
  clear(): void {
    this.#half = undefined;
    const cleared = this.#queue.clear();
    if (cleared > 0) this.#silence = 0;
    this.#passed += cleared;
    this.#reportUntil(this.#passed, true);
  }

  /** @param id - Given to `onMark` when all that came before was sent. */
  mark(id: number): void {
    this.#marks.push({ id, position: this.#written });
    if (this.idle) this.#reportUntil(this.#passed, false);
  }

  read(target: Int16Array, count: number): number {
    if (this.#late > 0) this.#catchUp();
    const taken = this.#queue.take(target, count);
    this.#passed += taken;
    this.#heard += taken;
    if (taken > 0) this.#silence = 0;
    if (taken === count || this.#silence >= this.#tail) return taken;
    const silent = Math.min(count - taken, this.#tail - this.#silence);
    target.fill(0, taken, taken + silent);
    this.#silence += silent;
    return taken + silent;
  }

  /**
   * What was read is on its way: marks in front of which nothing waits any more are told.
   *
   * @param lineRate - Hz at which the samples are sent.
   * @param count - How many the packet held.
   */
  sent(lineRate: number, count: number): void {
    this.#watch((count * this.sampleRate) / lineRate);
    if (this.#marks.length === 0) return;
    const held = lineRate === this.sampleRate ? 0 : (CONVERTER_MS * this.sampleRate) / 1000;
    const said = this.#queue.length === 0 ? this.#silence : 0;
    this.#reportUntil(this.#passed - Math.max(0, held - said), false);
  }

  /** Marks that wait come out. */
  close(): void {
    if (this.#closed) return;
    this.clear();
    this.#closed = true;
    this.#options.onClose();
  }

  /**
   * When a flow that passes on what is spoken just now was held up, all that follows would be late for the rest of the
   * call: as much comes as is said, and something always waits. That time is taken back from the next pauses.
   */
  #watch(count: number): void {
    this.#watched += count;
    this.#least = Math.min(this.#least, this.#queue.length);
    if (this.#watched < (WATCH_MS * this.sampleRate) / 1000) return;
    const isSteady = Math.abs(this.#came - this.#watched) < this.#watched / 10;
    this.#steady = isSteady ? this.#steady + 1 : 0;
    const kept = (KEPT_MS * this.sampleRate) / 1000;
    this.#late = this.#steady >= STEADY ? this.#least - kept : 0;
    this.#watched = 0;
    this.#came = 0;
    this.#least = Infinity;
  }

  #catchUp(): void {
    const piece = (PIECE_MS * this.sampleRate) / 1000;
    while (this.#late >= piece && this.#queue.isQuiet(piece, QUIET)) {
      this.#queue.skip(piece);
      this.#passed += piece;
      this.#late -= piece;
    }
  }

  /** @param unheard - What lies between was dropped. */
  #reportUntil(position: number, unheard: boolean): void {
    let mark: Mark | undefined;
    while ((mark = this.#marks.at(0)) !== undefined && mark.position <= position) {
      this.#marks.shift();
      const heard = unheard ? this.#heard : this.#heard - (this.#passed - mark.position);
      this.#options.onMark(mark.id, Math.max(0, Math.round((heard * 1000) / this.sampleRate)));
    }
  }

  /** Little endian. */
  #fromPcm(data: Uint8Array): Int16Array {
    let at = 0;
    let filled = 0;
    const half = this.#half;
    const samples = new Int16Array((data.length + (half === undefined ? 0 : 1)) >> 1);
    if (half !== undefined) samples[filled++] = half | (data[at++] << 8);
    for (; at + 1 < data.length; at += 2) samples[filled++] = data[at] | (data[at + 1] << 8);
    this.#half = at < data.length ? data[at] : undefined;
    return samples;
  }
}

function fromMuLaw(data: Uint8Array): Int16Array {
  const samples = new Int16Array(data.length);
  decodeG711("PCMU", data, 0, data.length, samples);
  return samples;
}
