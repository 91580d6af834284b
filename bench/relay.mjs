// What it costs to pass on a packet of a bridged call: our relay (one worker, G.711 on both legs) beside rtpengine in
// user space with one thread and bare sockets of Node, the same traffic for all in the same run, each on a core of its own while another sends and counts.
// Prints packets per second, loss, CPU µs per packet (of the whole process, kernel included) and the share of the core.
// Build first (`npm run build`): it measures dist/, what users run. rtpengine is the Debian package rtpengine-daemon;
// without it only ours is measured.
// Usage: node bench/relay.mjs [PAIRS…]    default 50 100 200 calls of two legs; SECS=5 seconds each, ROUNDS=3
import { spawn } from "node:child_process";
import dgram from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram, pause, processorTime, SERVER } from "./support/processes.mjs";

const require = createRequire(import.meta.url);
const me = fileURLToPath(import.meta.url);
const [role, ...parameters] = process.argv.slice(2);
const seconds = Number(process.env.SECS ?? 5);
const rounds = Number(process.env.ROUNDS ?? 3);
const ADDRESS = "127.0.0.1";
const TICK_MS = 5;

const description = (port) =>
  [
    "v=0",
    `o=- 1 1 IN IP4 ${ADDRESS}`,
    "s=-",
    `c=IN IP4 ${ADDRESS}`,
    "t=0 0",
    `m=audio ${port} RTP/AVP 0 101`,
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=ptime:20",
    "",
  ].join("\r\n");
const portOf = (sdp) => Number(/m=audio (\d+)/.exec(sdp)[1]);

/** Our endpoint, in a process of its own: one bridged call for each pair of ports that it is told. */
async function endpoint() {
  const { EmbeddedMediaHandler } = require("../dist/lib/index.js");
  const handler = new EmbeddedMediaHandler({
    address: ADDRESS,
    portMin: 20_000,
    portMax: 39_999,
    codecs: ["PCMU"],
  });
  await handler.start();
  const events = {
    onDigit() {},
    onMediaTimeout() {},
    onError: (error) => console.error(error.message),
  };
  const context = { localAddress: ADDRESS, remoteAddress: ADDRESS, events };
  process.on("message", async (message) => {
    if (message === "end") {
      await handler.close();
      process.exit(0);
    }
    const [a, b] = [0, 1].map((leg) =>
      handler.createSession({
        ...context,
        sessionId: `${message.call}-${leg}`,
        near: `${message.call}-0`,
      }),
    );
    const answers = [
      await a.answer(description(message.ports[0])),
      await b.answer(description(message.ports[1])),
    ];
    a.start();
    b.start();
    await a.audio.bridge(b.audio);
    process.send({ call: message.call, ports: answers.map(portOf) });
  });
  process.send("ready");
}

/** What no relay in Node can be below: two sockets for each call, a packet of one goes out of the other, nothing is looked at. */
function bare() {
  process.on("message", async (message) => {
    if (message === "end") process.exit(0);
    const sockets = [await openSocket(), await openSocket()];
    for (const [leg, socket] of sockets.entries()) {
      const [other, port] = [sockets[1 - leg], message.ports[1 - leg]];
      socket.on("message", (datagram) => other.send(datagram, port, ADDRESS));
    }
    process.send({ call: message.call, ports: sockets.map((socket) => socket.address().port) });
  });
  process.send("ready");
}

const startOurs = () => startNode("ours", "endpoint");
const startBare = () => startNode("bare sockets", "bare");

function startNode(name, kind) {
  const child = spawn("taskset", ["-c", String(SERVER), process.execPath, me, kind], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const waiting = new Map();
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
    child.on("message", (message) => {
      if (message === "ready") {
        resolve({
          name,
          pid: child.pid,
          join: (call, ports) =>
            new Promise((done) => {
              waiting.set(call, done);
              child.send({ call, ports });
            }),
          stop: () =>
            new Promise((done) => {
              child.removeAllListeners("exit");
              child.once("exit", done);
              child.send("end");
            }),
        });
      } else {
        waiting.get(message.call)(message.ports);
        waiting.delete(message.call);
      }
    });
  });
}

/** The ng protocol: a cookie, then a dictionary in bencoding. */
const CONTROL_PORT = 22_231;

function encode(value) {
  if (typeof value === "string") return `${Buffer.byteLength(value)}:${value}`;
  if (Array.isArray(value)) return `l${value.map(encode).join("")}e`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `d${entries.map(([key, entry]) => encode(key) + encode(entry)).join("")}e`;
}

/** Reads what rtpengine answers, so far as it matters here: the strings of the outermost dictionary. */
function fields(text) {
  const found = {};
  const read = (at) => {
    if (text[at] === "i") return [undefined, text.indexOf("e", at) + 1];
    if (text[at] === "d" || text[at] === "l") {
      let next = at + 1;
      while (text[next] !== "e") [, next] = read(next);
      return [undefined, next + 1];
    }
    const colon = text.indexOf(":", at);
    const end = colon + 1 + Number(text.slice(at, colon));
    return [text.slice(colon + 1, end), end];
  };
  for (let at = 1; text[at] !== "e";) {
    const [key, afterKey] = read(at);
    const [value, afterValue] = read(afterKey);
    found[key] = value;
    at = afterValue;
  }
  return found;
}

async function startRtpengine() {
  if (findProgram("rtpengine") === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "relay-"));
  const child = spawn(
    "taskset",
    [
      ...[
        "-c",
        String(SERVER),
        "rtpengine",
        "--config-file=none",
        "--table=-1",
        `--interface=${ADDRESS}`,
      ],
      `--listen-ng=${ADDRESS}:${CONTROL_PORT}`,
      ...["--foreground", "--log-stderr", "--log-level=3", "--num-threads=1"],
      ...["--port-min=40000", "--port-max=59999", `--pidfile=${join(folder, "pid")}`],
    ],
    { stdio: "ignore" },
  );
  let gone = false;
  child.once("exit", () => (gone = true));
  const control = dgram.createSocket("udp4");
  const waiting = new Map();
  control.on("message", (datagram) => {
    const text = datagram.toString("latin1");
    const space = text.indexOf(" ");
    waiting.get(text.slice(0, space))?.(fields(text.slice(space + 1)));
  });
  let cookie = 0;
  const ask = (message) =>
    new Promise((resolve) => {
      const name = `c${++cookie}`;
      const timer = setTimeout(() => resolve(undefined), 1_000);
      waiting.set(name, (answer) => {
        clearTimeout(timer);
        waiting.delete(name);
        resolve(answer);
      });
      control.send(`${name} ${encode(message)}`, CONTROL_PORT, ADDRESS);
    });
  const stop = async () => {
    control.close();
    if (!gone) {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill();
      await exited;
    }
    rmSync(folder, { recursive: true });
  };
  for (let tries = 0; tries < 10 && !gone; tries++) {
    const answer = await ask({ command: "ping" });
    if (answer?.result !== "pong") {
      await pause(100);
      continue;
    }
    return {
      name: "rtpengine",
      pid: child.pid,
      join: async (call, [first, second]) => {
        const leg = { "call-id": `call-${call}`, "from-tag": "from", ICE: "remove" };
        const offer = await ask({ command: "offer", ...leg, sdp: description(first) });
        const answered = { command: "answer", ...leg, "to-tag": "to", sdp: description(second) };
        const answer = await ask(answered);
        // The port in the offer is for the second leg to send to.
        return [portOf(answer.sdp), portOf(offer.sdp)];
      },
      stop,
    };
  }
  await stop();
  return undefined;
}

function openSocket() {
  const socket = dgram.createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  return new Promise((resolve) => socket.bind(0, ADDRESS, () => resolve(socket)));
}

async function measure(relay, pairs) {
  let received = 0;
  let sent = 0;
  const legs = [];
  for (let call = 0; call < pairs; call++) {
    const sockets = [await openSocket(), await openSocket()];
    const targets = await relay.join(
      call,
      sockets.map((socket) => socket.address().port),
    );
    for (const [index, socket] of sockets.entries()) {
      socket.on("message", (datagram) => {
        if (datagram.length === 172) received += 1;
      });
      const packet = Buffer.alloc(172, 0x55);
      packet.writeUInt16BE(0x8000, 0);
      packet.writeUInt32BE(call * 2 + index + 1, 8);
      await new Promise((resolve) => socket.connect(targets[index], ADDRESS, resolve));
      legs.push({ socket, packet, number: 0 });
    }
  }
  const slots = 20 / TICK_MS;
  const start = performance.now();
  let tick = 0;
  const timer = setInterval(() => {
    for (; start + tick * TICK_MS <= performance.now(); tick++) {
      for (let i = tick % slots; i < legs.length; i += slots) {
        const leg = legs[i];
        leg.number += 1;
        leg.packet.writeUInt16BE(leg.number & 0xffff, 2);
        leg.packet.writeUInt32BE((leg.number * 160) >>> 0, 4);
        leg.socket.send(leg.packet);
        sent += 1;
      }
    }
  }, TICK_MS);
  await pause(1_500);
  const before = { received, sent, used: processorTime(relay), at: performance.now() };
  await pause(seconds * 1000);
  const passed = received - before.received;
  const elapsed = (performance.now() - before.at) / 1000;
  const used = processorTime(relay) - before.used;
  const result = {
    sent: (sent - before.sent) / elapsed,
    passed: passed / elapsed,
    loss: 100 * (1 - passed / (sent - before.sent)),
    perPacket: used / passed,
    core: used / elapsed / 10_000,
  };
  clearInterval(timer);
  for (const { socket } of legs) socket.close();
  return result;
}

if (role === "endpoint") await endpoint();
else if (role === "bare") bare();
else {
  const counts = [role, ...parameters].filter(Boolean).map(Number);
  console.log(
    "| calls | relay | packets/s sent | passed on | loss % | CPU µs per packet | core % |",
  );
  console.log("|---|---|---|---|---|---|---|");
  for (const pairs of counts.length > 0 ? counts : [50, 100, 200]) {
    for (let round = 0; round < rounds; round++) {
      for (const start of [startOurs, startRtpengine, startBare]) {
        const relay = await start();
        if (relay === undefined) continue;
        const { sent, passed, loss, perPacket, core } = await measure(relay, pairs);
        await relay.stop();
        console.log(
          `| ${pairs} | ${relay.name} | ${Math.round(sent)} | ${Math.round(passed)} | ${loss.toFixed(2)} | ${perPacket.toFixed(1)} | ${core.toFixed(0)} |`,
        );
      }
    }
  }
  process.exit(0);
}
