/**
 * The jitter buffer: takes packets as they come, gives an even stream of samples in our own time. It waits as long as
 * the packets of the last seconds were apart (20 to 200 ms), puts them in order, hides the missing ones, and keeps up
 * with a sender whose clock is faster or slower than ours.
 */
import type { AudioDecoder } from "../codec/audio-codec.js";
import { LONGEST_PACKET_MS } from "../codec/audio-codec.js";
import { shortenBy } from "./shorten.js";
import { timestampDistance } from "./rtp-packet.js";

/** How a payload is decoded. */
export interface PlayoutFormat {
  readonly decoder: AudioDecoder;
  /** Hz of its samples and of its RTP timestamps. */
  readonly sampleRate: number;
  readonly clockRate: number;
}

interface StoredPacket {
  readonly timestamp: number;
  readonly payload: Uint8Array;
  readonly format: PlayoutFormat;
}

export interface PlayoutStatistics {
  /** Milliseconds of sound that were made up. */
  readonly concealedMs: number;
  /** Packets that came after their time. */
  readonly late: number;
  /** Milliseconds that the buffer aims to hold now. */
  readonly targetMs: number;
}

const SHORTEST_DELAY_MS = 20;
const LONGEST_DELAY_MS = 200;
/** Delays of so many packets are remembered, 2.5 s of 20 ms. */
const REMEMBERED = 128;
/** The target is reckoned anew after so many packets. */
const RECKON_EVERY = 16;
/** The share of packets that shall be in time. */
const IN_TIME = 0.97;
const MOST_PACKETS = 128;
/** A jump of timestamps by more than this begins a new stream. */
const NEW_STREAM_MS = 2_000;
/** After so much made-up sound in a row the buffer waits for packets to fill it again. */
const GIVE_UP_MS = 120;
/** The lowest filling is looked at in windows this long, to find what is too much. */
const WATCH_MS = 500;
/** A lost packet of this length is recovered whole. */
const RECOVERABLE_MS = 20;
/** What is held above the target before a little is left out. */
const SLACK_MS = 15;
/** Far above the target something came in a burst: it is skipped at once. */
const FAR_ABOVE_MS = 300;

export class PlayoutBuffer {
  readonly #packets: StoredPacket[] = [];
  /** Decoded, not yet given. */
  #ready = new Int16Array(0);
  #readyCount = 0;
  #decoded = new Int16Array(0);
  /** Of the next sample to decode; undefined while waiting for the first packets. */
  #next: number | undefined;
  /** When the first packet of the wait came. */
  #waitingSince: number | undefined;
  /** Samples that were made up in a row, and units of them that stretched the stream. */
  #madeUp = 0;
  #stretched = 0;
  #format: PlayoutFormat | undefined;
  /** Transit times, milliseconds, in a ring. */
  readonly #transits = new Float64Array(REMEMBERED);
  #transitCount = 0;
  /** Unwraps timestamps for the transit times. */
  #transitOrigin = 0;
  #targetMs = 40;
  #lowest = Infinity;
  #watchedSince = 0;
  #concealedMs = 0;
  #concealing = false;
  #late = 0;

  get statistics(): PlayoutStatistics {
    return { concealedMs: this.#concealedMs, late: this.#late, targetMs: this.#targetMs };
  }

  /** Something in what was given last was made up. */
  get concealing(): boolean {
    return this.#concealing;
  }

  /** Takes one packet; `payload` must stay as it is. */
  push(timestamp: number, payload: Uint8Array, format: PlayoutFormat, nowMs: number): void {
    if (this.#format?.clockRate !== undefined && this.#format.clockRate !== format.clockRate) {
      this.reset();
    }
    const newest = this.#packets.at(-1)?.timestamp ?? this.#next;
    const jump = newest === undefined ? 0 : timestampDistance(timestamp, newest);
    if (Math.abs(jump) > (NEW_STREAM_MS * format.clockRate) / 1000) this.reset();
    if (this.#next !== undefined && timestampDistance(timestamp, this.#next) < 0) {
      this.#late += 1;
      this.#remember(timestamp, format.clockRate, nowMs);
      return;
    }
    if (!this.#insert({ timestamp, payload, format })) return;
    this.#remember(timestamp, format.clockRate, nowMs);
    this.#waitingSince ??= nowMs;
  }

  /** Everything of before is forgotten: another source, or a stream that begins anew. */
  reset(): void {
    this.#packets.length = 0;
    this.#readyCount = 0;
    this.#next = undefined;
    this.#waitingSince = undefined;
    this.#madeUp = 0;
    this.#stretched = 0;
    this.#transitCount = 0;
    this.#format = undefined;
    this.#lowest = Infinity;
  }

  /**
   * Fills `count` samples of `sampleRate`, silence where there is nothing. What was sent at another rate is given at
   * its own: the caller asks for the rate first.
   *
   * @returns false when all of it is silence because nothing comes.
   */
  pull(target: Int16Array, count: number, nowMs: number): boolean {
    this.#concealing = false;
    if (!this.#begin(nowMs)) {
      target.fill(0, 0, count);
      return false;
    }
    while (this.#readyCount < count && this.#decodeNext(count - this.#readyCount));
    const given = Math.min(count, this.#readyCount);
    target.set(this.#ready.subarray(0, given));
    target.fill(0, given, count);
    this.#ready.copyWithin(0, given, this.#readyCount);
    this.#readyCount -= given;
    this.#keepUp(nowMs);
    return given > 0;
  }

  /** Hz of what `pull` gives next; undefined before the first packet. */
  get sampleRate(): number | undefined {
    return (this.#format ?? this.#packets.at(0)?.format)?.sampleRate;
  }

  /** Whether sound can be given: after the first packets it waits until enough is there. */
  #begin(nowMs: number): boolean {
    if (this.#next !== undefined) return true;
    const first = this.#packets.at(0);
    if (first === undefined || this.#waitingSince === undefined) return false;
    if (nowMs - this.#waitingSince < this.#targetMs && this.heldMs < this.#targetMs) return false;
    this.#next = first.timestamp;
    this.#format = first.format;
    this.#madeUp = 0;
    this.#lowest = Infinity;
    this.#watchedSince = nowMs;
    return true;
  }

  /** @returns false when nothing can be added. */
  #decodeNext(wanted: number): boolean {
    const next = this.#next ?? 0;
    const packet = this.#packets.at(0);
    const format = this.#format;
    if (format === undefined) return false;
    if (packet === undefined) return this.#makeUp(format, wanted, false);
    const gap = timestampDistance(packet.timestamp, next);
    if (gap > 0) {
      // It was missing and not late: the stretch has covered it already.
      const covered = Math.min(gap, this.#stretched);
      this.#stretched = 0;
      this.#next = (next + covered) >>> 0;
      if (covered === gap) return true;
      const missing = Math.round(((gap - covered) * format.sampleRate) / format.clockRate);
      if (this.#recover(packet, missing, wanted)) return true;
      return this.#makeUp(format, Math.min(wanted, missing), true);
    }
    this.#stretched = 0;
    this.#packets.shift();
    this.#format = packet.format;
    const { sampleRate, clockRate, decoder } = packet.format;
    const room = (LONGEST_PACKET_MS * sampleRate) / 1000;
    if (this.#decoded.length < room) this.#decoded = new Int16Array(room);
    const count = decoder.decode(packet.payload, 0, packet.payload.length, this.#decoded);
    this.#add(this.#decoded, count);
    const units = Math.round((count * clockRate) / sampleRate);
    this.#next = (packet.timestamp + units) >>> 0;
    if (count > 0) this.#madeUp = 0;
    return true;
  }

  /**
   * Sound in place of what is missing. When a later packet is there it counts as played; when nothing is there the
   * stream is stretched, for what is late is still to come.
   */
  #makeUp(format: PlayoutFormat, count: number, passes: boolean): boolean {
    if (count <= 0) return false;
    if (this.#decoded.length < count) this.#decoded = new Int16Array(count);
    format.decoder.conceal(this.#decoded, count);
    this.#add(this.#decoded, count);
    this.#madeUp += count;
    this.#concealing = true;
    const milliseconds = (count * 1000) / format.sampleRate;
    this.#concealedMs += milliseconds;
    const units = Math.round((count * format.clockRate) / format.sampleRate);
    if (passes) this.#next = ((this.#next ?? 0) + units) >>> 0;
    else this.#stretched += units;
    if (!passes && (this.#madeUp * 1000) / format.sampleRate > GIVE_UP_MS) {
      // Nobody speaks any more: the next packet begins a new stretch.
      this.#next = undefined;
      this.#waitingSince = undefined;
      this.#stretched = 0;
    }
    return true;
  }

  /** Takes a lost packet from what the one after it repeats. Not more than is due now, for the rest may still come. */
  #recover({ payload, format, timestamp }: StoredPacket, missing: number, wanted: number): boolean {
    const { decoder, sampleRate } = format;
    if (decoder.recover === undefined || format !== this.#format) return false;
    if (missing > Math.max(wanted, (RECOVERABLE_MS * sampleRate) / 1000)) return false;
    if (this.#decoded.length < missing) this.#decoded = new Int16Array(missing);
    if (!decoder.recover(payload, 0, payload.length, this.#decoded, missing)) return false;
    this.#add(this.#decoded, missing);
    this.#madeUp += missing;
    this.#concealedMs += (missing * 1000) / sampleRate;
    this.#next = timestamp;
    return true;
  }

  #add(samples: Int16Array, count: number): void {
    const needed = this.#readyCount + count;
    if (this.#ready.length < needed) {
      const larger = new Int16Array(needed * 2);
      larger.set(this.#ready.subarray(0, this.#readyCount));
      this.#ready = larger;
    }
    this.#ready.set(samples.subarray(0, count), this.#readyCount);
    this.#readyCount = needed;
  }

  /** @returns false for a packet that is there already, or that has no place. */
  #insert(packet: StoredPacket): boolean {
    const packets = this.#packets;
    let place = packets.length;
    while (place > 0) {
      const distance = timestampDistance(packet.timestamp, packets[place - 1].timestamp);
      if (distance > 0) break;
      if (distance === 0) return false;
      place -= 1;
    }
    if (packets.length >= MOST_PACKETS) {
      packets.shift();
      place = Math.max(0, place - 1);
    }
    packets.splice(place, 0, packet);
    return true;
  }

  /** How much later than the fastest packets did this one come? */
  #remember(timestamp: number, clockRate: number, nowMs: number): void {
    if (this.#transitCount === 0) this.#transitOrigin = timestamp;
    const sent = (timestampDistance(timestamp, this.#transitOrigin) * 1000) / clockRate;
    this.#transits[this.#transitCount % REMEMBERED] = nowMs - sent;
    this.#transitCount += 1;
    if (this.#transitCount % RECKON_EVERY !== 0) return;
    const known = this.#transits.slice(0, Math.min(this.#transitCount, REMEMBERED)).sort();
    const spread = known[Math.floor((known.length - 1) * IN_TIME)] - known[0];
    const wanted = Math.min(LONGEST_DELAY_MS, Math.max(SHORTEST_DELAY_MS, spread + 10));
    // Grows at once, shrinks slowly: the next burst is like the last.
    this.#targetMs =
      wanted > this.#targetMs ? wanted : this.#targetMs + (wanted - this.#targetMs) / 8;
  }

  /** Milliseconds between the next sample and the end of the newest packet. */
  get heldMs(): number {
    const newest = this.#packets.at(-1);
    if (newest === undefined) return 0;
    const { clockRate } = newest.format;
    const from = this.#next ?? this.#packets[0].timestamp;
    return (timestampDistance(newest.timestamp, from) * 1000) / clockRate + 20;
  }

  /** Leaves a little out when more than needed is held for a while: our clock is slower, or a burst came. */
  #keepUp(nowMs: number): void {
    const format = this.#format;
    if (this.#next === undefined || format === undefined) return;
    const held = this.#packets.length === 0 ? 0 : this.heldMs;
    if (held > this.#targetMs + FAR_ABOVE_MS) {
      this.#skipTo(this.#targetMs);
      return;
    }
    this.#lowest = Math.min(this.#lowest, held);
    if (nowMs - this.#watchedSince < WATCH_MS) return;
    const excess = this.#lowest - this.#targetMs;
    this.#lowest = Infinity;
    this.#watchedSince = nowMs;
    if (excess < SLACK_MS) return;
    // Enough to see a whole period of a voice.
    const enough = Math.round(0.03 * format.sampleRate);
    while (this.#readyCount < enough && this.#packets.length > 0) {
      if (!this.#decodeNext(enough - this.#readyCount)) break;
    }
    this.#readyCount = shortenBy(this.#ready, this.#readyCount, format.sampleRate);
  }

  #skipTo(heldMs: number): void {
    while (this.#packets.length > 1 && this.heldMs > heldMs) {
      this.#packets.shift();
      this.#next = this.#packets[0].timestamp;
    }
    this.#readyCount = 0;
    this.#lowest = Infinity;
  }
}
