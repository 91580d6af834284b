/** Text → URI (RFC 3261 §25.1, RFC 3966 §3): one pass, never throws; parameters are cut up when asked for. */
import {
  COLON,
  EQUALS,
  HOST,
  isOf,
  LOWER_HOST,
  SEMICOLON,
  skipClass,
  skipUriCharacters,
  TELEPHONE,
  URI_HEADER,
  URI_PARAMETER,
  USER,
} from "./grammar.js";
import { hostOf, skipHost } from "./host.js";
import { OtherUri, readPairs, SipUri, TelUri, type Uri } from "./uri.js";

const AMPERSAND = 38;
const QUESTION = 63;
const AT = 64;

/** @returns undefined when the text is no URI. Never throws. */
export function parseUri(text: string): Uri | undefined {
  return parseUriWithin(text, 0, text.length);
}

/** As `parseUri`, for a URI inside a longer text, which need not be cut out. */
export function parseUriWithin(text: string, start: number, end: number): Uri | undefined {
  if (isPlainSip(text, start)) return parseSipUri("sip", text, start + 4, end);
  const colon = text.indexOf(":", start);
  if (colon <= start || colon >= end) return undefined;
  const scheme = text.slice(start, colon).toLowerCase();
  if (scheme === "sip" || scheme === "sips") return parseSipUri(scheme, text, colon + 1, end);
  const whole = text.slice(start, end);
  if (scheme === "tel") return parseTelUri(whole, 4);
  return parseOtherUri(scheme, whole, colon + 1 - start);
}

/** True for `sip:` in lower case, as nearly everybody writes it. */
function isPlainSip(text: string, start: number): boolean {
  return (
    text.charCodeAt(start + 3) === COLON &&
    text.charCodeAt(start) === 115 &&
    text.charCodeAt(start + 1) === 105 &&
    text.charCodeAt(start + 2) === 112
  );
}

/**
 * What stands behind `sip:` or `sips:`, for most URIs in one pass.
 *
 * A plain user name has the characters of a host name; what ends it tells which of the two it was. Users with
 * other characters, and passwords, are looked for when it cannot be read as a host.
 *
 * @param end - End of the URI: of the text, or before a character that no URI holds.
 */
function parseSipUri(
  scheme: "sip" | "sips",
  text: string,
  start: number,
  end: number,
): SipUri | undefined {
  const nameEnd = skipClass(text, start, LOWER_HOST);
  if (nameEnd < end && text.charCodeAt(nameEnd) === AT) {
    if (nameEnd === start) return undefined;
    const hostEnd = skipClass(text, nameEnd + 1, LOWER_HOST);
    return parseHost(scheme, text, {
      start,
      userEnd: nameEnd,
      hostStart: nameEnd + 1,
      hostEnd,
      end,
    });
  }
  const plain = { start, userEnd: -1, hostStart: start, hostEnd: nameEnd, end };
  return parseHost(scheme, text, plain) ?? parseWithUser(scheme, text, start, end);
}

/** Where the parts of a URI are. */
interface Places {
  readonly start: number;
  /** Index of the `@`, or of the `:` in front of a password; -1 without user. */
  readonly userEnd: number;
  readonly hostStart: number;
  /** End of what is surely host. */
  readonly hostEnd: number;
  readonly end: number;
}

/** `user[:password]@` with any characters that the grammar allows, and what follows. */
function parseWithUser(
  scheme: "sip" | "sips",
  text: string,
  start: number,
  end: number,
): SipUri | undefined {
  const userEnd = skipUriCharacters(text, start, end, USER);
  if (userEnd >= end || userEnd === start) return undefined;
  let at = userEnd;
  if (text.charCodeAt(userEnd) === COLON) at = skipUriCharacters(text, userEnd + 1, end, USER);
  if (at >= end || text.charCodeAt(at) !== AT) return undefined;
  const hostEnd = skipClass(text, at + 1, LOWER_HOST);
  return parseHost(scheme, text, { start, userEnd, hostStart: at + 1, hostEnd, end });
}

/** Host, port, parameters and headers; builds the URI when all is well. */
function parseHost(scheme: "sip" | "sips", text: string, places: Places): SipUri | undefined {
  const { start, userEnd, hostStart, end } = places;
  let { hostEnd } = places;
  let host: string;
  if (hostEnd === hostStart || isOf(text.charCodeAt(hostEnd), HOST)) {
    hostEnd = skipHost(text, hostStart);
    if (hostEnd < 0 || hostEnd > end) return undefined;
    host = hostOf(text, hostStart, hostEnd);
  } else host = text.slice(hostStart, hostEnd);
  let i = hostEnd;
  let port: number | undefined;
  if (i < end && text.charCodeAt(i) === COLON) {
    port = 0;
    for (i++; i < end; i++) {
      const digit = text.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9) break;
      port = port * 10 + digit;
      if (port > 65_535) return undefined;
    }
    if (port === 0) return undefined;
  }
  let parameters: string | undefined;
  let headers: string | undefined;
  if (i < end) {
    const parametersEnd = scanParameters(text, i, end);
    if (parametersEnd < 0) return undefined;
    if (parametersEnd > i) parameters = text.slice(i + 1, parametersEnd);
    if (parametersEnd < end) {
      if (text.charCodeAt(parametersEnd) !== QUESTION) return undefined;
      // Without user so far, an @ further on shows that all this was the user: `sip:a?b@host`.
      if (userEnd < 0 && isBetween(text.indexOf("@", parametersEnd), end)) return undefined;
      if (!areHeaders(text, parametersEnd + 1, end)) return undefined;
      headers = text.slice(parametersEnd + 1, end);
    }
  }
  if (userEnd < 0) return new SipUri(scheme, undefined, host, port, parameters, headers, undefined);
  const user = text.slice(start, userEnd);
  const password = userEnd + 1 < hostStart ? text.slice(userEnd + 1, hostStart - 1) : undefined;
  return new SipUri(scheme, user, host, port, parameters, headers, password);
}

function isBetween(index: number, end: number): boolean {
  return index >= 0 && index < end;
}

function parseTelUri(text: string, start: number): TelUri | undefined {
  const semicolon = text.indexOf(";", start);
  const numberEnd = semicolon < 0 ? text.length : semicolon;
  const from = text.charCodeAt(start) === 43 ? start + 1 : start;
  if (from === numberEnd) return undefined;
  for (let i = from; i < numberEnd; i++) {
    if (!isOf(text.charCodeAt(i), TELEPHONE)) return undefined;
  }
  if (scanParameters(text, numberEnd, text.length) !== text.length) return undefined;
  return new TelUri(text.slice(start, numberEnd), readPairs(text.slice(numberEnd + 1), ";"));
}

/** absoluteURI: a scheme and anything without spaces, quotes, brackets and control characters. */
function parseOtherUri(scheme: string, text: string, start: number): OtherUri | undefined {
  const first = scheme.charCodeAt(0);
  if (first < 97 || first > 122) return undefined;
  for (let i = 0; i < scheme.length; i++) {
    const code = scheme.charCodeAt(i);
    const letter = (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
    if (!letter && code !== 43 && code !== 45 && code !== 46) return undefined;
  }
  if (start === text.length) return undefined;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 32 || code === 34 || code === 60 || code === 62 || code === 127) return undefined;
  }
  return new OtherUri(scheme, text);
}

/** Index behind `;name=value;name …`, or -1 when malformed. Stops at what is no parameter. */
function scanParameters(text: string, start: number, end: number): number {
  let i = start;
  while (i < end && text.charCodeAt(i) === SEMICOLON) {
    const nameEnd = skipUriCharacters(text, i + 1, end, URI_PARAMETER);
    if (nameEnd === i + 1) return -1;
    i = nameEnd;
    if (i < end && text.charCodeAt(i) === EQUALS)
      i = skipUriCharacters(text, i + 1, end, URI_PARAMETER);
  }
  return i;
}

/** `name=value&name=value` up to the end; `=` inside values is met in the field (base64). */
function areHeaders(text: string, start: number, end: number): boolean {
  let i = start;
  for (;;) {
    const nameEnd = skipUriCharacters(text, i, end, URI_HEADER);
    if (nameEnd === i) return false;
    i = nameEnd;
    while (i < end && text.charCodeAt(i) === EQUALS)
      i = skipUriCharacters(text, i + 1, end, URI_HEADER);
    if (i >= end) return true;
    if (text.charCodeAt(i) !== AMPERSAND) return false;
    i++;
  }
}
