/**
 * Keys that the peer presses, each once: some telephones send every key both in the media (RFC 4733, tones) and as INFO,
 * and a PIN would come doubled. A key of one way is the twin of the same key of the other when it came while that was
 * down, or shortly before or after; each has at most one. So is the end of a key that was told by whoever carried the
 * media until just now.
 */
import type { DigitEvent } from "./media-handler.js";

/** An INFO that was lost comes 500 ms later (T1); much later the same key is pressed anew. Milliseconds. */
const TOLERANCE_MS = 700;
/** Keys that are held longer are not remembered so long. Milliseconds. */
const LONGEST_PRESS_MS = 10_000;
/** A peer can press for ever. */
const MOST_REMEMBERED = 32;

interface Told {
  readonly digit: string;
  readonly way: "media" | "info" | "elsewhere";
  /** The media tell a key at its end. */
  readonly began: number;
  readonly ended: number;
}

export class ReceivedDigits {
  /** Keys without a twin so far, the oldest first. */
  readonly #told: Told[] = [];

  /** @param now - Monotonic milliseconds. @param isElsewhere - Told by who carries the media. @returns false for the twin of a key that was told already. */
  isNew({ digit, method, duration }: DigitEvent, now: number, isElsewhere = false): boolean {
    const inMedia = method === "rfc4733" || method === "inband";
    const way = isElsewhere ? "elsewhere" : inMedia ? "media" : "info";
    const began = inMedia ? now - Math.min(duration, LONGEST_PRESS_MS) : now;
    const told = this.#told;
    while (told.length > 0 && now - told[0].ended > LONGEST_PRESS_MS) told.shift();
    const twin = told.findIndex(
      (one) =>
        one.digit === digit &&
        one.way !== way &&
        began - one.ended <= TOLERANCE_MS &&
        one.began - now <= TOLERANCE_MS,
    );
    if (twin >= 0) {
      told.splice(twin, 1);
      return false;
    }
    if (told.length >= MOST_REMEMBERED) told.shift();
    told.push({ digit, way, began, ended: now });
    return true;
  }
}
