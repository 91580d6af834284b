// Does a call cost the same from the first to the millionth, and with many others open?
import { figuresOf } from "../support/child.mjs";
import { figure, goal, median, table } from "../support/tables.mjs";

const MEGABYTE = 2 ** 20;

export const growth = {
  name: "growth",
  title: "The millionth call, and ten thousand open ones",
  npm: false,
  limit: { quick: 90, full: 240 },
  async run(bench) {
    const [calls, parts] = bench.quick ? [10_000, 4] : [100_000, 10];
    const collected = { nodeOptions: ["--expose-gc"], seconds: 180 };
    const series = await figuresOf("calls.mjs", [calls], bench, {
      ...collected,
      env: { PARTS: String(parts) },
    });
    const first = series[0].cpu;
    const last = series.at(-1).cpu;
    const grown =
      ((series.at(-1).grown - series[0].grown) / MEGABYTE / (calls * (parts - 1))) * 100_000;
    const none = [];
    const many = [];
    for (let round = 0; round < (bench.quick ? 1 : 3); round++) {
      const run = (open) =>
        figuresOf("calls.mjs", [20_000], bench, { ...collected, env: { OPEN: String(open) } });
      none.push((await run(0))[0].cpu);
      many.push((await run(10_000))[0].cpu);
    }
    const ratio = median(many.map((cpu, round) => cpu / none[round]));
    return {
      text: [
        "The whole user agent without sockets, in one process: CPU of a call from INVITE to the 200 of its BYE, the making of the peer's messages included, after 15,000 calls to warm up.",
        table(
          ["calls", "CPU µs per call", "heap MB more than before the first"],
          series.map(({ cpu, grown: bytes }, part) => [
            `${figure(part * calls + 1)} to ${figure((part + 1) * calls)}`,
            figure(cpu, 1),
            figure(bytes / MEGABYTE, 1),
          ]),
        ),
        table(
          ["other calls open meanwhile", "CPU µs per call"],
          [
            ["none", figure(median(none), 1)],
            ["10,000", figure(median(many), 1)],
          ],
        ),
      ].join("\n\n"),
      goals: [
        goal(
          `the last ${figure(calls)} of ${figure(calls * parts)} calls beside the first ${figure(calls)}`,
          "constant (≤ 1.1 ×)",
          last / first,
          (value) => value <= 1.1,
        ),
        goal(
          "heap growth per 100,000 calls",
          "≤ 10 MB",
          grown,
          (value) => value <= 10,
          `${figure(grown, 1)} MB`,
        ),
        goal(
          "a call while 10,000 others are open beside one alone",
          "constant (≤ 1.1 ×)",
          ratio,
          (value) => value <= 1.1,
        ),
      ],
    };
  },
};
