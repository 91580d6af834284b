/** Sample formats and their conversion to mono floating point, one row of a table each. */
import { decodeG711 } from "../codec/g711.js";

export type SampleEncoding =
  "u8" | "s16" | "s24" | "s32" | "float32" | "float64" | "mulaw" | "alaw";

export interface PcmFormat {
  readonly encoding: SampleEncoding;
  /** 1 or 2. */
  readonly channels: number;
  /** Hz. */
  readonly sampleRate: number;
  /** Bytes from one sample of a channel to the next sample of the next channel. */
  readonly bytesPerSample: number;
}

const G711_SCRATCH = new Int16Array(1);
const G711_CODE = new Uint8Array(1);

function g711(law: "PCMU" | "PCMA"): (data: Buffer, position: number) => number {
  return (data, position) => {
    G711_CODE[0] = data[position];
    decodeG711(law, G711_CODE, 0, 1, G711_SCRATCH);
    return G711_SCRATCH[0] / 32_768;
  };
}

/** A hostile file may hold NaN, infinities and huge values. */
function finite(value: number): number {
  if (value > 1) return 1;
  if (value < -1) return -1;
  return value === value ? value : 0;
}

/** One sample at a byte position, from −1 to 1. */
const READERS: Readonly<Record<SampleEncoding, (data: Buffer, position: number) => number>> = {
  u8: (data, position) => (data[position] - 128) / 128,
  s16: (data, position) => data.readInt16LE(position) / 32_768,
  s24: (data, position) => data.readIntLE(position, 3) / 8_388_608,
  s32: (data, position) => data.readInt32LE(position) / 2_147_483_648,
  float32: (data, position) => finite(data.readFloatLE(position)),
  float64: (data, position) => finite(data.readDoubleLE(position)),
  mulaw: g711("PCMU"),
  alaw: g711("PCMA"),
};

/** Bytes of one sample as it is encoded; the file may store it in a larger container. */
export const ENCODED_BYTES: Readonly<Record<SampleEncoding, number>> = {
  u8: 1,
  s16: 2,
  s24: 3,
  s32: 4,
  float32: 4,
  float64: 8,
  mulaw: 1,
  alaw: 1,
};

/** Bytes of one sample of all channels. */
export function frameLength(format: PcmFormat): number {
  return format.bytesPerSample * format.channels;
}

/** By far the most common format: samples that need no decoding. */
export function isPlain({ encoding, channels, bytesPerSample }: PcmFormat): boolean {
  return encoding === "s16" && channels === 1 && bytesPerSample === 2;
}

/** Reads whole samples of the plain format into the beginning of `scratch`. @returns the part that holds them. */
export function readPlain(data: Buffer, scratch: Int16Array): Int16Array {
  const count = data.length >> 1;
  for (let i = 0, position = 0; i < count; i++, position += 2) {
    scratch[i] = data[position] | (data[position + 1] << 8);
  }
  return scratch.subarray(0, count);
}

/**
 * Decodes whole frames to mono; a part of a frame at the end is dropped.
 *
 * @param scratch - Has room for the samples.
 * @returns the part of `scratch` that holds them.
 */
export function decodeToMono(data: Buffer, format: PcmFormat, scratch: Float32Array): Float32Array {
  const step = frameLength(format);
  const count = Math.floor(data.length / step);
  const read = READERS[format.encoding];
  const mono = scratch.subarray(0, count);
  // In a larger container the significant bytes are the upper ones, the last in little endian.
  const skip = format.bytesPerSample - ENCODED_BYTES[format.encoding];
  if (format.channels === 1) {
    for (let i = 0, position = skip; i < count; i++, position += step)
      mono[i] = read(data, position);
    return mono;
  }
  const second = skip + format.bytesPerSample;
  for (let i = 0, position = 0; i < count; i++, position += step) {
    mono[i] = (read(data, position + skip) + read(data, position + second)) / 2;
  }
  return mono;
}
