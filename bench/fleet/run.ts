/**
 * `npm run fleet`: Kamailio, rtpengine, Redis and three Node-RED instances with the files of docs/scale-out/conf, SIPp as
 * callers: what docs/scale-out promises is checked and measured. Linux with Debian's kamailio, rtpengine-daemon,
 * redis-server and sip-tester; all on loopback addresses 127.0.36.x. Ends with 0 only if everything held.
 *   -- --quick     short runs, for a look
 *   -- --sharing none|redis|all   what the stacks use: nothing, sharedState, rtpengine, too (default)
 *   -- --out FILE  writes what was measured there (docs/scale-out/measured.md)
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { Fleet, SHARING } from "../../test/support/fleet/fleet.js";
import { available } from "../../test/support/peers/process.js";
import { drained, evenly, reachable } from "./calls.js";
import { killed } from "./killed.js";
import { model } from "./model.js";
import { Report } from "./report.js";
import { only, throughput } from "./throughput.js";

/** Nothing takes longer; whatever hangs is ended then. */
const LONGEST_MS = 15 * 60_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      sharing: { type: "string", default: "all" },
      out: { type: "string" },
    },
  });
  const engines = ["kamailio", "kamcmd", "rtpengine", "redis-server", "sipp", "openssl"];
  const missing = engines.filter((program) => !available(program));
  if (missing.length > 0) {
    console.error(
      `MISSING: ${missing.join(", ")}: nothing was checked. bash test/peers/install.sh installs them.`,
    );
    return 2;
  }
  const { sharedState } = SHARING;
  const stack = { none: {}, redis: { sharedState }, all: SHARING }[values.sharing];
  if (stack === undefined) throw new Error(`--sharing ${values.sharing}: none, redis or all`);
  const report = new Report();
  const fleet = await Fleet.start({
    base: "127.0.36",
    instances: 3,
    redis: true,
    rtpengine: true,
    stack: () => stack,
    // Without rtpengine sound goes past us, which is what lets such calls outlive their instance, too.
    bridge: { mode: values.sharing === "all" ? "media" : "signaling" },
  });
  try {
    const found = await throughput(fleet, report, values.quick);
    await only(fleet, 3);
    const most = found.at(-1)?.best.asked ?? 50;
    const rate = Math.max(20, Math.round(most * 0.6));
    const even = await evenly(fleet, report, values.quick ? 300 : 5000, rate);
    await reachable(fleet, report);
    await drained(fleet, report, values.quick ? 200 : 1000, Math.round(most * 0.4));
    await killed(fleet, report);
    await fleet.launch(3);
    await fleet.active(3);
    await model(fleet, report, even, values.quick);
  } finally {
    await fleet.stop();
  }
  const version = (program: string, ...words: string[]): string =>
    /\d+\.\d+[.\d]*/.exec(String(spawnSync(program, words).output))?.[0] ?? "?";
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? "?"}, Node ${process.versions.node}, Kamailio ${version("kamailio", "-v")}, rtpengine ${version("rtpengine", "--version")}, Redis ${version("redis-server", "--version")}`;
  if (values.out !== undefined) {
    const day = new Date().toISOString().slice(0, 10);
    writeFileSync(
      values.out,
      `# Measured\n\nBy \`npm run fleet\` on ${day}: ${machine}. All parts and the callers on this one machine.\n\n${report.text}\n`,
    );
  }
  console.log(`\n${machine}`);
  console.log(report.failures === 0 ? "everything held" : `${report.failures} NOT HELD`);
  return report.failures === 0 ? 0 : 1;
}

setTimeout(() => {
  console.error("took too long");
  process.exit(3);
}, LONGEST_MS).unref();
main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
