// SIP libraries of npm to compare with: installed into a folder of the bench when the first one is asked for.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const PACKAGES = [
  "sip@0.0.6",
  "sip.js@0.21.2",
  "jssip@3.13.8",
  "drachtio-sip@0.6.3",
  "drachtio-srf@5.0.29",
];

/**
 * Installs the libraries; those that are there already stay. BENCH_PEERS names a folder that is kept from run to run.
 *
 * @returns the folder, or nothing when npm could not get them (the benches go on without).
 */
export function installPeers(scratch, tell) {
  const folder = process.env.BENCH_PEERS ?? join(scratch, "npm-peers");
  const installed = PACKAGES.every((name) =>
    existsSync(join(folder, "node_modules", name.split("@")[0])),
  );
  if (installed) return folder;
  tell("installing the libraries of npm to compare with …");
  mkdirSync(folder, { recursive: true });
  const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder];
  const { status, stderr } = spawnSync("npm", ["install", ...options, ...PACKAGES], {
    cwd: folder,
    encoding: "utf8",
    timeout: 120_000,
  });
  if (status === 0) return folder;
  tell(
    `LEFT OUT: the libraries of npm could not be installed: ${String(stderr).trim().slice(-300)}`,
  );
  return undefined;
}

/** `require` as if from within that folder. */
export const requireFrom = (folder) => createRequire(join(folder, "peers.cjs"));
