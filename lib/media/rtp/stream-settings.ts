/** What negotiation tells the RTP endpoint: plain data that crosses to the worker. */
import type { G711Law } from "./g711.js";

export interface StreamSettings {
  /** Where the peer wants its packets; the port 0 or an empty address = not known. */
  readonly address: string;
  readonly port: number;
  readonly rtcpAddress: string;
  readonly rtcpPort: number;
  /** Source of the peer's signalling. */
  readonly signallingAddress: string;
  /** What we send. */
  readonly payloadType: number;
  readonly law: G711Law;
  /** What may arrive. */
  readonly receive: readonly { readonly payloadType: number; readonly law: G711Law }[];
  /** RFC 4733 number to send with; undefined = the peer takes no events. */
  readonly eventPayloadType: number | undefined;
  readonly eventsReceived: readonly number[];
  /** Hz of timestamps. */
  readonly clockRate: number;
  /** Milliseconds per packet, a multiple of 5 up to 60. */
  readonly ptime: number;
  readonly maySend: boolean;
  readonly mayReceive: boolean;
}
