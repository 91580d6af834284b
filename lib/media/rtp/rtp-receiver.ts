/**
 * The receiving half of a session: checks packets, listens to one source, counts, finds digits, and decodes into an
 * even stream of samples while somebody wants to hear it.
 */
import { audioCodec } from "../codec/codecs.js";
import type { PacketSink } from "./bridge-input.js";
import { PlayoutBuffer } from "./playout-buffer.js";
import type { PlayoutFormat, PlayoutStatistics } from "./playout-buffer.js";
import { PlayoutReader } from "./playout-reader.js";
import { ReceiverStatistics } from "./receiver-statistics.js";
import type { ReportBlock } from "./rtcp-packet.js";
import { emptyRtpHeader, readRtpHeader } from "./rtp-packet.js";
import type { RtpHeader } from "./rtp-packet.js";
import { SourceLatch } from "./source-latch.js";
import type { Endpoint } from "./source-latch.js";
import type { StreamSettings } from "./stream-settings.js";
import { TelephoneEventReceiver } from "./telephone-event-receiver.js";
import type { ReceivedDigit } from "./telephone-event-receiver.js";

export interface RtpReceiverOptions {
  /** Packets with our own source are our own, come back in a loop (RFC 3550 §8.2). */
  readonly ownSsrc: number;
  readonly onDigit: (digit: ReceivedDigit) => void;
}

/** What a payload number means. */
interface KnownPayload {
  readonly payloadType: number;
  readonly isEvent: boolean;
  /** Undefined for what is no sound of ours: events, comfort noise. */
  readonly codec: string | undefined;
  readonly clockRate: number | undefined;
  /** Packets of it are taken. */
  readonly isTaken: boolean;
}

/** Comfort noise (RFC 3389): counted, nothing to hear. */
const COMFORT_NOISE = 13;
/** Of statistics and events before a codec is known. */
const FIRST_CLOCK_RATE = 8000;

export class RtpReceiver {
  readonly #ownSsrc: number;
  readonly #latch = new SourceLatch();
  readonly #events: TelephoneEventReceiver;
  /** Of the audio that comes; of what we send until something comes. */
  #clockRate = FIRST_CLOCK_RATE;
  readonly #header = emptyRtpHeader();
  /** By payload number; each stream has decoders of its own, made when first needed. */
  readonly #formats = new Map<number, PlayoutFormat>();
  readonly #codecs = new Map<number, string>();
  readonly #clockRates = new Map<number, number>();
  /** What the payload number of the last packet means, which is nearly always that of the next. */
  #known: KnownPayload | undefined;
  #eventClockRates: Readonly<Record<number, number>> = {};
  /** While somebody hears. */
  #playout: PlayoutBuffer | undefined;
  #concealedBefore = 0;
  #reader: PlayoutReader | undefined;
  /** Another leg that hears the same. */
  #sink: PacketSink | undefined;
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
    this.#events = new TelephoneEventReceiver(FIRST_CLOCK_RATE, options.onDigit);
  }

  configure(settings: StreamSettings | undefined, nowMs: number): void {
    this.#known = undefined;
    this.#eventTypes = settings?.eventsReceived ?? [];
    this.#listening = settings?.mayReceive ?? false;
    const receive = settings?.receive ?? [];
    for (const payloadType of [...this.#codecs.keys()]) {
      const now = receive.find((format) => format.payloadType === payloadType);
      if (now?.codec !== this.#codecs.get(payloadType)) this.#forget(payloadType);
    }
    for (const { payloadType, codec } of receive) {
      const known = audioCodec(codec);
      if (known === undefined) continue;
      this.#codecs.set(payloadType, codec);
      this.#clockRates.set(payloadType, known.clockRate);
    }
    this.#eventClockRates = settings?.eventClockRates ?? {};
    if (this.#statistics === undefined) this.#setClock(settings?.clockRate, nowMs);
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

  /** Milliseconds of sound that were made up in place of missing packets. */
  get concealedMs(): number {
    return this.#concealedBefore + (this.#playout?.statistics.concealedMs ?? 0);
  }

  get playout(): PlayoutStatistics | undefined {
    return this.#playout?.statistics;
  }

  /** Something in what was pulled last was made up. */
  get concealing(): boolean {
    return this.#playout?.concealing ?? false;
  }

  /** Whether what comes is decoded: only while somebody hears, for it is most of the work. */
  hear(wanted: boolean): void {
    if (wanted === (this.#playout !== undefined)) return;
    this.#concealedBefore = this.concealedMs;
    this.#playout = wanted ? new PlayoutBuffer() : undefined;
    this.#reader = this.#playout && new PlayoutReader(this.#playout);
  }

  /** What the peer says goes to another leg, too; undefined = no longer. */
  relayTo(sink: PacketSink | undefined): void {
    this.#sink = sink;
    this.#events.onKey = sink && ((event, duration) => passKey(sink, event, duration));
  }

  /**
   * The next `count` samples at `sampleRate`, silence where nothing comes. Call once per packet time while `hear` is
   * on.
   */
  pull(target: Int16Array, count: number, sampleRate: number, nowMs: number): void {
    if (this.#reader === undefined) target.fill(0, 0, count);
    else this.#reader.read(target, count, sampleRate, nowMs);
  }

  close(): void {
    for (const payloadType of [...this.#formats.keys()]) this.#forget(payloadType);
    this.#playout = undefined;
    this.#reader = undefined;
    this.relayTo(undefined);
  }

  /** Takes one datagram from the RTP port. Never throws. */
  datagram(datagram: Buffer, address: string, port: number, nowMs: number): void {
    const header = this.#header;
    if (!readRtpHeader(datagram, header) || !this.#takes(header, address, port)) {
      this.#dropped += 1;
      return;
    }
    const { isEvent, clockRate: ownClock } = this.#lookUp(header.payloadType);
    if (!isEvent) this.#setClock(ownClock, nowMs);
    const statistics = this.#statisticsOf(header, nowMs);
    const timestamp = isEvent ? undefined : header.timestamp;
    if (!statistics.packet(header.sequenceNumber, timestamp, nowMs)) return;
    this.#lastPacketAt = nowMs;
    if (!this.#listening) return;
    if (isEvent) {
      const { payloadStart, payloadEnd, timestamp: start, payloadType } = header;
      const clockRate = this.#eventClockRates[payloadType] ?? this.#clockRate;
      this.#events.packet(datagram, payloadStart, payloadEnd, start, nowMs, clockRate);
      this.#sink?.other(header);
    } else {
      if (this.#playout) this.#keep(this.#playout, datagram, header, nowMs);
      if (this.#sink) this.#relay(this.#sink, datagram, header);
    }
  }

  /** Regularly, for digits whose end was lost. */
  tick(nowMs: number): void {
    this.#events.tick(nowMs);
  }

  #takes(header: RtpHeader, address: string, port: number): boolean {
    const { payloadType, ssrc, sequenceNumber } = header;
    return (
      this.#lookUp(payloadType).isTaken &&
      ssrc !== this.#ownSsrc &&
      this.#latch.accepts(address, port, ssrc, sequenceNumber)
    );
  }

  #lookUp(payloadType: number): KnownPayload {
    const known = this.#known;
    if (known?.payloadType === payloadType) return known;
    const isEvent = this.#eventTypes.includes(payloadType);
    const codec = this.#codecs.get(payloadType);
    this.#known = {
      payloadType,
      isEvent,
      codec,
      clockRate: this.#clockRates.get(payloadType),
      isTaken: isEvent || codec !== undefined || payloadType === COMFORT_NOISE,
    };
    return this.#known;
  }

  /** The source may change its identifier (RFC 3550 §8.2), for example when a server joins it to another leg. */
  #statisticsOf(header: RtpHeader, nowMs: number): ReceiverStatistics {
    const known = this.#statistics;
    if (known?.ssrc === header.ssrc) return known;
    if (known) {
      this.#receivedBefore += known.received;
      this.#lostBefore += Math.max(0, known.lost);
      this.#events.reset(nowMs);
      this.#playout?.reset();
    }
    const fresh = new ReceiverStatistics(header.ssrc, header.sequenceNumber, this.#clockRate);
    this.#statistics = fresh;
    return fresh;
  }

  /** The datagram's memory is its own, so the payload may wait in it. */
  #keep(playout: PlayoutBuffer, datagram: Buffer, header: RtpHeader, nowMs: number): void {
    const { payloadType, payloadStart, payloadEnd, timestamp } = header;
    const format = this.#format(payloadType);
    if (format === undefined || payloadStart >= payloadEnd) return;
    playout.push(timestamp, datagram.subarray(payloadStart, payloadEnd), format, nowMs);
  }

  #relay(sink: PacketSink, datagram: Buffer, header: RtpHeader): void {
    const { codec } = this.#lookUp(header.payloadType);
    if (codec === undefined || header.payloadStart >= header.payloadEnd) sink.other(header);
    else sink.audio(datagram, header, codec);
  }

  /** @returns undefined for comfort noise and for what is not negotiated any more. */
  #format(payloadType: number): PlayoutFormat | undefined {
    let format = this.#formats.get(payloadType);
    if (format) return format;
    const codec = audioCodec(this.#codecs.get(payloadType) ?? "");
    if (codec === undefined) return undefined;
    const { sampleRate, clockRate } = codec;
    format = { decoder: codec.createDecoder(), sampleRate, clockRate };
    this.#formats.set(payloadType, format);
    return format;
  }

  #forget(payloadType: number): void {
    this.#codecs.delete(payloadType);
    this.#clockRates.delete(payloadType);
    const format = this.#formats.get(payloadType);
    if (format === undefined) return;
    this.#formats.delete(payloadType);
    // Packets of it may still wait.
    this.#playout?.reset();
    format.decoder.close();
  }

  /** Another clock: what was counted stays, what is measured in its units begins anew. */
  #setClock(clockRate: number | undefined, nowMs: number): void {
    if (clockRate === undefined || clockRate === this.#clockRate) return;
    this.#clockRate = clockRate;
    this.#events.reset(nowMs);
    const known = this.#statistics;
    if (known === undefined) return;
    this.#receivedBefore += known.received;
    this.#lostBefore += Math.max(0, known.lost);
    this.#statistics = undefined;
  }
}

function passKey(sink: PacketSink, event: number, duration: number | undefined): void {
  if (duration === undefined) sink.pressed(event);
  else sink.released(duration);
}
