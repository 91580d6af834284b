/**
 * The sending half of a session: one packet per packet time, of what is played, of digits, or of silence, so that
 * the peer and the NATs on the way always see a stream while the direction allows one.
 */
import type { SampleSource } from "../audio/audio-source.js";
import type { Player } from "../audio/player.js";
import { atRate } from "../audio/rate-converter.js";
import { digitTones } from "../audio/tones.js";
import type { AudioEncoder } from "../codec/audio-codec.js";
import { audioCodec } from "../codec/codecs.js";
import { RelayMapping } from "./relay-mapping.js";
import { RTP_HEADER_LENGTH, writeRtpHeader } from "./rtp-packet.js";
import type { RtpHeader } from "./rtp-packet.js";
import type { StreamSettings } from "./stream-settings.js";
import {
  EVENT_DIGITS,
  EVENT_PAYLOAD_LENGTH,
  LONGEST_EVENT_MS,
  TelephoneEventSender,
  writeEventPayload,
} from "./telephone-event-sender.js";
import type { EventPacket } from "./telephone-event-sender.js";

export interface RtpSenderOptions {
  /** Random, all three (RFC 3550 §5.1). */
  readonly ssrc: number;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly player: Player;
  /** All digits of a request are sent, or can no longer be. */
  readonly onDigitsSent: (id: number, sent: boolean) => void;
}

export interface DigitRequest {
  readonly id: number;
  readonly digits: string;
  readonly method: "rfc4733" | "inband";
  /** Milliseconds. */
  readonly duration: number;
  readonly gap: number;
}

interface DigitJob {
  readonly id: number;
  readonly events: TelephoneEventSender | undefined;
  tones: SampleSource | undefined;
}

/** A datagram may wait in the socket for a moment, so its memory is used again only this many packets later. */
const PACKETS_IN_TURN = 8;
/** Requests that wait at most. */
const MOST_DIGIT_REQUESTS = 64;
/** Keys of another leg that wait at most. */
const MOST_PRESSES = 8;
/** What the end of a key may add to what was seen of it. */
const LONGEST_CLAIM_MS = 1_000;
/**
 * Another leg's stream that is silent for so long has our own packets in its place, so that none sees a dead line. Opus
 * with pauses (DTX) sends every 400 ms.
 */
const RELAY_PAUSE_MS = 500;
/** Packets of another leg between two of our ticks; more are no sound. */
const MOST_RELAYED = 40;

export class RtpSender {
  readonly ssrc: number;
  readonly #player: Player;
  readonly #onDigitsSent: (id: number, sent: boolean) => void;
  readonly #requests: DigitRequest[] = [];
  #job: DigitJob | undefined;
  #settings: StreamSettings | undefined;
  #encoder: AudioEncoder | undefined;
  /** Of the encoder in use: a re-INVITE that changes nothing must not start it anew. */
  #encoding = "";
  /** Units of the RTP clock in one packet. */
  #units = 0;
  #sequenceNumber: number;
  #timestamp: number;
  /** The next packet follows a gap (RFC 3551 §4.1). */
  #marker = true;
  #samples = new Int16Array(0);
  #packets: Buffer[] = [];
  #turn = 0;
  #packetsSent = 0;
  #octetsSent = 0;
  /** Keys of another leg: the first is being sent. */
  readonly #presses: TelephoneEventSender[] = [];
  readonly #mapping = new RelayMapping();
  /** Since the last packet of another leg was sent. */
  #relayPauseMs = Infinity;
  #relayedSinceTick = 0;
  /** The last tick gave a packet of an event. */
  #sendsEvent = false;

  constructor(options: RtpSenderOptions) {
    this.ssrc = options.ssrc;
    this.#sequenceNumber = options.sequenceNumber;
    this.#timestamp = options.timestamp;
    this.#player = options.player;
    this.#onDigitsSent = options.onDigitsSent;
  }

  get packetsSent(): number {
    return this.#packetsSent;
  }

  /** Payload only (RFC 3550 §6.4.1). */
  get octetsSent(): number {
    return this.#octetsSent;
  }

  /** Of the next packet. */
  get timestamp(): number {
    return this.#timestamp >>> 0;
  }

  /** What goes out in the packet of the last tick, before encoding. Valid until the next tick. */
  get samples(): Int16Array {
    return this.#samples;
  }

  /** Another leg's packets go out in place of ours. */
  get relaying(): boolean {
    return this.#relayPauseMs < RELAY_PAUSE_MS && !this.#speaks;
  }

  configure(settings: StreamSettings | undefined): void {
    const codec = settings && audioCodec(settings.send.codec);
    if (settings === undefined || codec === undefined) {
      this.#settings = undefined;
      return;
    }
    this.#settings = settings;
    const { parameters, payloadType } = settings.send;
    const { ptime } = settings;
    const encoding = `${codec.name} ${payloadType} ${ptime} ${parameters ?? ""}`;
    if (encoding === this.#encoding) return;
    this.#encoding = encoding;
    this.endRelay();
    this.#encoder?.close();
    this.#encoder = codec.createEncoder(parameters);
    this.#player.setLineRate(codec.sampleRate);
    if (this.#job?.tones) this.#job.tones = atRate(this.#job.tones, codec.sampleRate);
    this.#units = (ptime * settings.clockRate) / 1000;
    this.#samples = new Int16Array((ptime * codec.sampleRate) / 1000);
    const length = RTP_HEADER_LENGTH + Math.max(codec.maximumBytes(ptime), EVENT_PAYLOAD_LENGTH);
    this.#packets = Array.from({ length: PACKETS_IN_TURN }, () => Buffer.allocUnsafe(length));
  }

  /** @returns false when too many requests wait. */
  sendDigits(request: DigitRequest): boolean {
    if (this.#requests.length >= MOST_DIGIT_REQUESTS) return false;
    this.#requests.push(request);
    return true;
  }

  /** Time passed without a tick: the stream goes on after a gap. */
  skip(ms: number): void {
    this.#timestamp += (ms * (this.#settings?.clockRate ?? 8000)) / 1000;
    this.#marker = true;
  }

  /** A key of another leg is down. @param event - 0–15. @returns false when it cannot be sent as an event. */
  press(event: number): boolean {
    const settings = this.#settings;
    const isFull = this.#presses.length >= MOST_PRESSES;
    if (settings?.eventPayloadType === undefined || isFull) return false;
    const { clockRate, eventPayloadType, eventClockRates } = settings;
    const digit = EVENT_DIGITS.charAt(event);
    const eventClock = eventClockRates?.[eventPayloadType];
    this.#presses.push(new TelephoneEventSender(digit, LONGEST_EVENT_MS, 0, clockRate, eventClock));
    return true;
  }

  /** The key that was pressed last is up. @param durationMs - how long it was down. */
  release(durationMs: number): void {
    this.#presses.at(-1)?.release(Math.min(durationMs, LONGEST_CLAIM_MS));
  }

  /**
   * A packet of another leg, in the codec that we send, as the next one of our stream.
   *
   * @param datagram - Its header is overwritten.
   * @param duration - Of its payload, in units of the clock.
   * @returns what to send, in the memory of `datagram`; undefined when something of ours covers it, or it is too late.
   */
  relay(datagram: Buffer, header: RtpHeader, duration: number): Buffer | undefined {
    const settings = this.#settings;
    if (settings === undefined || this.#speaks || duration <= 0) return undefined;
    if (this.#relayedSinceTick >= MOST_RELAYED) return undefined;
    const mapping = this.#mapping;
    const next = { sequenceNumber: this.#sequenceNumber, timestamp: this.timestamp };
    if (!mapping.map(header, next, settings.clockRate)) return undefined;
    const { sequenceNumber, timestamp, begins } = mapping;
    const { payloadStart, payloadEnd } = header;
    const isWhole = payloadStart === RTP_HEADER_LENGTH && payloadEnd === datagram.length;
    const packet = isWhole
      ? datagram
      : datagram.subarray(payloadStart - RTP_HEADER_LENGTH, payloadEnd);
    writeRtpHeader(packet, {
      marker: header.marker || begins,
      payloadType: settings.send.payloadType,
      sequenceNumber,
      timestamp,
      ssrc: this.ssrc,
    });
    if (mapping.isNewest) {
      this.#sequenceNumber = (sequenceNumber + 1) & 0xffff;
      this.#timestamp = timestamp + duration;
    }
    this.#relayPauseMs = 0;
    this.#relayedSinceTick += 1;
    this.#count(payloadEnd - payloadStart);
    return packet;
  }

  /** A packet of the other leg's source is not relayed, and is no loss. */
  skipRelayed(header: RtpHeader): void {
    this.#mapping.skip(header);
  }

  /** Our own packets go out again from the next tick on. */
  endRelay(): void {
    this.#relayPauseMs = Infinity;
    this.#mapping.interrupt();
  }

  /** Something of ours is heard in place of another leg's packets. */
  get #speaks(): boolean {
    return this.#sendsEvent || this.#job?.tones !== undefined || this.#player.coversBridge;
  }

  /** There is nothing to do but to pass on what comes, which is no work of a tick. */
  get #onlyRelays(): boolean {
    return (
      this.#relayPauseMs < RELAY_PAUSE_MS &&
      this.#job === undefined &&
      this.#requests.length === 0 &&
      this.#presses.length === 0 &&
      !this.#player.plays
    );
  }

  /**
   * One packet time passes.
   *
   * @param audible - False while nothing may be sent: what is played passes unheard.
   * @param isHeard - Somebody wants to see `samples`.
   * @returns the packet to send, valid until eight packets later; call `sent` after sending.
   */
  tick(audible: boolean, isHeard = true): Buffer | undefined {
    const count = this.#samples.length;
    const settings = this.#settings;
    if (count === 0 || settings === undefined) return undefined;
    if (!isHeard && this.#onlyRelays) {
      this.#sendsEvent = false;
      this.#marker = true;
      this.#pass(settings.ptime);
      return undefined;
    }
    const job = this.#currentJob();
    const pressed = job === undefined ? this.#presses.at(0) : undefined;
    const event = (job?.events ?? pressed)?.next(this.#timestamp, this.#units);
    if (pressed?.finished === true) this.#presses.shift();
    this.#sendsEvent = event !== undefined;
    const heard = this.#read(job?.tones, count);
    let packet: Buffer | undefined;
    if (audible && event) packet = this.#eventPacket(event);
    else if (audible && !this.relaying) packet = this.#audioPacket(heard, count);
    else this.#marker = true;
    this.#pass(settings.ptime);
    return packet;
  }

  /** One packet time; what another leg sent meanwhile has moved the stream on already. */
  #pass(ptime: number): void {
    if (this.#relayedSinceTick === 0) this.#timestamp += this.#units;
    this.#relayedSinceTick = 0;
    this.#relayPauseMs += ptime;
  }

  /** The packet of the last tick is on its way: what ended with it is reported. */
  sent(): void {
    this.#player.sent();
    const job = this.#job;
    if (job === undefined || !(job.events?.finished ?? job.tones?.ended ?? true)) return;
    this.#job = undefined;
    this.#onDigitsSent(job.id, true);
  }

  close(): void {
    this.#encoder?.close();
    this.#encoder = undefined;
    this.#encoding = "";
    this.#settings = undefined;
    const ids = this.#requests.map((request) => request.id);
    if (this.#job) ids.unshift(this.#job.id);
    this.#requests.length = 0;
    this.#presses.length = 0;
    this.#job = undefined;
    for (const id of ids) this.#onDigitsSent(id, false);
  }

  #currentJob(): DigitJob | undefined {
    if (this.#job) return this.#job;
    const request = this.#requests.shift();
    if (request === undefined) return undefined;
    const { id, digits, duration, gap } = request;
    const { clockRate = 8000, eventPayloadType, eventClockRates } = this.#settings ?? {};
    this.#job =
      request.method === "rfc4733"
        ? {
            id,
            events: new TelephoneEventSender(
              digits,
              duration,
              gap,
              clockRate,
              eventClockRates?.[eventPayloadType ?? -1],
            ),
            tones: undefined,
          }
        : {
            id,
            events: undefined,
            tones: digitTones(digits, duration, gap, this.#player.lineRate),
          };
    return this.#job;
  }

  /** Fills the frame; what is played goes on while digits cover it. @returns false for silence. */
  #read(tones: SampleSource | undefined, count: number): boolean {
    const heard = this.#player.read(this.#samples, count);
    if (!heard) this.#samples.fill(0);
    if (tones === undefined) return heard;
    const filled = tones.read(this.#samples, count);
    this.#samples.fill(0, filled, count);
    return true;
  }

  #audioPacket(heard: boolean, count: number): Buffer | undefined {
    const settings = this.#settings;
    const encoder = this.#encoder;
    if (settings === undefined || encoder === undefined) return undefined;
    const packet = this.#nextPacket();
    writeRtpHeader(packet, {
      marker: this.#marker,
      payloadType: settings.send.payloadType,
      sequenceNumber: this.#sequenceNumber,
      timestamp: this.#timestamp,
      ssrc: this.ssrc,
    });
    const bytes = heard
      ? encoder.encode(this.#samples, count, packet, RTP_HEADER_LENGTH)
      : encoder.encodeSilence(count, packet, RTP_HEADER_LENGTH);
    // What the encoder could not encode is a gap in the stream.
    this.#marker = bytes === 0;
    if (bytes === 0) return undefined;
    this.#sentOwn(bytes);
    return bytes === packet.length - RTP_HEADER_LENGTH
      ? packet
      : packet.subarray(0, RTP_HEADER_LENGTH + bytes);
  }

  #eventPacket(event: EventPacket): Buffer | undefined {
    const payloadType = this.#settings?.eventPayloadType;
    if (payloadType === undefined) return undefined;
    const packet = this.#nextPacket().subarray(0, RTP_HEADER_LENGTH + EVENT_PAYLOAD_LENGTH);
    writeRtpHeader(packet, {
      marker: event.marker,
      payloadType,
      sequenceNumber: this.#sequenceNumber,
      timestamp: event.timestamp,
      ssrc: this.ssrc,
    });
    writeEventPayload(packet, RTP_HEADER_LENGTH, event);
    this.#sentOwn(EVENT_PAYLOAD_LENGTH);
    return packet;
  }

  #nextPacket(): Buffer {
    this.#turn = (this.#turn + 1) % PACKETS_IN_TURN;
    return this.#packets[this.#turn];
  }

  #sentOwn(octets: number): void {
    this.#sequenceNumber = (this.#sequenceNumber + 1) & 0xffff;
    this.#mapping.interrupt();
    this.#count(octets);
  }

  #count(octets: number): void {
    this.#packetsSent += 1;
    this.#octetsSent += octets;
  }
}
