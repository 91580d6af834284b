/**
 * Challenges that nobody here has credentials for, put to the application (contract §4.6 "Credentials from the
 * flow"): event `challenge`, held while a flow that asked for it looks for an answer.
 */
import { challengesOf, strongestChallenge } from "../auth/index.js";
import { InvalidArgumentError } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type {
  AcceptRequestOptions,
  ActionOutcome,
  HoldOptions,
  PendingRequest,
} from "../session/index.js";
import type { AuthContext } from "./client-environment.js";
import type { StackEvent } from "./events.js";
import type { GivenCredentials } from "./given-credentials.js";
import type { ManagedAccount } from "./managed-account.js";

const MOST_ALGORITHMS = 8;

export interface CredentialQuestionsOptions {
  readonly given: GivenCredentials;
  account(id: string): ManagedAccount | undefined;
  hold(options: HoldOptions): PendingRequest | undefined;
  report(event: StackEvent): void;
}

export interface Question {
  readonly response: SipResponse;
  readonly request: SipRequest;
  readonly context: AuthContext;
  /** Why there is no answer, as half a sentence for people. */
  readonly refused: string;
  /** False: it is only told, nobody can help. */
  readonly askable: boolean;
}

export class CredentialQuestions {
  readonly #options: CredentialQuestionsOptions;

  constructor(options: CredentialQuestionsOptions) {
    this.#options = options;
  }

  /**
   * Reports the challenge. @returns undefined when nobody holds it; else takes it back, for a request that is given up
   * meanwhile. `decided` is called once, later, with true when there are credentials now.
   */
  ask(question: Question, decided: (given: boolean) => void): (() => void) | undefined {
    const { response, request, context, refused, askable } = question;
    const challenge = askable ? strongestChallenge(challengesOf(response)) : undefined;
    let holding = true;
    const pending =
      challenge === undefined
        ? undefined
        : this.#options.hold({
            request,
            eventName: "challenge",
            session: undefined,
            account: context.account,
            check: (options) => void this.#credentialsOf(options),
            accept: (options) => {
              const { user, password } = this.#credentialsOf(options);
              this.#options.given.store(context, challenge.realm, user, password);
              decided(true);
              return Promise.resolve(taken(response));
            },
            reject: () => {
              decided(false);
              return Promise.resolve(taken(response));
            },
            fallback: () => {
              if (!holding) decided(false);
            },
          });
    holding = false;
    this.#options.report({
      name: "challenge",
      accountId: context.account?.id,
      message: response,
      statusCode: response.statusCode,
      reason: response.reason,
      text: refused,
      pending,
      ...(challenge === undefined
        ? {}
        : {
            challenge: {
              realm: challenge.realm,
              algorithms: algorithmsOf(response, challenge.realm),
            },
          }),
    });
    // The promise of a rejection that only calls `decided` has nothing to tell.
    return pending === undefined ? undefined : () => void pending.reject();
  }

  /** @throws InvalidArgumentError rule `no-credentials` or `no-account`; its text holds neither name nor password. */
  #credentialsOf(options: AcceptRequestOptions): { user: string; password: string } {
    const { credentials, account: id } = options;
    if (credentials !== undefined) {
      const { user, password } = credentials;
      if (typeof user === "string" && user !== "" && typeof password === "string") {
        return { user, password };
      }
      throw new InvalidArgumentError("Credentials have the texts user and password.", {
        rule: "no-credentials",
      });
    }
    if (id === undefined) {
      throw new InvalidArgumentError(
        "A challenge needs an account, or credentials with user and password.",
        { rule: "no-credentials" },
      );
    }
    const account = this.#options.account(id);
    if (account === undefined) {
      throw new InvalidArgumentError("This account does not exist in this SIP stack.", {
        rule: "no-account",
      });
    }
    const { authUser, password } = account.settings;
    if (password !== undefined) return { user: authUser, password };
    throw new InvalidArgumentError("This account has no password.", { rule: "no-credentials" });
  }
}

function taken({ statusCode, reason }: SipResponse): ActionOutcome {
  return { ok: true, statusCode, reason };
}

/** Names of the algorithms offered in this realm, as the server writes them. */
function algorithmsOf(response: SipResponse, realm: string): string[] {
  const names = challengesOf(response)
    .filter(({ parameters }) => parameters.get("realm") === realm)
    .map(({ parameters }) => parameters.get("algorithm") ?? "MD5");
  return [...new Set(names)].slice(0, MOST_ALGORITHMS);
}
