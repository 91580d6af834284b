/**
 * Every SIP message as it crosses the wire, for whoever wants to show or record it: retransmissions, ACK, 100 Trying and answers
 * without a transaction included. Types only.
 */
import type { TransportProtocol } from "./transport.js";

export interface TracedMessage {
  readonly direction: "sent" | "received";
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly protocol: TransportProtocol;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The whole message, secrets included; it belongs to the stack and must be read or copied during the call. */
  readonly data: string | Uint8Array;
}

/** Called for each message; what it throws is logged. It runs inside the stack, so it must be quick. */
export type MessageObserver = (message: TracedMessage) => void;
