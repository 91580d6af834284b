/**
 * What another leg's peer says, on its way to ours: packets of the codec that our peer gets anyway go out as they
 * come, others are decoded by a playout buffer of their own and heard as the bridge of our player. Which of the two is
 * decided anew for every packet.
 */
import type { Clock } from "../../foundation/index.js";
import type { SampleSource } from "../audio/audio-source.js";
import type { Player } from "../audio/player.js";
import type { AudioCodec } from "../codec/audio-codec.js";
import { audioCodec } from "../codec/codecs.js";
import { PlayoutBuffer } from "./playout-buffer.js";
import type { PlayoutFormat } from "./playout-buffer.js";
import { PlayoutReader } from "./playout-reader.js";
import type { RtpHeader } from "./rtp-packet.js";

/** Takes what one peer says, for another. Must not throw. */
export interface PacketSink {
  /**
   * One valid packet of sound from the source that is listened to. The bytes before its payload may be overwritten;
   * the payload stays as it is.
   *
   * @param codec - Upper case.
   */
  audio(datagram: Buffer, header: RtpHeader, codec: string): void;
  /** A packet of that source that is no sound to pass on: comfort noise, or part of a key. */
  other(header: RtpHeader): void;
  /** A key is down (RFC 4733). @param event - 0–15. */
  pressed(event: number): void;
  /** It is up again. @param durationMs - how long it was down. */
  released(durationMs: number): void;
}

/** What the input needs of its session. */
export interface BridgeHost {
  readonly clock: Clock;
  readonly player: Player;
  /** Of what is sent now, upper case; undefined = nothing is negotiated. */
  codec(): string | undefined;
  /** Somebody records or streams the session: what is passed on must be decoded nevertheless. */
  isHeard(): boolean;
  /**
   * Sends a packet of that codec as it is, unless something covers it.
   *
   * @param duration - Of its payload, in units of the codec's clock.
   */
  pass(datagram: Buffer, header: RtpHeader, duration: number): void;
  /** A packet of the same source is not passed on. */
  skip(header: RtpHeader): void;
  /** From now on our own packets go out. */
  passNoMore(): void;
  press(event: number): void;
  release(durationMs: number): void;
}

export class BridgeInput implements PacketSink {
  readonly #host: BridgeHost;
  readonly #playout = new PlayoutBuffer();
  readonly #reader = new PlayoutReader(this.#playout);
  /** By codec; they are few. */
  readonly #formats = new Map<string, PlayoutFormat>();
  #ssrc: number | undefined;
  #lastCodec: AudioCodec | undefined;
  #passing = false;
  #closed = false;

  constructor(host: BridgeHost) {
    this.#host = host;
    this.attach();
  }

  /** The line of the session may have another rate now. */
  attach(): void {
    const { player, clock } = this.#host;
    const sampleRate = player.lineRate;
    const source: SampleSource = {
      sampleRate,
      ended: false,
      failed: false,
      read: (target, count) =>
        this.#reader.read(target, count, sampleRate, clock.now()) ? count : 0,
      close: () => undefined,
    };
    player.setBridge(source);
  }

  audio(datagram: Buffer, header: RtpHeader, codec: string): void {
    if (this.#closed) return;
    const host = this.#host;
    const passes = codec === host.codec();
    if (this.#passing && !passes) host.passNoMore();
    this.#passing = passes;
    if (!passes || host.isHeard()) this.#keep(datagram, header, codec);
    else if (this.#ssrc !== undefined) this.#forget();
    if (!passes) return;
    const { payloadStart, payloadEnd } = header;
    const duration = this.#codec(codec)?.duration(datagram, payloadStart, payloadEnd) ?? 0;
    if (duration > 0) host.pass(datagram, header, duration);
  }

  other(header: RtpHeader): void {
    if (this.#passing) this.#host.skip(header);
  }

  pressed(event: number): void {
    if (!this.#closed) this.#host.press(event);
  }

  released(durationMs: number): void {
    if (!this.#closed) this.#host.release(durationMs);
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.player.setBridge(undefined);
    this.#host.passNoMore();
    // A key that is down there is no longer down here.
    this.#host.release(0);
    this.#playout.reset();
    for (const { decoder } of this.#formats.values()) decoder.close();
    this.#formats.clear();
  }

  /** What waits would be heard when decoding begins again, long after it was said. */
  #forget(): void {
    this.#ssrc = undefined;
    this.#playout.reset();
  }

  #keep(datagram: Buffer, header: RtpHeader, codec: string): void {
    const format = this.#format(codec);
    if (format === undefined) return;
    if (this.#ssrc !== header.ssrc) {
      this.#ssrc = header.ssrc;
      this.#playout.reset();
    }
    const payload = datagram.subarray(header.payloadStart, header.payloadEnd);
    this.#playout.push(header.timestamp, payload, format, this.#host.clock.now());
  }

  /** The same one nearly always. */
  #codec(name: string): AudioCodec | undefined {
    if (this.#lastCodec?.name !== name) this.#lastCodec = audioCodec(name);
    return this.#lastCodec;
  }

  #format(name: string): PlayoutFormat | undefined {
    const known = this.#formats.get(name);
    if (known) return known;
    const codec = this.#codec(name);
    if (codec === undefined) return undefined;
    const { sampleRate, clockRate } = codec;
    const format = { decoder: codec.createDecoder(), sampleRate, clockRate };
    this.#formats.set(name, format);
    return format;
  }
}
