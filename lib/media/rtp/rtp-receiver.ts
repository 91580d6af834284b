/**
 * The receiving half of a session: checks packets, listens to one source, counts, finds digits, hands decoded sound to
 * those who tap it.
 */
import type { G711Law } from "./g711.js";
import { decodeG711 } from "./g711.js";
import { ReceiverStatistics } from "./receiver-statistics.js";
import type { ReportBlock } from "./rtcp-packet.js";
import { emptyRtpHeader, readRtpHeader } from "./rtp-packet.js";
import type { RtpHeader } from "./rtp-packet.js";
import { SourceLatch } from "./source-latch.js";
import type { Endpoint } from "./source-latch.js";
import type { StreamSettings } from "./stream-settings.js";
import { TelephoneEventReceiver } from "./telephone-event-receiver.js";
import type { ReceivedDigit } from "./telephone-event-receiver.js";

/**
 * Hears what the peer says: recording, streaming and bridging attach here. `samples` belongs to the receiver and
 * is valid only during the call.
 */
export type AudioTap = (samples: Int16Array, count: number, header: Readonly<RtpHeader>) => void;

export interface RtpReceiverOptions {
  /** Packets with our own source are our own, come back in a loop (RFC 3550 §8.2). */
  readonly ownSsrc: number;
  readonly onDigit: (digit: ReceivedDigit) => void;
}

/** Comfort noise (RFC 3389): counted, nothing to hear. */
const COMFORT_NOISE = 13;
/** Samples of the longest packet that is decoded: 200 ms at 8 kHz. */
const LONGEST_PACKET = 1_600;
const CLOCK_RATE = 8000;

export class RtpReceiver {
  readonly #ownSsrc: number;
  readonly #latch = new SourceLatch();
  readonly #events: TelephoneEventReceiver;
  readonly #header = emptyRtpHeader();
  readonly #samples = new Int16Array(LONGEST_PACKET);
  readonly #taps = new Set<AudioTap>();
  readonly #laws = new Map<number, G711Law>();
  #eventTypes: readonly number[] = [];
  #listening = false;
  #statistics: ReceiverStatistics | undefined;
  /** Counts of sources that were replaced. */
  #receivedBefore = 0;
  #lostBefore = 0;
  /** Packets that were not taken: no RTP, unknown payload type, wrong source. */
  #dropped = 0;
  #lastPacketAt: number | undefined;

  constructor(options: RtpReceiverOptions) {
    this.#ownSsrc = options.ownSsrc;
    this.#events = new TelephoneEventReceiver(CLOCK_RATE, options.onDigit);
  }

  configure(settings: StreamSettings | undefined): void {
    this.#laws.clear();
    this.#eventTypes = settings?.eventsReceived ?? [];
    this.#listening = settings?.mayReceive ?? false;
    for (const { payloadType, law } of settings?.receive ?? []) this.#laws.set(payloadType, law);
    this.#latch.expect(
      settings && { address: settings.address, port: settings.port },
      settings?.signallingAddress ?? "",
    );
  }

  /** Where packets come from; undefined before the first. */
  get source(): Endpoint | undefined {
    return this.#latch.latched;
  }

  get listening(): boolean {
    return this.#listening;
  }

  get packetsReceived(): number {
    return this.#receivedBefore + (this.#statistics?.received ?? 0);
  }

  /** Never negative. */
  get packetsLost(): number {
    return Math.max(0, this.#lostBefore + (this.#statistics?.lost ?? 0));
  }

  get packetsDropped(): number {
    return this.#dropped;
  }

  get jitterMs(): number {
    return this.#statistics?.jitterMs ?? 0;
  }

  /** Monotonic milliseconds. */
  get lastPacketAt(): number | undefined {
    return this.#lastPacketAt;
  }

  /** The source that the next report is about. */
  get remoteSsrc(): number | undefined {
    return this.#statistics?.ssrc;
  }

  report(lastSenderReport: number, delay: number): ReportBlock | undefined {
    return this.#statistics?.report(lastSenderReport, delay);
  }

  /** @returns a function that removes the tap. */
  tap(tap: AudioTap): () => void {
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  /** Takes one datagram from the RTP port. Never throws. */
  datagram(datagram: Buffer, address: string, port: number, nowMs: number): void {
    const header = this.#header;
    if (!readRtpHeader(datagram, header) || !this.#takes(header, address, port)) {
      this.#dropped += 1;
      return;
    }
    const statistics = this.#statisticsOf(header, nowMs);
    const isEvent = this.#eventTypes.includes(header.payloadType);
    const timestamp = isEvent ? undefined : header.timestamp;
    if (!statistics.packet(header.sequenceNumber, timestamp, nowMs)) return;
    this.#lastPacketAt = nowMs;
    if (!this.#listening) return;
    if (isEvent) {
      const { payloadStart, payloadEnd } = header;
      this.#events.packet(datagram, payloadStart, payloadEnd, header.timestamp, nowMs);
    } else if (this.#taps.size > 0) {
      this.#decode(datagram, header);
    }
  }

  /** Regularly, for digits whose end was lost. */
  tick(nowMs: number): void {
    this.#events.tick(nowMs);
  }

  #takes(header: RtpHeader, address: string, port: number): boolean {
    const { payloadType, ssrc, sequenceNumber } = header;
    return (
      (this.#laws.has(payloadType) ||
        this.#eventTypes.includes(payloadType) ||
        payloadType === COMFORT_NOISE) &&
      ssrc !== this.#ownSsrc &&
      this.#latch.accepts(address, port, ssrc, sequenceNumber)
    );
  }

  /** The source may change its identifier (RFC 3550 §8.2), for example when a server joins it to another leg. */
  #statisticsOf(header: RtpHeader, nowMs: number): ReceiverStatistics {
    const known = this.#statistics;
    if (known?.ssrc === header.ssrc) return known;
    if (known) {
      this.#receivedBefore += known.received;
      this.#lostBefore += Math.max(0, known.lost);
      this.#events.reset(nowMs);
    }
    const fresh = new ReceiverStatistics(header.ssrc, header.sequenceNumber, CLOCK_RATE);
    this.#statistics = fresh;
    return fresh;
  }

  #decode(datagram: Buffer, header: RtpHeader): void {
    const law = this.#laws.get(header.payloadType);
    if (law === undefined) return;
    const count = Math.min(header.payloadEnd - header.payloadStart, LONGEST_PACKET);
    decodeG711(law, datagram, header.payloadStart, header.payloadStart + count, this.#samples);
    for (const tap of this.#taps) tap(this.#samples, count, header);
  }
}
