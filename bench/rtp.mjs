// How many G.711 streams one worker plays and receives: every stream plays a looped sound and gets as many packets
// back as it sends. Prints packets per second, the error of the 20 ms between two packets of a stream (p99 as it
// leaves the worker), CPU per packet sent (and one received), and the memory of each call. Build first
// (`npm run build`): it measures dist/, what users run. The endpoint has a core for itself, whoever echoes another.
// Usage: node bench/rtp.mjs [STREAMS…]    default 500 1000 1500 2000; SECS=5 seconds each;
// SOURCE=tone|buffer|file what is played (default file, a WAV); HEAR=1 decodes what comes and looks for tones in it;
// PROFILE=FILE writes a CPU profile of the worker there
import { spawn } from "node:child_process";
import dgram from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BroadcastChannel, Worker } from "node:worker_threads";
import { CLIENT, pause, SERVER } from "./support/processes.mjs";

const require = createRequire(import.meta.url);
const me = fileURLToPath(import.meta.url);
const probe = new URL("rtp-probe.mjs", import.meta.url).href;
const worker = fileURLToPath(new URL("../dist/lib/rtp/worker.js", import.meta.url));
const [role, ...parameters] = process.argv.slice(2);
const seconds = Number(process.env.SECS ?? 5);
/** Seconds. */
const LONGEST_SETUP = 30;

/** Sends every packet back to where it came from, as a source of its own: one's own packets are dropped as a loop. */
function echo() {
  const socket = dgram.createSocket({
    type: "udp4",
    recvBufferSize: 4 << 20,
    sendBufferSize: 4 << 20,
  });
  socket.on("message", (datagram, from) => {
    if (datagram.length >= 12) datagram[8] ^= 0xff;
    socket.send(datagram, from.port, from.address);
  });
  process.on("message", () => process.exit(0));
  socket.bind(0, "127.0.0.1", () => process.send({ port: socket.address().port }));
}

// Without telephone events digits are looked for in the sound.
const hears = process.env.HEAR === "1";
const offer = (port) =>
  [
    "v=0",
    "o=- 1 1 IN IP4 127.0.0.1",
    "s=-",
    "c=IN IP4 127.0.0.1",
    "t=0 0",
    `m=audio ${port} RTP/AVP 0${hears ? "" : " 101"}`,
    ...(hears ? [] : ["a=rtpmap:101 telephone-event/8000"]),
    "a=ptime:20",
    "",
  ].join("\r\n");

/** Ten seconds of a tone, 16 bits at 8 kHz. */
function wav() {
  const count = 80_000;
  const file = Buffer.alloc(44 + count * 2);
  file.write("RIFF", 0);
  file.writeUInt32LE(file.length - 8, 4);
  file.write("WAVEfmt ", 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(8000, 24);
  file.writeUInt32LE(16_000, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36);
  file.writeUInt32LE(count * 2, 40);
  for (let i = 0; i < count; i++) {
    file.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / 8000)), 44 + i * 2);
  }
  return file;
}

/** The endpoint under test, in a process of its own. */
async function endpoint(streams, port) {
  const { EmbeddedMediaHandler, WorkerPool } = require("../dist/lib/rooms.js");
  const handler = new EmbeddedMediaHandler({
    address: "127.0.0.1",
    portMin: 20_000,
    portMax: 60_000,
    workers: new WorkerPool({
      mostWorkers: 1,
      createWorker: () => new Worker(worker, { execArgv: ["--import", probe] }),
    }),
  });
  await handler.start();
  const folder = mkdtempSync(join(tmpdir(), "rtp-bench-"));
  const data = wav();
  const path = join(folder, "tone.wav");
  writeFileSync(path, data);
  const source = {
    tone: { kind: "tone", name: "dial" },
    buffer: { kind: "buffer", data },
    file: { kind: "file", path },
  }[process.env.SOURCE ?? "file"];
  const events = {
    onDigit() {},
    onMediaTimeout() {},
    onError: (error) => console.error(error.message),
  };
  const memory = () => process.memoryUsage().rss / 2 ** 10;
  const empty = memory();
  const sessions = [];
  for (let i = 0; i < streams; i++) {
    const session = handler.createSession({
      sessionId: String(i),
      localAddress: "127.0.0.1",
      remoteAddress: "127.0.0.1",
      events,
    });
    await session.answer(offer(port));
    sessions.push(session);
  }
  // All at once: a worker that sends already has less time for the next that is set up.
  await Promise.all(
    sessions.map(async (session) => {
      await session.audio.play(source, { loop: true });
      session.start();
    }),
  );
  const channel = new BroadcastChannel("rtp-probe");
  await pause(1_500);
  channel.postMessage("begin");
  const cpu = process.cpuUsage();
  const started = performance.now();
  await pause(seconds * 1000);
  const used = process.cpuUsage(cpu);
  const elapsed = performance.now() - started;
  const result = new Promise((resolve) => (channel.onmessage = ({ data }) => resolve(data)));
  channel.postMessage("end");
  const { sent, received, p99, p999 } = await result;
  channel.close();
  process.send({
    sent: (sent / elapsed) * 1000,
    received: (received / elapsed) * 1000,
    p99,
    p999,
    perPacket: (used.user + used.system) / sent,
    core: (used.user + used.system) / elapsed / 10,
    memory: (memory() - empty) / streams,
  });
  rmSync(folder, { recursive: true });
  await handler.close();
  process.exit(0);
}

function child(core, ...args) {
  const stdio = ["ignore", "inherit", "inherit", "ipc"];
  const program = [process.execPath, me, ...args.map(String)];
  return spawn("taskset", ["-c", String(core), ...program], { stdio });
}

async function run(streams) {
  const peer = child(CLIENT, "echo");
  const { port } = await new Promise((resolve) => peer.once("message", resolve));
  const measured = child(SERVER, "endpoint", streams, port);
  const result = await new Promise((resolve) => {
    measured.once("message", resolve);
    measured.once("exit", () => resolve(undefined));
    setTimeout(() => measured.kill("SIGKILL"), (seconds + LONGEST_SETUP) * 1000).unref();
  });
  peer.send("end");
  return result;
}

if (role === "echo") echo();
else if (role === "endpoint") await endpoint(Number(parameters[0]), Number(parameters[1]));
else {
  const counts = [role, ...parameters].filter(Boolean).map(Number);
  console.log(
    "| streams | packets/s sent (wanted) | received | p99 / p99.9 ms | CPU µs per packet | core % | kB per call |",
  );
  console.log("|---|---|---|---|---|---|---|");
  for (const streams of counts.length > 0 ? counts : [500, 1000, 1500, 2000]) {
    const result = await run(streams);
    if (result === undefined) {
      console.log(`| ${streams} | failed |`);
      continue;
    }
    const { sent, received, p99, p999, perPacket, core, memory } = result;
    console.log(
      `| ${streams} | ${Math.round(sent)} (${streams * 50}) | ${Math.round(received)} | ${p99.toFixed(2)} / ${p999.toFixed(2)} | ${perPacket.toFixed(1)} | ${core.toFixed(0)} | ${memory.toFixed(0)} |`,
    );
  }
  process.exit(0);
}
