/**
 * What the sidebar knows: stacks, live calls and ended ones. Fetched when the runtime says that something has changed, at
 * most twice a second, every few seconds for the counters of the sound, and only while somebody looks.
 */
import type { CallList, CallSummary, StackSummary } from "./types.js";

/** Between two fetches. */
export const LEAST_GAP_MS = 500;
/** Without a word of the runtime: sound counters of live calls, else a sign of life. */
export const LIVE_POLL_MS = 2000;
export const IDLE_POLL_MS = 10_000;

export interface StoreEnvironment {
  fetch(url: string): Promise<unknown>;
  isVisible(): boolean;
  /** Milliseconds. */
  now(): number;
  setTimer(milliseconds: number, callback: () => void): unknown;
  clearTimer(timer: unknown): void;
}

export class Store {
  stacks: readonly StackSummary[] = [];
  calls: readonly CallSummary[] = [];
  ended: readonly CallSummary[] = [];
  /** Why the last fetch failed. */
  problem: unknown;
  /** False until the first answer came. */
  loaded = false;

  readonly #listeners = new Set<() => void>();
  #lastFetch = -Infinity;
  #busy = false;
  #dirty = true;
  #timer: unknown;

  constructor(private readonly environment: StoreEnvironment) {}

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** The runtime has said that something is new, or a view has changed something. */
  changed(): void {
    this.#dirty = true;
    this.#plan();
  }

  /** Somebody looks again. */
  wake(): void {
    this.#plan();
  }

  call(session: string): CallSummary | undefined {
    return (
      this.calls.find((call) => call.session === session) ??
      this.ended.find((call) => call.session === session)
    );
  }

  stackName(id: string): string {
    return this.stacks.find((stack) => stack.id === id)?.name ?? "";
  }

  #plan(): void {
    const { environment } = this;
    if (this.#busy) return;
    if (this.#timer !== undefined) environment.clearTimer(this.#timer);
    this.#timer = undefined;
    if (!environment.isVisible()) return;
    const poll = this.calls.length > 0 ? LIVE_POLL_MS : IDLE_POLL_MS;
    const next = this.#lastFetch + (this.#dirty ? LEAST_GAP_MS : poll);
    const wait = Math.max(0, next - environment.now());
    this.#timer = environment.setTimer(wait, () => {
      this.#timer = undefined;
      void this.#fetch();
    });
  }

  async #fetch(): Promise<void> {
    this.#busy = true;
    this.#dirty = false;
    this.#lastFetch = this.environment.now();
    try {
      const [stacks, list] = await Promise.all([
        this.environment.fetch("sip/stacks"),
        this.environment.fetch("sip/calls"),
      ]);
      this.stacks = Array.isArray(stacks) ? (stacks as StackSummary[]) : [];
      const { calls, ended } = (list ?? {}) as Partial<CallList>;
      this.calls = calls ?? [];
      this.ended = ended ?? [];
      this.problem = undefined;
      this.loaded = true;
    } catch (error) {
      this.problem = error;
    }
    this.#busy = false;
    for (const listener of this.#listeners) listener();
    this.#plan();
  }
}
