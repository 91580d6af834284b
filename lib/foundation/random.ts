/**
 * Randomness as an injected dependency. Tests inject `SeededRandom` (test/support/seeded-random.ts).
 * Everything that a peer must not guess (tags, branches, Call-IDs, cnonces, handles) comes from here.
 */
import { randomFillSync } from "node:crypto";

export interface RandomSource {
  /** @returns `count` unpredictable bytes; the caller may keep them. */
  bytes(count: number): Uint8Array;
}

const POOL_SIZE = 4096;

/** Cryptographically strong randomness, drawn from a pool because a call needs many small tokens. */
export class CryptoRandom implements RandomSource {
  readonly #pool = new Uint8Array(POOL_SIZE);
  #used = POOL_SIZE;

  bytes(count: number): Uint8Array {
    if (count > POOL_SIZE) return randomFillSync(new Uint8Array(count));
    if (this.#used + count > POOL_SIZE) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += count;
    return this.#pool.slice(start, this.#used);
  }
}

const ALPHABET = Buffer.from("abcdefghijklmnopqrstuvwxyz234567");

/** Where tokens are put together: one piece costs less than as many as it has letters. */
const LETTERS = Buffer.alloc(64);

/**
 * A token of `length` characters, five bits of randomness each; its characters are RFC 3261 `token`
 * characters, URI-safe and case-insensitive.
 */
export function randomToken(random: RandomSource, length: number): string {
  const bytes = random.bytes(length);
  const letters = length <= LETTERS.length ? LETTERS : Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) letters[i] = ALPHABET[bytes[i] & 31];
  return letters.toString("latin1", 0, length);
}

/** A uniform integer in [0, bound), bound at most 2^32. */
export function randomInteger(random: RandomSource, bound: number): number {
  const bytes = random.bytes(4);
  const value = ((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]) >>> 0;
  return Math.floor((value / 0x1_0000_0000) * bound);
}

/** A uniform number in [0, 1). */
export function randomFraction(random: RandomSource): number {
  return randomInteger(random, 0x1_0000_0000) / 0x1_0000_0000;
}
