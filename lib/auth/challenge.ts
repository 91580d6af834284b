/** Challenges of a 401 or 407, and the choice of the one to answer (RFC 3261 §22, RFC 8760 §2.4). */
import { type AuthParameters, parseChallenges, type SipResponse } from "../message/index.js";
import { type DigestAlgorithm, findAlgorithm, type QualityOfProtection } from "./digest.js";

export type CredentialsHeader = "Authorization" | "Proxy-Authorization";

export interface Challenge {
  /** The header in which credentials for it travel. */
  readonly header: CredentialsHeader;
  readonly parameters: AuthParameters;
}

/** A challenge that we can answer, with everything taken out of its parameters. */
export interface UsableChallenge {
  readonly header: CredentialsHeader;
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  readonly algorithm: DigestAlgorithm;
  /** False when the server named no algorithm: then the answer names none either. */
  readonly algorithmNamed: boolean;
  readonly session: boolean;
  /** Higher is stronger; only MD5 has 1. */
  readonly strength: number;
  readonly qop: QualityOfProtection;
  /** The credentials were right, only the nonce was too old. */
  readonly stale: boolean;
}

/** The Digest challenges of a response, those of WWW-Authenticate first; other schemes are left out. */
export function challengesOf(response: SipResponse): Challenge[] {
  const { headers } = response;
  const server = parseChallenges(headers.getAll("www-authenticate"));
  const proxy = parseChallenges(headers.getAll("proxy-authenticate"));
  return [
    ...server.map((parameters): Challenge => ({ header: "Authorization", parameters })),
    ...proxy.map((parameters): Challenge => ({ header: "Proxy-Authorization", parameters })),
  ];
}

/**
 * The strongest challenge that we can answer; among equally strong ones the first, which the server prefers.
 *
 * @returns undefined when none can be answered: unknown algorithm or qop, no realm or nonce.
 */
export function strongestChallenge(challenges: readonly Challenge[]): UsableChallenge | undefined {
  let best: UsableChallenge | undefined;
  for (const challenge of challenges) {
    const usable = usableChallenge(challenge);
    if (usable && (!best || usable.strength > best.strength)) best = usable;
  }
  return best;
}

function usableChallenge({ header, parameters }: Challenge): UsableChallenge | undefined {
  const name = parameters.get("algorithm");
  const algorithm = findAlgorithm(name);
  const realm = parameters.get("realm");
  const nonce = parameters.get("nonce");
  const qop = chooseQop(parameters.get("qop"));
  if (!algorithm || realm === undefined || !nonce || qop === "unknown") return undefined;
  return {
    header,
    realm,
    nonce,
    opaque: parameters.get("opaque"),
    algorithm: algorithm.name,
    algorithmNamed: name !== undefined,
    session: algorithm.session,
    strength: algorithm.strength,
    qop,
    stale: parameters.get("stale")?.toLowerCase() === "true",
  };
}

/** `auth` is enough when both are offered, because it lets a proxy on the way touch the body (RFC 3261 §22.4). */
function chooseQop(offered: string | undefined): QualityOfProtection | "unknown" {
  if (offered === undefined || offered.trim() === "") return undefined;
  const options = offered.split(",").map((option) => option.trim().toLowerCase());
  if (options.includes("auth")) return "auth";
  return options.includes("auth-int") ? "auth-int" : "unknown";
}
