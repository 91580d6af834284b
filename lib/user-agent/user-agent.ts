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
import type { SipRequest } from "../message/index.js";
import type {
  ActionOutcome,
  CallSession,
  MediaHandler,
  PendingRequest,
  SdpStreamHandler,
  Session,
} from "../session/index.js";
import type { NotifyOptions, Subscription } from "../subscription/index.js";
import type { BoundTransport, ConnectionState, TransportOptions } from "../transport/transport.js";
import { calledUser } from "./account-matching.js";
import type {
  DrainState,
  IncomingCallHandler,
  RegistrationStatus,
  RequestPolicy,
  StackEvent,
  SubscriberFacts,
  UnknownDialogHandler,
  UserAgentEvents,
} from "./events.js";
import { LostConnections } from "./lost-connections.js";
import type {
  AccountOptions,
  CallUsage,
  InviteOptions,
  LearntRegistration,
  OutOfDialogRequestOptions,
  SubscribeOptions,
  UserAgentOptions,
} from "./options.js";
import { referStatus } from "./refer-status.js";
import { UserAgentParts, type PartsHost } from "./parts.js";
import { referNotify } from "./standalone-refer.js";
import type { Supplement } from "./supplement.js";
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
  /** Seconds until the registration is renewed, while registered. */
  readonly refreshIn?: number | undefined;
  /** Registers now (also opens a lost connection at once). Resolves with the registrar's answer. */
  register(): Promise<ActionOutcome>;
  /** REGISTER with Expires 0; stays unregistered until `register`. */
  unregister(): Promise<ActionOutcome>;
  /** What the registrar holds of us now; undefined while we are not registered. */
  readonly learnt?: LearntRegistration | undefined;
  /**
   * What another one holds at the registrar for us: its Service-Route is ours while we are not registered ourselves, and our
   * next registration takes its place. What cannot be read is left out.
   */
  learn(facts: LearntRegistration): void;
  /** Forgets the registration without a word to the registrar: another one keeps it now. */
  standDown(): void;
}

/** Draining, it still serves the calls that it has. */
const UP: ReadonlySet<UserAgentState> = new Set(["running", "draining", "drained"]);
const DEFAULT_GRACE_MS = 2_500;
/** The subscription is over, or never was. */
const NO_SUBSCRIPTION: ActionOutcome = { ok: false, cause: "no-request", statusCode: 0 };

export class UserAgent extends TypedEmitter<UserAgentEvents> {
  /** Set before `start`; see the types. */
  onIncomingCall: IncomingCallHandler | undefined;
  requestPolicy: RequestPolicy | undefined;
  /** For user agents that stand in for each other; absent = an unknown dialog is answered 481. */
  onUnknownDialog: UnknownDialogHandler | undefined;
  /**
   * Whether every request and response is reported as event `request` or `response` besides its own event. It
   * costs time in every call; undefined = as soon as anybody listens to `sessionEvent` or `stackEvent`.
   */
  observeMessages: boolean | undefined;

  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #media: MediaHandler | undefined;
  readonly #parts: UserAgentParts;
  readonly #machine: StateMachine<UserAgentState, UserAgentInput, UserAgentAction, undefined>;
  readonly #lost = new LostConnections();
  #stopping: Promise<void> | undefined;
  #closing: Promise<void> = Promise.resolve();

  /** @throws InvalidArgumentError for an option that cannot be, naming it. */
  constructor(options: UserAgentOptions = {}) {
    super();
    const clock = (this.#clock = options.clock ?? new SystemClock());
    const random: RandomSource = options.random ?? new CryptoRandom();
    const logger = (this.#logger = options.logger ?? silentLogger);
    this.#media = options.mediaHandler;
    this.#machine = new StateMachine(userAgentMachine, (action) => this.#perform(action));
    this.reportListenerErrors((error, event) =>
      logger.error(`A listener of ${event} failed: ${errorText(error)}`),
    );
    this.#parts = new UserAgentParts(options, { clock, random, logger }, this.#host());
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
      await this.#parts.transport.start({
        mayRead: (data, flow) => this.#parts.server.mayRead(data, flow),
        welcomes: (message, flow) => this.#parts.server.welcomes(message, flow),
        onMessage: (message, flow) => this.#parts.server.onMessage(message, flow),
        onMalformed: (error, request, flow) => this.#parts.server.onMalformed(error, request, flow),
        onConnectionState: (state) => this.#onConnectionState(state),
      });
    } catch (error) {
      this.#machine.input("bindFailed", undefined);
      await this.#closing;
      throw error;
    }
    if (this.#machine.state === "stopped") {
      // Stopped while it was starting: what came up meanwhile goes down again.
      await this.#parts.transport.stop();
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
    if (this.#machine.state === "stopping") {
      await this.#endAll(graceMs);
      this.#machine.input("ended", undefined);
    }
    await this.#closing;
    this.removeAllListeners();
  }

  /** Everybody is told at once; whoever does not answer in time is left behind. */
  #endAll(graceMs: number): Promise<void> {
    this.#parts.supplements.close();
    this.#parts.pending.close();
    const ends = this.#parts.sessions.list().map((session) => session.end({ cause: "shutdown" }));
    const subscriptions = [this.#parts.subscriptions.endAll(), this.#parts.subscribers.endAll()];
    const work = Promise.allSettled([...ends, ...subscriptions, this.#parts.book.unregisterAll()]);
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(graceMs, resolve);
      void work.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /**
   * Gives what comes from now on to others: new requests get 503 with Retry-After, OPTIONS too, the accounts are
   * un-registered, and calls that `invite` begins fail (`shutdown`) unless they are placed for a call that is up (`near`).
   * Calls, subscriptions and what belongs to them go on; `drain` events tell when the last call is gone. Idempotent.
   *
   * @throws InvalidStateError when it is not running.
   */
  drain(): void {
    this.#checkRunning();
    if (this.#machine.input("drain", undefined) && this.sessions.size === 0) this.#callsOver();
  }

  /** Ends `drain`: takes calls again, and registers the accounts that it had un-registered. Idempotent. */
  resume(): void {
    this.#machine.input("resume", undefined);
  }

  get drainState(): DrainState {
    const { state } = this.#machine;
    return state === "draining" || state === "drained" ? state : "none";
  }

  #callsOver(): void {
    this.#machine.input("callsOver", undefined);
  }

  /**
   * Uses renewed certificates from the next TLS handshake on; calls and connections stay.
   *
   * @param transports - The list that it was made with, with other key material.
   * @throws TransportError when some of it cannot be used.
   */
  renewTls(transports: readonly TransportOptions[]): void {
    if (this.running) this.#parts.transport.renewTls?.(transports);
  }

  get running(): boolean {
    return UP.has(this.#machine.state);
  }

  get bound(): readonly BoundTransport[] {
    return this.#parts.transport.bound;
  }

  get sessions(): ReadonlyMap<string, Session> {
    return this.#parts.sessions.all;
  }

  get accounts(): ReadonlyMap<string, Account> {
    return this.#parts.book.all;
  }

  /** Adds an account; registers it at once when running and `register` is true. Throws InvalidArgumentError. */
  addAccount(options: AccountOptions): Account {
    const account = this.#parts.book.add(options);
    if (this.running) this.#parts.book.start(account);
    return account;
  }

  /** Un-registers (bounded in time) and forgets it; its calls go on. */
  removeAccount(id: string): Promise<void> {
    return this.#parts.book.remove(id);
  }

  /**
   * Starts an attempt: one session for all targets. Its first event (`inviting`) comes in a later turn. Throws
   * InvalidArgumentError for a malformed target, InvalidStateError when stopped.
   */
  invite(options: InviteOptions): Session {
    this.#checkRunning();
    return this.#parts.calls.invite(options);
  }

  /**
   * Goes on with a call of another user agent, as its established session here; no event tells of it.
   *
   * @param record - What `Session.record` said there, from JSON; nothing of it is trusted.
   * @returns undefined when it is no record, when the call is known here, or when there is no room.
   */
  restore(record: unknown): Session | undefined {
    return this.running ? this.#parts.restore(record) : undefined;
  }

  /** A request that another user agent was sent and gave away in its `onUnknownDialog`. @param text - from there. */
  handOver(text: string): void {
    if (!this.running) return;
    const { foreign, transactions } = this.#parts;
    foreign.receive(text, (request, flow) => transactions.receive(request, flow));
  }

  /** A request outside of any dialog; not INVITE, ACK, CANCEL, PRACK, BYE or REGISTER. */
  async request(options: OutOfDialogRequestOptions): Promise<ActionOutcome> {
    this.#checkRunning();
    return this.#parts.requests.send(options);
  }

  /**
   * Subscribes to an event package of somebody (RFC 6665), keeps that alive and makes it anew after a loss. The
   * SUBSCRIBE goes out in a later turn; the events `notify` and `ended` tell the rest. Throws InvalidArgumentError for
   * a malformed target or package, InvalidStateError when stopped.
   */
  subscribe(options: SubscribeOptions): Subscription {
    this.#checkRunning();
    return this.#parts.subscriptions.subscribe(options);
  }

  /**
   * Tells the subscriber of a subscription that the application has taken (by `accept` of a SUBSCRIBE or REFER). The
   * outcome is the subscriber's answer; `no-request` when the subscription is over. For a REFER the body is the
   * `message/sipfrag` (or its status code).
   */
  async notify(subscription: string, options: NotifyOptions = {}): Promise<ActionOutcome> {
    const { subscribers } = this.#parts;
    const session = this.#referredSession(subscription);
    const isRefer =
      session !== undefined || subscribers.get(subscription)?.eventPackage === "refer";
    if (!isRefer) return subscribers.notify(subscription, options) ?? NO_SUBSCRIPTION;
    const { body = "", state } = options;
    const { statusCode, reason } = referStatus(body, state?.state === "terminated");
    return this.notifyReferrer(subscription, statusCode, reason);
  }

  /** The call in which a REFER came that the application took without `follow`. */
  #referredSession(subscription: string): CallSession | undefined {
    return this.#parts.sessions.list().find((one) => one.hasReferral(subscription));
  }

  /** Facts of a subscription that a peer has with us; undefined when it is over. */
  subscriberFacts(subscription: string): SubscriberFacts | undefined {
    const left = this.#referredSession(subscription)?.referralExpires(subscription);
    if (left !== undefined) {
      return { eventPackage: "refer", subscriptionState: "active", expires: left };
    }
    const notifier = this.#parts.subscribers.get(subscription);
    if (notifier === undefined) return undefined;
    const { eventPackage, resource, subscriptionState, expires } = notifier;
    return { eventPackage, resource, subscriptionState, expires };
  }

  /** Tells the active subscribers of a resource its state, unless that is what they were told last. See `lastState`. */
  tellSubscribers(eventPackage: string, resource: string, state: NotifyOptions): void {
    this.#parts.subscribers.tell(eventPackage, resource, state);
  }

  /** Our subscriptions by handle. */
  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#parts.subscriptions.all;
  }

  /**
   * Adds hooks that see every message (see `Supplement`), after those that are there.
   *
   * @returns removes them; idempotent. What they hold passes when its time is over.
   */
  addSupplement(supplement: Supplement): () => void {
    return this.#parts.supplements.add(supplement);
  }

  /**
   * Lets a call in that this process itself places to this user agent, from another one on the same machine: neither `allow`
   * and `deny` nor the limit of requests apply to it. Everybody else is refused as before.
   *
   * @param callId - of that call, random. @param accountId - the account that it is for; default: as for every call.
   * @returns takes it back; idempotent. @throws InvalidArgumentError for a Call-ID of fewer than 16 characters.
   */
  admitCall(callId: string, accountId?: string): () => void {
    return this.#parts.admitted.add(callId, accountId);
  }

  /**
   * Adds a handler for streams of a type (`audio`, `video`, `image`, `message` …), to be asked after those of the type that are
   * there and before the media handler (see `SdpStreamHandler`).
   *
   * @returns removes it; idempotent. Streams that it has stay with it until they end. @throws InvalidArgumentError.
   */
  addSdpHandler(streamType: string, handler: SdpStreamHandler): () => void {
    return this.#parts.sdpHandlers.add(streamType, handler);
  }

  /** A request that waits for the application's answer. */
  pendingRequest(handle: string): PendingRequest | undefined {
    return this.#parts.pending.get(handle);
  }

  /**
   * The user or number that an incoming request calls: of its Request-URI, or of To where the Request-URI is the
   * Contact that an account registered.
   */
  calledUser(request: SipRequest): string {
    return calledUser(request, this.#parts.book.all);
  }

  /** Account id → what it uses of its limits; for `othersUsage` of user agents that share the account. */
  callUsages(): ReadonlyMap<string, CallUsage> {
    return this.#parts.callLimits.usages();
  }

  /**
   * How the call goes that the application places for a REFER which it accepted without `follow`. The outcome is the
   * answer of the one who sent the REFER; `no-request` when the subscription is over.
   *
   * @param subscription - from the outcome of `accept`.
   */
  async notifyReferrer(
    subscription: string,
    statusCode: number,
    reason?: string,
  ): Promise<ActionOutcome> {
    const session = this.#referredSession(subscription);
    if (session !== undefined) return session.notifyReferrer(subscription, statusCode, reason);
    const { subscribers } = this.#parts;
    return subscribers.notify(subscription, referNotify(statusCode, reason)) ?? NO_SUBSCRIPTION;
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...this.#parts.transport.counters(),
      ...this.#parts.transactions.counters(),
      ...this.#parts.server.counters,
      dialogs: this.#parts.dialogs.size,
      sessions: this.#parts.sessions.all.size,
      sessionsTotal: this.#parts.sessions.placed,
      pendingRequests: this.#parts.pending.size,
      outgoingRequests: this.#parts.client.size,
      referrals: this.#parts.refers.size,
      subscriptions: this.#parts.subscriptions.all.size,
      subscribers: this.#parts.subscribers.size,
    };
  }

  /** What the parts may see of it. */
  #host(): PartsHost {
    return {
      intake: () => (this.#machine.state === "running" ? "all" : this.running ? "calls" : "none"),
      callsOver: () => this.#callsOver(),
      requestPolicy: () => this.requestPolicy,
      incomingCallHandler: () => this.onIncomingCall,
      unknownDialogHandler: () => this.onUnknownDialog,
      observes: () =>
        this.observeMessages ??
        (this.listenerCount("sessionEvent") > 0 || this.listenerCount("stackEvent") > 0),
      hearsSessions: () => this.listenerCount("sessionEvent") > 0,
      reportSession: (session, event) => this.emit("sessionEvent", session, event),
      report: (event) => this.#report(event),
    };
  }

  #checkRunning(): void {
    if (this.running) return;
    throw new InvalidStateError("The SIP stack is not running.", { rule: "not-running" });
  }

  #perform(action: UserAgentAction): void {
    switch (action) {
      case "startAccounts":
        for (const account of this.#parts.book.all.values()) this.#parts.book.start(account);
        return;
      case "leaveRegistrars":
        this.#parts.book.leave();
        return;
      case "returnToRegistrars":
        this.#parts.book.comeBack();
        return;
      case "reportDrain":
        this.emit("drain", this.drainState);
        return;
      case "closeEverything":
        this.#closing = this.#close();
    }
  }

  /** From the top down: nobody is called back by what stands below it. */
  async #close(): Promise<void> {
    for (const session of this.#parts.sessions.list()) session.forceClose("shutdown");
    this.#parts.book.close();
    this.#parts.requests.close();
    this.#parts.subscriptions.close();
    this.#parts.subscribers.close();
    this.#parts.client.close();
    this.#parts.pending.close();
    this.#parts.transactions.close();
    const results = await Promise.allSettled([this.#parts.transport.stop(), this.#media?.close()]);
    for (const result of results) {
      if (result.status === "rejected") {
        this.#logger.error(`Stopping failed: ${errorText(result.reason)}`);
      }
    }
  }

  #report(event: StackEvent): void {
    this.emit("stackEvent", event);
  }

  #onConnectionState(state: ConnectionState): void {
    if (!this.#lost.isNews(state)) return;
    if (state.state === "connected" || !this.running) {
      this.#report({ name: state.state, connection: state });
      return;
    }
    // The registration that hangs on this connection hears of the loss first: then it is known when it tries again.
    this.#clock.defer(() => {
      const retryIn = this.#parts.book.retryInOf(state);
      const connection = retryIn === undefined ? state : { ...state, retryIn };
      this.#report({ name: "disconnected", connection });
    });
  }
}
