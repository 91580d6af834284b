/**
 * A regular expression of a flow's author over what a peer typed. Some expressions, `(\d+)+x` for one, take for ever for
 * some texts, so each test has a limit, and an expression that reached it several times is not used again.
 */
import { createContext, Script } from "node:vm";

/** A sound expression needs less than a thousandth of it for the longest entry. */
const LIMIT_MS = 250;
/** Not after the first time: the machine may have been busy with something else. */
const MOST_TIMEOUTS = 3;
const MOST_REMEMBERED = 100;

/** What stands for itself: an escaped character, a class of characters. */
const PLAIN = /\\[^1-9k]|\[(?:\\.|[^\]\\])*\]/g;
/** So many quantifiers over so short a text are done in less than a millisecond, however they meet. */
const MOST_REPEATS = 2;
const MOST_CHOICES = 8;

/**
 * Whether an expression needs no limit for texts of a few hundred characters, as nearly all that people write: nothing
 * is repeated that has repeats in it, nothing is looked for twice, and there are few ways to fit.
 */
export function isBounded(pattern: RegExp): boolean {
  const shape = pattern.source.replace(PLAIN, "x").replaceAll("(?:", "(");
  if (/\(\?|\\|\)[*+{]/.test(shape)) return false;
  const repeats = shape.match(/[*+{]/g)?.length ?? 0;
  const choices = shape.match(/[?|]/g)?.length ?? 0;
  return repeats <= MOST_REPEATS && choices <= MOST_CHOICES;
}

const test = new Script("pattern.test(text)");
const room: { pattern?: RegExp; text?: string } = {};
const context = createContext(room);
const timeouts = new Map<string, number>();

/** True when the expression took too long too often. */
export function isTooSlow(pattern: RegExp): boolean {
  return (timeouts.get(pattern.source) ?? 0) >= MOST_TIMEOUTS;
}

/** Whether the text matches; false when that cannot be told in time. */
export function matchesInTime(pattern: RegExp, text: string): boolean {
  if (isTooSlow(pattern)) return false;
  room.pattern = pattern;
  room.text = text;
  try {
    return test.runInContext(context, { timeout: LIMIT_MS }) === true;
  } catch {
    // Only the limit ends a test.
    if (timeouts.size >= MOST_REMEMBERED) timeouts.clear();
    timeouts.set(pattern.source, (timeouts.get(pattern.source) ?? 0) + 1);
    return false;
  }
}
