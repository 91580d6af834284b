// Processes of a bench: started on a core of their own, measured by /proc (Linux), ended by their own process id.
import { spawn, spawnSync } from "node:child_process";
import dgram from "node:dgram";
import { openSync, closeSync, readdirSync, readFileSync } from "node:fs";

/** Clock ticks of /proc/PID/stat are hundredths of a second. */
const MICROSECONDS_PER_TICK = 10_000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The processors that this process may use. */
function allowedCores() {
  const status = readFileSync("/proc/self/status", "utf8");
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? "0";
  return list.split(",").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

const [firstCore = 0, secondCore = firstCore] = allowedCores();
/** Who makes the load has one core, whoever is measured the other. */
export const CLIENT = firstCore;
export const SERVER = secondCore;

/** Full path of a program, or nothing when it is not installed. */
export function findProgram(name) {
  const { status, stdout } = spawnSync("bash", ["-c", `command -v ${name}`], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

const running = new Set();

/** A program on one core (or, with `core` as a list, several), in a session of its own. */
export function launch(core, command, args, { log, cwd, env, ipc = false } = {}) {
  const output = log === undefined ? "ignore" : openSync(log, "a");
  const child = spawn("taskset", ["-c", [core].flat().join(","), command, ...args.map(String)], {
    cwd,
    detached: true,
    env: { ...process.env, TERM: "xterm", ...env },
    stdio: ["ignore", output, output, ...(ipc ? ["ipc"] : [])],
  });
  if (typeof output === "number") closeSync(output);
  const program = {
    child,
    pid: child.pid,
    code: undefined,
    get isGone() {
      return program.code !== undefined;
    },
    exited: new Promise((resolve) => {
      const gone = (code) => {
        program.code ??= code ?? -1;
        running.delete(program);
        resolve(program.code);
      };
      child.once("exit", gone);
      child.once("error", () => gone(127));
    }),
    /** SIGTERM, then SIGKILL; to the whole group, for what the program itself has started. */
    async stop() {
      signal(program.pid, "SIGTERM");
      await Promise.race([program.exited, pause(3_000)]);
      signal(program.pid, "SIGKILL");
      await program.exited;
    },
  };
  running.add(program);
  return program;
}

function signal(group, name) {
  try {
    process.kill(-group, name);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** Nothing that was started outlives the bench. */
export function endAll() {
  for (const program of running) signal(program.pid, "SIGKILL");
}
process.once("exit", endAll);
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(name, () => process.exit(130));

const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process, or the thread, has ended meanwhile.
    return "";
  }
};
const statFields = (pid) => {
  const text = read(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
};

/** All processes of the session that `pid` leads: a server may have children. Itself when it leads none. */
function sessionOf(pid) {
  const members = readdirSync("/proc").filter(
    (name) => /^\d+$/.test(name) && statFields(name)[3] === String(pid),
  );
  return members.length > 0 ? members : [pid];
}

/** Microseconds of processor time, user and system, that a process has used: exact where the kernel tells. */
function timeOf(pid) {
  let nanoseconds = 0;
  let exact = false;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const text = read(`/proc/${pid}/task/${task}/schedstat`);
      exact ||= text !== "";
      nanoseconds += Number(text.split(" ")[0]);
    }
  } catch {
    return 0;
  }
  if (exact) return nanoseconds / 1000;
  const fields = statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK;
}

/** Microseconds of processor time of a program with all its children and threads. */
export function processorTime(program) {
  return sessionOf(program.pid).reduce((sum, pid) => sum + timeOf(pid), 0);
}

/** MB that a program holds; what its processes share is counted once. */
export function memory(program) {
  const kilobytes = sessionOf(program.pid).map((pid) =>
    Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0),
  );
  return kilobytes.reduce((sum, value) => sum + value, 0) / 1024;
}

/** How much of a core, from 0 to 1, others on this machine use: above 0.1 a figure is worth little. */
export async function foreignLoad(ms = 300) {
  const busy = () => {
    const [, ...fields] = read("/proc/stat").split("\n")[0].trim().split(/\s+/);
    return fields
      .map(Number)
      .reduce((sum, value, index) => (index === 3 || index === 4 ? sum : sum + value), 0);
  };
  const before = busy();
  await pause(ms);
  return (busy() - before) / (ms / 10);
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket("udp4");
    socket.once("error", reject);
    socket.bind(0, "127.0.0.1", () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

const isBound = (port) => {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return read("/proc/net/udp").includes(`:${hex} `);
};

/** Waits until somebody listens on the UDP port. @throws Error with the end of the log when the program gives up. */
export async function untilBound(program, port, { log, seconds = 15 } = {}) {
  const end = Date.now() + seconds * 1000;
  while (!isBound(port)) {
    if (program.isGone || Date.now() > end) {
      throw new Error(`it did not start: ${log === undefined ? "" : read(log).slice(-400)}`);
    }
    await pause(50);
  }
  await pause(300);
}
