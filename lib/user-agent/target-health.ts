/**
 * Servers that failed lately, so that the next request does not wait for the same dead one again (RFC 3263 §4.3,
 * RFC 3261 §21.5.4).
 */
import type { Clock } from "../foundation/index.js";
import type { FlowTarget } from "../transport/transport.js";

const MOST_TARGETS = 256;
/** Milliseconds for which a failed server goes to the end of the list. */
const PENALTY_MS = 60_000;
const LONGEST_PENALTY_MS = 300_000;

export class TargetHealth {
  readonly #clock: Clock;
  readonly #failedUntil = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param retryAfter - seconds of the 503's Retry-After. */
  failed(target: FlowTarget, retryAfter?: number): void {
    if (this.#failedUntil.size >= MOST_TARGETS) this.#failedUntil.clear();
    const penalty = retryAfter === undefined ? PENALTY_MS : retryAfter * 1000;
    const until = this.#clock.now() + Math.min(penalty, LONGEST_PENALTY_MS);
    this.#failedUntil.set(targetKey(target), until);
  }

  succeeded(target: FlowTarget): void {
    if (this.#failedUntil.size > 0) this.#failedUntil.delete(targetKey(target));
  }

  /** Those that failed lately last, otherwise in the resolver's order. */
  order(targets: readonly FlowTarget[]): FlowTarget[] {
    if (this.#failedUntil.size === 0 || targets.length < 2) return [...targets];
    const now = this.#clock.now();
    const isFailed = (target: FlowTarget): boolean =>
      (this.#failedUntil.get(targetKey(target)) ?? 0) > now;
    return [
      ...targets.filter((target) => !isFailed(target)),
      ...targets.filter((target) => isFailed(target)),
    ];
  }
}

/** One server and protocol. */
export function targetKey(target: FlowTarget): string {
  return `${target.protocol}:${target.address}:${target.port}`;
}
