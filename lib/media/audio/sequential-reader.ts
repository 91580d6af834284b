/** Reads a file or a buffer in order, in blocks, with a look at what follows. */
import type { RandomAccess } from "./random-access.js";

/** Bytes of one read from the disk. */
const BLOCK = 32_768;
/** The first read is shorter, by turns, so that readers that begin together do not all read again at the same moment. */
const TURNS = 8;
let readers = 0;

export class SequentialReader {
  readonly #access: RandomAccess;
  #block: Buffer = Buffer.alloc(0);
  /** Of the next byte, within the block … */
  #offset = 0;
  /** … and of the block, within the file. */
  #blockStart = 0;
  /** The block reaches to the end of the file. */
  #last = false;
  /** Bytes of the next read. */
  #wanted = (BLOCK / TURNS) * (1 + (readers++ % TURNS));

  constructor(access: RandomAccess) {
    this.#access = access;
  }

  /** Bytes from the start of the file to the next one. */
  get position(): number {
    return this.#blockStart + this.#offset;
  }

  /** The next bytes, which stay next; fewer than `length` at the end of the file. */
  async peek(length: number): Promise<Buffer> {
    if (this.#block.length - this.#offset < length && !this.#last) {
      const position = this.position;
      const rest = this.#block.subarray(this.#offset);
      const wanted = Math.max(this.#wanted, length);
      this.#wanted = BLOCK;
      const more = await this.#access.read(position + rest.length, wanted);
      this.#last = more.length < wanted;
      this.#block = rest.length === 0 ? more : Buffer.concat([rest, more]);
      this.#blockStart = position;
      this.#offset = 0;
    }
    return this.#block.subarray(this.#offset, this.#offset + length);
  }

  /** Moves on; to anywhere behind the end is allowed. */
  skip(length: number): void {
    this.seek(this.position + length);
  }

  seek(position: number): void {
    const offset = position - this.#blockStart;
    if (offset >= 0 && offset <= this.#block.length) {
      this.#offset = offset;
      return;
    }
    this.#block = Buffer.alloc(0);
    this.#blockStart = position;
    this.#offset = 0;
    this.#last = false;
  }
}
