/** Milliseconds of the processor that some work takes, the best of three: what other programs do meanwhile does not count. */
export function processorTime(work: () => void): number {
  let best = Infinity;
  for (let time = 0; time < 3; time++) {
    const from = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(from);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}
