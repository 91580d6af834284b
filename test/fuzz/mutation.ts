/**
 * Changes of sound inputs into hostile ones: bits, bytes, cuts, splices, repeated and swapped lines, numbers at their
 * limits, and words that have broken other programs. Seeded: the same seed makes the same input.
 */
import type { SeededRandom } from "../support/seeded-random.js";

const NUMBERS = [
  "-1",
  "0",
  "65536",
  "2147483648",
  "4294967296",
  "9223372036854775808",
  "18446744073709551616",
  "1e9",
  "0x10",
  "00000000000000000000000001",
  "",
];

const WORDS = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  ";;,,",
  "%n%s",
  "${x}",
  "%00",
  "%0d%0a",
  "\0",
  "\r",
  "\n",
  "\r\n",
  "\r\n ",
  "\r\n\r\n",
  "\xff",
  "\xc3",
  "\xed\xa0\x80",
  '"',
  '""""',
  "\\",
  "<",
  "<<<<",
  ">",
  "[",
  "]",
  "::",
  "@",
  "sip:",
  "sips:",
  "tel:",
  "SIP/2.0",
  "*",
  ",",
  ";",
  "=",
  "?",
  ":",
  " ",
  "\t",
  ";tag=",
  ";branch=z9hG4bK",
  ";lr",
  "Via: ",
  "Content-Length: 5\r\n",
  "l: 5\r\n",
  "\x1b[2J",
  "&#0;",
  "<!ENTITY a 'b'>",
  "..",
  "../../",
];

/** Longest input that is made; beyond it the limits of the sockets stand. */
const LONGEST = 70_000;

export class Mutation {
  constructor(readonly random: SeededRandom) {}

  below(bound: number): number {
    return Math.floor(this.random.next() * bound);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** One to four changes. @param other - What is spliced in. */
  of(sound: Buffer, other: Buffer): Buffer {
    let data = sound;
    for (let n = 1 + this.below(4); n > 0; n--) data = this.#once(data, other);
    return data.subarray(0, LONGEST);
  }

  #once(data: Buffer, other: Buffer): Buffer {
    const at = this.below(data.length + 1);
    const to = Math.min(data.length, at + this.below(40));
    switch (this.below(13)) {
      case 0: {
        const copy = Buffer.from(data);
        if (copy.length > 0) copy[at % copy.length] = this.below(256);
        return copy;
      }
      case 1: {
        const copy = Buffer.from(data);
        if (copy.length > 0) copy[at % copy.length] ^= 1 << this.below(8);
        return copy;
      }
      case 2:
        return data.subarray(0, at);
      case 3:
        return Buffer.concat([data.subarray(0, at), data.subarray(to)]);
      case 4:
        return insert(data, at, data.toString("latin1", at, to).repeat(1 + this.below(20)));
      case 5:
        return Buffer.concat([data.subarray(0, at), other.subarray(this.below(other.length))]);
      case 6:
        return this.#lines(data, (lines) => {
          const [a, b] = [this.below(lines.length), this.below(lines.length)];
          [lines[a], lines[b]] = [lines[b], lines[a]];
        });
      case 7:
        return this.#lines(data, (lines) => {
          const times = this.below(10) === 0 ? this.below(5000) : this.below(40);
          const line = this.pick(lines).slice(0, 200);
          lines.splice(this.below(lines.length), 0, ...Array<string>(times).fill(line));
        });
      case 8:
        return this.#lines(data, (lines) => lines.splice(this.below(lines.length), 1));
      case 9:
        return this.#number(data);
      case 10:
        return insert(
          data,
          at,
          this.pick(['"', "<", "(", "[", "{", " ", "\t"]).repeat(this.below(3000)),
        );
      default:
        return insert(data, at, this.pick(WORDS));
    }
  }

  #lines(data: Buffer, change: (lines: string[]) => unknown): Buffer {
    const lines = data.toString("latin1").split("\r\n");
    change(lines);
    return Buffer.from(lines.join("\r\n"), "latin1");
  }

  /** One of the numbers in it becomes another. */
  #number(data: Buffer): Buffer {
    const text = data.toString("latin1");
    const found = [...text.matchAll(/\d+/g)];
    if (found.length === 0) return data;
    const one = this.pick(found);
    const value =
      this.below(3) === 0 ? String(Number(one[0]) + this.pick([-1, 1])) : this.pick(NUMBERS);
    return Buffer.from(
      text.slice(0, one.index) + value + text.slice(one.index + one[0].length),
      "latin1",
    );
  }
}

function insert(data: Buffer, at: number, text: string): Buffer {
  return Buffer.concat([data.subarray(0, at), Buffer.from(text, "latin1"), data.subarray(at)]);
}
