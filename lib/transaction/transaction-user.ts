/** The upward interfaces of the transaction room, and what it offers (RFC 3261 §17): types only. */
import type { SipError } from "../foundation/errors.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";

export interface TimerOptions {
  /** Milliseconds; RFC 3261 §17.1.1.1: 500, 4000, 5000. */
  readonly t1: number;
  readonly t2: number;
  readonly t4: number;
}

export const DEFAULT_TIMERS: TimerOptions = { t1: 500, t2: 4000, t4: 5000 };

/** Whoever sends a request. Each method is called with the machine in its new state. */
export interface ClientTransactionUser {
  /** Every provisional and the final response; for INVITE also every further 2xx while Timer M runs (RFC 6026). */
  onResponse(response: SipResponse): void;
  /** Timer B or F (TransactionTimeoutError) or a send failure (TransportError). Final. */
  onFailure(error: SipError): void;
  /** The transaction is gone. Always last, exactly once. */
  onTerminated?(): void;
}

export interface ClientTransaction {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly state: string;
  /** Calls this one from now on, and forgets the former with all that it holds. */
  replaceUser(user: ClientTransactionUser): void;
  /** Silences the transaction at once: no timers, no callbacks. */
  close(): void;
}

export interface ServerTransaction {
  readonly request: SipRequest;
  /** The flow on which the request arrived. */
  readonly flow: Flow;
  readonly state: string;
  /**
   * The To tag for all responses to this request: the request's own To tag, else one made on first use. The 200 to
   * a CANCEL carries it too (§9.2), as long as no response with another tag was sent.
   */
  readonly localTag: string;
  /**
   * Sends a provisional or final response; a second final one, or one after it, throws InvalidStateError, except
   * that a 2xx to INVITE may be sent again until Timer L ends (RFC 6026 §7.1). After a send failure, an expiry or
   * `close` it does nothing.
   */
  respond(response: SipResponse): void;
  /** Set by the one who answers. */
  user: ServerTransactionUser | undefined;
  /** Has a final response been sent? */
  readonly answered: boolean;
  close(): void;
}

export interface ServerTransactionUser {
  /**
   * A CANCEL matched this INVITE, which is not answered yet; the transaction layer has answered the CANCEL with
   * 200 (§9.2). Without this method it answers the INVITE with 487 as well.
   */
  onCancel?(cancel: SipRequest): void;
  /** INVITE only: an ACK for a final response ≥ 300 came. */
  onAck?(ack: SipRequest): void;
  /**
   * Timer H: no ACK for a final response ≥ 300 came (TransactionTimeoutError); sending failed (TransportError);
   * or a request other than INVITE was not answered in 64·T1 (TransactionTimeoutError, RFC 4320 §4.2).
   */
  onFailure?(error: SipError): void;
  onTerminated?(): void;
}

/** The transaction user that takes what starts outside of any transaction. */
export interface TransactionLayerUser {
  /** A new request; retransmissions, CANCEL and merged requests (482) are dealt with before. */
  onRequest(transaction: ServerTransaction): void;
  /** ACK for a 2xx: it matches no transaction and belongs to a dialog. */
  onAck(ack: SipRequest, flow: Flow): void;
  /** A 2xx to an INVITE that came after its transaction had gone, or from another fork. */
  onStrayResponse(response: SipResponse, flow: Flow): void;
  /** A CANCEL that means one of our transactions, once; before it has its effect. */
  onCancel?(cancel: SipRequest): void;
  /** A response is about to be sent for the first time, a CANCEL of ours likewise: headers may still be changed. */
  beforeResponse?(response: SipResponse, request: SipRequest): void;
  beforeCancel?(cancel: SipRequest): void;
}
