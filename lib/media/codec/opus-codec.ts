/**
 * Opus (RFC 6716, RFC 7587) as codec of the endpoint, mono at 48 kHz. The work is done by libopus as WebAssembly, which
 * is loaded once per thread when Opus may be negotiated. It hides lost packets itself and reads what the next packet
 * repeats of a lost one (in-band FEC).
 */
import type * as LibopusWasm from "libopus-wasm" with { "resolution-mode": "import" };
import type { AudioCodec, AudioDecoder, AudioEncoder } from "./audio-codec.js";
import { encoderOptions } from "./opus-parameters.js";

type Libopus = typeof LibopusWasm;

const RATE = 48_000;
/** A packet of one frame at the highest bit rate (RFC 6716 §3.2.1). */
const LONGEST_PAYLOAD = 1275;
/** Samples of a packet that the encoder makes: 2.5, 5, 10, 20, 40 and 60 ms. */
const PACKET_LENGTHS: ReadonlySet<number> = new Set([120, 240, 480, 960, 1920, 2880]);
/** Concealment and recovery work in these steps (2.5 ms), up to 120 ms at once. */
const STEP = 120;
const MOST_AT_ONCE = 5760;
/** Of the frames in a packet, by bits of its first byte (RFC 6716 §3.1), in samples. */
const SILK_FRAMES = [480, 960, 1920, 2880];
const HYBRID_FRAMES = [480, 960];
const CELT_FRAMES = [120, 240, 480, 960];

let library: Libopus | undefined;
let loading: Promise<void> | undefined;

async function load(): Promise<void> {
  const loaded = await import("libopus-wasm");
  await loaded.loadLibopus();
  library = loaded;
}

/**
 * What the library holds for one stream. The library, once loaded, makes it in promises that wait for nothing but each
 * other, so it is there before the next timer or message; when its memory is exhausted there is nothing.
 */
class Held<Handle extends { free(): void }> {
  #handle: Handle | undefined;
  #closed = false;

  constructor(make: ((library: Libopus) => Promise<Handle>) | undefined) {
    if (library === undefined || make === undefined) return;
    make(library).then(
      (handle) => {
        if (this.#closed) handle.free();
        else this.#handle = handle;
      },
      () => {
        // Without it the stream is silent, as with packets that cannot be decoded; the call goes on.
        this.#closed = true;
      },
    );
  }

  /** @returns `otherwise` without a handle and when the library refuses. */
  use<T>(work: (handle: Handle) => T, otherwise: T): T {
    const handle = this.#handle;
    if (handle === undefined) return otherwise;
    try {
      return work(handle);
    } catch {
      // A payload that is no Opus (RFC 6716 §3.4): the same as none.
      return otherwise;
    }
  }

  close(): void {
    this.#closed = true;
    const handle = this.#handle;
    this.#handle = undefined;
    handle?.free();
  }
}

class OpusEncoder implements AudioEncoder {
  readonly #held: Held<LibopusWasm.OpusEncoderHandle>;
  #silence = new Int16Array(0);

  constructor(parameters: string | undefined) {
    this.#held = new Held((loaded) => loaded.createEncoder(encoderOptions(parameters, loaded)));
  }

  encode(samples: Int16Array, count: number, target: Uint8Array, offset: number): number {
    if (!PACKET_LENGTHS.has(count)) return 0;
    return this.#held.use((handle) => {
      const maxPacketBytes = Math.min(LONGEST_PAYLOAD, target.length - offset);
      const packet = handle.encode(samples.subarray(0, count), {
        frameSize: count,
        maxPacketBytes,
      });
      target.set(packet, offset);
      return packet.length;
    }, 0);
  }

  /** The encoder has a memory, so it must hear the silence as well; that costs little. */
  encodeSilence(count: number, target: Uint8Array, offset: number): number {
    if (this.#silence.length < count) this.#silence = new Int16Array(count);
    return this.encode(this.#silence, count, target, offset);
  }

  close(): void {
    this.#held.close();
  }
}

class OpusDecoder implements AudioDecoder {
  readonly #held = new Held<LibopusWasm.OpusDecoderHandle>((loaded) =>
    loaded.createDecoder({ sampleRate: RATE, channels: 1 }),
  );
  /** Made up beyond what was asked for, because the library works in steps. */
  #spare: Int16Array = new Int16Array(0);

  decode(source: Uint8Array, start: number, end: number, target: Int16Array): number {
    this.#spare = new Int16Array(0);
    if (start >= end) return 0;
    return this.#held.use(
      (handle) => copied(handle.decode(source.subarray(start, end)), target),
      0,
    );
  }

  conceal(target: Int16Array, count: number): void {
    let filled = this.#takeSpare(target, count);
    while (filled < count) {
      const frameSize = Math.min(MOST_AT_ONCE, Math.ceil((count - filled) / STEP) * STEP);
      const made = this.#held.use((handle) => handle.decodePacketLoss(frameSize), undefined);
      if (made === undefined || made.length === 0) break;
      this.#spare = made;
      filled += this.#takeSpare(target.subarray(filled), count - filled);
    }
    target.fill(0, filled, count);
  }

  recover(
    source: Uint8Array,
    start: number,
    end: number,
    target: Int16Array,
    count: number,
  ): boolean {
    if (count % STEP !== 0 || count > MOST_AT_ONCE || start >= end) return false;
    return this.#held.use((handle) => {
      const packet = source.subarray(start, end);
      const made = handle.decode(packet, { decodeFec: true, frameSize: count });
      this.#spare = new Int16Array(0);
      return copied(made, target) === count;
    }, false);
  }

  close(): void {
    this.#held.close();
  }

  #takeSpare(target: Int16Array, count: number): number {
    const taken = this.#spare.subarray(0, count);
    target.set(taken);
    this.#spare = this.#spare.subarray(taken.length);
    return taken.length;
  }
}

function copied(samples: Int16Array, target: Int16Array): number {
  const kept = samples.length > target.length ? samples.subarray(0, target.length) : samples;
  target.set(kept);
  return kept.length;
}

/** Samples of a packet by its first bytes (RFC 6716 §3.1, §3.2.5); 0 when they make no sense. */
function packetLength(source: Uint8Array, start: number, end: number): number {
  if (start >= end) return 0;
  const first = source[start];
  const configuration = first >> 3;
  const frame =
    configuration < 12
      ? SILK_FRAMES[configuration & 3]
      : configuration < 16
        ? HYBRID_FRAMES[configuration & 1]
        : CELT_FRAMES[configuration & 3];
  const code = first & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : start + 1 < end ? source[start + 1] & 0x3f : 0;
  const length = frame * frames;
  return length > MOST_AT_ONCE ? 0 : length;
}

export const opus: AudioCodec = {
  name: "OPUS",
  sampleRate: RATE,
  clockRate: RATE,
  maximumBytes: () => LONGEST_PAYLOAD,
  duration: packetLength,
  createEncoder: (parameters) => new OpusEncoder(parameters),
  createDecoder: () => new OpusDecoder(),
  load: () => {
    // Tried again after a failure, when the next call is made.
    loading ??= load().catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  },
};
