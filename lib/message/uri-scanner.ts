/** Where the parts of a SIP URI are (RFC 3261 §25.1): one pass, nothing cut out, nothing built. */
import { isEscape } from "./escapes.js";
import {
  COLON,
  EQUALS,
  isOf,
  parseDecimalWithin,
  SEMICOLON,
  skipDigits,
  URI_HEADER,
  URI_PARAMETER,
  USER,
} from "./grammar.js";
import { skipHost } from "./host.js";

const AMPERSAND = 38;
const QUESTION = 63;
const AT = 64;

/** Scans one URI after the other; its fields describe the last one that was good. */
export class SipUriScanner {
  /** -1 without user part. */
  userEnd = -1;
  /** -1 without password. */
  passwordEnd = -1;
  hostStart = 0;
  hostEnd = 0;
  /** 0 without port. */
  port = 0;
  /** Where host and port end and parameters may begin. */
  hostPortEnd = 0;
  /** Where parameters end: at the `?` or the end. */
  parametersEnd = 0;

  /**
   * @param start - Behind `sip:`.
   * @returns False when the text up to `end` is malformed.
   */
  scan(text: string, start: number, end: number): boolean {
    if (!this.#scanUser(text, start, end)) return false;
    const hostEnd = skipHost(text, this.hostStart);
    if (hostEnd < 0 || hostEnd > end) return false;
    this.hostEnd = this.hostPortEnd = this.parametersEnd = hostEnd;
    this.port = 0;
    if (hostEnd === end) return true;
    if (text.charCodeAt(hostEnd) === COLON && !this.#scanPort(text, hostEnd + 1, end)) return false;
    this.parametersEnd = scanUriParameters(text, this.hostPortEnd, end);
    if (this.parametersEnd === end) return true;
    if (this.parametersEnd < 0 || text.charCodeAt(this.parametersEnd) !== QUESTION) return false;
    return scanHeaders(text, this.parametersEnd + 1, end);
  }

  /** `user[:password]@`, when there is one. */
  #scanUser(text: string, start: number, end: number): boolean {
    this.userEnd = this.passwordEnd = -1;
    this.hostStart = start;
    const userEnd = skipRun(text, start, end, USER);
    if (userEnd >= end) return true;
    const code = text.charCodeAt(userEnd);
    if (code === AT) {
      this.userEnd = userEnd;
      this.hostStart = userEnd + 1;
      return userEnd > start;
    }
    if (code !== COLON) return true;
    const passwordEnd = skipRun(text, userEnd + 1, end, USER);
    if (passwordEnd >= end || text.charCodeAt(passwordEnd) !== AT) return true;
    this.userEnd = userEnd;
    this.passwordEnd = passwordEnd;
    this.hostStart = passwordEnd + 1;
    return userEnd > start;
  }

  #scanPort(text: string, start: number, end: number): boolean {
    const portEnd = skipDigits(text, start);
    this.port = parseDecimalWithin(text, start, portEnd, 65_535) ?? 0;
    this.hostPortEnd = this.parametersEnd = portEnd;
    return this.port > 0 && portEnd <= end;
  }
}

/** Index behind `;name=value;name …`, or -1 when malformed. Stops at what is no parameter. */
export function scanUriParameters(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && text.charCodeAt(i) === SEMICOLON) {
    const nameEnd = skipRun(text, i + 1, end, URI_PARAMETER);
    if (nameEnd === i + 1) return -1;
    i = nameEnd;
    if (i < end && text.charCodeAt(i) === EQUALS) i = skipRun(text, i + 1, end, URI_PARAMETER);
  }
  return i;
}

/** `name=value&name=value` up to the end; `=` inside values is met in the field (base64). */
function scanHeaders(text: string, start: number, end: number): boolean {
  let i = start;
  for (;;) {
    const nameEnd = skipRun(text, i, end, URI_HEADER);
    if (nameEnd === i) return false;
    i = nameEnd;
    while (i < end && text.charCodeAt(i) === EQUALS) i = skipRun(text, i + 1, end, URI_HEADER);
    if (i >= end) return true;
    if (text.charCodeAt(i) !== AMPERSAND) return false;
    i++;
  }
}

/** Skips characters of the class, well-formed escapes, and what is not ASCII (met in the field). */
function skipRun(text: string, start: number, end: number, classes: number): number {
  let i = start;
  while (i < end) {
    const code = text.charCodeAt(i);
    if (code >= 128 || isOf(code, classes)) i++;
    else if (isEscape(text, i) && i + 2 < end) i += 3;
    else break;
  }
  return i;
}
