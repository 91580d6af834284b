// Whoever can take the calls of the bench: how each is started on a port.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { answering } from "../peers/kamailio.mjs";
import { findProgram, freePort, launch, SERVER, untilBound } from "./processes.mjs";
import { answerer } from "./sipp.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const node = process.execPath;
/** Where distributions put them; baresip does not know by itself when it has a configuration of its own. */
const BARESIP_MODULES = ["/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"];

/** What a bench may ask for by name; `slow`: gets fewer calls per second, `npm`: needs the libraries of npm. */
export const SERVERS = {
  ours: {
    title: "**@sipflow/node-red-sip**, user agent with dialogs, sessions, SDP negotiation",
    command: () => [node, here("../uas.mjs")],
  },
  bare: {
    title: "bare `dgram`, no SIP (floor)",
    command: () => [node, here("../peers/bare-uas.mjs")],
  },
  sip: {
    title: "npm `sip`, transactions without dialogs",
    npm: true,
    command: () => [node, here("../peers/sip-uas.mjs")],
  },
  sipp: { title: "sipp UAS (a test tool)", start: ({ port }) => answerer(port, SERVER) },
  kamailio: {
    title: "Kamailio, stateful transactions without dialogs",
    program: "kamailio",
    start({ folder, port, log }) {
      const file = join(folder, `kamailio-${port}.cfg`);
      writeFileSync(file, answering(port));
      const paths = ["-w", folder, "-Y", folder];
      return launch(SERVER, "kamailio", ["-DD", "-E", "-f", file, "-m", 512, "-M", 16, ...paths], {
        log,
      });
    },
  },
  jssip: {
    title: "npm `jssip`, whole user agent, stand-in for media",
    npm: true,
    slow: true,
    command: () => [node, here("../peers/jssip-uas.mjs")],
  },
  sipjs: {
    title: "npm `sip.js`, core",
    npm: true,
    slow: true,
    command: () => [node, here("../peers/sipjs-uas.mjs")],
  },
  baresip: {
    title: "baresip, media included",
    program: "baresip",
    slow: true,
    start({ folder, port, log }) {
      const home = join(folder, `baresip-${port}`);
      mkdirSync(home);
      writeFileSync(
        join(home, "config"),
        [
          `sip_listen 127.0.0.1:${port}`,
          "net_interface 127.0.0.1",
          "call_max_calls 0",
          "rtp_ports 20000-39998",
          ...["player", "source", "alert"].map((role) => `audio_${role} aubridge,bench`),
          `module_path ${BARESIP_MODULES.find((path) => existsSync(path))}`,
          ...[
            "module g711.so",
            "module aubridge.so",
            "module_app account.so",
            "module_app menu.so",
          ],
          "",
        ].join("\n"),
      );
      writeFileSync(join(home, "accounts"), "<sip:bench@127.0.0.1>;answermode=auto;regint=0\n");
      writeFileSync(join(home, "contacts"), "");
      return launch(SERVER, "baresip", ["-f", home], { log });
    },
  },
};

/** Names of the servers that this machine has; the others are named loudly. */
export function present(names, bench) {
  return names.filter((name) => {
    const { npm, program } = SERVERS[name];
    const missing =
      npm && bench.peers === undefined
        ? "the libraries of npm"
        : program !== undefined && !findProgram(program)
          ? program
          : undefined;
    if (missing !== undefined) bench.leftOut(name, missing);
    return missing === undefined;
  });
}

/** Starts a server on a free port. @returns its program and its port. */
export async function startServer(name, bench, { core = SERVER, args = [], env = {} } = {}) {
  const server = SERVERS[name];
  const port = await freePort();
  const log = join(bench.folder, `${name}-${port}.log`);
  let program;
  if (server.start !== undefined) program = server.start({ folder: bench.folder, port, log });
  else {
    const [command, ...first] = server.command();
    program = launch(core, command, [...first, port, ...args], {
      log,
      env: { BENCH_PEERS: bench.peers, ...env },
    });
  }
  try {
    await untilBound(program, port, { log });
  } catch (error) {
    await program.stop();
    throw error;
  }
  return { name, program, port };
}
