// How often per second functions can run, in turns: machines change their speed, neighbours in a round are comparable.
import { median } from "./tables.mjs";

let sink = 0;

function once(run, ms) {
  const start = performance.now();
  for (let count = 64; ; count += 64) {
    for (let i = 0; i < 64; i++) if (run() !== undefined) sink += 1;
    const elapsed = performance.now() - start;
    if (elapsed >= ms) return (count / elapsed) * 1000;
  }
}

/**
 * Runs every function for `ms` in each of `rounds` rounds, after one to warm up.
 *
 * @param {Record<string, () => unknown>} functions
 * @returns {Map<string, number>} median of runs per second
 */
export function ratesOf(functions, { rounds, ms }) {
  const rates = new Map(Object.keys(functions).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(functions)) {
      const rate = once(run, ms);
      if (round > 0) rates.get(name).push(rate);
    }
  }
  return new Map([...rates].map(([name, list]) => [name, median(list)]));
}

/** For whoever asks what all the results were for. */
export const used = () => sink;
