/**
 * Keys that the peer presses, each once: some telephones send every key both in the media (RFC 4733, tones) and as INFO,
 * and a PIN would come doubled. Each key of one way has at most one twin of the other.
 */
import type { DigitEvent } from "./media-handler.js";

/** A key in the media is told at its end, and people press long; an INFO may have to be sent again. Milliseconds. */
const TWIN_WITHIN_MS = 5_000;
/** A peer can press for ever. */
const MOST_REMEMBERED = 32;

interface Told {
  readonly digit: string;
  readonly inMedia: boolean;
  readonly at: number;
}

export class ReceivedDigits {
  /** Keys without a twin so far, the oldest first. */
  readonly #told: Told[] = [];

  /** @param now - Monotonic milliseconds. @returns false for the twin of a key that was told already. */
  isNew({ digit, method }: DigitEvent, now: number): boolean {
    const inMedia = method === "rfc4733" || method === "inband";
    while (this.#told.length > 0 && now - this.#told[0].at > TWIN_WITHIN_MS) this.#told.shift();
    const twin = this.#told.findIndex((one) => one.digit === digit && one.inMedia !== inMedia);
    if (twin >= 0) {
      this.#told.splice(twin, 1);
      return false;
    }
    if (this.#told.length >= MOST_REMEMBERED) this.#told.shift();
    this.#told.push({ digit, inMedia, at: now });
    return true;
  }
}
