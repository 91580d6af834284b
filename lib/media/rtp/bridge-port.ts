/**
 * The way between two legs in different workers: packets and keys over a MessagePort. A worker that does not keep up
 * loses packets there, and no memory.
 */
import type { MessagePort } from "node:worker_threads";
import type { PacketSink } from "./bridge-input.js";
import { emptyRtpHeader, RTP_HEADER_LENGTH } from "./rtp-packet.js";
import type { RtpHeader } from "./rtp-packet.js";

type PortMessage =
  | {
      readonly type: "audio";
      /** Room for a header, then the payload. */
      readonly data: Uint8Array;
      readonly codec: string;
      readonly marker: boolean;
      readonly payloadType: number;
      readonly sequenceNumber: number;
      readonly timestamp: number;
      readonly ssrc: number;
    }
  | { readonly type: "other"; readonly sequenceNumber: number; readonly ssrc: number }
  | { readonly type: "pressed"; readonly event: number }
  | { readonly type: "released"; readonly durationMs: number }
  /** So many packets were taken. */
  | { readonly type: "taken"; readonly count: number };

/** Packets under way at most: five seconds. */
const MOST_UNDER_WAY = 250;
/** They are reported in groups of so many. */
const REPORT_EVERY = 10;

export class BridgePort implements PacketSink {
  readonly #port: MessagePort;
  readonly #header = emptyRtpHeader();
  #sink: PacketSink | undefined;
  #underWay = 0;
  #taken = 0;
  #closed = false;

  /** @param onClosed - The other end is gone. */
  constructor(port: MessagePort, onClosed: () => void) {
    this.#port = port;
    port.on("message", (message: PortMessage) => this.#receive(message));
    port.on("close", () => {
      if (!this.#closed) onClosed();
    });
  }

  /** Where to that goes what comes from the other worker. */
  open(sink: PacketSink): void {
    this.#sink = sink;
  }

  audio(datagram: Buffer, header: RtpHeader, codec: string): void {
    if (this.#underWay >= MOST_UNDER_WAY) return;
    this.#underWay += 1;
    const { marker, payloadType, sequenceNumber, timestamp, ssrc } = header;
    // A copy: the memory of the datagram may belong to others as well.
    const data = Uint8Array.prototype.slice.call(
      datagram,
      header.payloadStart - RTP_HEADER_LENGTH,
      header.payloadEnd,
    );
    const message: PortMessage = {
      type: "audio",
      data,
      codec,
      marker,
      payloadType,
      sequenceNumber,
      timestamp,
      ssrc,
    };
    this.#post(message, [data.buffer]);
  }

  other({ sequenceNumber, ssrc }: RtpHeader): void {
    if (this.#underWay >= MOST_UNDER_WAY) return;
    this.#underWay += 1;
    this.#post({ type: "other", sequenceNumber, ssrc });
  }

  pressed(event: number): void {
    this.#post({ type: "pressed", event });
  }

  released(durationMs: number): void {
    this.#post({ type: "released", durationMs });
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#port.close();
  }

  #post(message: PortMessage, transfer: ArrayBuffer[] = []): void {
    if (!this.#closed) this.#port.postMessage(message, transfer);
  }

  #receive(message: PortMessage): void {
    switch (message.type) {
      case "audio":
        this.#count();
        this.#take(message);
        break;
      case "other":
        this.#count();
        this.#header.sequenceNumber = message.sequenceNumber;
        this.#header.ssrc = message.ssrc;
        this.#sink?.other(this.#header);
        break;
      case "pressed":
        this.#sink?.pressed(message.event);
        break;
      case "released":
        this.#sink?.released(message.durationMs);
        break;
      case "taken":
        this.#underWay = Math.max(0, this.#underWay - message.count);
        break;
    }
  }

  #count(): void {
    this.#taken += 1;
    if (this.#taken < REPORT_EVERY) return;
    this.#taken = 0;
    this.#post({ type: "taken", count: REPORT_EVERY });
  }

  #take(message: Extract<PortMessage, { type: "audio" }>): void {
    const { data, codec } = message;
    const header = this.#header;
    header.marker = message.marker;
    header.payloadType = message.payloadType;
    header.sequenceNumber = message.sequenceNumber;
    header.timestamp = message.timestamp;
    header.ssrc = message.ssrc;
    header.payloadStart = RTP_HEADER_LENGTH;
    header.payloadEnd = data.length;
    this.#sink?.audio(Buffer.from(data.buffer, data.byteOffset, data.length), header, codec);
  }
}
