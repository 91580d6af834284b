/**
 * Counts of one received source: sequence with wrap-around, loss, jitter (RFC 3550 appendices A.1, A.3, A.8).
 */
import type { ReportBlock } from "./rtcp-packet.js";

/** A jump of the sequence by more than this is a restart of the sender, unless repeated (RFC 3550 A.1). */
const MAX_DROPOUT = 3_000;
/** Packets this much behind are late ones. */
const MAX_MISORDER = 100;
const SEQUENCE_MOD = 0x1_0000;

export class ReceiverStatistics {
  readonly ssrc: number;
  readonly #clockRate: number;
  #baseSequence: number;
  #highestSequence: number;
  #cycles = 0;
  #received = 0;
  /** A jump seen once; the next packet in its row makes it true. */
  #badSequence = -1;
  #expectedBefore = 0;
  #receivedBefore = 0;
  /** Loss of the rows that ended by a restart. */
  #lostBefore = 0;
  #receivedInEarlierRows = 0;
  #transit: number | undefined;
  #jitter = 0;

  /** @param clockRate - Hz of the RTP timestamps. */
  constructor(ssrc: number, firstSequence: number, clockRate: number) {
    this.ssrc = ssrc;
    this.#clockRate = clockRate;
    this.#baseSequence = firstSequence;
    this.#highestSequence = (firstSequence - 1) & 0xffff;
    if (firstSequence === 0) this.#cycles = -SEQUENCE_MOD;
  }

  /**
   * @param timestamp - Undefined for a packet whose timestamp is not that of its sending (RFC 4733 events).
   * @param arrivalMs - Monotonic time.
   * @returns false for a packet that does not count: a jump that may be a stray.
   */
  packet(sequenceNumber: number, timestamp: number | undefined, arrivalMs: number): boolean {
    if (!this.#advance(sequenceNumber)) return false;
    this.#received += 1;
    if (timestamp !== undefined) this.#reckonJitter(timestamp, arrivalMs);
    return true;
  }

  /** Extended highest sequence number. */
  get highest(): number {
    return this.#cycles + this.#highestSequence;
  }

  get received(): number {
    return this.#received;
  }

  /** Since the beginning; doubled packets can make it negative (RFC 3550 §6.4.1). */
  get lost(): number {
    return this.#lostBefore + this.#expected() - (this.#received - this.#receivedInEarlierRows);
  }

  /** Milliseconds. */
  get jitterMs(): number {
    return (this.#jitter / this.#clockRate) * 1000;
  }

  /** A report block about this source; the share lost counts from the last call on. */
  report(lastSenderReport: number, delaySinceLastSenderReport: number): ReportBlock {
    const expected = this.#expected();
    const received = this.#received - this.#receivedInEarlierRows;
    const expectedInterval = expected - this.#expectedBefore;
    const lostInterval = expectedInterval - (received - this.#receivedBefore);
    this.#expectedBefore = expected;
    this.#receivedBefore = received;
    const fractionLost =
      expectedInterval <= 0 || lostInterval <= 0
        ? 0
        : Math.min(255, Math.floor((lostInterval * 256) / expectedInterval));
    return {
      ssrc: this.ssrc,
      fractionLost,
      cumulativeLost: this.lost,
      highestSequence: this.highest >>> 0,
      jitter: Math.floor(this.#jitter),
      lastSenderReport,
      delaySinceLastSenderReport,
    };
  }

  #expected(): number {
    return this.highest - this.#baseSequence + 1;
  }

  #advance(sequenceNumber: number): boolean {
    const ahead = (sequenceNumber - this.#highestSequence) & 0xffff;
    if (ahead < MAX_DROPOUT) {
      if (sequenceNumber < this.#highestSequence) this.#cycles += SEQUENCE_MOD;
      this.#highestSequence = sequenceNumber;
      return true;
    }
    if (ahead >= SEQUENCE_MOD - MAX_MISORDER) return true;
    if (sequenceNumber !== this.#badSequence) {
      this.#badSequence = (sequenceNumber + 1) & 0xffff;
      return false;
    }
    // Two in a row: the sender has begun anew.
    this.#lostBefore = this.lost;
    this.#receivedInEarlierRows = this.#received;
    this.#baseSequence = sequenceNumber;
    this.#highestSequence = sequenceNumber;
    this.#cycles = 0;
    this.#badSequence = -1;
    this.#expectedBefore = 0;
    this.#receivedBefore = 0;
    this.#transit = undefined;
    return true;
  }

  /** RFC 3550 §6.4.1: mean deviation of the difference in transit time, smoothed by 1/16. */
  #reckonJitter(timestamp: number, arrivalMs: number): void {
    const arrival = (arrivalMs / 1000) * this.#clockRate;
    const transit = arrival - timestamp;
    if (this.#transit !== undefined) {
      let difference = Math.abs(transit - this.#transit);
      // The timestamp's 32 bits went round.
      if (difference > 0x8000_0000) difference = Math.abs(difference - 0x1_0000_0000);
      // Longer than ten seconds: the sender's clock jumped, which is no jitter.
      if (difference < 10 * this.#clockRate) this.#jitter += (difference - this.#jitter) / 16;
    }
    this.#transit = transit;
  }
}
