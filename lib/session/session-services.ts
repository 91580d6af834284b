/**
 * What a session needs from the user agent, as an interface owned by this room: sending requests with
 * resolving, failover and credentials; holding requests for the application; storing dialogs. The user agent
 * implements it; tests put a fake behind it.
 */
import type { Clock } from "../foundation/clock.js";
import type { SipError } from "../foundation/errors.js";
import type { Logger } from "../foundation/logger.js";
import type { RandomSource } from "../foundation/random.js";
import type { DialogStore } from "../dialog/index.js";
import type { NameAddr, SipMessage, SipRequest, SipResponse, Uri } from "../message/index.js";
import type { TimerOptions } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import type { Rel100 } from "./rel100.js";
import type { DescriptionModifier } from "./description-modifier.js";
import type { MaybePromise, MediaHandler } from "./media-handler.js";
import type { SdpHandlers } from "./sdp-handlers.js";
import type { SessionTimerSettings } from "./session-timer.js";
import type { Cause } from "./cause.js";
import type { NeighbourCall } from "./replacement.js";
import type {
  AcceptRequestOptions,
  ActionOutcome,
  Participant,
  PendingRequest,
  RejectOptions,
  SessionHandle,
} from "./session-types.js";

/** An account as sessions see it. */
export interface AccountHandle {
  readonly id: string;
  /** From/To identity without tag. */
  readonly identity: NameAddr;
}

export interface OutgoingRequestOptions {
  /** Of which call it is, for whoever watches messages. */
  readonly session?: SessionHandle | undefined;
  /** Request-URI host or first route: what is resolved. An account's outbound proxy overrides it (out of dialog). */
  readonly nextHop: Uri;
  /**
   * The flow of the peer that named the target (3xx, Refer-To): only a peer on this machine may lead us to this machine
   * itself; else `onFailure`(E_DNS, rule `loopback`). Absent = the application named it.
   */
  readonly namedBy?: Flow | undefined;
  readonly account: AccountHandle | undefined;
  /**
   * In a dialog: used again while it is open and leads to the next hop. Else where the address in `nextHop` came from:
   * tells its transport if it is the address at the other end.
   */
  readonly preferredFlow?: Flow | undefined;
  /** In-dialog requests take no Service-Route, no outbound proxy and no failover to another realm. */
  readonly inDialog: boolean;
  /**
   * Builds the request once the first flow is known (its address goes into Contact and SDP), without Via.
   * A header `Contact` with the value `services.contactPlaceholder` is filled in by the sender, again at each retry.
   * May reject or throw (media): then `onFailure` gets it.
   */
  build(flow: Flow): MaybePromise<SipRequest>;
  /** Sequence number for a retry (401, 407, 503 failover needs none). Default: last + 1. */
  nextSequence?(): number;
  /** Each time a transaction started: the request as sent, Via, Contact and credentials included. */
  onSent?(request: SipRequest, flow: Flow): void;
  /** 100–699, except challenges that were answered and failures that were failed over. */
  onResponse(response: SipResponse, request: SipRequest, flow: Flow): void;
  /** P-Preferred-Identity of a request whose From hides us: only for the account's own server (RFC 3325 §9.2). */
  readonly preferredIdentity?: string | undefined;
  /** No response: TransactionTimeoutError, TransportError (E_TRANSPORT, E_DNS), or what `build` threw. Final. */
  onFailure(error: SipError): void;
}

/** Hears of 2xx responses that come when nobody else listens any more. */
export interface LateResponseUser {
  onResponse(response: SipResponse, flow: Flow): void;
}

export interface OutgoingRequest {
  /** As last sent; undefined while resolving. */
  readonly request: SipRequest | undefined;
  readonly flow: Flow | undefined;
  /**
   * INVITE: sends CANCEL as soon as a provisional response allows it (§9.1); before anything was sent it ends the
   * attempt with `onFailure`(InvalidStateError rule `cancelled`). If no final response follows in 64·T1 after the
   * CANCEL, `onFailure` (§9.1). Idempotent.
   */
  cancel(headers?: readonly (readonly [string, string])[]): void;
  /**
   * Nothing depends on the final response any more: an INVITE that a peer leaves unanswered (a 1xx ends Timer B) ends
   * silently 64·T1 later. Callbacks come until then. Idempotent.
   */
  expire(): void;
  /**
   * Whoever sent it needs nothing more: once a final response came, all that is kept is what hears of a further 2xx to an
   * INVITE. Before that nothing changes. Idempotent.
   */
  settle(late: LateResponseUser): void;
  /** No further callbacks; transactions end on their own. */
  abandon(): void;
}

export interface HoldOptions {
  readonly request: SipRequest;
  /** Event name under which flows hear of it: `refer`, `message`, `info`, `notify`, `reinvite`, `request` … */
  readonly eventName: string;
  readonly session: SessionHandle | undefined;
  readonly account: AccountHandle | undefined;
  /**
   * Milliseconds that it waits at least when somebody holds it; with `always` also when nobody has asked for it: the
   * event that carries the handle goes to somebody in any case.
   */
  readonly atLeastMs?: number | undefined;
  readonly always?: boolean | undefined;
  /** Throws for an acceptance that cannot be; the request then goes on waiting. */
  check?(options: AcceptRequestOptions): void;
  /** Run when the application accepts / rejects. */
  accept(options: AcceptRequestOptions): Promise<ActionOutcome>;
  reject(options: RejectOptions): Promise<ActionOutcome>;
  /** Run when nobody holds it or time is over. `listened`: somebody asked for events of this name. */
  fallback(listened: boolean): void;
}

export interface SessionServices {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly timers: TimerOptions;
  readonly mediaHandler: MediaHandler | undefined;
  /** Handlers of single streams; absent = none. */
  readonly sdpHandlers?: SdpHandlers | undefined;
  /** Of every call's descriptions, in order; absent = none. */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
  readonly dialogs: DialogStore;
  /** From identity (without tag) of a direct call, one without account. */
  readonly defaultIdentity: NameAddr;
  /** INFO packages that are taken (Recv-Info); others get 469. */
  readonly infoPackages: readonly string[];
  /** Absent = session timers (RFC 4028) are not used. */
  readonly sessionTimer?: SessionTimerSettings | undefined;
  /** Reliable provisional responses (RFC 3262), unless a call says otherwise. */
  readonly rel100: Rel100;
  /** True when somebody listens to the events `request` and `response`; absent = false. */
  readonly observesMessages?: boolean | undefined;
  /** Header lines for requests and responses: User-Agent/Server, Allow, Supported, Accept. */
  commonHeaders(
    kind: "request" | "response",
    method: string,
    statusCode?: number,
  ): (readonly [string, string])[];
  readonly contactPlaceholder: string;
  /** Contact value for responses and requests over this flow, e.g. `<sip:alice@192.0.2.1:5060;transport=tcp>`. */
  contact(flow: Flow, account: AccountHandle | undefined): string;
  send(options: OutgoingRequestOptions): OutgoingRequest;
  /** Calls back each time the account has registered over a connection. @returns ends that. */
  onFlowRecovered?(
    account: AccountHandle | undefined,
    listener: (flow: Flow) => void,
  ): (() => void) | undefined;
  /** ACK for a 2xx: resolved like any request, no transaction. @returns a function that sends it again. */
  sendAck(ack: SipRequest, nextHop: Uri, preferredFlow: Flow | undefined): () => void;
  /** Applies contract §4.6 "Pending requests". @returns undefined when nobody holds it; `fallback` ran then. */
  hold(options: HoldOptions): PendingRequest | undefined;
  /** Who a message says that its sender is, if its source may say so; absent = nobody may. */
  identityOf?(message: SipMessage): Participant | undefined;
  /** Does the `dial` filter let us call this URI? */
  mayDial(uri: Uri): boolean;
  /** Counts an address that a session is about to call. False: a limit of the account forbids it. Absent = no limits. */
  mayCall?(account: AccountHandle | undefined, session: SessionHandle): boolean;
  /** A target as people write it → URI and header parameters; throws InvalidArgumentError with a helpful text. */
  parseTarget(text: string, account: AccountHandle | undefined): NameAddr;
  /** A call of this stack that is not over. */
  findCall(handle: string): NeighbourCall | undefined;
  /** Places the call of a followed REFER on the same account; `referTo` may hold a Replaces (`dialableTarget`). */
  placeReferredCall(options: {
    readonly referTo: NameAddr;
    readonly referredBy: string | undefined;
    /** The flow of the REFER. */
    readonly namedBy: Flow;
    readonly account: AccountHandle | undefined;
    readonly referrer: SessionHandle;
  }): ReferredCall;
}

/** The new call that a followed REFER places, as far as its NOTIFYs need it. */
export interface ReferredCall {
  readonly session: SessionHandle;
  /** Called for each provisional and final response of the new call; 0 = no response came, and `cause` says why. */
  onProgress(listener: (statusCode: number, reason: string, cause?: Cause) => void): void;
}
