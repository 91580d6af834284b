/** The choices of a `sip-menu` (contract §4.7) and the entry of digits that selects one of them. */
import type { Clock, Timer } from "../../lib/index.js";
import { misuse } from "./errors.js";
import { type Property, parseList } from "./properties.js";
import { isRecord } from "./sip-fields.js";

export interface Choice {
  /** One key or several, upper case. */
  readonly digits: string;
  /** What `msg.sip.choice` says; the digits when the flow's author gave none. */
  readonly label: string;
}

/** Choices as they were read, not yet checked. */
export interface ChoiceList {
  readonly entries: readonly { readonly digits: string; readonly label: string }[];
  /** From the dialog: `${NAME}` is still to be replaced. */
  readonly literal: boolean;
}

const LONGEST_CHOICE = 32;
const MOST_CHOICES = 100;

/** `[{digits, label}]`; a list of digits alone is read too. */
export const choices: Property<ChoiceList> = {
  fallback: { entries: [], literal: true },
  parse: (value, name, origin) => {
    const list: unknown[] = Array.isArray(value) ? value : parseList(value, name);
    return {
      literal: origin.literal,
      entries: list.map((entry) => {
        const { digits, label } = isRecord(entry) ? entry : { digits: entry, label: undefined };
        return { digits: asText(digits, `${name}.digits`), label: asText(label, `${name}.label`) };
      }),
    };
  },
};

function asText(value: unknown, name: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return value.trim();
  throw misuse("bad-option", `"${name}" must be a text`);
}

/**
 * @param expand - Replaces `${NAME}` in a text of the dialog.
 * @throws InvalidArgumentError `bad-choices`: none, too many, no telephone keys, or one twice.
 */
export function checkedChoices(
  { entries, literal }: ChoiceList,
  expand: (text: string) => string,
): Choice[] {
  const seen = new Set<string>();
  const checked = entries.map((entry) => {
    const digits = (literal ? expand(entry.digits) : entry.digits).trim().toUpperCase();
    if (!/^[0-9A-D*#]+$/.test(digits) || digits.length > LONGEST_CHOICE) {
      throw misuse("bad-choices", `"${digits}" is not 1 to ${LONGEST_CHOICE} of 0-9, A-D, *, #`);
    }
    if (seen.has(digits)) throw misuse("bad-choices", `"${digits}" appears twice`);
    seen.add(digits);
    const label = literal ? expand(entry.label) : entry.label;
    return { digits, label: label === "" ? digits : label };
  });
  if (checked.length === 0) throw misuse("bad-choices", "the menu has no choices");
  if (checked.length > MOST_CHOICES) {
    throw misuse("bad-choices", `the menu has more than ${MOST_CHOICES} choices`);
  }
  return checked;
}

export interface ChoiceEntryOptions {
  readonly choices: readonly Choice[];
  /** Milliseconds from `listen` to the first digit, 0 = for ever. */
  readonly timeout: number;
  /** Milliseconds to the next digit where the digits so far can still become a longer choice. */
  readonly interDigitTimeout: number;
}

/** A choice of the list, or why there is none. */
export type ChoiceResult = Choice | "timeout" | "invalid";

/**
 * Collects the digits of one choice. Digits that are a choice and the beginning of no longer one decide at once;
 * the beginning of a longer one waits for the next digit, and a pause takes the choice that is complete. So the
 * longest choice wins. What is neither a choice nor the beginning of one is invalid at once.
 */
export class ChoiceEntry {
  #entry = "";
  #timer: Timer | undefined;
  #finished = false;

  constructor(
    private readonly options: ChoiceEntryOptions,
    private readonly clock: Clock,
    private readonly onResult: (result: ChoiceResult) => void,
  ) {}

  /** The digits so far. */
  get digits(): string {
    return this.#entry;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** The prompt is over: the time for the first digit begins, unless one is there already. */
  listen(): void {
    if (this.#finished || this.#entry !== "") return;
    this.#wait(this.options.timeout, "timeout");
  }

  digit(digit: string): void {
    if (this.#finished) return;
    this.#entry += digit.toUpperCase();
    const { choices: all, interDigitTimeout } = this.options;
    const chosen = all.find((choice) => choice.digits === this.#entry);
    const mayGrow = all.some(
      ({ digits }) => digits.length > this.#entry.length && digits.startsWith(this.#entry),
    );
    if (mayGrow) this.#wait(interDigitTimeout, chosen ?? "timeout");
    else this.#finish(chosen ?? "invalid");
  }

  /** Ends without a result. */
  close(): void {
    this.#finished = true;
    this.#timer?.cancel();
  }

  #wait(delayMs: number, result: ChoiceResult): void {
    this.#timer?.cancel();
    this.#timer =
      delayMs > 0 ? this.clock.setTimer(delayMs, () => this.#finish(result)) : undefined;
  }

  #finish(result: ChoiceResult): void {
    this.close();
    this.onResult(result);
  }
}
