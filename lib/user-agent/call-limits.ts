/**
 * How many calls an account may place (contract §2, toll fraud): calls and attempts at once, and addresses called within any
 * sixty seconds. Each target of an attempt counts for the minute, and each address that a redirect leads to, because each of
 * them can cost; a request that is repeated for credentials, another server or a longer interval does not. The call that a
 * followed REFER asks for counts like any other.
 */
import type { Clock } from "../foundation/index.js";

const MINUTE_MS = 60_000;

/** An account as its limits see it; 0 = unlimited. */
export interface LimitedAccount {
  readonly id: string;
  readonly maxCalls: number;
  readonly maxCallsPerMinute: number;
}

interface Usage {
  /** Handles of sessions that have called somebody and are not over. */
  readonly sessions: Set<string>;
  /** When the account called, within the last minute, oldest first. */
  readonly times: number[];
}

export class CallLimits {
  readonly #clock: Clock;
  /** By account, also of one that is taken away and comes back with other settings. */
  readonly #usages = new Map<string, Usage>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Counts one address that a session is about to call.
   *
   * @returns false when the account may not call now; nothing was counted then.
   */
  take({ id, maxCalls, maxCallsPerMinute }: LimitedAccount, session: string): boolean {
    if (maxCalls === 0 && maxCallsPerMinute === 0) return true;
    const usage = this.#usageOf(id);
    const isMore = !usage.sessions.has(session);
    if (maxCalls > 0 && isMore && usage.sessions.size >= maxCalls) return false;
    if (maxCallsPerMinute > 0 && usage.times.length >= maxCallsPerMinute) return false;
    usage.sessions.add(session);
    if (maxCallsPerMinute > 0) usage.times.push(this.#clock.now());
    return true;
  }

  /** The session is over. */
  release(session: string): void {
    for (const [id, usage] of this.#usages) {
      if (!usage.sessions.delete(session)) continue;
      this.#forgetOld(usage);
      if (usage.sessions.size === 0 && usage.times.length === 0) this.#usages.delete(id);
    }
  }

  #usageOf(id: string): Usage {
    const known = this.#usages.get(id);
    if (known !== undefined) {
      this.#forgetOld(known);
      return known;
    }
    const usage: Usage = { sessions: new Set(), times: [] };
    this.#usages.set(id, usage);
    return usage;
  }

  #forgetOld({ times }: Usage): void {
    const since = this.#clock.now() - MINUTE_MS;
    const first = times.findIndex((time) => time > since);
    times.splice(0, first < 0 ? times.length : first);
  }
}
