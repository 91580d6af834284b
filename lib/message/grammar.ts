/** Character classes and small scanners of RFC 3261 §25.1, as one table and loops: no regular expressions. */

/**
 * Character classes, to be combined with `|`. Other files take out what they need into constants of their own:
 * in the inner loops a look-up in another module's exports costs as much as the work.
 */
export const CHARACTER_CLASS = {
  /** `token` characters. */
  TOKEN: 1,
  DIGIT: 2,
  HEX_DIGIT: 4,
  /** `user` and `password` characters without `escaped`; also `#`, which telephones send unescaped. */
  USER: 8,
  /** `paramchar` without `escaped`. */
  URI_PARAMETER: 16,
  /** `hnv-unreserved` and `unreserved`; also `@` and `;`, which many send unescaped in `?Replaces=`. */
  URI_HEADER: 32,
  /** Characters of a host name; `_` is not of the grammar but is met in the field. */
  HOST: 64,
  /** Characters of a telephone number, RFC 3966 §3. */
  TELEPHONE: 128,
  /** Characters of a host name that is in lower case already. */
  LOWER_HOST: 256,
  /** Visible ASCII that may stand in a parameter value without quotes, see params.ts. */
  VALUE: 512,
} as const;

/** Character codes that mean something in SIP. */
export const CODE = {
  TAB: 9,
  LINE_FEED: 10,
  CARRIAGE_RETURN: 13,
  SPACE: 32,
  QUOTE: 34,
  PERCENT: 37,
  AMPERSAND: 38,
  STAR: 42,
  COMMA: 44,
  SLASH: 47,
  COLON: 58,
  SEMICOLON: 59,
  LESS: 60,
  EQUALS: 61,
  GREATER: 62,
  QUESTION: 63,
  AT: 64,
  OPEN_BRACKET: 91,
  BACKSLASH: 92,
} as const;

const {
  DIGIT,
  HEX_DIGIT,
  HOST,
  LOWER_HOST,
  TELEPHONE,
  TOKEN,
  URI_HEADER,
  URI_PARAMETER,
  USER,
  VALUE,
} = CHARACTER_CLASS;
const { BACKSLASH, GREATER, LESS, PERCENT, QUOTE, SEMICOLON, SPACE, TAB } = CODE;

const CLASSES = new Uint16Array(128);
const mark = (characters: string, flag: number): void => {
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i);
    CLASSES[code] = CLASSES[code] | flag;
  }
};

const DIGITS = "0123456789";
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const MARKS = "-_.!~*'()";
mark(DIGITS + LETTERS + "-.!%*_+`'~", TOKEN);
mark(DIGITS, DIGIT);
mark(DIGITS + "abcdefABCDEF", HEX_DIGIT);
mark(DIGITS + LETTERS + MARKS + "&=+$,;?/#", USER);
mark(DIGITS + LETTERS + MARKS + "[]/:&+$", URI_PARAMETER);
mark(DIGITS + LETTERS + MARKS + "[]/?:+$@;,", URI_HEADER);
mark(DIGITS + LETTERS + "-._", HOST);
mark(DIGITS + "abcdefghijklmnopqrstuvwxyz-._", LOWER_HOST);
mark(DIGITS + LETTERS + MARKS + "[]/?:+$@&=#%^`{|}\\", VALUE);
mark(DIGITS + "abcdefABCDEF" + "*#-.()", TELEPHONE);

/** True when an ASCII character belongs to one of the classes; false for everything above U+007F. */
export function isOf(code: number, classes: number): boolean {
  return code < 128 && (CLASSES[code] & classes) !== 0;
}

/** Space or horizontal tab. Line ends never get as far as the value scanners. */
export function isWhitespace(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** `token` of RFC 3261 §25.1: method names, header names, parameter names. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) if (!isOf(text.charCodeAt(i), TOKEN)) return false;
  return true;
}

/** First position at or after `position` that is neither space nor tab. */
export function skipWhitespace(text: string, position: number): number {
  let i = position;
  while (i < text.length && isWhitespace(text.charCodeAt(i))) i++;
  return i;
}

/** First position at or after `position` whose character is no token character. */
export function skipToken(text: string, position: number): number {
  return skipClass(text, position, TOKEN);
}

/** First position at or after `position` whose character is not of the classes. */
export function skipClass(text: string, position: number, classes: number): number {
  let i = position;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code >= 128 || (CLASSES[code] & classes) === 0) break;
    i++;
  }
  return i;
}

/** First position at or after `position` that is no decimal digit. */
export function skipDigits(text: string, position: number): number {
  let i = position;
  while (i < text.length && text.charCodeAt(i) >= 48 && text.charCodeAt(i) <= 57) i++;
  return i;
}

/**
 * First position from `position` to `end` whose character is not of the classes. Well-formed escapes pass,
 * and so does what is not ASCII: telephones send names in URIs without escaping them.
 */
export function skipUriCharacters(
  text: string,
  position: number,
  end: number,
  classes: number,
): number {
  let i = position;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (code >= 128 || (CLASSES[code] & classes) !== 0) i++;
    else if (code === PERCENT && i + 2 < end && isEscape(text, i)) i += 3;
    else break;
  }
  return i;
}

/** True for `%` and two hexadecimal digits at `position`. */
export function isEscape(text: string, position: number): boolean {
  return (
    text.charCodeAt(position) === PERCENT &&
    isOf(text.charCodeAt(position + 1), HEX_DIGIT) &&
    isOf(text.charCodeAt(position + 2), HEX_DIGIT)
  );
}

/**
 * Skips a quoted-string.
 *
 * @param position - Index of the opening quote.
 * @returns Index behind the closing quote, or -1 when it is missing before `end`.
 */
export function skipQuoted(text: string, position: number, end = text.length): number {
  for (let i = position + 1; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i + 1;
  }
  return -1;
}

/** The content of a quoted-string without its quotes, `\x` resolved. @param text - with both quotes. */
export function unquote(text: string): string {
  return unquoteWithin(text, 0, text.length);
}

/** As `unquote`, for a quoted-string inside a text; `start` and `end` include its quotes. */
export function unquoteWithin(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end - 1);
  if (!inner.includes("\\")) return inner;
  let result = "";
  let from = 0;
  for (let i = inner.indexOf("\\"); i >= 0 && i + 1 < inner.length;) {
    result += inner.slice(from, i) + inner.charAt(i + 1);
    from = i + 2;
    i = inner.indexOf("\\", from);
  }
  return result + inner.slice(from);
}

/**
 * A quoted-string for any text. A NUL, which a peer may have sent as a quoted-pair, becomes a space; CR and
 * LF stay and are refused by whatever writes the header.
 */
export function quote(text: string): string {
  let result = '"';
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE || code === BACKSLASH) {
      result += `${text.slice(from, i)}\\`;
      from = i;
    } else if (code === 0) {
      result += `${text.slice(from, i)} `;
      from = i + 1;
    }
  }
  return `${result + text.slice(from)}"`;
}

/** Largest delta-seconds, RFC 3261 §20.19. */
export const LARGEST_SECONDS = 0xffff_ffff;

/**
 * Decimal digits only: no sign, no exponent, no spaces, leading zeros allowed.
 *
 * @returns The number, or undefined when the text is malformed or the number above `largest`.
 */
export function parseDecimal(text: string, largest: number): number | undefined {
  return parseDecimalWithin(text, 0, text.length, largest);
}

/** As `parseDecimal`, for the characters from `start` to `end`. */
export function parseDecimalWithin(
  text: string,
  start: number,
  end: number,
  largest: number,
): number | undefined {
  if (end <= start) return undefined;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
    if (value > largest) return undefined;
  }
  return value;
}

/**
 * Delta-seconds with whatever follows them cut off (`Retry-After: 120 (comment);duration=60`).
 *
 * @returns Seconds, at most 2^32-1 (larger values are clamped), or undefined when no digits come first.
 */
export function parseSeconds(text: string): number | undefined {
  let i = 0;
  let value = 0;
  for (; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) break;
    value = Math.min(value * 10 + digit, LARGEST_SECONDS);
  }
  if (i === 0) return undefined;
  const rest = text.charCodeAt(skipWhitespace(text, i));
  if (Number.isNaN(rest) || rest === SEMICOLON || rest === 40) return value;
  return undefined;
}

/**
 * Splits at a separator that stands outside quoted strings and angle brackets; parts are trimmed.
 *
 * @param separator - One character code, usually a comma.
 * @returns At least one part; an unterminated quote or bracket runs to the end.
 */
export function splitOutsideQuotes(text: string, separator: number): string[] {
  const parts: string[] = [];
  let from = 0;
  let bracket = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE && !bracket) {
      const end = skipQuoted(text, i);
      if (end < 0) break;
      i = end - 1;
    } else if (code === LESS) bracket = true;
    else if (code === GREATER) bracket = false;
    else if (code === separator && !bracket) {
      parts.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  parts.push(text.slice(from).trim());
  return parts;
}
