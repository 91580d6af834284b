/** The user agent: owns transports, transactions, dialogs, sessions and accounts, and their shutdown order. */
import {
  CryptoRandom,
  errorText,
  InvalidStateError,
  silentLogger,
  StateMachine,
  SystemClock,
  TypedEmitter,
  type Clock,
  type Logger,
  type RandomSource,
} from "../foundation/index.js";
import { DialogStore } from "../dialog/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type {
  AccountHandle,
  ActionOutcome,
  MediaHandler,
  PendingRequest,
  Session,
} from "../session/index.js";
import { TransactionLayer } from "../transaction/index.js";
import { NodeDnsClient, Resolver, SocketTransportLayer } from "../transport/index.js";
import type { BoundTransport, ConnectionState, TransportLayer } from "../transport/transport.js";
import { AccessGate } from "./access-gate.js";
import { AccountBook } from "./account-book.js";
import { AccountCredentials } from "./account-credentials.js";
import { accountOf, calledUser } from "./account-matching.js";
import { Capabilities } from "./capabilities.js";
import { Destinations } from "./destinations.js";
import { DialFilter } from "./dial-filter.js";
import type {
  IncomingCallHandler,
  RegistrationStatus,
  RequestPolicy,
  StackEvent,
  UserAgentEvents,
} from "./events.js";
import { IncomingCalls } from "./incoming-calls.js";
import { DirectIdentity, familiesOf } from "./local-names.js";
import type {
  AccountOptions,
  InviteOptions,
  OutOfDialogRequestOptions,
  UserAgentOptions,
} from "./options.js";
import { OutgoingCalls } from "./outgoing-calls.js";
import { OutOfDialogRequests } from "./out-of-dialog-requests.js";
import { PendingRequests } from "./pending-requests.js";
import { resolveOptions } from "./resolved-options.js";
import { UserAgentServices } from "./services.js";
import { SessionTable } from "./session-table.js";
import { StandaloneRequests } from "./standalone-request.js";
import { UserAgentClient } from "./user-agent-client.js";
import { UserAgentServer } from "./user-agent-server.js";
import {
  userAgentMachine,
  type UserAgentAction,
  type UserAgentInput,
  type UserAgentState,
} from "./user-agent-state.js";

/** One address-of-record with its registration. */
export interface Account {
  readonly id: string;
  readonly uri: string;
  readonly registration: RegistrationStatus;
  /** Registers now (also opens a lost connection at once). Resolves with the registrar's answer. */
  register(): Promise<ActionOutcome>;
  /** REGISTER with Expires 0; stays unregistered until `register`. */
  unregister(): Promise<ActionOutcome>;
}

const DEFAULT_GRACE_MS = 2_500;

export class UserAgent extends TypedEmitter<UserAgentEvents> {
  /** Set before `start`; see the types. */
  onIncomingCall: IncomingCallHandler | undefined;
  requestPolicy: RequestPolicy | undefined;
  /**
   * Whether every request and response is reported as event `request` or `response` besides its own event. It
   * costs time in every call; undefined = as soon as anybody listens to `sessionEvent` or `stackEvent`.
   */
  observeMessages: boolean | undefined;

  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #media: MediaHandler | undefined;
  readonly #transport: TransportLayer;
  readonly #transactions: TransactionLayer;
  readonly #dialogs = new DialogStore();
  readonly #sessions: SessionTable;
  readonly #pending: PendingRequests;
  readonly #book: AccountBook;
  readonly #server: UserAgentServer;
  readonly #client: UserAgentClient;
  readonly #calls: OutgoingCalls;
  readonly #requests: StandaloneRequests;
  readonly #machine: StateMachine<UserAgentState, UserAgentInput, UserAgentAction, undefined>;
  #stopping: Promise<void> | undefined;
  #closing: Promise<void> = Promise.resolve();

  /** @throws InvalidArgumentError for an option that cannot be, naming it. */
  constructor(options: UserAgentOptions = {}) {
    super();
    const clock = (this.#clock = options.clock ?? new SystemClock());
    const random: RandomSource = options.random ?? new CryptoRandom();
    const logger = (this.#logger = options.logger ?? silentLogger);
    const settings = resolveOptions(options);
    const { timers, limits } = settings;
    const capabilities = new Capabilities(settings.userAgent, settings.infoPackages);
    this.#media = options.mediaHandler;
    this.#machine = new StateMachine(userAgentMachine, (action) => this.#perform(action));
    this.reportListenerErrors((error, event) =>
      logger.error(`A listener of ${event} failed: ${errorText(error)}`),
    );
    this.#transport =
      options.transportLayer ??
      new SocketTransportLayer({ transports: settings.transports, clock, random, logger, limits });
    this.#transactions = new TransactionLayer({
      clock,
      random,
      logger,
      timers,
      responseFlow: (request, arrivedOn, callback) =>
        this.#transport.responseFlow(request, arrivedOn, callback),
      user: {
        onRequest: (transaction) => this.#server.onRequest(transaction),
        onAck: (ack) => this.#server.onAck(ack),
        onStrayResponse: (response, flow) => this.#server.onStrayResponse(response, flow),
      },
    });
    this.#pending = new PendingRequests({
      clock,
      random,
      logger,
      policy: () => this.requestPolicy,
    });
    const destinations = new Destinations({
      resolver: new Resolver({
        dns: options.dns ?? new NodeDnsClient({ servers: options.dnsServers }),
        clock,
        random,
        logger,
      }),
      transport: this.#transport,
      families: familiesOf(settings.transports),
      account: (handle) => (handle === undefined ? undefined : this.#book.get(handle.id)),
    });
    const book = (this.#book = new AccountBook({
      clock,
      random,
      logger,
      capabilities,
      destinations,
      client: () => this.#client,
      report: (event) => this.#report(event),
    }));
    const gate = new AccessGate({
      allow: options.allow ?? [],
      deny: options.deny ?? [],
      trusted: options.trusted ?? [],
      clock,
      isOwnServer: (address) => book.ownsServer(address),
    });
    const directIdentity = new DirectIdentity(this.#transport);
    const services = new UserAgentServices({
      clock,
      random,
      logger,
      timers,
      mediaHandler: options.mediaHandler,
      dialogs: this.#dialogs,
      infoPackages: settings.infoPackages,
      capabilities,
      pending: this.#pending,
      dialFilter: new DialFilter(options.dial ?? []),
      client: () => this.#client,
      account: (id) => book.get(id),
      defaultIdentity: () => directIdentity.address,
      observes: () => this.#observes,
      placeReferred: (call) => this.#calls.placeReferred(call),
    });
    this.#client = new UserAgentClient({
      clock,
      logger,
      timers,
      transactions: this.#transactions,
      transport: this.#transport,
      destinations,
      credentials: new AccountCredentials(random, (id) => book.get(id)),
      contact: (flow, account) => services.contact(flow, account),
      challengeRefused: (response, account, reason) =>
        this.#onChallengeRefused(response, account, reason),
    });
    this.#sessions = new SessionTable(
      settings.maxSessions,
      () => this.listenerCount("sessionEvent") > 0,
      (session, event) => this.emit("sessionEvent", session, event),
    );
    const findAccount = (request: SipRequest) => accountOf(request, book.all);
    const requests = new OutOfDialogRequests({
      capabilities,
      pending: this.#pending,
      account: findAccount,
      contact: (flow, account) => services.contact(flow, account),
      observes: () => this.#observes,
      report: (event) => this.#report(event),
    });
    const incoming = new IncomingCalls({
      logger,
      gate,
      services,
      sessions: this.#sessions,
      unhandledStatus: settings.unhandledStatus,
      account: findAccount,
      handler: () => this.onIncomingCall,
      refuse: (transaction, statusCode, retryAfter) =>
        this.#server.respond(transaction, statusCode, [["Retry-After", retryAfter]]),
    });
    this.#server = new UserAgentServer({
      clock,
      logger,
      gate,
      capabilities,
      dialogs: this.#dialogs,
      maxRequestsPerSecond: settings.maxRequestsPerSecond,
      transactions: () => this.#transactions,
      isDraining: () => this.#machine.state !== "running",
      hasSent: (request) => this.#client.hasSent(request),
      onInvite: (transaction) => incoming.receive(transaction),
      onOutOfDialogRequest: (transaction) => requests.receive(transaction),
    });
    this.#calls = new OutgoingCalls({
      clock,
      services,
      sessions: this.#sessions,
      account: (id) => book.get(id),
    });
    this.#requests = new StandaloneRequests({
      random,
      services,
      account: (id) => book.get(id),
      onResponse: (response, accountId) => {
        if (this.#observes) this.#report({ name: "response", accountId, message: response });
      },
    });
  }

  /**
   * Binds the transports, then registers the accounts. Rejects with TransportError that names port and cure, and with
   * InvalidStateError when it was started before: a stopped user agent stays stopped.
   */
  async start(): Promise<void> {
    if (!this.#machine.input("start", undefined)) {
      throw new InvalidStateError("This SIP stack was started before; make a new one.");
    }
    try {
      await this.#media?.start?.();
      await this.#transport.start({
        onMessage: (message, flow) => this.#server.onMessage(message, flow),
        onMalformed: (error, request, flow) => this.#server.onMalformed(error, request, flow),
        onConnectionState: (state) => this.#onConnectionState(state),
      });
    } catch (error) {
      this.#machine.input("bindFailed", undefined);
      await this.#closing;
      throw error;
    }
    if (this.#machine.state === "stopped") {
      // Stopped while it was starting: what came up meanwhile goes down again.
      await this.#transport.stop();
      throw new InvalidStateError("The SIP stack was stopped while it started.");
    }
    this.#machine.input("bound", undefined);
  }

  /**
   * BYE, CANCEL, rejections and un-REGISTER in parallel, at most `graceMs` (default 2500), then closes everything:
   * no socket, timer or listener is left. New requests get 503 meanwhile. Idempotent.
   */
  stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.graceMs ?? DEFAULT_GRACE_MS);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    this.#machine.input("stop", undefined);
    if (this.#machine.state === "draining") {
      await this.#drain(graceMs);
      this.#machine.input("drained", undefined);
    }
    await this.#closing;
    this.removeAllListeners();
  }

  /** Everybody is told at once; whoever does not answer in time is left behind. */
  #drain(graceMs: number): Promise<void> {
    this.#pending.close();
    const ends = this.#sessions.list().map((session) => session.end({ cause: "shutdown" }));
    const work = Promise.allSettled([...ends, this.#book.unregisterAll()]);
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(graceMs, resolve);
      void work.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  get running(): boolean {
    return this.#machine.state === "running";
  }

  get bound(): readonly BoundTransport[] {
    return this.#transport.bound;
  }

  get sessions(): ReadonlyMap<string, Session> {
    return this.#sessions.all;
  }

  get accounts(): ReadonlyMap<string, Account> {
    return this.#book.all;
  }

  /** Adds an account; registers it at once when running and `register` is true. Throws InvalidArgumentError. */
  addAccount(options: AccountOptions): Account {
    const account = this.#book.add(options);
    if (this.running) this.#book.start(account);
    return account;
  }

  /** Un-registers (bounded in time) and forgets it; its calls go on. */
  removeAccount(id: string): Promise<void> {
    return this.#book.remove(id);
  }

  /**
   * Starts an attempt: one session for all targets. Its first event (`inviting`) comes in a later turn. Throws
   * InvalidArgumentError for a malformed target, InvalidStateError when stopped.
   */
  invite(options: InviteOptions): Session {
    this.#checkRunning();
    return this.#calls.invite(options);
  }

  /** A request outside of any dialog; not INVITE, ACK, CANCEL, PRACK, BYE or REGISTER. */
  async request(options: OutOfDialogRequestOptions): Promise<ActionOutcome> {
    this.#checkRunning();
    return this.#requests.send(options);
  }

  /** A request that waits for the application's answer. */
  pendingRequest(handle: string): PendingRequest | undefined {
    return this.#pending.get(handle);
  }

  /**
   * The user or number that an incoming request calls: of its Request-URI, or of To where the Request-URI is the
   * Contact that an account registered.
   */
  calledUser(request: SipRequest): string {
    return calledUser(request, this.#book.all);
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#transport.counters(),
      ...this.#transactions.counters(),
      ...this.#server.counters,
      dialogs: this.#dialogs.size,
      sessions: this.#sessions.all.size,
      sessionsTotal: this.#sessions.placed,
      pendingRequests: this.#pending.size,
      outgoingRequests: this.#client.size,
    };
  }

  get #observes(): boolean {
    return (
      this.observeMessages ??
      (this.listenerCount("sessionEvent") > 0 || this.listenerCount("stackEvent") > 0)
    );
  }

  #checkRunning(): void {
    if (this.running) return;
    throw new InvalidStateError("The SIP stack is not running.", { rule: "not-running" });
  }

  #perform(action: UserAgentAction): void {
    switch (action) {
      case "startAccounts":
        for (const account of this.#book.all.values()) this.#book.start(account);
        return;
      case "closeEverything":
        this.#closing = this.#close();
    }
  }

  /** From the top down: nobody is called back by what stands below it. */
  async #close(): Promise<void> {
    for (const session of this.#sessions.list()) session.forceClose("shutdown");
    this.#book.close();
    this.#requests.close();
    this.#client.close();
    this.#pending.close();
    this.#transactions.close();
    const results = await Promise.allSettled([this.#transport.stop(), this.#media?.close()]);
    for (const result of results) {
      if (result.status === "rejected") {
        this.#logger.error(`Stopping failed: ${errorText(result.reason)}`);
      }
    }
  }

  #report(event: StackEvent): void {
    this.emit("stackEvent", event);
  }

  #onChallengeRefused(
    response: SipResponse,
    account: AccountHandle | undefined,
    reason: string,
  ): void {
    this.#logger.info(`A request for credentials got none: ${reason}.`);
    this.#report({
      name: "challenge",
      accountId: account?.id,
      message: response,
      statusCode: response.statusCode,
      reason: response.reason,
      text: reason,
    });
  }

  #onConnectionState(state: ConnectionState): void {
    if (state.state === "connected" || !this.running) {
      this.#report({ name: state.state, connection: state });
      return;
    }
    // The registration that hangs on this connection hears of the loss first: then it is known when it tries again.
    this.#clock.defer(() => {
      const retryIn = this.#book.retryInOf(state);
      const connection = retryIn === undefined ? state : { ...state, retryIn };
      this.#report({ name: "disconnected", connection });
    });
  }
}
