/** What an outgoing request needs from the user agent around it: types only. */
import type { Clock, SipError } from "../foundation/index.js";
import type { NameAddr, SipRequest, SipResponse } from "../message/index.js";
import type { AccountHandle } from "../session/index.js";
import type { TimerOptions, TransactionLayer } from "../transaction/index.js";
import type { Flow, FlowCallback, FlowTarget } from "../transport/transport.js";
import type { Authorization, ChallengeAnswer } from "./account-credentials.js";
import type { ExchangeOptions } from "./client-exchange.js";
import type { Question } from "./credential-questions.js";
import type { SecurityAgreements } from "./security-agreement.js";
import type { TargetHealth } from "./target-health.js";

/** Where a request goes. */
export interface Destination {
  /** In the order in which they are tried. */
  readonly targets: readonly FlowTarget[];
  /** Preloaded Route set. */
  readonly routes: readonly NameAddr[];
  /** True when this way leads to the account's own registrar or proxy. */
  readonly isOwnServer: boolean;
}

/** Whom a request was sent to, as far as credentials depend on it. */
export interface AuthContext {
  readonly account: AccountHandle | undefined;
  readonly target: FlowTarget;
  readonly isOwnServer: boolean;
  readonly inDialog: boolean;
}

export interface CredentialStore {
  /** Credentials that this server is known to ask for. */
  preauthorize(request: SipRequest, context: AuthContext): readonly Authorization[];
  /** The answer to a 401 or 407, or why there is none. */
  answer(response: SipResponse, request: SipRequest, context: AuthContext): ChallengeAnswer;
  /** The server refused our credentials for this realm. */
  forget(context: AuthContext, realm: string): void;
}

export interface ClientEnvironment {
  readonly clock: Clock;
  readonly timers: TimerOptions;
  readonly transactions: TransactionLayer;
  readonly health: TargetHealth;
  readonly agreements: SecurityAgreements;
  readonly credentials: CredentialStore;
  readonly contactPlaceholder: string;
  contact(flow: Flow, account: AccountHandle | undefined): string;
  locate(
    options: ExchangeOptions,
    callback: (error: SipError | undefined, destination: Destination | undefined) => void,
  ): void;
  connect(target: FlowTarget, callback: FlowCallback): void;
  /**
   * Tells of a challenge that has no answer (event `challenge`). @returns undefined when nobody looks for one, else
   * takes the question back; `decided` is called later, with true when there are credentials now.
   */
  askForCredentials(
    question: Question,
    decided: (given: boolean) => void,
  ): (() => void) | undefined;
  /** Before a request is sent for the first time. @returns what to wait for; it never rejects. */
  prepare(request: SipRequest, options: ExchangeOptions): Promise<void> | undefined;
  /** Shows what is sent to the supplements; they change a copy. @returns the request to send. */
  beforeSending(request: SipRequest, options: ExchangeOptions): SipRequest;
  /** Shows a response, once, to the supplements. */
  onReceived(response: SipResponse, request: SipRequest, options: ExchangeOptions): void;
  /** The exchange has ended. */
  ended(exchange: object): void;
}
