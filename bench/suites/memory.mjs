// Memory of held calls, and of transactions that linger after their answer.
import { figuresOf } from "../support/child.mjs";
import { memory, pause } from "../support/processes.mjs";
import { present, SERVERS, startServer } from "../support/servers.mjs";
import { placeCalls } from "../support/sipp.mjs";
import { figure, goal, table } from "../support/tables.mjs";

const RATE = 400;

/** MB of a fresh server, with `calls` held, and `wait` seconds after the last. */
async function hold(name, bench, calls, wait) {
  const { port, program } = await startServer(name, bench);
  try {
    const idle = memory(program);
    const ramp = calls / RATE;
    let held = Number.NaN;
    const peak = setTimeout(() => (held = memory(program)), (ramp + 3) * 1000);
    const holdMs = Math.round((ramp + 5) * 1000);
    const { ok } = await placeCalls({ folder: bench.folder, port, rate: RATE, calls, holdMs });
    clearTimeout(peak);
    await pause(wait * 1000);
    return { name, idle, held, after: memory(program), ok };
  } finally {
    await program.stop();
  }
}

export const memorySuite = {
  name: "memory",
  title: "Memory",
  needs: ["sipp"],
  limit: { quick: 60, full: 150 },
  async run(bench) {
    const [calls, wait] = bench.quick ? [400, 2] : [2000, 40];
    const results = [];
    // Beside each other: most of it is waiting, and memory does not depend on who else is at work.
    const names = present(["ours", "sip", "kamailio"], bench);
    await Promise.all(
      names.map(async (name) => {
        const result = await bench.attempt(name, () => hold(name, bench, calls, wait));
        if (result !== undefined) results.push(result);
      }),
    );
    const transactions = 40_000;
    const [lingering] = await figuresOf("calls.mjs", [transactions / 2], bench, {
      nodeOptions: ["--expose-gc"],
      env: { T1: "500" },
    });
    const perTransaction = lingering.grown / transactions;
    const ours = results.find(({ name }) => name === "ours") ?? {};
    results.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
    return {
      text: [
        `${figure(calls)} calls held at once, set up at ${RATE}/s; memory is what the kernel counts for the whole process (PSS), right after its start, with all calls up, and ${wait} s after the last BYE.`,
        table(
          ["server", "start MB", "held MB", "kB per held call", "after MB", "calls"],
          results.map(({ name, idle, held, after, ok }) => [
            SERVERS[name].title,
            figure(idle),
            figure(held),
            figure(((held - idle) * 1024) / calls, 1),
            figure(after),
            figure(ok),
          ]),
        ),
        `A transaction that lingers for 32 s after its final answer holds ${figure(perTransaction)} bytes of heap (${figure(transactions)} of them, server side, INVITE and BYE, after a full collection).`,
      ].join("\n\n"),
      goals: [
        goal(
          `${figure(calls)} held calls`,
          "≤ 30 MB above idle",
          ours.held - ours.idle,
          (value) => value <= 30,
          `${figure(ours.held - ours.idle)} MB`,
        ),
        goal(
          `${wait} s after them`,
          "≤ 5 MB above idle",
          ours.after - ours.idle,
          (value) => value <= 5,
          `${figure(ours.after - ours.idle)} MB`,
        ),
        goal(
          "a lingering transaction",
          "≤ 2 kB",
          perTransaction,
          (value) => value <= 2048,
          `${figure(perTransaction)} B`,
        ),
      ],
    };
  },
};
