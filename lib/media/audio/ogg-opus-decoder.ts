/**
 * Plays Opus in Ogg (RFC 7845) with the codec of the calls: one or two channels, chained streams, pre-skip, gain, and
 * an end in the middle of a packet.
 */
import type { AudioCodec, AudioDecoder } from "../codec/audio-codec.js";
import { LONGEST_PACKET_MS } from "../codec/audio-codec.js";
import { OggPackets } from "./ogg-packets.js";
import type { OggPage } from "./ogg-packets.js";
import type { RandomAccess } from "./random-access.js";
import { SequentialReader } from "./sequential-reader.js";
import { PIECE_MS } from "./sound-decoder.js";
import type { SoundDecoder } from "./sound-decoder.js";

/** What the first packet of a stream says (RFC 7845 §5.1). */
interface OpusHead {
  /** Samples at 48 kHz to leave out at the beginning. */
  readonly preSkip: number;
  /** A factor. */
  readonly gain: number;
}

/** Hz of granule positions and of pre-skip, whatever was encoded. */
const GRANULE_RATE = 48_000;
/** Pages without a packet of sound, in a row; a file with more holds none. */
const MOST_EMPTY_PAGES = 1_000;

/** @returns undefined when there is no Opus stream at the beginning; @throws when it has more than two channels. */
export async function openOggOpus(
  access: RandomAccess,
  codec: AudioCodec,
): Promise<SoundDecoder | undefined> {
  const decoder = new OggOpusDecoder(access, codec);
  return (await decoder.findStream()) ? decoder : undefined;
}

class OggOpusDecoder implements SoundDecoder {
  readonly sampleRate: number;
  readonly #access: RandomAccess;
  readonly #codec: AudioCodec;
  readonly #pages: OggPackets;
  readonly #samples: Int16Array;
  #decoder: AudioDecoder | undefined;
  #head: OpusHead | undefined;
  /** Packets that wait to be decoded. */
  #packets: Buffer[] = [];
  /** The comment header was passed. */
  #tagged = false;
  /** Samples of this stream, from its first on: decoded; to leave out; where it ends. */
  #position = 0;
  #skip = 0;
  #end: number | undefined;
  /** It gave a sample. */
  #heard = false;
  /** The granule position that its first sample has. */
  #origin: number | undefined;

  constructor(access: RandomAccess, codec: AudioCodec) {
    this.sampleRate = codec.sampleRate;
    this.#access = access;
    this.#codec = codec;
    this.#pages = new OggPackets(new SequentialReader(access));
    this.#samples = new Int16Array((codec.sampleRate * LONGEST_PACKET_MS) / 1000);
  }

  /** Moves to the first Opus stream. */
  async findStream(): Promise<boolean> {
    // The streams of a group all begin before the first goes on.
    for (let page = await this.#pages.next(); page?.begins; page = await this.#pages.next()) {
      if (this.#begin(page)) return true;
    }
    return false;
  }

  async next(): Promise<Float32Array | undefined> {
    const wanted = (this.sampleRate * PIECE_MS) / 1000;
    const parts: Float32Array[] = [];
    let length = 0;
    while (length < wanted) {
      const packet = this.#packets.shift();
      if (packet === undefined) {
        if (!(await this.#readPage())) break;
      } else {
        const part = this.#decode(packet);
        parts.push(part);
        length += part.length;
      }
    }
    if (length === 0) {
      if (this.#heard) return undefined;
      throw new Error("it holds no sound, or was cut before its first page was over");
    }
    this.#heard = true;
    const piece = new Float32Array(length);
    let at = 0;
    for (const part of parts) {
      piece.set(part, at);
      at += part.length;
    }
    return piece;
  }

  async rewind(): Promise<void> {
    this.#pages.rewind();
    await this.findStream();
  }

  close(): Promise<void> {
    this.#decoder?.close();
    this.#decoder = undefined;
    return this.#access.close();
  }

  /** @returns true when the page begins an Opus stream; what it says counts from now on. */
  #begin(page: OggPage): boolean {
    const head = page.packets.at(0);
    if (head === undefined || head.toString("latin1", 0, 8) !== "OpusHead") return false;
    this.#head = readHead(head);
    this.#pages.follow(page.serial);
    this.#decoder?.close();
    this.#decoder = this.#codec.createDecoder();
    this.#packets = [];
    this.#tagged = false;
    this.#position = 0;
    this.#skip = this.#toSamples(this.#head.preSkip);
    this.#end = undefined;
    this.#origin = undefined;
    return true;
  }

  /** @returns false at the end. */
  async #readPage(): Promise<boolean> {
    for (let empty = 0; empty < MOST_EMPTY_PAGES; empty++) {
      const page = await this.#pages.next();
      if (page === undefined) return false;
      if (page.begins) {
        // After sound of ours another stream is the next of a chain; before it, one that runs beside ours.
        if (this.#tagged) this.#begin(page);
        continue;
      }
      let packets = page.packets;
      if (!this.#tagged && packets.length > 0) {
        this.#tagged = true;
        packets = packets.slice(1);
      }
      if (packets.length === 0) continue;
      this.#packets.push(...packets);
      this.#place(page, packets);
      return true;
    }
    return false;
  }

  /** RFC 7845 §4: the positions of the first and of the last page tell where the sound begins and ends. */
  #place(page: OggPage, packets: readonly Buffer[]): void {
    if (page.granule === undefined) return;
    const here = packets.reduce(
      (sum, packet) => sum + this.#codec.duration(packet, 0, packet.length),
      0,
    );
    const start = page.granule - (here * GRANULE_RATE) / this.#codec.clockRate;
    // A single page that is cut at its end has a smaller position than its length.
    this.#origin ??= page.ends ? Math.max(0, start) : start;
    if (page.ends) this.#end = this.#toSamples(page.granule - this.#origin);
  }

  #decode(packet: Buffer): Float32Array {
    const head = this.#head;
    const decoder = this.#decoder;
    if (head === undefined || decoder === undefined) return new Float32Array(0);
    const count = decoder.decode(packet, 0, packet.length, this.#samples);
    const start = this.#position;
    this.#position += count;
    const from = Math.min(count, Math.max(0, this.#skip - start));
    const to = Math.min(count, Math.max(0, (this.#end ?? Infinity) - start));
    if (to <= from) return new Float32Array(0);
    const part = new Float32Array(to - from);
    const scale = head.gain / 32_768;
    for (let i = from; i < to; i++) part[i - from] = this.#samples[i] * scale;
    return part;
  }

  #toSamples(granules: number): number {
    return Math.round((granules * this.sampleRate) / GRANULE_RATE);
  }
}

function readHead(packet: Buffer): OpusHead {
  if (packet.length < 19 || packet[8] >> 4 !== 0) throw new Error("its Opus header is not known");
  const channels = packet[9];
  if (packet[18] !== 0 || channels < 1 || channels > 2) {
    throw new Error(`it has ${channels} channels`);
  }
  return { preSkip: packet.readUInt16LE(10), gain: 10 ** (packet.readInt16LE(16) / (20 * 256)) };
}
