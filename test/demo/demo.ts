/**
 * `npm run demo`: Node-RED on loopback with this package and an example call flow; a built-in caller rings it, listens,
 * presses digits; the ladder of the call and the editor's address are printed. `--once` ends after the call, with 0
 * only when INVITE, 180, 200, ACK, the digits and BYE were seen and sound arrived.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FlowBuilder, type FlowNode } from "../support/flow-builder.js";
import { NodeRed, projectRoot } from "../support/node-red.js";
import { freePort } from "../support/ports.js";

const example = "calls/IVR with digits.json";
/** 1 plays the doorbell, 3 hangs up. */
const digits = "13";
const once = process.argv.includes("--once");

/** The example with its stacks moved to free ports on loopback, and a listener for digits beside it. */
async function flows(port: number): Promise<FlowNode[]> {
  const file = join(projectRoot, "examples", example);
  const nodes = JSON.parse(readFileSync(file, "utf8")) as FlowNode[];
  const stacks = nodes.filter((node) => node.type === "sip-stack");
  const [stack] = stacks;
  if (!stack) throw new Error(`${example} has no sip-stack`);
  for (const other of stacks)
    other.transports = [
      { protocol: "udp", address: "127.0.0.1", port: other === stack ? port : await freePort() },
    ];
  if (!nodes.some((node) => node.type === "tab"))
    nodes.unshift({ id: "demo-tab", type: "tab", label: "Demo: an IVR" });
  for (const node of nodes) if ("x" in node && !node.z) node.z = "demo-tab";
  const watch = new FlowBuilder("demo-watch", "Demo: what the caller pressed");
  watch.node("sip-event", { stack: stack.id, events: ["dtmf"] }, [[watch.capture("digits")]]);
  return [...nodes, ...watch.build()];
}

async function main(): Promise<number> {
  const { call, loudness } = await import("./caller.mjs");
  const port = await freePort();
  console.log("Starting Node-RED with an example call flow …");
  const nodeRed = await NodeRed.start({ flows: await flows(port) });
  try {
    console.log(
      `\nEditor:   ${nodeRed.url}\nFlow:     examples/${example}\nListens:  sip:ivr@127.0.0.1:${port} (UDP)\n`,
    );
    console.log(`  caller                                Node-RED`);
    const seen = await call({
      port,
      user: "ivr",
      digits,
      onLine: (line: string) => console.log(line),
    });
    const heard = loudness(seen.samples);
    const pressed = (await nodeRed.captured("digits")).map(({ msg }) =>
      String((msg as { payload: unknown }).payload),
    );
    console.log(
      `\nHeard ${seen.packets} RTP packets (${(seen.packets / 50).toFixed(1)} s, loudest second ${heard.toFixed(3)}); ` +
        `the flow saw digits "${pressed.join("")}"; hung up by the ${seen.ended}.`,
    );
    const checks: [string, boolean][] = [
      ["INVITE", seen.messages.some((line) => line.includes("INVITE"))],
      ["180", seen.messages.some((line) => line.includes("<─── 180"))],
      ["200", seen.messages.some((line) => /<─── 200.*INVITE/.test(line))],
      ["ACK", seen.messages.some((line) => line.includes("───> ACK"))],
      ["digits", pressed.join("") === digits],
      ["BYE", seen.ended === "flow"],
      ["sound", seen.packets > 50 && heard > 0.01],
    ];
    const missing = checks.filter(([, ok]) => !ok).map(([name]) => name);
    console.log(missing.length === 0 ? "The call went through." : `MISSING: ${missing.join(", ")}`);
    if (missing.length > 0) console.log(nodeRed.log.slice(-3000));
    if (once) return missing.length === 0 ? 0 : 1;
    console.log(
      `\nOpen ${nodeRed.url} to see and change the flow; call it at sip:ivr@127.0.0.1:${port}. Ctrl-C ends.`,
    );
    await new Promise<void>((done) => {
      process.once("SIGINT", done);
      process.once("SIGTERM", done);
    });
    return 0;
  } finally {
    await nodeRed.stop();
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
