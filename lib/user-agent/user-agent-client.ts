/** The sending half of the user agent (RFC 3261 §8.1): starts exchanges, sends the ACKs of 2xx, knows what is under way. */
import { UNWATCHED } from "../foundation/index.js";
import type { Clock, Logger, SipError } from "../foundation/index.js";
import { serializeMessage, type SipRequest, type SipResponse, type Uri } from "../message/index.js";
import type {
  AccountHandle,
  OutgoingRequest,
  OutgoingRequestOptions,
  Session,
} from "../session/index.js";
import type { TimerOptions, TransactionLayer } from "../transaction/index.js";
import type { Flow, FlowCallback, FlowTarget, TransportLayer } from "../transport/transport.js";
import type { ClientEnvironment, CredentialStore, Destination } from "./client-environment.js";
import { ClientExchange, type ExchangeOptions } from "./client-exchange.js";
import type { Question } from "./credential-questions.js";
import type { Destinations } from "./destinations.js";
import { copyRequest } from "./routing.js";
import type { Supplements } from "./supplements.js";
import { SecurityAgreements } from "./security-agreement.js";
import { TargetHealth } from "./target-health.js";

/** Stands in a Contact header until the flow is known; no peer ever sees it. */
export const CONTACT_PLACEHOLDER = "<sip:contact.invalid>";

export interface UserAgentClientOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timers: TimerOptions;
  readonly transactions: TransactionLayer;
  readonly transport: Pick<TransportLayer, "connect">;
  readonly destinations: Destinations;
  readonly credentials: CredentialStore;
  readonly supplements: Supplements;
  contact(flow: Flow, account: AccountHandle | undefined): string;
  askForCredentials: ClientEnvironment["askForCredentials"];
  session(id: string): Session | undefined;
}

export class UserAgentClient implements ClientEnvironment {
  readonly clock: Clock;
  readonly timers: TimerOptions;
  readonly transactions: TransactionLayer;
  readonly credentials: CredentialStore;
  readonly health: TargetHealth;
  readonly agreements = new SecurityAgreements();
  readonly contactPlaceholder = CONTACT_PLACEHOLDER;
  readonly #options: UserAgentClientOptions;
  readonly #active = new Set<ClientExchange>();

  constructor(options: UserAgentClientOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.timers = options.timers;
    this.transactions = options.transactions;
    this.credentials = options.credentials;
    this.health = new TargetHealth(options.clock);
  }

  /** Exchanges without final response, and INVITEs whose transaction may still bring a 2xx. */
  get size(): number {
    return this.#active.size;
  }

  send(options: OutgoingRequestOptions): OutgoingRequest {
    return this.start(options);
  }

  start(options: ExchangeOptions): ClientExchange {
    const exchange = new ClientExchange(this, options);
    this.#active.add(exchange);
    exchange.start();
    return exchange;
  }

  /**
   * Sends the ACK for a 2xx (§13.2.2.4). It has no transaction: the function that is returned sends the same bytes
   * again.
   */
  sendAck(ack: SipRequest, nextHop: Uri, preferredFlow: Flow | undefined): () => void {
    const { supplements } = this.#options;
    if (!supplements.isEmpty) supplements.outgoingRequest(ack, undefined, undefined);
    let bytes: Buffer | undefined;
    let flow: Flow | undefined;
    let branch: string | undefined;
    const transmit = (): void => {
      if (bytes === undefined || flow === undefined) return;
      // The 2xx came again because the connection was lost before our ACK.
      if (flow.reliable && !flow.isOpen) {
        findWay();
        return;
      }
      flow.send(bytes, (error) =>
        this.#options.logger.warn(`An ACK could not be sent: ${error.message}`),
      );
    };
    const fail = (error: SipError | undefined): void =>
      this.#options.logger.warn(`An ACK has no way to the peer: ${error?.message ?? "unknown"}`);
    const tryTargets = (targets: readonly FlowTarget[], index: number): void => {
      const target = targets[index];
      if (target === undefined) return;
      this.connect(target, (error, found) => {
        if (found !== undefined) {
          flow = found;
          branch = this.transactions.addVia(ack, found, branch);
          bytes = serializeMessage(ack);
          transmit();
        } else if (index + 1 < targets.length) {
          tryTargets(targets, index + 1);
        } else {
          fail(error);
        }
      });
    };
    const options: ExchangeOptions = {
      ...UNWATCHED,
      nextHop,
      preferredFlow,
      account: undefined,
      inDialog: true,
      build: () => ack,
      onResponse: () => undefined,
      onFailure: () => undefined,
    };
    const findWay = (): void =>
      this.#options.destinations.locate(options, (error, destination) => {
        if (destination === undefined) fail(error);
        else tryTargets(this.health.order(destination.targets), 0);
      });
    findWay();
    return transmit;
  }

  contact(flow: Flow, account: AccountHandle | undefined): string {
    return this.#options.contact(flow, account);
  }

  locate(
    options: ExchangeOptions,
    callback: (error: SipError | undefined, destination: Destination | undefined) => void,
  ): void {
    // The flow of an earlier message of this dialog is at hand: no need to look for the way again.
    this.#options.destinations.locate(options, callback);
  }

  connect(target: FlowTarget, callback: FlowCallback): void {
    this.#options.transport.connect(target, callback);
  }

  askForCredentials(
    question: Question,
    decided: (given: boolean) => void,
  ): (() => void) | undefined {
    return this.#options.askForCredentials(question, decided);
  }

  prepare(request: SipRequest, options: ExchangeOptions): Promise<void> | undefined {
    const { supplements } = this.#options;
    if (supplements.isEmpty) return undefined;
    return supplements.prepareRequest(request, options.account?.id, this.#sessionOf(options));
  }

  beforeSending(request: SipRequest, options: ExchangeOptions): SipRequest {
    const { supplements } = this.#options;
    if (supplements.isEmpty) return request;
    const copy = copyRequest(request);
    supplements.outgoingRequest(copy, options.account?.id, this.#sessionOf(options));
    return copy;
  }

  onReceived(response: SipResponse, request: SipRequest, options: ExchangeOptions): void {
    const { supplements } = this.#options;
    if (supplements.isEmpty) return;
    const accountId = options.account?.id;
    supplements.incomingResponse(response, request, accountId, this.#sessionOf(options));
  }

  #sessionOf({ session }: ExchangeOptions): Session | undefined {
    return session === undefined ? undefined : this.#options.session(session.id);
  }

  ended(exchange: ClientExchange): void {
    this.#active.delete(exchange);
  }

  /** When this is a request of ours that came back to us: for which account it was sent. */
  sent(request: SipRequest): { readonly accountId: string | undefined } | undefined {
    for (const exchange of this.#active) {
      if (exchange.request?.callId === request.callId) return { accountId: exchange.accountId };
    }
    return undefined;
  }

  /** Stops everything silently. */
  close(): void {
    for (const exchange of [...this.#active]) exchange.abandon();
    this.#active.clear();
  }
}
