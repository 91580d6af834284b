/** Where the parts of a SIP URI are (RFC 3261 §25.1), for most URIs in one pass; builds and cuts out nothing. */
import { CHARACTER_CLASS, CODE, isOf, skipClass, skipUriCharacters } from "./grammar.js";
import { skipHost } from "./host.js";

const { HOST, LOWER_HOST, URI_HEADER, URI_PARAMETER, USER } = CHARACTER_CLASS;
const { AMPERSAND, AT, COLON, EQUALS, QUESTION, SEMICOLON } = CODE;

/** The parts of the URI that `scanSipUri` accepted last; overwritten by the next call. */
export const uriPlaces = {
  /** Index of the `@`, or of the `:` in front of a password; -1 without user. */
  userEnd: -1,
  hostStart: 0,
  hostEnd: 0,
  /** The host is a name or IPv4 address in lower case. */
  plainHost: false,
  /** 0 without port. */
  port: 0,
  /** Equal to `parametersEnd` without parameters, else the index of the first `;`. */
  parametersStart: 0,
  /** The index of the `?`, or the end of the URI. */
  parametersEnd: 0,
};

/** True for `sip:` in lower case, as nearly everybody writes it. */
export function isPlainSip(text: string, start: number): boolean {
  return (
    text.charCodeAt(start + 3) === COLON &&
    text.charCodeAt(start) === 115 &&
    text.charCodeAt(start + 1) === 105 &&
    text.charCodeAt(start + 2) === 112
  );
}

/**
 * Checks what stands behind `sip:` or `sips:` and notes its parts in `uriPlaces`.
 *
 * A plain user name has the characters of a host name; what ends it tells which of the two it was. Users with
 * other characters, and passwords, are looked for when it cannot be read as a host.
 *
 * @param end - End of the URI: of the text, or before a character that no URI holds.
 * @returns False when malformed.
 */
export function scanSipUri(text: string, start: number, end: number): boolean {
  const nameEnd = skipClass(text, start, LOWER_HOST);
  if (nameEnd < end && text.charCodeAt(nameEnd) === AT) {
    uriPlaces.userEnd = nameEnd;
    return (
      nameEnd > start && scanHost(text, nameEnd + 1, skipClass(text, nameEnd + 1, LOWER_HOST), end)
    );
  }
  uriPlaces.userEnd = -1;
  return scanHost(text, start, nameEnd, end) || scanWithUser(text, start, end);
}

/** `user[:password]@` with any characters that the grammar allows, and what follows. */
function scanWithUser(text: string, start: number, end: number): boolean {
  const userEnd = skipUriCharacters(text, start, end, USER);
  if (userEnd >= end || userEnd === start) return false;
  let at = userEnd;
  if (text.charCodeAt(userEnd) === COLON) at = skipUriCharacters(text, userEnd + 1, end, USER);
  if (at >= end || text.charCodeAt(at) !== AT) return false;
  uriPlaces.userEnd = userEnd;
  return scanHost(text, at + 1, skipClass(text, at + 1, LOWER_HOST), end);
}

/** Host, port, parameters and headers. @param nameEnd - End of what is surely host. */
function scanHost(text: string, hostStart: number, nameEnd: number, end: number): boolean {
  const places = uriPlaces;
  let i = nameEnd;
  places.plainHost = i > hostStart && !isOf(text.charCodeAt(i), HOST);
  if (!places.plainHost) {
    i = skipHost(text, hostStart);
    if (i < 0 || i > end) return false;
  }
  places.hostStart = hostStart;
  places.hostEnd = i;
  let port = 0;
  if (i < end && text.charCodeAt(i) === COLON) {
    for (i++; i < end; i++) {
      const digit = text.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9) break;
      port = port * 10 + digit;
      if (port > 65_535) return false;
    }
    if (port === 0) return false;
  }
  places.port = port;
  places.parametersStart = i;
  if (i < end) i = scanParameters(text, i, end);
  places.parametersEnd = i;
  if (i === end) return true;
  if (i < 0 || text.charCodeAt(i) !== QUESTION) return false;
  // Without user so far, an @ further on shows that all this was the user: `sip:a?b@host`.
  if (places.userEnd < 0) {
    const at = text.indexOf("@", i);
    if (at >= 0 && at < end) return false;
  }
  return areHeaders(text, i + 1, end);
}

/** Index behind `;name=value;name …`, or -1 when malformed. Stops at what is no parameter. */
export function scanParameters(text: string, start: number, end: number): number {
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
