/** Text → URI (RFC 3261 §25.1, RFC 3966 §3): one pass, never throws; parameters are cut up when asked for. */
import {
  COLON,
  EQUALS,
  HOST,
  isOf,
  LOWER_HOST,
  parseDecimalWithin,
  SEMICOLON,
  skipClass,
  skipDigits,
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
  if (text.startsWith("sip:", start)) return parseSipUri("sip", text, start + 4, end);
  const colon = text.indexOf(":", start);
  if (colon <= start || colon >= end) return undefined;
  const scheme = text.slice(start, colon).toLowerCase();
  if (scheme === "sip" || scheme === "sips") return parseSipUri(scheme, text, colon + 1, end);
  const whole = text.slice(start, end);
  if (scheme === "tel") return parseTelUri(whole, 4);
  return parseOtherUri(scheme, whole, colon + 1 - start);
}

/**
 * What stands behind `sip:` or `sips:`, in one pass.
 *
 * @param end - End of the URI: of the text, or before a character that no URI holds.
 */
function parseSipUri(
  scheme: "sip" | "sips",
  text: string,
  start: number,
  end: number,
): SipUri | undefined {
  let user: string | undefined;
  let password: string | undefined;
  let hostStart = start;
  // A plain user name has the characters of a host name; what ends it tells which of them it was.
  let hostEnd = skipClass(text, start, LOWER_HOST);
  if (hostEnd < end) {
    const userEnd = text.charCodeAt(hostEnd) === AT ? hostEnd : findUserEnd(text, hostEnd, end);
    if (userEnd === start) return undefined;
    if (userEnd > start) {
      user = text.slice(start, userEnd);
      hostStart = userEnd + 1;
      if (text.charCodeAt(userEnd) === COLON) {
        hostStart = text.indexOf("@", userEnd) + 1;
        password = text.slice(userEnd + 1, hostStart - 1);
      }
      hostEnd = skipClass(text, hostStart, LOWER_HOST);
    }
  }
  let host: string;
  if (hostEnd === hostStart || isOf(text.charCodeAt(hostEnd), HOST)) {
    hostEnd = skipHost(text, hostStart);
    if (hostEnd < 0) return undefined;
    host = hostOf(text, hostStart, hostEnd);
  } else host = text.slice(hostStart, hostEnd);
  if (hostEnd >= end) {
    if (hostEnd > end) return undefined;
    return new SipUri(scheme, user, host, undefined, undefined, undefined, password);
  }
  let port: number | undefined;
  let i = hostEnd;
  if (text.charCodeAt(i) === COLON) {
    i = skipDigits(text, hostEnd + 1);
    port = parseDecimalWithin(text, hostEnd + 1, i, 65_535);
    if (!port) return undefined;
  }
  const parametersEnd = scanParameters(text, i, end);
  if (parametersEnd < 0) return undefined;
  const parameters = parametersEnd > i ? text.slice(i + 1, parametersEnd) : undefined;
  if (parametersEnd === end) {
    return new SipUri(scheme, user, host, port, parameters, undefined, password);
  }
  if (text.charCodeAt(parametersEnd) !== QUESTION) return undefined;
  if (!areHeaders(text, parametersEnd + 1, end)) return undefined;
  const headers = text.slice(parametersEnd + 1, end);
  return new SipUri(scheme, user, host, port, parameters, headers, password);
}

/**
 * Where `user` ends, for users with other characters than host names have, with a password, or none at all.
 *
 * @param position - First character that no host name has.
 * @returns Index of the `@`, or of the `:` in front of a password; -1 without user; `start` is never meant.
 */
function findUserEnd(text: string, position: number, end: number): number {
  const at = text.indexOf("@", position);
  if (at < 0 || at >= end) return -1;
  const userEnd = skipUriCharacters(text, position, end, USER);
  if (userEnd === at) return at;
  if (text.charCodeAt(userEnd) !== COLON) return -1;
  return skipUriCharacters(text, userEnd + 1, end, USER) === at ? userEnd : -1;
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
