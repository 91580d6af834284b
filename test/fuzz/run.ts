/**
 * `npm run fuzz -- --n 1000000 --seed 1 --layer message`: seeded hostile input for every part of the stack that reads
 * what strangers send. A failure names layer, seed and number and shows the input; `--only N` runs that one alone in
 * the layers that keep no state. Ends with 1 if there was a failure.
 */
import { CallLayer } from "./call-layer.js";
import { documentLayer } from "./document-layer.js";
import { fuzz, type FuzzReport } from "./fuzz.js";
import { LiveLayer } from "./live-layer.js";
import { messageLayer } from "./message-layer.js";
import { PacketLayer } from "./packet-layer.js";
import { sdpLayer } from "./sdp-layer.js";
import { SoundLayer } from "./sound-layer.js";

function option(name: string, fallback: string): string {
  const place = process.argv.indexOf(`--${name}`);
  return place < 0 ? fallback : (process.argv[place + 1] ?? fallback);
}

async function main(): Promise<void> {
  const count = Number(option("n", "100000"));
  const seed = Number(option("seed", "1"));
  const only = option("only", "");
  const wanted = option("layer", "");
  const layers = [
    messageLayer,
    sdpLayer,
    documentLayer,
    new PacketLayer(),
    new SoundLayer(),
    new CallLayer(),
    new LiveLayer(),
  ].filter(({ name }) => wanted === "" || wanted === name);
  let failures = 0;
  for (const layer of layers) {
    const inputs = Math.ceil(wanted === "" ? count * layer.share : count);
    const report = await fuzz(layer, {
      seed,
      inputs,
      only: only === "" ? undefined : Number(only),
    });
    show(report);
    failures += report.failures.length;
  }
  process.exitCode = failures > 0 ? 1 : 0;
}

function show({ layer, inputs, seconds, slowestMs, heapGrowth, failures }: FuzzReport): void {
  const rate = Math.round(inputs / Math.max(seconds, 0.001));
  console.log(
    `${layer.padEnd(9)} ${String(inputs).padStart(8)} inputs, ${rate}/s, slowest ${slowestMs.toFixed(1)} ms, heap +${(heapGrowth / 1e6).toFixed(1)} MB, ${failures.length} failures`,
  );
  for (const { number, seed, error, input } of failures) {
    console.log(`  seed ${seed}, input ${number}: ${error}\n    ${JSON.stringify(input)}`);
  }
}

void main();
