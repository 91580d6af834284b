// Two calls joined: what it costs to pass a packet on, beside rtpengine.
import { findProgram } from "../support/processes.mjs";
import { rowsOf } from "../support/script.mjs";
import { figure, goal, median, table } from "../support/tables.mjs";

export const relay = {
  name: "relay",
  title: "Sound: two calls joined",
  npm: false,
  limit: { quick: 60, full: 170 },
  async run(bench) {
    if (findProgram("rtpengine") === undefined) bench.leftOut("rtpengine", "rtpengine");
    const counts = bench.quick ? [50] : [50, 200];
    const env = { SECS: bench.quick ? "2" : "4", ROUNDS: bench.quick ? "1" : "2" };
    const rows = await rowsOf("relay.mjs", counts, bench, { env, seconds: 140 });
    const cost = (name, pairs) =>
      median(
        rows
          .filter(([count, who]) => who === name && Number(count) === pairs)
          .map((cells) => Number(cells[5])),
      );
    const ratios = counts.map((pairs) => cost("ours", pairs) / cost("rtpengine", pairs));
    const ratio = median(ratios.filter(Number.isFinite)) ?? Number.NaN;
    const floors = counts.map((pairs) => cost("bare sockets", pairs) / cost("rtpengine", pairs));
    const floor = median(floors.filter(Number.isFinite)) ?? Number.NaN;
    return {
      text: [
        `Calls of two legs, G.711 both ways, joined in one worker; rtpengine works in user space with one thread; bare sockets pass on what comes, without a look at it. CPU is that of the whole process per packet passed on, ${env.ROUNDS} rounds in turns.`,
        table(
          [
            "joined calls",
            "relay",
            "packets/s sent",
            "passed on",
            "loss %",
            "CPU µs per packet",
            "core %",
          ],
          rows,
        ),
        `CPU per packet, ours beside rtpengine: ${counts.map((pairs, index) => `${figure(ratios[index], 2)} with ${pairs} calls`).join(", ")} (ours / rtpengine). Sockets of Node that look at nothing: ${counts.map((pairs, index) => `${figure(floors[index], 2)} with ${pairs} calls`).join(", ")} (bare / rtpengine).`,
      ].join("\n\n"),
      goals: [
        goal(
          "CPU per packet that is passed on",
          "≤ rtpengine in user space",
          ratio,
          (value) => value <= 1,
          `${figure(ratio, 2)} × (bare sockets of Node: ${figure(floor, 2)} ×)`,
        ),
      ],
    };
  },
};
