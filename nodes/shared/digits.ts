/** Digits of a call: the ones that nobody has taken yet, and the collector that takes them (`sip-gather`). */
import type { Clock, Timer } from "../../lib/index.js";
import { isTooSlow, matchesInTime } from "./bounded-pattern.js";

const KEPT = 32;
/** A peer can press for ever; an entry cannot grow for ever. */
const LONGEST_ENTRY = 128;

/** Whether that digit, as it comes from a session, is one of the terminators, which a person typed. */
export function isTerminator(terminator: string, digit: string): boolean {
  return terminator.toUpperCase().includes(digit);
}

/** The last digits since the answer that no collector has taken. */
export class DigitBuffer {
  #digits = "";

  add(digit: string): void {
    this.#digits = (this.#digits + digit).slice(-KEPT);
  }

  /** Takes the oldest digit. */
  take(): string | undefined {
    const digit = this.#digits[0];
    this.#digits = this.#digits.slice(1);
    return digit;
  }

  clear(): void {
    this.#digits = "";
  }
}

export interface CollectorOptions {
  readonly min: number;
  /** 0 = until the terminator or a pause. */
  readonly max: number;
  /** Any of these characters ends the entry, letters in either case; "" = none. */
  readonly terminator: string;
  /** Milliseconds, 0 = for ever. */
  readonly firstDigitTimeout: number;
  readonly interDigitTimeout: number;
  /** The whole entry must match. */
  readonly pattern: RegExp | undefined;
}

export type CollectorResult = "digits" | "timeout" | "invalid";

/** Collects one entry. Time starts with `listen`, digits count from the first call of `digit`. */
export class DigitCollector {
  #entry = "";
  #timer: Timer | undefined;
  #finished = false;

  constructor(
    private readonly options: CollectorOptions,
    private readonly clock: Clock,
    private readonly onResult: (result: CollectorResult, entry: string) => void,
  ) {}

  get entry(): string {
    return this.#entry;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** The prompt is over: the time for the first digit begins, unless one is there already. */
  listen(): void {
    if (this.#finished || this.#timer !== undefined || this.#entry !== "") return;
    this.#wait(this.options.firstDigitTimeout, () => this.#finish("timeout"));
  }

  digit(digit: string): void {
    if (this.#finished) return;
    if (isTerminator(this.options.terminator, digit)) {
      this.#end();
      return;
    }
    this.#entry += digit;
    const { max } = this.options;
    if (this.#entry.length >= (max > 0 ? max : LONGEST_ENTRY)) {
      this.#end();
      return;
    }
    this.#wait(this.options.interDigitTimeout, () => {
      if (this.#entry.length >= this.options.min) this.#end();
      else this.#finish("timeout");
    });
  }

  /** Ends without a result. */
  close(): void {
    this.#finished = true;
    this.#timer?.cancel();
  }

  #wait(delayMs: number, then: () => void): void {
    this.#timer?.cancel();
    this.#timer = delayMs > 0 ? this.clock.setTimer(delayMs, then) : undefined;
  }

  /** The entry is complete: long enough and of the right form? */
  #end(): void {
    const { min, pattern } = this.options;
    const valid =
      this.#entry.length >= min && (pattern === undefined || matchesInTime(pattern, this.#entry));
    this.#finish(valid ? "digits" : "invalid");
  }

  #finish(result: CollectorResult): void {
    this.close();
    this.onResult(result, this.#entry);
  }
}

/** @throws Error when the pattern is no regular expression, or one that took too long for earlier entries. */
export function entryPattern(pattern: string): RegExp | undefined {
  if (pattern === "") return undefined;
  const regex = new RegExp(`^(?:${pattern})$`);
  if (isTooSlow(regex)) throw new Error("it takes too long to test an entry against it");
  return regex;
}
