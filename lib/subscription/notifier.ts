/**
 * A subscription of a peer that the application has taken (RFC 6665 §4.2): its dialog, the NOTIFYs one after another, the
 * answers to refreshes, and the end when the peer, the application or the clock says so.
 */
import { StateMachine, type SipError, type Timer } from "../foundation/index.js";
import type { Dialog, DialogUser } from "../dialog/index.js";
import { createResponse, SipUri, type SipRequest, type SipResponse } from "../message/index.js";
import type {
  AccountHandle,
  ActionOutcome,
  Cause,
  HeaderList,
  OutgoingRequest,
} from "../session/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import { formatEvent, parseEvent, type EventHeader } from "./event-header.js";
import { endOfError, endOfResponse } from "./subscription-end.js";
import {
  notifierMachine,
  type NotifierAction,
  type NotifierInput,
  type NotifierState,
} from "./notifier-state.js";
import { formatSubscriptionState, type SubscriptionState } from "./subscription-state.js";
import type { SubscriptionServices } from "./subscription-types.js";

/** Seconds: what a peer gets at most, and what it must ask for at least. */
export const LONGEST_EXPIRES_S = 3_600;
export const LEAST_EXPIRES_S = 60;
/** An empty NOTIFY follows when the application has sent none (contract §4.6). */
const FIRST_NOTIFY_MS = 500;
/** NOTIFYs of one subscription that wait for their turn. */
const MOST_QUEUED = 32;
/** Answers to a NOTIFY after which there is no subscription any more (RFC 6665 §4.2.2, RFC 5057 §5.1). */
const FATAL: ReadonlySet<number> = new Set([
  404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604,
]);

/** Resolves with what is known of a resource. @param resource - `user@host`. */
export type LastState = (
  eventPackage: string,
  resource: string,
) => Promise<NotifyOptions | undefined>;

export interface NotifierOptions {
  /** The SUBSCRIBE or REFER that was accepted. */
  readonly subscribe: SipRequest;
  readonly dialog: Dialog;
  readonly flow: Flow;
  readonly account: AccountHandle | undefined;
  readonly event: EventHeader;
  /** Another id by which the peer may mean the same. */
  readonly otherId?: string | undefined;
  /** Seconds; 0 = the peer asked once. */
  readonly expires: number;
  /** Seconds that a refresh gets at most. */
  readonly longest: number;
  onEnd(end: NotifierEnd): void;
  readonly lastState?: LastState | undefined;
}

export interface NotifierEnd {
  readonly reason: string;
  readonly cause?: Cause | undefined;
  readonly statusCode: number;
  readonly message?: SipResponse | undefined;
}

/** One word of the application to the subscriber. */
export interface NotifyOptions {
  /** `active` (default), `pending`, or `terminated`, also with `;reason=…`. */
  readonly state?: SubscriptionState | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
  readonly headers?: HeaderList | undefined;
}

interface Queued extends NotifyOptions {
  readonly settle: (outcome: ActionOutcome) => void;
  readonly end: NotifierEnd | undefined;
}

const GONE: ActionOutcome = { ok: false, cause: "no-request", statusCode: 0 };

export class Notifier implements DialogUser {
  readonly #services: SubscriptionServices;
  readonly #options: NotifierOptions;
  readonly #machine: StateMachine<NotifierState, NotifierInput, NotifierAction, undefined>;
  readonly #queue: Queued[] = [];
  #flow: Flow;
  #last: NotifyOptions = {};
  #state = "active";
  #expiresAt: number;
  #expiry: Timer | undefined;
  #first: Timer | undefined;
  #sending: Queued | undefined;
  #request: OutgoingRequest | undefined;
  #end: NotifierEnd = { reason: "noresource", statusCode: 0 };

  constructor(services: SubscriptionServices, options: NotifierOptions) {
    this.#services = services;
    this.#options = options;
    this.#flow = options.flow;
    this.#machine = new StateMachine(notifierMachine, (action) => this.#perform(action));
    this.#expiresAt = services.clock.now() + options.expires * 1000;
    let known: NotifyOptions = {};
    const { lastState } = options;
    // The answer has half a second's time; later is never.
    if (lastState !== undefined && this.resource !== undefined) {
      lastState(this.eventPackage, this.resource).then(
        (state = {}) => (known = state),
        () => undefined,
      );
    }
    this.#first = services.clock.setTimer(FIRST_NOTIFY_MS, () => {
      if (this.state === "accepted") this.#push(known, () => undefined);
    });
    if (options.expires > 0) this.#startExpiry();
  }

  get state(): NotifierState {
    return this.#machine.state;
  }

  get eventPackage(): string {
    return this.#options.event.eventPackage;
  }

  /** `user@host` of whom the subscriber wants to know; undefined for a REFER. */
  get resource(): string | undefined {
    const { uri } = this.#options.subscribe.to;
    if (this.eventPackage === "refer" || !(uri instanceof SipUri)) return undefined;
    return uri.user === undefined ? uri.host : `${uri.user}@${uri.host}`;
  }

  /** `active` or `pending` as it was told last, `terminated` at the end. */
  get subscriptionState(): string {
    return this.#state;
  }

  /** Seconds left. */
  get expires(): number {
    return Math.max(0, Math.ceil((this.#expiresAt - this.#services.clock.now()) / 1000));
  }

  /** Tells the subscriber. Resolves with its answer; `no-request` when the subscription is over. */
  notify(options: NotifyOptions): Promise<ActionOutcome> {
    if (this.#isEnding()) return Promise.resolve(GONE);
    if (this.#queue.length >= MOST_QUEUED) {
      return Promise.resolve({ ok: false, cause: "limit", statusCode: 0 });
    }
    return new Promise((resolve) => this.#push(options, resolve));
  }

  /** A state that comes from elsewhere, if it is news to an active subscriber. */
  tell(state: NotifyOptions): void {
    if (this.#state !== "active" || this.#isEnding()) return;
    const last = this.#queue.at(-1) ?? this.#last;
    if (String(last.body ?? "") === String(state.body ?? "")) return;
    void this.notify(state);
  }

  /** The last NOTIFY, with what was told before. Resolves when it is answered. */
  async terminate(state: SubscriptionState, end: NotifierEnd): Promise<void> {
    if (this.#isEnding()) return;
    await new Promise<void>((resolve) =>
      this.#push({ ...this.#last, state }, () => resolve(), end),
    );
  }

  /** Ends at once, nothing more is sent. */
  close(): void {
    this.#end = { reason: "shutdown", cause: "shutdown", statusCode: 0 };
    this.#machine.input("close", undefined);
  }

  onDialogRequest(transaction: ServerTransaction): void {
    this.#flow = transaction.flow;
    if (transaction.request.method === "SUBSCRIBE") this.receiveSubscribe(transaction);
    else this.#reply(transaction, 481);
  }

  onDialogAck(): void {
    // There is no INVITE in this dialog.
  }

  /** A refresh or the end, in our dialog (RFC 6665 §4.2.1.3). */
  receiveSubscribe(transaction: ServerTransaction): void {
    const { request } = transaction;
    const event = parseEvent(request.headers.get("event"));
    const { event: own, otherId } = this.#options;
    const isOwnId = event?.id === own.id || (otherId !== undefined && event?.id === otherId);
    if (event?.eventPackage !== own.eventPackage || !isOwnId) {
      this.#reply(transaction, 489, [["Allow-Events", own.eventPackage]]);
      return;
    }
    if (this.#isEnding()) {
      this.#reply(transaction, 481);
      return;
    }
    const asked = request.seconds("expires") ?? LONGEST_EXPIRES_S;
    if (asked > 0 && asked < LEAST_EXPIRES_S) {
      this.#reply(transaction, 423, [["Min-Expires", String(LEAST_EXPIRES_S)]]);
      return;
    }
    this.#options.dialog.refreshTarget(request);
    const granted = Math.min(asked, this.#options.longest);
    this.#expiresAt = this.#services.clock.now() + granted * 1000;
    this.#reply(transaction, 200, [["Expires", String(granted)]]);
    if (granted === 0) {
      const end = { reason: "unsubscribed", statusCode: 0 };
      void this.terminate({ state: "terminated", expires: undefined, reason: "timeout" }, end);
    } else {
      this.#startExpiry();
      this.#push({ ...this.#last, state: undefined }, () => undefined);
    }
  }

  #isEnding(): boolean {
    return (
      this.state === "ended" ||
      this.state === "closing" ||
      this.#queue.some(({ end }) => end !== undefined)
    );
  }

  #startExpiry(): void {
    const { clock } = this.#services;
    this.#expiry?.cancel();
    this.#expiry = clock.setTimer(this.#expiresAt - clock.now(), () => {
      const end = { reason: "timeout", statusCode: 0 };
      void this.terminate({ state: "terminated", expires: undefined, reason: "timeout" }, end);
    });
  }

  #push(options: NotifyOptions, settle: Queued["settle"], end?: NotifierEnd): void {
    const isLast = options.state?.state === "terminated" || this.#options.expires === 0;
    const own = isLast
      ? { reason: options.state?.reason ?? "noresource", statusCode: 0 }
      : undefined;
    this.#queue.push({ ...options, settle, end: end ?? own });
    this.#next();
  }

  #next(): void {
    const next = this.#queue[0];
    if (next !== undefined) {
      this.#machine.input(next.end === undefined ? "notify" : "notifyFinal", undefined);
    }
  }

  #perform(action: NotifierAction): void {
    if (action === "sendNext") this.#send();
    else this.#finish();
  }

  #send(): void {
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#sending = next;
    this.#first?.cancel();
    const { dialog, account } = this.#options;
    const services = this.#services;
    const { body, contentType, end } = next;
    if (end !== undefined) this.#end = end;
    const hasBody = body !== undefined && body.length > 0;
    this.#last = hasBody ? { body, contentType, headers: next.headers } : {};
    this.#request = services.send({
      nextHop: dialog.nextHop,
      account,
      preferredFlow: this.#flow,
      inDialog: true,
      nextSequence: () => dialog.nextSequence(),
      build: () =>
        dialog.createRequest({
          method: "NOTIFY",
          contact: services.contactPlaceholder,
          headers: this.#headers(next),
          contentType: hasBody ? contentType : undefined,
          body: hasBody ? body : undefined,
        }),
      onResponse: (response) => {
        if (response.statusCode >= 200) this.#onResponse(next, response);
      },
      onFailure: (error) => this.#onFailure(next, error),
    });
  }

  #headers(next: Queued): [string, string][] {
    const { event } = this.#options;
    const lines: (readonly [string, string])[] = [
      ...this.#services.commonHeaders("request", "NOTIFY"),
      ["Event", formatEvent(event)],
      ["Subscription-State", formatSubscriptionState(this.#stateOf(next))],
    ];
    const given = next.headers ?? [];
    const names = new Set(given.map(([name]) => name.toLowerCase()));
    return [...lines.filter(([name]) => !names.has(name.toLowerCase())), ...given].map(
      ([name, value]) => [name, value],
    );
  }

  #stateOf({ state, end }: Queued): SubscriptionState {
    if (end !== undefined) {
      this.#state = "terminated";
      const reason = state?.reason ?? (this.#options.expires === 0 ? "timeout" : "noresource");
      return { state: "terminated", expires: undefined, reason, retryAfter: state?.retryAfter };
    }
    if (state !== undefined) this.#state = state.state;
    return { state: this.#state, expires: this.expires, reason: undefined };
  }

  #onResponse(sent: Queued, response: SipResponse): void {
    const { statusCode, reason } = response;
    this.#sending = undefined;
    if (statusCode < 300) {
      this.#options.dialog.refreshTarget(response);
      sent.settle({ ok: true, statusCode, reason, message: response });
    } else {
      const { cause = "rejected" } = endOfResponse(response);
      sent.settle({ ok: false, cause, statusCode, reason, message: response });
      if (sent.end === undefined && FATAL.has(statusCode)) {
        this.#end = { ...endOfResponse(response), message: response };
        this.#machine.input("refused", undefined);
        return;
      }
    }
    this.#machine.input("delivered", undefined);
    this.#next();
  }

  #onFailure(sent: Queued, error: SipError): void {
    this.#sending = undefined;
    const end = endOfError(error);
    const { cause = "rejected" } = end;
    sent.settle({ ok: false, cause, statusCode: 0, reason: error.message });
    if (cause === "rejected" && sent.end === undefined) {
      // A mistake in what was to be sent: the subscription is as good as before.
      this.#last = {};
      this.#machine.input("delivered", undefined);
      this.#next();
      return;
    }
    if (sent.end === undefined) this.#end = { reason: end.reason, cause, statusCode: 0 };
    this.#machine.input("refused", undefined);
  }

  #finish(): void {
    this.#state = "terminated";
    this.#first?.cancel();
    this.#expiry?.cancel();
    this.#request?.abandon();
    const left = this.#queue.splice(0);
    if (this.#sending !== undefined) left.unshift(this.#sending);
    this.#sending = undefined;
    for (const { settle } of left) settle(GONE);
    this.#options.onEnd(this.#end);
  }

  #reply(transaction: ServerTransaction, statusCode: number, headers: HeaderList = []): void {
    const { request, flow } = transaction;
    const services = this.#services;
    transaction.respond(
      createResponse(request, {
        statusCode,
        toTag: transaction.localTag,
        contact: statusCode < 300 ? services.contact(flow, this.#options.account) : undefined,
        headers: [...services.commonHeaders("response", request.method, statusCode), ...headers],
      }),
    );
  }
}
