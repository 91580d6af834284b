/**
 * Host names through the system's resolver, few at a time: each question holds one of Node's four worker threads until it
 * is answered, and those also read files. With silent DNS servers that takes many seconds.
 */
import { lookup } from "node:dns";

/** Calls back with the addresses of one family. */
export type SystemLookup = (
  name: string,
  family: 4 | 6,
  done: (error: Error | null, addresses: string[]) => void,
) => void;

const MOST_AT_ONCE = 2;

function systemLookup(
  name: string,
  family: 4 | 6,
  done: (error: Error | null, addresses: string[]) => void,
): void {
  lookup(name, { family, all: true }, (error, found) =>
    done(error, error === null ? found.map((entry) => entry.address) : []),
  );
}

export class LookupGate {
  readonly #lookup: SystemLookup;
  readonly #most: number;
  readonly #queue: (() => void)[] = [];
  #underway = 0;

  constructor(lookUp: SystemLookup = systemLookup, most = MOST_AT_ONCE) {
    this.#lookup = lookUp;
    this.#most = most;
  }

  /** Rejects with the system's error, which has a `code`. */
  addresses(name: string, family: 4 | 6): Promise<string[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push(() =>
        this.#lookup(name, family, (error, addresses) => {
          this.#underway--;
          if (error) reject(error);
          else resolve(addresses);
          this.#next();
        }),
      );
      this.#next();
    });
  }

  #next(): void {
    if (this.#underway >= this.#most) return;
    const ask = this.#queue.shift();
    if (ask === undefined) return;
    this.#underway++;
    ask();
  }
}
