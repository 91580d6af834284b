// How long a caller waits: INVITE to 180 and INVITE to 200 at 500 calls a second.
import { present, SERVERS, startServer } from "../support/servers.mjs";
import { placeCalls, within } from "../support/sipp.mjs";
import { figure, goal, table } from "../support/tables.mjs";

const RATE = 500;

async function limits(name, bench) {
  const { port, program } = await startServer(name, bench);
  const seconds = bench.quick ? 2 : 6;
  const run = (scenario, length) =>
    placeCalls({
      folder: bench.folder,
      port,
      rate: RATE,
      calls: RATE * length,
      name: scenario,
      server: program,
    });
  try {
    await run("caller", bench.quick ? 2 : 4);
    const ringing = await run("caller-ringing", seconds);
    const answered = await run("caller", seconds);
    const share = ({ responses }, limit) => {
      const all = responses.reduce((sum, [, count]) => sum + count, 0);
      const below = responses
        .filter(([ms]) => ms <= limit)
        .reduce((sum, [, count]) => sum + count, 0);
      return (100 * below) / all;
    };
    return {
      name,
      ringing: within(ringing.responses, 0.99),
      answered: within(answered.responses, 0.99),
      shares: [share(ringing, 5), share(answered, 10)],
    };
  } finally {
    await program.stop();
  }
}

export const setup = {
  name: "setup",
  title: "Set-up time",
  needs: ["sipp"],
  limit: { quick: 60, full: 120 },
  async run(bench) {
    const results = [];
    for (const name of present(["ours", "sip", "kamailio"], bench)) {
      const result = await bench.attempt(name, () => limits(name, bench));
      if (result !== undefined) results.push(result);
    }
    const ours = results.find(({ name }) => name === "ours") ?? {};
    const shown = (value) => `below ${figure(value)} ms`;
    return {
      text: [
        `Seen by the caller (sipp), at ${RATE} calls/s. Limits are steps of 1, 2, 3, 4, 5, 7, 10, 20, 50 … ms.`,
        table(
          [
            "server",
            "99 % of 180 below ms",
            "99 % of 200 below ms",
            "180 within 5 ms",
            "200 within 10 ms",
          ],
          results.map(({ name, ringing, answered, shares }) => [
            SERVERS[name].title,
            figure(ringing),
            figure(answered),
            ...shares.map((share) => `${figure(share, 2)} %`),
          ]),
        ),
      ].join("\n\n"),
      goals: [
        goal(
          `INVITE to 180, p99 at ${RATE}/s`,
          "≤ 5 ms",
          ours.ringing ?? Number.NaN,
          (value) => value <= 5,
          shown(ours.ringing),
        ),
        goal(
          `INVITE to 200, p99 at ${RATE}/s`,
          "≤ 10 ms",
          ours.answered ?? Number.NaN,
          (value) => value <= 10,
          shown(ours.answered),
        ),
      ],
    };
  },
};
