/**
 * How many calls an account may place (contract §2, toll fraud): calls and attempts at once, and addresses called within any
 * sixty seconds. Each target of an attempt counts for the minute, and each address that a redirect leads to, because each of
 * them can cost; a request that is repeated for credentials, another server or a longer interval does not. The call that a
 * followed REFER asks for counts like any other.
 */
import type { Clock } from "../foundation/index.js";
import type { CallUsage } from "./options.js";

const MINUTE_MS = 60_000;

/** An account as its limits see it; 0 = unlimited. */
export interface LimitedAccount {
  readonly id: string;
  readonly maxCalls: number;
  readonly maxCallsPerMinute: number;
}

const NONE: CallUsage = { calls: 0, lastMinute: 0 };

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

  readonly #others: (accountId: string) => CallUsage | undefined;

  /** @param others - What other user agents use of the same account. */
  constructor(
    clock: Clock,
    others: (accountId: string) => CallUsage | undefined = () => undefined,
  ) {
    this.#clock = clock;
    this.#others = others;
  }

  /** Of the accounts that use anything of limits of theirs. */
  usages(): Map<string, CallUsage> {
    const found = new Map<string, CallUsage>();
    for (const [id, usage] of this.#usages) {
      this.#forgetOld(usage);
      const { sessions, times } = usage;
      if (sessions.size > 0 || times.length > 0) {
        found.set(id, { calls: sessions.size, lastMinute: times.length });
      }
    }
    return found;
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
    const others = this.#others(id) ?? NONE;
    if (maxCalls > 0 && isMore && usage.sessions.size + others.calls >= maxCalls) return false;
    const lastMinute = usage.times.length + others.lastMinute;
    if (maxCallsPerMinute > 0 && lastMinute >= maxCallsPerMinute) return false;
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
