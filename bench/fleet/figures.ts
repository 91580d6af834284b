/** Processor time of the parts while something is done. */
import { readFileSync } from "node:fs";
import { processorTime } from "../../test/support/fleet/processor.js";
import type { Calls, Placed } from "../../test/support/fleet/callers.js";
import type { Fleet } from "../../test/support/fleet/fleet.js";

export interface Measured extends Placed {
  readonly calls: number;
  readonly asked: number;
  /** Cores that each part used in the busiest second, `callers` included. */
  readonly cores: ReadonlyMap<string, number>;
  /** Cores that everything on this machine used in its busiest second. */
  readonly machine: number;
  /** Microseconds of processor time of each part per call that went well. */
  readonly perCall: ReadonlyMap<string, number>;
}

/** Hundredths of a second that the cores of this machine have been busy. */
function busy(): number {
  const [, ...fields] = (readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "")
    .trim()
    .split(/\s+/);
  // 3 and 4: idle, waiting for a disk.
  return fields.reduce((all, value, at) => (at === 3 || at === 4 ? all : all + Number(value)), 0);
}

/** Milliseconds by part. */
export function times(fleet: Fleet): Map<string, number> {
  return new Map([...fleet.processes()].map(([part, pid]) => [part, processorTime(pid)]));
}

/** Cores used by each part within `seconds`. */
export function used(
  before: Map<string, number>,
  after: Map<string, number>,
  seconds: number,
): Map<string, number> {
  return new Map(
    [...after].map(([part, value]) => [part, (value - (before.get(part) ?? 0)) / 1000 / seconds]),
  );
}

export async function measure(
  fleet: Fleet,
  calls: Calls,
  plan: { calls: number; rate: number },
): Promise<Measured> {
  const before = times(fleet);
  const started = performance.now();
  let cores = new Map<string, number>();
  let machine = 0;
  let last = { at: started, times: before, callers: 0, machine: busy() };
  const sample = (): void => {
    const next = {
      at: performance.now(),
      times: times(fleet),
      callers: processorTime(calls.pid),
      machine: busy(),
    };
    const seconds = (next.at - last.at) / 1000;
    const now = used(last.times, next.times, seconds);
    now.set("callers", Math.max(0, next.callers - last.callers) / 1000 / seconds);
    if (sum(now, /./) > sum(cores, /./)) cores = now;
    machine = Math.max(machine, (next.machine - last.machine) / 100 / seconds);
    last = next;
  };
  const watch = setInterval(sample, 1000);
  const placed = await calls.result();
  clearInterval(watch);
  const seconds = (performance.now() - started) / 1000;
  const perCall = new Map(
    [...times(fleet)].map(([part, value]) => [
      part,
      ((value - (before.get(part) ?? 0)) * 1000) / Math.max(1, placed.ok),
    ]),
  );
  return { ...placed, calls: plan.calls, asked: plan.rate, seconds, cores, machine, perCall };
}

/** Sum of the parts whose name matches. */
export function sum(cores: ReadonlyMap<string, number>, which: RegExp): number {
  return [...cores].reduce((total, [part, value]) => (which.test(part) ? total + value : total), 0);
}
