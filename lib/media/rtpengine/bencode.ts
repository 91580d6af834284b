/**
 * Bencode, the notation of rtpengine's ng protocol: strings `4:spam`, integers `i3e`, lists `l…e`, dictionaries `d…e`.
 * What is read comes from the network, so depth and size are bounded and no name becomes a key of an object.
 */
import { MediaError } from "../../foundation/index.js";

/** What can be written. Undefined members of a dictionary are left out. */
export type BencodeInput =
  | string
  | number
  | Buffer
  | readonly BencodeInput[]
  | { readonly [name: string]: BencodeInput | undefined };

export type BencodeDictionary = ReadonlyMap<string, BencodeValue>;
/** What was read. Strings are read as UTF-8. */
export type BencodeValue = string | number | readonly BencodeValue[] | BencodeDictionary;

const DEEPEST = 16;
/** Of a datagram; nothing longer can come. */
const LONGEST = 65_535;
const LONGEST_NUMBER = 20;
const [D, E, I, L, COLON] = [..."deil:"].map((letter) => letter.charCodeAt(0));

export function encodeBencode(value: BencodeInput): Buffer {
  const parts: Buffer[] = [];
  write(value, parts);
  return Buffer.concat(parts);
}

function write(value: BencodeInput, parts: Buffer[]): void {
  if (typeof value === "number") {
    parts.push(Buffer.from(`i${Math.trunc(value)}e`));
  } else if (typeof value === "string" || Buffer.isBuffer(value)) {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    parts.push(Buffer.from(`${bytes.length}:`), bytes);
  } else if (isList(value)) {
    parts.push(Buffer.from("l"));
    for (const entry of value) write(entry, parts);
    parts.push(Buffer.from("e"));
  } else {
    parts.push(Buffer.from("d"));
    for (const [name, entry] of Object.entries(value)) {
      if (entry === undefined) continue;
      write(name, parts);
      write(entry, parts);
    }
    parts.push(Buffer.from("e"));
  }
}

function isList(value: BencodeInput): value is readonly BencodeInput[] {
  return Array.isArray(value);
}

/** @throws MediaError rule `bad-answer` for anything that is not exactly one value. */
export function decodeBencode(bytes: Buffer): BencodeValue {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  #at = 0;

  constructor(readonly bytes: Buffer) {
    if (bytes.length > LONGEST) throw wrong("too long");
  }

  value(depth: number): BencodeValue {
    if (depth > DEEPEST) throw wrong("nested too deeply");
    const first = this.bytes[this.#at];
    if (first === I) {
      this.#at++;
      return this.#number(E, /^-?\d+$/);
    }
    if (first === L) {
      this.#at++;
      const list: BencodeValue[] = [];
      while (!this.#ends()) list.push(this.value(depth + 1));
      return list;
    }
    if (first !== D) return this.#string();
    this.#at++;
    const dictionary = new Map<string, BencodeValue>();
    while (!this.#ends()) dictionary.set(this.#string(), this.value(depth + 1));
    return dictionary;
  }

  end(): void {
    if (this.#at !== this.bytes.length) throw wrong("more than one value");
  }

  /** At the `e` of a list or dictionary, which is taken. */
  #ends(): boolean {
    if (this.#at >= this.bytes.length) throw wrong("cut off");
    if (this.bytes[this.#at] !== E) return false;
    this.#at++;
    return true;
  }

  #string(): string {
    const length = this.#number(COLON, /^\d+$/);
    if (length > this.bytes.length - this.#at) throw wrong("cut off");
    this.#at += length;
    return this.bytes.toString("utf8", this.#at - length, this.#at);
  }

  #number(end: number, form: RegExp): number {
    const stop = this.bytes.indexOf(end, this.#at);
    if (stop < 0 || stop - this.#at > LONGEST_NUMBER) throw wrong("no number");
    const text = this.bytes.toString("latin1", this.#at, stop);
    if (!form.test(text)) throw wrong("no number");
    this.#at = stop + 1;
    return Number(text);
  }
}

function wrong(what: string): MediaError {
  return new MediaError(`rtpengine sent what is no bencode: ${what}`, { rule: "bad-answer" });
}
