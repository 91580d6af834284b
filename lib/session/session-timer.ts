/**
 * Session timers (RFC 4028): which interval is asked for and granted, who refreshes, and the BYE when nobody does. The
 * requests themselves belong to the exchanges of INVITE and UPDATE; each of them asks here for its header lines and
 * tells here how it went.
 */
import { StateMachine, randomInteger, type Timer } from "../foundation/index.js";
import {
  formatSessionExpires,
  parseMinSE,
  parseSessionExpires,
  type Refresher,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../message/index.js";
import { sendInDialog } from "./in-dialog-request.js";
import type { SessionCore } from "./session-core.js";
import type { OutgoingRequest } from "./session-services.js";
import {
  sessionTimerMachine,
  type SessionTimerAction,
  type SessionTimerInput,
  type SessionTimerState,
} from "./session-timer-state.js";
import type { HeaderList } from "./session-types.js";
import { NO_TIMER } from "./timer-group.js";

/** What the user agent wants; seconds. */
export interface SessionTimerSettings {
  /** Asked for in calls; 0 = the extension is not used at all. */
  readonly sessionExpires: number;
  /** Shorter intervals of peers are refused with 422; 0 = none is. */
  readonly minSE: number;
}

/** Seconds; nobody may ask for less, and this is the minimum where no Min-SE is told (§5). */
const SHORTEST = 90;
/** Seconds. A longer interval outlives what timers can hold and what calls last. */
const LONGEST = 24 * 24 * 3600;
/** The BYE comes this much, or a third of the interval, before the session expires (§10). Seconds. */
const MARGIN = 32;
/** Milliseconds that a flow has to refresh by itself (contract §4.5). */
const FLOW_TIME = 5_000;
/** Seconds; a peer that grants less is not sent requests any faster. */
const SHORTEST_HELD = 4;
/** Milliseconds that a peer has at least to refresh after we have taken over its call. */
const SHORTEST_RESUMED = 15_000;
/** Milliseconds between two tries. */
const SHORTEST_PAUSE = 500;
/** Refusals in one interval after which nothing is tried any more (§7.3: not continuously). */
const MOST_REFUSALS = 4;

/** What a 2xx of ours says, and what holds from then on. */
export interface TimerGrant {
  readonly headers: HeaderList;
  /** The 2xx is on its way. */
  start(): void;
}

/** What holds, for a record of the call. */
export interface TimerAgreement {
  /** Seconds. */
  readonly seconds: number;
  /** Do we refresh? */
  readonly isOurs: boolean;
  /** Wall time in milliseconds. */
  readonly agreedAt: number;
}

/** Sends a re-INVITE with the last description; it tells the timer like every other. */
export type RefreshByInvite = () => void;

export class SessionTimer {
  readonly #core: SessionCore;
  readonly #settings: SessionTimerSettings;
  readonly #machine: StateMachine<
    SessionTimerState,
    SessionTimerInput,
    SessionTimerAction,
    SipResponse | undefined
  >;
  /** Seconds that this call asks for. */
  #wanted: number;
  /** The largest Min-SE that was heard, or our own. */
  #minimum: number;
  /** Seconds that hold now. */
  #interval = 0;
  /** Wall time. */
  #agreedAt = 0;
  /** Milliseconds ago that what is being agreed began. */
  #elapsed = 0;
  /** Clock time at which the BYE is sent. */
  #deadlineAt = 0;
  #timer: Timer = NO_TIMER;
  #deadline: Timer = NO_TIMER;
  #refusals = 0;
  /** Our UPDATE. */
  #update: OutgoingRequest | undefined;
  /** The peer has answered 405 or 501 to UPDATE. */
  #withoutUpdate = false;
  /** Given by the exchange that changes established calls. */
  refreshByInvite: RefreshByInvite | undefined;

  constructor(core: SessionCore, settings: SessionTimerSettings | undefined) {
    this.#core = core;
    this.#settings = settings ?? { sessionExpires: 0, minSE: 0 };
    this.#wanted = this.#settings.sessionExpires;
    this.#minimum = this.#settings.minSE;
    this.#machine = new StateMachine(sessionTimerMachine, (action, response) =>
      this.#perform(action, response),
    );
    core.onClose(() => this.#update?.abandon());
  }

  get state(): SessionTimerState {
    return this.#machine.state;
  }

  /** Undefined = there is no session interval. */
  get agreement(): TimerAgreement | undefined {
    const { state } = this.#machine;
    if (state === "off" || state === "expired") return undefined;
    return { seconds: this.#interval, isOurs: state !== "watching", agreedAt: this.#agreedAt };
  }

  /** Goes on with what another process has agreed. */
  resume({ seconds, isOurs, agreedAt }: TimerAgreement): void {
    // A call that was alive was refreshed before half of its interval, whatever the clock of that machine says.
    const elapsed = this.#core.clock.wallTime() - agreedAt;
    this.#elapsed = Math.min(Math.max(0, elapsed), seconds * 500);
    this.#agree(seconds, isOurs);
    this.#elapsed = 0;
    this.#agreedAt = agreedAt;
  }

  /** Another interval for this call only. @param seconds - 0 = none is asked for, the peer's is taken. */
  want(seconds: number): void {
    this.#wanted = Math.ceil(Math.min(seconds, LONGEST));
  }

  // Requests of ours.

  /** Of the first INVITE, also of the next one after a 422 (§7.1, §7.3). */
  inviteHeaders(): HeaderList {
    if (this.#isOff || this.#wanted === 0) return [];
    return [["Session-Expires", formatSessionExpires(this.#atLeast(this.#wanted))], ...this.#minSE];
  }

  /** Of a re-INVITE or UPDATE, which is about to be sent (§7.4). */
  refreshHeaders(): HeaderList {
    const { state } = this.#machine;
    if (this.#isOff || state === "off" || state === "expired") return [];
    const refresher = state === "watching" ? "uas" : "uac";
    const value = formatSessionExpires(this.#atLeast(this.#interval), refresher);
    return [["Session-Expires", value], ...this.#minSE];
  }

  /** An INVITE or UPDATE was sent in the dialog. */
  sent(): void {
    this.#machine.input("sent", undefined);
  }

  /** 2xx to an INVITE or UPDATE of ours (§7.2). */
  succeeded(response: SipResponse): void {
    const granted = this.#isOff ? undefined : sessionExpiresOf(response);
    // A 2xx that forgot to say who refreshes leaves it to us: that harms nobody.
    this.#agree(granted?.seconds, granted?.refresher !== "uas");
  }

  /**
   * A 422 to an INVITE or UPDATE of ours (§7.3).
   * @returns true when it makes sense to send the request again, with header lines asked for anew. The caller counts.
   */
  learnsMinimum(request: SipRequest, response: SipResponse): boolean {
    const minimum = minimumOf(response);
    const asked = sessionExpiresOf(request);
    if (this.#isOff || minimum === undefined || asked === undefined) return false;
    // A server that refuses what it has asked for will do so again.
    if (minimum <= asked.seconds) return false;
    this.#minimum = Math.max(this.#minimum, minimum);
    return true;
  }

  /** A re-INVITE or UPDATE of ours came to nothing, the call goes on. */
  failed(response?: SipResponse): void {
    this.#machine.input("refused", response);
  }

  // Requests of the peer.

  /** Header lines of a 422, when the interval that the peer asks for is too short (§9). */
  refusal(request: SipRequest): HeaderList | undefined {
    const { minSE } = this.#settings;
    const asked = sessionExpiresOf(request);
    if (this.#isOff || asked === undefined || asked.seconds >= minSE) return undefined;
    return supportsTimer(request) ? [["Min-SE", String(minSE)]] : undefined;
  }

  /** How a 2xx to an INVITE or UPDATE of the peer goes on with the timer (§9, table 2). */
  grant(request: SipRequest): TimerGrant {
    const asked = sessionExpiresOf(request);
    const supports = supportsTimer(request);
    const least = minimumOf(request) ?? 0;
    const wanted = this.#wanted > 0 ? Math.max(this.#atLeast(this.#wanted), least) : Infinity;
    const seconds = Math.min(asked?.seconds ?? Infinity, wanted);
    const isUsed = asked !== undefined || supports;
    if (this.#isOff || !isUsed || seconds === Infinity) {
      return { headers: [], start: () => this.#agree(undefined, false) };
    }
    const refresher: Refresher = supports ? (asked?.refresher ?? this.#usualRefresher) : "uas";
    const headers: [string, string][] = [
      ["Session-Expires", formatSessionExpires(seconds, refresher)],
    ];
    if (supports) headers.push(["Require", "timer"]);
    return {
      headers,
      start: () => {
        this.#minimum = Math.max(this.#minimum, least);
        this.#agree(seconds, refresher === "uas");
      },
    };
  }

  /** In a request of the peer; who refreshes now goes on with it. */
  get #usualRefresher(): Refresher {
    const { state } = this.#machine;
    return state === "off" || state === "watching" ? "uac" : "uas";
  }

  get #isOff(): boolean {
    return this.#settings.sessionExpires === 0;
  }

  get #minSE(): HeaderList {
    return this.#minimum > SHORTEST ? [["Min-SE", String(this.#minimum)]] : [];
  }

  #atLeast(seconds: number): number {
    return Math.max(seconds, this.#minimum, SHORTEST);
  }

  #agree(seconds: number | undefined, isOurs: boolean): void {
    if (!this.#isAlive) return;
    this.#refusals = 0;
    this.#agreedAt = this.#core.clock.wallTime();
    this.#interval = Math.min(Math.max(seconds ?? 0, SHORTEST_HELD), LONGEST);
    const input = seconds === undefined ? "none" : isOurs ? "ours" : "peers";
    this.#machine.input(input, undefined);
  }

  get #isAlive(): boolean {
    return !this.#core.closed && this.#core.state !== "terminating";
  }

  #perform(action: SessionTimerAction, response: SipResponse | undefined): void {
    switch (action) {
      case "stop":
        this.#timer.cancel();
        this.#deadline.cancel();
        return;
      case "schedule":
        this.#setDeadline();
        this.#after(this.#refreshDelay, () => this.#halfway());
        return;
      case "watch":
        this.#setDeadline();
        return;
      case "ask":
        this.#core.emit("refresh-needed");
        this.#after(Math.min(FLOW_TIME, this.#timeLeft / 2), () => this.#input("unasked"));
        return;
      case "update":
        this.#timer.cancel();
        this.#sendUpdate();
        return;
      case "reinvite":
        this.#timer.cancel();
        this.#sendInvite();
        return;
      case "retry":
        if (this.#mayUpdate) this.#sendUpdate();
        else this.#sendInvite();
        return;
      case "pause":
        this.#pause(response);
        return;
      case "expire":
        this.#update?.abandon();
        this.#core.owner.endFor("session-expired");
    }
  }

  /** What a timer brings is of no interest once the end has begun. */
  #input(input: SessionTimerInput, response?: SipResponse): void {
    if (this.#isAlive) this.#machine.input(input, response);
  }

  #after(delayMs: number, callback: () => void): void {
    this.#timer.cancel();
    this.#timer = this.#core.after(delayMs, callback);
  }

  #setDeadline(): void {
    const seconds = this.#interval - Math.min(MARGIN, this.#interval / 3);
    const grace = Math.min(SHORTEST_RESUMED, seconds * 1000);
    const delayMs = Math.max(seconds * 1000 - this.#elapsed, grace);
    this.#deadlineAt = this.#core.clock.now() + delayMs;
    this.#deadline = this.#core.after(delayMs, () => this.#input("deadline"));
  }

  /** Half the interval; the flow is asked that much earlier that the re-INVITE still goes out by then. */
  get #refreshDelay(): number {
    const half = this.#interval * 500;
    const delay = this.#mayUpdate ? half : half - Math.min(2 * FLOW_TIME, half / 5);
    return Math.max(delay - this.#elapsed, Math.min(SHORTEST_PAUSE, delay));
  }

  get #timeLeft(): number {
    return Math.max(0, this.#deadlineAt - this.#core.clock.now());
  }

  get #mayUpdate(): boolean {
    return !this.#withoutUpdate && this.#core.peerAllows("UPDATE");
  }

  #halfway(): void {
    this.#input(this.#mayUpdate ? "halfwayUpdate" : "halfwayInvite");
  }

  #sendInvite(): void {
    if (this.refreshByInvite === undefined) this.#input("refused");
    else this.refreshByInvite();
  }

  /** Without a description, so that no offer can cross it (§7.4). */
  #sendUpdate(): void {
    const core = this.#core;
    let sent: SipRequest | undefined;
    this.#update = sendInDialog(
      core,
      { method: "UPDATE", contact: true, headers: this.refreshHeaders() },
      {
        onSent: (request) => {
          sent = request;
        },
        onFinal: (response) => {
          this.#update = undefined;
          if (sent !== undefined) this.#updated(sent, response);
        },
        onFailure: () => {
          this.#update = undefined;
          this.#input("refused");
        },
      },
    );
  }

  #updated(request: SipRequest, response: SipResponse): void {
    const { statusCode } = response;
    if (statusCode < 300) {
      this.#core.dialog?.refreshTarget(response);
      this.#core.learn(response);
      this.succeeded(response);
    } else if (statusCode === 405 || statusCode === 501) {
      this.#withoutUpdate = true;
      this.#input("unsupported");
    } else {
      if (statusCode === 422) this.learnsMinimum(request, response);
      this.#input("refused", response);
    }
  }

  /** Until the next try; without one the deadline decides. */
  #pause(response: SipResponse | undefined): void {
    this.#refusals++;
    this.#timer.cancel();
    if (this.#refusals > MOST_REFUSALS) return;
    const retryAfter = response?.seconds("retry-after");
    let delayMs = this.#timeLeft / 2;
    if (response?.statusCode === 422) delayMs = 0;
    else if (response?.statusCode === 491) delayMs = this.#glarePause();
    else if (retryAfter !== undefined) delayMs = retryAfter * 1000;
    if (delayMs >= this.#timeLeft) return;
    this.#after(Math.max(delayMs, SHORTEST_PAUSE), () => this.#input("again"));
  }

  /** RFC 3261 §14.1: the owner of the Call-ID waits longer, in steps of 10 ms. */
  #glarePause(): number {
    const { random } = this.#core.services;
    if (this.#core.direction === "incoming") return 10 * randomInteger(random, 201);
    return 2100 + 10 * randomInteger(random, 191);
  }
}

function sessionExpiresOf(message: SipMessage): ReturnType<typeof parseSessionExpires> {
  const text = message.headers.get("session-expires");
  return text === undefined ? undefined : parseSessionExpires(text);
}

function minimumOf(message: SipMessage): number | undefined {
  const text = message.headers.get("min-se");
  return text === undefined ? undefined : parseMinSE(text);
}

function supportsTimer(request: SipRequest): boolean {
  return (
    request.tokens("supported").includes("timer") || request.tokens("require").includes("timer")
  );
}
