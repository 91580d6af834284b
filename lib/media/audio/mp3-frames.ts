/**
 * Finds the frames of an MPEG audio stream (ISO/IEC 11172-3 §2.4.1.3 and 13818-3; layers I to III), between the tags
 * and the garbage that files have before, between and behind them.
 */
import type { SequentialReader } from "./sequential-reader.js";

export interface Mp3Frame {
  /** Bytes, header included. */
  readonly length: number;
  /** Samples of each channel. */
  readonly samples: number;
  /** Hz. */
  readonly sampleRate: number;
  /** What stays the same in all frames of a stream: version, layer and sample rate. */
  readonly kind: number;
}

export const FRAME_HEADER_LENGTH = 4;
/** More than this without a frame: there is no sound … Bytes. */
const MOST_GARBAGE_BEFORE = 16 * 1024;
/** … or no more. */
const MOST_GARBAGE_BETWEEN = 128 * 1024;
/** A file with more tags than this in a row is no honest file. */
const MOST_TAGS = 32;
/** Bytes that are searched at once. */
const SEARCH = 4096;

const SAMPLE_RATES = [44_100, 48_000, 32_000] as const;
/** kbit/s by index, from 1 to 14, of MPEG 1 layers I, II, III and of MPEG 2 layers I, and II with III. */
const RATES_1_1 = [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
const RATES_1_2 = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const RATES_1_3 = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const RATES_2_1 = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
const RATES_2_X = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const BIT_RATES = [
  [RATES_1_1, RATES_1_2, RATES_1_3],
  [RATES_2_1, RATES_2_X, RATES_2_X],
] as const;

/** @returns undefined for what is no frame header; a free bit rate, which nobody uses, counts as none. */
export function readFrameHeader(data: Buffer, at: number): Mp3Frame | undefined {
  if (at + FRAME_HEADER_LENGTH > data.length) return undefined;
  const second = data[at + 1];
  if (data[at] !== 0xff || (second & 0xe0) !== 0xe0) return undefined;
  const third = data[at + 2];
  // 3 = MPEG 1, 2 = MPEG 2, 0 = MPEG 2.5 with a quarter of the rates, 1 is reserved.
  const version = (second >> 3) & 3;
  // 3 = layer I, 2 = II, 1 = III, 0 is reserved.
  const layer = 4 - ((second >> 1) & 3);
  const rateIndex = third >> 4;
  const sampleRateIndex = (third >> 2) & 3;
  if (version === 1 || layer === 4 || sampleRateIndex === 3) return undefined;
  if (rateIndex === 0 || rateIndex === 15) return undefined;
  const half = version === 3 ? 0 : 1;
  const bitRate = BIT_RATES[half][layer - 1][rateIndex - 1] * 1000;
  const sampleRate = SAMPLE_RATES[sampleRateIndex] >> (version === 3 ? 0 : version === 2 ? 1 : 2);
  const padding = (third >> 1) & 1;
  const samples = layer === 1 ? 384 : layer === 3 && half === 1 ? 576 : 1152;
  const length =
    layer === 1
      ? (Math.floor((12 * bitRate) / sampleRate) + padding) * 4
      : Math.floor((samples / 8) * (bitRate / sampleRate)) + padding;
  return { length, samples, sampleRate, kind: (version << 4) | (layer << 2) | sampleRateIndex };
}

/**
 * Moves the reader to the next frame: over ID3 tags, and over bytes that are no frame.
 *
 * @param kind - Of the frames before; undefined = any, but then another frame of its kind must follow it.
 * @returns undefined when there is none to the end, or for too long.
 */
export async function findFrame(
  reader: SequentialReader,
  kind: number | undefined,
): Promise<Mp3Frame | undefined> {
  const mostGarbage = kind === undefined ? MOST_GARBAGE_BEFORE : MOST_GARBAGE_BETWEEN;
  let tags = 0;
  for (let garbage = 0; garbage < mostGarbage;) {
    const data = await reader.peek(SEARCH);
    if (data.length < FRAME_HEADER_LENGTH) return undefined;
    const tag = tagLength(data);
    if (tag > 0) {
      tags += 1;
      if (tags > MOST_TAGS) return undefined;
      reader.skip(tag);
      continue;
    }
    const at = nextCandidate(data, kind);
    reader.skip(at);
    garbage += Math.max(1, at);
    if (at > data.length - FRAME_HEADER_LENGTH) continue;
    const frame = readFrameHeader(data, at);
    if (frame === undefined) continue;
    if (kind !== undefined || (await isFollowed(reader, frame))) return frame;
    reader.skip(1);
  }
  return undefined;
}

/** Where the first header, or the first tag, is; near the end of the data when there is none. */
function nextCandidate(data: Buffer, kind: number | undefined): number {
  const last = data.length - FRAME_HEADER_LENGTH;
  for (let at = 0; at <= last; at++) {
    if (data[at] === 0xff) {
      const frame = readFrameHeader(data, at);
      if (frame && (kind === undefined || frame.kind === kind)) return at;
    } else if (at > 0 && data[at] === 0x49 && tagLength(data.subarray(at)) > 0) {
      return at;
    }
  }
  return last + 1;
}

/** True when another frame of the same kind comes next, or the file ends with this one. */
async function isFollowed(reader: SequentialReader, frame: Mp3Frame): Promise<boolean> {
  const data = await reader.peek(frame.length + FRAME_HEADER_LENGTH);
  if (data.length === frame.length) return true;
  const behind = data.toString("latin1", frame.length, frame.length + 3);
  return behind === "TAG" || readFrameHeader(data, frame.length)?.kind === frame.kind;
}

/** Bytes of the ID3v2 tag that the data begin with (id3.org, ID3v2 §3.1); 0 when they begin with none. */
function tagLength(data: Buffer): number {
  if (data.length < 10 || data.toString("latin1", 0, 3) !== "ID3") return 0;
  if (data[3] === 0xff || ((data[6] | data[7] | data[8] | data[9]) & 0x80) !== 0) return 0;
  const footer = (data[5] & 0x10) === 0 ? 0 : 10;
  return 10 + footer + ((data[6] << 21) | (data[7] << 14) | (data[8] << 7) | data[9]);
}
