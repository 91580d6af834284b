/**
 * One session in the worker: two sockets, a receiver, a sender, a player and reports. Everything that comes in is
 * untrusted; nothing in here throws out of a socket's or the ticker's call.
 */
import type { Socket } from "node:dgram";
import { isIP } from "node:net";
import { errorText, randomInteger } from "../../foundation/index.js";
import type { Clock, RandomSource } from "../../foundation/index.js";
import type { MediaStatistics } from "../../session/media-handler.js";
import { Player } from "../audio/player.js";
import type { PlaybackResult, PlayRequest } from "../audio/player.js";
import { SrtpProtection } from "../srtp/srtp-protection.js";
import { BridgeInput } from "./bridge-input.js";
import type { BridgeHost, PacketSink } from "./bridge-input.js";
import { InbandDigits } from "./inband-digits.js";
import { canonicalAddress } from "./ip-address.js";
import type { TickJob } from "./packet-ticker.js";
import type { SocketPair } from "./port-allocator.js";
import { RtcpReporter } from "./rtcp-reporter.js";
import { looksLikeRtcp } from "./rtp-packet.js";
import { RtpReceiver } from "./rtp-receiver.js";
import { RtpSender } from "./rtp-sender.js";
import type { DigitRequest } from "./rtp-sender.js";
import type { Endpoint } from "./source-latch.js";
import type { StreamSettings } from "./stream-settings.js";
import { EVENT_DIGITS } from "./telephone-event-sender.js";

/** Hears a call: recorders, streams, detectors of tones. */
export interface AudioListener {
  /**
   * Both directions of one packet time: what the peer said and what it was sent. The arrays are valid during the call
   * only. Must not throw.
   *
   * @param count - Samples in each.
   * @param sampleRate - Hz; may change from one call to the next when the codec does.
   * @param concealed - Some of `remote` was made up in place of missing packets.
   */
  frame(
    remote: Int16Array,
    local: Int16Array,
    count: number,
    sampleRate: number,
    concealed: boolean,
  ): void;
}

export interface RtpSessionEvents {
  onDigit(digit: string, duration: number, method: "rfc4733" | "inband"): void;
  onPlaybackDone(id: number, result: PlaybackResult): void;
  onDigitsSent(id: number, sent: boolean): void;
  /** A key of the leg that it is joined to goes out here as an event. */
  onKeyPassed?(digit: string): void;
  onMediaTimeout(): void;
  /** A socket failed; reported once. */
  onError(text: string): void;
}

export interface RtpSessionOptions {
  readonly sockets: SocketPair;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** 0 = never. */
  readonly mediaTimeoutMs: number;
  readonly events: RtpSessionEvents;
  /** Called after each packet that came, for work that must not wait until no socket has any more. */
  readonly onTurn?: ((nowMs: number) => void) | undefined;
}

const DEFAULT_PERIOD_MS = 20;
/** Whether a packet could be sent is asked for one of so many, once a second: each answer costs a turn of its own. */
const ASKED_EVERY = 50;

export class RtpSession implements TickJob {
  readonly #player: Player;
  readonly #sockets: SocketPair;
  readonly #family: 4 | 6;
  readonly #clock: Clock;
  readonly #events: RtpSessionEvents;
  readonly #onTurn: ((nowMs: number) => void) | undefined;
  readonly #mediaTimeoutMs: number;
  readonly #receiver: RtpReceiver;
  readonly #sender: RtpSender;
  readonly #reporter: RtcpReporter;
  readonly #listeners = new Set<AudioListener>();
  #remote = new Int16Array(0);
  #tones: (() => void) | undefined;
  /** The way in for another leg. */
  #bridge: BridgeInput | undefined;
  #settings: StreamSettings | undefined;
  /** Made by the first keys; kept when a call goes in clear for a while, so that no number is used twice. */
  #protection: SrtpProtection | undefined;
  /** Packets that were not authentic, or came twice, or from elsewhere. */
  #rejected = 0;
  #started = false;
  /** Where the peer's reports come from, once they did. */
  #rtcpSource: Endpoint | undefined;
  /** When listening began, for the timeout, and when the silence was reported. */
  #silentSince: number | undefined;
  #lastReportAt = -Infinity;
  #sends = 0;
  #failed = false;
  #closing: Promise<MediaStatistics> | undefined;

  constructor(options: RtpSessionOptions) {
    this.#sockets = options.sockets;
    this.#family = isIP(options.sockets.address) === 6 ? 6 : 4;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#onTurn = options.onTurn;
    this.#mediaTimeoutMs = options.mediaTimeoutMs;
    const { random, events } = options;
    this.#player = new Player((id, result) => events.onPlaybackDone(id, result));
    this.#sender = new RtpSender({
      ssrc: randomInteger(random, 0x1_0000_0000),
      // The upper half is left free, so that a first wrap does not come in the first seconds.
      sequenceNumber: randomInteger(random, 0x8000),
      timestamp: randomInteger(random, 0x1_0000_0000),
      player: this.#player,
      onDigitsSent: (id, sent) => events.onDigitsSent(id, sent),
    });
    this.#receiver = new RtpReceiver({
      ownSsrc: this.#sender.ssrc,
      onDigit: ({ digit, duration }) => events.onDigit(digit, duration, "rfc4733"),
    });
    this.#reporter = new RtcpReporter(this.#sender, this.#receiver, random);
    this.#listen(options.sockets.rtp, (data, from) => this.#rtpDatagram(data, from));
    this.#listen(options.sockets.rtcp, (data, from) => this.#rtcpDatagram(data, from));
  }

  get port(): number {
    return this.#sockets.port;
  }

  /** Hz of what is played and heard: that of the codec in use. */
  get lineRate(): number {
    return this.#player.lineRate;
  }

  get periodMs(): number {
    return this.#settings?.ptime ?? DEFAULT_PERIOD_MS;
  }

  configure(settings: StreamSettings | undefined, started: boolean): void {
    const normal = settings && {
      ...settings,
      address: canonicalAddress(settings.address),
      rtcpAddress: canonicalAddress(settings.rtcpAddress),
      signallingAddress: canonicalAddress(settings.signallingAddress),
    };
    this.#settings = normal;
    this.#started = started;
    this.#silentSince = undefined;
    this.#rtcpSource = undefined;
    if (normal?.srtp) {
      if (this.#protection) this.#protection.configure(normal.srtp);
      else this.#protection = new SrtpProtection(normal.srtp);
    }
    this.#receiver.configure(normal, this.#clock.now());
    this.#sender.configure(normal);
    this.#bridge?.attach();
    this.#listenForTones(normal !== undefined && normal.eventsReceived.length === 0);
  }

  play(request: PlayRequest): void {
    this.#player.play(request);
  }

  stop(playback: number): void {
    this.#player.stop(playback);
  }

  pause(playback: number, paused: boolean): void {
    this.#player.pause(playback, paused);
  }

  /** @returns false when too many requests wait. */
  sendDigits(request: DigitRequest): boolean {
    return this.#sender.sendDigits(request);
  }

  /** Hears the call from the next packet time on. @returns a function that ends it. */
  listen(listener: AudioListener): () => void {
    this.#listeners.add(listener);
    this.#receiver.hear(true);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#receiver.hear(false);
    };
  }

  /**
   * Joins it to another leg, in place of the one before: what plays here ends, what the peer says goes to `sink`.
   *
   * @param request - Number of the request: plays that were asked for before it begin no more.
   * @returns where what is said there goes in.
   */
  join(sink: PacketSink, request: number): PacketSink {
    this.leave();
    this.#player.stopAll(request);
    this.#bridge = new BridgeInput(this.#bridgeHost());
    this.#receiver.relayTo(sink);
    return this.#bridge;
  }

  /** Takes it out of its bridge. Idempotent. */
  leave(): void {
    this.#receiver.relayTo(undefined);
    this.#bridge?.close();
    this.#bridge = undefined;
  }

  tick(nowMs: number): void {
    if (this.#closing) return;
    this.#receiver.tick(nowMs);
    if (!this.#started) return;
    const settings = this.#settings;
    const target = settings?.maySend === true ? this.#target(settings) : undefined;
    const packet = this.#sender.tick(target !== undefined, this.#listeners.size > 0);
    if (packet && target) this.#sendRtp(packet, target);
    this.#sender.sent();
    if (this.#listeners.size > 0) {
      this.#hear(nowMs, packet !== undefined || (target !== undefined && this.#sender.relaying));
    }
    if (this.#reporter.due(nowMs)) this.#sendReport(nowMs, false);
    if (this.#mediaTimeoutMs > 0) this.#watch(settings, nowMs);
  }

  skipped(ms: number): void {
    this.#sender.skip(ms);
  }

  /** Ends everything with a last report. Idempotent. @returns when the ports are free. */
  close(): Promise<MediaStatistics> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** So far. */
  get statistics(): MediaStatistics {
    return {
      packetsSent: this.#sender.packetsSent,
      packetsReceived: this.#receiver.packetsReceived,
      packetsLost: this.#receiver.packetsLost,
      jitter: rounded(this.#receiver.jitterMs),
      roundTrip: rounded(this.#reporter.roundTripMs),
      concealed: Math.round(this.#receiver.concealedMs),
      packetsRejected: this.#protection === undefined ? undefined : this.#rejected,
    };
  }

  async #close(): Promise<MediaStatistics> {
    const { statistics } = this;
    this.leave();
    this.#player.stopAll();
    this.#sender.close();
    this.#listeners.clear();
    this.#receiver.close();
    if (this.#started && this.#sender.packetsSent > 0) this.#sendReport(this.#clock.now(), true);
    await this.#sockets.close();
    return statistics;
  }

  /** Tones count as digits only where no events were negotiated, so that none counts twice. */
  #listenForTones(wanted: boolean): void {
    if (wanted === (this.#tones !== undefined)) return;
    this.#tones?.();
    this.#tones = wanted
      ? this.listen(
          new InbandDigits(({ digit, duration }) => {
            this.#events.onDigit(digit, duration, "inband");
          }),
        )
      : undefined;
  }

  /** @param audible - What was played was sent, too. */
  #hear(nowMs: number, audible: boolean): void {
    const local = this.#sender.samples;
    const count = local.length;
    if (count === 0) return;
    if (this.#remote.length !== count) this.#remote = new Int16Array(count);
    if (!audible) local.fill(0);
    const sampleRate = this.#player.lineRate;
    this.#receiver.pull(this.#remote, count, sampleRate, nowMs);
    const { concealing } = this.#receiver;
    for (const listener of this.#listeners) {
      listener.frame(this.#remote, local, count, sampleRate, concealing);
    }
  }

  #bridgeHost(): BridgeHost {
    const sender = this.#sender;
    return {
      clock: this.#clock,
      player: this.#player,
      codec: () => this.#settings?.send.codec,
      isHeard: () => this.#listeners.size > 0,
      pass: (datagram, header, duration) => {
        const settings = this.#settings;
        const target =
          this.#started && settings?.maySend === true ? this.#target(settings) : undefined;
        const packet = target && sender.relay(datagram, header, duration);
        if (packet && target) this.#sendRtp(packet, target);
      },
      skip: (header) => sender.skipRelayed(header),
      passNoMore: () => sender.endRelay(),
      press: (event) => {
        if (sender.press(event)) this.#events.onKeyPassed?.(EVENT_DIGITS.charAt(event));
      },
      release: (durationMs) => sender.release(durationMs),
    };
  }

  #sendRtp(packet: Buffer, target: Endpoint): void {
    const sealed = this.#settings?.srtp ? this.#protection?.protectRtp(packet) : packet;
    if (sealed) this.#send(this.#sockets.rtp, sealed, target);
  }

  #listen(socket: Socket, take: (data: Buffer, from: Endpoint) => void): void {
    socket.on("message", take);
    socket.on("error", (error) => this.#fail(error));
  }

  #rtpDatagram(datagram: Buffer, from: Endpoint): void {
    if (this.#closing) return;
    if (looksLikeRtcp(datagram)) this.#rtcpDatagram(datagram, from);
    else {
      const packet = this.#opened(datagram, from, false);
      const now = this.#clock.now();
      if (packet) this.#receiver.datagram(packet, from.address, from.port, now);
      this.#onTurn?.(now);
    }
  }

  /** What is in a packet: nothing of it is read before its tag was found right. Undefined = dropped and counted. */
  #opened(datagram: Buffer, from: Endpoint, isRtcp: boolean): Buffer | undefined {
    if (this.#settings?.srtp === undefined) return datagram;
    // STUN and the like, to keep a way open: no packet of ours, and nobody's forgery.
    if (datagram[0] >> 6 !== 2) return undefined;
    const latched = this.#receiver.source;
    const elsewhere =
      latched !== undefined &&
      (latched.address !== from.address || (!isRtcp && latched.port !== from.port));
    // What comes from elsewhere is dropped in any case, and must not cost the work of reckoning its tag.
    const packet = elsewhere
      ? undefined
      : isRtcp
        ? this.#protection?.unprotectRtcp(datagram)
        : this.#protection?.unprotectRtp(datagram);
    if (packet === undefined) this.#rejected += 1;
    return packet;
  }

  /** Reports count only from the host that the packets come from, or shall come from. */
  #rtcpDatagram(datagram: Buffer, from: Endpoint): void {
    const settings = this.#settings;
    if (settings === undefined || this.#closing) return;
    const { address, port } = from;
    const latched = this.#receiver.source;
    const trusted = latched
      ? address === latched.address
      : address === settings.rtcpAddress || address === settings.address;
    if (!trusted) return;
    const report = this.#opened(datagram, from, true);
    if (report && this.#reporter.datagram(report, this.#clock.now(), this.#clock.wallTime())) {
      this.#rtcpSource = { address, port };
      this.#lastReportAt = this.#clock.now();
    }
  }

  /** Where packets go: back to where they come from, else as described (symmetric RTP). */
  #target(settings: StreamSettings): Endpoint | undefined {
    const latched = this.#receiver.source;
    if (latched) return latched;
    if (settings.port === 0) return undefined;
    if (isIP(settings.address) === this.#family) return settings;
    // A name, or an address of the other family: what the signalling shows is the best guess.
    if (isIP(settings.signallingAddress) !== this.#family) return undefined;
    return { address: settings.signallingAddress, port: settings.port };
  }

  #rtcpTarget(settings: StreamSettings): Endpoint | undefined {
    if (settings.rtcpMux) return this.#target(settings);
    if (this.#rtcpSource) return this.#rtcpSource;
    const latched = this.#receiver.source;
    const described = latched === undefined || latched.address === settings.address;
    if (described && isIP(settings.rtcpAddress) === this.#family && settings.rtcpPort > 0) {
      return { address: settings.rtcpAddress, port: settings.rtcpPort };
    }
    const target = this.#target(settings);
    return target && { address: target.address, port: Math.min(target.port + 1, 65_535) };
  }

  #sendReport(nowMs: number, bye: boolean): void {
    const settings = this.#settings;
    const target = settings && this.#rtcpTarget(settings);
    if (target === undefined || isUnspecified(target.address)) return;
    const report = this.#reporter.report(nowMs, this.#clock.wallTime(), bye);
    const sealed = settings?.srtp ? this.#protection?.protectRtcp(report) : report;
    const { rtp, rtcp } = this.#sockets;
    if (sealed) this.#send(settings?.rtcpMux === true ? rtp : rtcp, sealed, target);
  }

  #send(socket: Socket, packet: Buffer, target: Endpoint): void {
    try {
      const done = this.#sends++ % ASKED_EVERY === 0 ? this.#onSent : undefined;
      socket.send(packet, target.port, target.address, done);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** One function for all packets. */
  readonly #onSent = (error: Error | null): void => {
    if (error) this.#fail(error);
  };

  /** An unreachable network comes and goes; the call lives, and it is told once. */
  #fail(error: unknown): void {
    if (this.#failed || this.#closing) return;
    this.#failed = true;
    this.#events.onError(`RTP on port ${this.port}: ${errorText(error)}`);
  }

  /** Reports a silence of the peer, and once more each time it has lasted as long again. */
  #watch(settings: StreamSettings | undefined, nowMs: number): void {
    if (settings?.mayReceive !== true) {
      this.#silentSince = undefined;
      return;
    }
    this.#silentSince ??= nowMs;
    // Who is silent, and does not send his silence, still reports (RFC 3550 §6).
    const heardAt = Math.max(this.#receiver.lastPacketAt ?? -Infinity, this.#lastReportAt);
    if (nowMs - Math.max(this.#silentSince, heardAt) < this.#mediaTimeoutMs) return;
    this.#silentSince = nowMs;
    this.#events.onMediaTimeout();
  }
}

/** To hundredths. */
function rounded<T extends number | undefined>(value: T): T {
  return (value === undefined ? value : Math.round(value * 100) / 100) as T;
}

function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || address === "::" || address === "";
}
