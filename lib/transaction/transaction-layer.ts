/**
 * The transaction layer (RFC 3261 §17): finds the transaction of what arrives, starts new ones, answers CANCEL (§9.2)
 * and merged requests (§8.2.2.2) itself, and keeps their number within limits. It does no I/O: messages come in
 * through `receive`, and leave through the flows that come with them.
 */
import {
  type Clock,
  InvalidArgumentError,
  type Logger,
  randomToken,
  type RandomSource,
} from "../foundation/index.js";
import {
  createCancel,
  createResponse,
  type ResponseFields,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { ClientTransactionHandle } from "./client-transaction.js";
import { InviteClientTransaction } from "./invite-client.js";
import { InviteServerTransaction } from "./invite-server.js";
import { NonInviteClientTransaction } from "./non-invite-client.js";
import { NonInviteServerTransaction } from "./non-invite-server.js";
import { ServerTransactionHandle } from "./server-transaction.js";
import { StatelessResponder } from "./stateless-responder.js";
import { TransactionTimers } from "./timer-queue.js";
import {
  clientKey,
  clientKeyOfResponse,
  isLegacyKey,
  MAGIC_COOKIE,
  mergeKey,
  serverKey,
} from "./transaction-keys.js";
import {
  callUser,
  type ClientTransactionOwner,
  reportUserError,
  type ResponseFlowFinder,
  type ServerTransactionKeys,
  type ServerTransactionOwner,
} from "./transaction-services.js";
import {
  type ClientTransaction,
  type ClientTransactionUser,
  DEFAULT_TIMERS,
  type TimerOptions,
  type TransactionLayerUser,
} from "./transaction-user.js";

export interface TransactionLayerOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly user: TransactionLayerUser;
  /** Default: RFC 3261's. */
  readonly timers?: TimerOptions | undefined;
  /** `TransportLayer.responseFlow`. Without it responses leave on the flow of the request. */
  readonly responseFlow?: ResponseFlowFinder | undefined;
  /** Unanswered server transactions; what comes above gets a stateless 503. Default 20,000. */
  readonly maxServerTransactions?: number | undefined;
  /** Answered ones that only absorb repetitions; above it the oldest go early. Default 200,000. */
  readonly maxLingering?: number | undefined;
}

export interface TransactionCounters {
  readonly clientTransactions: number;
  /** Answered and unanswered. */
  readonly serverTransactions: number;
  /** Answered server transactions that absorb repetitions. */
  readonly lingering: number;
  /** Repeated requests that were absorbed or answered again, since the start. */
  readonly repeatedRequests: number;
  /** 2xx of ours that were sent again, because no ACK had come. */
  readonly repeatedAnswers: number;
  /** Responses without transaction, since the start. */
  readonly strayResponses: number;
  readonly mergedRequests: number;
  /** Requests refused with 503 for want of room. */
  readonly refusedRequests: number;
}

type ClientMachines = InviteClientTransaction | NonInviteClientTransaction;
type ServerMachines = InviteServerTransaction | NonInviteServerTransaction;

const BRANCH_LENGTH = 20;
/** Seconds after which a peer may come again when the stack is full. */
const RETRY_AFTER = "5";
/** What a CANCEL may mean besides INVITE; it gets its 200 and has no effect on them (§9.2). */
const OTHER_METHODS = [
  "BYE",
  "OPTIONS",
  "REGISTER",
  "MESSAGE",
  "INFO",
  "REFER",
  "NOTIFY",
  "SUBSCRIBE",
  "UPDATE",
  "PRACK",
  "PUBLISH",
];

/** Whose wait ends early when too many linger: first those whose end changes least. */
const EVICTION_ORDER = ["J", "I", "L", "H"] as const;

export class TransactionLayer {
  readonly #options: TransactionLayerOptions;
  readonly #clients = new Map<string, ClientMachines>();
  readonly #servers = new Map<string, ServerMachines>();
  /** Merge key → transaction key of the copy that came first. */
  readonly #merged = new Map<string, string>();
  readonly #owner: ClientTransactionOwner & ServerTransactionOwner;
  readonly #stateless: StatelessResponder;
  readonly #maxUnanswered: number;
  readonly #maxLingering: number;
  #lingering = 0;
  #repeatedRequests = 0;
  #repeatedAnswers = 0;
  #strayResponses = 0;
  #mergedRequests = 0;
  #refusedRequests = 0;
  #closed = false;

  /** @throws InvalidArgumentError when a timer is not above 0. */
  constructor(options: TransactionLayerOptions) {
    const timers = options.timers ?? DEFAULT_TIMERS;
    if (!(timers.t1 > 0 && timers.t2 > 0 && timers.t4 > 0)) {
      throw new InvalidArgumentError("T1, T2 and T4 must be above 0 milliseconds");
    }
    this.#options = options;
    this.#maxUnanswered = options.maxServerTransactions ?? 20_000;
    this.#maxLingering = options.maxLingering ?? 200_000;
    this.#stateless = new StatelessResponder(options.random, options.responseFlow);
    this.#owner = {
      clock: options.clock,
      logger: options.logger,
      random: options.random,
      timers: new TransactionTimers(options.clock, timers),
      responseFlow: options.responseFlow,
      clientTerminated: (key) => void this.#clients.delete(key),
      serverAnswered: () => this.#serverAnswered(),
      answerRepeated: () => void this.#repeatedAnswers++,
      serverTerminated: (keys, answered) => this.#serverTerminated(keys, answered),
      dialogAck: (ack, flow) => callUser(options.logger, () => this.#options.user.onAck(ack, flow)),
    };
  }

  /** Takes a message from the transport layer. Never throws. */
  receive(message: SipMessage, flow: Flow): void {
    if (this.#closed) return;
    try {
      if (message.kind === "response") this.#receiveResponse(message, flow);
      else this.#receiveRequest(message, flow);
    } catch (error) {
      reportUserError(this.#options.logger, error);
    }
  }

  /**
   * Sends a request, not ACK, in a new client transaction. Its Via is set, in place of that of an earlier attempt.
   * All callbacks come later. After `close` nothing is sent and nothing called back.
   *
   * @param branch - Of the same request over a connection that was lost: a peer that has it already knows it again.
   * @throws InvalidArgumentError when the request cannot be written (a header with CR, LF or NUL).
   */
  request(
    request: SipRequest,
    flow: Flow,
    user: ClientTransactionUser,
    branch?: string,
  ): ClientTransaction {
    return this.#startClient(this.addVia(request, flow, branch), request, flow, user);
  }

  /**
   * Sends the CANCEL of an INVITE (§9.1): same branch, same server, a transaction of its own. Callers wait for a
   * provisional response first.
   *
   * @param headers - Further headers, for example Reason.
   * @param flow - Another connection to that server, when the one of the INVITE is lost.
   */
  cancel(
    invite: ClientTransaction,
    headers: readonly (readonly [string, string])[] = [],
    user: ClientTransactionUser = { onResponse: () => undefined, onFailure: () => undefined },
    flow: Flow = invite.flow,
  ): ClientTransaction {
    const cancel = createCancel(invite.request);
    for (const [name, value] of headers) cancel.headers.add(name, value);
    this.#options.user.beforeCancel?.(cancel);
    return this.#startClient(cancel.topVia.branch ?? "", cancel, flow, user);
  }

  /**
   * Sets the Via of a request for this flow, with a new branch unless one is given. For the request without
   * transaction, the ACK for a 2xx (§13.2.2.4); `request` does it itself.
   *
   * @returns the branch.
   */
  addVia(
    request: SipRequest,
    flow: Flow,
    branch = MAGIC_COOKIE + randomToken(this.#options.random, BRANCH_LENGTH),
  ): string {
    const via = `SIP/2.0/${flow.protocol.toUpperCase()} ${flow.sentBy};branch=${branch};rport`;
    request.headers.delete("via");
    request.headers.prepend("Via", via);
    return branch;
  }

  /** Answers a request without keeping state (§8.2.7). The To tag is the same for each repetition. */
  respondStateless(request: SipRequest, arrivedOn: Flow, fields: ResponseFields): void {
    if (this.#closed) return;
    this.#stateless.respond(request, arrivedOn, fields);
  }

  counters(): TransactionCounters {
    return {
      clientTransactions: this.#clients.size,
      serverTransactions: this.#servers.size,
      lingering: this.#lingering,
      repeatedRequests: this.#repeatedRequests,
      repeatedAnswers: this.#repeatedAnswers,
      strayResponses: this.#strayResponses,
      mergedRequests: this.#mergedRequests,
      refusedRequests: this.#refusedRequests,
    };
  }

  /** Silences every transaction; nothing is sent or called back any more. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const transaction of [...this.#clients.values()]) transaction.close();
    for (const transaction of [...this.#servers.values()]) transaction.close();
  }

  #startClient(
    branch: string,
    request: SipRequest,
    flow: Flow,
    user: ClientTransactionUser,
  ): ClientTransaction {
    const key = clientKey(branch, request.method);
    const machine =
      request.method === "INVITE"
        ? new InviteClientTransaction(this.#owner, key, request, flow, user)
        : new NonInviteClientTransaction(this.#owner, key, request, flow, user);
    if (this.#closed) {
      machine.close();
    } else {
      this.#clients.set(key, machine);
      machine.start();
    }
    return new ClientTransactionHandle(machine, request, flow);
  }

  #receiveResponse(response: SipResponse, flow: Flow): void {
    const key = clientKeyOfResponse(response);
    const transaction = key === undefined ? undefined : this.#clients.get(key);
    if (transaction) {
      transaction.receive(response);
      return;
    }
    this.#strayResponses++;
    const status = response.statusCode;
    if (status >= 200 && status < 300 && response.cseq.method === "INVITE") {
      this.#options.user.onStrayResponse(response, flow);
    }
  }

  #receiveRequest(request: SipRequest, flow: Flow): void {
    const key = serverKey(request);
    const known = this.#servers.get(key);
    if (known && isOf(known, key, request)) {
      this.#repeatedRequests++;
      known.receive(request);
    } else if (request.method === "ACK") {
      this.#options.user.onAck(request, flow);
    } else if (request.method === "CANCEL") {
      this.#receiveCancel(key, request, flow);
    } else {
      this.#receiveNew(key, request, flow);
    }
  }

  #receiveNew(key: string, request: SipRequest, flow: Flow): void {
    const merge = mergeKey(request);
    if (merge !== undefined && this.#merged.has(merge)) {
      this.#mergedRequests++;
      this.#stateless.respond(request, flow, { statusCode: 482 });
      return;
    }
    const machine = this.#startServer({ key, mergeKey: merge }, request, flow);
    if (!machine) return;
    const handle = new ServerTransactionHandle(machine, request, flow, this.#options.user);
    try {
      this.#options.user.onRequest(handle);
    } catch (error) {
      if (!handle.answered) {
        handle.respond(createResponse(request, { statusCode: 500, toTag: handle.localTag }));
      }
      throw error;
    }
    if (!machine.answered) machine.unanswered();
  }

  #receiveCancel(key: string, cancel: SipRequest, flow: Flow): void {
    const target = this.#cancelled(cancel);
    if (!target) {
      this.#stateless.respond(cancel, flow, { statusCode: 481 });
      return;
    }
    const machine = this.#startServer({ key, mergeKey: undefined }, cancel, flow);
    if (!machine) return;
    const toTag = target.localTag;
    machine.respond(createResponse(cancel, { statusCode: 200, toTag }), cancel);
    callUser(this.#options.logger, () => this.#options.user.onCancel?.(cancel));
    target.cancel(cancel);
  }

  /** The transaction that a CANCEL means: same key, any other method (§9.2). */
  #cancelled(cancel: SipRequest): ServerMachines | undefined {
    const invite = this.#servers.get(serverKey(cancel, "INVITE"));
    if (invite) return invite;
    for (const method of OTHER_METHODS) {
      const other = this.#servers.get(serverKey(cancel, method));
      if (other) return other;
    }
    return undefined;
  }

  #startServer(
    keys: ServerTransactionKeys,
    request: SipRequest,
    flow: Flow,
  ): ServerMachines | undefined {
    if (this.#servers.size - this.#lingering >= this.#maxUnanswered) {
      this.#refusedRequests++;
      const headers = [["Retry-After", RETRY_AFTER]] as const;
      this.#stateless.respond(request, flow, { statusCode: 503, headers });
      return undefined;
    }
    // A key that is taken belongs to a transaction that this request does not match (RFC 2543 tags): it gives way.
    this.#servers.get(keys.key)?.close();
    const machine =
      request.method === "INVITE"
        ? new InviteServerTransaction(this.#owner, keys, request, flow)
        : new NonInviteServerTransaction(this.#owner, keys, request, flow);
    this.#servers.set(keys.key, machine);
    if (keys.mergeKey !== undefined) this.#merged.set(keys.mergeKey, keys.key);
    return machine;
  }

  #serverAnswered(): void {
    this.#lingering++;
    if (this.#lingering <= this.#maxLingering) return;
    EVICTION_ORDER.some((name) => this.#owner.timers.expireOldest(name));
  }

  #serverTerminated(keys: ServerTransactionKeys, answered: boolean): void {
    this.#servers.delete(keys.key);
    if (keys.mergeKey !== undefined) this.#merged.delete(keys.mergeKey);
    if (answered) this.#lingering--;
  }
}

/** The To tag decides under the rules of RFC 2543: the request's own, for an ACK that of the response (§17.2.3). */
function isOf(transaction: ServerMachines, key: string, request: SipRequest): boolean {
  return !isLegacyKey(key) || transaction.matchesToTag(request);
}
