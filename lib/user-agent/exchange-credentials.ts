/**
 * The credentials of one outgoing request: what its server is known to ask for, the answer to a challenge, and the
 * question to the application where nobody knows a password (RFC 3261 §22, RFC 8760).
 */
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Authorization } from "./account-credentials.js";
import type { AuthContext, ClientEnvironment } from "./client-environment.js";

/**
 * Requests with credentials per exchange. The second is for servers whose nonce can be used once but who do not call
 * an old one stale; a third would only help a guesser (RFC 3261 §22.1).
 */
const MOST_TRIES = 2;

export interface CredentialsHost {
  /** Who is asked at present. */
  context(): AuthContext;
  /** Makes the same request anew, with the next number. */
  repeat(request: SipRequest): void;
  /** The application has answered the question, or nobody will. */
  decided(outcome: "retry" | "refused"): void;
}

export class ExchangeCredentials {
  readonly #environment: ClientEnvironment;
  readonly #host: CredentialsHost;
  /** The answer to the last challenge, not sent yet. */
  #answer: Authorization | undefined;
  readonly #sent: Authorization[] = [];
  #challengesAnswered = 0;
  /** The response with the challenge that the application is asked about. */
  #asked: SipResponse | undefined;
  /** Takes the question back. */
  #withdraw: (() => void) | undefined;

  constructor(environment: ClientEnvironment, host: CredentialsHost) {
    this.#environment = environment;
    this.#host = host;
  }

  /** The response that was asked about last. */
  get asked(): SipResponse | undefined {
    return this.#asked;
  }

  /** Puts the answer to the last challenge into a request, and what else this server is known to ask for. */
  authorize(request: SipRequest): void {
    const answer = this.#answer;
    // A nonce is counted up by each use: no second one beside the answer to its challenge.
    const isAlone = answer !== undefined && this.#sent.every((sent) => isSamePlace(sent, answer));
    const known = isAlone
      ? []
      : this.#environment.credentials.preauthorize(request, this.#host.context());
    if (known.length + this.#sent.length === 0 && answer === undefined) return;
    request.headers.delete("authorization");
    request.headers.delete("proxy-authorization");
    for (const authorization of known) {
      if (!isSamePlace(authorization, answer)) this.#add(request, authorization);
    }
    if (answer !== undefined) this.#add(request, answer);
    this.#answer = undefined;
  }

  /**
   * A challenge came.
   *
   * @returns `retry`: the request goes again; `challenged`: the application is asked, `decided` follows; undefined: the
   *   response is final.
   */
  challenged(response: SipResponse, request: SipRequest): "retry" | "challenged" | undefined {
    return this.#challenged(response, request, true);
  }

  /** The request is given up: nobody need look for credentials any more. */
  withdraw(): void {
    const withdraw = this.#withdraw;
    this.#withdraw = undefined;
    withdraw?.();
  }

  #challenged(
    response: SipResponse,
    request: SipRequest,
    mayAsk: boolean,
  ): "retry" | "challenged" | undefined {
    const { credentials } = this.#environment;
    const context = this.#host.context();
    let answer = credentials.answer(response, request, context);
    // A nonce that worked before is asked for again: the server counts anew. Only once, for what it did not ask for.
    if (this.#challengesAnswered === 0 && "header" in answer && this.#hasSent(answer)) {
      credentials.forget(context, answer.realm);
      answer = credentials.answer(response, request, context);
    }
    if ("refused" in answer) {
      const { refused, askable = false } = answer;
      const isAsked = this.#ask(response, request, refused, askable && mayAsk);
      return isAsked ? "challenged" : undefined;
    }
    const tries = this.#sent.filter((each) => isSamePlace(each, answer)).length;
    // The same nonce again means that the password is wrong (RFC 3261 §22.1).
    const sameNonce = this.#challengesAnswered > 0 && this.#hasSent(answer);
    if (
      tries >= MOST_TRIES ||
      this.#challengesAnswered >= MOST_TRIES ||
      (sameNonce && !answer.stale)
    ) {
      credentials.forget(context, answer.realm);
      this.#ask(response, request, "user name or password are wrong", false);
      return undefined;
    }
    this.#challengesAnswered++;
    this.#answer = answer;
    this.#host.repeat(request);
    return "retry";
  }

  /** Tells of the challenge. @returns true when the application is looking for credentials. */
  #ask(response: SipResponse, request: SipRequest, refused: string, askable: boolean): boolean {
    const question = { response, request, context: this.#host.context(), refused, askable };
    this.#asked = response;
    this.#withdraw = this.#environment.askForCredentials(question, (given) => {
      // Taken back meanwhile: the request has gone another way.
      if (this.#withdraw === undefined) return;
      this.#withdraw = undefined;
      const isAnswered = given && this.#challenged(response, request, false) === "retry";
      this.#host.decided(isAnswered ? "retry" : "refused");
    });
    return this.#withdraw !== undefined;
  }

  /** Has this exchange had credentials for the nonce of this answer? */
  #hasSent(answer: Authorization): boolean {
    return this.#sent.some(
      (each) => isSamePlace(each, answer) && nonceOf(each) === nonceOf(answer),
    );
  }

  #add(request: SipRequest, authorization: Authorization): void {
    request.headers.add(authorization.header, authorization.value);
    this.#sent.push(authorization);
  }
}

function nonceOf({ value }: Authorization): string | undefined {
  return /[ ,]nonce="([^"]*)"/.exec(value)?.[1];
}

function isSamePlace(a: Authorization, b: Authorization | undefined): boolean {
  return b !== undefined && a.header === b.header && a.realm === b.realm;
}
