/**
 * Which challenges get the password of an account (RFC 3261 §22, reliability plan "digest as client"): only those of
 * the account's own registrar and proxy, only for realms of theirs, and never one that the called peer of a dialog
 * could have sent through them.
 */
import {
  answerChallenge,
  challengesOf,
  CredentialCache,
  preauthorize,
  type AuthorizeOptions,
  type CredentialsHeader,
  type DigestCredentials,
} from "../auth/index.js";
import type { RandomSource } from "../foundation/index.js";
import { SipUri, type SipRequest, type SipResponse } from "../message/index.js";
import type { AuthContext, CredentialStore } from "./client-environment.js";
import { GivenCredentials } from "./given-credentials.js";
import type { ManagedAccount } from "./managed-account.js";

/** One Authorization or Proxy-Authorization line. */
export interface Authorization {
  readonly header: CredentialsHeader;
  readonly value: string;
  readonly realm: string;
  /** It answers a challenge that only said that the nonce was too old. */
  readonly stale: boolean;
}

/**
 * `refused`: why a challenge gets no answer, as half a sentence for people. `askable`: there are no credentials for
 * this realm and server, and the application may have some.
 */
export type ChallengeAnswer =
  Authorization | { readonly refused: string; readonly askable?: boolean };

const MOST_REALMS = 16;

export class AccountCredentials implements CredentialStore {
  readonly #random: RandomSource;
  readonly #find: (accountId: string) => ManagedAccount | undefined;
  readonly #given: GivenCredentials;
  readonly #cache = new CredentialCache();

  /**
   * @param find - the account behind a handle, as long as it exists.
   * @param given - what the application gave for servers that are no account's.
   */
  constructor(
    random: RandomSource,
    find: (accountId: string) => ManagedAccount | undefined,
    given = new GivenCredentials(),
  ) {
    this.#random = random;
    this.#find = find;
    this.#given = given;
  }

  preauthorize(request: SipRequest, context: AuthContext): readonly Authorization[] {
    const own = this.#preauthorizeOwn(request, context);
    if (own.length > 0 || context.inDialog) return own;
    return this.#given
      .all(context)
      .flatMap((credentials) =>
        preauthorize(this.#optionsFor(credentials, givenKey(context), request)),
      );
  }

  #preauthorizeOwn(request: SipRequest, context: AuthContext): readonly Authorization[] {
    const account = this.#accountOf(context);
    if (account === undefined || context.inDialog || !isOwnServer(account, context)) return [];
    const options = this.#options(account, request, context);
    return options === undefined ? [] : preauthorize(options);
  }

  answer(response: SipResponse, request: SipRequest, context: AuthContext): ChallengeAnswer {
    const own = this.#answerOwn(response, request, context);
    if ("header" in own || own.askable !== true) return own;
    // A called peer that asks inside of a dialog gets nothing but what was given for exactly this server and realm.
    if (context.inDialog && request.headers.has("route")) return { refused: own.refused };
    const challenges = challengesOf(response);
    for (const { parameters } of challenges) {
      const credentials = this.#given.find(context, parameters.get("realm") ?? "");
      if (credentials === undefined) continue;
      const options = this.#optionsFor(credentials, givenKey(context), request);
      const answer = answerChallenge({ ...options, challenges });
      if ("header" in answer) return answer;
    }
    return context.inDialog ? { refused: own.refused } : own;
  }

  #answerOwn(response: SipResponse, request: SipRequest, context: AuthContext): ChallengeAnswer {
    const account = this.#accountOf(context);
    if (account === undefined)
      return { refused: "the request was sent without account", askable: true };
    if (!isOwnServer(account, context)) {
      return {
        refused: "the server that asks is not the registrar or proxy of the account",
        askable: true,
      };
    }
    if (context.inDialog && request.headers.has("route")) {
      // Behind the proxy stands the called peer; a dialog gives its requests no second check by the proxy.
      return { refused: "the called peer may be the one who asks" };
    }
    const options = this.#options(account, request, context);
    if (options === undefined) return { refused: "the account has no password", askable: true };
    // A REGISTER ends at the registrar: nobody behind it can ask, so a realm that the server renamed is learnt there.
    const challenges = challengesOf(response).filter(
      ({ parameters }) =>
        (request.method === "REGISTER" && parameters.has("realm")) ||
        isOwnRealm(account, parameters.get("realm"), context.inDialog),
    );
    if (challenges.length === 0) {
      return { refused: "the realm is not that of the account's server", askable: true };
    }
    const answer = answerChallenge({ ...options, challenges });
    if ("header" in answer && account.realms.size < MOST_REALMS) account.realms.add(answer.realm);
    return answer;
  }

  /** The server refused what we sent: it is asked anew the next time. */
  forget(context: AuthContext, realm: string): void {
    const given = this.#given.find(context, realm);
    if (given !== undefined) {
      this.#given.forget(context, realm);
      this.#cache.forget(givenKey(context), given.user);
    }
    const account = this.#accountOf(context);
    if (account !== undefined) {
      this.#cache.forget(serverKey(account, context), account.settings.authUser);
    }
  }

  #accountOf(context: AuthContext): ManagedAccount | undefined {
    return context.account === undefined ? undefined : this.#find(context.account.id);
  }

  #options(
    account: ManagedAccount,
    request: SipRequest,
    context: AuthContext,
  ): AuthorizeOptions | undefined {
    const { authUser, password } = account.settings;
    if (password === undefined) return undefined;
    return this.#optionsFor({ user: authUser, password }, serverKey(account, context), request);
  }

  #optionsFor(credentials: DigestCredentials, key: string, request: SipRequest): AuthorizeOptions {
    return {
      credentials,
      method: request.method,
      uri: request.uri,
      body: request.body,
      random: this.#random,
      cache: this.#cache,
      serverKey: key,
    };
  }
}

/** Apart from what the account's own password has opened. */
function givenKey({ account, target }: AuthContext): string {
  return `given ${account?.id ?? ""}@${target.address}:${target.port}`;
}

function serverKey(account: ManagedAccount, context: AuthContext): string {
  return `${account.id}@${context.target.address}:${context.target.port}`;
}

function isOwnServer(account: ManagedAccount, context: AuthContext): boolean {
  return context.isOwnServer || account.servers.includes(context.target);
}

/**
 * A realm is ours when our server used it before, or when it is named after that server. The first one ever is
 * believed, outside of dialogs: there is nothing to hold it against.
 */
function isOwnRealm(
  account: ManagedAccount,
  realm: string | undefined,
  inDialog: boolean,
): boolean {
  if (realm === undefined) return false;
  if (account.realms.has(realm)) return true;
  if (inDialog) return false;
  const { uri, registrar, outboundProxy } = account.settings;
  const hosts = [uri, registrar.uri, outboundProxy?.uri].map((server) =>
    server instanceof SipUri ? server.host : "",
  );
  const name = realm.toLowerCase();
  const isNamedAfterServer = hosts.some((host) => host === name || host.endsWith(`.${name}`));
  return (
    account.realms.size === 0 || (name.includes(".") && isNamedAfterServer) || hosts.includes(name)
  );
}
