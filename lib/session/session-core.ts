/**
 * The inside of a session that all exchanges share: state, identity, dialog, media, events and the way out. One input
 * is worked off completely before listeners hear of it (`run`), so that what a listener does cannot get in between.
 */
import {
  LinkedList,
  StateMachine,
  errorText,
  randomToken,
  type Timer,
} from "../foundation/index.js";
import type { Clock, Logger } from "../foundation/index.js";
import type { Dialog, DialogUser } from "../dialog/index.js";
import {
  createResponse,
  NameAddr,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import type { Cause } from "./cause.js";
import { mergeHeaders } from "./header-lines.js";
import { packageName, packagesOf } from "./info-package.js";
import type { DigitEvent, MediaSessionContext } from "./media-handler.js";
import { Negotiation } from "./negotiation.js";
import { participantOf, ShownParty, showParty } from "./participant.js";
import { ReceivedDigits } from "./received-digits.js";
import type { AccountHandle, SessionServices } from "./session-services.js";
import { RouteWatch } from "./route-watch.js";
import { SessionTimer } from "./session-timer.js";
import { sessionMachine, type SessionInput, type SessionStateAction } from "./session-state.js";
import { NO_TIMER, TimerGroup } from "./timer-group.js";
import type {
  HeaderList,
  Participant,
  SessionEvent,
  SessionEventName,
  SessionHandle,
  SessionSnapshot,
  SessionState,
  TargetStatus,
} from "./session-types.js";

/** What happened before, when the call was begun by another process. */
export interface CorePast {
  /** Wall times in milliseconds. */
  readonly startTime: number;
  readonly answerTime: number;
  /** Allow lines of the peer. */
  readonly allow: readonly string[];
}

/** What an event carries besides its name and the snapshot. */
export type EventFields = Omit<SessionEvent, "name" | "snapshot">;

/** RFC 3261 §8.1.1.6. */
const MOST_HOPS = 70;

/** What only the owner of the core can do. */
export interface SessionOwner extends SessionHandle {
  /** Is anybody there to hear an event? */
  readonly observed: boolean;
  deliver(event: SessionEvent): void;
  /** Ends the session as `Session.end` does; for causes that come from inside. */
  endFor(cause: Cause): void;
}

/** How a response of ours looks, beyond its status code. */
export interface ReplyFields {
  readonly reason?: string | undefined;
  readonly headers?: HeaderList | undefined;
  readonly contact?: boolean | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
}

const HANDLE_LENGTH = 26;

export class SessionCore {
  readonly id: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly negotiation: Negotiation;

  // Identity of the dialog, or of the branch that stands for the attempt until one has answered.
  account: AccountHandle | undefined;
  callId = "";
  localTag = "";
  remoteTag: string | undefined;
  /** As they are in messages, made into participants when somebody wants to see them. */
  local: NameAddr | Participant;
  remote: NameAddr | Participant;
  #remoteContact: NameAddr | undefined;
  /** From of the peer's last request that may change it. */
  #lastFrom: NameAddr | undefined;
  /** The same as it was written. */
  #lastFromLine: string | undefined;
  dialog: Dialog | undefined;
  readonly #route: RouteWatch;
  /** Allow lines of the peer. */
  #allow: readonly string[] = [];
  /** INFO packages that the peer takes; undefined while it has said nothing. */
  #infoPackages: ReadonlySet<string> | undefined;

  targets: (() => TargetStatus[]) | undefined;
  /** Handle of the call whose place this one takes, and of the one that has taken its place (RFC 3891). */
  replaces: string | undefined;
  replacedBy: string | undefined;
  /** Handle of the call that this one is likely to be joined with. */
  near: string | undefined;
  /** Max-Forwards of its INVITE: what is left for calls that are made for it (RFC 7332). */
  hopsLeft = MOST_HOPS;
  /** Transfers to this call's peer whose end is not known. */
  transfers = 0;

  readonly #machine: StateMachine<
    SessionState,
    SessionInput,
    SessionStateAction,
    SessionEvent["message"]
  >;
  #startTime: number;
  #previousState: SessionState = "idle";
  #answerTime: number | undefined;
  #endTime: number | undefined;
  #cause: Cause | undefined;
  /** What the last event says, when that is known before the end has come. */
  #lastWord: EventFields | undefined;
  #depth = 0;
  #delivering = false;
  /** The last event is out; what comes now is of no interest to anybody. */
  #finished = false;
  readonly #events = new LinkedList<SessionEvent>();
  #startText: string | undefined;
  #shownLocal: ShownParty | undefined;
  #shownRemote: ShownParty | undefined;
  readonly #timers: TimerGroup;
  readonly #pending = new LinkedList<ServerTransaction>();
  #digits: ReceivedDigits | undefined;
  readonly #onClose = new LinkedList<() => void>();
  #sessionTimer: SessionTimer | undefined;

  constructor(
    readonly owner: SessionOwner,
    readonly services: SessionServices,
    readonly direction: "incoming" | "outgoing",
    parties: { readonly local: NameAddr; readonly remote: NameAddr | Participant },
  ) {
    this.id = owner.id;
    this.clock = services.clock;
    this.logger = services.logger;
    this.#timers = new TimerGroup(services.clock);
    this.#route = new RouteWatch(
      (route, reason) => this.enter(() => this.emit("route", { route, reason })),
      (recovered) => services.onFlowRecovered?.(this.account, recovered),
    );
    this.local = parties.local;
    this.remote = parties.remote;
    this.#startTime = services.clock.wallTime();
    this.negotiation = new Negotiation(services, () => this.#mediaContext());
    this.#machine = new StateMachine(sessionMachine, (action) => this.#perform(action));
  }

  static newHandle(services: SessionServices): string {
    return randomToken(services.random, HANDLE_LENGTH);
  }

  get state(): SessionState {
    return this.#machine.state;
  }

  get closed(): boolean {
    return this.#machine.state === "terminated";
  }

  /** Was `answered` reported? Then the session closes with `ended`, else with `failed`. */
  get answered(): boolean {
    return this.#answerTime !== undefined;
  }

  /** Is a call up, neither before its 2xx nor after its BYE? */
  get established(): boolean {
    return this.#machine.state === "established";
  }

  // Inputs.

  /** Works off one input of the application; events go out at its end. What `work` throws is passed on. */
  run<T>(work: () => T): T {
    this.#depth++;
    try {
      return work();
    } finally {
      this.#depth--;
      this.#deliver();
    }
  }

  /** As `run`, for inputs of peers, timers and promises, which have nobody to throw to. */
  enter(work: () => void): void {
    try {
      this.run(work);
    } catch (error) {
      this.logger.error(`session ${this.id}: ${errorText(error)}`);
    }
  }

  /** Moves the state; `state` is reported when it changed. @returns false when the input does not apply. */
  input(input: SessionInput): boolean {
    this.#previousState = this.#machine.state;
    if (sessionMachine.table[this.state][input]?.next === "established") {
      this.#answerTime ??= this.clock.wallTime();
    }
    return this.#machine.input(input, undefined);
  }

  /** The last step: `ended` or `failed`, exactly once. The first cause counts. */
  close(cause: Cause, fields: EventFields = {}): void {
    if (this.closed) return;
    this.#cause ??= cause;
    this.#endTime = this.clock.wallTime();
    this.run(() => {
      this.input("close");
      this.emit(this.answered ? "ended" : "failed", this.#lastWord ?? fields);
      this.#finished = true;
    });
  }

  /** Ends the session as its owner does, with BYE where there is a call; the last event says `fields`. */
  endBecause(cause: Cause, fields: EventFields): void {
    if (!this.closed && this.state !== "terminating") this.#lastWord ??= fields;
    this.owner.endFor(cause);
  }

  /** Fixes the cause before the session has closed, as the end has begun. */
  setCause(cause: Cause): void {
    this.#cause ??= cause;
  }

  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** What `restore` of another process needs; undefined before the answer. */
  get past(): CorePast | undefined {
    const answerTime = this.#answerTime;
    if (answerTime === undefined) return undefined;
    return { startTime: this.#startTime, answerTime, allow: this.#allow };
  }

  /** Goes on with a call that another process has begun. @returns false when there is no room for its dialog. */
  restore(dialog: Dialog, user: DialogUser, past: CorePast): boolean {
    this.#startTime = past.startTime;
    this.#answerTime = past.answerTime;
    this.#allow = past.allow;
    if (!this.#adopt(dialog, user)) return false;
    return this.input("restore");
  }

  /** Closes without a word to anybody: another process has the call now. */
  forget(): void {
    this.#finished = true;
    this.close("shutdown");
  }

  // Events.

  emit(name: SessionEventName, fields: EventFields = {}, change?: Partial<SessionSnapshot>): void {
    if (this.#finished || !this.owner.observed) return;
    const snapshot = this.snapshot();
    if (change !== undefined) Object.assign(snapshot, change);
    this.#events.push({ name, snapshot, ...fields });
    this.#deliver();
  }

  /** A key of the peer came, in the media or as INFO. @param isElsewhere - In media that others carry. */
  digit(digit: DigitEvent, message?: SipRequest, isElsewhere = false): void {
    this.#digits ??= new ReceivedDigits();
    if (this.#digits.isNew(digit, this.clock.now(), isElsewhere))
      this.emit("dtmf", { digit, ...(message && { message }) });
  }

  /** Reports a response as `response`, if anybody listens to that. */
  observe(response: SipResponse): void {
    if (this.services.observesMessages !== true) return;
    this.emit("response", {
      message: response,
      statusCode: response.statusCode,
      reason: response.reason,
    });
  }

  /** Reports a request that has an event of its own as `request`, too, if anybody listens to that. */
  observeRequest(request: SipRequest): void {
    if (this.services.observesMessages === true) this.emit("request", { message: request });
  }

  snapshot(): SessionSnapshot {
    const { negotiation } = this;
    const end = this.#endTime;
    const snapshot: SessionSnapshot = {
      session: this.id,
      state: this.state,
      signaling: this.state === "terminated" ? "closed" : negotiation.state,
      direction: this.direction,
      callId: this.callId,
      localTag: this.localTag,
      local: (this.#shownLocal ??= new ShownParty()).show(this.local, undefined),
      remote: (this.#shownRemote ??= new ShownParty()).show(
        this.remote,
        this.#remoteContact,
        this.direction === "incoming" ? "from" : undefined,
      ),
      hold: negotiation.hold,
      startTime: (this.#startText ??= new Date(this.#startTime).toISOString()),
    };
    if (this.account !== undefined) snapshot.account = this.account.id;
    if (this.remoteTag !== undefined) snapshot.remoteTag = this.remoteTag;
    if (negotiation.media.length > 0) snapshot.media = negotiation.media.map((m) => ({ ...m }));
    if (this.#cause !== undefined) snapshot.cause = this.#cause;
    if (this.#answerTime !== undefined) {
      snapshot.answerTime = new Date(this.#answerTime).toISOString();
      snapshot.duration = ((end ?? this.clock.wallTime()) - this.#answerTime) / 1000;
    }
    if (end !== undefined) snapshot.endTime = new Date(end).toISOString();
    if (this.targets !== undefined) snapshot.targets = this.targets();
    if (this.replaces !== undefined) snapshot.replaces = this.replaces;
    if (this.replacedBy !== undefined) snapshot.replacedBy = this.replacedBy;
    return snapshot;
  }

  /** RFC 4028: told of every INVITE and UPDATE and its 2xx. */
  get sessionTimer(): SessionTimer {
    return (this.#sessionTimer ??= new SessionTimer(this, this.services.sessionTimer));
  }

  // Things that end with the session.

  /** A timer that is cancelled when the session closes. */
  after(delayMs: number, callback: () => void): Timer {
    if (this.closed) return NO_TIMER;
    return this.#timers.start(delayMs, () => this.enter(callback));
  }

  /** Runs `callback` once when the session closes, or now when it has. @returns takes it back. */
  onClose(callback: () => void): () => void {
    if (this.closed) callback();
    else this.#onClose.push(callback);
    return () => this.#onClose.remove(callback);
  }

  // Dialog.

  /** The flow that the session's messages travelled on last. */
  get flow(): Flow | undefined {
    return this.#route.flow;
  }

  /** A message came or went over this flow. */
  useFlow(flow: Flow): void {
    if (!this.closed) this.#route.follow(flow);
  }

  /** Makes `dialog` the one of this session and takes its requests. @returns false when there is no room for it. */
  adopt(dialog: Dialog, user: DialogUser, flow: Flow): boolean {
    this.useFlow(flow);
    return this.#adopt(dialog, user);
  }

  #adopt(dialog: Dialog, user: DialogUser): boolean {
    this.dialog = dialog;
    this.callId = dialog.id.callId;
    this.localTag = dialog.id.localTag;
    this.remoteTag = dialog.id.remoteTag;
    return this.services.dialogs.add(dialog, user);
  }

  /** Learns what the peer tells about itself: Contact, Allow, Recv-Info. */
  learn(message: SipMessage): void {
    this.#infoPackages = packagesOf(message) ?? this.#infoPackages;
    this.#remoteContact = message.contacts[0] ?? this.#remoteContact;
    if (message.headers.has("allow")) this.#allow = message.headers.getAll("allow");
    this.identify(message);
  }

  /**
   * Learns who the peer is now: as a trusted source asserts, else as its From says when it changes in a dialog
   * (RFC 3325 §9.1, RFC 4916). `participant` is reported when that is somebody else than before.
   */
  identify(message: SipMessage): void {
    const identity = this.services.identityOf?.(message) ?? this.#changedFrom(message);
    if (identity === undefined) return;
    const before = showParty(this.remote, undefined);
    this.remote = identity;
    const isSame =
      before.uri === identity.uri && (before.displayName ?? "") === (identity.displayName ?? "");
    if (!isSame) this.emit("participant", { message });
  }

  /** The From of a request in the dialog, when it is not the one known so far and nothing better is known. */
  #changedFrom(message: SipMessage): Participant | undefined {
    if (message.kind !== "request" || this.dialog === undefined) return undefined;
    const { remote } = this;
    if (!(remote instanceof NameAddr) && remote.identity !== "from") return undefined;
    const from = this.#lastFrom ?? this.dialog.remote;
    const line = message.headers.get("from");
    if (line === this.#lastFromLine) return undefined;
    this.#lastFromLine = line;
    this.#lastFrom = message.from;
    const isSame =
      from === message.from ||
      (from.uri.toString() === message.from.uri.toString() &&
        (from.displayName ?? "") === (message.from.displayName ?? ""));
    return isSame ? undefined : participantOf(message.from, undefined, "from");
  }

  /** May an INFO of this package be sent? A peer that says nothing is asked (RFC 6086 §4.2.1 is stricter). */
  takesInfoPackage(infoPackage: string): boolean {
    return this.#infoPackages?.has(packageName(infoPackage)) ?? true;
  }

  /** Does the peer's Allow hold this method? False while it has sent none. */
  peerAllows(method: string): boolean {
    return this.#allow.some((line) => line.split(",").some((name) => name.trim() === method));
  }

  // Responses.

  /** Remembers a request that is answered later; it gets 487 when the session ends before (RFC 3261 §15.1.2). */
  keepPending(transaction: ServerTransaction): void {
    this.#pending.push(transaction);
  }

  /** The request is answered elsewhere than by `reply`. */
  answeredPending(transaction: ServerTransaction): void {
    this.#pending.remove(transaction);
  }

  /** A response to `request` with our tag and the stack's headers. */
  createReply(
    request: SipRequest,
    statusCode: number,
    flow: Flow,
    fields: ReplyFields = {},
  ): SipResponse {
    const { services } = this;
    return createResponse(request, {
      statusCode,
      reason: fields.reason,
      toTag: this.localTag,
      contact: fields.contact === true ? services.contact(flow, this.account) : undefined,
      headers: mergeHeaders(
        services.commonHeaders("response", request.method, statusCode),
        fields.headers,
      ),
      contentType: fields.contentType,
      body: fields.body,
    });
  }

  /** Answers a request. @returns the response, or undefined when it was answered before. */
  reply(
    transaction: ServerTransaction,
    statusCode: number,
    fields: ReplyFields = {},
  ): SipResponse | undefined {
    if (statusCode >= 200) this.#pending.remove(transaction);
    if (transaction.answered) return undefined;
    const response = this.createReply(transaction.request, statusCode, transaction.flow, fields);
    transaction.respond(response);
    return response;
  }

  #perform(action: SessionStateAction): void {
    switch (action) {
      case "announce":
        if (this.owner.observed) this.emit("state", { previousState: this.#previousState });
        return;
      case "release":
        this.#release();
    }
  }

  #release(): void {
    this.#timers.cancelAll();
    this.#route.stop();
    this.negotiation.close();
    const pending = this.#pending;
    for (let open = pending.shift(); open !== undefined; open = pending.shift()) {
      if (!open.answered) this.reply(open, 487);
    }
    if (this.dialog !== undefined) {
      this.services.dialogs.remove(this.dialog);
      this.dialog.terminate();
    }
    const listeners = this.#onClose;
    for (let tell = listeners.shift(); tell !== undefined; tell = listeners.shift()) tell();
  }

  #deliver(): void {
    if (this.#depth > 0 || this.#delivering) return;
    this.#delivering = true;
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      this.owner.deliver(event);
    }
    this.#delivering = false;
  }

  #mediaContext(): MediaSessionContext {
    return {
      sessionId: this.id,
      near: this.near ?? this.replaces,
      localAddress: this.flow?.localAddress ?? "",
      remoteAddress: this.flow?.remoteAddress ?? "",
      events: {
        onDigit: (digit) => this.enter(() => this.closed || this.digit(digit)),
        // Many a gateway sends nothing while it rings, whatever its 183 said.
        onMediaTimeout: () =>
          this.enter(() => this.established && this.owner.endFor("media-timeout")),
        onError: (error) => this.logger.warn(`session ${this.id}: media: ${errorText(error)}`),
      },
    };
  }
}
