/**
 * The way back of a transaction's responses (RFC 3261 §18.2.2): the connection on which the request came while it
 * is open; otherwise, and for UDP, the flow that the transport layer derives from the Via, asked for once.
 */
import type { TransportError } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { ResponseFlowFinder } from "./transaction-services.js";

/** Hears of responses that could not be sent. */
export interface ResponsePathOwner {
  onSendError(error: TransportError): void;
}

/** Lingers with its transaction, so it holds no functions of its own. */
export class ResponsePath {
  readonly #find: ResponseFlowFinder | undefined;
  readonly #owner: ResponsePathOwner;
  #flow: Flow;
  /** False for UDP until the transport layer has named the flow. */
  #found: boolean;
  /** The newest response while a flow is looked for; older ones are superseded. */
  #waiting: Uint8Array | undefined;
  #closed = false;

  constructor(arrivedOn: Flow, find: ResponseFlowFinder | undefined, owner: ResponsePathOwner) {
    this.#flow = arrivedOn;
    this.#found = arrivedOn.reliable || find === undefined;
    this.#find = find;
    this.#owner = owner;
  }

  /** Where responses go, as far as is known. */
  get flow(): Flow {
    return this.#flow;
  }

  get reliable(): boolean {
    return this.#flow.reliable;
  }

  /** @param request - Whose Via leads the way; without it an unknown or broken way cannot be replaced. */
  send(bytes: Uint8Array, request: SipRequest | undefined): void {
    const usable = this.#found && (!this.#flow.reliable || this.#flow.isOpen);
    if (usable || this.#find === undefined || request === undefined) {
      this.#transmit(bytes);
      return;
    }
    const searching = this.#waiting !== undefined;
    this.#waiting = bytes;
    if (searching) return;
    this.#find(request, this.#flow, (error, flow) => this.#onFound(error, flow));
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = undefined;
  }

  #transmit(bytes: Uint8Array): void {
    this.#flow.send(bytes, (error) => this.#owner.onSendError(error));
  }

  #onFound(error: TransportError | undefined, flow: Flow | undefined): void {
    const bytes = this.#waiting;
    this.#waiting = undefined;
    if (this.#closed || bytes === undefined) return;
    if (flow === undefined) {
      if (error !== undefined) this.#owner.onSendError(error);
      return;
    }
    this.#flow = flow;
    this.#found = true;
    this.#transmit(bytes);
  }
}
