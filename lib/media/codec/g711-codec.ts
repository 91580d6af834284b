/** PCMU and PCMA (RFC 3551 §4.5.14) as codecs of the endpoint. */
import type { AudioCodec, AudioDecoder, AudioEncoder } from "./audio-codec.js";
import { LONGEST_PACKET_MS } from "./audio-codec.js";
import { Concealment } from "./concealment.js";
import { decodeG711, encodeG711, SILENCE_CODE } from "./g711.js";
import type { G711Law } from "./g711.js";

const RATE = 8000;
const LONGEST_PACKET = (LONGEST_PACKET_MS * RATE) / 1000;

class G711Encoder implements AudioEncoder {
  constructor(private readonly law: G711Law) {}

  encode(samples: Int16Array, count: number, target: Uint8Array, offset: number): number {
    encodeG711(this.law, samples, count, target, offset);
    return count;
  }

  encodeSilence(count: number, target: Uint8Array, offset: number): number {
    target.fill(SILENCE_CODE[this.law], offset, offset + count);
    return count;
  }

  close(): void {
    // Tables only, which all streams share.
  }
}

class G711Decoder implements AudioDecoder {
  readonly #concealment = new Concealment(RATE);

  constructor(private readonly law: G711Law) {}

  decode(source: Uint8Array, start: number, end: number, target: Int16Array): number {
    const count = Math.min(end - start, LONGEST_PACKET, target.length);
    decodeG711(this.law, source, start, start + count, target);
    this.#concealment.heard(target, count);
    return count;
  }

  conceal(target: Int16Array, count: number): void {
    this.#concealment.conceal(target, count);
  }

  close(): void {
    // Holds nothing but memory.
  }
}

function g711Codec(law: G711Law): AudioCodec {
  return {
    name: law,
    sampleRate: RATE,
    clockRate: RATE,
    maximumBytes: (milliseconds) => (milliseconds * RATE) / 1000,
    duration: (_source, start, end) => Math.max(0, end - start),
    createEncoder: () => new G711Encoder(law),
    createDecoder: () => new G711Decoder(law),
  };
}

export const pcmu = g711Codec("PCMU");
export const pcma = g711Codec("PCMA");
