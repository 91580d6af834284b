/**
 * One outgoing request from the address it goes to until its final response: resolving, failover to the next
 * server, large requests over TCP, credentials, and CANCEL (RFC 3261 §8.1, §9.1, §18.1.1, §22; RFC 3263 §4.3).
 */
import {
  errorText,
  InvalidStateError,
  SipError,
  StateMachine,
  TransactionTimeoutError,
  TransportError,
  UNWATCHED,
  type Timer,
} from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type {
  HeaderList,
  LateResponseUser,
  OutgoingRequest,
  OutgoingRequestOptions,
} from "../session/index.js";
import type { ClientTransaction, ClientTransactionUser } from "../transaction/index.js";
import { preferReliable } from "../transport/index.js";
import type { Flow, FlowTarget } from "../transport/transport.js";
import {
  exchangeMachine,
  type ExchangeAction,
  type ExchangeInput,
  type ExchangeState,
} from "./client-exchange-state.js";
import type { AuthContext, ClientEnvironment, Destination } from "./client-environment.js";
import { sendCancel } from "./exchange-cancel.js";
import { ExchangeAgreement } from "./exchange-agreement.js";
import { ExchangeCredentials } from "./exchange-credentials.js";
import { applyRoutes, copyRequest } from "./routing.js";

/**
 * Silence, in T1, after which the next server is tried over UDP, if there is one. DEVIATION: RFC 3263 §4.3 waits for Timers B
 * and F; a registration would be away, and a call could not be hung up, for 32 s with each dead server.
 */
const PATIENCE_T1 = 16;
/** Answered at once by whoever is there; with other methods an application may take its time. */
const PROMPT_METHODS: ReadonlySet<string> = new Set([
  "INVITE",
  "BYE",
  "REGISTER",
  "OPTIONS",
  "PRACK",
]);

/** Responses that are remembered to know repetitions. */
const MOST_SHOWN = 64;

/** A request of the user agent's own may be built anew for each flow, REGISTER for its Contact. */
export interface ExchangeOptions extends OutgoingRequestOptions {
  readonly isRegister?: boolean;
  readonly buildPerFlow?: boolean;
}

export class ClientExchange implements OutgoingRequest {
  readonly #environment: ClientEnvironment;
  readonly #options: ExchangeOptions;
  readonly #machine: StateMachine<
    ExchangeState,
    ExchangeInput,
    ExchangeAction,
    SipResponse | undefined
  >;
  #destination: Destination | undefined;
  #targets: FlowTarget[] = [];
  /** Place of the present target. */
  #index = 0;
  #error: SipError | undefined;
  #request: SipRequest | undefined;
  #flow: Flow | undefined;
  #transaction: ClientTransaction | undefined;
  /** The final response was a 2xx. */
  #isAnswered = false;
  /** The transaction has ended. */
  #terminated = false;
  /** The request without what supplements did to it; the next transmission begins with it. */
  #plain: SipRequest | undefined;
  /** Finals of an INVITE and reliable 1xx that supplements have seen. */
  readonly #shown: string[] = [];
  /** A request was sent: the next transmission needs a copy. */
  #sent = false;
  /** The request has a Contact that belongs to its flow. */
  #wantsContact = false;
  #rang = false;
  /** The connection was lost once before a response came, and the request goes to this server again. */
  #lost: { readonly host: string; readonly branch: string | undefined } | undefined;
  /** The connection was open before this request, or has brought an answer. */
  #reused = false;
  #starting = false;
  #abandoned = false;
  readonly #credentials: ExchangeCredentials;
  readonly #agreement: ExchangeAgreement;
  #patience: Timer | undefined;
  #cancelHeaders: HeaderList = [];
  #cancelTimer: Timer | undefined;
  #expiry: Timer | undefined;

  constructor(environment: ClientEnvironment, options: ExchangeOptions) {
    this.#environment = environment;
    this.#options = options;
    this.#agreement = new ExchangeAgreement(environment.agreements);
    this.#credentials = new ExchangeCredentials(environment, {
      ...UNWATCHED,
      context: () => this.#authContext(),
      repeat: (request) => this.#repeat(request),
      decided: (outcome) => {
        if (this.state === "asking") this.#input(outcome);
      },
    });
    this.#machine = new StateMachine(exchangeMachine, (action, response) =>
      this.#perform(action, response),
    );
  }

  get request(): SipRequest | undefined {
    return this.#request;
  }

  get flow(): Flow | undefined {
    return this.#flow;
  }

  get accountId(): string | undefined {
    return this.#options.account?.id;
  }

  get state(): ExchangeState {
    return this.#machine.state;
  }

  /** The server that is being tried, or was tried last. */
  get target(): FlowTarget | undefined {
    return this.#targets[this.#index];
  }

  start(): void {
    this.#starting = true;
    this.#locate();
    this.#starting = false;
  }

  #locate(): void {
    this.#environment.locate(this.#options, (error, destination) => {
      if (destination === undefined || destination.targets.length === 0) {
        this.#error = error ?? new TransportError("There is no way to the target.", "");
        this.#input("unreachable");
        return;
      }
      this.#destination = destination;
      this.#targets = this.#environment.health.order(destination.targets);
      this.#input("targets");
    });
  }

  cancel(headers: HeaderList = []): void {
    const { state } = this;
    const wasSent =
      state !== "resolving" && state !== "connecting" && state !== "building" && state !== "asking";
    // Only an INVITE can be cancelled once it was sent (RFC 3261 §9.1).
    if (wasSent && this.#request?.method !== "INVITE") return;
    this.#cancelHeaders = headers;
    this.#input("cancel");
  }

  expire(): void {
    if (this.state === "completed" || this.state === "ended") return;
    const { clock, timers } = this.#environment;
    this.#expiry ??= clock.setTimer(64 * timers.t1, () => this.#input("expired"));
  }

  settle(late: LateResponseUser): void {
    const [transaction, flow] = [this.#transaction, this.#flow];
    if (this.state !== "completed" || transaction === undefined || flow === undefined) return;
    // After a refusal nothing more comes.
    transaction.replaceUser(this.#isAnswered ? lateUser(late, flow) : NOBODY);
    this.#input("abandon");
  }

  abandon(): void {
    this.#abandoned = true;
    this.#input("abandon");
  }

  #input(input: ExchangeInput, response?: SipResponse): void {
    this.#machine.input(input, response);
    if (this.state !== "calling") this.#patience?.cancel();
    if (this.state !== "asking") this.#credentials.withdraw();
    // After its 2xx an INVITE stays until its transaction ends: other forks may answer as well.
    const mayForkOn = this.#request?.method === "INVITE" && !this.#terminated;
    const isOver = this.state === "ended" || (this.state === "completed" && !mayForkOn);
    if (isOver || this.state === "completed") this.#expiry?.cancel();
    if (!isOver) return;
    // The transaction lingers for Timer K and would keep all that this exchange was for.
    if (this.state === "completed") this.#transaction?.replaceUser(NOBODY);
    this.#environment.ended(this);
  }

  #perform(action: ExchangeAction, response: SipResponse | undefined): void {
    switch (action) {
      case "connect":
        return this.#connect();
      case "reconnect":
        return this.#reconnect();
      case "build":
        return this.#build();
      case "transmit":
        return this.#transmit();
      case "passUp":
        return this.#passUp(response);
      case "passUpChallenge":
        return this.#passUp(this.#credentials.asked);
      case "sendCancel":
        return this.#sendCancel();
      case "stopCancelTimer":
        return this.#cancelTimer?.cancel();
      case "closeTransaction":
        return this.#transaction?.close();
      case "failUnsent":
        return this.#failLater(
          new InvalidStateError("The request was cancelled before it was sent.", {
            rule: "cancelled",
          }),
        );
      case "failExpired":
        return this.#options.onFailure(
          new TransactionTimeoutError("No final response came after the CANCEL."),
        );
      case "fail": {
        const error = this.#error ?? new TransportError("The request could not be sent.", "");
        // Whoever sends must have the request in hand before it hears of its failure.
        return this.#starting ? this.#failLater(error) : this.#options.onFailure(error);
      }
    }
  }

  get #target(): FlowTarget {
    return this.#targets[this.#index];
  }

  /** Goes on to the next target, or ends with the error when there is none. */
  #giveUpTarget(error: SipError): void {
    this.#error = error;
    const mayGoOn =
      this.state === "connecting" || this.state === "calling" || this.state === "proceeding";
    if (mayGoOn && this.#index + 1 < this.#targets.length) {
      this.#index++;
      this.#input("nextTarget");
    } else {
      this.#input("unreachable");
    }
  }

  #connect(): void {
    const target = this.#target;
    const attempt = this.#index;
    let atOnce = true;
    this.#environment.connect(target, (error, flow) => {
      if (this.state !== "connecting" || this.#index !== attempt) return;
      if (flow === undefined) {
        this.#environment.health.failed(target);
        this.#giveUpTarget(error ?? new TransportError("No connection.", target.address));
        return;
      }
      this.#flow = flow;
      // Only what is open already calls back at once.
      this.#reused = atOnce;
      this.#input("flow");
    });
    atOnce = false;
  }

  /** The server of before comes first: it may have the request already, and knows it by its branch. */
  #reconnect(): void {
    const host = this.#lost?.host;
    this.#environment.locate(this.#options, (error, destination) => {
      if (this.state !== "connecting") return;
      const targets = destination?.targets ?? [];
      if (targets.length === 0) {
        this.#error = error ?? this.#error;
        this.#input("unreachable");
        return;
      }
      this.#targets = [
        ...targets.filter((target) => hostKey(target) === host),
        ...targets.filter((target) => hostKey(target) !== host),
      ];
      this.#index = 0;
      this.#connect();
    });
  }

  #build(): void {
    const flow = this.#flow as Flow;
    if (this.#request !== undefined && this.#options.buildPerFlow !== true) {
      this.#checkSize(this.#request);
      return;
    }
    try {
      const built = this.#options.build(flow);
      if (built instanceof Promise) {
        built.then(
          (request) => this.#built(request),
          (error: unknown) => this.#buildFailed(error),
        );
      } else {
        this.#built(built);
      }
    } catch (error) {
      this.#buildFailed(error);
    }
  }

  #built(request: SipRequest): void {
    if (this.state !== "building") return;
    this.#request = request;
    this.#sent = false;
    this.#wantsContact = request.headers.get("contact") === this.#environment.contactPlaceholder;
    const { preferredIdentity } = this.#options;
    if (preferredIdentity !== undefined && this.#isOwnServer) {
      if (!request.headers.has("p-preferred-identity")) {
        request.headers.add("P-Preferred-Identity", preferredIdentity);
      }
    }
    applyRoutes(request, this.#destination?.routes ?? []);
    const preparation = this.#environment.prepare(request, this.#options);
    if (preparation === undefined) {
      this.#checkSize(request);
      return;
    }
    void preparation.then(() => {
      if (this.state === "building" && this.#request === request) this.#checkSize(request);
    });
  }

  #buildFailed(error: unknown): void {
    this.#error =
      error instanceof SipError ? error : new InvalidStateError(errorText(error), { cause: error });
    this.#input("buildFailed");
  }

  #checkSize(request: SipRequest): void {
    const target = this.#target;
    if (target.protocol === "udp" && target.mayUseTcp !== false) {
      const reliable = preferReliable(target, roughSize(request));
      if (reliable !== target) {
        // When TCP is refused, the datagram it was meant to be is next (RFC 3261 §18.1.1).
        this.#targets.splice(this.#index, 1, reliable, { ...target, mayUseTcp: false });
        this.#input("tooLarge");
        return;
      }
    }
    this.#input("built");
  }

  #transmit(): void {
    const flow = this.#flow as Flow;
    const branch = this.#branchOfBefore();
    const request = this.#prepareTransmission(flow, branch !== undefined);
    this.#terminated = false;
    let current: ClientTransaction | undefined;
    const isCurrent = (): boolean => current === undefined || current === this.#transaction;
    try {
      current = this.#environment.transactions.request(
        request,
        flow,
        {
          ...UNWATCHED,
          onResponse: (response) => {
            if (isCurrent()) this.#onResponse(response, request);
          },
          onFailure: (error) => {
            if (isCurrent()) this.#onTransactionFailure(error);
          },
          onTerminated: () => {
            if (!isCurrent()) return;
            this.#terminated = true;
            if (this.state === "completed") this.#input("abandon");
          },
        },
        branch,
      );
    } catch (error) {
      this.#buildFailedAfter(error);
      return;
    }
    this.#transaction = current;
    this.#losePatience(current, flow);
    this.#options.onSent?.(request, flow);
  }

  /** @param isRepetition - the very same goes out again. */
  #prepareTransmission(flow: Flow, isRepetition: boolean): SipRequest {
    let request = this.#request as SipRequest;
    if (this.#sent && !isRepetition) request = copyRequest(this.#plain ?? request);
    this.#sent = true;
    if (this.#wantsContact) {
      request.headers.set("Contact", this.#environment.contact(flow, this.#options.account));
    }
    if (isRepetition) return request;
    this.#agreement.apply(request, this.#target, this.#isOwnServer);
    this.#plain = request;
    request = this.#environment.beforeSending(request, this.#options);
    this.#request = request;
    this.#credentials.authorize(request);
    return request;
  }

  /** Of the same request over the connection that was lost, when this is the same server (RFC 3261 §17.1.3). */
  #branchOfBefore(): string | undefined {
    const lost = this.#lost;
    if (lost?.branch === undefined || hostKey(this.#target) !== lost.host) return undefined;
    this.#lost = { host: lost.host, branch: undefined };
    return lost.branch;
  }

  #losePatience(transaction: ClientTransaction, flow: Flow): void {
    this.#patience?.cancel();
    const isPrompt = PROMPT_METHODS.has(this.#request?.method ?? "");
    if (!isPrompt || flow.reliable || this.#index + 1 >= this.#targets.length) return;
    const { clock, timers } = this.#environment;
    this.#patience = clock.setTimer(PATIENCE_T1 * timers.t1, () => {
      if (this.state !== "calling" || this.#transaction !== transaction) return;
      transaction.close();
      this.#onTransactionFailure(new TransactionTimeoutError("The server did not answer in time."));
    });
  }

  /** What cannot be written (a line break in a header) is a mistake of the caller. */
  #buildFailedAfter(error: unknown): void {
    this.#error =
      error instanceof SipError ? error : new InvalidStateError(errorText(error), { cause: error });
    this.#input("unreachable");
  }

  get #isOwnServer(): boolean {
    return this.#destination?.isOwnServer ?? false;
  }

  #authContext(): AuthContext {
    return {
      account: this.#options.account,
      target: this.#targets[this.#index],
      isOwnServer: this.#isOwnServer,
      inDialog: this.#options.inDialog,
    };
  }

  #onResponse(response: SipResponse, request: SipRequest): void {
    const { statusCode } = response;
    // Whoever answers and then closes the connection may take the next request over another.
    this.#reused = true;
    if (this.#isNew(response)) this.#environment.onReceived(response, request, this.#options);
    if (statusCode < 200) {
      if (statusCode > 100) this.#rang = true;
      this.#environment.health.succeeded(this.#target);
      this.#input("provisional", response);
      return;
    }
    const mayRetry = this.state === "calling" || this.state === "proceeding";
    if (mayRetry && statusCode === 494) {
      if (this.#agreement.agree(response, this.#target, this.#isOwnServer)) {
        this.#repeat(request);
        this.#input("retry");
        return;
      }
    }
    const isChallenge =
      statusCode === 401 || statusCode === 407 || this.#agreement.isAgreed(response);
    if (mayRetry && isChallenge) {
      const next = this.#credentials.challenged(response, request);
      if (next !== undefined) {
        this.#input(next);
        return;
      }
    }
    if (statusCode === 503) {
      this.#environment.health.failed(this.#target, response.seconds("retry-after"));
      if (mayRetry && !this.#rang && this.#index + 1 < this.#targets.length) {
        this.#index++;
        this.#input("nextTarget");
        return;
      }
    } else {
      this.#environment.health.succeeded(this.#target);
    }
    this.#isAnswered = statusCode < 300;
    this.#input("final", response);
  }

  /** False for a repeated 2xx (RFC 6026) or reliable 1xx (RFC 3262), which transactions pass on. */
  #isNew(response: SipResponse): boolean {
    const { statusCode, headers } = response;
    const sequence = headers.get("rseq");
    if (response.cseq.method !== "INVITE" || (statusCode < 200 && sequence === undefined)) {
      return true;
    }
    const key = `${statusCode} ${sequence ?? ""} ${response.to.tag ?? ""}`;
    if (this.#shown.includes(key)) return false;
    if (this.#shown.length < MOST_SHOWN) this.#shown.push(key);
    return true;
  }

  /** The same request again, with the next number. */
  #repeat(request: SipRequest): void {
    const sequence = this.#options.nextSequence?.() ?? request.cseq.sequence + 1;
    const next = copyRequest(this.#plain ?? request);
    next.headers.set("CSeq", `${sequence} ${request.method}`);
    this.#request = next;
    this.#plain = undefined;
    this.#sent = false;
  }

  #onTransactionFailure(error: SipError): void {
    const isTimeout = error instanceof TransactionTimeoutError;
    if (isTimeout) this.#flow?.unanswered?.(64 * this.#environment.timers.t1);
    // Silence on a connection that turns out to be dead says nothing about the peer.
    const isDead = !isTimeout || (this.#reused && this.#flow?.isOpen === false);
    if (isDead && this.#lostConnection(error)) return;
    this.#environment.health.failed(this.#target);
    // A peer that has answered already must not be asked twice (RFC 3261 §8.1.3.1).
    if (this.#rang) {
      this.#error = error;
      this.#input("unreachable");
    } else {
      this.#giveUpTarget(error);
    }
  }

  /**
   * A connection that was open for long may be dead without our knowing: the request gets one more, once. A REGISTER
   * that was the first on its connection comes again by itself.
   */
  #lostConnection(error: SipError): boolean {
    if (this.#flow?.reliable !== true || this.#rang || this.#lost || this.state !== "calling") {
      return false;
    }
    if (this.#options.isRegister === true && !this.#reused) return false;
    const isSame = this.#options.buildPerFlow !== true;
    this.#error = error;
    this.#lost = {
      host: hostKey(this.#target),
      branch: isSame ? this.#request?.topVia.branch : undefined,
    };
    this.#input("connectionLost");
    return true;
  }

  #passUp(response: SipResponse | undefined): void {
    if (response === undefined) return;
    this.#options.onResponse(response, this.#request as SipRequest, this.#flow as Flow);
  }

  #sendCancel(): void {
    const { clock, timers } = this.#environment;
    sendCancel(this.#environment, {
      invite: this.#transaction as ClientTransaction,
      target: this.#target,
      headers: this.#cancelHeaders,
      isWanted: () => this.state === "cancelling",
    });
    this.#cancelTimer = clock.setTimer(64 * timers.t1, () => this.#input("cancelExpired"));
  }

  #failLater(error: SipError): void {
    this.#environment.clock.defer(() => {
      if (!this.#abandoned) this.#options.onFailure(error);
    });
  }
}

const NOBODY: ClientTransactionUser = { onResponse: () => undefined, onFailure: () => undefined };

/** Holds nothing of the exchange. */
function lateUser(late: LateResponseUser, flow: Flow): ClientTransactionUser {
  return {
    ...UNWATCHED,
    onResponse: (response) => late.onResponse(response, flow),
    onFailure: () => undefined,
  };
}

/** One host and protocol: a peer that connected to us listens at another port. */
function hostKey({ protocol, address }: FlowTarget): string {
  return `${protocol}:${address}`;
}

/** Bytes of a request, near enough for the question whether it fits into a datagram. */
function roughSize(request: SipRequest): number {
  const viaAndStartLine = 110 + request.uri.length;
  return viaAndStartLine + request.rawBody.length + request.headers.textLength;
}
