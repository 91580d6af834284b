/**
 * What the instances of a group use of the limits of the accounts that they share (calls at once, calls per minute): each tells
 * its figures once a second, and what the others told last is counted with one's own. So a limit may be exceeded by what
 * the others began within the last second or so; without a connection each instance counts alone.
 */
import type { CallUsage, Clock, Timer } from "../../../lib/index.js";
import { parseRecord } from "../sip-fields.js";
import type { Group } from "./group.js";

const TOPIC = "limits";
const EVERY_MS = 1_000;
/** Figures that are older are none. */
const OLD_MS = 3_500;
const MOST_ACCOUNTS = 1_000;

interface Told {
  readonly at: number;
  readonly usages: ReadonlyMap<string, CallUsage>;
}

export class SharedLimits {
  readonly #told = new Map<string, Told>();
  readonly #unlisten: readonly (() => void)[];
  #timer: Timer | undefined;
  #saidNothing = true;

  /** @param own - Account id → what we use. */
  constructor(
    private readonly group: Group,
    private readonly clock: Clock,
    private readonly own: () => ReadonlyMap<string, CallUsage>,
  ) {
    this.#unlisten = [
      group.subscribe(TOPIC, (text) => this.#hear(text)),
      group.onMemberGone((instance) => this.#told.delete(instance)),
    ];
    this.#timer = clock.setTimer(EVERY_MS, () => this.#tell());
  }

  /** What the others use of this account. */
  others(accountId: string): CallUsage | undefined {
    let calls = 0;
    let lastMinute = 0;
    const since = this.clock.now() - OLD_MS;
    for (const { at, usages } of this.#told.values()) {
      const usage = at >= since ? usages.get(accountId) : undefined;
      calls += usage?.calls ?? 0;
      lastMinute += usage?.lastMinute ?? 0;
    }
    return calls + lastMinute === 0 ? undefined : { calls, lastMinute };
  }

  close(): void {
    this.#timer?.cancel();
    for (const unlisten of this.#unlisten) unlisten();
  }

  #tell(): void {
    this.#timer = this.clock.setTimer(EVERY_MS, () => this.#tell());
    const usages = [...this.own()].map(([id, { calls, lastMinute }]) => [id, calls, lastMinute]);
    // Who uses nothing says so once.
    if (usages.length === 0 && this.#saidNothing) return;
    this.#saidNothing = usages.length === 0;
    this.group.publish(TOPIC, JSON.stringify({ instance: this.group.instance, usages }));
  }

  #hear(text: string): void {
    const told = parseRecord(text);
    if (told === undefined || typeof told["instance"] !== "string") return;
    const { instance, usages } = told;
    if (!Array.isArray(usages) || !this.group.members.has(instance)) return;
    const found = new Map<string, CallUsage>();
    for (const usage of (usages as unknown[]).slice(0, MOST_ACCOUNTS)) {
      const [id, calls, lastMinute] = Array.isArray(usage) ? (usage as unknown[]) : [];
      if (typeof id !== "string" || !isCount(calls) || !isCount(lastMinute)) continue;
      found.set(id, { calls, lastMinute });
    }
    this.#told.set(instance, { at: this.clock.now(), usages: found });
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
