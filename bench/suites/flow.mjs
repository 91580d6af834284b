// The same calls through a flow: sip-incoming → (change: msg.sdp) → sip-accept, and a sip-event that hears of every end,
// in a real Node-RED, beside the library by itself.
import { freePort, memory } from "../support/processes.mjs";
import { ANSWER } from "../support/description.mjs";
import { startNodeRed } from "../support/node-red.mjs";
import { startServer } from "../support/servers.mjs";
import { highestCleanRate, placeCalls, within } from "../support/sipp.mjs";
import { figure, goal, median, table } from "../support/tables.mjs";

const RATE = 1000;

const node = (id, type, wires, more) => ({
  id,
  type,
  z: "calls",
  x: 100,
  y: 100,
  wires,
  name: "",
  ...more,
});

/** The flow as a flow file has it. @param media - "none": the flow gives the answer; "rtp": every call opens its ports */
export function answeringFlow(sipPort, media) {
  const transports = JSON.stringify([{ protocol: "udp", address: "127.0.0.1", port: sipPort }]);
  const given = media === "none";
  return [
    { id: "calls", type: "tab", label: "calls" },
    {
      id: "stack",
      type: "sip-stack",
      name: "",
      transports,
      media,
      allow: "127.0.0.0/8",
      rtpPortMin: 20_000,
      rtpPortMax: 60_000,
    },
    node("incoming", "sip-incoming", [[given ? "answer" : "accept"], []], {
      stack: "stack",
      ring: true,
      answerTimeout: "180",
    }),
    node("answer", "change", [["accept"]], {
      rules: [{ t: "set", p: "sdp", pt: "msg", to: ANSWER, tot: "str" }],
    }),
    node("accept", "sip-accept", [[], []], {}),
    node("ended", "sip-event", [["count"]], { stack: "stack", events: "ended" }),
    node("count", "function", [[]], {
      func: "context.set('ended', (context.get('ended') || 0) + 1);",
      outputs: 0,
    }),
  ];
}

const starts = {
  async ours(bench) {
    return startServer("ours", bench);
  },
  async flow(bench) {
    const port = await freePort();
    return {
      port,
      program: await startNodeRed({
        folder: bench.folder,
        flows: answeringFlow(port, "none"),
        sipPort: port,
      }),
    };
  },
  async sound(bench) {
    const port = await freePort();
    return {
      port,
      program: await startNodeRed({
        folder: bench.folder,
        flows: answeringFlow(port, "rtp"),
        sipPort: port,
      }),
    };
  },
};
const TITLES = {
  ours: "the library by itself",
  flow: "**the flow**, `media: none`, its answer set by a change node",
  sound: "the flow with sound: every call opens and closes two RTP ports in the worker",
};

async function cost(name, bench) {
  const { port, program } = await starts[name](bench);
  const rate = name === "sound" ? 200 : RATE;
  const [warm, measured] = bench.quick ? [3, 2] : [4, 4];
  const call = (seconds) =>
    placeCalls({ folder: bench.folder, port, rate, calls: rate * seconds, server: program });
  try {
    await call(warm);
    const result = await call(measured);
    return { ...result, asked: rate, memory: memory(program) };
  } finally {
    await program.stop();
  }
}

async function highest(name, cpu, bench) {
  const { port, program } = await starts[name](bench);
  const call = (rate, seconds) =>
    placeCalls({
      folder: bench.folder,
      port,
      rate,
      calls: Math.round(rate * seconds),
      server: program,
    });
  try {
    await call(RATE, 4);
    const times = bench.quick
      ? { steps: 3, seconds: 2, confirm: 2, recover: 2_000 }
      : { steps: 8, seconds: 2, confirm: 5 };
    return await highestCleanRate(
      async (rate, seconds) => ({ ...(await call(rate, seconds)), gone: program.isGone }),
      0.8e6 / cpu,
      times,
    );
  } finally {
    await program.stop();
  }
}

export const flow = {
  name: "flow",
  title: "Calls through a flow",
  needs: ["sipp"],
  npm: false,
  limit: { quick: 120, full: 460 },
  async run(bench) {
    const costs = { ours: [], flow: [], sound: [] };
    const rounds = bench.quick ? 1 : 3;
    for (let round = 0; round < rounds; round++) {
      for (const name of round === 0 && !bench.quick
        ? ["ours", "flow", "sound"]
        : ["ours", "flow"]) {
        const result = await bench.attempt(`${name}, round ${round + 1}`, () => cost(name, bench));
        if (result === undefined) continue;
        costs[name].push(result);
        bench.tell(
          `${name}: ${figure(result.cpu, 1)} µs per call, ${result.ok} ok, ${result.failed} failed`,
        );
      }
    }
    const cpu = (name) => median(costs[name].map((each) => each.cpu)) ?? Number.NaN;
    const ratio =
      median(
        costs.flow.flatMap((each, round) =>
          costs.ours[round] ? [each.cpu / costs.ours[round].cpu] : [],
        ),
      ) ?? Number.NaN;
    const found = await bench.attempt("highest rate", () => highest("flow", cpu("flow"), bench));
    const clean = found?.rate ?? Number.NaN;
    const rows = Object.entries(costs)
      .filter(([, list]) => list.length > 0)
      .map(([name, list]) => [
        TITLES[name],
        figure(list[0].asked),
        figure(cpu(name), 1),
        name === "flow" ? figure(ratio, 2) : name === "ours" ? "1.00" : "–",
        name === "flow" ? figure(clean) : "–",
        name === "flow" && found?.result ? `${within(found.result.responses, 0.99)}` : "–",
        figure(median(list.map((each) => each.memory))),
      ]);
    return {
      text: [
        "A real Node-RED with `sip-incoming` (rings) → change → `sip-accept`, and a `sip-event` that hears of every `ended`. CPU is that of the whole Node-RED process.",
        table(
          [
            "what",
            "calls/s",
            "CPU µs per call",
            "× library",
            "highest clean calls/s",
            "99 % below ms",
            "MB",
          ],
          rows,
        ),
      ].join("\n\n"),
      goals: [
        goal(
          `CPU per call through the flow at ${figure(RATE)}/s`,
          "≤ 2 × library",
          ratio,
          (value) => value <= 2,
        ),
        goal(
          "highest clean rate through the flow",
          "≥ 2,500 calls/s",
          clean,
          (value) => value >= 2500,
          figure(clean),
        ),
      ],
    };
  },
};
