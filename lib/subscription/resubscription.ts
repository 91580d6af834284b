/** Whether and when a subscription that ended is made anew (RFC 6665 §4.1.3), always with jitter. */
import { randomFraction, type RandomSource } from "../foundation/index.js";

/** A notifier cannot send us away for longer than this. */
const LONGEST_RETRY_AFTER_S = 3_600;
const QUICK_LEAST_MS = 200;
const QUICK_MOST_MS = 2_000;
const BASE_MS = 4_000;
const MOST_MS = 300_000;

/** Reasons of a final NOTIFY after which the notifier wants to see us again. */
const HOPEFUL_REASONS: ReadonlySet<string> = new Set([
  "deactivated",
  "probation",
  "timeout",
  "giveup",
]);
/** The notifier has lost the subscription, or is in trouble that passes. */
const HOPEFUL_STATUS: ReadonlySet<number> = new Set([408, 481, 500, 502, 503, 504]);
/** No response at all. */
const HOPEFUL_CAUSES: ReadonlySet<string> = new Set(["timeout", "transport-error", "dns-error"]);

export interface LossOfSubscription {
  /** `reason` of the final NOTIFY; undefined when it was no NOTIFY. */
  readonly notified?: string | undefined;
  /** Of the refused SUBSCRIBE; 0 when no response came. */
  readonly statusCode: number;
  readonly cause?: string | undefined;
}

export function mayResubscribe(loss: LossOfSubscription): boolean {
  if (loss.notified !== undefined) return HOPEFUL_REASONS.has(loss.notified);
  if (loss.statusCode > 0) return HOPEFUL_STATUS.has(loss.statusCode);
  return loss.cause !== undefined && HOPEFUL_CAUSES.has(loss.cause);
}

/**
 * @param count - Losses in a row, this one included.
 * @param retryAfter - Seconds that the notifier asked for.
 * @returns milliseconds.
 */
export function resubscribeDelay(
  count: number,
  retryAfter: number | undefined,
  random: RandomSource,
): number {
  if (retryAfter !== undefined && retryAfter > 0) {
    return Math.min(retryAfter, LONGEST_RETRY_AFTER_S) * 1000 + between(0, QUICK_MOST_MS, random);
  }
  if (count <= 1) return between(QUICK_LEAST_MS, QUICK_MOST_MS, random);
  const upper = Math.min(MOST_MS, BASE_MS * 2 ** Math.min(count - 2, 10));
  return between(upper / 2, upper, random);
}

/** 80–90 % of the time that is left, but never a storm. @returns milliseconds. */
export function subscriptionRefreshDelay(leftMs: number, random: RandomSource): number {
  return Math.max(1_000, between(leftMs * 0.8, leftMs * 0.9, random));
}

function between(least: number, most: number, random: RandomSource): number {
  return Math.round(least + (most - least) * randomFraction(random));
}
