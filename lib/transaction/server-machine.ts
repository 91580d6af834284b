/**
 * What the two server transactions share: the actions of their tables, the timers, the bytes of the last response
 * and the way to the user (RFC 3261 §17.2). The tables stand in invite-server.ts and non-invite-server.ts.
 */
import {
  InvalidStateError,
  type Logger,
  type MachineDefinition,
  randomToken,
  type SipError,
  StateMachine,
  TransactionTimeoutError,
  type TransportError,
} from "../foundation/index.js";
import {
  createResponse,
  parseNameAddr,
  serializeMessage,
  SipRequest,
  type SipResponse,
} from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import { ResponsePath, type ResponsePathOwner } from "./response-path.js";
import type { TimerEntry, TimerOwner } from "./timer-queue.js";
import type { FixedTimer, TimerName } from "./timers.js";
import { isLegacyKey } from "./transaction-keys.js";
import {
  callUser,
  type ServerTransactionKeys,
  type ServerTransactionOwner,
} from "./transaction-services.js";
import type { ServerTransactionUser } from "./transaction-user.js";

export type ServerAction =
  | "sendTrying"
  | "sendResponse"
  | "resendResponse"
  | "linger"
  | "startTimerG"
  | "startTimerH"
  | "startTimerI"
  | "startTimerJ"
  | "startTimerL"
  | "startTimerTrying"
  | "startTimerExpiry"
  | "stopTimers"
  | "passAck"
  | "passAckToDialog"
  | "reportTimeout"
  | "reportTransportError"
  | "finish";

/** A request that came, the bytes of a response to send, or what went wrong. */
export type ServerContext = SipRequest | Uint8Array | SipError | undefined;

const TO_TAG_LENGTH = 16;

/** The part of a server transaction that lingers in the layer's map; it drops the request once answered. */
export abstract class ServerMachine<
  State extends string,
  Input extends string,
  Action extends ServerAction,
>
  implements TimerOwner, ServerTransactionKeys, ResponsePathOwner
{
  readonly key: string;
  readonly mergeKey: string | undefined;
  user: ServerTransactionUser | undefined = undefined;
  readonly #machine: StateMachine<State, Input, Action, ServerContext>;
  readonly #owner: ServerTransactionOwner;
  readonly #path: ResponsePath;
  /** Until the final response: 100 is made from it, and its Via leads the way back. */
  #request: SipRequest | undefined;
  #bytes: Uint8Array | undefined;
  /** INVITE: the To header of the last provisional response above 100. */
  #sentTo: string | undefined;
  /** To tag of the request, only kept for the rules of RFC 2543. */
  readonly #remoteToTag: string | undefined;
  #localTag: string | undefined;
  #answered = false;
  #closed = false;
  /** Expiries of G so far. */
  #expiries = 0;
  /** G or `trying`. */
  #resendTimer: TimerEntry | undefined;
  /** H, I, J, L or `expiry`. */
  #endTimer: TimerEntry | undefined;

  constructor(
    definition: MachineDefinition<State, Input, Action>,
    owner: ServerTransactionOwner,
    keys: ServerTransactionKeys,
    request: SipRequest,
    flow: Flow,
  ) {
    this.#machine = new StateMachine(definition, (action, context) =>
      this.#perform(action, context),
    );
    this.#owner = owner;
    this.key = keys.key;
    this.mergeKey = keys.mergeKey;
    this.#request = request;
    if (isLegacyKey(keys.key)) this.#remoteToTag = request.to.tag;
    this.#path = new ResponsePath(flow, owner.responseFlow, this);
  }

  get state(): string {
    return this.#closed ? "terminated" : this.#machine.state;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** The tag that the responses carried so far, else the one made for them. */
  get localTag(): string {
    const sent = this.#sentTo === undefined ? undefined : parseNameAddr(this.#sentTo)?.tag;
    const tag = sent ?? this.#request?.to.tag ?? this.#localTag;
    if (tag !== undefined) return tag;
    this.#localTag = randomToken(this.#owner.random, TO_TAG_LENGTH);
    return this.#localTag;
  }

  /** The rule of RFC 2543 for the To tag: an ACK has that of the response, others the request's (§17.2.3). */
  matchesToTag(request: SipRequest): boolean {
    return request.to.tag === (request.method === "ACK" ? this.localTag : this.#remoteToTag);
  }

  /**
   * @param request - The transaction's request, for the way back over a connection that was lost meanwhile.
   * @throws InvalidStateError when this response may not follow the former ones.
   * @throws InvalidArgumentError when it cannot be written; then nothing has happened.
   */
  respond(response: SipResponse, request: SipRequest): void {
    if (this.#closed) return;
    const bytes = serializeMessage(response);
    this.#request = request;
    this.#noteTag(response, request);
    const allowed = this.#machine.input(this.inputOf(response.statusCode), bytes);
    if (this.#answered) this.#request = undefined;
    if (!allowed) {
      throw new InvalidStateError(
        `A ${response.statusCode} cannot be sent in state ${this.#machine.state}`,
      );
    }
  }

  /** A repetition of the request, or the ACK. */
  abstract receive(request: SipRequest): void;

  /** The user has seen the request and not sent a final response yet. */
  unanswered(): void {
    this.input("unanswered" as Input, undefined);
  }

  /** A CANCEL, which has its 200 already, means this transaction. */
  abstract cancel(cancel: SipRequest): void;

  onTimer(name: TimerName): void {
    if (name === "G") this.#expiries++;
    const letter = name === "trying" ? "Trying" : name === "expiry" ? "Expiry" : name;
    // Only timers that the table itself started can expire, so the input is one of the table's.
    this.input(`timer${letter}` as Input, undefined);
  }

  /** Silences the transaction: no timers, no callbacks, out of the map. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.user = undefined;
    this.#stopTimers();
    this.#path.close();
    this.#bytes = undefined;
    this.#request = undefined;
    this.#owner.serverTerminated(this, this.#answered);
  }

  /** Answers in the user's place. */
  protected respondWith(statusCode: number): void {
    const request = this.#request;
    if (request === undefined) return;
    this.respond(createResponse(request, { statusCode, toTag: this.localTag }), request);
  }

  protected get logger(): Logger {
    return this.#owner.logger;
  }

  protected abstract inputOf(statusCode: number): Input;

  protected input(input: Input, context: ServerContext): void {
    if (!this.#closed) this.#machine.input(input, context);
  }

  #perform(action: Action, context: ServerContext): void {
    // The user may have closed the transaction in an earlier action of the same row.
    if (this.#closed) return;
    const named: ServerAction = action;
    switch (named) {
      case "sendTrying":
        return this.#sendTrying();
      case "sendResponse":
        return this.#send(context);
      case "resendResponse":
        return this.#resend(context);
      case "linger":
        this.#answered = true;
        return this.#owner.serverAnswered();
      case "startTimerG":
        return this.#startResending();
      case "startTimerH":
        return this.#startEnd("H");
      case "startTimerI":
        return this.#startEnd("I");
      case "startTimerJ":
        return this.#startEnd("J");
      case "startTimerL":
        // The user repeats a 2xx itself, so its bytes are not kept (RFC 6026 §7.1).
        this.#bytes = undefined;
        return this.#startEnd("L");
      case "startTimerTrying":
        return this.#startTrying();
      case "startTimerExpiry":
        return this.#startEnd("expiry");
      case "stopTimers":
        return this.#stopTimers();
      case "passAck":
        return this.#passAck(context);
      case "passAckToDialog":
        if (context instanceof SipRequest) this.#owner.dialogAck(context, this.#path.flow);
        return;
      case "reportTimeout":
        return this.#report(
          new TransactionTimeoutError(
            this.#answered ? "No ACK came in time" : "The request was not answered in time",
          ),
        );
      case "reportTransportError":
        return this.#report(context);
      case "finish":
        return this.#finish();
    }
  }

  /** For the 200 to a CANCEL and the ACK of a peer without cookie. */
  #noteTag(response: SipResponse, request: SipRequest): void {
    if (request.method !== "INVITE" || this.#answered || response.statusCode === 100) return;
    const to = response.headers.get("to") ?? "";
    if (response.statusCode < 200) {
      this.#sentTo = to;
      return;
    }
    // The tag alone is kept, because the header's text may hold on to the whole request.
    this.#sentTo = undefined;
    const proposed = this.#localTag !== undefined && to.endsWith(`;tag=${this.#localTag}`);
    if (!proposed) this.#localTag = response.to.tag;
  }

  #send(context: ServerContext): void {
    if (!(context instanceof Uint8Array)) return;
    // A 2xx whose ACK has not come.
    if (this.#answered) this.#owner.answerRepeated();
    this.#bytes = context;
    this.#path.send(context, this.#request);
  }

  #resend(context: ServerContext): void {
    if (this.#bytes === undefined) return;
    this.#path.send(this.#bytes, context instanceof SipRequest ? context : this.#request);
  }

  #sendTrying(): void {
    if (this.#request === undefined || this.#bytes !== undefined) return;
    this.#send(serializeMessage(createResponse(this.#request, { statusCode: 100 })));
  }

  /** In a turn of its own, so that the user never hears of a failure inside `respond`. */
  onSendError(error: TransportError): void {
    this.#owner.clock.defer(() => this.input("transportError" as Input, error));
  }

  #startResending(): void {
    if (this.#path.reliable) return;
    this.#resendTimer?.cancel();
    this.#resendTimer = this.#owner.timers.startRetransmission("G", this, this.#expiries);
  }

  #startTrying(): void {
    this.#resendTimer = this.#owner.timers.start("trying", this, false);
    if (this.#resendTimer === undefined) this.onTimer("trying");
  }

  #startEnd(name: FixedTimer): void {
    this.#endTimer = this.#owner.timers.start(name, this, this.#path.reliable);
    if (this.#endTimer === undefined) this.onTimer(name);
  }

  #stopTimers(): void {
    this.#resendTimer?.cancel();
    this.#endTimer?.cancel();
    this.#resendTimer = this.#endTimer = undefined;
  }

  #passAck(context: ServerContext): void {
    const user = this.user;
    if (!user?.onAck || !(context instanceof SipRequest)) return;
    callUser(this.#owner.logger, () => user.onAck?.(context));
  }

  #report(context: ServerContext): void {
    const user = this.user;
    if (!user?.onFailure || context === undefined) return;
    if (context instanceof SipRequest || context instanceof Uint8Array) return;
    callUser(this.#owner.logger, () => user.onFailure?.(context));
  }

  #finish(): void {
    const user = this.user;
    this.close();
    if (user?.onTerminated) callUser(this.#owner.logger, () => user.onTerminated?.());
  }
}
