/** Options of the user agent and its accounts. */
import type { Clock } from "../foundation/clock.js";
import type { Logger } from "../foundation/logger.js";
import type { RandomSource } from "../foundation/random.js";
import type { MessageLimits, SipResponse } from "../message/index.js";
import type {
  DescriptionModifier,
  HeaderList,
  MediaHandler,
  Rel100,
  ReplacesOptions,
} from "../session/index.js";
import type { LastState } from "../subscription/index.js";
import type { TimerOptions } from "../transaction/index.js";
import type { MessageObserver, TransportTuning } from "../transport/index.js";
import type {
  DnsClient,
  TransportLayer,
  TransportOptions,
  TransportProtocol,
} from "../transport/transport.js";

export interface UserAgentOptions {
  /** Default one UDP on 0.0.0.0:5060. */
  readonly transports?: readonly TransportOptions[] | undefined;
  /** User-Agent / Server header. */
  readonly userAgent?: string | undefined;
  /** Absent = `media: none`. */
  readonly mediaHandler?: MediaHandler | undefined;
  /**
   * Functions that change our descriptions before they are sent and the peer's before they are read, in every call and in this
   * order (see `DescriptionModifier`).
   */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
  readonly timers?: Partial<TimerOptions> | undefined;
  readonly limits?: MessageLimits | undefined;
  /** Times and limits of connections, see `TransportTuning`: idle, keep-alive, connections per address … */
  readonly transportTuning?: Partial<TransportTuning> | undefined;
  /**
   * Share of the time since it was asked last in which this thread worked, 0 to 1: above 0.98 for a second in which messages are repeated, new calls that are too many
   * get 503 with Retry-After. Default: of
   * Node's event loop, and nothing with a `clock` of one's own.
   */
  readonly threadLoad?: (() => number) | undefined;
  /** CIDR lists and dial globs of contract §2 "Whom we trust, what we dial". */
  readonly allow?: readonly string[] | undefined;
  readonly deny?: readonly string[] | undefined;
  readonly trusted?: readonly string[] | undefined;
  readonly dial?: readonly string[] | undefined;
  /** Reliable provisional responses (RFC 3262), unless a call says otherwise. Default supported. */
  readonly rel100?: Rel100 | undefined;
  /** Sent in Recv-Info. */
  readonly infoPackages?: readonly string[] | undefined;
  /** 0 = unlimited. */
  readonly maxSessions?: number | undefined;
  /** New requests per second and source, 0 = unlimited. Above: 503 with Retry-After, then silence. */
  readonly maxRequestsPerSecond?: number | undefined;
  /** Answer to a call that nobody takes. Default 480. */
  readonly unhandledStatus?: number | undefined;
  /**
   * Session interval that calls ask for (RFC 4028), seconds, default 1800; less than 90 or `minSE` is raised to that.
   * 0 = session timers are off: not offered, not asked for, and Require: timer is refused.
   */
  readonly sessionExpires?: number | undefined;
  /** Calls that ask for a shorter interval get 422 (RFC 4028 §9). Seconds, default 90; 0 = every interval is taken. */
  readonly minSE?: number | undefined;
  readonly dnsServers?: readonly string[] | undefined;
  /**
   * Web pages that may connect to a `ws` or `wss` entry: hosts (`phone.example.com`, `*.example.com`), whole origins, `null` for
   * pages without one, `*` for all. Pages of the same host and of this machine always may; programs send no Origin and are
   * subject to `allow` alone (RFC 6455 §10.2).
   */
  readonly origins?: readonly string[] | undefined;
  /**
   * Sees every SIP message as it crosses the wire, repetitions and answers without a transaction included, with all secrets in
   * it: whoever shows it to people must leave those out. Costs nothing when absent.
   */
  readonly traceMessages?: MessageObserver | undefined;
  /** Milliseconds by which the event loop of this process is late, told to neighbours that ask by OPTIONS. */
  readonly eventLoopLag?: (() => number) | undefined;
  /**
   * The state of a resource that another user agent was given to tell: a new subscriber gets it when the application has told
   * nothing 500 ms after it took the subscription. Default: an empty NOTIFY.
   */
  readonly lastState?: LastState | undefined;
  /** What other user agents use of the limits of an account that they share; counted with our own. Default: nothing. */
  readonly othersUsage?: ((accountId: string) => CallUsage | undefined) | undefined;

  // What tests inject.
  readonly clock?: Clock | undefined;
  readonly random?: RandomSource | undefined;
  readonly logger?: Logger | undefined;
  readonly dns?: DnsClient | undefined;
  /** Replaces the real sockets. */
  readonly transportLayer?: TransportLayer | undefined;
}

export interface AccountOptions {
  /** Application's own id, shown as `msg.sip.account`. */
  readonly id: string;
  /** Address-of-record, `sip:alice@example.com`. */
  readonly uri: string;
  readonly displayName?: string | undefined;
  /** Default: the user part of `uri`. */
  readonly authUser?: string | undefined;
  readonly password?: string | undefined;
  readonly register?: boolean | undefined;
  /** Outgoing calls and attempts at once; more fail with `limit`. Default 0 = unlimited. */
  readonly maxCalls?: number | undefined;
  /** Addresses called within any sixty seconds, redirects included; more fail with `limit`. Default 0 = unlimited. */
  readonly maxCallsPerMinute?: number | undefined;
  /** Default `sip:` + host of `uri`. */
  readonly registrar?: string | undefined;
  readonly outboundProxy?: string | undefined;
  readonly cacheOutboundProxy?: boolean | undefined;
  /** Seconds. */
  readonly expires?: number | undefined;
  readonly minExpires?: number | undefined;
  readonly sendExpires?: boolean | undefined;
  readonly transport?: "auto" | TransportProtocol | undefined;
  /** RFC 5626: `reg-id` and `+sip.instance` in the Contact. */
  readonly outbound?: boolean | undefined;
  /** `urn:uuid:…` of this installation, for `outbound`; should stay the same over restarts. Default: random. */
  readonly instanceId?: string | undefined;
  /** Header parameters added to the Contact of the registration, as written there: `q=0.5;audio`. */
  readonly contactParams?: string | undefined;
  /** URI parameters added to every Contact of the account: `ob;x-line=3`. */
  readonly contactUriParams?: string | undefined;
  /**
   * Show the address under which the registrar sees us when it is not our own (NAT) and no `advertise` says
   * otherwise. Default true.
   */
  readonly learnPublicAddress?: boolean | undefined;
  /**
   * Seconds between OPTIONS to the registrar over the flow of the registration; no answer within 5 s = registered
   * anew, at the next server if there are several. 0 = none. Default: 15 over UDP when the registrar has several
   * servers, else none.
   */
  readonly keepAlive?: number | undefined;
  /**
   * For user agents that keep one registration in turn: asked before each REGISTER that makes or renews the binding; while it
   * says false none is sent. Default: always.
   */
  readonly mayRegister?: (() => boolean) | undefined;
}

/** How much of its limits an account uses. */
export interface CallUsage {
  /** Calls and attempts now. */
  readonly calls: number;
  /** Addresses called within the last sixty seconds. */
  readonly lastMinute: number;
}

/** What a registration has learnt; for user agents that keep one in turn. Texts as in the headers. */
export interface LearntRegistration {
  /** The bound Contact. */
  readonly contact: string;
  /** RFC 3608. */
  readonly serviceRoute: readonly string[];
}

export interface InviteTarget {
  /** sip/sips/tel URI, name-addr, user@host, or a bare user/number (needs an account). */
  readonly uri: string;
  /** Milliseconds; default the attempt's. */
  readonly timeoutMs?: number | undefined;
  readonly headers?: HeaderList | undefined;
  /** Account id. */
  readonly account?: string | undefined;
}

export interface InviteOptions {
  readonly targets: readonly (string | InviteTarget)[];
  readonly account?: string | undefined;
  /** Default parallel. */
  readonly strategy?: "parallel" | "sequential" | undefined;
  /** Milliseconds per target, default 60 000, 0 = none. */
  readonly timeoutMs?: number | undefined;
  readonly anonymous?: boolean | undefined;
  readonly earlyMedia?: boolean | undefined;
  readonly delayedOffer?: boolean | undefined;
  /** 3xx to follow, default 3, 0 = report. */
  readonly redirects?: number | undefined;
  /** Default the stack's. */
  readonly rel100?: Rel100 | undefined;
  readonly headers?: HeaderList | undefined;
  /** Session interval to ask for, seconds; 0 = none. Default: the stack's (RFC 4028). */
  readonly sessionExpires?: number | undefined;
  /** The call takes the place of another dialog of the called peer: a call of this stack by its handle, or any. */
  readonly replaces?: string | ReplacesOptions | undefined;
  /** Replaces the media handler's offer. */
  readonly sdp?: string | undefined;
  /** Modifiers of the call's descriptions, after those of the user agent. `sdp` is sent as it is. */
  readonly descriptionModifiers?: readonly DescriptionModifier[] | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
  /** Initial `data` of the session. */
  readonly data?: Record<string, unknown> | undefined;
  /**
   * Handle of the call that this one is made for: sound is kept in one thread with it, to be bridged at less cost, and its
   * Max-Forwards counts on, so that calls that go in a circle fail with `blocked` (RFC 7332).
   */
  readonly near?: string | undefined;
}

export interface SubscribeOptions {
  /** Like the target of a call. */
  readonly to: string;
  readonly account?: string | undefined;
  /** `dialog`, `message-summary`, `presence` … */
  readonly eventPackage: string;
  /** Accept header; default by package. */
  readonly accept?: string | undefined;
  /** Seconds, default 3600; 0 asks for the state once. */
  readonly expires?: number | undefined;
  readonly headers?: HeaderList | undefined;
  /** Try again after a loss that may pass (default true). */
  readonly resubscribe?: boolean | undefined;
}

export interface OutOfDialogRequestOptions {
  readonly method: string;
  readonly to: string;
  readonly account?: string | undefined;
  readonly headers?: HeaderList | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
  /**
   * Handle of a call whose dialog the request names, so that its peer knows that we may ask (RFC 4538). Only for requests
   * to that peer: the names of a dialog are what protects it.
   */
  readonly targetDialog?: string | undefined;
  /** Each response below 200. */
  readonly onProvisional?: ((response: SipResponse) => void) | undefined;
}
