/**
 * The receiving half of the user agent (RFC 3261 §8.2): what comes from the transport passes the gate and the
 * transaction layer; new requests are limited, inspected, and handed to their dialog or to whoever takes calls and
 * requests outside of dialogs.
 */
import { errorText, type Clock, type Logger } from "../foundation/index.js";
import type { DialogStore, StoredDialog } from "../dialog/index.js";
import {
  createResponse,
  isReservedHeader,
  isToken,
  parseTargetDialog,
  type ParseError,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../message/index.js";
import type { HeaderList } from "../session/index.js";
import type {
  ServerTransaction,
  TransactionLayer,
  TransactionLayerUser,
} from "../transaction/index.js";
import { canonicalAddress } from "../transport/index.js";
import type { Flow } from "../transport/transport.js";
import type { AccessGate } from "./access-gate.js";
import type { AdmittedCalls } from "./admitted-calls.js";
import type { Capabilities } from "./capabilities.js";
import type { ForeignDialogs } from "./foreign-dialogs.js";
import type { LoadReport } from "./load-report.js";
import type { Overload } from "./overload.js";
import { RateLimit } from "./rate-limit.js";
import { inspectRequest } from "./request-inspection.js";
import { SilencedSources } from "./silenced-sources.js";
import type { SupplementRejection } from "./supplement.js";
import type { Supplements } from "./supplements.js";

/** Requests that a Target-Dialog lets in (RFC 4538): not calls, which nobody in a call has to announce so. */
const BY_TARGET_DIALOG: ReadonlySet<string> = new Set(["REFER", "SUBSCRIBE"]);
/** Answers to malformed requests that one source gets per second. */
const MALFORMED_PER_SECOND = 5;
const MALFORMED_BURST = 20;
/** Seconds after which a peer may come again. */
const RETRY_AFTER = "2";
const DRAINING_RETRY_AFTER = "30";
/** Callers are told that there is no room, from one source this often per second. */
const FULL_ANSWERS_PER_SECOND = 100;
const FULL_RETRY_AFTER = "10";
/** Callers that are told per second that we have no time for them; the others have to ask again. */
const OVERLOAD_ANSWERS_PER_SECOND = 4_000;
const OVERLOAD_RETRY_AFTER = "5";

/** Without a dialog these mean nothing (RFC 3261 §15.1.2, RFC 3262, RFC 3311, RFC 6086). */
const DIALOG_METHODS: ReadonlySet<string> = new Set(["BYE", "PRACK", "UPDATE", "INFO"]);

/**
 * What may begin: anything (`all`), only what belongs to a call that is up (`calls`), nothing (`none`).
 */
export type Intake = "all" | "calls" | "none";

export interface UserAgentServerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly gate: AccessGate;
  readonly admitted: AdmittedCalls;
  readonly capabilities: Capabilities;
  readonly dialogs: DialogStore;
  readonly supplements: Supplements;
  readonly foreign: ForeignDialogs;
  readonly overload: Overload;
  /** New requests per second and source; 0 = unlimited. */
  readonly maxRequestsPerSecond: number;
  transactions(): TransactionLayer;
  readonly load: LoadReport;
  intake(): Intake;
  /** Is this an INVITE that takes the place of a call of ours (RFC 3891)? */
  takesPlace(request: SipRequest): boolean;
  /** Is this an INVITE of ours that came back to whom it came from? */
  isLoop(request: SipRequest): boolean;
  /** Is this a NOTIFY that begins the dialog of a subscription of ours (RFC 6665 §4.4.1)? */
  expectsNotify(request: SipRequest): boolean;
  onFirstNotify(transaction: ServerTransaction): void;
  onInvite(transaction: ServerTransaction): void;
  onOutOfDialogRequest(transaction: ServerTransaction): void;
}

export interface ServerCounters {
  readonly refusedByGate: number;
  readonly refusedByRate: number;
  readonly malformedRequests: number;
  /** New calls refused because the thread had no time for them. */
  readonly refusedByLoad: number;
}

export class UserAgentServer implements TransactionLayerUser {
  readonly #options: UserAgentServerOptions;
  readonly #requests: RateLimit | undefined;
  readonly #refusals: RateLimit | undefined;
  readonly #malformed: RateLimit;
  readonly #fullAnswers: RateLimit;
  readonly #overloadAnswers: RateLimit;
  readonly #silenced: SilencedSources;
  #refusedByGate = 0;
  #refusedByRate = 0;
  #malformedRequests = 0;

  constructor(options: UserAgentServerOptions) {
    this.#options = options;
    const { clock, maxRequestsPerSecond: most } = options;
    this.#silenced = new SilencedSources(clock);
    this.#fullAnswers = new RateLimit(clock, FULL_ANSWERS_PER_SECOND, FULL_ANSWERS_PER_SECOND);
    this.#overloadAnswers = new RateLimit(
      clock,
      OVERLOAD_ANSWERS_PER_SECOND,
      OVERLOAD_ANSWERS_PER_SECOND,
    );
    this.#malformed = new RateLimit(clock, MALFORMED_PER_SECOND, MALFORMED_BURST);
    if (most > 0) {
      const burst = Math.max(1, most);
      this.#requests = new RateLimit(clock, most, burst);
      this.#refusals = new RateLimit(clock, most, burst);
    }
  }

  get counters(): ServerCounters {
    return {
      refusedByGate: this.#refusedByGate,
      refusedByRate: this.#refusedByRate,
      malformedRequests: this.#malformedRequests,
      refusedByLoad: this.#options.overload.shed,
    };
  }

  /** From the transport layer: is this worth reading? New requests of a source that is not answered any more are not. */
  mayRead(data: Buffer, flow: Flow): boolean {
    if (this.#silenced.isEmpty || this.#options.admitted.mayBe(data, flow)) return true;
    const by = this.#silenced.silences(canonicalAddress(flow.remoteAddress), data);
    if (by === undefined) return true;
    if (by === "gate") this.#refusedByGate++;
    else if (by === "rate") this.#refusedByRate++;
    return false;
  }

  /** From the transport layer: does a connection count that brings this message? */
  welcomes(message: SipMessage, flow: Flow): boolean {
    const address = message.source?.address ?? flow.remoteAddress;
    return (
      this.#options.gate.isAllowed(address) ||
      (message.kind === "request" && this.#isExpected(message, flow))
    );
  }

  /** From the transport layer: the gate stands before any state is made. */
  onMessage(message: SipMessage, flow: Flow): void {
    if (message.kind === "request" && !this.#mayPass(message, flow)) return;
    this.#options.transactions().receive(message, flow);
  }

  /** There is no room for this call. Its refusal keeps no state and is not repeated; too many are not even read. */
  refuseForRoom(transaction: ServerTransaction): void {
    const { request, flow } = transaction;
    const address = request.source?.address ?? flow.remoteAddress;
    transaction.close();
    if (this.#fullAnswers.take(address)) {
      this.#refuse(request, flow, 503, undefined, [["Retry-After", FULL_RETRY_AFTER]]);
    } else {
      this.#silenced.add(address, this.#fullAnswers.waitOf(address), "room");
    }
  }

  /** There is no time for this call (RFC 3261 §21.5.4): the answer keeps no state and is not repeated. */
  #refuseForLoad(transaction: ServerTransaction): void {
    const { request, flow } = transaction;
    transaction.close();
    if (!this.#overloadAnswers.take("")) return;
    this.#refuse(request, flow, 503, undefined, [["Retry-After", OVERLOAD_RETRY_AFTER]]);
  }

  /** One gate for every method; only requests within our dialogs pass it. */
  #mayPass(request: SipRequest, flow: Flow): boolean {
    const address = request.source?.address ?? flow.remoteAddress;
    if (this.#options.gate.isAllowed(address) || this.#isExpected(request, flow)) return true;
    this.#refusedByGate++;
    if (this.#mayTell(address)) this.#refuse(request, flow, 403);
    return false;
  }

  /** It belongs to a dialog, or to a subscription of ours, or to a call that the application places itself. */
  #isExpected(request: SipRequest, flow: Flow): boolean {
    const { admitted, dialogs } = this.#options;
    if (admitted.has(request, flow)) return true;
    if (request.to.tag !== undefined && dialogs.find(request) !== undefined) return true;
    return this.#options.expectsNotify(request) || this.#knowsDialog(request);
  }

  /** Is a stranger told once more that we do not know it? */
  #mayTell(address: string): boolean {
    const { gate } = this.#options;
    if (gate.check(address) === "refuse") return true;
    this.#silenced.add(address, gate.silenceOf(address), "gate");
    return false;
  }

  /** RFC 4538 §4: who can name a dialog of ours may ask for what may be asked for inside of it. */
  #knowsDialog(request: SipRequest): boolean {
    if (!BY_TARGET_DIALOG.has(request.method)) return false;
    const lines = request.headers.getAll("target-dialog");
    const target = lines.length === 1 ? parseTargetDialog(lines[0] ?? "") : undefined;
    if (target === undefined) return false;
    const { callId, localTag, remoteTag } = target;
    return this.#options.dialogs.lookup(callId, localTag, remoteTag) !== undefined;
  }

  /** Answered without state, as often as the source is allowed to be wrong. */
  onMalformed(error: ParseError, request: SipRequest | undefined, flow: Flow): void {
    this.#malformedRequests++;
    const { statusHint, reason } = error;
    if (request === undefined || statusHint === undefined) return;
    const address = request.source?.address ?? flow.remoteAddress;
    if (!this.#options.gate.isAllowed(address)) {
      // A stranger hears nothing of its mistakes, but they count.
      this.#mayTell(address);
      return;
    }
    if (!this.#malformed.take(address)) return;
    this.#refuse(request, flow, statusHint, reason);
  }

  #refuse(
    request: SipRequest,
    flow: Flow,
    statusCode: number,
    reason?: string,
    headers: HeaderList = [],
  ): void {
    if (request.method === "ACK") return;
    const own = this.#options.capabilities.headers("response", request.method, statusCode);
    const fields = { statusCode, reason, headers: [...own, ...headers] };
    this.#options.transactions().respondStateless(request, flow, fields);
  }

  onRequest(transaction: ServerTransaction): void {
    const { request } = transaction;
    if (request.to.tag !== undefined) {
      this.#onDialogRequest(transaction);
      return;
    }
    const options = this.#options;
    if (this.#requests !== undefined && !this.#isWithinRate(transaction)) return;
    if (this.#isRefused(request)) {
      this.#refuseNew(transaction);
      return;
    }
    const isCall = request.method === "INVITE";
    if (isCall && !options.overload.admits() && !options.takesPlace(request)) {
      this.#refuseForLoad(transaction);
      return;
    }
    if (DIALOG_METHODS.has(request.method)) {
      this.respond(transaction, 481);
      return;
    }
    const { supplements } = options;
    if (supplements.isEmpty) {
      this.#onNewRequest(transaction);
    } else {
      supplements.incomingRequest(
        transaction,
        () => this.#onNewRequest(transaction),
        (rejection) => this.#reject(transaction, rejection),
      );
    }
  }

  /** While draining: calls that are up may be transferred, watched and told about, by whoever knows them. */
  #isRefused(request: SipRequest): boolean {
    const options = this.#options;
    switch (options.intake()) {
      case "all":
        return false;
      case "none":
        return true;
      case "calls":
        if (request.method === "INVITE") return !options.takesPlace(request);
        return !options.expectsNotify(request) && !this.#knowsDialog(request);
    }
  }

  /** Another one of us takes it (RFC 3261 §21.5.4, RFC 3263 §4.3). */
  #refuseNew(transaction: ServerTransaction): void {
    const { request, flow } = transaction;
    const headers: [string, string][] = [["Retry-After", DRAINING_RETRY_AFTER]];
    if (request.method === "OPTIONS") {
      const address = request.source?.address ?? flow.remoteAddress;
      for (const [name, value] of this.#options.load.headersFor(address))
        headers.push([name, value]);
    }
    this.respond(transaction, 503, headers);
  }

  #onNewRequest(transaction: ServerTransaction): void {
    const options = this.#options;
    const { request } = transaction;
    // It may have waited until now.
    if (this.#isRefused(request)) {
      this.#refuseNew(transaction);
      return;
    }
    const refusal = inspectRequest(request, options.capabilities.supports);
    if (refusal !== undefined) {
      this.respond(transaction, refusal.statusCode, refusal.headers);
    } else if (request.method === "INVITE" && request.vias.length > 1 && options.isLoop(request)) {
      // A proxy sent our own call back to us (RFC 3261 §8.2.2.2): calling ourselves for ever helps nobody.
      this.respond(transaction, 482);
    } else if (request.method === "INVITE") {
      options.onInvite(transaction);
    } else {
      options.onOutOfDialogRequest(transaction);
    }
  }

  /** RFC 3261 §12.2.2. */
  #onDialogRequest(transaction: ServerTransaction): void {
    const { request } = transaction;
    const stored = this.#options.dialogs.find(request);
    if (stored === undefined) {
      if (this.#options.expectsNotify(request)) this.#options.onFirstNotify(transaction);
      else this.#onUnknownDialog(transaction);
    } else this.#onKnownDialog(transaction, stored);
  }

  #onUnknownDialog(transaction: ServerTransaction): void {
    const refuse = (): void => this.respond(transaction, 481);
    const known = (): void => {
      const stored = this.#options.dialogs.find(transaction.request);
      if (stored === undefined) refuse();
      else this.#onKnownDialog(transaction, stored);
    };
    if (!this.#options.foreign.ask(transaction, known, refuse)) refuse();
  }

  #onKnownDialog(transaction: ServerTransaction, stored: StoredDialog): void {
    const { request } = transaction;
    if (!stored.dialog.acceptRequest(request)) {
      this.respond(transaction, 500, [["Retry-After", "1"]]);
    } else if (this.#options.supplements.isEmpty) {
      this.#onAcceptedRequest(transaction, stored);
    } else {
      this.#options.supplements.incomingRequest(
        transaction,
        () => {
          // It may have waited, and the dialog be over.
          const now = this.#options.dialogs.find(request);
          if (now === undefined) this.respond(transaction, 481);
          else this.#onAcceptedRequest(transaction, now);
        },
        (rejection) => this.#reject(transaction, rejection),
      );
    }
  }

  #onAcceptedRequest(transaction: ServerTransaction, stored: StoredDialog): void {
    const refusal = inspectRequest(transaction.request, this.#options.capabilities.supports);
    if (refusal !== undefined) {
      this.respond(transaction, refusal.statusCode, refusal.headers);
    } else {
      stored.user.onDialogRequest(transaction, stored.dialog);
    }
  }

  /** A supplement has refused it; values that cannot be become 403. */
  #reject(transaction: ServerTransaction, rejection: SupplementRejection): void {
    if (transaction.answered) return;
    const { statusCode, reason, headers = [] } = rejection;
    const isRejection = Number.isInteger(statusCode) && statusCode >= 300 && statusCode <= 699;
    if (!isRejection)
      this.#options.logger.warn(`A supplement refused with ${statusCode}: 403 sent`);
    const allowed = headers.filter(([name]) => isToken(name) && !isReservedHeader(name));
    try {
      this.respond(transaction, isRejection ? statusCode : 403, allowed, reason);
    } catch (error) {
      this.#options.logger.error(`A supplement's refusal cannot be sent: ${errorText(error)}`);
      this.respond(transaction, 403);
    }
  }

  /** The first ones above the limit are told, the others meet silence and leave no trace. */
  #isWithinRate(transaction: ServerTransaction): boolean {
    const { request, flow } = transaction;
    const address = request.source?.address ?? flow.remoteAddress;
    if (this.#options.admitted.has(request, flow)) return true;
    if (this.#requests?.take(address) !== false) return true;
    this.#refusedByRate++;
    if (this.#refusals?.take(address) === true) {
      this.respond(transaction, 503, [["Retry-After", RETRY_AFTER]]);
    } else {
      transaction.close();
      const waits = [this.#requests, this.#refusals].map((limit) => limit?.waitOf(address) ?? 0);
      this.#silenced.add(address, Math.min(...waits), "rate");
    }
    return false;
  }

  onAck(ack: SipRequest): void {
    const { supplements } = this.#options;
    if (!supplements.isEmpty) supplements.watchRequest(ack);
    const stored = this.#options.dialogs.find(ack);
    if (stored !== undefined) stored.user.onDialogAck(ack, stored.dialog);
  }

  onCancel(cancel: SipRequest): void {
    const { supplements } = this.#options;
    if (!supplements.isEmpty) supplements.watchRequest(cancel);
  }

  beforeResponse(response: SipResponse, request: SipRequest): void {
    const { supplements } = this.#options;
    if (!supplements.isEmpty) supplements.outgoingResponse(response, request);
  }

  beforeCancel(cancel: SipRequest): void {
    const { supplements } = this.#options;
    if (!supplements.isEmpty) supplements.outgoingRequest(cancel, undefined, undefined);
  }

  onStrayResponse(response: SipResponse, flow: Flow): void {
    const stored = this.#options.dialogs.find(response);
    if (stored !== undefined) stored.user.onDialogResponse?.(response, stored.dialog, flow);
  }

  /** A final response of the stack itself. */
  respond(
    transaction: ServerTransaction,
    statusCode: number,
    headers: HeaderList = [],
    reason?: string,
  ): void {
    const { request } = transaction;
    const own = this.#options.capabilities.headers("response", request.method, statusCode);
    const names = headers.map(([name]) => name.toLowerCase());
    transaction.respond(
      createResponse(request, {
        statusCode,
        reason,
        toTag: transaction.localTag,
        headers: [...own.filter(([name]) => !names.includes(name.toLowerCase())), ...headers],
      }),
    );
  }
}
