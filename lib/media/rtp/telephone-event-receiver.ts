/**
 * Turns received telephone events into digits, each reported once (RFC 4733 §2.5.2): repeated, lost and late
 * packets make no difference. A digit is reported at its end, or when its packets stop coming.
 */
import { timestampDistance } from "./rtp-packet.js";
import { EVENT_DIGITS, EVENT_PAYLOAD_LENGTH, SEGMENT_UNITS } from "./telephone-event-sender.js";

export interface ReceivedDigit {
  readonly digit: string;
  /** Milliseconds. */
  readonly duration: number;
}

/** No packet for so long: the end was lost. Senders repeat an event every 20 to 100 ms. */
export const EVENT_TIMEOUT_MS = 300;
/** Reported digits per second that a peer is granted; more are no human's. */
const DIGITS_PER_SECOND = 25;
/** A lower timestamp than the last event's by less than this is a late packet, by more another clock. */
const LATE_SECONDS = 30;

interface CurrentEvent {
  readonly event: number;
  readonly timestamp: number;
  readonly unitsPerMs: number;
  /** Units of earlier segments of the same press. */
  readonly before: number;
  duration: number;
  lastArrival: number;
}

export class TelephoneEventReceiver {
  readonly #clockRate: number;
  readonly #report: (digit: ReceivedDigit) => void;
  #current: CurrentEvent | undefined;
  /** The last event that was reported. */
  #done: { readonly event: number; readonly timestamp: number } | undefined;
  #allowance = DIGITS_PER_SECOND;
  #allowanceAt = 0;

  /** Called when a key goes down, and, with its milliseconds, when it is up again. */
  onKey: ((event: number, duration: number | undefined) => void) | undefined;

  /** @param clockRate - Hz of the durations, where `packet` does not say otherwise. */
  constructor(clockRate: number, report: (digit: ReceivedDigit) => void) {
    this.#clockRate = clockRate;
    this.#report = report;
  }

  /**
   * Takes one event packet from the source that is listened to.
   *
   * @param nowMs - Monotonic.
   * @param clockRate - Hz of its duration.
   * @returns false when the payload is no digit event.
   */
  packet(
    datagram: Buffer,
    start: number,
    end: number,
    timestamp: number,
    nowMs: number,
    clockRate = this.#clockRate,
  ): boolean {
    if (end - start < EVENT_PAYLOAD_LENGTH) return false;
    const event = datagram[start];
    if (event >= EVENT_DIGITS.length) return false;
    const isEnd = (datagram[start + 1] & 0x80) !== 0;
    const duration = datagram.readUInt16BE(start + 2);
    const current = this.#follow(event, timestamp, nowMs, clockRate / 1000);
    if (current === undefined) return true;
    current.duration = Math.max(current.duration, duration);
    current.lastArrival = nowMs;
    if (isEnd) this.#finish(nowMs);
    return true;
  }

  /** Reports an event whose end was lost. Called regularly. */
  tick(nowMs: number): void {
    const current = this.#current;
    if (current && nowMs - current.lastArrival >= EVENT_TIMEOUT_MS) this.#finish(nowMs);
  }

  /** Another source speaks now: what was pressed is reported, timestamps of before mean nothing. */
  reset(nowMs: number): void {
    this.#finish(nowMs);
    this.#done = undefined;
  }

  /** The press that the packet belongs to; undefined when it was reported already. */
  #follow(
    event: number,
    timestamp: number,
    nowMs: number,
    unitsPerMs: number,
  ): CurrentEvent | undefined {
    const lateUnits = LATE_SECONDS * 1000 * unitsPerMs;
    const current = this.#current;
    if (current) {
      if (current.timestamp === timestamp && current.event === event) return current;
      const behind = timestampDistance(current.timestamp, timestamp);
      if (behind > 0 && behind < lateUnits) return undefined;
      if (
        event === current.event &&
        timestampDistance(timestamp, current.timestamp) === SEGMENT_UNITS
      ) {
        const before = current.before + SEGMENT_UNITS;
        return this.#begin({ event, timestamp, unitsPerMs, before }, nowMs);
      }
      this.#finish(nowMs);
    }
    const done = this.#done;
    if (done) {
      if (done.timestamp === timestamp && done.event === event) return undefined;
      const behind = timestampDistance(done.timestamp, timestamp);
      if (behind > 0 && behind < lateUnits) return undefined;
    }
    return this.#begin({ event, timestamp, unitsPerMs, before: 0 }, nowMs);
  }

  #begin(
    press: Pick<CurrentEvent, "event" | "timestamp" | "unitsPerMs" | "before">,
    nowMs: number,
  ): CurrentEvent {
    this.#current = { ...press, duration: 0, lastArrival: nowMs };
    if (press.before === 0) this.onKey?.(press.event, undefined);
    return this.#current;
  }

  #finish(nowMs: number): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    this.#done = { event: current.event, timestamp: current.timestamp };
    const duration = Math.round((current.before + current.duration) / current.unitsPerMs);
    this.onKey?.(current.event, duration);
    this.#allowance = Math.min(
      DIGITS_PER_SECOND,
      this.#allowance + ((nowMs - this.#allowanceAt) / 1000) * DIGITS_PER_SECOND,
    );
    this.#allowanceAt = nowMs;
    if (this.#allowance < 1) return;
    this.#allowance -= 1;
    this.#report({
      digit: EVENT_DIGITS.charAt(current.event),
      duration,
    });
  }
}
