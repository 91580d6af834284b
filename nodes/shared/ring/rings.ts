/** The test calls of this process: at most four at once, the last twenty can be looked at. */
import { InvalidStateError } from "../../../lib/index.js";
import type { Ring } from "./ring.js";

export const MOST_AT_ONCE = 4;
const KEPT = 20;
/** Bytes of sound of all of them. */
const MOST_SOUND = 8 * 1024 * 1024;

class Rings {
  /** Oldest first. */
  readonly #rings = new Map<string, Ring>();

  get(id: string): Ring | undefined {
    return this.#rings.get(id);
  }

  /** @throws InvalidStateError `too-many-rings` when there are as many as there may be. */
  async start(ring: Ring): Promise<void> {
    const live = [...this.#rings.values()].filter(({ isOver }) => !isOver);
    if (live.length >= MOST_AT_ONCE) {
      throw new InvalidStateError(`${MOST_AT_ONCE} test calls are going on; hang one up first`, {
        rule: "too-many-rings",
      });
    }
    this.#rings.set(ring.id, ring);
    try {
      await ring.start();
    } catch (error) {
      this.#rings.delete(ring.id);
      throw error;
    }
    this.tidy();
  }

  /** Forgets the oldest ones; sound goes before its picture. */
  tidy(): void {
    const ended = [...this.#rings.values()].filter(({ isOver }) => isOver);
    let sound = 0;
    for (const { heard } of this.#rings.values()) sound += heard.bytes;
    for (const ring of ended) {
      if (this.#rings.size > KEPT) {
        sound -= ring.heard.bytes;
        this.#rings.delete(ring.id);
      } else if (sound > MOST_SOUND) {
        sound -= ring.heard.bytes;
        ring.heard.dropSound();
      }
    }
  }

  /** The stack is gone, and its calls with it. Resolves when nothing of them is left; never rejects. */
  async endOf(stackId: string): Promise<void> {
    const left = [...this.#rings.values()].filter(({ request }) => request.stackId === stackId);
    await Promise.all(left.map((ring) => ring.stop()));
  }
}

export const rings = new Rings();
