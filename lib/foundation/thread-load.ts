/** How busy this thread is. */
import { performance } from "node:perf_hooks";

/** @returns a function that tells the share of the time since it was asked last in which this thread worked, 0 to 1. */
export function threadLoad(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
