/** When the sidebar asks the runtime: at most twice a second, only while somebody looks. */
import assert from "node:assert/strict";
import {
  IDLE_POLL_MS,
  LEAST_GAP_MS,
  LIVE_POLL_MS,
  Store,
} from "../../../nodes/sidebar/editor/store.js";
import type { CallSummary } from "../../../nodes/sidebar/editor/types.js";
import { callSummary } from "../../support/sidebar-data.js";

class Bench {
  now = 0;
  visible = true;
  calls: CallSummary[] = [];
  failure: Error | undefined;
  /** Times at which calls were asked for. */
  readonly asked: number[] = [];
  readonly updates: number[] = [];
  #timers: { at: number; callback: () => void }[] = [];
  readonly store = new Store({
    fetch: async (url) => {
      if (url === "sip/stacks") return [];
      this.asked.push(this.now);
      if (this.failure) throw this.failure;
      return { calls: this.calls, ended: [] };
    },
    isVisible: () => this.visible,
    now: () => this.now,
    setTimer: (milliseconds, callback) => {
      const timer = { at: this.now + milliseconds, callback };
      this.#timers.push(timer);
      return timer;
    },
    clearTimer: (timer) => (this.#timers = this.#timers.filter((each) => each !== timer)),
  });

  constructor() {
    this.store.onChange(() => this.updates.push(this.now));
  }

  get pending(): number {
    return this.#timers.length;
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds;
    for (;;) {
      const next = this.#timers.sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers.shift();
      this.now = Math.max(this.now, next.at);
      next.callback();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.now = end;
  }
}

describe("sidebar: store", () => {
  it("fetches at once when looked at, then at most twice a second however much changes", async () => {
    const bench = new Bench();
    bench.store.wake();
    for (let step = 0; step < 100; step++) {
      await bench.pass(50);
      bench.store.changed();
    }
    assert.equal(bench.asked[0], 0);
    const gaps = bench.asked.slice(1).map((at, index) => at - (bench.asked[index] ?? 0));
    assert.ok(Math.min(...gaps) >= LEAST_GAP_MS, String(gaps));
    assert.ok(bench.asked.length >= 9 && bench.asked.length <= 12, String(bench.asked.length));
    assert.equal(bench.updates.length, bench.asked.length);
  });

  it("asks nothing while nobody looks, and catches up afterwards", async () => {
    const bench = new Bench();
    bench.visible = false;
    bench.store.wake();
    bench.store.changed();
    await bench.pass(60_000);
    assert.deepEqual(bench.asked, []);
    assert.equal(bench.pending, 0);
    bench.visible = true;
    bench.store.wake();
    await bench.pass(1);
    assert.deepEqual(bench.asked, [60_000]);
  });

  it("asks for the sound of live calls more often than for nothing", async () => {
    const bench = new Bench();
    bench.store.wake();
    await bench.pass(IDLE_POLL_MS);
    assert.deepEqual(bench.asked, [0, IDLE_POLL_MS]);
    bench.calls = [callSummary("a")];
    bench.store.changed();
    await bench.pass(LEAST_GAP_MS + 2 * LIVE_POLL_MS);
    assert.equal(bench.asked.length, 5);
    assert.equal(bench.store.call("a")?.session, "a");
    assert.equal(bench.store.call("b"), undefined);
  });

  it("says why it failed, keeps what it had and tries again", async () => {
    const bench = new Bench();
    bench.calls = [callSummary("a")];
    bench.store.wake();
    await bench.pass(1);
    bench.failure = new Error("gone");
    bench.store.changed();
    await bench.pass(LEAST_GAP_MS);
    assert.equal(bench.store.problem, bench.failure);
    assert.equal(bench.store.calls.length, 1);
    bench.failure = undefined;
    await bench.pass(LIVE_POLL_MS);
    assert.equal(bench.store.problem, undefined);
  });
});
