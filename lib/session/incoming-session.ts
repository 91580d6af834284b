/** A call that a peer places to us (RFC 3261 §13.3): ringing, answer, rejection, CANCEL, and then the call itself. */
import {
  InvalidArgumentError,
  InvalidStateError,
  StateMachine,
  errorText,
} from "../foundation/index.js";
import { Dialog } from "../dialog/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { ServerTransaction, ServerTransactionUser } from "../transaction/index.js";
import { AcceptedInvite } from "./accepted-invite.js";
import { bodyFields, sdpOf } from "./body.js";
import { CallSession } from "./call-session.js";
import type { Cause } from "./cause.js";
import { checkedModifiers } from "./description-modifier.js";
import {
  incomingInviteMachine,
  type IncomingInviteAction,
  type IncomingInviteInput,
  type IncomingInviteState,
} from "./incoming-invite-state.js";
import { mergeHeaders } from "./header-lines.js";
import { whenSettled } from "./maybe-promise.js";
import type { MaybePromise } from "./media-handler.js";
import { NO_REQUEST, NO_SESSION, noSdpError, Success } from "./outcomes.js";
import { PrackReceiver } from "./prack-receiver.js";
import { ProvisionalResponse } from "./provisional-response.js";
import { redirectHeaders } from "./redirect.js";
import { callerWants, requireRel100, type Rel100 } from "./rel100.js";
import { ReliableProvisional } from "./reliable-provisional.js";
import { refusalOf, refuseOffer, sendRejection, terminateInvite } from "./rejection.js";
import type { NeighbourCall } from "./replacement.js";
import type { AccountHandle, SessionServices } from "./session-services.js";
import type {
  AcceptOptions,
  ActionOutcome,
  EndOptions,
  HeaderList,
  Participant,
  ProgressOptions,
  RejectOptions,
} from "./session-types.js";

const RINGING = 180;
const DEFAULT_REJECTION = 486;
const DEFAULT_END = 480;

export interface IncomingSessionOptions {
  readonly account: AccountHandle | undefined;
  /** Who calls, from a trusted P-Asserted-Identity or Remote-Party-ID; default From. */
  readonly identity?: Participant | undefined;
  /** The call that its Replaces names: ended when this one is answered (RFC 3891 §3). */
  readonly replaces?: NeighbourCall | undefined;
}

interface Input {
  readonly error?: unknown;
  readonly message?: SipRequest;
  readonly rejection?: SipResponse;
  readonly cause?: Cause;
}

/** A class, because it holds the session (lists.ts of the foundation). */
class CancelListener implements ServerTransactionUser {
  constructor(readonly onCancel: (cancel: SipRequest) => void) {}
}

export class IncomingSession extends CallSession {
  readonly #transaction: ServerTransaction;
  readonly #offer: string | undefined;
  readonly #replaces: NeighbourCall | undefined;
  readonly #machine: StateMachine<
    IncomingInviteState,
    IncomingInviteInput,
    IncomingInviteAction,
    Input
  >;
  /** Our answer, or our offer when the INVITE had none: made once, for 1xx and 2xx. */
  #description: MaybePromise<string> | undefined;
  #localSdp: string | undefined;
  readonly #ringing: ProvisionalResponse;
  /** What the caller says about reliable provisional responses. */
  readonly #wants: Rel100;
  #reliable: ReliableProvisional | undefined;
  #pracks: PrackReceiver | undefined;
  /** A reliable response carries our description: planned, or out. Then no other response may (RFC 6337 §2.2). */
  #early: "none" | "planned" | "sent" = "none";
  #acceptOptions: AcceptOptions = {};
  #settleAccept: ((outcome: ActionOutcome) => void) | undefined;
  #rejectAccept: ((error: unknown) => void) | undefined;
  #endOptions: EndOptions = {};

  constructor(
    services: SessionServices,
    transaction: ServerTransaction,
    options: IncomingSessionOptions,
  ) {
    const { request } = transaction;
    super(services, {
      direction: "incoming",
      account: options.account,
      local: request.to,
      remote: options.identity ?? request.from,
    });
    this.#transaction = transaction;
    this.#ringing = new ProvisionalResponse(this.core, transaction);
    this.#offer = sdpOf(request);
    this.#replaces = options.replaces;
    this.core.replaces = options.replaces?.id;
    this.core.hopsLeft = request.maxForwards ?? this.core.hopsLeft;
    this.#wants = services.rel100 === "none" ? "none" : callerWants(request);
    this.#machine = new StateMachine(incomingInviteMachine, (action, input) =>
      this.#perform(action, input),
    );
  }

  begin(): boolean {
    const { core } = this;
    const { request, flow } = this.#transaction;
    core.localTag = this.#transaction.localTag;
    if (request.contacts.length === 0) {
      core.reply(this.#transaction, 400, { reason: "Missing Contact" });
      return false;
    }
    const tooShort = core.sessionTimer.refusal(request);
    if (tooShort !== undefined) {
      core.reply(this.#transaction, 422, { headers: tooShort });
      return false;
    }
    if (core.services.rel100 === "required" && this.#wants === "none") {
      core.reply(this.#transaction, 421, { headers: requireRel100("required") });
      return false;
    }
    if (!core.adopt(Dialog.fromRequest(request, core.localTag), this.inDialog, flow)) {
      core.reply(this.#transaction, 503, { headers: [["Retry-After", "10"]] });
      return false;
    }
    core.learn(request);
    core.keepPending(this.#transaction);
    core.onClose(() => {
      this.#replaces?.leave();
      this.#transaction.user = undefined;
      this.#machine.input("close", {});
      this.#settle({ ok: false, cause: core.cause ?? "no-session", statusCode: 0 });
    });
    this.#transaction.user = new CancelListener((cancel) =>
      core.enter(() => {
        core.observeRequest(cancel);
        this.#machine.input("cancel", { message: cancel });
      }),
    );
    if (this.#offer !== undefined) core.negotiation.offered();
    core.run(() => {
      core.input("inviteReceived");
      core.emit("incoming", { message: request, remoteSdp: this.#offer });
      core.observeRequest(request);
    });
    return true;
  }

  protected override async sendProgress(options: ProgressOptions): Promise<ActionOutcome> {
    const statusCode = options.statusCode ?? RINGING;
    if (!Number.isInteger(statusCode) || statusCode < 101 || statusCode > 199) {
      throw new InvalidArgumentError("A provisional response has a status code from 101 to 199");
    }
    if (!this.#isOpen) throw new InvalidStateError("The call is already answered");
    const isReliable = this.#isReliable(options);
    const withSdp = options.earlyMedia === true || options.sdp !== undefined;
    // Without an offer there is nothing to answer, and ours may not travel unreliably (RFC 3262 §5).
    if (!withSdp || (this.#offer === undefined && !isReliable)) {
      return this.#sendProvisional(statusCode, options);
    }
    this.#requireSdp(options.sdp);
    this.#useModifiers(options.descriptionModifiers);
    return new Promise((resolve, reject) => {
      whenSettled(
        () => this.#describe(options.sdp),
        (sdp) =>
          this.core.enter(() => {
            try {
              resolve(this.#sendProvisional(statusCode, options, sdp));
            } catch (error) {
              reject(error instanceof Error ? error : new Error(errorText(error)));
            }
          }),
        (error) =>
          this.core.enter(() => {
            const { cause } = this.core;
            this.#machine.input("undescribed", { error });
            resolve(cause === undefined ? refusalOf(this.core, error) : NO_SESSION);
          }),
      );
    });
  }

  protected override sendAccept(options: AcceptOptions): Promise<ActionOutcome> {
    if (this.#machine.state !== "received") return Promise.resolve(NO_REQUEST);
    if (this.#replaces?.replacedBy !== undefined) return this.#decline();
    this.#requireSdp(options.sdp);
    this.#useModifiers(options.descriptionModifiers);
    this.#acceptOptions = options;
    return new Promise((resolve, reject) => {
      this.#settleAccept = resolve;
      this.#rejectAccept = reject;
      this.#machine.input("accept", {});
    });
  }

  /** Another call was faster to take the place of the old one: there is nothing left to replace (RFC 3891 §3). */
  async #decline(): Promise<ActionOutcome> {
    const outcome = await this.sendReject({ statusCode: 603 });
    return outcome.ok ? { ...outcome, ok: false, cause: "rejected" } : outcome;
  }

  protected override sendReject(options: RejectOptions): Promise<ActionOutcome> {
    const statusCode = options.statusCode ?? DEFAULT_REJECTION;
    if (!Number.isInteger(statusCode) || statusCode < 300 || statusCode > 699) {
      throw new InvalidArgumentError("A rejection has a status code from 300 to 699");
    }
    if (!this.#isOpen) return Promise.resolve(NO_REQUEST);
    const response = this.#rejection(statusCode, options);
    this.#machine.input("reject", { rejection: response });
    return Promise.resolve({
      ok: true,
      statusCode,
      reason: response.reason,
      message: response,
    });
  }

  protected override beginEnd(options: EndOptions): void {
    if (this.core.closed || this.core.state === "terminating") return;
    if (!this.#isOpen) {
      this.#endOptions = options;
      // With the ACK still missing the cause is kept for the BYE that waits.
      this.#machine.input("hangUp", {});
      return;
    }
    const statusCode = options.statusCode ?? DEFAULT_END;
    const rejection = this.#rejection(statusCode, options);
    const input = options.cause === undefined ? { rejection } : { rejection, cause: options.cause };
    this.#machine.input("reject", input);
  }

  protected override abandonExchanges(): void {
    if (this.core.closed) return;
    const { state } = this.#machine;
    if (this.#isOpen) this.core.reply(this.#transaction, DEFAULT_END);
    // There is no time left to wait for the ACK; the peer shall not be left with a dead call.
    else if (state === "accepted" || state === "ending") this.hangUp(this.#endOptions);
  }

  /** No final response has been sent. */
  get #isOpen(): boolean {
    return this.#machine.state === "received" || this.#machine.state === "describing";
  }

  #perform(action: IncomingInviteAction, input: Input): void {
    switch (action) {
      case "describe":
        whenSettled(
          () => this.#describe(this.#acceptOptions.sdp),
          (sdp) =>
            this.core.enter(() => {
              this.#localSdp = this.#acceptOptions.sdp ?? sdp;
              this.#whenClear(() => this.#machine.input("described", {}));
            }),
          (error) => this.core.enter(() => this.#machine.input("undescribed", { error })),
        );
        return;
      case "sendSuccess":
        this.answered();
        this.#sendSuccess();
        return;
      case "sendRejection":
        if (input.rejection === undefined) return;
        sendRejection(this.core, this.#transaction, input.rejection, input.cause);
        return;
      case "refuseOffer":
        refuseOffer(this.core, this.#transaction, input.error, (outcome) => this.#settle(outcome));
        return;
      case "terminate":
        if (input.message === undefined) return;
        terminateInvite(this.core, this.#transaction, input.message);
        return;
      case "confirm":
        this.acknowledged();
        this.#confirm(input.message);
        return;
      case "reportAck":
        this.core.emit("confirmed", { message: input.message });
        return;
      case "giveUp":
        this.#settle({ ok: false, cause: "no-ack", statusCode: 0 });
        this.hangUp({ cause: "no-ack" });
        return;
      case "sendBye":
        this.hangUp(this.#endOptions);
    }
  }

  /** Our 2xx goes out. */
  protected answered(): void {
    // For those who count.
  }

  /** The caller has confirmed our answer: it is there, and reachable. */
  protected acknowledged(): void {
    // For those who count.
  }

  #describe(sdp: string | undefined): MaybePromise<string> {
    if (this.#description !== undefined) return this.#description;
    const { negotiation } = this.core;
    this.#description =
      this.#offer === undefined ? negotiation.offer(sdp) : negotiation.answer(this.#offer, sdp);
    return this.#description;
  }

  #useModifiers(modifiers: AcceptOptions["descriptionModifiers"]): void {
    if (modifiers !== undefined) this.core.negotiation.useModifiers(checkedModifiers(modifiers));
  }

  #requireSdp(sdp: string | undefined): void {
    const has = sdp !== undefined || this.#description !== undefined;
    if (!has && !this.core.negotiation.hasHandler) throw noSdpError();
  }

  /** @throws InvalidStateError when the flow insists on what the caller cannot do. */
  #isReliable({ rel100 }: ProgressOptions): boolean {
    if (this.#wants === "none" && rel100 === true) {
      throw new InvalidStateError(
        "The caller does not support reliable provisional responses (100rel); unreliable ones can be sent",
        { rule: "no-100rel" },
      );
    }
    return this.#wants === "required" || (this.#wants === "supported" && rel100 !== false);
  }

  /** Runs it when no exchange in provisional responses is under way (RFC 3262 §3). */
  #whenClear(callback: () => void): void {
    if (this.#pracks === undefined) callback();
    else this.#pracks.whenClear(callback);
  }

  #sendProvisional(
    statusCode: number,
    options: ProgressOptions,
    description?: string,
  ): ActionOutcome | Promise<ActionOutcome> {
    if (this.core.closed) return NO_SESSION;
    if (!this.#isOpen) return NO_REQUEST;
    const sdp = this.#early === "none" ? description : undefined;
    const build = (headers: HeaderList, body?: string): SipResponse =>
      this.core.createReply(this.#transaction.request, statusCode, this.#transaction.flow, {
        reason: options.reason,
        headers: [...(options.headers ?? []), ...headers],
        contact: true,
        ...bodyFields(body, {}, this.core.services.random),
      });
    if (this.#isReliable(options)) return this.#sendReliably(build, sdp);
    const response = build([], sdp);
    this.#ringing.send(response);
    if (sdp !== undefined) this.core.negotiation.session?.start();
    this.#reportProgress(response, sdp);
    return new Success(statusCode, response, response.reason);
  }

  /** Resolves when its PRACK came (RFC 3262 §3). */
  #sendReliably(
    build: (headers: HeaderList, body?: string) => SipResponse,
    sdp: string | undefined,
  ): Promise<ActionOutcome> {
    const { core } = this;
    const sent = this.#reliableResponses().send({
      build: (headers, repeated) => build(headers, repeated ? undefined : sdp),
      hasSdp: sdp !== undefined,
      onSent: (response) => {
        this.#ringing.stop();
        if (sdp !== undefined) {
          this.#early = "sent";
          this.#localSdp = sdp;
          if (this.#offer !== undefined) core.negotiation.answered();
        }
        this.#reportProgress(response, sdp);
      },
    });
    if (sdp !== undefined && this.#early === "none") this.#early = "planned";
    return sent;
  }

  #reliableResponses(): ReliableProvisional {
    if (this.#reliable !== undefined) return this.#reliable;
    const { core } = this;
    const reliable = new ReliableProvisional(core, this.#transaction, () => {
      this.#machine.input("reject", { rejection: this.#rejection(504, {}), cause: "no-prack" });
    });
    const awaitsAnswer = (): boolean =>
      this.#offer === undefined &&
      this.#early === "sent" &&
      core.negotiation.state === "have-local-offer";
    this.#pracks = new PrackReceiver(core, reliable, {
      get awaitsAnswer() {
        return awaitsAnswer();
      },
      onAnswer: (remoteSdp) => core.emit("media", { remoteSdp, localSdp: this.#localSdp }),
      onBadAnswer: () => {
        this.#machine.input("reject", { rejection: this.#rejection(488, {}), cause: "bad-media" });
      },
    });
    this.inDialog.pracks = this.#pracks;
    this.#reliable = reliable;
    return reliable;
  }

  #reportProgress(response: SipResponse, sdp: string | undefined): void {
    const { core } = this;
    const { statusCode } = response;
    core.input("provisional");
    core.emit("progress", {
      message: response,
      statusCode,
      reason: response.reason,
      localSdp: sdp,
    });
    if (sdp !== undefined && this.#offer !== undefined) core.emit("media", { localSdp: sdp });
  }

  #sendSuccess(): void {
    const { core } = this;
    const { request, flow } = this.#transaction;
    const options = this.#acceptOptions;
    const timer = core.sessionTimer.grant(request);
    // Once it went reliably, no other response may hold a description (RFC 6337 §2.2).
    const isExchanged = this.#early === "sent";
    const localSdp = isExchanged ? undefined : this.#localSdp;
    let response: SipResponse;
    try {
      response = core.createReply(request, 200, flow, {
        headers: mergeHeaders(timer.headers, options.headers),
        contact: true,
        ...bodyFields(localSdp, options, core.services.random),
      });
    } catch (error) {
      // A header of the application cannot be sent. The description is spent, so the call cannot go on.
      this.#rejectAccept?.(error);
      core.reply(this.#transaction, 500);
      core.close("rejected", { statusCode: 500 });
      return;
    }
    this.#ringing.stop();
    this.#reliable?.final();
    core.answeredPending(this.#transaction);
    // The transaction outlives the session by half a minute; it shall not keep it.
    this.#transaction.user = undefined;
    core.dialog?.confirm();
    this.inDialog.expectAck(
      new AcceptedInvite(
        core,
        this.#transaction,
        response,
        (message) => this.#machine.input("ack", { message }),
        () => this.#machine.input("noAck", {}),
      ),
    );
    // The 2xx is out: the old call hears of it before this one tells of its answer (RFC 3891 §3).
    this.#replaces?.giveWay(this.id);
    // Sound waits for the ACK: a forged INVITE shall not make us send half a minute of it to whom it names.
    if (this.#offer !== undefined && !isExchanged) core.negotiation.answered({ startLater: true });
    core.input("success");
    timer.start();
    core.emit("answered", {
      message: response,
      statusCode: 200,
      reason: response.reason,
      remoteSdp: this.#offer,
      localSdp,
    });
    if (this.#offer !== undefined) core.emit("media", { remoteSdp: this.#offer, localSdp });
  }

  #rejection(statusCode: number, options: RejectOptions): SipResponse {
    const { core } = this;
    const contacts = redirectHeaders(core.services, core.account, options.contacts ?? []);
    return core.createReply(this.#transaction.request, statusCode, this.#transaction.flow, {
      reason: options.reason,
      headers: [...contacts, ...(options.headers ?? [])],
    });
  }

  /** The ACK; it carries the answer when our 2xx carried the offer (§13.3.1.4, RFC 3264 §4). */
  #confirm(ack: SipRequest | undefined): void {
    this.#replaces?.leave();
    if (ack === undefined) return;
    const { core } = this;
    if (this.#offer !== undefined || this.#early === "sent") {
      core.negotiation.startMedia();
      this.#reportConfirmed(ack, undefined);
      return;
    }
    const answer = sdpOf(ack);
    if (answer === undefined) {
      this.#spoilt(ack);
      return;
    }
    whenSettled(
      () => core.negotiation.acceptAnswer(answer),
      () => core.enter(() => this.#reportConfirmed(ack, answer)),
      () => core.enter(() => this.#spoilt(ack)),
    );
  }

  #reportConfirmed(ack: SipRequest, remoteSdp: string | undefined): void {
    if (this.core.closed || this.core.state === "terminating") return;
    this.core.emit("confirmed", { message: ack, remoteSdp });
    if (remoteSdp !== undefined) this.core.emit("media", { remoteSdp, localSdp: this.#localSdp });
    this.#settle(new Success(200, ack, undefined));
  }

  /** The answer in the ACK is missing or does not fit. */
  #spoilt(ack: SipRequest): void {
    if (this.core.closed || this.core.state === "terminating") return;
    this.core.emit("confirmed", { message: ack });
    this.#settle({ ok: false, cause: "bad-media", statusCode: 0 });
    this.hangUp({ cause: "bad-media" });
  }

  #settle(outcome: ActionOutcome): void {
    this.#settleAccept?.(outcome);
    this.#settleAccept = undefined;
    this.#rejectAccept = undefined;
  }
}
