/**
 * Keeps one address-of-record bound at its registrar (RFC 3261 §10.2): REGISTER, refresh, 423, un-REGISTER, back-off,
 * Service-Route (RFC 3608), Path (RFC 3327) and outbound (RFC 5626). No I/O: the user agent sends.
 */
import {
  randomToken,
  StateMachine,
  TransactionTimeoutError,
  TransportError,
  type SipError,
  type Timer,
} from "../foundation/index.js";
import {
  createRequest,
  parseNameAddrList,
  NameAddr,
  type SipRequest,
  type SipResponse,
} from "../message/index.js";
import type { Flow, KeepAlive } from "../transport/transport.js";
import { reconnectDelay, refreshDelay, retryDelay, type FailureKind } from "./back-off.js";
import { clampSeconds, grantedSeconds } from "./contact-binding.js";
import { keepAliveOf, outboundFacts, type OutboundFacts } from "./outbound.js";
import { PublicAddress, type PublicPlace } from "./public-address.js";
import {
  registrationMachine,
  type RegistrationAction,
  type RegistrationInput,
  type RegistrationMachineState,
} from "./registration-state.js";
import type {
  RegistrationListener,
  RegistrationOptions,
  RegistrationResult,
  RegistrationServices,
} from "./registration-services.js";

/** Service-Route values that are kept; more are not followed. */
const MOST_ROUTES = 16;

const FAILURE_KINDS: Readonly<Record<number, FailureKind>> = {
  401: "forbidden",
  403: "forbidden",
  404: "forbidden",
  407: "forbidden",
  // RFC 5626 §11.5: the flow is gone, a new one may work at once.
  430: "unreachable",
};

/** A connection that lived for less was hardly one: the next is opened later. */
const LASTING_MS = 60_000;

const NO_FACTS: OutboundFacts = { accepted: false, flowTimer: undefined, publicGruu: undefined };
const NO_KEEP_ALIVE = keepAliveOf(NO_FACTS);

export class Registration {
  readonly #services: RegistrationServices;
  readonly #options: RegistrationOptions;
  readonly #listener: RegistrationListener;
  readonly #machine: StateMachine<
    RegistrationMachineState,
    RegistrationInput,
    RegistrationAction,
    RegistrationResult | undefined
  >;
  /** RFC 3261 §10.2: one Call-ID for all registrations of a boot, a growing CSeq. */
  readonly #callId: string;
  readonly #fromTag: string;
  #sequence = 0;
  #request: { abandon(): void } | undefined;
  #timer: Timer | undefined;
  #timerDue = 0;
  #contact: NameAddr | undefined;
  #flow: Flow | undefined;
  #releaseFlow: (() => void) | undefined;
  #keepAlive: KeepAlive = NO_KEEP_ALIVE;
  #facts: OutboundFacts = NO_FACTS;
  /** The first hop cannot do RFC 5626 (439): not asked for any more. */
  #outboundRefused = false;
  readonly #address: PublicAddress;
  /** Raised by a 423, for this registrar. */
  #requestedExpires: number;
  #tooBriefCount = 0;
  #failures = 0;
  #firstFailureAt = 0;
  #failureKind: FailureKind = "unreachable";
  #flowSince = 0;
  /** Connections in a row that did not last. */
  #shortLived = 0;
  #serviceRoute: readonly NameAddr[] = [];
  #last: RegistrationResult | undefined;
  #waiting: ((result: RegistrationResult) => void)[] = [];

  constructor(
    services: RegistrationServices,
    options: RegistrationOptions,
    listener: RegistrationListener,
  ) {
    this.#services = services;
    this.#options = options;
    this.#listener = listener;
    this.#requestedExpires = options.expires;
    this.#address = new PublicAddress(options.learnPublicAddress === true);
    this.#callId = randomToken(services.random, 24);
    this.#fromTag = randomToken(services.random, 10);
    this.#machine = new StateMachine(registrationMachine, (action, result) =>
      this.#perform(action, result),
    );
  }

  get state(): RegistrationMachineState {
    return this.#machine.state;
  }

  /** The registrar may hold a binding of ours. */
  get mayBeBound(): boolean {
    return this.state !== "unregistered" && this.state !== "waiting";
  }

  /** The latest result of the registrar. */
  get last(): RegistrationResult | undefined {
    return this.#last;
  }

  /** Seconds until the next attempt after a failure; undefined when none is planned. */
  get retryIn(): number | undefined {
    if (this.state !== "waiting" || this.#timer === undefined) return undefined;
    return Math.max(0, Math.ceil((this.#timerDue - this.#services.clock.now()) / 1000));
  }

  /** Seconds until the binding is renewed; undefined unless it is registered and expires. */
  get refreshIn(): number | undefined {
    if (this.state !== "registered" || this.#timer === undefined) return undefined;
    return Math.max(0, Math.ceil((this.#timerDue - this.#services.clock.now()) / 1000));
  }

  /** Routes for requests outside of dialogs, while registered (RFC 3608 §5). */
  get serviceRoute(): readonly NameAddr[] {
    return this.#serviceRoute;
  }

  /** The Contact that is bound. */
  get contact(): NameAddr | undefined {
    return this.#contact;
  }

  /** The flow over which we registered last. */
  get flow(): Flow | undefined {
    return this.#flow;
  }

  /** What the registrar granted besides time: outbound, GRUU. */
  get facts(): OutboundFacts {
    return this.#facts;
  }

  /** The address to show on this flow, as the registrar saw it; undefined = the flow's own. */
  placeOn(flow: Flow): PublicPlace | undefined {
    return this.#address.placeOn(flow);
  }

  /**
   * We register in the place of another one: its binding leaves with ours (RFC 3261 §10.3 step 7). With outbound both have
   * one instance and ours takes its place by itself (RFC 5626 §6).
   */
  takeOver(old: NameAddr): void {
    if (this.#options.outbound !== true) this.#address.replaces(old);
  }

  /** The server does not answer any more over the flow of the binding: registers anew soon, over another. */
  flowFailed(): void {
    if (this.state !== "registered") return;
    this.#watchFlow(undefined, NO_KEEP_ALIVE);
    this.#machine.input("connectionLost", undefined);
  }

  /** Registers now; joins a REGISTER under way. Resolves with the registrar's answer. */
  register(): Promise<RegistrationResult> {
    return this.#ask("register");
  }

  /** Takes the binding away; nothing is sent by itself afterwards. */
  unregister(): Promise<RegistrationResult> {
    return this.#ask("unregister");
  }

  /** Ends at once and silently. Whoever waits gets `closed`. */
  close(): void {
    this.#machine.input("close", undefined);
    this.#watchFlow(undefined, NO_KEEP_ALIVE);
    this.#serviceRoute = [];
    this.#facts = NO_FACTS;
  }

  #ask(input: "register" | "unregister"): Promise<RegistrationResult> {
    return new Promise((resolve) => {
      // First the input: an exchange that it withdraws settles those who waited for that one.
      this.#machine.input(input, undefined);
      this.#waiting.push(resolve);
    });
  }

  #perform(action: RegistrationAction, result: RegistrationResult | undefined): void {
    switch (action) {
      case "sendRegister":
        return this.#send(this.#requestedExpires, false);
      case "sendUnregister":
        return this.#send(0, true);
      case "abandonRequest":
        this.#request?.abandon();
        this.#request = undefined;
        return;
      case "cancelTimer":
        this.#timer?.cancel();
        this.#timer = undefined;
        return;
      case "startRefreshTimer":
        if (result?.ok)
          this.#startTimer(refreshDelay(result.expires, this.#services.random), "refreshDue");
        return;
      case "startRetryTimer":
        if (result && !result.ok) this.#startTimer(this.#retryDelay(result), "retryDue");
        return;
      case "startReconnectTimer":
        return this.#startTimer(this.#reconnectDelay(), "retryDue");
      case "reportRegistered":
        if (result?.ok) this.#reportRegistered(result);
        return;
      case "reportFailed":
        if (result && !result.ok) this.#reportFailed(result);
        return;
      case "reportUnregistered":
      case "reportUnregisterFailed":
        if (result) this.#reportUnregistered(result);
        return;
      case "settleWaiting":
        return this.#settle(CLOSED);
    }
  }

  #startTimer(delayMs: number, input: "refreshDue" | "retryDue"): void {
    const { clock } = this.#services;
    this.#timer?.cancel();
    this.#timerDue = clock.now() + delayMs;
    this.#timer = clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#machine.input(input, undefined);
    });
  }

  #send(expires: number, isRemoval: boolean): void {
    let current = true;
    const request = this.#services.send({
      build: (flow) => this.#build(flow, expires, isRemoval),
      nextSequence: () => ++this.#sequence,
      onFinalResponse: (response, flow) => {
        if (!current) return;
        current = false;
        this.#request = undefined;
        this.#onResponse(response, flow, expires, isRemoval);
      },
      onFailure: (error) => {
        if (!current) return;
        current = false;
        this.#request = undefined;
        this.#machine.input("failure", failureOf(error));
      },
    });
    // A failure may have been reported at once.
    if (current) {
      this.#request = {
        abandon: () => {
          current = false;
          request.abandon();
        },
      };
    }
  }

  #build(flow: Flow, expires: number, isRemoval: boolean): SipRequest {
    const { identity, registrar, sendExpires } = this.#options;
    const outbound = this.#options.outbound === true && !this.#outboundRefused;
    const contact =
      isRemoval && this.#contact
        ? this.#contact
        : this.#services.contact(flow, { outbound, place: this.placeOn(flow) });
    this.#contact = contact;
    const headers = [...this.#services.headers(outbound)];
    if (sendExpires || isRemoval) headers.push(["Expires", String(expires)]);
    return createRequest({
      method: "REGISTER",
      uri: registrar,
      from: new NameAddr(identity.uri, identity.displayName, new Map([["tag", this.#fromTag]])),
      to: new NameAddr(identity.uri, identity.displayName),
      callId: this.#callId,
      sequence: ++this.#sequence,
      contact: this.#address.contactLine(contact),
      headers,
    });
  }

  #onResponse(response: SipResponse, flow: Flow, asked: number, isRemoval: boolean): void {
    const { statusCode, reason } = response;
    if (statusCode < 300) {
      const { minExpires, expires } = this.#options;
      const granted = grantedSeconds(response, this.#contact, asked);
      if (!isRemoval) {
        this.#serviceRoute = serviceRouteOf(response);
        this.#facts = outboundFacts(response, this.#contact);
        this.#watchFlow(flow, keepAliveOf(this.#facts));
        // With outbound the binding is known by instance and reg-id, and is replaced by itself (RFC 5626 §6).
        if (this.#address.learn(response, flow, this.#contact, !this.#facts.accepted)) {
          this.#machine.input("askAgain", undefined);
          return;
        }
      }
      this.#machine.input("success", {
        ok: true,
        statusCode,
        reason,
        // A 423 raised what we ask for: the registrar's minimum widens the range.
        expires: isRemoval
          ? 0
          : clampSeconds(granted, minExpires, Math.max(expires, this.#requestedExpires)),
        response,
      });
      return;
    }
    const failed: RegistrationResult = {
      ok: false,
      statusCode,
      reason,
      failure: "response",
      response,
    };
    const minimum = statusCode === 423 ? response.seconds("min-expires") : undefined;
    // RFC 3261 §10.2.8. A registrar that raises its minimum again and again is refused.
    if (minimum !== undefined && minimum > 0 && !isRemoval && this.#tooBriefCount < 2) {
      this.#tooBriefCount++;
      this.#requestedExpires = Math.max(minimum, this.#requestedExpires);
      this.#machine.input("intervalTooBrief", failed);
      return;
    }
    if (!isRemoval && this.#canAskOtherwise(statusCode)) {
      this.#machine.input("askAgain", failed);
      return;
    }
    this.#machine.input(statusCode === 423 && isRemoval ? "intervalTooBrief" : "failure", failed);
  }

  /** A refusal that a REGISTER in another form may avoid. */
  #canAskOtherwise(statusCode: number): boolean {
    if (statusCode === 439 && this.#options.outbound === true && !this.#outboundRefused) {
      this.#outboundRefused = true;
      return true;
    }
    return this.#address.refused();
  }

  /**
   * Keeps the flow of the binding up (RFC 5626 §3.5) and watches it: a closed connection is the end of the binding
   * that leads through it.
   */
  #watchFlow(flow: Flow | undefined, keepAlive: KeepAlive): void {
    const isSame =
      keepAlive.intervalMs === this.#keepAlive.intervalMs &&
      keepAlive.pongExpected === this.#keepAlive.pongExpected;
    if (flow === this.#flow && isSame) return;
    this.#releaseFlow?.();
    if (flow !== this.#flow) this.#flowSince = this.#services.clock.now();
    this.#flow = flow;
    this.#keepAlive = keepAlive;
    if (flow === undefined) {
      this.#releaseFlow = undefined;
      return;
    }
    const letGo = flow.retain?.(keepAlive);
    const stopWatching = flow.reliable ? flow.onClosed(() => this.#onFlowClosed(flow)) : undefined;
    this.#releaseFlow = () => {
      letGo?.();
      stopWatching?.();
    };
  }

  #onFlowClosed(flow: Flow): void {
    if (this.#flow !== flow) return;
    const lasted = this.#services.clock.now() - this.#flowSince >= LASTING_MS;
    this.#shortLived = lasted ? 0 : this.#shortLived + 1;
    this.#watchFlow(undefined, NO_KEEP_ALIVE);
    this.#machine.input("connectionLost", undefined);
  }

  /** The first loss is no pattern yet. */
  #reconnectDelay(): number {
    return reconnectDelay(Math.max(0, this.#shortLived - 1), this.#services.random);
  }

  #retryDelay(result: RegistrationResult & { ok: false }): number {
    const now = this.#services.clock.now();
    const kind = failureKind(result);
    const { keepAlive } = this.#options;
    if (kind !== this.#failureKind) this.#failures = 0;
    this.#failureKind = kind;
    if (this.#failures++ === 0) this.#firstFailureAt = now;
    return retryDelay(
      {
        kind,
        count: this.#failures,
        sinceFirstMs: now - this.#firstFailureAt,
        retryAfter: result.response?.seconds("retry-after"),
        watchMs: keepAlive === undefined || keepAlive <= 0 ? undefined : keepAlive * 1000,
      },
      this.#services.random,
    );
  }

  #reportRegistered(result: RegistrationResult & { ok: true }): void {
    this.#failures = 0;
    this.#tooBriefCount = 0;
    this.#last = result;
    this.#listener.onRegistered(result);
    this.#settle(result);
  }

  #reportFailed(result: RegistrationResult & { ok: false }): void {
    const failed = { ...result, retryIn: this.retryIn };
    this.#tooBriefCount = 0;
    this.#serviceRoute = [];
    this.#facts = NO_FACTS;
    this.#address.forget();
    this.#last = failed;
    this.#listener.onFailed(failed);
    this.#settle(failed);
  }

  #reportUnregistered(result: RegistrationResult): void {
    this.#last = result;
    this.#serviceRoute = [];
    this.#facts = NO_FACTS;
    this.#contact = undefined;
    this.#address.forget();
    this.#watchFlow(undefined, NO_KEEP_ALIVE);
    this.#listener.onUnregistered(result);
    this.#settle(result);
  }

  #settle(result: RegistrationResult): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(result);
  }
}

const CLOSED: RegistrationResult = {
  ok: false,
  statusCode: 0,
  reason: "The registration was closed.",
  failure: "closed",
};

function failureOf(error: SipError): RegistrationResult {
  const failure =
    error instanceof TransactionTimeoutError
      ? "timeout"
      : error instanceof TransportError && error.code === "E_DNS"
        ? "dns-error"
        : "transport-error";
  return { ok: false, statusCode: 0, reason: error.message, failure };
}

function failureKind(result: RegistrationResult & { ok: false }): FailureKind {
  if (result.failure !== "response") return "unreachable";
  return FAILURE_KINDS[result.statusCode] ?? "refused";
}

/** RFC 3608 §5: in the order of the header; a value that cannot be read is no route at all. */
function serviceRouteOf(response: SipResponse): readonly NameAddr[] {
  const routes: NameAddr[] = [];
  for (const line of response.headers.getAll("service-route")) {
    routes.push(...(parseNameAddrList(line) ?? []));
  }
  return routes.slice(0, MOST_ROUTES);
}
