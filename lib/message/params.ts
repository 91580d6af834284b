/** `;name=value` parameters of header values (RFC 3261 §25.1 generic-param). */
import {
  CHARACTER_CLASS,
  CODE,
  isToken,
  isWhitespace,
  quote,
  skipClass,
  skipQuoted,
  skipWhitespace,
  unquoteWithin,
} from "./grammar.js";

const { TOKEN, VALUE } = CHARACTER_CLASS;
const { COMMA, EQUALS, QUOTE, SEMICOLON, SPACE } = CODE;

/** `;name=value` parameters: names lower-case, values unquoted, null where there is no `=`. */
export type Parameters = Map<string, string | null>;

/**
 * Walks over parameters from the first `;` (or whatever else stands there) to the end of this value.
 *
 * Values are read more widely than `gen-value`: everything that is no space, quote, bracket, comma or
 * semicolon, because `received=2001:db8::1` (RFC 5118 §4.5) and base64 with `=` are met in the field.
 *
 * @param end - End of the header value in the text.
 * @param into - Filled when given; the first of two parameters with the same name wins.
 * @returns Index of the comma, or `end`, where this value ends, or -1 when malformed.
 */
export function scanParameters(
  text: string,
  position: number,
  end: number,
  into?: Parameters,
): number {
  let i = position;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (code !== SEMICOLON) {
      if (code === COMMA) return i;
      if (!isWhitespace(code)) return -1;
      i++;
      continue;
    }
    const nameStart = skipBlanks(text, i + 1);
    const nameEnd = skipClass(text, nameStart, TOKEN);
    if (nameEnd === nameStart) return -1;
    i = skipBlanks(text, nameEnd);
    let value: string | null = null;
    if (text.charCodeAt(i) === EQUALS) {
      const start = skipBlanks(text, i + 1);
      const quoted = text.charCodeAt(start) === QUOTE;
      i = quoted ? skipQuoted(text, start, end) : skipValue(text, start, end);
      if (i <= start) return -1;
      if (into !== undefined) value = quoted ? unquoteWithin(text, start, i) : text.slice(start, i);
    }
    if (into !== undefined) {
      const name = text.slice(nameStart, nameEnd).toLowerCase();
      if (!into.has(name)) into.set(name, value);
    }
  }
  return end;
}

/** Index behind spaces and tabs; usually there are none. */
function skipBlanks(text: string, position: number): number {
  return text.charCodeAt(position) > SPACE ? position : skipWhitespace(text, position);
}

/** Index behind a value without quotes; what is not ASCII passes. */
function skipValue(text: string, position: number, end: number): number {
  let i = position;
  for (;;) {
    i = skipClass(text, i, VALUE);
    if (i >= end || text.charCodeAt(i) < 128) return i;
    i++;
  }
}

/**
 * Parameters as a text of their own: `;a=1;b`.
 *
 * @returns undefined when malformed or when something follows them.
 */
export function parseParameters(text: string): Parameters | undefined {
  const parameters: Parameters = new Map();
  return scanParameters(text, 0, text.length, parameters) === text.length ? parameters : undefined;
}

/** Checked parameters as a map; an empty one for undefined. */
export function readParameters(text: string | undefined): Parameters {
  const parameters: Parameters = new Map();
  if (text !== undefined) scanParameters(text, 0, text.length, parameters);
  return parameters;
}

/** `;name=value` of every parameter; values that are no plain text are quoted. */
export function formatParameters(parameters: ReadonlyMap<string, string | null>): string {
  let text = "";
  // No iterator, whose steps would be objects: this runs for each request that comes in.
  parameters.forEach((value, name) => {
    text += value === null ? `;${name}` : `;${name}=${formatValue(name, value)}`;
  });
  return text;
}

function formatValue(name: string, value: string): string {
  if (value.length > 0 && name !== "+sip.instance" && (isToken(value) || isHostLike(value))) {
    return value;
  }
  return quote(value);
}

/** An address as in `received=[2001:db8::1]`, which must stay unquoted (RFC 3261 §20.42). */
function isHostLike(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    const hexadecimal =
      (code >= 48 && code <= 58) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);
    if (!hexadecimal && code !== 46 && code !== 91 && code !== 93) return false;
  }
  return true;
}
