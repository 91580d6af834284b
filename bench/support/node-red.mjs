// A real Node-RED on the measured core, with the built package in its user directory as a user has it.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, launch, SERVER, untilBound } from "./processes.mjs";

const require = createRequire(import.meta.url);
const project = fileURLToPath(new URL("../..", import.meta.url));
let instances = 0;

/**
 * Starts Node-RED with `flows` (nodes as in a flow file) and waits until its SIP port is open.
 *
 * @param {number} sipPort - the UDP port that the stack in `flows` listens on
 * @returns the program; its log is `FOLDER/node-red-N.log`
 */
export async function startNodeRed({ folder, flows, sipPort, nodeOptions = [], env = {} }) {
  const user = join(folder, `node-red-${++instances}`);
  mkdirSync(join(user, "node_modules/@sipflow"), { recursive: true });
  symlinkSync(project, join(user, "node_modules/@sipflow/node-red-sip"), "dir");
  const manifest = {
    name: "bench",
    version: "0.0.1",
    private: true,
    dependencies: { "@sipflow/node-red-sip": "*" },
  };
  writeFileSync(join(user, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(user, "flows.json"), JSON.stringify(flows));
  const settings = {
    flowFile: "flows.json",
    uiHost: "127.0.0.1",
    uiPort: await freePort(),
    credentialSecret: "bench",
    telemetry: { enabled: false, updateNotification: false },
    logging: { console: { level: "info", metrics: false, audit: false } },
  };
  writeFileSync(join(user, "settings.js"), `module.exports = ${JSON.stringify(settings)};`);
  const home = process.env.NODE_RED_HOME ?? dirname(require.resolve("node-red/package.json"));
  const log = join(folder, `node-red-${instances}.log`);
  const args = [...nodeOptions, join(home, "red.js"), "-u", user, "-s", join(user, "settings.js")];
  const program = launch(SERVER, process.execPath, args, { log, env });
  try {
    await untilBound(program, sipPort, { log, seconds: 40 });
  } catch (error) {
    await program.stop();
    throw error;
  }
  return program;
}
