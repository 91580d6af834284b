/** From a challenge, or a nonce that is still good, to the header with the credentials (RFC 3261 §22, RFC 7616 §3.4). */
import { errorText, randomToken, type RandomSource } from "../foundation/index.js";
import { formatCredentials } from "../message/index.js";
import {
  type Challenge,
  type CredentialsHeader,
  strongestChallenge,
  type UsableChallenge,
} from "./challenge.js";
import type { CredentialCache, NonceState } from "./credential-cache.js";
import { type DigestAlgorithm, digestResponse } from "./digest.js";

export interface DigestCredentials {
  readonly user: string;
  readonly password: string;
  /** Answer only this realm. Undefined = whatever realm the account's own server names. */
  readonly realm?: string | undefined;
}

export interface AuthorizeOptions {
  readonly credentials: DigestCredentials;
  readonly method: string;
  /** The Request-URI as it is sent. */
  readonly uri: string;
  readonly body: string | Uint8Array;
  readonly random: RandomSource;
  readonly cache: CredentialCache;
  /** Names the server that challenged: nothing learnt from one server is used for another. */
  readonly serverKey: string;
}

export interface AnswerOptions extends AuthorizeOptions {
  /** All of a 401 or 407: `challengesOf(response)`. */
  readonly challenges: readonly Challenge[];
}

export interface DigestAuthorization {
  readonly header: CredentialsHeader;
  readonly value: string;
  readonly realm: string;
  readonly algorithm: DigestAlgorithm;
  /** The challenge only said that the nonce was too old. */
  readonly stale: boolean;
}

export interface RefusedChallenge {
  /** Why, as half a sentence for people. */
  readonly refused: string;
}

const CLIENT_NONCE_LENGTH = 20;
const LARGEST_NONCE_COUNT = 0xffff_ffff;

/**
 * Answers the strongest challenge that we can answer. Whether this server may have our credentials at all, and how
 * often, is the caller's decision. Never throws.
 */
export function answerChallenge(options: AnswerOptions): DigestAuthorization | RefusedChallenge {
  const { cache, serverKey, credentials } = options;
  const wanted = credentials.realm;
  const offered =
    wanted === undefined
      ? options.challenges
      : options.challenges.filter(({ parameters }) => parameters.get("realm") === wanted);
  if (options.challenges.length > 0 && offered.length === 0) {
    return { refused: "the server asks for another realm than the account's" };
  }
  const challenge = strongestChallenge(offered);
  if (!challenge) return { refused: "the server offers no Digest algorithm that is supported" };
  const strongest = cache.strength(serverKey, credentials.user, challenge.realm);
  if (challenge.strength === 1 && strongest > 1) {
    return { refused: "the server offers only MD5, although it used SHA-256 or better before" };
  }
  const known = cache.find(serverKey, credentials.user, challenge);
  const state = known ?? {
    challenge,
    count: 0,
    clientNonce: randomToken(options.random, CLIENT_NONCE_LENGTH),
  };
  if (!known) cache.store(serverKey, credentials.user, state);
  return authorize(options, state, challenge.stale);
}

/**
 * Credentials for the next request to a server that has challenged us before: one per realm and header. Empty when it
 * has not.
 */
export function preauthorize(options: AuthorizeOptions): DigestAuthorization[] {
  const { user, realm } = options.credentials;
  const authorizations: DigestAuthorization[] = [];
  for (const state of options.cache.nonces(options.serverKey, user)) {
    if (realm !== undefined && state.challenge.realm !== realm) continue;
    if (state.count >= LARGEST_NONCE_COUNT) continue;
    const authorization = authorize(options, state, false);
    if ("header" in authorization) authorizations.push(authorization);
  }
  return authorizations;
}

function authorize(
  options: AuthorizeOptions,
  state: NonceState,
  stale: boolean,
): DigestAuthorization | RefusedChallenge {
  const { challenge } = state;
  const { header, realm, algorithm } = challenge;
  state.count++;
  try {
    const value = formatCredentials(credentialsOf(options, challenge, state));
    return { header, value, realm, algorithm, stale };
  } catch (error) {
    // A user name of the settings that cannot stand in a header; the text names the parameter, not its value.
    return { refused: errorText(error) };
  }
}

function credentialsOf(
  options: AuthorizeOptions,
  challenge: UsableChallenge,
  state: NonceState,
): [string, string][] {
  const { credentials, method, uri, body } = options;
  const { realm, nonce, algorithm, qop, opaque } = challenge;
  const nonceCount = state.count.toString(16).padStart(8, "0");
  const first = state.count === 1 || challenge.session;
  const clientNonce = first ? state.clientNonce : randomToken(options.random, CLIENT_NONCE_LENGTH);
  const response = digestResponse({
    algorithm,
    user: credentials.user,
    password: credentials.password,
    realm,
    nonce,
    method,
    uri,
    qop,
    nonceCount,
    clientNonce,
    body,
  });
  const parameters: [string, string][] = [
    ["username", credentials.user],
    ["realm", realm],
    ["nonce", nonce],
    ["uri", uri],
    ["response", response],
  ];
  if (challenge.algorithmNamed) parameters.push(["algorithm", algorithm]);
  if (qop !== undefined || challenge.session) parameters.push(["cnonce", clientNonce]);
  if (opaque !== undefined) parameters.push(["opaque", opaque]);
  if (qop !== undefined) parameters.push(["qop", qop], ["nc", nonceCount]);
  return parameters;
}
