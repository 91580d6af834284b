// Runs one of the benches that print a table themselves and reads its rows.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CLIENT, launch, SERVER } from "./processes.mjs";

let runs = 0;

/** @returns the cells of each row. @throws Error with the end of what it printed when there is none. */
export async function rowsOf(path, args, bench, { env, seconds }) {
  const log = join(bench.folder, `script-${++runs}.log`);
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  // On both cores: it gives them to its own processes.
  const program = launch([CLIENT, SERVER], process.execPath, [file, ...args], { log, env });
  const limit = setTimeout(() => void program.stop(), seconds * 1000);
  await program.exited;
  clearTimeout(limit);
  const text = readFileSync(log, "utf8");
  const rows = text
    .split("\n")
    .filter((line) => /^\| \d/.test(line))
    .map((line) => line.slice(2, -2).split(" | "));
  if (rows.length === 0) throw new Error(`${path} printed no row: ${text.slice(-400)}`);
  return rows;
}
