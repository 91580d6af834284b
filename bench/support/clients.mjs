// Programs that place calls or register at a rate which the bench tells them (support/paced.mjs).
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { launch, SERVER } from "./processes.mjs";

let clients = 0;

/** Starts `path` (relative to bench/) on the measured core. @returns its program and `work(rate, seconds)`. */
export async function startClient(path, args, bench) {
  const log = join(bench.folder, `client-${++clients}.log`);
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  // PROFILE=FOLDER writes CPU profiles of the clients there.
  const { PROFILE: folder } = process.env;
  const profiler = folder ? ["--cpu-prof", `--cpu-prof-dir=${folder}`] : [];
  const program = launch(SERVER, process.execPath, [...profiler, file, ...args], {
    log,
    ipc: true,
    env: { BENCH_PEERS: bench.peers ?? "" },
  });
  const message = () =>
    Promise.race([
      new Promise((resolve) => program.child.once("message", resolve)),
      program.exited.then(() => {
        throw new Error(`${path} ended: ${readFileSync(log, "utf8").slice(-400)}`);
      }),
    ]);
  await message();
  return {
    program,
    /** `cpu` of the result is µs per action; `clean`: all succeeded, none was slow, the rate was kept. */
    async work(rate, seconds) {
      const count = Math.round(rate * seconds);
      const answer = message();
      program.child.send({ rate, count });
      const result = await answer;
      const kept = result.seconds < seconds * 1.05 + 0.2;
      return {
        ...result,
        cpu: result.cpu / Math.max(1, result.ok),
        clean: result.ok === count && result.slow <= count / 1000 && kept,
      };
    },
  };
}
