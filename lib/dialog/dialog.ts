/** One dialog (RFC 3261 §12): identity, sequence numbers, route set, remote target. No I/O, no timers. */
import type { NameAddr, SipRequest, SipResponse, Uri } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { Flow } from "../transport/transport.js";

export interface DialogId {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
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

export class Dialog {
  readonly id!: DialogId;
  readonly state!: DialogState;
  /** From/To of our requests. */
  readonly local!: NameAddr;
  readonly remote!: NameAddr;
  readonly remoteTarget!: Uri;
  readonly routeSet!: readonly NameAddr[];
  /** sips and TLS (§12.1). */
  readonly secure!: boolean;
  readonly localSequence!: number;
  readonly remoteSequence!: number | undefined;

  /** §12.1.2. `response` is a 101–199 or 2xx with To tag (a missing tag is taken as "", RFC 2543). */
  static fromResponse(_request: SipRequest, _response: SipResponse): Dialog {
    throw new Error("pending");
  }

  /** §12.1.1. */
  static fromRequest(_request: SipRequest, _localTag: string): Dialog {
    throw new Error("pending");
  }

  /** early → confirmed by a 2xx; the UAC recomputes its route set from it (§13.2.2.4) and its target. */
  confirm(_response?: SipResponse): void {
    throw new Error("pending");
  }

  terminate(): void {
    throw new Error("pending");
  }

  /** §12.2.1.1, strict routers included; counts the sequence number up, except for ACK. Without Via. */
  createRequest(_fields: DialogRequestFields): SipRequest {
    throw new Error("pending");
  }

  /** Takes the next local sequence number: for a retry after 401/407. */
  nextSequence(): number {
    throw new Error("pending");
  }

  /** The URI to resolve for our next request: first route, else remote target (§12.2.1.1, §8.1.2). */
  get nextHop(): Uri {
    throw new Error("pending");
  }

  /** §12.2.2: false = CSeq lower than a former one, answer 500. ACK and CANCEL are not to be passed here. */
  acceptRequest(_request: SipRequest): boolean {
    throw new Error("pending");
  }

  /** Target refresh by a re-INVITE, UPDATE, or a 2xx to one (§12.2.1.2, §12.2.2). */
  refreshTarget(_message: SipRequest | SipResponse): void {
    throw new Error("pending");
  }
}

/** Whoever owns a dialog gets its requests. */
export interface DialogUser {
  /** A request in the dialog whose CSeq is in order (the layer has answered the others with 500). */
  onDialogRequest(transaction: ServerTransaction, dialog: Dialog): void;
  /** ACK for a 2xx. */
  onDialogAck(ack: SipRequest, dialog: Dialog): void;
  /** A 2xx to INVITE without transaction (late fork, retransmission after Timer M). */
  onDialogResponse?(response: SipResponse, dialog: Dialog, flow: Flow): void;
}
