/** Patterns of a flow's author over short texts of a peer: literal, `*` glob or `/regular expression/`. */
import { isBounded, isTooSlow, matchesInTime } from "./bounded-pattern.js";
import { misuse } from "./errors.js";

export type Pattern =
  | { readonly kind: "literal" | "glob"; readonly source: string }
  | {
      readonly kind: "regex";
      readonly source: string;
      readonly regex: RegExp;
      /** Its time cannot grow out of hand. */
      readonly bounded: boolean;
    };

/** Longer texts of a peer match nothing: a user part has no reason to be longer. */
const LONGEST_TEXT = 256;
const RANK: Readonly<Record<Pattern["kind"], number>> = { literal: 0, glob: 1, regex: 2 };

/** @throws InvalidArgumentError `bad-pattern` for a broken regular expression. */
export function parsePattern(text: string): Pattern | undefined {
  if (text === "") return undefined;
  if (text.length > 2 && text.startsWith("/") && text.endsWith("/")) {
    try {
      const regex = new RegExp(`^(?:${text.slice(1, -1)})$`);
      return { kind: "regex", source: text, regex, bounded: isBounded(regex) };
    } catch (error) {
      throw misuse("bad-pattern", `${text}: ${String(error)}`);
    }
  }
  return { kind: text.includes("*") ? "glob" : "literal", source: text };
}

/** literal > glob > regex > none. */
export function patternRank(pattern: Pattern | undefined): number {
  return pattern === undefined ? 3 : RANK[pattern.kind];
}

/** No pattern fits everything; else one of the texts must match as a whole, case included. */
export function patternMatches(pattern: Pattern | undefined, texts: readonly string[]): boolean {
  if (pattern === undefined) return true;
  return texts.some((text) => {
    if (text.length > LONGEST_TEXT) return false;
    if (pattern.kind === "regex") {
      return pattern.bounded ? pattern.regex.test(text) : matchesInTime(pattern.regex, text);
    }
    return pattern.kind === "literal" ? text === pattern.source : globMatches(pattern.source, text);
  });
}

/** True for an expression that took too long for what peers sent, several times: it fits nothing any more. */
export function patternGaveUp(pattern: Pattern | undefined): boolean {
  return pattern?.kind === "regex" && !pattern.bounded && isTooSlow(pattern.regex);
}

/** `*` stands for any text. One pass with one point to come back to, so no input makes it slow. */
export function globMatches(glob: string, text: string): boolean {
  let g = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (glob[g] === "*") {
      star = g++;
      resume = t;
    } else if (glob[g] === text[t]) {
      g++;
      t++;
    } else if (star >= 0) {
      g = star + 1;
      t = ++resume;
    } else return false;
  }
  while (glob[g] === "*") g++;
  return g === glob.length;
}
