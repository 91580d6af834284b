/**
 * Takes an Ogg stream apart (RFC 3533): pages with their checksum, and the packets in them, of one logical stream
 * after the other. What is damaged is left out.
 */
import type { SequentialReader } from "./sequential-reader.js";

export interface OggPage {
  /** The first, the last of a logical stream. */
  readonly begins: boolean;
  readonly ends: boolean;
  /** Position at the end of the last packet that ends here, in units of the codec; undefined when none ends here. */
  readonly granule: number | undefined;
  readonly serial: number;
  /** The packets that end here. An empty one stands for a packet that was too long. */
  readonly packets: readonly Buffer[];
}

const CAPTURE = Buffer.from("OggS");
const HEADER_LENGTH = 27;
/** Longer packets (pictures in tags) are not kept. Bytes. */
const LONGEST_PACKET = 61_440;
/** More bytes than this without a page: that was all. */
const MOST_GARBAGE = 256 * 1024;
const SEARCH = 4096;

export class OggPackets {
  readonly #reader: SequentialReader;
  /** Of the packet that goes on in the next page; undefined = none does. */
  #begun: Buffer[] | undefined;
  #begunLength = 0;
  #serial: number | undefined;

  constructor(reader: SequentialReader) {
    this.#reader = reader;
  }

  /**
   * The next page of the stream that is followed; of others only their beginning is told. While none is followed:
   * any page. Undefined at the end.
   */
  async next(): Promise<OggPage | undefined> {
    for (let garbage = 0; garbage < MOST_GARBAGE;) {
      const page = await this.#readPage();
      if (page === "end") return undefined;
      if (typeof page === "number") garbage += page;
      else if (page.begins || page.serial === (this.#serial ?? page.serial)) return page;
    }
    return undefined;
  }

  /** Whose packets are wanted from now on. */
  follow(serial: number): void {
    this.#serial = serial;
  }

  rewind(): void {
    this.#reader.seek(0);
    this.#begun = undefined;
    this.#serial = undefined;
  }

  /** @returns a page, or how many bytes were none. */
  async #readPage(): Promise<OggPage | number | "end"> {
    const header = await this.#reader.peek(HEADER_LENGTH);
    if (header.length < HEADER_LENGTH) return "end";
    if (!CAPTURE.equals(header.subarray(0, 4)) || header[4] !== 0) return this.#skipGarbage();
    const segments = header[26];
    const withTable = await this.#reader.peek(HEADER_LENGTH + segments);
    const table = withTable.subarray(HEADER_LENGTH);
    const bodyStart = HEADER_LENGTH + segments;
    const length = table.reduce((sum, size) => sum + size, bodyStart);
    const page = await this.#reader.peek(length);
    // A file that was cut.
    if (table.length < segments || page.length < length) return "end";
    if (checksum(page) !== page.readUInt32LE(22)) return this.#skipGarbage();
    this.#reader.skip(length);
    return this.#pageOf(page, table, bodyStart);
  }

  async #skipGarbage(): Promise<number> {
    const data = await this.#reader.peek(SEARCH);
    const found = data.indexOf(CAPTURE, 1);
    const length = found < 0 ? Math.max(1, data.length - CAPTURE.length + 1) : found;
    this.#reader.skip(length);
    return length;
  }

  #pageOf(page: Buffer, table: Buffer, bodyStart: number): OggPage {
    const flags = page[5];
    const begins = (flags & 2) !== 0;
    const serial = page.readUInt32LE(14);
    const followed = begins || serial === this.#serial;
    const packets = followed ? this.#packetsOf(page, table, bodyStart, (flags & 1) !== 0) : [];
    // −1: no packet ends on this page.
    const granule = page.readBigInt64LE(6);
    return {
      begins,
      ends: (flags & 4) !== 0,
      granule: granule < 0n ? undefined : Number(granule),
      serial,
      packets,
    };
  }

  #packetsOf(page: Buffer, table: Buffer, bodyStart: number, continues: boolean): Buffer[] {
    const packets: Buffer[] = [];
    let at = bodyStart;
    // The rest of a packet whose beginning was lost is of no use.
    let useless = continues && this.#begun === undefined;
    if (!continues || this.#begun === undefined) this.#begin();
    for (const size of table) {
      this.#append(page.subarray(at, at + size));
      at += size;
      if (size === 255) continue;
      if (!useless) packets.push(this.#take());
      useless = false;
      this.#begin();
    }
    if (table.at(-1) !== 255 || useless) this.#begun = undefined;
    return packets;
  }

  #begin(): void {
    this.#begun = [];
    this.#begunLength = 0;
  }

  #append(part: Buffer): void {
    this.#begunLength += part.length;
    if (this.#begunLength <= LONGEST_PACKET) this.#begun?.push(part);
  }

  #take(): Buffer {
    const parts = this.#begun ?? [];
    if (this.#begunLength > LONGEST_PACKET) return Buffer.alloc(0);
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit++) {
    value = (value & 0x8000_0000) === 0 ? value << 1 : (value << 1) ^ 0x04c1_1db7;
  }
  return value;
});

/** The CRC of RFC 3533 §6, its own field taken as zero. */
export function checksum(page: Buffer): number {
  let crc = 0;
  for (let i = 0; i < page.length; i++) {
    const byte = i >= 22 && i < 26 ? 0 : page[i];
    crc = (crc << 8) ^ CRC_TABLE[((crc >>> 24) ^ byte) & 0xff];
  }
  return crc >>> 0;
}
