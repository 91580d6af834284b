/** One dialog (RFC 3261 §12): identity, sequence numbers, route set, remote target. No I/O, no timers. */
import {
  createRequest,
  NameAddr,
  SipUri,
  type SipRequest,
  type SipResponse,
  type Uri,
} from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";
import type { DialogRecord, ParsedDialogRecord } from "./dialog-record.js";
import { firstHop, routeLines } from "./route-set.js";

export class DialogId {
  constructor(
    readonly callId: string,
    readonly localTag: string,
    readonly remoteTag: string,
  ) {}
}

export type DialogState = "early" | "confirmed" | "terminated";

export interface DialogRequestFields {
  readonly method: string;
  /** Only for ACK: the sequence number of the INVITE. */
  readonly sequence?: number;
  readonly contact?: string | undefined;
  readonly headers?: readonly (readonly [string, string])[];
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
}

/** What differs between the two sides when a dialog begins. */
interface DialogStart {
  readonly role: "client" | "server";
  readonly id: DialogId;
  readonly state: DialogState;
  readonly local: NameAddr;
  readonly remote: NameAddr;
  readonly remoteTarget: Uri;
  readonly routeSet: readonly NameAddr[];
  readonly secure: boolean;
  readonly localSequence: number;
  readonly remoteSequence: number | undefined;
}

export class Dialog {
  readonly id: DialogId;
  /** From/To of our requests. */
  readonly local: NameAddr;
  readonly remote: NameAddr;
  /** sips and TLS (§12.1). */
  readonly secure: boolean;
  readonly #role: "client" | "server";
  #state: DialogState;
  #remoteTarget: Uri;
  #routeSet: readonly NameAddr[];
  #localSequence: number;
  #remoteSequence: number | undefined;

  private constructor(start: DialogStart) {
    this.id = start.id;
    this.local = start.local;
    this.remote = start.remote;
    this.secure = start.secure;
    this.#role = start.role;
    this.#state = start.state;
    this.#remoteTarget = start.remoteTarget;
    this.#routeSet = start.routeSet;
    this.#localSequence = start.localSequence;
    this.#remoteSequence = start.remoteSequence;
  }

  /** §12.1.2. `response` is a 101–199 or 2xx with To tag (a missing tag is taken as "", RFC 2543). */
  static fromResponse(request: SipRequest, response: SipResponse): Dialog {
    return new Dialog({
      role: "client",
      id: new DialogId(request.callId, request.from.tag ?? "", response.to.tag ?? ""),
      state: response.statusCode >= 200 ? "confirmed" : "early",
      local: request.from,
      remote: response.to,
      // A peer that gives no Contact stays reachable where the request went.
      remoteTarget: response.contacts[0]?.uri ?? request.requestUri,
      routeSet: response.recordRoutes.toReversed(),
      secure: isSecure(request, request.topVia.protocol),
      localSequence: request.cseq.sequence,
      remoteSequence: undefined,
    });
  }

  /**
   * §12.1.1.
   *
   * @param localSequence - Of our last request: 0, except for a NOTIFY that makes the dialog of our SUBSCRIBE
   *   (RFC 6665 §4.4.1).
   */
  static fromRequest(request: SipRequest, localTag: string, localSequence = 0): Dialog {
    const { uri, displayName, parameters } = request.to;
    return new Dialog({
      role: "server",
      id: new DialogId(request.callId, localTag, request.from.tag ?? ""),
      state: "early",
      local: new NameAddr(uri, displayName, new Map(parameters).set("tag", localTag)),
      remote: request.from,
      remoteTarget: request.contacts[0]?.uri ?? request.from.uri,
      routeSet: request.recordRoutes,
      secure: isSecure(request, request.source?.protocol ?? request.topVia.protocol),
      localSequence,
      remoteSequence: request.cseq.sequence,
    });
  }

  /**
   * Goes on with a confirmed dialog of another process.
   *
   * @param margin - How far our sequence number jumps, as requests may have been sent since the record was made.
   */
  static restore({ record, ...parsed }: ParsedDialogRecord, margin: number): Dialog {
    return new Dialog({
      role: record.role,
      id: new DialogId(record.callId, record.localTag, record.remoteTag),
      state: "confirmed",
      local: parsed.local,
      remote: parsed.remote,
      remoteTarget: parsed.target,
      routeSet: parsed.routes,
      secure: record.secure,
      localSequence: record.localSequence + margin,
      remoteSequence: record.remoteSequence,
    });
  }

  /** What `restore` needs. */
  record(): DialogRecord {
    return {
      role: this.#role,
      callId: this.id.callId,
      localTag: this.id.localTag,
      remoteTag: this.id.remoteTag,
      local: this.local.toString(),
      remote: this.remote.toString(),
      target: this.#remoteTarget.toString(),
      routes: this.#routeSet.map(String),
      secure: this.secure,
      localSequence: this.#localSequence,
      remoteSequence: this.#remoteSequence,
    };
  }

  get state(): DialogState {
    return this.#state;
  }

  get remoteTarget(): Uri {
    return this.#remoteTarget;
  }

  get routeSet(): readonly NameAddr[] {
    return this.#routeSet;
  }

  /** Of our last request; 0 when we have sent none. */
  get localSequence(): number {
    return this.#localSequence;
  }

  /** Of the peer's last request; undefined when it has sent none. */
  get remoteSequence(): number | undefined {
    return this.#remoteSequence;
  }

  /**
   * early → confirmed by a 2xx; the UAC recomputes its route set from it (§13.2.2.4) and its target. A repeated 2xx
   * changes nothing.
   */
  confirm(response?: SipResponse): void {
    if (this.#state !== "early") return;
    this.#state = "confirmed";
    if (response === undefined || this.#role === "server") return;
    this.#routeSet = response.recordRoutes.toReversed();
    this.refreshTarget(response);
  }

  terminate(): void {
    this.#state = "terminated";
  }

  /** §12.2.1.1, strict routers included; counts the sequence number up, except for ACK. Without Via. */
  createRequest(fields: DialogRequestFields): SipRequest {
    const sequence =
      fields.method === "ACK" ? (fields.sequence ?? this.#localSequence) : this.nextSequence();
    return createRequest({
      ...fields,
      sequence,
      uri: firstHop(this.#routeSet, this.#remoteTarget),
      routes: routeLines(this.#routeSet, this.#remoteTarget),
      from: this.local,
      to: this.remote,
      callId: this.id.callId,
    });
  }

  /** Takes the next local sequence number: for a retry after 401/407. */
  nextSequence(): number {
    return ++this.#localSequence;
  }

  /** The URI to resolve for our next request: first route, else remote target (§12.2.1.1, §8.1.2). */
  get nextHop(): Uri {
    return this.#routeSet[0]?.uri ?? this.#remoteTarget;
  }

  /**
   * §12.2.2: false = CSeq not above the former one, answer 500. A gap is fine. ACK and CANCEL, which repeat the number of
   * their INVITE, are not to be passed here, and retransmissions do not come this far.
   */
  acceptRequest(request: SipRequest): boolean {
    const { sequence } = request.cseq;
    if (this.#remoteSequence !== undefined && sequence <= this.#remoteSequence) return false;
    this.#remoteSequence = sequence;
    return true;
  }

  /** Target refresh by a re-INVITE, UPDATE, or a 2xx to one (§12.2.1.2, §12.2.2). Without Contact nothing changes. */
  refreshTarget(message: SipRequest | SipResponse): void {
    const contact = message.contacts[0];
    if (contact !== undefined) this.#remoteTarget = contact.uri;
  }
}

/** Whoever owns a dialog gets its requests. */
export interface DialogUser {
  /** Handle of the call that the dialog belongs to; dialogs of subscriptions have none. */
  readonly sessionId?: string;
  /** A request in the dialog whose CSeq is in order (the layer has answered the others with 500). */
  onDialogRequest(transaction: ServerTransaction, dialog: Dialog): void;
  /** ACK for a 2xx. */
  onDialogAck(ack: SipRequest, dialog: Dialog): void;
  /** A 2xx to INVITE without transaction (late fork, retransmission after Timer M). */
  onDialogResponse?(response: SipResponse, dialog: Dialog, flow: Flow): void;
}

/** The request is for a sips URI and travels over TLS (§12.1.1, §12.1.2). */
function isSecure(request: SipRequest, protocol: string): boolean {
  const uri = request.requestUri;
  if (!(uri instanceof SipUri) || uri.scheme !== "sips") return false;
  const name = protocol.toUpperCase();
  return name === "TLS" || name === "WSS";
}
