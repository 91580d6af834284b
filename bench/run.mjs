// `npm run bench`: every bench beside its peers, one after the other, and docs/performance.md with what they found.
//   -- --only NAME[,NAME]  only these
//   -- --quick             short runs, for a look; nothing is written
//   -- --out FILE          writes there instead of docs/performance.md (with --quick too)
// Build first (`npm run build`): what users run, dist/, is measured. Linux; the load needs Debian's sip-tester (sipp).
// A bench that fails or takes too long leaves its part of the document as it was and the run goes on.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { updateDocument } from "./support/document.mjs";
import { installPeers } from "./support/npm-peers.mjs";
import { endAll, findProgram, foreignLoad } from "./support/processes.mjs";
import { SUITES } from "./suites/index.mjs";

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    out: { type: "string" },
  },
});
const wanted = options.only?.split(",");
const unknown = wanted?.filter((name) => !SUITES.some((suite) => suite.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(
    `no bench ${unknown.join(", ")}; there are ${SUITES.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}
if (!existsSync(new URL("../dist/lib/index.js", import.meta.url))) {
  console.error("dist/ is missing: npm run build");
  process.exit(2);
}

const started = performance.now();
const folder = mkdtempSync(join(tmpdir(), "sip-bench-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const tell = (text) => console.log(`  ${text}`);
const document = options.out ?? fileURLToPath(new URL("../docs/performance.md", import.meta.url));
let failures = 0;

/** What a bench gets: how long it may be, where it may write, how it tells, and the libraries to compare with. */
function benchOf(suite, peers, seconds) {
  const missing = [];
  const late = performance.now() + seconds * 1000;
  return {
    quick: options.quick,
    folder,
    peers,
    tell,
    missing,
    leftOut(name, what) {
      missing.push(name);
      console.error(`  LEFT OUT: ${name}: ${what} is not here`);
    },
    /** One part of a bench: when it fails, or comes too late, the others are still shown. */
    async attempt(what, run) {
      if (performance.now() > late) {
        console.error(`  LEFT OUT: ${what}: no time left for it`);
        return undefined;
      }
      try {
        return await run();
      } catch (error) {
        failures += 1;
        console.error(`  FAILED: ${suite.name}, ${what}: ${error.message}`);
        return undefined;
      }
    },
  };
}

function limited(promise, seconds) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`took more than ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const suites = SUITES.filter(({ name }) => wanted === undefined || wanted.includes(name));
const peers = suites.some(({ npm }) => npm !== false) ? installPeers(folder, tell) : undefined;
const done = [];
for (const suite of suites) {
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  console.log(`\n=== ${suite.name}: ${suite.title} (${minutes} min so far) ===`);
  const absent = (suite.needs ?? []).filter((program) => findProgram(program) === undefined);
  if (absent.length > 0) {
    console.error(`  LEFT OUT: ${absent.join(", ")} is not here`);
    continue;
  }
  const others = await foreignLoad();
  if (others > 0.1)
    tell(`others use ${(others * 100).toFixed(0)} % of a core: the figures will be off`);
  const seconds = options.quick ? suite.limit.quick : suite.limit.full;
  const bench = benchOf(suite, peers, seconds);
  try {
    const result = await limited(suite.run(bench), 1.5 * seconds);
    console.log(`\n${result.text}\n`);
    for (const { what, goal, measured, met } of result.goals) {
      console.log(
        `  ${met === undefined ? "?" : met ? "met" : "NOT MET"}: ${what}: ${measured} (goal ${goal})`,
      );
    }
    done.push({ suite, result, missing: bench.missing, others });
  } catch (error) {
    failures += 1;
    console.error(`  FAILED: ${suite.name}: ${error.message}`);
  }
  endAll();
}

if (!options.quick || options.out !== undefined) {
  const before = existsSync(document) ? readFileSync(document, "utf8") : "";
  writeFileSync(document, updateDocument(before, done, options.quick));
  console.log(`\nwritten: ${document}`);
}
console.log(
  `\n${done.length} of ${suites.length} benches in ${((performance.now() - started) / 60_000).toFixed(1)} minutes`,
);
process.exit(failures > 0 || done.length === 0 ? 1 : 0);
