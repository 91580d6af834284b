// Registrations with digest: our client, npm `sip` and sipp against a registrar that asks for each one or knows the nonce.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startClient } from "../support/clients.mjs";
import {
  CLIENT,
  findProgram,
  freePort,
  launch,
  SERVER,
  untilBound,
} from "../support/processes.mjs";
import { highestCleanRate, placeCalls } from "../support/sipp.mjs";
import { figure, median, table } from "../support/tables.mjs";

const RATE = 1500;
const CLIENTS = {
  ours: { title: "**@sipflow/node-red-sip**, 1,000 accounts", path: "registrations.mjs" },
  sip: { title: "npm `sip` with its digest", path: "peers/sip-registrations.mjs", npm: true },
  sipp: { title: "sipp (a test tool)", program: "sipp" },
};
const registrarFile = fileURLToPath(new URL("../peers/bare-registrar.mjs", import.meta.url));

async function withClient(name, nonces, bench, run) {
  const port = await freePort();
  const log = join(bench.folder, `registrar-${port}.log`);
  const registrar = launch(CLIENT, process.execPath, [registrarFile, port, nonces], { log });
  let client;
  try {
    await untilBound(registrar, port, { log });
    if (name === "sipp") {
      return await run(async (rate, seconds) => {
        const calls = Math.round(rate * seconds);
        const result = await placeCalls({
          folder: bench.folder,
          port,
          rate,
          calls,
          name: "register",
          core: SERVER,
        });
        return { ...result, cpu: (result.client * result.seconds * 1e6) / Math.max(1, result.ok) };
      });
    }
    client = await startClient(CLIENTS[name].path, [port], bench);
    await client.work(RATE, bench.quick ? 1 : 3);
    return await run(client.work);
  } finally {
    await client?.program.stop();
    await registrar.stop();
  }
}

export const register = {
  name: "register",
  title: "Registrations with digest",
  limit: { quick: 90, full: 380 },
  async run(bench) {
    if (bench.peers === undefined) bench.leftOut("sip", "the libraries of npm");
    if (!findProgram("sipp")) bench.leftOut("sipp", "sipp");
    const names = Object.keys(CLIENTS).filter((name) => !bench.missing.includes(name));
    const rows = [];
    for (const [nonces, title] of [
      ["once", "asked each time: REGISTER, 401, REGISTER, 200"],
      ["keep", "nonce known: REGISTER, 200"],
    ]) {
      const costs = new Map(names.map((name) => [name, []]));
      for (let round = 0; round < (bench.quick ? 1 : 2); round++) {
        for (const name of names) {
          if (name === "sipp" && nonces === "keep") continue;
          const result = await bench.attempt(`${name}, ${nonces}`, () =>
            withClient(name, nonces, bench, (work) => work(RATE, bench.quick ? 1 : 3)),
          );
          if (result === undefined) continue;
          costs.get(name).push(result.cpu);
          bench.tell(
            `${name}, ${nonces}: ${figure(result.cpu, 1)} µs, ${result.ok} ok, ${result.failed} failed, ${result.slow ?? 0} slow`,
          );
        }
      }
      const cpu = (name) => median(costs.get(name)) ?? Number.NaN;
      const found = bench.quick
        ? undefined
        : await bench.attempt(`highest rate, ${nonces}`, () =>
            withClient("ours", nonces, bench, (work) =>
              highestCleanRate(work, 0.8e6 / cpu("ours"), { steps: 5, seconds: 2, confirm: 4 }),
            ),
          );
      for (const name of names.filter((each) => costs.get(each).length > 0)) {
        rows.push([
          CLIENTS[name].title,
          title,
          figure(cpu(name), 1),
          figure(cpu(name) / cpu("sip"), 2),
          name === "ours" ? figure(found?.rate) : "–",
        ]);
      }
    }
    return {
      text: [
        `CPU of the client per successful registration at ${figure(RATE)}/s. The registrar, on the other core, checks every digest (MD5, qop=auth).`,
        table(
          [
            "client",
            "what",
            "CPU µs per registration",
            "× npm `sip`",
            "highest clean registrations/s",
          ],
          rows,
        ),
      ].join("\n\n"),
      goals: [],
    };
  },
};
