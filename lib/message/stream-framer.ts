/** Cuts a TCP/TLS byte stream into messages (RFC 3261 §18.3) and sees keep-alives (RFC 5626 §3.5.1). */
import { parseDecimal } from "./grammar.js";
import { DEFAULT_LIMITS, type MessageLimits } from "./limits.js";
import type { ParseError } from "./parse-error.js";

export type FramerOutput =
  | { readonly kind: "message"; readonly data: Buffer }
  /** CRLFCRLF between messages: answer with one CRLF. */
  | { readonly kind: "ping" }
  /** A single CRLF between messages: answer to our ping. */
  | { readonly kind: "pong" }
  /** The stream cannot be followed any more: close it. `data` = what was read of the offending message. */
  | { readonly kind: "error"; readonly error: ParseError; readonly data: Buffer };

const CR = 13;
const LF = 10;
const EMPTY = Buffer.alloc(0);
const SMALLEST = 4096;

/**
 * A CRLF at the end of a chunk is reported as pong at once, for nobody knows whether more follows; when the
 * next chunk starts with CRLF, that completes a ping. After an error nothing more comes out.
 */
export class StreamFramer {
  readonly #limits: MessageLimits;
  /** Holds the incomplete message in its first `#length` bytes; grows by doubling. */
  #held = EMPTY;
  #length = 0;
  /** Where the search for the end of the headers goes on, and where the line under it began. */
  #searched = 0;
  #lineStart = 0;
  /** Whole size of the message in hand, once its headers are complete. */
  #wanted: number | undefined;
  #halfPing = false;
  #failed = false;

  constructor(limits: MessageLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
  }

  /** Bytes held of an incomplete message. */
  get pendingBytes(): number {
    return this.#length;
  }

  /**
   * Takes a chunk and returns everything that became complete.
   *
   * @param chunk - Ours from now on: messages may be views of it.
   */
  push(chunk: Buffer): FramerOutput[] {
    const outputs: FramerOutput[] = [];
    if (this.#failed || chunk.length === 0) return outputs;
    const borrowed = this.#length === 0;
    let data = borrowed ? chunk : this.#append(chunk);
    for (;;) {
      const start =
        this.#wanted === undefined && this.#searched === 0 ? this.#keepAlives(data, outputs) : 0;
      if (start > 0) data = data.subarray(start);
      // A lone CR may be the first half of a keep-alive.
      if (data.length === 0 || (data.length === 1 && data[0] === CR)) break;
      const size = this.#measure(data, outputs);
      if (size === undefined) break;
      const message = data.subarray(0, size);
      outputs.push({ kind: "message", data: borrowed ? message : Buffer.from(message) });
      data = data.subarray(size);
      this.#searched = this.#lineStart = 0;
      this.#wanted = undefined;
    }
    this.#keep(this.#failed ? EMPTY : data);
    return outputs;
  }

  /** Skips CRLFs in front of a message. @returns Number of bytes that are done with. */
  #keepAlives(data: Buffer, outputs: FramerOutput[]): number {
    let i = 0;
    while (data[i] === CR && data[i + 1] === LF) {
      i += 2;
      if (this.#halfPing) {
        this.#halfPing = false;
        outputs.push({ kind: "ping" });
      } else if (data[i] === CR && data[i + 1] === LF) {
        i += 2;
        outputs.push({ kind: "ping" });
      } else {
        this.#halfPing = i === data.length || (i === data.length - 1 && data[i] === CR);
        outputs.push({ kind: "pong" });
      }
    }
    if (i < data.length && data[i] !== CR) this.#halfPing = false;
    return i;
  }

  /** @returns Size of the message at the front when it is complete. */
  #measure(data: Buffer, outputs: FramerOutput[]): number | undefined {
    if (this.#wanted === undefined) {
      const headEnd = this.#findHeadEnd(data, outputs);
      if (headEnd === undefined) return undefined;
      const length = this.#contentLength(data.subarray(0, headEnd), outputs);
      if (length === undefined) return undefined;
      this.#wanted = headEnd + length;
    }
    return data.length >= this.#wanted ? this.#wanted : undefined;
  }

  /** Looks at each byte once, over all chunks. @returns Index behind the empty line. */
  #findHeadEnd(data: Buffer, outputs: FramerOutput[]): number | undefined {
    let i = this.#searched;
    for (;;) {
      const lineFeed = data.indexOf(LF, i);
      const lineEnd = lineFeed < 0 ? data.length : lineFeed;
      if (lineEnd - this.#lineStart > this.#limits.line) {
        return this.#fail(data, outputs, "line-too-long", "Header line too long", 400);
      }
      if (lineEnd > this.#limits.headerBlock) {
        return this.#fail(data, outputs, "header-block-too-large", "Headers too large", 400);
      }
      this.#searched = lineFeed < 0 ? data.length : lineFeed + 1;
      if (lineFeed < 0) return undefined;
      const empty = lineFeed === this.#lineStart + 1 && data[this.#lineStart] === CR;
      this.#lineStart = i = lineFeed + 1;
      if (empty) return i;
    }
  }

  #contentLength(head: Buffer, outputs: FramerOutput[]): number | undefined {
    const values = contentLengths(head.toString("latin1"));
    const value = values[0];
    if (value === undefined) {
      return this.#fail(head, outputs, "content-length", "Missing Content-Length", 400);
    }
    if (values.some((other) => other !== value)) {
      return this.#fail(head, outputs, "content-length", "Differing Content-Length", 400);
    }
    const length = parseDecimal(value, Number.MAX_SAFE_INTEGER);
    if (length === undefined) {
      return this.#fail(head, outputs, "content-length", "Malformed Content-Length", 400);
    }
    if (length > this.#limits.contentLength || head.length + length > this.#limits.streamMessage) {
      return this.#fail(head, outputs, "content-length", "Request Entity Too Large", 413);
    }
    return length;
  }

  #fail(
    data: Buffer,
    outputs: FramerOutput[],
    rule: string,
    reason: string,
    statusHint: number,
  ): undefined {
    this.#failed = true;
    const error = { rule, rfc: "RFC 3261 §18.3", statusHint, reason, fatal: true };
    outputs.push({ kind: "error", error, data: Buffer.from(data) });
    return undefined;
  }

  #append(chunk: Buffer): Buffer {
    const total = this.#length + chunk.length;
    if (total > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(SMALLEST, total, this.#held.length * 2));
      larger.set(this.#held.subarray(0, this.#length));
      this.#held = larger;
    }
    this.#held.set(chunk, this.#length);
    this.#length = total;
    return this.#held.subarray(0, total);
  }

  /** Keeps what is left over for the next chunk. */
  #keep(rest: Buffer): void {
    if (rest.length === 0) {
      this.#held = EMPTY;
      this.#length = 0;
    } else if (this.#length === 0 || rest.length !== this.#length) {
      this.#length = 0;
      this.#held = EMPTY;
      this.#append(rest);
    }
  }
}

/** Values of all Content-Length lines, compact form, odd case, folding and `Content-Length :` included. */
function contentLengths(head: string): string[] {
  const values: string[] = [];
  let i = 0;
  while (i < head.length) {
    let end = head.indexOf("\n", i);
    if (end < 0) end = head.length;
    while (head.charCodeAt(end + 1) === 32 || head.charCodeAt(end + 1) === 9) {
      const next = head.indexOf("\n", end + 1);
      end = next < 0 ? head.length : next;
    }
    const first = head.charCodeAt(i) | 32;
    if (first === 99 || first === 108) {
      const colon = head.indexOf(":", i);
      if (colon >= 0 && colon < end) {
        const name = head.slice(i, colon).trim().toLowerCase();
        if (name === "content-length" || name === "l")
          values.push(head.slice(colon + 1, end).trim());
      }
    }
    i = end + 1;
  }
  return values;
}
