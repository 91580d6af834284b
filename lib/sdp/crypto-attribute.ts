/**
 * The `a=crypto` line of a session description: one cipher suite and the key of its writer (SDES, RFC 4568 §9), and
 * the suites that we can do (RFC 4568 §6.2, RFC 7714 §14.2).
 */

export type SrtpSuite =
  "AEAD_AES_256_GCM" | "AEAD_AES_128_GCM" | "AES_CM_128_HMAC_SHA1_80" | "AES_CM_128_HMAC_SHA1_32";

export interface SrtpSuiteLengths {
  /** Bytes. */
  readonly masterKey: number;
  readonly masterSalt: number;
  /** Of the authentication tag of an RTP packet, and of an RTCP packet. */
  readonly rtpTag: number;
  readonly rtcpTag: number;
}

export const SRTP_SUITES: Readonly<Record<SrtpSuite, SrtpSuiteLengths>> = {
  AEAD_AES_256_GCM: { masterKey: 32, masterSalt: 12, rtpTag: 16, rtcpTag: 16 },
  AEAD_AES_128_GCM: { masterKey: 16, masterSalt: 12, rtpTag: 16, rtcpTag: 16 },
  AES_CM_128_HMAC_SHA1_80: { masterKey: 16, masterSalt: 14, rtpTag: 10, rtcpTag: 10 },
  // RFC 3711 §5.2: the tag of RTCP is not shortened.
  AES_CM_128_HMAC_SHA1_32: { masterKey: 16, masterSalt: 14, rtpTag: 4, rtcpTag: 10 },
};

/** The number that a sender writes before the tag of each packet to name its key (RFC 3711 §3.1). */
export interface MasterKeyIdentifier {
  /** Lower-case hexadecimal, two digits per byte. */
  readonly value: string;
}

/** A line that we understand completely. */
export interface CryptoAttribute {
  /** Chosen by the offerer, repeated by the answerer; up to nine digits. */
  readonly tag: number;
  readonly suite: SrtpSuite;
  /** Base64 of master key and master salt, of the length that the suite wants. */
  readonly key: string;
  readonly keyIdentifier: MasterKeyIdentifier | undefined;
}

/** `<tag> <suite> <key-params> [<session-params>]`; RFC 4568 separates by single spaces, some devices by more. */
const LINE = /^(\d{1,9}) +([!-~]+) +([!-~]+)((?: +[!-~]+)*) *$/;
const WINDOW_SIZE_HINT = /^WSH=\d{2,5}$/i;
/** RFC 3711 has no limit, RFC 4568 §6.1 allows 1 to 128. */
const LONGEST_KEY_IDENTIFIER = 128;

/**
 * @param value - What follows `a=crypto:`.
 * @returns undefined for a line that must be passed over (RFC 4568 §5.1.2): an unknown suite, a key of wrong length,
 *   several keys, a session parameter that changes the packets and that we do not do.
 */
export function parseCryptoAttribute(value: string): CryptoAttribute | undefined {
  const match = LINE.exec(value);
  if (match === null) return undefined;
  const [, tag = "", suite = "", keyParams = "", sessionParams = ""] = match;
  if (!isSrtpSuite(suite)) return undefined;
  if (!sessionParams.split(" ").every(isHarmless)) return undefined;
  if (keyParams.slice(0, 7).toLowerCase() !== "inline:") return undefined;
  // Several keys in one line, of which the packets choose one, are nobody's practice.
  if (keyParams.includes(";")) return undefined;
  const [key = "", ...rest] = keyParams.slice(7).split("|");
  if (!isKeyOf(suite, key)) return undefined;
  const keyIdentifier = readAfterKey(rest);
  if (keyIdentifier === "broken") return undefined;
  return { tag: Number(tag), suite, key, keyIdentifier };
}

/** What follows `a=crypto:` in a line of ours. */
export function writeCryptoAttribute(tag: number, suite: SrtpSuite, key: string): string {
  return `${tag} ${suite} inline:${key}`;
}

export function isSrtpSuite(name: string): name is SrtpSuite {
  return Object.hasOwn(SRTP_SUITES, name);
}

/**
 * A description as it may be shown: keys of `a=crypto` lines are replaced by stars, everything else stays.
 *
 * @param text - Any text; what is no description is returned as it is.
 */
export function withoutKeys(text: string): string {
  return text.includes("inline:") || /inline:/i.test(text)
    ? text.replace(/(inline:)[^\s;|]+/gi, "$1***")
    : text;
}

/** `|<lifetime>` and `|<identifier>:<length>`, both optional, in this order (RFC 4568 §6.1). */
function readAfterKey(fields: readonly string[]): MasterKeyIdentifier | undefined | "broken" {
  const rest = [...fields];
  // How long the sender will use its key is its own affair: it announces a new one in time.
  if (rest.length > 0 && /^(?:2\^\d{1,2}|\d{1,15})$/.test(rest[0])) rest.shift();
  if (rest.length === 0) return undefined;
  const match = rest.length === 1 ? /^(\d{1,15}):(\d{1,3})$/.exec(rest[0]) : null;
  if (match === null) return "broken";
  const length = Number(match[2]);
  const value = Number(match[1]).toString(16);
  if (length < 1 || length > LONGEST_KEY_IDENTIFIER || value.length > length * 2) return "broken";
  return { value: value.padStart(length * 2, "0") };
}

/** Session parameters that change nothing here: a hint, and extensions marked as optional (RFC 4568 §6.3). */
function isHarmless(parameter: string): boolean {
  return parameter === "" || parameter.startsWith("-") || WINDOW_SIZE_HINT.test(parameter);
}

function isKeyOf(suite: SrtpSuite, key: string): boolean {
  const { masterKey, masterSalt } = SRTP_SUITES[suite];
  const length = masterKey + masterSalt;
  // The padding may be left out, as some devices do.
  const digits = key.replace(/={1,2}$/, "");
  return (
    digits.length === Math.ceil((length * 4) / 3) &&
    /^[A-Za-z0-9+/]+$/.test(digits) &&
    Buffer.from(digits, "base64").length === length
  );
}
