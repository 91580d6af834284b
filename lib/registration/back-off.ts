/** How long to wait before the next REGISTER (RFC 5626 §4.5), always with jitter so that a thousand phones do not meet. */
import { randomFraction, type RandomSource } from "../foundation/index.js";

export type FailureKind =
  /** Nothing could be sent, or nobody answered: the server may be back in a moment. */
  | "unreachable"
  /** The registrar said no for now (5xx, 480 …). */
  | "refused"
  /** The registrar said no to who we are (401, 403, 404 …): asking again soon gets us locked out. */
  | "forbidden";

export interface Failure {
  readonly kind: FailureKind;
  /** Failures of this kind in a row, this one included. */
  readonly count: number;
  /** Milliseconds since the first of them. */
  readonly sinceFirstMs: number;
  /** Seconds of a Retry-After header. */
  readonly retryAfter?: number | undefined;
  /** Milliseconds: a server that is asked that often while it lives may be as often looked for. */
  readonly watchMs?: number | undefined;
}

/** A server that restarts is back within this time; until then we look every few seconds. */
const QUICK_PHASE_MS = 60_000;
const QUICK_LEAST_MS = 2_000;
const QUICK_MOST_MS = 5_000;

/** RFC 5626 §4.5: base-time, and the maximum of contract and reliability plan. */
const BASE_MS = 30_000;
const MOST_MS = 300_000;
/** A registrar cannot send us away for longer than this. */
const LONGEST_RETRY_AFTER_S = 3_600;

const RECONNECT_LEAST_MS = 200;
const RECONNECT_MOST_MS = 2_000;

/** @returns milliseconds. */
export function retryDelay(failure: Failure, random: RandomSource): number {
  if (failure.retryAfter !== undefined && failure.retryAfter > 0) {
    const seconds = Math.min(failure.retryAfter, LONGEST_RETRY_AFTER_S);
    return seconds * 1000 + between(0, 2_000, random);
  }
  switch (failure.kind) {
    case "unreachable":
      if (failure.sinceFirstMs < QUICK_PHASE_MS)
        return between(QUICK_LEAST_MS, QUICK_MOST_MS, random);
      return lookedFor(failure, random);
    case "refused":
      return growing(failure.count - 1, random);
    case "forbidden":
      return between(MOST_MS / 2, MOST_MS, random);
  }
}

/**
 * After a connection was lost: soon, but not all at once; later and later when the server closes one connection after
 * the other.
 *
 * @param shortLived - connections in a row, before this one, that did not last a minute.
 */
export function reconnectDelay(shortLived: number, random: RandomSource): number {
  if (shortLived === 0) return between(RECONNECT_LEAST_MS, RECONNECT_MOST_MS, random);
  const upper = Math.min(MOST_MS, RECONNECT_MOST_MS * 2 ** Math.min(shortLived, 10));
  return between(upper / 2, upper, random);
}

/** A server that is gone is looked for again after about half the time for which it has been gone. */
function lookedFor({ sinceFirstMs, watchMs }: Failure, random: RandomSource): number {
  const delay = growing(Math.floor(Math.log2(sinceFirstMs / QUICK_PHASE_MS)), random);
  return watchMs === undefined ? delay : Math.min(delay, between(watchMs * 0.8, watchMs, random));
}

/** 80–90 % of the time that the binding lives. @returns milliseconds. */
export function refreshDelay(seconds: number, random: RandomSource): number {
  return between(seconds * 800, seconds * 900, random);
}

/** A uniform time in the upper half of min(300 s, 30 s · 2^doublings). */
function growing(doublings: number, random: RandomSource): number {
  const upper = Math.min(MOST_MS, BASE_MS * 2 ** Math.min(doublings, 10));
  return between(upper / 2, upper, random);
}

function between(least: number, most: number, random: RandomSource): number {
  return Math.round(least + (most - least) * randomFraction(random));
}
