/**
 * Sends digits as telephone events (RFC 4733 §2.5.1): one packet per packet time with the same timestamp and a
 * growing duration, the last one marked as end and sent three times; then a pause. A digit that outlasts the counter
 * goes on in segments (§2.5.1.3). Driven by the packet tick:
 * `next` says what the session sends instead of audio, or that audio goes on.
 */

/** The alphabet of events 0–15 (RFC 4733 §3.2). */
export const EVENT_DIGITS = "0123456789*#ABCD";

/** Bytes of the payload: event, end bit and volume, duration. */
export const EVENT_PAYLOAD_LENGTH = 4;

/** Longest duration of a segment in timestamp units; the next begins that much later (RFC 4733 §2.5.1.3). */
export const SEGMENT_UNITS = 0xffff;

/** Longest event; one segment at 8 kHz, six at 48 kHz. */
export const LONGEST_EVENT_MS = 8_000;
/** RFC 4733 gives none; ITU-T Q.24 wants 40 ms, and detectors behind gateways a little more. */
export const SHORTEST_EVENT_MS = 40;

/** A pause in a row of digits, `,`. */
const PAUSE_MS = 500;
const END_PACKETS = 3;
/** −10 dBm0 (RFC 4733 §2.3.4). */
const VOLUME = 10;

export interface EventPacket {
  readonly marker: boolean;
  /** Timestamp of the start of the event. */
  readonly timestamp: number;
  readonly event: number;
  readonly end: boolean;
  /** Timestamp units. */
  readonly duration: number;
}

/** A digit or a pause, in samples. */
interface Step {
  readonly event: number | undefined;
  duration: number;
  readonly gap: number;
}

export class TelephoneEventSender {
  readonly #steps: Step[] = [];
  #step: Step | undefined;
  /** Of the segment. */
  #startTimestamp = 0;
  /** Units of the step before the segment. */
  #before = 0;
  /** Samples since the step began. */
  #elapsed = 0;
  #endsSent = 0;
  /** Samples of pause left. */
  #pause = 0;
  /** Units of the events' clock per unit of the audio's. */
  readonly #scale: number;
  readonly #unitsPerMs: number;

  /**
   * @param digits - Characters of `EVENT_DIGITS` and `,`.
   * @param durationMs - Per digit; kept between the shortest and the longest possible.
   * @param clockRate - Hz of the audio's timestamps.
   * @param eventClockRate - Hz of the durations on the line, where the peer has events of another clock only.
   */
  constructor(
    digits: string,
    durationMs: number,
    gapMs: number,
    clockRate: number,
    eventClockRate = clockRate,
  ) {
    const samples = clockRate / 1000;
    this.#unitsPerMs = samples;
    this.#scale = eventClockRate / clockRate;
    const duration = Math.min(Math.max(durationMs, SHORTEST_EVENT_MS), LONGEST_EVENT_MS) * samples;
    for (const [index, digit] of [...digits].entries()) {
      if (digit === ",") {
        this.#steps.push({ event: undefined, duration: PAUSE_MS * samples, gap: 0 });
        continue;
      }
      const gap = index === digits.length - 1 ? 0 : Math.max(gapMs, 0) * samples;
      this.#steps.push({ event: EVENT_DIGITS.indexOf(digit.toUpperCase()), duration, gap });
    }
  }

  /** The digit ends after so long, or now when that is over: its end was not known when it began. */
  release(durationMs: number): void {
    const step = this.#step ?? this.#steps.at(0);
    if (step === undefined) return;
    const units = Math.max(durationMs, SHORTEST_EVENT_MS) * this.#unitsPerMs;
    step.duration = Math.min(step.duration, Math.max(units, this.#step ? this.#elapsed : 0));
  }

  /** True when the last packet was given out. */
  get finished(): boolean {
    return this.#step === undefined && this.#steps.length === 0 && this.#pause <= 0;
  }

  /**
   * What goes out now.
   *
   * @param timestamp - That of the audio packet which it replaces.
   * @param samples - Length of that packet.
   * @returns undefined in a pause: audio goes on.
   */
  next(timestamp: number, samples: number): EventPacket | undefined {
    if (this.#pause > 0) {
      this.#pause -= samples;
      return undefined;
    }
    let marker = false;
    if (this.#step === undefined) {
      const step = this.#steps.shift();
      if (step === undefined) return undefined;
      if (step.event === undefined) {
        this.#pause = step.duration - samples;
        return undefined;
      }
      this.#step = step;
      this.#startTimestamp = timestamp;
      this.#elapsed = 0;
      this.#before = 0;
      this.#endsSent = 0;
      marker = true;
    }
    return this.#packet(this.#step, samples, marker);
  }

  #packet(step: Step, samples: number, marker: boolean): EventPacket {
    this.#elapsed += samples;
    const whole = Math.round(Math.min(this.#elapsed, step.duration) * this.#scale);
    const duration = whole - this.#before;
    const isFull = duration > SEGMENT_UNITS;
    const end = !isFull && this.#elapsed >= step.duration;
    const packet: EventPacket = {
      marker,
      timestamp: this.#startTimestamp,
      event: step.event ?? 0,
      end,
      duration: Math.min(duration, SEGMENT_UNITS),
    };
    if (isFull) {
      this.#before += SEGMENT_UNITS;
      this.#startTimestamp = (this.#startTimestamp + SEGMENT_UNITS) >>> 0;
    }
    if (end && ++this.#endsSent === END_PACKETS) {
      this.#step = undefined;
      // The repeats of the end are already part of the silence after the digit.
      this.#pause = step.gap - (this.#elapsed - step.duration);
    }
    return packet;
  }
}

/** Writes the payload of an event packet (RFC 4733 §2.3). */
export function writeEventPayload(target: Buffer, offset: number, packet: EventPacket): void {
  target[offset] = packet.event;
  target[offset + 1] = (packet.end ? 0x80 : 0) | VOLUME;
  target.writeUInt16BE(packet.duration, offset + 2);
}
