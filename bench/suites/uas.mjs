// Calls that come in: INVITE with an offer → 180 → 200 with the answer → ACK → BYE → 200, beside other programs.
import { memory } from "../support/processes.mjs";
import { present, SERVERS, startServer } from "../support/servers.mjs";
import { highestCleanRate, placeCalls, within } from "../support/sipp.mjs";
import { figure, goal, median, table } from "../support/tables.mjs";

const RATE = 1500;
const SLOW_RATE = 50;

/** Warms a fresh server up and counts what a call costs it. */
async function cost(name, bench) {
  const server = await startServer(name, bench);
  const { port, program } = server;
  const rate = SERVERS[name].slow ? SLOW_RATE : RATE;
  const [warm, measured] = bench.quick ? [2, 2] : [3, 4];
  try {
    await placeCalls({ folder: bench.folder, port, rate, calls: rate * warm });
    const result = await placeCalls({
      folder: bench.folder,
      port,
      rate,
      calls: rate * measured,
      server: program,
    });
    return { ...result, memory: memory(program), lost: rate * measured - result.ok };
  } finally {
    await program.stop();
  }
}

async function highest(name, cpu, bench) {
  const { port, program } = await startServer(name, bench);
  const call = (rate, seconds) =>
    placeCalls({
      folder: bench.folder,
      port,
      rate,
      calls: Math.round(rate * seconds),
      server: program,
    });
  try {
    const warm = SERVERS[name].slow ? SLOW_RATE : RATE;
    await call(warm, 2);
    const times = bench.quick
      ? { steps: 3, seconds: 2, confirm: 2, recover: 2_000 }
      : { steps: 8, seconds: 2, confirm: 6 };
    const found = await highestCleanRate(
      async (rate, seconds) => ({ ...(await call(rate, seconds)), gone: program.isGone }),
      0.85e6 / cpu,
      times,
    );
    return { ...found, memory: memory(program) };
  } finally {
    await program.stop();
  }
}

export const uas = {
  name: "uas",
  title: "Calls in (UAS)",
  needs: ["sipp"],
  limit: { quick: 150, full: 720 },
  async run(bench) {
    const fast = present(["ours", "bare", "sip", "sipp", "kamailio"], bench);
    const slow = bench.quick ? [] : present(["jssip", "sipjs", "baresip"], bench);
    const costs = new Map([...fast, ...slow].map((name) => [name, []]));
    const rounds = bench.quick ? 1 : 3;
    for (let round = 0; round < rounds; round++) {
      for (const name of [...fast, ...(round === 0 ? slow : [])]) {
        const result = await bench.attempt(`${name}, round ${round + 1}`, () => cost(name, bench));
        if (result === undefined) continue;
        costs.get(name).push(result);
        bench.tell(
          `${name}: ${figure(result.cpu, 1)} µs per call, ${result.ok} calls, ${result.lost} lost`,
        );
      }
    }
    const cpu = (name) => median((costs.get(name) ?? []).map((each) => each.cpu)) ?? Number.NaN;
    // Of one round each, because the machine is never twice as fast.
    const ratio = (name, to) =>
      median(
        (costs.get(name) ?? []).flatMap((each, round) => {
          const other = costs.get(to)?.[round];
          return other === undefined ? [] : [each.cpu / other.cpu];
        }),
      ) ?? Number.NaN;
    const clean = new Map();
    for (const name of bench.quick ? ["ours"] : fast.filter((each) => each !== "sipp")) {
      const found = await bench.attempt(`highest rate of ${name}`, () =>
        highest(name, cpu(name), bench),
      );
      if (found === undefined) continue;
      clean.set(name, found);
      bench.tell(`${name}: ${figure(found.rate)} calls/s clean`);
    }
    const rows = [...costs]
      .filter(([, list]) => list.length > 0)
      .map(([name, list]) => {
        const found = clean.get(name);
        return [
          SERVERS[name].title,
          SERVERS[name].slow ? SLOW_RATE : figure(RATE),
          figure(cpu(name), 1),
          `${figure(Math.min(...list.map((each) => each.cpu)))}–${figure(Math.max(...list.map((each) => each.cpu)))}`,
          figure(ratio(name, "sip"), 2),
          figure(ratio(name, "bare"), 2),
          figure(found?.rate),
          found?.result === undefined ? "–" : `${within(found.result.responses, 0.99)}`,
          figure(median(list.map((each) => each.memory))),
        ];
      });
    const ours = clean.get("ours")?.rate ?? Number.NaN;
    return {
      text: [
        "CPU is user and system time of the server per call, each started afresh for each round, after warming up. Ratios are of the same round. The highest clean rate is the one at which every call succeeds, less than one message in a thousand is sent twice and the rate is kept; the limit of 99 % is from INVITE to 200 at that rate.",
        table(
          [
            "server",
            "calls/s",
            "CPU µs per call",
            "least–most",
            "× npm `sip`",
            "× bare",
            "highest clean calls/s",
            "99 % below ms",
            "MB",
          ],
          rows,
        ),
      ].join("\n\n"),
      goals: [
        goal(
          `CPU per call at ${figure(RATE)}/s`,
          "≤ 0.75 × npm `sip`",
          ratio("ours", "sip"),
          (value) => value <= 0.75,
        ),
        goal(
          `CPU per call at ${figure(RATE)}/s`,
          "≤ 1.6 × bare `dgram`",
          ratio("ours", "bare"),
          (value) => value <= 1.6,
        ),
        goal(
          "highest clean rate on one core",
          "≥ 8,000 calls/s",
          ours,
          (value) => value >= 8000,
          figure(ours),
        ),
      ],
    };
  },
};
