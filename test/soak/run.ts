/**
 * `npm run soak -- --calls 100000 --rate 65 --seed 1 --loud 0.05` or `--minutes 10`: see soak.ts. Prints the heap per 10,000 calls
 * and ends with 1 if a call ended otherwise than it must, or something is left.
 */
import { megabytes, slope, soak } from "./soak.js";

function option(name: string, fallback: number): number {
  const place = process.argv.indexOf(`--${name}`);
  return place < 0 ? fallback : Number(process.argv[place + 1]);
}

async function main(): Promise<void> {
  const rate = option("rate", 65);
  const minutes = option("minutes", 0);
  const calls = minutes > 0 ? Math.round(minutes * 60 * rate) : option("calls", 100_000);
  const result = await soak({
    calls,
    rate,
    seed: option("seed", 1),
    loud: option("loud", 0.05),
    warmUp: option("warm-up", 2_000),
    report: (line) => console.log(line),
  });
  for (const [story, count] of [...result.byStory].sort((a, b) => b[1] - a[1]))
    console.log(`${String(count).padStart(7)} ${story}`);
  console.log(
    `${calls} calls in ${result.seconds.toFixed(0)} s, ${((result.cpuSeconds / result.calls) * 1000).toFixed(2)} ms CPU each, both sides and sound together; the longest stall ${result.longestStall.toFixed(0)} ms`,
  );
  console.log(
    `heap ${megabytes(result.growth)} MB more after the last call, ${megabytes(slope(result.readings))} MB per 10,000 calls in the last half; worker ${megabytes(result.workerGrowth)} MB more; ${(result.perTransaction / 1024).toFixed(2)} kB per lingering transaction`,
  );
  for (const line of [...result.failures, ...result.left])
    console.log(`  ${line.split("\n", 1)[0]}`);
  const bad = result.failures.length + result.left.length;
  console.log(`${bad} problems`);
  process.exitCode = bad > 0 || result.growth > 10 * 2 ** 20 ? 1 : 0;
}

void main();
