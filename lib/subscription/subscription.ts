/**
 * A subscription of ours (RFC 6665 §4.1): SUBSCRIBE, the dialog that the first NOTIFY makes, refreshes, and the end. The
 * further dialogs of a forked SUBSCRIBE belong to it where the package allows them (§4.1.4).
 */
import { errorText, randomToken, StateMachine, TypedEmitter } from "../foundation/index.js";
import type { SipError, Timer } from "../foundation/index.js";
import { Dialog, type DialogUser } from "../dialog/index.js";
import { createRequest, createResponse, NameAddr, SipUri } from "../message/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { OutgoingRequest } from "../session/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import { formatEvent, parseEvent, type EventHeader } from "./event-header.js";
import { acceptOf, mergeOf, parseNotify, viewOf, type PackageView } from "./event-packages.js";
import { SubscriptionForks } from "./subscription-forks.js";
import { endOfError, endOfNotify, endOfResponse } from "./subscription-end.js";
import { mayResubscribe, resubscribeDelay, subscriptionRefreshDelay } from "./resubscription.js";
import {
  subscriberMachine,
  type SubscriberAction,
  type SubscriberInput,
  type SubscriberState,
} from "./subscriber-state.js";
import { parseSubscriptionState } from "./subscription-state.js";
import type {
  SubscriptionEnd,
  SubscriptionEvents,
  SubscriptionNotify,
  SubscriptionOptions,
  SubscriptionServices,
} from "./subscription-types.js";

const DEFAULT_EXPIRES_S = 3_600;
/** After this time a subscription was no failure: the next loss begins to count anew. */
const STABLE_MS = 60_000;
/** Refreshes for missed partial documents are not sent closer than this. */
const LEAST_RESYNC_MS = 10_000;
/** 423s of one notifier that are followed. */
const MOST_TOO_BRIEF = 2;

/** What an input of the machine is about. */
interface News {
  readonly notify?: SubscriptionNotify;
  readonly end?: SubscriptionEnd;
}

/** The SUBSCRIBE that was forked. */
interface Origin {
  readonly callId: string;
  readonly localTag: string;
  readonly sequence: number;
  readonly asked: number;
}

export class Subscription extends TypedEmitter<SubscriptionEvents> implements DialogUser {
  /** Random; stays the same over resubscriptions. */
  readonly id: string;
  readonly options: SubscriptionOptions;
  readonly #services: SubscriptionServices;
  readonly #event: EventHeader;
  readonly #machine: StateMachine<SubscriberState, SubscriberInput, SubscriberAction, News>;
  readonly #onOver: () => void;
  #asked: number;
  // Of the present dialog.
  #callId = "";
  #localTag = "";
  #sequence = 0;
  #dialog: Dialog | undefined;
  #flow: Flow | undefined;
  #view: PackageView | undefined;
  #request: OutgoingRequest | undefined;
  #timerN: Timer | undefined;
  #refreshTimer: Timer | undefined;
  #resyncTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #retryDelayMs = 0;
  /** Clock times until which the subscription lives: by the 2xx, and by the NOTIFYs since the last SUBSCRIBE. */
  #grantedUntil: number | undefined;
  #notifiedUntil: number | undefined;
  #beganAt = 0;
  #losses = 0;
  #tooBrief = 0;
  #state = "init";
  /** The further dialogs, if there can be any. */
  readonly #forks: SubscriptionForks | undefined;
  /** Clock time until which a NOTIFY may begin a further dialog. */
  #forksUntil = 0;
  /** What our own dialog said last that could be parsed, and its last message. */
  #parsed: object | undefined;
  #last: SubscriptionNotify | undefined;

  /**
   * @param onOver - Called once, when it is over for good.
   * @param origin - This is the dialog of a fork of that SUBSCRIBE: it is not begun but gets its first NOTIFY.
   */
  constructor(
    services: SubscriptionServices,
    options: SubscriptionOptions,
    onOver: () => void,
    origin?: Origin,
  ) {
    super();
    this.#services = services;
    this.options = options;
    this.#onOver = onOver;
    this.#event = parseEvent(options.eventPackage) ?? { eventPackage: "", id: undefined };
    this.#asked = origin?.asked ?? options.expires ?? DEFAULT_EXPIRES_S;
    if (origin !== undefined) {
      this.#callId = origin.callId;
      this.#localTag = origin.localTag;
      this.#sequence = origin.sequence;
    } else if (mergeOf(this.#event.eventPackage) !== undefined) {
      this.#forks = this.#makeForks();
    }
    this.id = randomToken(services.random, 26);
    this.#machine = new StateMachine(subscriberMachine, (action, news) =>
      this.#perform(action, news),
    );
    this.reportListenerErrors((error) =>
      services.logger.error(`subscription ${this.id}: a listener failed: ${errorText(error)}`),
    );
  }

  get eventPackage(): string {
    return this.#event.eventPackage;
  }

  /** Of the machine. */
  get state(): SubscriberState {
    return this.#machine.state;
  }

  /** As the notifier told it last: `pending`, `active`, `terminated`; `init` before. */
  get subscriptionState(): string {
    return this.#state;
  }

  /** Seconds left; undefined when that is not known. */
  get expires(): number | undefined {
    const until = this.#until();
    if (until === undefined) return undefined;
    return Math.max(0, Math.round((until - this.#services.clock.now()) / 1000));
  }

  /** Sends the first SUBSCRIBE; to be called once. */
  begin(): void {
    this.#input("start");
  }

  /** Sends a refresh now, or the next attempt if one is waited for. Nothing when a SUBSCRIBE is under way. */
  refresh(): void {
    this.#refresh();
    this.#forks?.refresh();
  }

  #refresh(): void {
    if (this.state === "waiting") this.#input("start");
    else if (this.#request === undefined) this.#input("refreshDue");
  }

  /** Ends it at the notifier; resolves when it is over (at most 64·T1 after its SUBSCRIBE was sent). Idempotent. */
  unsubscribe(): Promise<void> {
    const forks = this.#forks?.leave();
    if (this.state === "terminated") return forks ?? Promise.resolve();
    const own = new Promise<void>((resolve) => {
      const stop = this.on("ended", (end) => {
        if (end.retryAfter !== undefined) return;
        stop();
        resolve();
      });
      this.#input("unsubscribe", { end: { reason: "unsubscribed", statusCode: 0 } });
    });
    return forks === undefined ? own : own.then(() => forks);
  }

  /** Ends at once, nothing more is sent. */
  close(): void {
    this.#forks?.close();
    this.#input("close", { end: { reason: "shutdown", cause: "shutdown", statusCode: 0 } });
  }

  /** Is this a NOTIFY that answers our SUBSCRIBE and belongs to no dialog yet? */
  expects(request: SipRequest): boolean {
    const { method, callId, to } = request;
    return (
      method === "NOTIFY" &&
      this.#localTag !== "" &&
      callId === this.#callId &&
      to.tag === this.#localTag &&
      (this.#dialog === undefined || this.#mayFork(request))
    );
  }

  /** RFC 6665 §4.1.4: the other places to which the SUBSCRIBE came answer as soon as the first. */
  #mayFork(notify: SipRequest): boolean {
    const isUp = this.state === "active" || this.state === "pending";
    const inTime = this.#services.clock.now() < this.#forksUntil;
    return isUp && inTime && this.#forks?.mayTake(notify) === true;
  }

  /** A NOTIFY that `expects` has recognized. */
  receiveFirst(transaction: ServerTransaction): void {
    if (this.#dialog === undefined) this.receiveNotify(transaction);
    else this.#forks?.take(transaction);
  }

  #makeForks(): SubscriptionForks {
    return new SubscriptionForks({
      make: (onOver) =>
        new Subscription(this.#services, { ...this.options, resubscribe: false }, onOver, {
          callId: this.#callId,
          localTag: this.#localTag,
          sequence: this.#sequence,
          asked: this.#asked,
        }),
      onNotify: (notify) => this.#report(notify),
      onLoss: () => {
        // Told with our own last message, for there may be none of this loss.
        const isUp = this.state === "active" || this.state === "pending";
        const parsed = this.#parsed ?? this.#forks?.states[0];
        if (!isUp || this.#last === undefined || parsed === undefined) return;
        this.#report({ ...this.#last, parsed });
      },
    });
  }

  /** A message of ours or of a fork, with what all of them say together. */
  #report(notify: SubscriptionNotify): void {
    const forks = this.#forks?.states ?? [];
    const merge = mergeOf(this.#event.eventPackage);
    if (notify.parsed === undefined || forks.length === 0 || merge === undefined) {
      this.emit("notify", notify);
      return;
    }
    const states = this.#parsed === undefined ? forks : [this.#parsed, ...forks];
    this.emit("notify", { ...notify, parsed: merge(states) });
  }

  onDialogRequest(transaction: ServerTransaction): void {
    if (transaction.request.method === "NOTIFY") this.receiveNotify(transaction);
    else this.#reply(transaction, 481);
  }

  onDialogAck(): void {
    // There is no INVITE in this dialog.
  }

  /** A NOTIFY of this subscription; the first one makes the dialog (RFC 6665 §4.4.1). */
  receiveNotify(transaction: ServerTransaction): void {
    const { request } = transaction;
    const event = parseEvent(request.headers.get("event"));
    const state = parseSubscriptionState(request.headers.get("subscription-state"));
    if (event?.eventPackage !== this.#event.eventPackage || event.id !== this.#event.id) {
      this.#reply(transaction, 489, undefined, [["Allow-Events", this.#event.eventPackage]]);
    } else if (state === undefined) {
      this.#reply(transaction, 400, "Missing Subscription-State");
    } else if (!this.#enterDialog(transaction)) {
      this.#reply(transaction, 500, undefined, [["Retry-After", "5"]]);
    } else {
      this.#reply(transaction, 200);
      this.#take(request, state);
    }
  }

  #enterDialog(transaction: ServerTransaction): boolean {
    const { request } = transaction;
    if (this.#dialog !== undefined) {
      this.#dialog.refreshTarget(request);
      return true;
    }
    const dialog = Dialog.fromRequest(request, this.#localTag, this.#sequence);
    dialog.confirm();
    if (!this.#services.dialogs.add(dialog, this)) return false;
    this.#dialog = dialog;
    this.#beganAt = this.#services.clock.now();
    this.#view = viewOf(this.#event.eventPackage);
    return true;
  }

  #take(message: SipRequest, state: NonNullable<ReturnType<typeof parseSubscriptionState>>): void {
    const parsed = parseNotify(message, this.#view);
    this.#parsed = parsed ?? this.#parsed;
    const notify: SubscriptionNotify = {
      message,
      state: state.state,
      expires: state.expires,
      parsed,
    };
    this.#last = notify;
    this.#state = state.state;
    if (state.state === "terminated") {
      // A last word is told; the bare end is told by `ended`.
      if (message.hasBody) this.#report(notify);
      this.#end(endOfNotify(message, state.reason), state.reason ?? "", state.retryAfter);
      return;
    }
    const now = this.#services.clock.now();
    this.#notifiedUntil = state.expires === undefined ? undefined : now + state.expires * 1000;
    this.#input(state.state === "pending" ? "notifyPending" : "notifyActive", { notify });
    if (this.#asked === 0) this.#end(endOfNotify(message, "timeout"), "timeout", undefined);
    else if (this.#view?.stale === true) this.#resync();
  }

  /** Asks for the full state after a document was missed, but not at the pace of a peer that plays with us. */
  #resync(): void {
    if (this.#resyncTimer !== undefined) return;
    this.#refresh();
    this.#resyncTimer = this.#services.clock.setTimer(LEAST_RESYNC_MS, () => {
      this.#resyncTimer = undefined;
      if (this.#view?.stale === true) this.#resync();
    });
  }

  #input(input: SubscriberInput, news: News = {}): void {
    this.#machine.input(input, news);
  }

  #perform(action: SubscriberAction, { notify, end }: News): void {
    switch (action) {
      case "sendSubscribe":
        return this.#subscribe();
      case "sendRefresh":
        return this.#sendInDialog(this.#asked);
      case "sendUnsubscribe":
        return this.#sendInDialog(0);
      case "startRefreshTimer":
        return this.#startRefreshTimer();
      case "stopTimerN":
        return this.#timerN?.cancel();
      case "reportNotify":
        if (notify !== undefined) this.#report(notify);
        return;
      case "endDialog":
        return this.#endDialog();
      case "startRetryTimer":
        this.#retryTimer = this.#services.clock.setTimer(this.#retryDelayMs, () =>
          this.#input("retryDue"),
        );
        return;
      case "reportEnded":
        if (end !== undefined) this.#reportEnded(end);
    }
  }

  #subscribe(): void {
    const services = this.#services;
    const { account, target } = this.options;
    this.#retryTimer?.cancel();
    if (this.#localTag === "") {
      this.#callId = randomToken(services.random, 24);
      this.#localTag = randomToken(services.random, 12);
      this.#sequence = 0;
    }
    const identity = account?.identity ?? services.defaultIdentity;
    const uri = target.uri instanceof SipUri ? target.uri.with({ headers: new Map() }) : target.uri;
    this.#request = services.send({
      nextHop: uri,
      account,
      inDialog: false,
      build: () =>
        createRequest({
          method: "SUBSCRIBE",
          uri: uri.toString(),
          from: new NameAddr(
            identity.uri,
            identity.displayName,
            new Map([["tag", this.#localTag]]),
          ),
          to: new NameAddr(uri, target.displayName),
          callId: this.#callId,
          sequence: ++this.#sequence,
          contact: services.contactPlaceholder,
          headers: this.#headers(this.#asked),
        }),
      nextSequence: () => ++this.#sequence,
      ...this.#answers(this.#asked),
    });
  }

  #sendInDialog(expires: number): void {
    const dialog = this.#dialog;
    if (dialog === undefined) return;
    this.#request?.abandon();
    this.#refreshTimer?.cancel();
    this.#notifiedUntil = undefined;
    this.#request = this.#services.send({
      nextHop: dialog.nextHop,
      account: this.options.account,
      preferredFlow: this.#flow,
      inDialog: true,
      build: () =>
        dialog.createRequest({
          method: "SUBSCRIBE",
          contact: this.#services.contactPlaceholder,
          headers: this.#headers(expires),
        }),
      nextSequence: () => dialog.nextSequence(),
      ...this.#answers(expires),
    });
  }

  #answers(expires: number) {
    return {
      onSent: (_request: SipRequest, flow: Flow) => {
        this.#flow = flow;
        this.#startTimerN();
      },
      onResponse: (response: SipResponse) => {
        if (response.statusCode < 200) return;
        this.#request = undefined;
        this.#onResponse(response, expires);
      },
      onFailure: (error: SipError) => {
        this.#request = undefined;
        this.#end(endOfError(error));
      },
    };
  }

  #headers(expires: number): [string, string][] {
    const { headers = [], accept = acceptOf(this.#event.eventPackage) } = this.options;
    const names = new Set(headers.map(([name]) => name.toLowerCase()));
    const own: (readonly [string, string])[] = [
      ...this.#services.commonHeaders("request", "SUBSCRIBE"),
      ["Event", formatEvent(this.#event)],
      ["Expires", String(expires)],
      ...(accept === undefined || accept === "" ? [] : [["Accept", accept] as const]),
    ];
    return [...own.filter(([name]) => !names.has(name.toLowerCase())), ...headers].map(
      ([name, value]) => [name, value],
    );
  }

  /** RFC 6665 §4.1.2.4: without a NOTIFY in this time there is no subscription. */
  #startTimerN(): void {
    const { clock, timers } = this.#services;
    if (this.#dialog === undefined) this.#forksUntil = clock.now() + 64 * timers.t1;
    this.#timerN?.cancel();
    this.#timerN = clock.setTimer(64 * timers.t1, () =>
      this.#end({ reason: "timeout", cause: "timeout", statusCode: 0 }),
    );
  }

  #onResponse(response: SipResponse, asked: number): void {
    const { statusCode } = response;
    if (statusCode < 300) {
      const granted = Math.min(response.seconds("expires") ?? asked, asked);
      this.#grantedUntil = this.#services.clock.now() + granted * 1000;
      this.#tooBrief = 0;
      this.#input("accepted");
      return;
    }
    const least = statusCode === 423 ? response.seconds("min-expires") : undefined;
    if (least !== undefined && least > asked && asked > 0 && this.#tooBrief < MOST_TOO_BRIEF) {
      this.#tooBrief++;
      this.#asked = least;
      this.#input("tooBrief");
      return;
    }
    this.#end(endOfResponse(response), undefined, response.seconds("retry-after"));
  }

  #until(): number | undefined {
    const granted = this.#grantedUntil;
    const notified = this.#notifiedUntil;
    if (granted === undefined || notified === undefined) return granted ?? notified;
    return Math.min(granted, notified);
  }

  #startRefreshTimer(): void {
    const { clock, random } = this.#services;
    this.#refreshTimer?.cancel();
    if (this.#asked === 0) return;
    const now = clock.now();
    const until = this.#until() ?? now + this.#asked * 1000;
    this.#refreshTimer = clock.setTimer(subscriptionRefreshDelay(until - now, random), () =>
      this.#refresh(),
    );
  }

  /** @param notified - reason of the final NOTIFY, if it was one. */
  #end(end: SubscriptionEnd, notified?: string, retryAfter?: number): void {
    const { clock, random } = this.#services;
    const { resubscribe = true } = this.options;
    const { statusCode, cause } = end;
    if (this.state === "leaving" || this.state === "unsubscribing") {
      // As we wished, whatever the notifier says to it.
      this.#input("over", { end: { ...end, reason: "unsubscribed", cause: undefined } });
      return;
    }
    // With forks that live on there is somebody to subscribe to.
    const mayReturn =
      mayResubscribe({ notified, statusCode, cause }) || (this.#forks?.alive ?? 0) > 0;
    const isHopeful = resubscribe && this.#asked > 0 && mayReturn;
    if (!isHopeful) {
      this.#input("over", { end });
      return;
    }
    const wasStable = this.#dialog !== undefined && clock.now() - this.#beganAt >= STABLE_MS;
    this.#losses = wasStable ? 1 : this.#losses + 1;
    this.#retryDelayMs = resubscribeDelay(this.#losses, retryAfter, random);
    this.#input("lost", { end: { ...end, retryAfter: Math.ceil(this.#retryDelayMs / 1000) } });
  }

  #endDialog(): void {
    for (const timer of [this.#timerN, this.#refreshTimer, this.#resyncTimer, this.#retryTimer]) {
      timer?.cancel();
    }
    this.#resyncTimer = undefined;
    this.#request?.abandon();
    this.#request = undefined;
    if (this.#dialog !== undefined) {
      this.#services.dialogs.remove(this.#dialog);
      this.#dialog.terminate();
    }
    this.#dialog = undefined;
    this.#view = undefined;
    this.#parsed = undefined;
    this.#last = undefined;
    void this.#forks?.leave();
    this.#flow = undefined;
    this.#localTag = "";
    this.#grantedUntil = undefined;
    this.#notifiedUntil = undefined;
    this.#tooBrief = 0;
    this.#state = "terminated";
  }

  #reportEnded(end: SubscriptionEnd): void {
    if (this.state === "terminated") {
      if (this.#forks === undefined) this.#onOver();
      else this.#forks.whenIdle(() => this.#onOver());
    }
    this.emit("ended", end);
  }

  #reply(
    transaction: ServerTransaction,
    statusCode: number,
    reason?: string,
    headers: readonly (readonly [string, string])[] = [],
  ): void {
    const { request, flow, localTag } = transaction;
    transaction.respond(
      createResponse(request, {
        statusCode,
        reason,
        toTag: localTag,
        contact: statusCode < 300 ? this.#services.contact(flow, this.options.account) : undefined,
        headers: [
          ...this.#services.commonHeaders("response", request.method, statusCode),
          ...headers,
        ],
      }),
    );
  }
}
