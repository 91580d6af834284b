/**
 * The inside of a session that all exchanges share: state, identity, dialog, media, events and the way out. One input
 * is worked off completely before listeners hear of it (`run`), so that what a listener does cannot get in between.
 */
import { StateMachine, errorText, randomToken, type Timer } from "../foundation/index.js";
import type { Clock, Logger } from "../foundation/index.js";
import type { Dialog, DialogUser } from "../dialog/index.js";
import {
  createResponse,
  type NameAddr,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import type { Cause } from "./cause.js";
import { mergeHeaders } from "./header-lines.js";
import type { MediaSessionContext } from "./media-handler.js";
import { Negotiation } from "./negotiation.js";
import { withContact } from "./participant.js";
import type { AccountHandle, SessionServices } from "./session-services.js";
import { sessionMachine, type SessionInput, type SessionStateAction } from "./session-state.js";
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

/** What an event carries besides its name and the snapshot. */
export type EventFields = Omit<SessionEvent, "name" | "snapshot">;

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
const NO_TIMER: Timer = { cancel: () => undefined };

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
  local: Participant;
  remote: Participant;
  dialog: Dialog | undefined;
  /** The flow that the peer was last heard on. */
  flow: Flow | undefined;
  /** Methods of the peer's Allow; undefined while it has sent none. */
  allowed: readonly string[] | undefined;

  targets: (() => TargetStatus[]) | undefined;

  readonly #machine: StateMachine<
    SessionState,
    SessionInput,
    SessionStateAction,
    SessionEvent["message"]
  >;
  readonly #startTime: number;
  #previousState: SessionState = "idle";
  #answerTime: number | undefined;
  #endTime: number | undefined;
  #cause: Cause | undefined;
  #depth = 0;
  #delivering = false;
  /** The last event is out; what comes now is of no interest to anybody. */
  #finished = false;
  readonly #events: SessionEvent[] = [];
  readonly #timers = new Set<Timer>();
  readonly #pending = new Set<ServerTransaction>();
  readonly #onClose = new Set<() => void>();

  constructor(
    readonly owner: SessionOwner,
    readonly services: SessionServices,
    readonly direction: "incoming" | "outgoing",
    parties: { readonly local: Participant; readonly remote: Participant },
  ) {
    this.id = owner.id;
    this.clock = services.clock;
    this.logger = services.logger;
    this.local = parties.local;
    this.remote = parties.remote;
    this.#startTime = services.clock.wallTime();
    this.negotiation = new Negotiation(
      services.mediaHandler,
      () => this.#mediaContext(),
      services.logger,
    );
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
      this.emit(this.answered ? "ended" : "failed", fields);
      this.#finished = true;
    });
  }

  /** Fixes the cause before the session has closed, as the end has begun. */
  setCause(cause: Cause): void {
    this.#cause ??= cause;
  }

  get cause(): Cause | undefined {
    return this.#cause;
  }

  // Events.

  emit(name: SessionEventName, fields: EventFields = {}, change?: Partial<SessionSnapshot>): void {
    if (this.#finished || !this.owner.observed) return;
    const snapshot = this.snapshot();
    if (change !== undefined) Object.assign(snapshot, change);
    this.#events.push({ name, snapshot, ...fields });
    this.#deliver();
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

  snapshot(): SessionSnapshot {
    const { negotiation } = this;
    const end = this.#endTime;
    const snapshot: SessionSnapshot = {
      session: this.id,
      state: this.state,
      signaling: negotiation.state,
      direction: this.direction,
      callId: this.callId,
      localTag: this.localTag,
      local: { ...this.local },
      remote: { ...this.remote },
      hold: negotiation.hold,
      startTime: new Date(this.#startTime).toISOString(),
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
    return snapshot;
  }

  // Things that end with the session.

  /** A timer that is cancelled when the session closes. */
  after(delayMs: number, callback: () => void): Timer {
    if (this.closed) return NO_TIMER;
    const timer = this.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      this.enter(callback);
    });
    this.#timers.add(timer);
    return {
      cancel: () => {
        this.#timers.delete(timer);
        timer.cancel();
      },
    };
  }

  /** Runs `callback` once when the session closes, or now when it has. @returns takes it back. */
  onClose(callback: () => void): () => void {
    if (this.closed) callback();
    else this.#onClose.add(callback);
    return () => this.#onClose.delete(callback);
  }

  // Dialog.

  /** Makes `dialog` the one of this session and takes its requests. @returns false when there is no room for it. */
  adopt(dialog: Dialog, user: DialogUser, flow: Flow): boolean {
    this.dialog = dialog;
    this.flow = flow;
    this.callId = dialog.id.callId;
    this.localTag = dialog.id.localTag;
    this.remoteTag = dialog.id.remoteTag;
    return this.services.dialogs.add(dialog, user);
  }

  /** Learns what the peer tells about itself: Contact and Allow. */
  learn(message: SipMessage): void {
    const contact: NameAddr | undefined = message.contacts[0];
    if (contact !== undefined) this.remote = withContact(this.remote, contact);
    if (message.headers.has("allow")) this.allowed = message.tokens("allow");
  }

  // Responses.

  /** Remembers a request that is answered later; it gets 487 when the session ends before (RFC 3261 §15.1.2). */
  keepPending(transaction: ServerTransaction): void {
    this.#pending.add(transaction);
  }

  /** The request is answered elsewhere than by `reply`. */
  answeredPending(transaction: ServerTransaction): void {
    this.#pending.delete(transaction);
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
    if (statusCode >= 200) this.#pending.delete(transaction);
    if (transaction.answered) return undefined;
    const response = this.createReply(transaction.request, statusCode, transaction.flow, fields);
    transaction.respond(response);
    return response;
  }

  #perform(action: SessionStateAction): void {
    switch (action) {
      case "announce":
        this.emit("state", { previousState: this.#previousState });
        return;
      case "release":
        this.#release();
    }
  }

  #release(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.negotiation.close();
    for (const transaction of this.#pending) {
      if (!transaction.answered) this.reply(transaction, 487);
    }
    this.#pending.clear();
    if (this.dialog !== undefined) {
      this.services.dialogs.remove(this.dialog);
      this.dialog.terminate();
    }
    for (const callback of this.#onClose) callback();
    this.#onClose.clear();
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
      localAddress: this.flow?.localAddress ?? "",
      remoteAddress: this.flow?.remoteAddress ?? "",
      events: {
        onDigit: (digit) => this.enter(() => this.closed || this.emit("dtmf", { digit })),
        onMediaTimeout: () => this.enter(() => this.owner.endFor("media-timeout")),
        onError: (error) => this.logger.warn(`session ${this.id}: media: ${errorText(error)}`),
      },
    };
  }
}
