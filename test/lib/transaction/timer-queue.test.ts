/**
 * Shared timers: 1 expiries at their own times and in order, 2 one clock timer for many, 3 cancelling any of them,
 * 4 none left pending, 5 starting and cancelling while expiring, 6 an owner that throws harms no other.
 */
import assert from "node:assert/strict";
import { DEFAULT_TIMERS } from "../../../lib/transaction/index.js";
import { TimerQueue, TransactionTimers } from "../../../lib/transaction/timer-queue.js";
import type { TimerOwner } from "../../../lib/transaction/timer-queue.js";
import { ManualClock } from "../../support/manual-clock.js";

function setUp() {
  const clock = new ManualClock();
  const fired: string[] = [];
  const owner = (name: string, then?: () => void): TimerOwner => ({
    onTimer: (timer) => {
      fired.push(`${name} ${timer} ${clock.now()}`);
      then?.();
    },
  });
  return { clock, fired, owner };
}

describe("TimerQueue", () => {
  it("expires each timer at its own time with a single clock timer", () => {
    const { clock, fired, owner } = setUp();
    const queue = new TimerQueue(clock, "J", 100);
    queue.start(owner("a"));
    clock.advance(30);
    queue.start(owner("b"));
    queue.start(owner("c"));
    assert.equal(clock.pendingTimers(), 1);
    clock.advance(200);
    assert.deepEqual(fired, ["a J 100", "b J 130", "c J 130"]);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("cancels first, middle and last, and leaves no clock timer behind", () => {
    const { clock, fired, owner } = setUp();
    const queue = new TimerQueue(clock, "J", 100);
    const entries = ["a", "b", "c", "d"].map((name) => {
      clock.advance(10);
      return queue.start(owner(name));
    });
    entries[0]?.cancel();
    entries[2]?.cancel();
    entries[2]?.cancel();
    clock.advance(1000);
    assert.deepEqual(fired, ["b J 120", "d J 140"]);
    entries[1]?.cancel();
    const lone = queue.start(owner("e"));
    lone.cancel();
    assert.equal(clock.pendingTimers(), 0);
  });

  it("takes new timers while others expire", () => {
    const { clock, fired, owner } = setUp();
    const queue = new TimerQueue(clock, "J", 100);
    queue.start(owner("a", () => queue.start(owner("b"))));
    clock.advance(300);
    assert.deepEqual(fired, ["a J 100", "b J 200"]);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("lets one expiry cancel the next of the same moment", () => {
    const { clock, fired, owner } = setUp();
    const queue = new TimerQueue(clock, "J", 100);
    queue.start(owner("a", () => second.cancel()));
    const second = queue.start(owner("b"));
    clock.advance(300);
    assert.deepEqual(fired, ["a J 100"]);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("goes on with the others when an owner throws", () => {
    const { clock, fired, owner } = setUp();
    const queue = new TimerQueue(clock, "J", 100);
    queue.start({
      onTimer: () => {
        throw new Error("owner");
      },
    });
    queue.start(owner("b"));
    assert.throws(() => clock.advance(100), /owner/);
    clock.advance(100);
    assert.deepEqual(fired, ["b J 100"]);
  });

  it("ends the wait of the oldest on request", () => {
    const { clock, fired, owner } = setUp();
    const queue = new TimerQueue(clock, "J", 100);
    queue.start(owner("a"));
    queue.start(owner("b"));
    clock.advance(5);
    assert.equal(queue.expireOldest(), true);
    assert.equal(queue.expireOldest(), true);
    assert.equal(queue.expireOldest(), false);
    assert.deepEqual(fired, ["a J 5", "b J 5"]);
    assert.equal(clock.pendingTimers(), 0);
  });
});

describe("TransactionTimers", () => {
  it("says that a wait is skipped over reliable transports", () => {
    const { clock, owner } = setUp();
    const timers = new TransactionTimers(clock, DEFAULT_TIMERS);
    assert.equal(timers.start("K", owner("a"), true), undefined);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("runs 10,000 timers of several lengths on a few clock timers", () => {
    const { clock, fired, owner } = setUp();
    const timers = new TransactionTimers(clock, DEFAULT_TIMERS);
    for (let i = 0; i < 2000; i++) {
      const one = owner("x");
      timers.start("B", one, false);
      timers.start("K", one, false);
      for (const expiries of [0, 1, 7]) timers.startRetransmission("E", one, expiries);
    }
    assert.equal(clock.pendingTimers(), 5);
    clock.advance(32_000);
    assert.equal(fired.length, 10_000);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("works with timers so short that E begins at T2", () => {
    const { clock, fired, owner } = setUp();
    const timers = new TransactionTimers(clock, { t1: 100, t2: 50, t4: 10 });
    timers.startLongestE(owner("a"));
    assert.equal(timers.start("trying", owner("b"), false), undefined);
    clock.advance(100);
    assert.deepEqual(fired, ["a E 50"]);
  });
});
