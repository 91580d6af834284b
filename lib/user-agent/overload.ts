/**
 * Sheds new calls when the thread has no time left (RFC 5390, RFC 6357): without it each call that comes too late is repeated by its
 * caller, the repetitions take the time of others, and a server that was asked for a little too much serves hardly anybody. What
 * belongs to a call is always taken. It begins when the thread is saturated and messages come again or go out again; then the limit
 * follows the load: it falls while the thread is saturated, rises while there is room, and is gone when nobody asks for more.
 */
import type { Clock } from "../foundation/index.js";

/** The load is read this often, milliseconds. */
const WINDOW_MS = 100;
/** A longer window says nothing: nobody called meanwhile, or a flow kept the thread to itself. */
const LONGEST_WINDOW_MS = 400;
const SATURATED = 0.98;
const ROOM = 0.93;
/**
 * Windows in a row that are saturated before the first call is refused: a program that has just started, or collects its
 * garbage, catches up within a second what the system has kept for it meanwhile.
 */
const PATIENCE = 10;
/** So many messages come or go again, of each new call, when we are late; of the last half second or so. */
const REPEATED = 0.05;
const FADE = 0.8;
/** New calls per second that are taken whatever the load is: with fewer it is not the calls that keep the thread busy. */
const FLOOR = 200;
/** Of the calls taken when it began; then per window. */
const FIRST_CUT = 0.8;
const CUT = 0.95;
const GROWTH = 1.04;
/** Windows in a row in which nothing was refused before the limit is forgotten. */
const CALM = 20;

export class Overload {
  readonly #clock: Clock;
  readonly #load: () => number;
  readonly #repeated: () => number;
  #repeatedBefore = 0;
  /** New calls and repeated messages, those of long ago hardly counted. */
  #recentCalls = 0;
  #recentRepeated = 0;
  #windowStart: number;
  /** New calls taken and refused in this window. */
  #taken = 0;
  #refused = 0;
  #saturated = 0;
  #calm = 0;
  /** Calls per second. */
  #limit = Infinity;
  #shed = 0;

  /**
   * @param load - Share of the time since it was asked last in which the thread worked, 0 to 1.
   * @param repeated - Messages that came or went again, since the start.
   */
  constructor(clock: Clock, load: () => number, repeated: () => number) {
    this.#clock = clock;
    this.#load = load;
    this.#repeated = repeated;
    this.#windowStart = clock.now();
  }

  /** Calls per second that are taken at most; Infinity = there is no limit now. */
  get limit(): number {
    return this.#limit;
  }

  /** Calls refused since the start. */
  get shed(): number {
    return this.#shed;
  }

  /** May this new call be taken? */
  admits(): boolean {
    const elapsed = this.#clock.now() - this.#windowStart;
    if (elapsed >= WINDOW_MS) this.#close(elapsed);
    if (this.#taken < (this.#limit * WINDOW_MS) / 1000) {
      this.#taken++;
      return true;
    }
    this.#refused++;
    this.#shed++;
    return false;
  }

  #close(elapsed: number): void {
    const load = this.#load();
    const perSecond = (this.#taken * 1000) / elapsed;
    const refused = this.#refused;
    const repeated = this.#repeated();
    this.#recentRepeated = this.#recentRepeated * FADE + repeated - this.#repeatedBefore;
    this.#recentCalls = this.#recentCalls * FADE + this.#taken;
    this.#repeatedBefore = repeated;
    const isConclusive = elapsed <= LONGEST_WINDOW_MS;
    this.#windowStart += elapsed;
    this.#taken = 0;
    this.#refused = 0;
    const isSaturated = isConclusive && load >= SATURATED;
    this.#saturated = isSaturated ? this.#saturated + 1 : 0;
    if (this.#limit === Infinity) {
      const isLate = this.#recentRepeated > this.#recentCalls * REPEATED;
      const isTooMuch = isLate && this.#saturated >= PATIENCE && perSecond > FLOOR;
      if (isTooMuch) this.#begin(perSecond * FIRST_CUT);
      return;
    }
    this.#calm = refused === 0 ? this.#calm + 1 : 0;
    if (!isConclusive || this.#calm >= CALM) this.#limit = Infinity;
    else if (isSaturated) this.#limit = Math.max(FLOOR, this.#limit * CUT);
    else if (load < ROOM) this.#limit *= GROWTH;
  }

  #begin(limit: number): void {
    this.#limit = Math.max(FLOOR, limit);
    this.#calm = 0;
  }
}
