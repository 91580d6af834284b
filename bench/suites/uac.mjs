// Calls that go out: the same call as in `uas`, placed by us, by npm `sip` and by sipp, answered by sipp.
import { startClient } from "../support/clients.mjs";
import { CLIENT, freePort, memory, SERVER, untilBound } from "../support/processes.mjs";
import { answerer, highestCleanRate, placeCalls } from "../support/sipp.mjs";
import { figure, goal, median, table } from "../support/tables.mjs";

const RATE = 1500;
const CLIENTS = {
  ours: { title: "**@sipflow/node-red-sip**", path: "uac.mjs" },
  sip: { title: "npm `sip`, transactions without dialogs", path: "peers/sip-uac.mjs", npm: true },
  sipp: { title: "sipp UAC (a test tool)" },
};

async function withAnswerer(run) {
  const port = await freePort();
  const other = answerer(port, CLIENT);
  try {
    await untilBound(other, port);
    return await run(port);
  } finally {
    await other.stop();
  }
}

/** A caller, warm: `work(rate, seconds)`. */
function withCaller(name, bench, run) {
  return withAnswerer(async (port) => {
    if (name === "sipp") {
      // It measures itself: a new process for each run, nothing to warm up.
      const work = async (rate, seconds) => {
        const calls = Math.round(rate * seconds);
        const result = await placeCalls({ folder: bench.folder, port, rate, calls, core: SERVER });
        return { ...result, cpu: (result.client * result.seconds * 1e6) / Math.max(1, result.ok) };
      };
      return run(work, () => Number.NaN);
    }
    const { program, work } = await startClient(CLIENTS[name].path, [port], bench);
    try {
      await work(RATE, bench.quick ? 2 : 3);
      return await run(work, () => memory(program));
    } finally {
      await program.stop();
    }
  });
}

export const uac = {
  name: "uac",
  title: "Calls out (UAC)",
  needs: ["sipp"],
  limit: { quick: 90, full: 420 },
  async run(bench) {
    if (bench.peers === undefined) bench.leftOut("sip", "the libraries of npm");
    const names = Object.keys(CLIENTS).filter(
      (name) => !CLIENTS[name].npm || bench.peers !== undefined,
    );
    const costs = new Map(names.map((name) => [name, []]));
    for (let round = 0; round < (bench.quick ? 1 : 2); round++) {
      for (const name of names) {
        const result = await bench.attempt(`${name}, round ${round + 1}`, () =>
          withCaller(name, bench, async (work, held) => ({
            ...(await work(RATE, bench.quick ? 2 : 4)),
            memory: held(),
          })),
        );
        if (result === undefined) continue;
        costs.get(name).push(result);
        bench.tell(
          `${name}: ${figure(result.cpu, 1)} µs per call, ${result.ok} ok, ${result.failed} failed`,
        );
      }
    }
    const cpu = (name) => median(costs.get(name)?.map((each) => each.cpu) ?? []) ?? Number.NaN;
    const clean = new Map();
    const times = bench.quick
      ? { steps: 3, seconds: 2, confirm: 2, recover: 2_000 }
      : { steps: 8, seconds: 2, confirm: 4 };
    for (const name of bench.quick ? ["ours"] : names.filter((each) => each !== "sipp")) {
      const found = await bench.attempt(`highest rate of ${name}`, () =>
        withCaller(name, bench, (work) => highestCleanRate(work, 0.85e6 / cpu(name), times)),
      );
      if (found !== undefined) clean.set(name, found.rate);
    }
    const rows = names.map((name) => [
      CLIENTS[name].title,
      figure(cpu(name), 1),
      figure(cpu(name) / cpu("sip"), 2),
      figure(clean.get(name)),
      figure(median(costs.get(name).map((each) => each.memory))),
    ]);
    const ours = clean.get("ours") ?? Number.NaN;
    return {
      text: [
        `CPU of the caller, answered by sipp on the other core, at ${figure(RATE)} calls/s. Clean: every call succeeds, at most one in a thousand takes longer than 450 ms (then something was sent twice), the rate is kept.`,
        table(["caller", "CPU µs per call", "× npm `sip`", "highest clean calls/s", "MB"], rows),
      ].join("\n\n"),
      goals: [
        goal(
          "highest clean rate of calls out on one core",
          "as the server: ≥ 8,000 calls/s",
          ours,
          (value) => value >= 8000,
          figure(ours),
        ),
      ],
    };
  },
};
