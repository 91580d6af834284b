/**
 * A telephone reduced to its RTP: sends and receives G.711 on loopback, keeps what it received, measures the
 * frequency it hears, sends and finds RFC 4733 digits. For tests and for the demo's built-in caller. It runs on the
 * thread that creates it, so its own sending stops when that thread is blocked.
 */
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { decodeG711, encodeG711 } from "../../lib/media/codec/g711.js";
import type { G711Law } from "../../lib/media/codec/g711.js";
import { emptyRtpHeader, readRtpHeader, writeRtpHeader } from "../../lib/media/rtp/rtp-packet.js";
import { EVENT_DIGITS } from "../../lib/media/rtp/telephone-event-sender.js";

export interface ReceivedPacket {
  readonly marker: boolean;
  readonly payloadType: number;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Buffer;
  /** Monotonic milliseconds. */
  readonly arrival: number;
}

export interface RtpPhoneOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** Default any free one. */
  readonly port?: number;
  /** Default PCMU. */
  readonly law?: G711Law;
  /** Default 101. */
  readonly eventPayloadType?: number;
}

export interface PhoneDigitOptions {
  /** Milliseconds. Default 100. */
  readonly duration?: number;
  /** Which of the packets are lost on the way, counted from 0. */
  readonly lose?: (index: number) => boolean;
  /** How often each packet is sent. Default once. */
  readonly copies?: number;
}

const FRAME = 160;
const FRAME_MS = 20;

export class RtpPhone {
  readonly packets: ReceivedPacket[] = [];
  readonly law: G711Law;
  readonly eventPayloadType: number;
  ssrc = Math.floor(Math.random() * 0xffff_ffff);
  sequenceNumber = Math.floor(Math.random() * 0x8000);
  timestamp = Math.floor(Math.random() * 0x7fff_ffff);
  packetsSent = 0;
  readonly #socket: Socket;
  #remote: { address: string; port: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #phase = 0;

  private constructor(socket: Socket, options: RtpPhoneOptions) {
    this.#socket = socket;
    this.law = options.law ?? "PCMU";
    this.eventPayloadType = options.eventPayloadType ?? 101;
    const header = emptyRtpHeader();
    socket.on("message", (datagram) => {
      if (!readRtpHeader(datagram, header)) return;
      this.packets.push({
        marker: header.marker,
        payloadType: header.payloadType,
        sequenceNumber: header.sequenceNumber,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
        payload: Buffer.from(datagram.subarray(header.payloadStart, header.payloadEnd)),
        arrival: performance.now(),
      });
    });
  }

  static async open(options: RtpPhoneOptions = {}): Promise<RtpPhone> {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(options.port ?? 0, options.address ?? "127.0.0.1", () => resolve());
    });
    return new RtpPhone(socket, options);
  }

  get address(): string {
    return this.#socket.address().address;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** A description of this phone, as offer or answer. */
  description(
    options: { direction?: string; address?: string; port?: number; extra?: string } = {},
  ): string {
    const address = options.address ?? this.address;
    const payloadType = this.law === "PCMU" ? 0 : 8;
    return [
      "v=0",
      `o=phone 1 1 IN IP4 ${address}`,
      "s=-",
      `c=IN IP4 ${address}`,
      "t=0 0",
      `m=audio ${options.port ?? this.port} RTP/AVP ${payloadType} ${this.eventPayloadType}`,
      `a=rtpmap:${payloadType} ${this.law}/8000`,
      `a=rtpmap:${this.eventPayloadType} telephone-event/8000`,
      `a=fmtp:${this.eventPayloadType} 0-15`,
      `a=${options.direction ?? "sendrecv"}`,
      ...(options.extra === undefined ? [] : [options.extra]),
      "",
    ].join("\r\n");
  }

  /** Where to send, read from the peer's description. */
  connectTo(description: string): void {
    const port = /^m=audio (\d+)/m.exec(description)?.[1];
    const address = /^c=IN IP4 (\S+)/m.exec(description)?.[1];
    if (port === undefined || address === undefined) throw new Error("no audio in the description");
    this.connect(address, Number(port));
  }

  connect(address: string, port: number): void {
    this.#remote = { address, port };
  }

  /** Speaks: a tone, or silence, until `hush` or `close`. */
  speak(frequency: number | undefined): void {
    this.hush();
    const start = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      const due = Math.floor((performance.now() - start) / FRAME_MS);
      for (; sent < due; sent++) this.sendAudio(frequency);
    }, FRAME_MS);
  }

  hush(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** One packet of a tone or of silence. */
  sendAudio(frequency?: number): void {
    const samples = new Int16Array(FRAME);
    if (frequency !== undefined) {
      for (let i = 0; i < FRAME; i++) {
        samples[i] = Math.round(8000 * Math.sin((2 * Math.PI * frequency * this.#phase++) / 8000));
      }
    }
    const payload = Buffer.alloc(FRAME);
    encodeG711(this.law, samples, FRAME, payload, 0);
    this.send(this.law === "PCMU" ? 0 : 8, payload, { timestamp: this.timestamp });
    this.timestamp = (this.timestamp + FRAME) >>> 0;
  }

  /** Presses a key: event packets every 20 ms, the end three times. Resolves when the last was sent. */
  async sendDigit(digit: string, options: PhoneDigitOptions = {}): Promise<void> {
    const event = EVENT_DIGITS.indexOf(digit);
    const total = ((options.duration ?? 100) / 1000) * 8000;
    const timestamp = this.timestamp;
    let index = 0;
    for (let elapsed = FRAME, ends = 0; ends < 3; elapsed += FRAME, index++) {
      const end = elapsed >= total;
      if (end) ends += 1;
      const duration = Math.min(elapsed, total);
      const payload = Buffer.from([event, end ? 0x8a : 0x0a, duration >> 8, duration & 0xff]);
      this.#sendCopies(payload, { timestamp, marker: index === 0 }, options, index);
      if (ends < 3) await pause(FRAME_MS);
    }
    this.timestamp = (timestamp + total + 2 * FRAME) >>> 0;
  }

  /** Any packet to the connected peer. */
  send(
    payloadType: number,
    payload: Buffer,
    header: { timestamp: number; marker?: boolean },
  ): void {
    const packet = Buffer.alloc(12 + payload.length);
    writeRtpHeader(packet, {
      marker: header.marker ?? false,
      payloadType,
      sequenceNumber: this.sequenceNumber,
      timestamp: header.timestamp,
      ssrc: this.ssrc,
    });
    this.sequenceNumber = (this.sequenceNumber + 1) & 0xffff;
    payload.copy(packet, 12);
    this.sendRaw(packet);
  }

  sendRaw(datagram: Buffer): void {
    if (this.#remote === undefined) return;
    this.packetsSent += 1;
    this.#socket.send(datagram, this.#remote.port, this.#remote.address);
  }

  /** The audio packets of what came. */
  get audioPackets(): readonly ReceivedPacket[] {
    return this.packets.filter((packet) => packet.payloadType !== this.eventPayloadType);
  }

  /** What was heard, one piece, in the order of arrival. */
  samples(): Int16Array {
    const packets = this.audioPackets;
    const length = packets.reduce((sum, packet) => sum + packet.payload.length, 0);
    const samples = new Int16Array(length);
    let position = 0;
    for (const { payload } of packets) {
      decodeG711(this.law, payload, 0, payload.length, samples.subarray(position));
      position += payload.length;
    }
    return samples;
  }

  /** The digits that came as telephone events, each once. */
  digits(): string {
    let digits = "";
    let last = -1;
    for (const { payloadType, payload, timestamp } of this.packets) {
      if (payloadType !== this.eventPayloadType || timestamp === last) continue;
      last = timestamp;
      digits += EVENT_DIGITS.charAt(payload[0]);
    }
    return digits;
  }

  /** Packets that are missing between the first and the last. */
  get packetsLost(): number {
    if (this.packets.length === 0) return 0;
    const first = this.packets[0].sequenceNumber;
    const last = this.packets[this.packets.length - 1].sequenceNumber;
    return ((last - first) & 0xffff) + 1 - this.packets.length;
  }

  /** @returns false when the condition did not come true in time. */
  async until(condition: () => boolean, timeoutMs = 5000): Promise<boolean> {
    const end = performance.now() + timeoutMs;
    while (!condition()) {
      if (performance.now() > end) return false;
      await pause(5);
    }
    return true;
  }

  async close(): Promise<void> {
    this.hush();
    await new Promise<void>((resolve) => {
      this.#socket.close(() => resolve());
    });
  }

  #sendCopies(
    payload: Buffer,
    header: { timestamp: number; marker: boolean },
    options: PhoneDigitOptions,
    index: number,
  ): void {
    if (options.lose?.(index) === true) {
      this.sequenceNumber = (this.sequenceNumber + 1) & 0xffff;
      return;
    }
    const sequenceNumber = this.sequenceNumber;
    for (let copy = 0; copy < (options.copies ?? 1); copy++) {
      this.sequenceNumber = sequenceNumber;
      this.send(this.eventPayloadType, payload, header);
    }
  }
}

/**
 * The frequency of a tone by its upward zero crossings, interpolated between samples.
 *
 * @returns Hz, 0 when there is no tone.
 */
export function toneFrequency(samples: Int16Array, sampleRate = 8000): number {
  let first = 0;
  let last = 0;
  let crossings = 0;
  for (let i = 1; i < samples.length; i++) {
    const before = samples[i - 1];
    const after = samples[i];
    if (before >= 0 || after < 0) continue;
    const place = i - 1 + before / (before - after);
    if (crossings === 0) first = place;
    last = place;
    crossings += 1;
  }
  return crossings < 2 ? 0 : ((crossings - 1) * sampleRate) / (last - first);
}

/** The power of one frequency in the samples (Goertzel), as the amplitude of a sine. */
export function toneAmplitude(samples: Int16Array, frequency: number, sampleRate = 8000): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / sampleRate);
  let before = 0;
  let last = 0;
  for (const sample of samples) {
    const next = sample + coefficient * last - before;
    before = last;
    last = next;
  }
  const power = last * last + before * before - coefficient * last * before;
  return (2 * Math.sqrt(Math.max(0, power))) / samples.length;
}

/** A WAV file of a sine, 16 bits. */
export function wavOfTone(
  frequency: number,
  ms: number,
  options: { sampleRate?: number; channels?: 1 | 2; amplitude?: number } = {},
): Buffer {
  const { sampleRate = 8000, channels = 1, amplitude = 10_000 } = options;
  const count = Math.round((sampleRate * ms) / 1000);
  const wav = Buffer.alloc(44 + count * channels * 2);
  wav.write("RIFF", 0);
  wav.writeUInt32LE(wav.length - 8, 4);
  wav.write("WAVEfmt ", 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(channels, 22);
  wav.writeUInt32LE(sampleRate, 24);
  wav.writeUInt32LE(sampleRate * channels * 2, 28);
  wav.writeUInt16LE(channels * 2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write("data", 36);
  wav.writeUInt32LE(count * channels * 2, 40);
  for (let i = 0; i < count; i++) {
    const sample = Math.round(amplitude * Math.sin((2 * Math.PI * frequency * i) / sampleRate));
    for (let c = 0; c < channels; c++) wav.writeInt16LE(sample, 44 + (i * channels + c) * 2);
  }
  return wav;
}

/** Waits in real time: RTP on sockets has no other. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
