// The load: sipp places calls (or registers) at a steady rate, and what it counted is read back.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CLIENT, freePort, launch, pause, processorTime } from "./processes.mjs";

export const scenario = (name) =>
  fileURLToPath(new URL(`../scenarios/${name}.xml`, import.meta.url));

/** Options that make sipp quick and quiet. */
const STEADY = [
  "-nostdin",
  "-timer_resol",
  1,
  "-max_recv_loops",
  5000,
  "-max_sched_loops",
  5000,
  "-buff_size",
  4_000_000,
];
/** What was queued and is sent again after an overload is over then: 64·T1 (RFC 3261 §17). */
const AFTER_OVERLOAD_MS = 34_000;
let runs = 0;

/** sipp as the other side: waits for calls on `port` and answers them. */
export function answerer(port, core = CLIENT) {
  return launch(core, "sipp", [
    "-sf",
    scenario("answerer"),
    "-i",
    "127.0.0.1",
    "-p",
    port,
    ...STEADY,
    "-deadcall_wait",
    500,
  ]);
}

/**
 * Places `calls` calls, `rate` per second, to 127.0.0.1:`port`.
 *
 * @returns what sipp counted: ok, failed, retransmissions, seconds, `rate` (ok calls per second), `cpu` (µs of `server`
 * per call), `client` (share of a core that sipp used), `responses` ([upper limit in ms, calls] of INVITE → 200), and
 * `clean`: every call succeeded, less than one in a thousand messages came twice, the rate was kept within 7 %.
 */
export async function placeCalls({
  folder,
  port,
  rate,
  calls,
  server,
  holdMs = 0,
  name = "caller",
  core = CLIENT,
  onStart,
}) {
  const statistics = join(folder, `sipp-${++runs}.csv`);
  const longest = Math.ceil(calls / rate + holdMs / 1000 + 12);
  const args = [
    ...[`127.0.0.1:${port}`, "-sf", scenario(name), "-s", "bench", "-i", "127.0.0.1"],
    ...["-p", await freePort(), "-cp", await freePort(), "-r", rate, "-m", calls],
    ...["-l", holdMs > 0 ? calls : Math.ceil(rate * 2 + 500), "-d", holdMs],
    ...["-trace_stat", "-fd", 1, "-stf", statistics, "-deadcall_wait", 500, "-timeout", longest],
    ...["-au", "bench", "-ap", "secret", ...STEADY],
  ];
  const before = server === undefined ? 0 : processorTime(server);
  const started = performance.now();
  const sipp = launch(core, "sipp", args);
  let used = 0;
  const watch = setInterval(() => (used = Math.max(used, processorTime(sipp))), 250);
  onStart?.(sipp);
  const limit = setTimeout(() => void sipp.stop(), (longest + 10) * 1000);
  await sipp.exited;
  clearTimeout(limit);
  clearInterval(watch);
  const seconds = (performance.now() - started) / 1000;
  const after = server === undefined ? 0 : processorTime(server);
  const counted = readStatistics(statistics);
  rmSync(statistics, { force: true });
  const { ok, failed, retransmissions } = counted;
  return {
    ...counted,
    seconds,
    rate: ok / seconds,
    cpu: (after - before) / Math.max(ok, 1),
    client: used / 1e6 / seconds,
    clean:
      ok === calls &&
      failed === 0 &&
      retransmissions < calls / 1000 &&
      (holdMs > 0 || Math.max(counted.callRate / rate, ok / seconds / rate) > 0.93) &&
      server?.isGone !== true,
  };
}

function readStatistics(file) {
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [""];
  const heads = lines[0].split(";");
  const last = lines.at(-1).split(";");
  const number = (name) => Number.parseFloat(last[heads.indexOf(name)]) || 0;
  const responses = heads.flatMap((head, index) => {
    const limit = /^ResponseTimeRepartition1_<(\d+)$/.exec(head)?.[1];
    if (limit !== undefined) return [[Number(limit), Number(last[index])]];
    return /^ResponseTimeRepartition1_>/.test(head)
      ? [[Number.POSITIVE_INFINITY, Number(last[index])]]
      : [];
  });
  return {
    ok: number("SuccessfulCall(C)"),
    failed: number("FailedCall(C)"),
    retransmissions: number("Retransmissions(C)"),
    callRate: number("CallRate(C)"),
    responses,
  };
}

/** The limit, in ms, that `share` of the calls stayed below. */
export function within(responses, share) {
  const all = responses.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [limit, count] of responses) {
    seen += count;
    if (all > 0 && seen >= all * share) return limit;
  }
  return Number.NaN;
}

/**
 * The highest clean rate: from half of a guess upwards until one is not clean, then the last clean one once more for longer. Never
 * from above: what was queued and is sent again after an overload costs the next rates for as long as RFC 3261 repeats it.
 *
 * @param run - `(rate, seconds)` places calls at that rate; the result needs `clean`
 */
export async function highestCleanRate(
  run,
  guess,
  { steps = 8, seconds = 3, confirm = 8, most = 40_000, recover = AFTER_OVERLOAD_MS } = {},
) {
  let good;
  let rate = Math.min(most, Math.max(20, Math.round(guess / 2)));
  for (let step = 0; step < steps && rate <= most; step++) {
    const result = await run(rate, seconds);
    if (result.gone) return { rate: Number.NaN, result: undefined };
    if (!result.clean) {
      // The first of all may have met a cold server or a busy machine.
      if (step > 0) await pause(recover);
      if (good !== undefined || step > 1) break;
      rate = Math.round(rate * 0.7);
      continue;
    }
    good = rate;
    rate = Math.round(rate * (step < 3 ? 1.25 : 1.12));
  }
  for (let tries = 0; good !== undefined && tries < 3; tries++) {
    const result = await run(good, confirm);
    if (result.clean) return { rate: good, result };
    await pause(recover);
    good = Math.round(good * 0.9);
  }
  return { rate: Number.NaN, result: undefined };
}
