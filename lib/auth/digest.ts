/** The arithmetic of Digest (RFC 7616 §3.4, RFC 2617 and 2069 for old servers, RFC 8760 for SIP). Pure. */
import { createHash, getHashes } from "node:crypto";

export type DigestAlgorithm =
  "MD5" | "MD5-sess" | "SHA-256" | "SHA-256-sess" | "SHA-512-256" | "SHA-512-256-sess";

/** Undefined: the server named none, RFC 2069. */
export type QualityOfProtection = "auth" | "auth-int" | undefined;

interface AlgorithmTraits {
  readonly name: DigestAlgorithm;
  /** As node:crypto calls it. */
  readonly hash: string;
  /** The key is bound to the first nonce and cnonce (RFC 7616 §3.4.2). */
  readonly session: boolean;
  /** Higher is stronger; only MD5 has 1. */
  readonly strength: number;
}

const ALGORITHMS = new Map<string, AlgorithmTraits>(
  [
    { name: "MD5", hash: "md5", session: false, strength: 1 } as const,
    { name: "MD5-sess", hash: "md5", session: true, strength: 1 } as const,
    { name: "SHA-256", hash: "sha256", session: false, strength: 2 } as const,
    { name: "SHA-256-sess", hash: "sha256", session: true, strength: 2 } as const,
    { name: "SHA-512-256", hash: "sha512-256", session: false, strength: 3 } as const,
    { name: "SHA-512-256-sess", hash: "sha512-256", session: true, strength: 3 } as const,
  ].map((traits) => [traits.name.toLowerCase(), traits]),
);

let hashes: ReadonlySet<string> | undefined;

/**
 * @param name - The `algorithm` parameter; undefined means MD5 (RFC 7616 §3.3). Case does not matter.
 * @returns undefined for an algorithm that we, or this build of OpenSSL, do not have.
 */
export function findAlgorithm(name: string | undefined): AlgorithmTraits | undefined {
  const traits = ALGORITHMS.get(name?.toLowerCase() ?? "md5");
  hashes ??= new Set(getHashes());
  return traits !== undefined && hashes.has(traits.hash) ? traits : undefined;
}

export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  readonly user: string;
  readonly password: string;
  readonly realm: string;
  readonly nonce: string;
  readonly method: string;
  /** The Request-URI as sent. */
  readonly uri: string;
  readonly qop: QualityOfProtection;
  /** Eight hex digits; used with qop. */
  readonly nonceCount: string;
  /** Used with qop, and by the `-sess` algorithms. */
  readonly clientNonce: string;
  /** Used by auth-int. */
  readonly body: string | Uint8Array;
}

/** @returns the `response` parameter, lower-case hex. Text is hashed as UTF-8. */
export function digestResponse(input: DigestInput): string {
  const { algorithm, user, password, realm, nonce, method, uri, qop, clientNonce } = input;
  const traits = ALGORITHMS.get(algorithm.toLowerCase()) as AlgorithmTraits;
  const hex = (text: string | Uint8Array): string =>
    createHash(traits.hash).update(text).digest("hex");
  const secret = hex(`${user}:${realm}:${password}`);
  const key = traits.session ? hex(`${secret}:${nonce}:${clientNonce}`) : secret;
  const subject = `${method}:${uri}`;
  const subjectHash = hex(qop === "auth-int" ? `${subject}:${hex(input.body)}` : subject);
  if (qop === undefined) return hex(`${key}:${nonce}:${subjectHash}`);
  return hex(`${key}:${nonce}:${input.nonceCount}:${clientNonce}:${qop}:${subjectHash}`);
}
