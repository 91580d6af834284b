/**
 * One running SIP stack: the user agent of a `sip-stack` node with its accounts and calls. It belongs to no node
 * instance, so that it lives through deploys (engines.ts decides which engine a new instance gets).
 */
import { type CallUsage, errorText, type Session, type SipRequest } from "../../lib/index.js";
import { type AccountEntry, AccountBook, type AccountSettings } from "./account-book.js";
import { CallTotals } from "./call-statistics.js";
import { CertificateWatch } from "./certificate-watch.js";
import { type Call, callOf, callsOfStack, findCall, forgetCall } from "./call.js";
import { deploys } from "./deploys.js";
import { type Delivery, dispatcher } from "./dispatcher.js";
import { StackDrain } from "./drain.js";
import { EventLoopLag } from "./event-loop-lag.js";
import { environment, type UserAgentPort } from "./environment.js";
import { misuse } from "./errors.js";
import { type Group, SharedLimits, SharedPresence, SharedRegistrations } from "./fleet/index.js";
import { SharedCalls } from "./fleet/shared-calls.js";
import { requestPolicy, wantsEveryMessage, watchSession, watchStack } from "./event-nodes.js";
import { takeIncoming } from "./incoming-calls.js";
import { liveNode } from "./live-nodes.js";
import { closeMediaEngines, mediaEngines, openMediaEngines, shareKeys } from "./media-engines.js";
import { setKeysShown } from "./media-keys.js";
import { rememberTarget } from "./recent-targets.js";
import { rings } from "./ring/rings.js";
import { hasSupplements, stackSupplement } from "./supplement-nodes.js";
import { callStory, type StackLogger } from "./stack-logger.js";
import type { StackSettings } from "./stack-settings.js";
import { history, traces } from "./tracing/index.js";

export type EngineState = "starting" | "running" | "failed" | "stopped";

/** A port that was busy may be free soon: milliseconds before the first, second … and every later attempt. */
const RETRIES_MS = [1_000, 2_000, 4_000, 8_000, 15_000] as const;
const GRACE_MS = 2500;
/** Stopping never takes longer, whatever the user agent does (contract §2: 3 s). */
const LONGEST_STOP_MS = 2900;

const eventLoopLag = new EventLoopLag(() => environment().clock);

export class Engine {
  readonly accounts: AccountBook;
  readonly totals = new CallTotals();
  readonly drain: StackDrain;
  /** What this instance shares with others of the same flow; undefined = nothing. */
  readonly group: Group | undefined;
  readonly #registrations: SharedRegistrations | undefined;
  readonly #limits: SharedLimits | undefined;
  /** States of resources that instances tell each other. */
  readonly presence: SharedPresence | undefined;
  readonly #calls: SharedCalls | undefined;
  #state: EngineState = "starting";
  #problem: string | undefined;
  /** It runs, but not as it should. */
  #warning: string | undefined;
  #unshareKeys: () => void = () => undefined;
  #certificates: CertificateWatch | undefined;
  #verifiesServers = true;
  #userAgent: UserAgentPort | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retries = 0;
  #stopped: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();
  /** Calls that came while flows were being replaced; they get their node when that is over. */
  readonly #unrouted = new Map<Call, SipRequest>();
  #connections: (() => void)[] = [];
  #removeSupplement: (() => void) | undefined;

  constructor(
    readonly stackId: string,
    readonly settings: StackSettings,
    private readonly logger: StackLogger,
    /** Tells the users of this stack that its state or an account's has changed. */
    private readonly onStatus: () => void,
    /** The engine whose ports must be free first. */
    after: Promise<void> | undefined,
  ) {
    this.group = joinGroup(stackId, settings, logger);
    if (this.group !== undefined) {
      const stack = { account: (id: string) => this.accounts.account(id) };
      this.#registrations = new SharedRegistrations(this.group, stack, logger, onStatus);
      const own = (): ReadonlyMap<string, CallUsage> => this.#userAgent?.callUsages() ?? new Map();
      this.#limits = new SharedLimits(this.group, environment().clock, own);
      this.presence = new SharedPresence(this.group, logger, (...news) =>
        this.#userAgent?.tellSubscribers(...news),
      );
      const { clock } = environment();
      const isDraining = (): boolean => this.drain.isWanted;
      this.#calls = new SharedCalls({ group: this.group, stackId, clock, logger, isDraining });
    }
    if (this.group !== undefined && settings.usesRtpengine) {
      this.#unshareKeys = shareKeys(this.group);
    }
    this.accounts = new AccountBook(logger, onStatus, this.#registrations);
    this.drain = new StackDrain(() => {
      this.#shareRegistrations();
      onStatus();
    });
    setKeysShown(stackId, settings.flowMakesDescriptions);
    // Sockets are opened by its start, so it can exist before the ports are free.
    if (!settings.usesTls) this.#createQuietly();
    setImmediate(() => void this.#start(after));
  }

  get state(): EngineState {
    return this.#state;
  }

  /** Why it is `failed`, in words. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** What is wrong although it is `running`: its certificate has expired. */
  get warning(): string | undefined {
    return this.#warning ?? this.#engineWarning();
  }

  #engineWarning(): string | undefined {
    const away = mediaEngines(this.stackId)?.engines.filter(({ isUp }) => !isUp) ?? [];
    if (away.length === 0) return undefined;
    return `rtpengine does not answer: ${away.map(({ address }) => address).join(", ")}`;
  }

  /** False = it takes every certificate of a server, as its TLS settings want. */
  get verifiesServers(): boolean {
    return this.#verifiesServers;
  }

  /** Leases of the group that are ours. */
  get leases(): number {
    return this.#registrations?.held ?? 0;
  }

  /** Calls of instances that are gone, since the start. */
  get callsTaken(): number {
    return this.#calls?.taken ?? 0;
  }

  /** Calls now, answered or not. */
  get callCount(): number {
    return this.#userAgent?.sessions.size ?? 0;
  }

  /** Undefined until its settings were read. */
  get userAgent(): UserAgentPort | undefined {
    return this.#userAgent;
  }

  /** Resolves when the stack can be used. @throws InvalidStateError-like `stack-failed` that says why not. */
  async ready(): Promise<UserAgentPort> {
    while (this.#state === "starting") {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
    if (this.#state === "running" && this.#userAgent !== undefined) return this.#userAgent;
    throw misuse("stack-failed", this.#problem ?? "the stack is stopped");
  }

  /** Ends every call and registration properly and frees all sockets. At most 3 s. Idempotent. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  /** After a deploy: calls whose owner is gone end, held calls find their node, unused accounts leave. */
  reconcile(): void {
    if (this.#stopped !== undefined) return;
    this.#certificates?.look();
    for (const call of callsOfStack(this.stackId)) {
      if (call.owner === undefined || liveNode(call.owner.nodeId) !== undefined) continue;
      this.#attempt(call, call.session.end({ cause: "shutdown" }));
    }
    for (const [call, invite] of this.#unrouted) {
      this.#unrouted.delete(call);
      if (call.over || this.#route(call, invite)) continue;
      this.#attempt(call, call.session.reject({ statusCode: this.settings.unhandledStatus }));
    }
    this.accounts.removeUnclaimed();
    this.#observe();
    this.#supplement();
  }

  claimAccount(settings: AccountSettings): AccountEntry {
    return this.accounts.claim(settings);
  }

  async #start(after: Promise<void> | undefined): Promise<void> {
    await after;
    if (this.settings.usesTls) await flowsComplete();
    if (this.#stopped !== undefined) return;
    let userAgent = this.#userAgent;
    try {
      userAgent ??= this.#create();
      await userAgent.start();
      if (this.#stopped !== undefined) return;
      this.#problem = undefined;
      this.#retries = 0;
      const open = this.settings.transports().some(({ tls }) => tls?.verifyServer === false);
      this.#verifiesServers = !open;
      this.#setState("running");
      this.drain.attach(userAgent);
      this.#shareRegistrations();
      if (this.settings.usesTls) this.#watchCertificates(userAgent);
    } catch (error) {
      if (this.#stopped === undefined) await this.#failed(error, userAgent);
    }
  }

  /** Registrations are for instances that take calls. */
  #shareRegistrations(): void {
    if (this.#state === "running" && !this.drain.isWanted) this.#registrations?.open();
    else this.#registrations?.shut();
  }

  /** Early, so that other nodes find `userAgent`; a wrong setting is reported by the start. */
  #createQuietly(): void {
    try {
      this.#create();
    } catch (error) {
      this.logger.debug(errorText(error));
    }
  }

  #create(): UserAgentPort {
    const { stackId } = this;
    const options = this.settings.options(this.logger);
    const engines = this.settings.mediaEngines();
    if (engines !== undefined) {
      openMediaEngines(stackId, engines, this.logger, () => {
        const warning = this.#engineWarning();
        if (warning !== undefined) this.#reportError(warning);
        this.onStatus();
      });
    }
    const userAgent = environment().createUserAgent({
      ...options,
      eventLoopLag: () => eventLoopLag.now(),
      lastState: this.presence && (async (...of) => this.presence?.last(...of)),
      othersUsage: (id) => this.#limits?.others(id),
      traceMessages: this.settings.trace ? (message) => traces.add(stackId, message) : undefined,
    });
    userAgent.requestPolicy = requestPolicy(this.stackId);
    userAgent.observeMessages = wantsEveryMessage(this.stackId);
    userAgent.onIncomingCall = (session, invite) => this.#onIncomingCall(session, invite);
    this.#connections = [
      userAgent.on("sessionEvent", (session, event) => {
        const call = callOf(session, this.stackId);
        // The slot first: what `observe` settles leaves with this event.
        dispatcher.event(call.id, event.name, () => {
          const owner: Delivery | undefined = call.owner?.deliver(event);
          const watchers = watchSession(this.stackId, session, event);
          return owner === undefined ? watchers : [owner, ...watchers];
        });
        this.totals.observe(session, event);
        if (this.logger.isDebug) {
          const story = callStory(call, event);
          if (story !== undefined) this.logger.debug(story);
        }
        history.observe(call, event, this.settings.trace);
        rememberTarget(event);
        call.observe(event);
        this.#calls?.observe(call, event.name);
        // It shows how many are left.
        if (this.drain.isWanted && (event.name === "ended" || event.name === "failed")) {
          this.onStatus();
        }
      }),
      userAgent.on("stackEvent", (event) => {
        this.accounts.observe(event);
        dispatcher.event(undefined, event.name, () => watchStack(this.stackId, event));
        this.onStatus();
      }),
    ];
    if (this.#calls !== undefined) this.#connections.push(this.#calls.attach(userAgent));
    this.#userAgent = userAgent;
    this.#supplement();
    this.accounts.attach(userAgent);
    return userAgent;
  }

  async #failed(error: unknown, userAgent: UserAgentPort | undefined): Promise<void> {
    const text = errorText(error);
    // Once, not at every retry.
    const isNews = text !== this.#problem;
    if (isNews) this.logger.error(text);
    this.#problem = text;
    this.#discard();
    if (userAgent !== undefined) await quietly(userAgent.stop({ graceMs: 0 }));
    if (this.#stopped !== undefined) return;
    if (isNews) this.#reportError(text);
    this.#setState("failed");
    this.#retry = setTimeout(
      () => {
        this.#setState("starting");
        void this.#start(undefined);
      },
      RETRIES_MS[this.#retries] ?? RETRIES_MS.at(-1),
    );
    if (this.#retries < RETRIES_MS.length) this.#retries++;
    this.#retry.unref();
  }

  #watchCertificates(userAgent: UserAgentPort): void {
    this.#certificates = new CertificateWatch({
      clock: environment().clock,
      logger: this.logger,
      settings: this.settings,
      userAgent,
      onProblem: (text) => {
        this.#warning = text;
        if (text !== undefined) {
          this.logger.error(text);
          this.#reportError(text);
        }
        this.onStatus();
      },
    });
  }

  #reportError(text: string): void {
    dispatcher.event(undefined, "error", () => watchStack(this.stackId, { name: "error", text }));
  }

  #discard(): void {
    this.#certificates?.stop();
    this.#certificates = undefined;
    this.#warning = undefined;
    closeMediaEngines(this.stackId);
    for (const disconnect of this.#connections) disconnect();
    this.#connections = [];
    this.accounts.detach();
    this.drain.detach();
    this.#userAgent = undefined;
    this.#supplement();
  }

  #setState(state: EngineState): void {
    this.#state = state;
    if (state !== "starting") {
      for (const resolve of this.#waiting) resolve();
      this.#waiting.clear();
    }
    this.onStatus();
  }

  #onIncomingCall(session: Session, invite: SipRequest): boolean {
    const call = callOf(session, this.stackId);
    if (deploys.phase === "changing") {
      this.#unrouted.set(call, invite);
      return true;
    }
    if (this.#route(call, invite)) return true;
    forgetCall(call);
    return false;
  }

  #route(call: Call, invite: SipRequest): boolean {
    return takeIncoming(call, {
      stackId: this.stackId,
      unhandledStatus: this.settings.unhandledStatus,
      called: this.#calledUser(call.session, invite),
      logger: this.logger,
    });
  }

  /** Who takes the place of a call goes where that call went: such an INVITE is sent to our Contact (RFC 3891). */
  #calledUser(session: Session, invite: SipRequest): string {
    const { replaces } = session.snapshot();
    const old = replaces === undefined ? undefined : findCall(replaces)?.session;
    if (old?.direction === "incoming") return old.snapshot().local.user;
    return this.#userAgent?.calledUser(invite) ?? "";
  }

  /** The supplement of this stack's nodes is there while there are such nodes. */
  #supplement(): void {
    const isWanted = this.#userAgent !== undefined && hasSupplements(this.stackId);
    if (!isWanted) {
      this.#removeSupplement?.();
      this.#removeSupplement = undefined;
    } else {
      this.#removeSupplement ??= this.#userAgent?.addSupplement(stackSupplement(this.stackId));
    }
  }

  /** The `sip-event` nodes may be others now. */
  #observe(): void {
    if (this.#userAgent !== undefined) {
      this.#userAgent.observeMessages = wantsEveryMessage(this.stackId);
    }
  }

  /** Starts something that nobody waits for; a failure is logged. */
  #attempt(call: Call, action: Promise<unknown>): void {
    action.catch((error: unknown) => this.logger.warn(`session ${call.id}: ${errorText(error)}`));
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#retry);
    const userAgent = this.#userAgent;
    this.#problem = undefined;
    this.#setState("stopped");
    this.#shareRegistrations();
    if (userAgent !== undefined) {
      await within(LONGEST_STOP_MS, quietly(userAgent.stop({ graceMs: GRACE_MS })));
      await rings.endOf(this.stackId);
    }
    for (const call of callsOfStack(this.stackId)) {
      // Left over only when the user agent did not end in time.
      if (userAgent?.sessions.has(call.id) === false) continue;
      call.abandon();
      traces.forget(call.id);
    }
    this.#unrouted.clear();
    this.#discard();
    this.#registrations?.close();
    this.#limits?.close();
    this.presence?.close();
    this.#calls?.stop();
    this.#unshareKeys();
    await this.group?.close();
  }
}

/** A wrong address is reported by the start. */
function joinGroup(name: string, settings: StackSettings, logger: StackLogger): Group | undefined {
  const { sharedState: url } = settings;
  if (url === undefined) return undefined;
  try {
    return environment().createGroup({ url, name, clock: environment().clock, logger });
  } catch (error) {
    logger.debug(errorText(error));
    return undefined;
  }
}

/** Config nodes that this stack refers to may be created after it. */
function flowsComplete(): Promise<void> {
  if (deploys.phase === "running") return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      unlisten();
      resolve();
    };
    const unlisten = deploys.listen({ started: end, stopped: end });
  });
}

/** The promise without its error: used only where the thing is being thrown away anyway. */
function quietly(promise: Promise<unknown>): Promise<void> {
  return promise.then(
    () => undefined,
    () => undefined,
  );
}

function within(limitMs: number, promise: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, limitMs);
    void promise.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
