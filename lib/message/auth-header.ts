/**
 * WWW-Authenticate, Proxy-Authenticate, Authorization, Proxy-Authorization (RFC 3261 §20.44, §22; RFC 7616 §3.3).
 * Their commas separate parameters as well as challenges, so these headers are never split at commas.
 */
import { InvalidArgumentError } from "../foundation/index.js";
import { hasForbiddenCharacters } from "./header-checks.js";
import {
  CODE,
  isWhitespace,
  quote,
  skipQuoted,
  skipToken,
  skipWhitespace,
  unquote,
} from "./grammar.js";

const { COMMA, EQUALS, QUOTE } = CODE;

/** Parameters of a Digest challenge or of Digest credentials: names lower-case, values unquoted. */
export type AuthParameters = ReadonlyMap<string, string>;

/** More challenges or parameters than any server has reason to send are not read. */
const MOST_CHALLENGES = 16;
const MOST_PARAMETERS = 32;

/**
 * Reads the Digest challenges of all lines of WWW-Authenticate or Proxy-Authenticate, in order. Other schemes
 * and what cannot be read are skipped; of a parameter given twice the first counts.
 *
 * @param lines - Header values, for example `headers.getAll("www-authenticate")`.
 */
export function parseChallenges(lines: readonly string[]): AuthParameters[] {
  const challenges: AuthParameters[] = [];
  for (const line of lines) {
    readLine(line, challenges);
    if (challenges.length >= MOST_CHALLENGES) break;
  }
  return challenges;
}

/** Reads the Digest credentials of one Authorization or Proxy-Authorization line. */
export function parseCredentials(line: string): AuthParameters | undefined {
  const found: AuthParameters[] = [];
  readLine(line, found);
  return found[0];
}

/** Parameters that credentials carry without quotes (RFC 7616 §3.4). */
const UNQUOTED = new Set(["algorithm", "qop", "nc", "userhash", "stale"]);

/**
 * `Digest name="value", …` in the order given.
 *
 * @throws InvalidArgumentError (`bad-header`) when a value holds CR, LF or NUL.
 */
export function formatCredentials(parameters: Iterable<readonly [string, string]>): string {
  let text = "Digest";
  let separator = " ";
  for (const [name, value] of parameters) {
    if (hasForbiddenCharacters(value)) {
      throw new InvalidArgumentError(
        `Digest parameter ${name} must not contain line breaks or NUL`,
        {
          rule: "bad-header",
        },
      );
    }
    text += `${separator}${name}=${UNQUOTED.has(name) ? value : quote(value)}`;
    separator = ", ";
  }
  return text;
}

/** Appends the Digest challenges of one line; stops at what cannot be read. */
function readLine(line: string, into: AuthParameters[]): void {
  let current: Map<string, string> | undefined;
  let i = 0;
  while (i < line.length) {
    i = skipSeparators(line, i);
    const end = skipToken(line, i);
    if (end === i) return;
    const name = line.slice(i, end).toLowerCase();
    const after = skipWhitespace(line, end);
    if (line.charCodeAt(after) === EQUALS) {
      const valueStart = skipWhitespace(line, after + 1);
      const valueEnd = skipAuthValue(line, valueStart);
      if (valueEnd < 0) return;
      if (current !== undefined && !current.has(name) && current.size < MOST_PARAMETERS) {
        const value = line.slice(valueStart, valueEnd);
        current.set(name, line.charCodeAt(valueStart) === QUOTE ? unquote(value) : value);
      }
      i = valueEnd;
      continue;
    }
    // A token without "=": the next scheme. What follows a scheme other than Digest is read over.
    if (into.length >= MOST_CHALLENGES) return;
    current = undefined;
    if (name === "digest") into.push((current = new Map<string, string>()));
    i = after;
  }
}

function skipSeparators(line: string, position: number): number {
  let i = position;
  while (isWhitespace(line.charCodeAt(i)) || line.charCodeAt(i) === COMMA) i++;
  return i;
}

/** A quoted string or everything up to a comma or space. @returns -1 for an unterminated quote. */
function skipAuthValue(line: string, position: number): number {
  if (line.charCodeAt(position) === QUOTE) return skipQuoted(line, position);
  let i = position;
  while (i < line.length && line.charCodeAt(i) !== COMMA && !isWhitespace(line.charCodeAt(i))) i++;
  return i;
}
