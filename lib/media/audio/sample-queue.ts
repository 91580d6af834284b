/** Samples that wait to be heard: first in, first out, up to a length; beyond it the oldest are dropped. */

/** Samples that are made room for at first. */
const FIRST_LENGTH = 4096;
/** An empty queue keeps no more memory than this. */
const KEPT_LENGTH = 65_536;

export class SampleQueue {
  readonly #longest: number;
  #ring = new Int16Array(0);
  #start = 0;
  #length = 0;

  /** @param longest - Samples. */
  constructor(longest: number) {
    this.#longest = longest;
  }

  get length(): number {
    return this.#length;
  }

  /** Appends all of `samples`. @returns how many were dropped, of those that waited or of those that came. */
  push(samples: Int16Array): number {
    const dropped = Math.max(0, this.#length + samples.length - this.#longest);
    const fromQueue = Math.min(dropped, this.#length);
    this.#drop(fromQueue);
    const kept = samples.subarray(dropped - fromQueue);
    this.#makeRoom(this.#length + kept.length);
    const end = (this.#start + this.#length) % Math.max(1, this.#ring.length);
    const first = Math.min(kept.length, this.#ring.length - end);
    this.#ring.set(kept.subarray(0, first), end);
    this.#ring.set(kept.subarray(first), 0);
    this.#length += kept.length;
    return dropped;
  }

  /** Moves up to `count` samples to the start of `target`. @returns how many. */
  take(target: Int16Array, count: number): number {
    const taken = Math.min(count, this.#length);
    const first = Math.min(taken, this.#ring.length - this.#start);
    target.set(this.#ring.subarray(this.#start, this.#start + first));
    if (first < taken) target.set(this.#ring.subarray(0, taken - first), first);
    this.#drop(taken);
    return taken;
  }

  /** Whether the next `count` samples are there and none is louder than `level`. */
  isQuiet(count: number, level: number): boolean {
    if (this.#length < count) return false;
    for (let i = 0, at = this.#start; i < count; i++, at++) {
      if (at === this.#ring.length) at = 0;
      if (Math.abs(this.#ring[at]) > level) return false;
    }
    return true;
  }

  /** Forgets the next `count` samples, which must be there. */
  skip(count: number): void {
    this.#drop(count);
  }

  /** @returns how many samples waited. */
  clear(): number {
    const waited = this.#length;
    this.#drop(waited);
    return waited;
  }

  #drop(count: number): void {
    this.#length -= count;
    if (this.#length > 0) {
      this.#start = (this.#start + count) % this.#ring.length;
    } else {
      this.#start = 0;
      if (this.#ring.length > KEPT_LENGTH) this.#ring = new Int16Array(0);
    }
  }

  #makeRoom(length: number): void {
    if (length <= this.#ring.length) return;
    const doubled = Math.max(FIRST_LENGTH, 2 * this.#ring.length, length);
    const larger = new Int16Array(Math.min(doubled, this.#longest));
    const first = this.#ring.subarray(this.#start, this.#start + this.#length);
    larger.set(first);
    larger.set(this.#ring.subarray(0, this.#length - first.length), first.length);
    this.#ring = larger;
    this.#start = 0;
  }
}
