/**
 * Another leg's packets as part of our stream: their sequence numbers and timestamps are moved by a constant, so that
 * what was lost, late or doubled on their way is so on ours, too, and the peer sees one continuous stream
 * (RFC 3550 §7.1). A new stretch begins, right after what was sent before, whenever the constant can no longer hold.
 */
import { timestampDistance } from "./rtp-packet.js";
import type { RtpHeader } from "./rtp-packet.js";

/** Where our stream is: the numbers of its next packet. */
export interface StreamPosition {
  readonly sequenceNumber: number;
  readonly timestamp: number;
}

/** Packets this far behind belong to a stream that began anew (RFC 3550 A.1). */
const MOST_MISORDER = 100;
/** A jump ahead by more is no loss. */
const MOST_DROPOUT = 3_000;
/** A jump of timestamps by more than this is another beginning. */
const NEW_STREAM_SECONDS = 2;

export class RelayMapping {
  #active = false;
  #ssrc = 0;
  #sequenceOffset = 0;
  #timestampOffset = 0;
  /** Of the newest packet, as it came. */
  #highest = 0;
  #newest = 0;
  /** Numbers before the newest one that belong to this stretch. */
  #behind = 0;

  /** Of the last packet that was mapped. */
  sequenceNumber = 0;
  timestamp = 0;
  /** It is the first of a stretch. */
  begins = false;
  /** No later one was mapped before. */
  isNewest = false;

  /** Something else was sent: the next packet begins a stretch. */
  interrupt(): void {
    this.#active = false;
  }

  /**
   * @param next - Where a new stretch would begin.
   * @param clockRate - Hz of the timestamps.
   * @returns false for a packet from before the stretch, whose numbers are taken.
   */
  map(
    header: Pick<RtpHeader, "ssrc" | "sequenceNumber" | "timestamp">,
    next: StreamPosition,
    clockRate: number,
  ): boolean {
    const distance = sequenceDistance(header.sequenceNumber, this.#highest);
    this.begins = !this.#active || this.#isAnother(header, distance, clockRate);
    if (this.begins) this.#begin(header, next);
    else if (distance <= 0 && -distance > this.#behind) return false;
    this.isNewest = this.begins || distance > 0;
    if (this.isNewest) {
      if (!this.begins) this.#behind = Math.min(MOST_MISORDER, this.#behind + distance);
      this.#highest = header.sequenceNumber;
      this.#newest = header.timestamp;
    }
    this.sequenceNumber = (header.sequenceNumber + this.#sequenceOffset) & 0xffff;
    this.timestamp = (header.timestamp + this.#timestampOffset) >>> 0;
    return true;
  }

  /** A packet of the source that is not passed on has taken a number: it leaves no gap here. */
  skip(header: Pick<RtpHeader, "ssrc" | "sequenceNumber">): void {
    const distance = sequenceDistance(header.sequenceNumber, this.#highest);
    if (!this.#active || header.ssrc !== this.#ssrc) return;
    if (distance <= 0 || distance > MOST_DROPOUT) return;
    this.#sequenceOffset -= 1;
    this.#highest = header.sequenceNumber;
    this.#behind = 0;
  }

  #begin(
    header: Pick<RtpHeader, "ssrc" | "sequenceNumber" | "timestamp">,
    next: StreamPosition,
  ): void {
    this.#active = true;
    this.#ssrc = header.ssrc;
    this.#sequenceOffset = next.sequenceNumber - header.sequenceNumber;
    this.#timestampOffset = next.timestamp - header.timestamp;
    this.#behind = 0;
  }

  /** Another source, or one that has begun anew. */
  #isAnother(
    header: Pick<RtpHeader, "ssrc" | "timestamp">,
    distance: number,
    clockRate: number,
  ): boolean {
    if (header.ssrc !== this.#ssrc) return true;
    if (distance > MOST_DROPOUT || distance < -MOST_MISORDER) return true;
    const jump = timestampDistance(header.timestamp, this.#newest);
    return Math.abs(jump) > NEW_STREAM_SECONDS * clockRate;
  }
}

/** From `b` to `a` on the circle of 16 bits. */
function sequenceDistance(a: number, b: number): number {
  return ((a - b) << 16) >> 16;
}
