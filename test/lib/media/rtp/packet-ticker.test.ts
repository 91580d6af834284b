import assert from "node:assert/strict";
import { PacketTicker } from "../../../../lib/media/rtp/packet-ticker.js";
import type { TickJob } from "../../../../lib/media/rtp/packet-ticker.js";
import { ManualClock } from "../../../support/manual-clock.js";
import type { Clock, Timer } from "../../../../lib/foundation/index.js";

class Job implements TickJob {
  readonly times: number[] = [];
  skippedMs = 0;
  onTick: () => void = () => undefined;

  constructor(public periodMs = 20) {}

  tick(nowMs: number): void {
    this.times.push(nowMs);
    this.onTick();
  }

  skipped(ms: number): void {
    this.skippedMs += ms;
  }
}

/** Fires every timer late by a growing, bounded time. */
class LateClock extends ManualClock {
  #lateness = 0;

  override setTimer(delayMs: number, callback: () => void): Timer {
    this.#lateness = (this.#lateness + 3.7) % 9;
    return super.setTimer(delayMs + this.#lateness, callback);
  }
}

function gaps(times: number[]): number[] {
  return times.slice(1).map((time, i) => time - times[i]);
}

describe("PacketTicker", () => {
  for (const period of [5, 10, 20, 30, 40, 60]) {
    it(`calls a job every ${period} ms`, () => {
      const clock = new ManualClock();
      const ticker = new PacketTicker(clock);
      const job = new Job(period);
      ticker.add(job);
      clock.advance(6000);
      assert.ok(Math.abs(job.times.length - 6000 / period) <= 1);
      assert.ok(gaps(job.times).every((gap) => gap === period));
      ticker.remove(job);
      assert.equal(clock.pendingTimers(), 0);
    });
  }

  /** The time goes on, but nobody looks at the timers: sockets are being read. */
  class BusyClock extends ManualClock {
    ahead = 0;

    override now(): number {
      return super.now() + this.ahead;
    }
  }

  it("keeps the beat while sockets are read and no timer runs", () => {
    const clock = new BusyClock();
    const ticker = new PacketTicker(clock);
    const job = new Job();
    ticker.add(job);
    clock.advance(40);
    const before = job.times.length;
    for (clock.ahead = 0; clock.ahead < 100; clock.ahead++) ticker.poll(clock.now());
    assert.equal(job.times.length, before + 5);
    assert.ok(gaps(job.times).every((gap) => gap === 20));
    // The timers run again: nothing comes twice.
    clock.ahead = 0;
    clock.advance(100);
    assert.equal(job.times.length, before + 5);
    clock.advance(100);
    assert.ok(gaps(job.times).every((gap) => gap === 20));
    assert.equal(job.skippedMs, 0);
  });

  it("leaves a long standstill to the timer, which skips it", () => {
    const clock = new BusyClock();
    const ticker = new PacketTicker(clock);
    const job = new Job();
    ticker.add(job);
    clock.advance(40);
    const before = job.times.length;
    clock.ahead = 1000;
    for (let i = 0; i < 100; i++) ticker.poll(clock.now());
    assert.equal(job.times.length, before);
    clock.advance(20);
    assert.ok(job.skippedMs >= 780, `${job.skippedMs} ms`);
  });

  it("does not run a tick within a tick, and none when nobody is left", () => {
    const clock = new BusyClock();
    const ticker = new PacketTicker(clock);
    const job = new Job();
    job.onTick = () => ticker.poll(clock.now() + 50);
    ticker.add(job);
    clock.advance(200);
    assert.ok(gaps(job.times).every((gap) => gap === 20));
    const count = job.times.length;
    ticker.remove(job);
    ticker.poll(clock.now() + 50);
    assert.equal(job.times.length, count);
  });

  it("spreads jobs evenly over the four quarters of 20 ms", () => {
    const clock = new ManualClock();
    const ticker = new PacketTicker(clock);
    const jobs = Array.from({ length: 40 }, () => new Job());
    for (const job of jobs) ticker.add(job);
    clock.advance(20);
    const perQuarter = new Map<number, number>();
    for (const { times } of jobs) {
      const quarter = times[0] % 20;
      perQuarter.set(quarter, (perQuarter.get(quarter) ?? 0) + 1);
    }
    assert.deepEqual([...perQuarter.values()], [10, 10, 10, 10]);
  });

  it("wakes up for ticks that have a job only", () => {
    const clock = new ManualClock();
    let timers = 0;
    const counting: Clock = {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      setTimer: (ms, callback) => {
        timers += 1;
        return clock.setTimer(ms, callback);
      },
      defer: (callback) => clock.defer(callback),
    };
    const ticker = new PacketTicker(counting);
    const jobs = Array.from({ length: 8 }, () => new Job());
    for (const job of jobs) ticker.add(job);
    clock.advance(1000);
    assert.ok(timers <= 60, `${timers} timers`);
    for (const { times } of jobs) assert.ok(gaps(times).every((gap) => gap === 20));
  });

  it("begins a job that comes in a pause of the others in its own time", () => {
    const clock = new ManualClock();
    const ticker = new PacketTicker(clock);
    const slow = new Job(60);
    ticker.add(slow);
    for (const pause of [7, 58, 119, 171, 233]) {
      clock.advance(pause);
      const job = new Job(20);
      const start = clock.now();
      ticker.add(job);
      clock.advance(100);
      assert.ok(job.times[0] > start && job.times[0] <= start + 25, `${start}: ${job.times[0]}`);
      assert.ok(gaps(job.times).every((gap) => gap === 20));
      ticker.remove(job);
    }
    assert.ok(gaps(slow.times).every((gap) => gap === 60));
  });

  it("does not drift when timers fire late", () => {
    const clock = new LateClock();
    const ticker = new PacketTicker(clock);
    const job = new Job();
    ticker.add(job);
    clock.advance(60_000);
    assert.ok(Math.abs(job.times.length - 3000) <= 1, String(job.times.length));
    assert.equal(job.skippedMs, 0);
    for (const [index, time] of job.times.entries()) {
      assert.ok(Math.abs(time - job.times[0] - index * 20) < 20);
    }
  });

  it("makes up for a short standstill and skips a long one", () => {
    const clock = new ManualClock();
    let standstill = 0;
    const stalling = {
      now: () => clock.now() + standstill,
      wallTime: () => clock.wallTime(),
      setTimer: (ms: number, callback: () => void) => clock.setTimer(ms, callback),
      defer: (callback: () => void) => clock.defer(callback),
    };
    const ticker = new PacketTicker(stalling);
    const job = new Job();
    ticker.add(job);
    clock.advance(1000);
    const before = job.times.length;
    standstill = 150;
    clock.advance(20);
    assert.ok(job.times.length - before >= 8, "150 ms were not made up for");
    assert.equal(job.skippedMs, 0);
    standstill = 5150;
    clock.advance(20);
    assert.ok(job.skippedMs >= 4700 && job.skippedMs <= 5000, String(job.skippedMs));
    const resumed = job.times.length;
    clock.advance(1000);
    assert.ok(Math.abs(job.times.length - resumed - 50) <= 11);
  });

  it("lets a job change its period, remove itself and others, and add", () => {
    const clock = new ManualClock();
    const ticker = new PacketTicker(clock);
    const job = new Job();
    const other = new Job();
    const third = new Job();
    job.onTick = () => {
      if (job.times.length === 2) job.periodMs = 40;
      if (job.times.length === 3) {
        ticker.remove(other);
        ticker.add(third);
        ticker.remove(job);
      }
    };
    ticker.add(job);
    ticker.add(other);
    ticker.add(job);
    assert.equal(ticker.size, 2);
    clock.advance(500);
    assert.deepEqual(gaps(job.times), [20, 40]);
    assert.ok(other.times.length <= 4);
    assert.ok(third.times.length > 15);
    ticker.remove(third);
    ticker.remove(third);
    assert.equal(ticker.size, 0);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("starts again after it was empty", () => {
    const clock = new ManualClock();
    const ticker = new PacketTicker(clock);
    const job = new Job();
    ticker.add(job);
    clock.advance(100);
    ticker.remove(job);
    clock.advance(10_000);
    ticker.add(job);
    const before = job.times.length;
    clock.advance(200);
    assert.ok(Math.abs(job.times.length - before - 10) <= 1);
    assert.equal(job.skippedMs, 0);
  });

  it("does not loop for ever when a job takes longer than a tick", () => {
    const clock = new ManualClock();
    let work = 0;
    const busy = {
      now: () => clock.now() + work,
      wallTime: () => clock.wallTime(),
      setTimer: (ms: number, callback: () => void) => clock.setTimer(ms, callback),
      defer: (callback: () => void) => clock.defer(callback),
    };
    const ticker = new PacketTicker(busy);
    const job = new Job(5);
    job.onTick = () => {
      work += 50;
    };
    ticker.add(job);
    clock.advance(5);
    assert.ok(job.times.length <= 5 * 41, String(job.times.length));
    ticker.remove(job);
  });
});
