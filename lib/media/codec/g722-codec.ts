/** G722 as codec of the endpoint: 16 kHz of sound on an RTP clock of 8 kHz, by an old mistake (RFC 3551 §4.5.2). */
import type { AudioCodec, AudioDecoder, AudioEncoder } from "./audio-codec.js";
import { LONGEST_PACKET_MS } from "./audio-codec.js";
import { Concealment } from "./concealment.js";
import { G722Decoder, G722Encoder } from "./g722.js";

const SAMPLE_RATE = 16_000;
/** Also bytes per second: each byte is two samples and one unit of the clock. */
const CLOCK_RATE = 8_000;
const LONGEST_PACKET = (LONGEST_PACKET_MS * CLOCK_RATE) / 1000;

class Encoder implements AudioEncoder {
  readonly #encoder = new G722Encoder();
  #silence = new Int16Array(0);

  encode(samples: Int16Array, count: number, target: Uint8Array, offset: number): number {
    this.#encoder.encode(samples, count, target, offset);
    return count >> 1;
  }

  /** Both sides adapt to the silence, so it is encoded like all else. */
  encodeSilence(count: number, target: Uint8Array, offset: number): number {
    if (this.#silence.length < count) this.#silence = new Int16Array(count);
    return this.encode(this.#silence, count, target, offset);
  }

  close(): void {
    // Holds nothing but memory.
  }
}

class Decoder implements AudioDecoder {
  readonly #decoder = new G722Decoder();
  readonly #concealment = new Concealment(SAMPLE_RATE);

  decode(source: Uint8Array, start: number, end: number, target: Int16Array): number {
    const bytes = Math.min(end - start, LONGEST_PACKET, target.length >> 1);
    this.#decoder.decode(source, start, start + bytes, target);
    this.#concealment.heard(target, bytes * 2);
    return bytes * 2;
  }

  conceal(target: Int16Array, count: number): void {
    this.#concealment.conceal(target, count);
  }

  close(): void {
    // Holds nothing but memory.
  }
}

export const g722: AudioCodec = {
  name: "G722",
  sampleRate: SAMPLE_RATE,
  clockRate: CLOCK_RATE,
  maximumBytes: (milliseconds) => (milliseconds * CLOCK_RATE) / 1000,
  duration: (_source, start, end) => Math.max(0, end - start),
  createEncoder: () => new Encoder(),
  createDecoder: () => new Decoder(),
};
