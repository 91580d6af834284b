/** What negotiation tells the RTP endpoint: plain data that crosses to the worker. */
import type { SrtpSettings } from "../srtp/srtp-protection.js";

/** A payload number and what stands behind it. */
export interface PayloadFormat {
  readonly payloadType: number;
  /** Of the codec, upper case. */
  readonly codec: string;
  /** The peer's `a=fmtp` parameters for what we send; without meaning for what we receive. */
  readonly parameters?: string | undefined;
}

export interface StreamSettings {
  /** Where the peer wants its packets; the port 0 or an empty address = not known. */
  readonly address: string;
  readonly port: number;
  readonly rtcpAddress: string;
  readonly rtcpPort: number;
  /** Reports go to, and come from, the port of RTP (RFC 5761). */
  readonly rtcpMux: boolean;
  /** Undefined = packets are in clear. */
  readonly srtp: SrtpSettings | undefined;
  /** Source of the peer's signalling. */
  readonly signallingAddress: string;
  /** What we send. */
  readonly send: PayloadFormat;
  /** What may arrive. */
  readonly receive: readonly PayloadFormat[];
  /** RFC 4733 number to send with; undefined = the peer takes no events. */
  readonly eventPayloadType: number | undefined;
  readonly eventsReceived: readonly number[];
  /** Hz of the durations of events by number, where it is not `clockRate`. */
  readonly eventClockRates?: Readonly<Record<number, number>> | undefined;
  /** Hz of the timestamps of what we send, events included. */
  readonly clockRate: number;
  /** Milliseconds per packet, a multiple of 5 up to 60. */
  readonly ptime: number;
  readonly maySend: boolean;
  readonly mayReceive: boolean;
}
