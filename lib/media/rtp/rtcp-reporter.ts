/**
 * When a session reports and what it learns from the reports of the peer (RFC 3550 §6.2, §6.4): every five seconds,
 * varied by half, the first after half the time.
 */
import { randomFraction, randomToken } from "../../foundation/index.js";
import type { RandomSource } from "../../foundation/index.js";
import { compactNtp, ntpTime, readRtcp, writeRtcp } from "./rtcp-packet.js";
import type { RtpReceiver } from "./rtp-receiver.js";
import type { RtpSender } from "./rtp-sender.js";

const INTERVAL_MS = 5_000;
/** RFC 3550 §6.3.1: the mean of the varied interval is brought back to what it should be. */
const COMPENSATION = Math.E - 1.5;
/** A round trip longer than this is a mistake of somebody's clock. */
const LONGEST_ROUND_TRIP_MS = 60_000;

export class RtcpReporter {
  readonly #sender: RtpSender;
  readonly #receiver: RtpReceiver;
  readonly #random: RandomSource;
  /** RFC 7022 §4.2: random, it names no person and no machine. */
  readonly #canonicalName: string;
  #nextAt: number | undefined;
  #sentBefore = 0;
  #lastSenderReport = 0;
  #lastSenderReportAt = 0;
  #lastSenderReportSsrc: number | undefined;
  #roundTripMs: number | undefined;

  constructor(sender: RtpSender, receiver: RtpReceiver, random: RandomSource) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.#random = random;
    this.#canonicalName = randomToken(random, 16);
  }

  /** Milliseconds, of the last report that allowed to reckon it. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** Is a report due? Asked regularly; the first call starts the time. */
  due(nowMs: number): boolean {
    if (this.#nextAt === undefined) this.#nextAt = nowMs + this.#interval() / 2;
    if (nowMs < this.#nextAt) return false;
    this.#nextAt = nowMs + this.#interval();
    return true;
  }

  /** The report to send now; with `bye` the last one. */
  report(nowMs: number, wallTimeMs: number, bye = false): Buffer {
    const { packetsSent, octetsSent, ssrc, timestamp } = this.#sender;
    const time = ntpTime(wallTimeMs);
    const isSender = packetsSent !== this.#sentBefore;
    this.#sentBefore = packetsSent;
    const known = this.#lastSenderReportSsrc === this.#receiver.remoteSsrc;
    const block = this.#receiver.report(
      known ? this.#lastSenderReport : 0,
      known ? Math.round((nowMs - this.#lastSenderReportAt) * 65.536) : 0,
    );
    return writeRtcp({
      ssrc,
      sender: isSender
        ? {
            ntpSeconds: time.seconds,
            ntpFraction: time.fraction,
            rtpTimestamp: timestamp,
            packetCount: packetsSent,
            octetCount: octetsSent,
          }
        : undefined,
      blocks: block ? [block] : [],
      canonicalName: this.#canonicalName,
      bye,
    });
  }

  /** Takes a datagram from the RTCP port of the peer. @returns false when it is no RTCP. */
  datagram(datagram: Buffer, nowMs: number, wallTimeMs: number): boolean {
    const packets = readRtcp(datagram);
    if (packets === undefined) return false;
    for (const packet of packets) {
      if (packet.type === "bye") continue;
      if (packet.sender) {
        this.#lastSenderReport = compactNtp({
          seconds: packet.sender.ntpSeconds,
          fraction: packet.sender.ntpFraction,
        });
        this.#lastSenderReportAt = nowMs;
        this.#lastSenderReportSsrc = packet.ssrc;
      }
      for (const block of packet.blocks) {
        if (block.ssrc === this.#sender.ssrc && block.lastSenderReport !== 0) {
          const now = compactNtp(ntpTime(wallTimeMs));
          const units = (now - block.lastSenderReport - block.delaySinceLastSenderReport) >>> 0;
          const ms = units / 65.536;
          if (ms < LONGEST_ROUND_TRIP_MS) this.#roundTripMs = ms;
        }
      }
    }
    return true;
  }

  #interval(): number {
    return (INTERVAL_MS * (0.5 + randomFraction(this.#random))) / COMPENSATION;
  }
}
