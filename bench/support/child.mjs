// A program of the bench that measures itself in a process of its own and sends its figures.
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { launch, SERVER } from "./processes.mjs";
import { readFileSync } from "node:fs";

let runs = 0;

/**
 * Runs `path` (relative to bench/) on the measured core.
 *
 * @param {unknown[]} args - its arguments
 * @returns what it sent by `process.send`. @throws Error with the end of its log when it sends nothing in `seconds`.
 */
export async function figuresOf(
  path,
  args,
  bench,
  { seconds = 120, nodeOptions = [], env = {} } = {},
) {
  const log = join(bench.folder, `child-${++runs}.log`);
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  const program = launch(SERVER, process.execPath, [...nodeOptions, file, ...args], {
    log,
    ipc: true,
    env: { BENCH_PEERS: bench.peers ?? "", ...env },
  });
  let figures;
  program.child.once("message", (message) => (figures = message));
  const limit = setTimeout(() => void program.stop(), seconds * 1000);
  await program.exited;
  clearTimeout(limit);
  if (figures === undefined)
    throw new Error(`${path} sent nothing: ${readFileSync(log, "utf8").slice(-400)}`);
  return figures;
}
