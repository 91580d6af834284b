/** A user agent without network: tests of nodes play the peer by emitting session and stack events. */
import {
  type AcceptOptions,
  type AcceptRequestOptions,
  type Account,
  type AccountOptions,
  type ActionOutcome,
  type AudioBridge,
  type AudioBridgeEnd,
  type AudioControl,
  type AudioSource,
  type BridgeListener,
  type AudioStream,
  type AudioStreamListener,
  type Cause,
  type DigitEvent,
  type DirectMediaControl,
  type DrainState,
  type EndOptions,
  type InDialogRequestOptions,
  type CallUsage,
  type InviteOptions,
  type LearntRegistration,
  InvalidStateError,
  type IncomingCallHandler,
  type MediaSession,
  type MediaStatistics,
  type NotifyOptions,
  type OutOfDialogRequestOptions,
  parseText,
  type PendingRequest,
  type Playback,
  type PlayOptions,
  type Recording,
  type RecordingResult,
  type RecordOptions,
  type ProgressOptions,
  type ReInviteOptions,
  type ReferOptions,
  type RegistrationStatus,
  type RejectOptions,
  type RequestPolicy,
  type SendDigitsOptions,
  Session,
  type SessionEvent,
  type SessionEventName,
  type SessionSnapshot,
  type SessionState,
  type SignalingState,
  type SipRequest,
  type SipResponse,
  type StackEvent,
  type StreamOptions,
  type SubscribeOptions,
  type SubscriberFacts,
  type Subscription,
  type SubscriptionEvents,
  type Supplement,
  type TransportOptions,
  TypedEmitter,
  type UserAgentEvents,
  type UserAgentOptions,
} from "../../lib/index.js";
import type { UserAgentPort } from "../../nodes/shared/environment.js";

let serial = 0;

/** A request or response from its text; lines may end in LF. */
export function sipMessage(text: string): SipRequest | SipResponse {
  const result = parseText(text.trim().replace(/\r?\n/g, "\r\n") + "\r\n\r\n");
  if (!("message" in result) || result.message === undefined) {
    throw new Error(`test message is malformed: ${JSON.stringify(result)}`);
  }
  return result.message;
}

/** An INVITE as a caller would send it. */
export function invite(
  to = "sip:alice@127.0.0.1:5060",
  from = "sip:bob@10.0.0.9",
  extra = "",
): SipRequest {
  const message = sipMessage(`INVITE ${to} SIP/2.0
Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK${++serial}
From: "Bob" <${from}>;tag=bt${serial}
To: <${to}>
Call-ID: call-${serial}
CSeq: 1 INVITE
Max-Forwards: 70
Contact: <sip:bob@10.0.0.9:5060>
${extra}Content-Length: 0`);
  if (message.kind !== "request") throw new Error("unreachable");
  message.source = { protocol: "udp", address: "10.0.0.9", port: 5060 };
  return message;
}

export class FakePlayback implements Playback {
  readonly done: Promise<"completed" | "stopped" | "failed">;
  readonly calls: string[] = [];
  #resolve!: (result: "completed" | "stopped" | "failed") => void;

  constructor(
    readonly source: AudioSource,
    readonly options: PlayOptions,
  ) {
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }
  finish(result: "completed" | "stopped" | "failed" = "completed"): void {
    this.#resolve(result);
  }
  stop(): void {
    this.calls.push("stop");
    this.#resolve("stopped");
  }
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
}

export class FakeRecording implements Recording {
  readonly done: Promise<RecordingResult>;
  readonly calls: string[] = [];
  #resolve!: (result: RecordingResult) => void;

  constructor(readonly options: RecordOptions) {
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }
  /** It has ended; for two seconds of sound unless said otherwise. */
  finish(reason: RecordingResult["reason"], more: Partial<RecordingResult> = {}): void {
    this.#resolve({ reason, seconds: 2, bytes: 32_044, ...more });
  }
  stop(reason: "stopped" | "digit" = "stopped"): void {
    this.calls.push(`stop ${reason}`);
    this.finish(reason);
  }
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
}

export class FakeBridge implements AudioBridge {
  readonly done: Promise<AudioBridgeEnd>;
  stopped = false;
  #resolve!: (reason: AudioBridgeEnd) => void;

  constructor(
    readonly other: AudioControl,
    readonly listener: BridgeListener | undefined,
  ) {
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }
  finish(reason: AudioBridgeEnd): void {
    this.#resolve(reason);
  }
  stop(): void {
    this.stopped = true;
    this.#resolve("stopped");
  }
}

export class FakeStream implements AudioStream {
  readonly done: Promise<"stopped" | "failed">;
  /** What was called, bytes in hexadecimal. */
  readonly calls: string[] = [];
  readonly marks: ((milliseconds: number) => void)[] = [];
  #resolve!: (result: "stopped" | "failed") => void;
  #frames = 0;

  constructor(
    readonly options: StreamOptions,
    readonly listener: AudioStreamListener,
  ) {
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }
  /** The peer says something. */
  hear(data: Buffer): void {
    const sequence = this.#frames++;
    this.listener.onFrame({ data, sequence, timestamp: sequence * this.options.frame });
  }
  finish(result: "stopped" | "failed" = "stopped"): void {
    this.#resolve(result);
  }
  send(audio: Uint8Array): void {
    this.calls.push(Buffer.from(audio).toString("hex"));
  }
  clear(): void {
    this.calls.push("clear");
  }
  mark(): Promise<number> {
    this.calls.push("mark");
    return new Promise((resolve) => this.marks.push(resolve));
  }
  stop(): void {
    this.calls.push("stop");
    this.#resolve("stopped");
  }
}

export class FakeAudio implements AudioControl {
  ready = true;
  readonly bridges: FakeBridge[] = [];
  /** Bridges are there when the test calls this. */
  holdBridges: Promise<void> | undefined;
  readonly streams: FakeStream[] = [];
  /** Streams open when the test releases them. */
  opening: Promise<void> | undefined;
  readonly recorded: FakeRecording[] = [];
  readonly played: FakePlayback[] = [];
  error: Error | undefined;
  #foreground: FakePlayback | FakeStream | undefined;

  async play(source: AudioSource, options: PlayOptions = {}): Promise<Playback> {
    if (this.error) throw this.error;
    const playback = new FakePlayback(source, options);
    if (options.background !== true) {
      if (this.#foreground instanceof FakeStream) this.#foreground.finish();
      else this.#foreground?.stop();
      this.#foreground = playback;
    }
    this.played.push(playback);
    return playback;
  }
  async record(options: RecordOptions): Promise<Recording> {
    if (this.error) throw this.error;
    const recording = new FakeRecording(options);
    this.recorded.push(recording);
    return recording;
  }
  async bridge(other: AudioControl, listener?: BridgeListener): Promise<AudioBridge> {
    await this.holdBridges;
    if (this.error) throw this.error;
    const bridge = new FakeBridge(other, listener);
    this.bridges.push(bridge);
    for (const audio of [this, other as FakeAudio]) audio.#foreground?.stop();
    return bridge;
  }
  async stream(options: StreamOptions, listener: AudioStreamListener): Promise<AudioStream> {
    await this.opening;
    if (this.error) throw this.error;
    const stream = new FakeStream(options, listener);
    this.#foreground?.finish("stopped");
    this.#foreground = stream;
    this.streams.push(stream);
    return stream;
  }
  async sendDigits(): Promise<void> {
    // The fake session answers before it gets here.
  }
  get last(): FakePlayback {
    const last = this.played.at(-1);
    if (!last) throw new Error("nothing was played");
    return last;
  }
}

export class FakeSession extends Session {
  readonly id: string;
  state: SessionState;
  signaling: SignalingState = "initial";
  accountId: string | undefined;
  readonly calls: { name: string; options: unknown }[] = [];
  fakeAudio: FakeAudio | undefined = new FakeAudio();
  remote = { uri: "sip:bob@10.0.0.9", user: "bob", host: "10.0.0.9" };
  cause: Cause | undefined;
  targets: SessionSnapshot["targets"];
  media: SessionSnapshot["media"];
  answered = false;
  /** Answers of actions, by name; without one the fake plays a willing peer. */
  readonly outcomes: Partial<Record<string, ActionOutcome | Error | Promise<ActionOutcome>>> = {};

  constructor(
    readonly userAgent: FakeUserAgent,
    readonly direction: "incoming" | "outgoing",
    readonly message: SipRequest | SipResponse | undefined = undefined,
  ) {
    super();
    this.id = `session-${++serial}`;
    this.state = direction === "incoming" ? "incoming" : "inviting";
    userAgent.sessions.set(this.id, this);
  }

  override get audio(): AudioControl | undefined {
    return this.fakeAudio;
  }
  get mediaSession(): MediaSession | undefined {
    return undefined;
  }
  statistics: Promise<MediaStatistics | undefined> | undefined;
  override get mediaStatistics(): Promise<MediaStatistics | undefined> | undefined {
    return this.state === "terminated" ? this.statistics : undefined;
  }

  snapshot(): SessionSnapshot {
    return {
      session: this.id,
      state: this.state,
      signaling: this.signaling,
      direction: this.direction,
      ...(this.accountId === undefined ? {} : { account: this.accountId }),
      callId: `call-of-${this.id}`,
      localTag: "lt",
      remoteTag: "rt",
      local: { uri: "sip:alice@127.0.0.1", user: "alice", host: "127.0.0.1" },
      remote: { ...this.remote },
      hold: "none",
      startTime: "2026-01-01T00:00:00.000Z",
      ...(this.media === undefined ? {} : { media: structuredClone(this.media) }),
      ...(this.cause === undefined ? {} : { cause: this.cause }),
      ...(this.targets === undefined ? {} : { targets: structuredClone(this.targets) }),
    };
  }

  /** Lets something happen. */
  happen(name: SessionEventName, more: Partial<SessionEvent> = {}): void {
    const event: SessionEvent = { name, snapshot: this.snapshot(), ...more };
    this.emit("event", event);
    this.userAgent.emit("sessionEvent", this, event);
  }

  become(state: SessionState): void {
    const previousState = this.state;
    this.state = state;
    this.happen("state", { previousState });
  }

  /** Both sides agreed. */
  answer(message?: SipRequest | SipResponse): void {
    this.answered = true;
    this.become("established");
    this.happen("answered", { statusCode: 200, message });
    this.happen("confirmed", { message });
  }

  close(cause: Cause, statusCode?: number, message?: SipRequest | SipResponse): void {
    if (this.state === "terminated") return;
    this.cause = cause;
    this.become("terminated");
    this.fakeAudio?.played.forEach((playback) => playback.finish("stopped"));
    this.fakeAudio?.streams.forEach((stream) => stream.finish("stopped"));
    this.userAgent.sessions.delete(this.id);
    this.happen(this.answered ? "ended" : "failed", { statusCode, message });
  }

  async #act(name: string, options: unknown, willing: () => ActionOutcome): Promise<ActionOutcome> {
    this.calls.push({ name, options });
    const planned = this.outcomes[name];
    if (planned instanceof Error) throw planned;
    return planned ?? willing();
  }

  progress(options: ProgressOptions = {}): Promise<ActionOutcome> {
    return this.#act("progress", options, () => {
      if (this.answered) throw new InvalidStateError("answered already");
      const statusCode = options.statusCode ?? 180;
      if (this.state === "incoming") this.become("early");
      this.happen("progress", { statusCode, reason: "Ringing" });
      return { ok: true, statusCode };
    });
  }
  accept(options: AcceptOptions = {}): Promise<ActionOutcome> {
    return this.#act("accept", options, () => {
      this.answer();
      return { ok: true, statusCode: 200 };
    });
  }
  reject(options: RejectOptions = {}): Promise<ActionOutcome> {
    return this.#act("reject", options, () => {
      const statusCode = options.statusCode ?? 486;
      this.happen("rejected", { statusCode });
      this.close("rejected", statusCode);
      return { ok: true, statusCode };
    });
  }
  async end(options: EndOptions = {}): Promise<void> {
    this.calls.push({ name: "end", options });
    if (this.outcomes.end instanceof Error) throw this.outcomes.end;
    await this.outcomes.end;
    this.close(options.cause ?? (this.answered ? "local-bye" : "cancelled"), options.statusCode);
  }
  reinvite(options: ReInviteOptions): Promise<ActionOutcome> {
    return this.#act("reinvite", options, () => ({ ok: true, statusCode: 200, reason: "OK" }));
  }
  refer(options: ReferOptions): Promise<ActionOutcome> {
    return this.#act("refer", options, () => ({ ok: true, statusCode: 200 }));
  }
  receiveDigit(digit: DigitEvent): void {
    this.happen("dtmf", { digit });
  }
  direct(other: Session): DirectMediaControl {
    return {
      start: () => this.#act("direct", other.id, () => ({ ok: true, statusCode: 200 })),
      resume: () => undefined,
      isDirect: true,
      again: () => this.#act("direct again", other.id, () => ({ ok: true, statusCode: 200 })),
      stop: async () => {
        await this.#act("indirect", other.id, () => ({ ok: true, statusCode: 200 }));
      },
    };
  }
  request(options: InDialogRequestOptions): Promise<ActionOutcome> {
    return this.#act("request", options, () => ({ ok: true, statusCode: 200, reason: "OK" }));
  }
  sendDigits(options: SendDigitsOptions): Promise<ActionOutcome> {
    return this.#act("sendDigits", options, () => ({ ok: true, statusCode: 200 }));
  }
  digit(digit: string): void {
    this.happen("dtmf", { digit: { digit, method: "rfc4733", duration: 100 } });
  }
}

export class FakeAccount implements Account {
  readonly id: string;
  readonly uri: string;
  registration: RegistrationStatus = { state: "registered", expires: 300 };
  outcome: ActionOutcome = { ok: true, statusCode: 200 };
  readonly calls: string[] = [];

  constructor(readonly options: AccountOptions) {
    this.id = options.id;
    this.uri = options.uri;
  }
  async register(): Promise<ActionOutcome> {
    this.calls.push("register");
    return this.outcome;
  }
  async unregister(): Promise<ActionOutcome> {
    this.calls.push("unregister");
    return this.outcome;
  }
  learnt: LearntRegistration | undefined;
  learn(facts: LearntRegistration): void {
    this.calls.push(`learn ${facts.contact}`);
  }
  standDown(): void {
    this.calls.push("stand down");
    this.registration = { state: "unregistered" };
  }
}

export class FakePending implements PendingRequest {
  readonly handle = `request-${++serial}`;
  readonly calls: { name: string; options: unknown }[] = [];
  pending = true;
  outcome: ActionOutcome | undefined;

  constructor(readonly request: SipRequest) {}
  get method(): string {
    return this.request.method;
  }
  async accept(options: AcceptRequestOptions = {}): Promise<ActionOutcome> {
    this.calls.push({ name: "accept", options });
    this.pending = false;
    return this.outcome ?? { ok: true, statusCode: options.statusCode ?? 200 };
  }
  async reject(options: RejectOptions = {}): Promise<ActionOutcome> {
    this.calls.push({ name: "reject", options });
    this.pending = false;
    return this.outcome ?? { ok: true, statusCode: options.statusCode ?? 403 };
  }
}

/** A subscription of ours; tests emit `notify` and `ended`. */
export class FakeSubscription extends TypedEmitter<SubscriptionEvents> {
  static #count = 0;
  readonly id = `subscription-${++FakeSubscription.#count}`;
  readonly log: string[] = [];
  state = "active";
  expires: number | undefined = 3600;

  constructor(readonly options: SubscribeOptions) {
    super();
  }

  get eventPackage(): string {
    return this.options.eventPackage;
  }
  refresh(): void {
    this.log.push("refresh");
  }
  unsubscribe(): Promise<void> {
    this.log.push("unsubscribe");
    this.state = "terminated";
    this.emit("ended", { reason: "unsubscribed", statusCode: 0 });
    return Promise.resolve();
  }
}

export class FakeUserAgent extends TypedEmitter<UserAgentEvents> implements UserAgentPort {
  onIncomingCall: IncomingCallHandler | undefined;
  onUnknownDialog: UserAgentPort["onUnknownDialog"];
  requestPolicy: RequestPolicy | undefined;
  observeMessages: boolean | undefined;
  running = false;
  readonly bound = [{ protocol: "udp" as const, address: "127.0.0.1", port: 5060 }];
  readonly sessions = new Map<string, Session>();
  readonly accounts = new Map<string, FakeAccount>();
  readonly invites: { options: InviteOptions; session: FakeSession }[] = [];
  readonly requests: OutOfDialogRequestOptions[] = [];
  readonly ownSubscriptions: FakeSubscription[] = [];
  readonly held = new Map<string, FakePending>();
  readonly log: string[] = [];
  /** Call-IDs that pass the gate. */
  readonly admitted = new Set<string>();
  /** Makes `start` fail. */
  startError: Error | undefined;
  requestOutcome: ActionOutcome = { ok: true, statusCode: 200, reason: "OK" };
  inviteError: Error | undefined;

  constructor(readonly options: UserAgentOptions) {
    super();
    // A throwing listener is a mistake of the nodes; tests must see it.
    this.reportListenerErrors((error) => {
      throw error;
    });
  }

  async start(): Promise<void> {
    this.log.push("start");
    if (this.startError) throw this.startError;
    this.running = true;
  }
  async stop(): Promise<void> {
    this.log.push("stop");
    this.running = false;
    for (const session of [...this.sessions.values()]) (session as FakeSession).close("shutdown");
  }
  drainState: DrainState = "none";
  drain(): void {
    this.#drainTo(this.sessions.size === 0 ? "drained" : "draining");
  }
  resume(): void {
    this.#drainTo("none");
  }
  #drainTo(state: DrainState): void {
    this.log.push(`drain ${state}`);
    this.drainState = state;
    this.emit("drain", state);
  }
  readonly told: { eventPackage: string; resource: string; state: NotifyOptions }[] = [];
  tellSubscribers(eventPackage: string, resource: string, state: NotifyOptions): void {
    this.told.push({ eventPackage, resource, state });
  }
  readonly usages = new Map<string, CallUsage>();
  callUsages(): ReadonlyMap<string, CallUsage> {
    return this.usages;
  }
  readonly supplements: Supplement[] = [];
  addSupplement(supplement: Supplement): () => void {
    this.supplements.push(supplement);
    return () => void this.supplements.splice(this.supplements.indexOf(supplement), 1);
  }
  addAccount(options: AccountOptions): Account {
    this.log.push(`add ${options.uri}`);
    const account = new FakeAccount(options);
    this.accounts.set(options.id, account);
    return account;
  }
  async removeAccount(id: string): Promise<void> {
    this.log.push(`remove ${this.accounts.get(id)?.uri}`);
    this.accounts.delete(id);
  }
  invite(options: InviteOptions): Session {
    if (this.inviteError) throw this.inviteError;
    const session = new FakeSession(this, "outgoing");
    session.accountId = options.account;
    const uris = options.targets.map((target) =>
      typeof target === "string" ? target : target.uri,
    );
    session.targets = uris.map((uri) => ({ uri, state: "trying" }));
    session.data = options.data ?? {};
    this.invites.push({ options, session });
    setImmediate(() => session.happen("inviting", { uris }));
    return session;
  }
  async request(options: OutOfDialogRequestOptions): Promise<ActionOutcome> {
    this.requests.push(options);
    return this.requestOutcome;
  }
  subscribe(options: SubscribeOptions): Subscription {
    const subscription = new FakeSubscription(options);
    this.ownSubscriptions.push(subscription);
    return subscription as unknown as Subscription;
  }
  readonly notifies: { subscription: string; options: NotifyOptions }[] = [];
  notifyOutcome: ActionOutcome = { ok: true, statusCode: 200, reason: "OK" };
  async notify(subscription: string, options: NotifyOptions = {}): Promise<ActionOutcome> {
    this.notifies.push({ subscription, options });
    return this.notifyOutcome;
  }
  subscriberFacts(): SubscriberFacts | undefined {
    const resource = "desk@sip.test";
    return { eventPackage: "presence", resource, subscriptionState: "active", expires: 60 };
  }
  pendingRequest(handle: string): PendingRequest | undefined {
    return this.held.get(handle);
  }
  /** Each list of transports with renewed certificates. */
  readonly renewals: (readonly TransportOptions[])[] = [];
  renewTls(transports: readonly TransportOptions[]): void {
    this.renewals.push(transports);
  }

  admitCall(callId: string): () => void {
    this.admitted.add(callId);
    return () => this.admitted.delete(callId);
  }

  /** Records of calls of other user agents. */
  readonly restored: unknown[] = [];
  restore(record: unknown): Session | undefined {
    this.restored.push(record);
    return undefined;
  }
  readonly handedOver: string[] = [];
  handOver(text: string): void {
    this.handedOver.push(text);
  }

  calledUser(request: SipRequest): string {
    const { requestUri } = request;
    return "decodedUser" in requestUri ? requestUri.decodedUser : "";
  }
  counters(): Readonly<Record<string, number>> {
    return { received: 1 };
  }

  // What tests do.

  /** A call comes in. @returns undefined when no node took it. */
  ring(message = invite(), accountId?: string): FakeSession | undefined {
    const session = new FakeSession(this, "incoming", message);
    session.accountId = accountId;
    const { from } = message;
    if ("decodedUser" in from.uri) {
      const { decodedUser: user, host } = from.uri;
      session.remote = { uri: from.uri.toString(), user, host };
    }
    const taken = this.onIncomingCall?.(session, message) === true;
    session.happen("incoming", { message });
    if (!taken) session.close("rejected", 480);
    return taken ? session : undefined;
  }
  /** A request waits for the flow. */
  hold(request: SipRequest): FakePending {
    const pending = new FakePending(request);
    this.held.set(pending.handle, pending);
    return pending;
  }
  report(event: StackEvent): void {
    this.emit("stackEvent", event);
  }
  get lastCall(): FakeSession {
    const last = this.invites.at(-1);
    if (!last) throw new Error("no call was placed");
    return last.session;
  }
}
