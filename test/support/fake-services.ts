/**
 * The user agent as sessions see it, without a network: requests are kept for the test to answer, requests of the peer
 * are put in by the test. Everything that goes over the imagined wire is noted in `log`, ours with an arrow to the
 * right.
 */
import { DialogStore, type Dialog } from "../../lib/dialog/index.js";
import { InvalidArgumentError, SipError, errorText } from "../../lib/foundation/index.js";
import {
  NameAddr,
  SipUri,
  createRequest,
  createResponse,
  parseNameAddr,
  parseUri,
  type SipRequest,
  type SipResponse,
  type Uri,
} from "../../lib/message/index.js";
import type {
  AccountHandle,
  ActionOutcome,
  AcceptRequestOptions,
  HeaderList,
  HoldOptions,
  LateResponseUser,
  NeighbourCall,
  OutgoingRequest,
  OutgoingRequestOptions,
  PendingRequest,
  ReferredCall,
  Rel100,
  RejectOptions,
  SessionEvent,
  SessionServices,
  SessionTimerSettings,
} from "../../lib/session/index.js";
import type { CallSession } from "../../lib/session/index.js";
import {
  DEFAULT_TIMERS,
  type ServerTransaction,
  type ServerTransactionUser,
} from "../../lib/transaction/index.js";
import type { Flow } from "../../lib/transport/transport.js";
import { FakeFlow } from "./fake-flow.js";
import { FakeMediaHandler } from "./fake-media-handler.js";
import { ManualClock, settle } from "./manual-clock.js";
import { SeededRandom } from "./seeded-random.js";

export const PEER_CONTACT = "<sip:bob@192.0.2.2:5070>";

/** How a message of the peer differs from the plain one. */
export interface PeerFields {
  readonly toTag?: string;
  readonly reason?: string;
  /** `null` = none. */
  readonly contact?: string | null;
  readonly headers?: HeaderList;
  readonly sdp?: string;
  readonly contentType?: string;
  readonly body?: string;
}

function bodyOf(fields: PeerFields): { contentType?: string; body?: string } {
  if (fields.sdp !== undefined) return { contentType: "application/sdp", body: fields.sdp };
  return fields.body === undefined
    ? {}
    : { contentType: fields.contentType ?? "text/plain", body: fields.body };
}

/** A request of ours. */
export class FakeRequest implements OutgoingRequest {
  request: SipRequest | undefined;
  expired = false;
  cancelled: HeaderList | undefined;
  abandoned = false;
  /** Who hears of what comes after the end. */
  late: LateResponseUser | undefined;
  #completed = false;

  constructor(
    readonly services: FakeServices,
    readonly options: OutgoingRequestOptions,
    readonly flow: Flow,
  ) {}

  get method(): string {
    return this.sent.method;
  }

  /** As sent; it must be. */
  get sent(): SipRequest {
    if (this.request === undefined) throw new Error("The request is not built yet");
    return this.request;
  }

  /** Builds and sends, now or when the media are ready. */
  start(): void {
    try {
      const built = this.options.build(this.flow);
      if (built instanceof Promise) built.then((request) => this.#send(request), this.#buildFailed);
      else this.#send(built);
    } catch (error) {
      this.#buildFailed(error);
    }
  }

  /** As after a challenge: the same again with the next number. */
  retry(): void {
    const sequence = this.options.nextSequence?.() ?? this.sent.cseq.sequence + 1;
    this.sent.headers.set("CSeq", `${sequence} ${this.method}`);
    this.services.log.push(`${this.method} →`);
    this.options.onSent?.(this.sent, this.flow);
  }

  cancel(headers: HeaderList = []): void {
    if (this.cancelled !== undefined) return;
    this.cancelled = headers;
    this.services.log.push("CANCEL →");
  }

  settle(late: LateResponseUser): void {
    if (this.#completed) this.late = late;
  }

  expire(): void {
    this.expired = true;
  }

  abandon(): void {
    this.abandoned = true;
  }

  /** The peer answers. 101–299 carry a To tag and a Contact. */
  respond(statusCode: number, fields: PeerFields = {}): SipResponse {
    this.services.log.push(`← ${statusCode}`);
    const dialogForming = statusCode > 100 && statusCode < 300;
    const response = createResponse(this.sent, {
      statusCode,
      reason: fields.reason,
      toTag: statusCode === 100 || fields.toTag === "" ? undefined : (fields.toTag ?? "peer"),
      contact:
        dialogForming && fields.contact !== null ? (fields.contact ?? PEER_CONTACT) : undefined,
      headers: fields.headers ?? [],
      ...bodyOf(fields),
    });
    this.services.observed.push(response);
    if (statusCode >= 200) this.#completed = true;
    if (this.late !== undefined) this.late.onResponse(response, this.flow);
    else if (!this.abandoned) this.options.onResponse(response, this.sent, this.flow);
    return response;
  }

  fail(error: SipError): void {
    this.services.log.push(`${this.method} failed`);
    if (!this.abandoned) this.options.onFailure(error);
  }

  #send(request: SipRequest): void {
    if (this.abandoned) return;
    request.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKfake;rport");
    if (request.headers.has("contact"))
      request.headers.set("Contact", "<sip:alice@192.0.2.1:5060>");
    this.request = request;
    this.services.log.push(`${request.method} →`);
    this.options.onSent?.(request, this.flow);
  }

  readonly #buildFailed = (error: unknown): void => {
    this.services.log.push("not built");
    if (this.abandoned) return;
    this.options.onFailure(
      error instanceof SipError ? error : new InvalidArgumentError(errorText(error)),
    );
  };
}

/** A request of the peer. */
export class FakeServerTransaction implements ServerTransaction {
  readonly localTag = "ours";
  readonly state = "proceeding";
  readonly responses: SipResponse[] = [];
  user: ServerTransactionUser | undefined;

  constructor(
    readonly services: FakeServices,
    readonly request: SipRequest,
    readonly flow: Flow,
  ) {}

  get answered(): boolean {
    return this.responses.some(({ statusCode }) => statusCode >= 200);
  }

  get status(): number | undefined {
    return this.responses.at(-1)?.statusCode;
  }

  /** The last response; it must be there. */
  get last(): SipResponse {
    const last = this.responses.at(-1);
    if (last === undefined) throw new Error("Nothing was answered");
    return last;
  }

  respond(response: SipResponse): void {
    const repeats = this.responses.at(-1) === response;
    if (this.answered && !repeats) throw new Error("A second final response");
    this.responses.push(response);
    this.services.log.push(`${response.statusCode} →`);
  }

  close(): void {
    this.user = undefined;
  }
}

export class FakeServices implements SessionServices {
  readonly clock = new ManualClock();
  readonly random = new SeededRandom(7);
  readonly timers = DEFAULT_TIMERS;
  readonly dialogs = new DialogStore();
  readonly defaultIdentity = new NameAddr(new SipUri("sip", "node-red", "192.0.2.1"));
  readonly contactPlaceholder = "<sip:placeholder@invalid>";
  readonly media = new FakeMediaHandler();
  readonly log: string[] = [];
  readonly problems: string[] = [];
  readonly sent: FakeRequest[] = [];
  readonly acks: SipRequest[] = [];
  readonly observed: SipResponse[] = [];
  readonly pending: (PendingRequest & {
    readonly atLeastMs: number | undefined;
    expire(): void;
  })[] = [];
  readonly placed: PlacedCall[] = [];
  flow = new FakeFlow(this.clock);
  readonly logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: (text: string) => void this.problems.push(text),
    error: (text: string) => void this.problems.push(text),
  };
  sessionTimer: SessionTimerSettings | undefined;
  infoPackages: readonly string[] = ["conference"];
  rel100: Rel100 = "supported";
  observesMessages = false;
  /** Event names that somebody listens to, and holds. */
  readonly held = new Set<string>();
  readonly watched = new Set<string>();
  blocked: (uri: Uri) => boolean = () => false;
  placeFailure: Error | undefined;
  mediaHandler: FakeMediaHandler | undefined = this.media;
  #sequence = 100;

  commonHeaders(): HeaderList & [string, string][] {
    return [["User-Agent", "test"]];
  }

  contact(): string {
    return "<sip:alice@192.0.2.1:5060>";
  }

  send(options: OutgoingRequestOptions): FakeRequest {
    const request = new FakeRequest(this, options, this.flow);
    this.sent.push(request);
    request.start();
    return request;
  }

  sendAck(ack: SipRequest): () => void {
    const send = (): void => {
      this.log.push("ACK →");
      this.acks.push(ack);
    };
    send();
    return send;
  }

  hold(options: HoldOptions): PendingRequest | undefined {
    const isHeld = options.always === true || this.held.has(options.eventName);
    const listened = isHeld || this.watched.has(options.eventName);
    if (!isHeld) {
      options.fallback(listened);
      return undefined;
    }
    let state: "pending" | "answered" = "pending";
    const once = (answer: () => Promise<ActionOutcome>): Promise<ActionOutcome> => {
      if (state === "answered") {
        return Promise.resolve({ ok: false, cause: "no-request", statusCode: 0 });
      }
      state = "answered";
      return answer();
    };
    const pending = {
      handle: `pending${this.pending.length}`,
      request: options.request,
      method: options.request.method,
      atLeastMs: options.atLeastMs,
      get pending() {
        return state === "pending";
      },
      accept: async (accept: AcceptRequestOptions = {}) => {
        if (state === "pending") options.check?.(accept);
        return once(() => options.accept(accept));
      },
      reject: (reject: RejectOptions = {}) => once(() => options.reject(reject)),
      expire: () => {
        state = "answered";
        options.fallback(listened);
      },
    };
    this.pending.push(pending);
    return pending;
  }

  mayDial(uri: Uri): boolean {
    return !this.blocked(uri);
  }

  parseTarget(text: string): NameAddr {
    const address = parseNameAddr(text) ?? undefined;
    const uri = address?.uri ?? parseUri(text);
    if (uri === undefined) throw new InvalidArgumentError(`"${text}" is no target`);
    return address ?? new NameAddr(uri);
  }

  /** Other calls, by handle. */
  readonly neighbours = new Map<string, NeighbourCall>();

  findCall(handle: string): NeighbourCall | undefined {
    return this.neighbours.get(handle);
  }

  placeReferredCall(options: { readonly referTo: NameAddr }): ReferredCall {
    if (this.placeFailure) throw this.placeFailure;
    const call = new PlacedCall(options.referTo.toString());
    this.placed.push(call);
    return call;
  }

  // For tests.

  /** The last request of a method; it must be there. */
  lastSent(method: string): FakeRequest {
    const last = this.sent.findLast((each) => each.request?.method === method);
    if (last === undefined) throw new Error(`No ${method} was sent`);
    return last;
  }

  invite(fields: PeerFields & { readonly from?: string } = {}): FakeServerTransaction {
    const request = createRequest({
      method: "INVITE",
      uri: "sip:alice@192.0.2.1",
      from: parseNameAddr(fields.from ?? '"Bob" <sip:bob@example.com>;tag=peer') as NameAddr,
      to: parseNameAddr("<sip:alice@example.com>") as NameAddr,
      callId: "call-1",
      sequence: 1,
      contact: fields.contact === null ? undefined : (fields.contact ?? PEER_CONTACT),
      headers: fields.headers ?? [],
      ...bodyOf(fields),
    });
    return this.#arrives(request);
  }

  /** A request of the peer in a dialog, given to whoever owns it. */
  request(dialog: Dialog, method: string, fields: PeerFields = {}): FakeServerTransaction {
    const request = createRequest({
      method,
      uri: "sip:alice@192.0.2.1:5060",
      from: dialog.remote,
      to: dialog.local,
      callId: dialog.id.callId,
      sequence: ++this.#sequence,
      contact: fields.contact === null ? undefined : (fields.contact ?? PEER_CONTACT),
      headers: fields.headers ?? [],
      ...bodyOf(fields),
    });
    const stored = this.dialogs.find(request);
    const transaction = this.#arrives(request);
    if (stored === undefined) this.log.push("no dialog");
    else stored.user.onDialogRequest(transaction, stored.dialog);
    return transaction;
  }

  /** The peer's ACK for a 2xx to `invite`. */
  ack(invite: SipRequest, dialog: Dialog, fields: PeerFields = {}): void {
    const ack = createRequest({
      method: "ACK",
      uri: "sip:alice@192.0.2.1:5060",
      from: dialog.remote,
      to: dialog.local,
      callId: dialog.id.callId,
      sequence: invite.cseq.sequence,
      ...bodyOf(fields),
    });
    this.log.push("← ACK");
    this.dialogs.find(ack)?.user.onDialogAck(ack, dialog);
  }

  /** The dialog of the session, which must be the only one stored. */
  dialogOf(session: CallSession): Dialog {
    const { callId, localTag, remoteTag } = session.snapshot();
    const stored = this.dialogs.lookup(callId, localTag, remoteTag ?? "");
    if (stored === undefined) throw new Error("The session has no dialog");
    return stored.dialog;
  }

  /** Nothing may be left once a session is over. */
  leftovers(): string[] {
    const left: string[] = [...this.problems];
    if (this.dialogs.size > 0) left.push(`${this.dialogs.size} dialogs`);
    if (this.clock.pendingTimers() > 0) left.push(`${this.clock.pendingTimers()} timers`);
    for (const media of this.media.sessions) {
      if (media.closes !== 1) left.push(`media closed ${media.closes} times`);
    }
    return left;
  }

  #arrives(request: SipRequest): FakeServerTransaction {
    request.headers.prepend("Via", `SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bK${this.log.length}`);
    this.log.push(`← ${request.method}`);
    return new FakeServerTransaction(this, request, this.flow);
  }
}

/** The new call of a followed REFER. */
export class PlacedCall implements ReferredCall {
  readonly session = { id: "new-call" };
  #listener: ((statusCode: number, reason: string) => void) | undefined;

  constructor(readonly target: string) {}

  onProgress(listener: (statusCode: number, reason: string) => void): void {
    this.#listener = listener;
  }

  tell(statusCode: number, reason = ""): void {
    this.#listener?.(statusCode, reason);
  }
}

/** Everything a session reports, as words and in full. */
export class Witness {
  readonly events: SessionEvent[] = [];

  constructor(session: CallSession) {
    session.on("event", (event) => this.events.push(event));
  }

  /** `state:early`, `progress:180`, `failed:busy` … */
  get story(): string[] {
    return this.events.map((event) => {
      const { name, snapshot, statusCode } = event;
      if (name === "state") return `state:${snapshot.state}`;
      if (name === "ended" || name === "failed") return `${name}:${String(snapshot.cause)}`;
      return statusCode === undefined ? name : `${name}:${statusCode}`;
    });
  }

  /** As `story`, without state events. */
  get plot(): string[] {
    return this.story.filter((word) => !word.startsWith("state:") && word !== "media");
  }

  /** The last event of a name; it must be there. */
  last(name: SessionEvent["name"]): SessionEvent {
    const event = this.events.findLast((each) => each.name === name);
    if (event === undefined) throw new Error(`No event ${name}`);
    return event;
  }
}

/** What a promise has become so far. */
export async function outcomeOf<T>(promise: Promise<T>): Promise<T | "pending"> {
  let outcome: T | "pending" = "pending";
  promise.then(
    (value) => (outcome = value),
    () => undefined,
  );
  await settle();
  return outcome;
}

export const ALICE: AccountHandle = {
  id: "account-1",
  identity: new NameAddr(new SipUri("sip", "alice", "example.com"), "Alice"),
};
