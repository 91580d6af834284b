// `npm test`: installs missing peers, builds, runs every suite and ends with a line of true numbers.
//   --unit    without real peers and browsers
//   --second  on another Node and Node-RED (NODE_RED_HOME): everything but the SIP peers, who see no difference
import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);
const unitOnly = process.argv.includes("--unit");
const second = process.argv.includes("--second");
const scratch = mkdtempSync(join(tmpdir(), "sip-tests-"));
const counts = join(scratch, "counts");
let broken = 0;

function run(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  return result.status ?? 1;
}

const mochaArguments = (files, options) => [
  require.resolve("mocha/bin/mocha.js"),
  "--no-config",
  "--import=tsx",
  "--reporter",
  join(root, "test/support/reporter.cjs"),
  ...options,
  ...files,
];
const mochaEnvironment = { TEST_COUNTS_FILE: counts, NODE_ENV: "test" };
const summaries = () =>
  existsSync(counts) ? readFileSync(counts, "utf8").split("\n").filter(Boolean).length : 0;

// A suite that died before its summary has failed, whatever it had counted.
function expectSummaries(title, number) {
  if (summaries() >= number) return;
  console.error(`${title}: ended without a summary`);
  broken += number - summaries();
}

function mocha(title, files, options = []) {
  if (files.length === 0) return;
  console.log(`\n=== ${title} ===`);
  const before = summaries();
  run(process.execPath, mochaArguments(files, options), mochaEnvironment);
  expectSummaries(title, before + 1);
}

/** Runs beside what follows. @returns what it printed, when it is over. */
async function mochaAside(files, options, env = {}) {
  const child = spawn(process.execPath, mochaArguments(files, [...options, "--colors"]), {
    cwd: root,
    env: { ...process.env, ...mochaEnvironment, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const parts = [];
  child.stdout.on("data", (part) => parts.push(part));
  child.stderr.on("data", (part) => parts.push(part));
  await new Promise((resolve) => child.once("close", resolve));
  return Buffer.concat(parts).toString();
}

// Groups that mostly wait run beside each other; what they print comes one after the other.
async function mochaBesides(title, groups, options) {
  console.log(`\n=== ${title} ===`);
  const wanted = groups.filter((files) => files.length > 0);
  const before = summaries();
  const texts = await Promise.all(wanted.map((files) => mochaAside(files, options)));
  for (const text of texts) process.stdout.write(text);
  expectSummaries(title, before + wanted.length);
}

/** Test files of a folder below test/, or of test/ itself. */
const find = (folder) =>
  (existsSync(join(root, "test", folder))
    ? readdirSync(join(root, "test", folder), { recursive: folder !== "" })
    : []
  )
    .map(String)
    .filter((file) => file.endsWith(".test.ts"))
    .sort()
    .map((file) => join("test", folder, file));

if (!unitOnly) {
  if (run("bash", [join(root, "test/peers/install.sh")]) !== 0)
    console.error("PEERS: installing failed; what could not be tested is named below.");
}
if (run(process.execPath, [join(root, "build.mjs")]) !== 0) {
  console.log("0 passed, 1 failed");
  process.exit(1);
}

// Ten minutes of calls at an even, low rate beside everything else; awaited at the end.
const soakCounts = join(scratch, "soak-counts");
const soak =
  unitOnly || second
    ? undefined
    : mochaAside(find("soak"), ["--exit"], {
        SOAK_MINUTES: process.env.SOAK_MINUTES ?? "10",
        TEST_COUNTS_FILE: soakCounts,
      });

mocha("library", find("lib"), [
  "--timeout",
  "20000",
  "--require",
  "./test/support/transition-coverage.ts",
]);
mocha("nodes", find("nodes"), ["--timeout", "20000", "--exit"]);
if (!second) mocha("hostile input", find("fuzz"), ["--timeout", "300000", "--exit"]);
mocha("project", find(""), ["--timeout", "30000"]);
if (!unitOnly) {
  if (!second) {
    const peers = find("peers");
    // About as long as the others together.
    const long = (file) =>
      /sipp|failover|rtpengine|redis|registration|member|edge|scale-out|take-over/.test(file);
    await mochaBesides(
      "real peers",
      [peers.filter(long), peers.filter((file) => !long(file))],
      ["--timeout", "120000", "--exit"],
    );
  }
  mocha("Node-RED and browser", find("e2e"), ["--timeout", "180000", "--exit"]);
}

if (soak) {
  console.log("\n=== soak, beside all of these ===");
  process.stdout.write(await soak);
  if (existsSync(soakCounts)) appendFileSync(counts, readFileSync(soakCounts));
  else {
    console.error("soak: ended without a summary");
    broken += 1;
  }
}

const total = { passes: 0, failures: 0, pending: 0 };
const failed = [];
const repeated = [];
if (existsSync(counts)) {
  for (const line of readFileSync(counts, "utf8").split("\n").filter(Boolean)) {
    const one = JSON.parse(line);
    for (const key of Object.keys(total)) total[key] += one[key];
    failed.push(...one.failed);
    repeated.push(...one.repeated);
  }
}
total.failures += broken;
rmSync(scratch, { recursive: true, force: true });
// Once more at the end, where whoever reads only the last lines finds them; .ci/run shows the file after both runs.
const told = failed.map(({ title, file, error }) => {
  const place = file === "" ? "" : ` (${relative(root, file)})`;
  return `FAILED: ${title}${place}\n${error.replace(/^/gm, "    ")}\n`;
});
for (const title of repeated) {
  console.log(`REPEATED, because the machine stood still: ${title.slice(0, 400)}`);
}
if (told.length > 0) console.log(`\n${told.join("\n")}`);
if (process.env.TEST_FAILED_FILE) appendFileSync(process.env.TEST_FAILED_FILE, told.join("\n"));
const skipped = total.pending > 0 ? `, ${total.pending} skipped` : "";
if (total.pending > 0)
  console.error(`\nNOT TESTED: ${total.pending} tests had no peer on this machine (named above).`);
console.log(`${total.passes} passed, ${total.failures} failed${skipped}`);
process.exit(total.failures > 0 || total.passes === 0 ? 1 : 0);
