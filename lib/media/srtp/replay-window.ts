/** Which packet numbers have been taken: each counts once, and none that is too old (RFC 3711 §3.3.2). */

/** RFC 3711 wants 64 at least; with reordering on Wi-Fi twice as many cost nothing. */
const SIZE = 128;

export class ReplayWindow {
  readonly #seen = new Uint8Array(SIZE);
  #highest = -1;

  /** The highest number that was taken; −1 = none. */
  get highest(): number {
    return this.#highest;
  }

  /** True when a packet of this number may be taken. */
  allows(index: number): boolean {
    if (index < 0) return false;
    if (index > this.#highest) return true;
    return this.#highest - index < SIZE && this.#seen[index % SIZE] === 0;
  }

  /** To be called only for a packet whose tag was right. */
  take(index: number): void {
    if (index - this.#highest >= SIZE) this.#seen.fill(0);
    else for (let i = this.#highest + 1; i <= index; i++) this.#seen[i % SIZE] = 0;
    this.#seen[index % SIZE] = 1;
    if (index > this.#highest) this.#highest = index;
  }
}
