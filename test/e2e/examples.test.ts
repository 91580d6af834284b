/**
 * Examples as a user runs them: imported, deployed, the button pressed; every debug node's messages are read. The other
 * examples are deployed by palette.test.ts.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FlowBuilder, type FlowNode } from "../support/flow-builder.js";
import { NodeRed, projectRoot } from "../support/node-red.js";

/** File, name of the inject node to press, events that must reach the debug nodes in this order. */
const RUNS: readonly (readonly [string, string, readonly string[]])[] = [
  ["calls/Early media", "call", ["inviting", "progress", "answered", "ended"]],
  ["sound/Play MP3, tones and lists", "call", ["inviting", "answered", "played", "ended"]],
  ["calls/Hold and resume", "call the hotline", ["hold", "resume", "ended"]],
  ["transfer/Redirect a call", "call", ["inviting", "redirecting", "answered", "ended"]],
  ["transfer/Attended transfer", "call both", ["refer-progress", "transferred"]],
  [
    "advanced/Every state of a call",
    "call",
    ["state", "inviting", "progress", "answered", "confirmed", "bye", "ended"],
  ],
  ["advanced/Credentials from the flow", "send", ["delivered"]],
  ["messages/Requests of any method", "are you there?", ["response"]],
  ["messages/Requests of any method", "publish", ["request", "response"]],
  ["advanced/Watch and change messages", "send", ["outgoing-request", "message", "delivered"]],
  ["presence/Voicemail lamp", "watch the mailbox", ["notify"]],
  ["sound/Voicemail", "leave a message", ["recorded", "ended"]],
  [
    "calls/Menu of three levels",
    "caller who presses 1, 9, 1, 2",
    ["choice", "choice", "choice", "choice", "ended"],
  ],
  ["advanced/SDP from the flow", "call", ["inviting", "answered", "ended"]],
];

/** The example with a memory in the place of its debug nodes. */
function prepared(file: string): { flow: FlowNode[]; nodes: FlowNode[] } {
  const nodes = JSON.parse(
    readFileSync(join(projectRoot, "examples", `${file}.json`), "utf8"),
  ) as FlowNode[];
  const builder = new FlowBuilder("tab");
  const memory = builder.capture("debug");
  const shown = new Set(nodes.filter(({ type }) => type === "debug").map(({ id }) => id));
  const flow = nodes
    .filter(({ id }) => !shown.has(id))
    .map((node) => ({
      ...node,
      ...("x" in node ? { z: "tab" } : {}),
      ...(Array.isArray(node.wires)
        ? {
            wires: (node.wires as string[][]).map((wires) =>
              wires.map((id) => (shown.has(id) ? memory : id)),
            ),
          }
        : {}),
    }));
  return { flow: [...builder.build(), ...flow], nodes };
}

describe("Examples do what their comments say", function () {
  let nodeRed: NodeRed;

  before(async () => {
    nodeRed = await NodeRed.start();
  });

  after(async () => {
    await nodeRed.stop();
  });

  for (const [file, button, events] of RUNS) {
    it(`${file}: ${button}`, async () => {
      const { flow, nodes } = prepared(file);
      await nodeRed.deploy(flow);
      await nodeRed.clearCaptured();
      const inject = nodes.find(({ type, name }) => type === "inject" && name === button);
      assert.ok(inject);
      const pressed = await fetch(`${nodeRed.url}/inject/${inject.id}`, { method: "POST" });
      assert.ok(pressed.ok);
      const last = events.at(-1);
      let seen: string[] = [];
      const end = Date.now() + 25_000;
      while (!seen.includes(last ?? "") && Date.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        seen = (await nodeRed.captured("debug")).map(({ msg }) => String(msg.topic));
      }
      let from = 0;
      for (const event of events) {
        const at = seen.indexOf(event, from);
        assert.ok(at >= 0, `${event} missing in: ${seen.join(", ")}`);
        from = at;
      }
    });
  }
});
