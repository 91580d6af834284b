/**
 * Whether a stream is encrypted, and with which keys (RFC 4568 §5, §7; RFC 8643): pure functions beside those of
 * offer and answer. `required` offers RTP/SAVP; `optional` offers RTP/AVP with keys, which a peer without SRTP
 * passes over (RFC 8643); both answer an offer in the profile that it has.
 */
import type { MasterKeyIdentifier, SrtpSuite } from "./crypto-attribute.js";
import { parseCryptoAttribute, writeCryptoAttribute } from "./crypto-attribute.js";

export type SrtpMode = "off" | "optional" | "required";

export interface StreamSecurity {
  readonly mode: SrtpMode;
  /** Our key for a suite, base64 of master key and salt: the same as long as the session lives, no other has it. */
  readonly keyOf: (suite: SrtpSuite) => string;
}

/** The keys of a stream that is encrypted. */
export interface NegotiatedSrtp {
  readonly suite: SrtpSuite;
  /** Base64 of master key and salt; ours encrypts what we send. */
  readonly localKey: string;
  readonly remoteKey: string;
  /** What the peer puts before the tag of each packet. */
  readonly remoteKeyIdentifier: MasterKeyIdentifier | undefined;
}

/** What a line says about encryption. */
export interface SecurityOfLine {
  readonly protocol: string;
  /** The values of its `a=crypto` lines as written. */
  readonly crypto?: readonly string[] | undefined;
}

export type SecurityResult =
  | {
      readonly ok: true;
      readonly srtp: NegotiatedSrtp | undefined;
      /** The line that answers, without `a=crypto:`; empty for a stream in clear. */
      readonly crypto: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

/** By preference. The 128-bit GCM suite is only answered: every line makes the INVITE longer. */
const OFFERED: readonly SrtpSuite[] = [
  "AEAD_AES_256_GCM",
  "AES_CM_128_HMAC_SHA1_80",
  "AES_CM_128_HMAC_SHA1_32",
];
const PLAIN_PROFILES: ReadonlySet<string> = new Set(["RTP/AVP", "RTP/AVPF"]);
const SECURE_PROFILES: ReadonlySet<string> = new Set(["RTP/SAVP", "RTP/SAVPF"]);
/** Lines of one stream that are looked at. */
const MOST_LINES = 16;

/** Can a stream of this profile be answered, or offered again? */
export function isProfileAllowed(protocol: string, mode: SrtpMode): boolean {
  return PLAIN_PROFILES.has(protocol) || (mode !== "off" && SECURE_PROFILES.has(protocol));
}

/**
 * The profile of our offer.
 *
 * @param before - The profile of the stream in use, which is kept where it fits (RFC 3264 §8).
 */
export function offeredProfile(mode: SrtpMode, before: string | undefined): string {
  if (mode === "required") {
    return before !== undefined && SECURE_PROFILES.has(before) ? before : "RTP/SAVP";
  }
  return before !== undefined && isProfileAllowed(before, mode) ? before : "RTP/AVP";
}

/** The `a=crypto` lines of our offer, the suite in use first. */
export function offeredCrypto(
  security: StreamSecurity | undefined,
  inUse: SrtpSuite | undefined,
): readonly string[] {
  if (security === undefined || security.mode === "off") return [];
  const suites = inUse ? [inUse, ...OFFERED.filter((suite) => suite !== inUse)] : OFFERED;
  return suites.map((suite, index) =>
    writeCryptoAttribute(index + 1, suite, security.keyOf(suite)),
  );
}

/** The offerer orders by preference; its first line that we understand is taken (RFC 4568 §5.1.2). */
export function answerSecurity(
  offered: SecurityOfLine,
  security: StreamSecurity | undefined,
): SecurityResult {
  const mode = security?.mode ?? "off";
  const isSecure = SECURE_PROFILES.has(offered.protocol);
  if (!isProfileAllowed(offered.protocol, mode)) {
    return {
      ok: false,
      reason: isSecure ? "SRTP is switched off" : `${offered.protocol} is not supported`,
    };
  }
  if (security && mode !== "off") {
    for (const value of (offered.crypto ?? []).slice(0, MOST_LINES)) {
      const theirs = parseCryptoAttribute(value);
      if (theirs === undefined) continue;
      const localKey = security.keyOf(theirs.suite);
      return {
        ok: true,
        srtp: {
          suite: theirs.suite,
          localKey,
          remoteKey: theirs.key,
          remoteKeyIdentifier: theirs.keyIdentifier,
        },
        crypto: [writeCryptoAttribute(theirs.tag, theirs.suite, localKey)],
      };
    }
  }
  if (isSecure) return { ok: false, reason: "none of the offered SRTP suites is supported" };
  if (mode === "required") return { ok: false, reason: "SRTP is required" };
  return { ok: true, srtp: undefined, crypto: [] };
}

/** The answer names exactly one of our lines (RFC 4568 §5.1.3), or none where the stream may be in clear. */
export function acceptSecurity(
  ours: SecurityOfLine,
  answered: SecurityOfLine,
  mode: SrtpMode,
): SecurityResult {
  const lines = answered.crypto ?? [];
  const offered = ours.crypto ?? [];
  if (offered.length === 0) return { ok: true, srtp: undefined, crypto: [] };
  if (lines.length === 0) {
    if (mode !== "required" && PLAIN_PROFILES.has(ours.protocol)) {
      return { ok: true, srtp: undefined, crypto: [] };
    }
    return { ok: false, reason: "the answer brings no key for SRTP" };
  }
  const [line] = lines;
  const theirs = lines.length === 1 && line !== undefined ? parseCryptoAttribute(line) : undefined;
  const match =
    theirs &&
    offered
      .map(parseCryptoAttribute)
      .find((mine) => mine?.tag === theirs.tag && mine.suite === theirs.suite);
  if (theirs === undefined || match === undefined) {
    return { ok: false, reason: "the answer takes none of the offered SRTP suites" };
  }
  return {
    ok: true,
    srtp: {
      suite: theirs.suite,
      localKey: match.key,
      remoteKey: theirs.key,
      remoteKeyIdentifier: theirs.keyIdentifier,
    },
    crypto: offered,
  };
}
