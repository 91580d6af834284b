/** Text → URI (RFC 3261 §25.1, RFC 3966 §3): one pass, never throws; parameters are cut up when asked for. */
import { CHARACTER_CLASS, isOf } from "./grammar.js";
import { hostOf } from "./host.js";
import { isPlainSip, scanParameters, scanSipUri, uriPlaces } from "./uri-scanner.js";
import { OtherUri, readPairs, SipUri, TelUri, type Uri } from "./uri.js";

const { TELEPHONE } = CHARACTER_CLASS;

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

function parseSipUri(
  scheme: "sip" | "sips",
  text: string,
  start: number,
  end: number,
): SipUri | undefined {
  return scanSipUri(text, start, end) ? buildSipUri(scheme, text, start, end) : undefined;
}

/** The URI that `scanSipUri` has just accepted between `start` and `end`. */
export function buildSipUri(
  scheme: "sip" | "sips",
  text: string,
  start: number,
  end: number,
): SipUri {
  const { userEnd, hostStart, hostEnd, port, parametersStart, parametersEnd } = uriPlaces;
  let user: string | undefined;
  let password: string | undefined;
  if (userEnd >= 0) {
    user = text.slice(start, userEnd);
    if (userEnd + 1 < hostStart) password = text.slice(userEnd + 1, hostStart - 1);
  }
  return new SipUri(
    scheme,
    user,
    uriPlaces.plainHost ? text.slice(hostStart, hostEnd) : hostOf(text, hostStart, hostEnd),
    port === 0 ? undefined : port,
    parametersEnd > parametersStart ? text.slice(parametersStart + 1, parametersEnd) : undefined,
    parametersEnd < end ? text.slice(parametersEnd + 1, end) : undefined,
    password,
  );
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
