/**
 * What outgoing and incoming calls have in common behind the public face `Session`: actions in an established call
 * and the way out. The exchanges themselves are in files of their own.
 */
import { InvalidArgumentError, InvalidStateError, errorText } from "../foundation/index.js";
import type { Dialog } from "../dialog/index.js";
import type { NameAddr } from "../message/index.js";
import { sendBye } from "./bye.js";
import { recordCall, type CallRecord } from "./call-record.js";
import type { Cause } from "./cause.js";
import { DigitSender } from "./digits.js";
import {
  type DescriptionPath,
  DirectMedia,
  type DirectLeg,
  type DirectMediaControl,
} from "./direct-media.js";
import { requestInDialog } from "./in-dialog-request.js";
import { InDialog } from "./in-dialog.js";
import { packageHeaders } from "./info-package.js";
import type { DigitEvent, MediaSession, MediaStatistics } from "./media-handler.js";
import { NO_REQUEST, NO_SESSION, PACKAGE_NOT_TAKEN } from "./outcomes.js";
import { reasonHeaders } from "./reason.js";
import type { NeighbourCall } from "./replacement.js";
import { checkedRequestMethod } from "./request-methods.js";
import { SessionCookies } from "./session-cookies.js";
import { SessionCore, type EventFields, type SessionOwner } from "./session-core.js";
import type { AccountHandle, SessionServices } from "./session-services.js";
import type {
  AcceptOptions,
  ActionOutcome,
  EndOptions,
  HeaderList,
  InDialogRequestOptions,
  Participant,
  ProgressOptions,
  ReInviteOptions,
  ReferOptions,
  RejectOptions,
  SendDigitsOptions,
  SessionEvent,
  SessionSnapshot,
  SessionState,
  SignalingState,
} from "./session-types.js";
import { Session } from "./session.js";

/** Target-refresh requests and those around a subscription carry our Contact. */
const WITH_CONTACT: ReadonlySet<string> = new Set(["UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"]);

/** How long after a transfer the BYE of the call that was replaced still belongs to it. Times T1. */
const LATE_BYE = 4;

export interface CallStart {
  /** Handle of a call that is gone on with; absent = a new one. */
  readonly id?: string;
  readonly direction: "incoming" | "outgoing";
  readonly account: AccountHandle | undefined;
  readonly local: NameAddr;
  readonly remote: NameAddr | Participant;
}

export abstract class CallSession extends Session implements SessionOwner, NeighbourCall {
  readonly id: string;
  readonly direction: "incoming" | "outgoing";
  protected readonly core: SessionCore;
  protected readonly inDialog: InDialog;
  #digits: DigitSender | undefined;

  constructor(services: SessionServices, start: CallStart) {
    super();
    this.id = start.id ?? SessionCore.newHandle(services);
    this.direction = start.direction;
    this.core = new SessionCore(this, services, start.direction, start);
    this.core.account = start.account;
    this.inDialog = new InDialog(this.core);
    this.reportListenerErrors((error) =>
      services.logger.error(`session ${this.id}: a listener failed: ${errorText(error)}`),
    );
  }

  /**
   * Starts the call; to be called once, after the owner has attached its listeners. Incoming: checks the INVITE,
   * stores the dialog and emits `incoming`; false = the INVITE was refused (400) and there is no session, nothing was
   * emitted. Outgoing: emits `inviting` in a later turn, then sends; always true.
   */
  abstract begin(): boolean;

  get state(): SessionState {
    return this.core.state;
  }
  get signaling(): SignalingState {
    return this.core.negotiation.state;
  }
  get accountId(): string | undefined {
    return this.core.account?.id;
  }
  get mediaSession(): MediaSession | undefined {
    return this.core.negotiation.session;
  }

  override get mediaStatistics(): Promise<MediaStatistics | undefined> | undefined {
    return this.core.negotiation.statistics;
  }

  snapshot(): SessionSnapshot {
    return this.core.snapshot();
  }

  // `async` turns what is thrown on misuse into a rejection.

  async progress(options: ProgressOptions = {}): Promise<ActionOutcome> {
    if (!this.isLive) return NO_SESSION;
    return this.core.run(() => this.sendProgress(options));
  }

  async accept(options: AcceptOptions = {}): Promise<ActionOutcome> {
    if (!this.isLive) return NO_SESSION;
    return this.core.run(() => this.sendAccept(options));
  }

  async reject(options: RejectOptions = {}): Promise<ActionOutcome> {
    if (!this.isLive) return NO_SESSION;
    return this.core.run(() => this.sendReject(options));
  }

  async end(options: EndOptions = {}): Promise<void> {
    const closed = this.#closed();
    this.core.run(() => this.beginEnd(options));
    return closed;
  }

  async reinvite(options: ReInviteOptions): Promise<ActionOutcome> {
    return this.core.run(() => this.inDialog.modifier.reinvite(options));
  }

  async refer(options: ReferOptions): Promise<ActionOutcome> {
    return this.core.run(() => this.inDialog.refers.refer(options));
  }

  async request(options: InDialogRequestOptions): Promise<ActionOutcome> {
    const method = checkedRequestMethod(options.method);
    if (!this.isLive) return NO_SESSION;
    if (this.core.dialog === undefined) {
      throw new InvalidStateError("The call has no dialog yet in which a request could be sent");
    }
    const { contentType, body, onProvisional, infoPackage } = options;
    let headers: HeaderList = options.headers ?? [];
    if (method === "INFO" && infoPackage !== undefined) {
      headers = packageHeaders(infoPackage, headers, body !== undefined && body.length > 0);
      // RFC 6086 §4.2.1: not to a peer that has said what it takes, and did not name this one.
      if (!this.core.takesInfoPackage(infoPackage)) return PACKAGE_NOT_TAKEN;
    }
    const contact = WITH_CONTACT.has(method);
    const fields = { method, headers, contact, contentType, body };
    return this.core.run(() => requestInDialog(this.core, fields, onProvisional));
  }

  async sendDigits(options: SendDigitsOptions): Promise<ActionOutcome> {
    this.#digits ??= new DigitSender(this.core);
    return this.#digits.send(options);
  }

  receiveDigit(digit: DigitEvent): void {
    this.core.enter(() => this.core.closed || this.core.digit(digit, undefined, true));
  }

  direct(other: Session, path?: DescriptionPath): DirectMediaControl {
    if (!(other instanceof CallSession) || other === this) {
      throw new InvalidArgumentError("Media can only flow to another call of this library");
    }
    const leg = (call: CallSession): DirectLeg => ({
      id: call.id,
      get state() {
        return call.state;
      },
      negotiation: call.core.negotiation,
      reinvite: (options) => call.reinvite(options),
      wait: (ms) => new Promise((resolve) => void call.core.after(ms, resolve)),
    });
    return new DirectMedia(leg(this), leg(other), this.core.logger, path);
  }

  /** Is this the subscription of a REFER that was accepted here without `follow`, and not over? */
  hasReferral(subscription: string): boolean {
    return this.inDialog.referrals.has(subscription);
  }

  /** Seconds that are left of that subscription. */
  referralExpires(subscription: string): number | undefined {
    return this.inDialog.referrals.expiresOf(subscription);
  }

  /**
   * How the call of a REFER goes that was accepted without `follow`. Resolves with the peer's answer to the NOTIFY;
   * `no-request` when that is over.
   */
  async notifyReferrer(
    subscription: string,
    statusCode: number,
    reason?: string,
  ): Promise<ActionOutcome> {
    return this.core.run(() => this.inDialog.referrals.notify(subscription, statusCode, reason));
  }

  /** Ends the session at once and without waiting: for the last step of a shutdown. Idempotent. */
  forceClose(cause: Cause): void {
    this.core.enter(() => {
      this.abandonExchanges();
      this.inDialog.abandon();
      this.core.close(cause, this.core.answered ? {} : { statusCode: 0 });
    });
  }

  override record(): CallRecord | undefined {
    return recordCall(this.core, this.data);
  }

  override forget(): void {
    this.core.enter(() => {
      this.abandonExchanges();
      this.inDialog.abandon();
      this.core.forget();
    });
  }

  // For other calls: Replaces and attended transfer.

  get replacedBy(): string | undefined {
    return this.core.replacedBy;
  }

  /** Max-Forwards of its INVITE. */
  get hopsLeft(): number {
    return this.core.hopsLeft;
  }

  get dialog(): Dialog | undefined {
    return this.core.dialog;
  }

  giveWay(handle: string): void {
    const { core } = this;
    core.enter(() => {
      if (!this.isLive || core.replacedBy !== undefined) return;
      core.replacedBy = handle;
      core.emit("replaced");
      core.after(core.services.timers.t1, () => this.leave());
    });
  }

  leave(): void {
    this.core.enter(() => {
      if (this.isLive && this.core.replacedBy !== undefined) this.beginEnd({ cause: "replaced" });
    });
  }

  beginTransfer(): void {
    this.core.transfers++;
  }

  endTransfer(result: "done" | "failed" | "unknown", hangUp: boolean): void {
    const { core } = this;
    if (result === "unknown") return;
    if (result === "failed") core.transfers--;
    else if (hangUp && this.isLive) this.endFor("transferred");
    // The BYE of who was told to take this call's place comes after the news of it.
    else core.after(LATE_BYE * core.services.timers.t1, () => core.transfers--);
  }

  /** Destroyed after the session's last event. */
  protected override makeCookies(): SessionCookies {
    const { clock, logger } = this.core;
    const cookies = new SessionCookies((error) =>
      logger.error(`session ${this.id}: a cookie was not destroyed: ${errorText(error)}`),
    );
    this.core.onClose(() => clock.defer(() => cookies.destroy()));
    return cookies;
  }

  // For the core.

  get observed(): boolean {
    return this.listenerCount("event") > 0;
  }

  deliver(event: SessionEvent): void {
    this.emit("event", event);
  }

  endFor(cause: Cause): void {
    this.core.enter(() => this.beginEnd({ cause }));
  }

  // For the two kinds of call.

  protected get isLive(): boolean {
    return !this.core.closed && this.core.state !== "terminating";
  }

  protected sendProgress(_options: ProgressOptions): Promise<ActionOutcome> {
    throw new InvalidStateError("Only an incoming call that is not answered can be told to ring");
  }

  protected sendAccept(_options: AcceptOptions): Promise<ActionOutcome> {
    return Promise.resolve(NO_REQUEST);
  }

  protected sendReject(_options: RejectOptions): Promise<ActionOutcome> {
    return Promise.resolve(NO_REQUEST);
  }

  /** Begins the end that the state demands; nothing when it has begun. */
  protected abstract beginEnd(options: EndOptions): void;

  /** No callback may come after this: the user agent is shutting down. */
  protected abstract abandonExchanges(): void;

  /** The end of an established call. */
  protected hangUp(options: EndOptions, fields?: EventFields): void {
    const reason = reasonHeaders(options.statusCode, options.reason);
    const headers = [...reason, ...(options.headers ?? [])];
    this.inDialog.concludeOffers();
    sendBye(this.core, options.cause ?? "local-bye", headers, fields);
  }

  #closed(): Promise<void> {
    return new Promise((resolve) => void this.core.onClose(resolve));
  }
}
