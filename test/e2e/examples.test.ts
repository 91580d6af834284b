/**
 * Examples as a user runs them: imported, deployed, the button pressed; every debug node's messages are read. All are deployed
 * together and some run at the same time, as they may in one Node-RED; palette.test.ts deploys each alone.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { WebSocketServer } from "ws";
import { FlowBuilder, type FlowNode } from "../support/flow-builder.js";
import { NodeRed, projectRoot } from "../support/node-red.js";

/** File, name of the inject node to press, events that must reach the debug nodes in this order. The longest ones begin. */
const RUNS: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "calls/Door station to the family",
    "ring, somebody is at home",
    ["answered", "bridged", "dtmf", "bridge-ended", "ended"],
  ],
  [
    "calls/Door station to the family",
    "ring, nobody is at home",
    ["answered", "bridged", "dtmf", "bridge-ended", "ended"],
  ],
  [
    "advanced/Every state of a call",
    "call",
    ["state", "inviting", "progress", "answered", "confirmed", "bye", "ended"],
  ],
  [
    "calls/Menu of three levels",
    "caller who presses 1, 9, 1, 2",
    ["choice", "choice", "choice", "choice", "ended"],
  ],
  ["calls/Alarm call with acknowledgement", "water alarm", ["progress", "failed", "ended"]],
  ["sound/Voicemail", "leave a message", ["recorded", "ended"]],
  ["calls/Loopback", "call", ["progress", "dtmf-sent", "ended", "ended"]],
  ["calls/IVR with digits", "caller who presses 1, 2, 3", ["digits", "digits", "digits", "ended"]],
  ["calls/Answer a call and play", "call it from here", ["answered", "ended"]],
  ["calls/Call and speak", "call", ["progress", "ended"]],
  ["calls/Door opener by digit", "visitor with the code", ["digits", "ended"]],
  ["calls/Door opener by digit", "visitor who guesses", ["ended"]],
  ["calls/Door opener by digit", "stranger", ["failed"]],
  ["messages/SIP MESSAGE in and out", "send a text", ["message", "delivered", "delivered"]],
  ["presence/Busy lamp", "watch the phone", ["notify"]],
  ["advanced/Registered account", "register", ["registered"]],
  ["advanced/Registered account", "unregister", ["unregistered"]],
  ["transfer/Blind transfer", "call reception", ["refer-progress", "transferred"]],
  ["calls/Early media", "call", ["inviting", "progress", "answered", "ended"]],
  ["sound/Play MP3, tones and lists", "call", ["inviting", "answered", "played", "ended"]],
  ["calls/Click to call", "call the customer", ["bridged", "bridge-ended", "ended"]],
  ["calls/Call log and missed calls", "call, talk, hang up", ["incoming", "ended"]],
  ["calls/Call log and missed calls", "call, nobody answers", ["incoming", "failed", "missed"]],
  ["calls/Screen calls by number and time", "0900123", ["rejected", "failed"]],
  ["calls/Screen calls by number and time", "a friend by day", ["played", "ended"]],
  ["calls/Screen calls by number and time", "a friend at night", ["played", "ended"]],
  ["calls/Callback queue", "caller who presses 1", ["bridged", "bridge-ended"]],
  [
    "calls/Page the house",
    "dinner is ready",
    ["confirmed", "confirmed", "played", "played", "ended", "ended"],
  ],
  ["calls/Door bell with a picture", "ring the bell", ["incoming", "incoming", "failed", "failed"]],
  ["presence/Presence light", "watch Anna", ["notify", "notify"]],
  ["presence/Are the telephones there", "look now", ["options", "response", "request-failed"]],
  ["calls/Hold and resume", "call the hotline", ["hold", "resume", "ended"]],
  ["transfer/Redirect a call", "call", ["inviting", "redirecting", "answered", "ended"]],
  ["transfer/Attended transfer", "call both", ["refer-progress", "transferred"]],
  ["advanced/Credentials from the flow", "send", ["delivered"]],
  ["messages/Requests of any method", "are you there?", ["response"]],
  ["messages/Requests of any method", "publish", ["request", "response"]],
  ["advanced/Watch and change messages", "send", ["outgoing-request", "message", "delivered"]],
  ["presence/Voicemail lamp", "watch the mailbox", ["notify"]],
  ["advanced/SDP from the flow", "call", ["inviting", "answered", "ended"]],
  [
    "advanced/Talk to a speech model",
    "call",
    ["inviting", "answered", "answer", "clear", "answer", "ended"],
  ],
  [
    "advanced/Fork audio to a transcriber",
    "call",
    ["inviting", "answered", "text", "text", "ended"],
  ],
];

const FILES = [...new Set(RUNS.map(([file]) => file))];
/** Examples that run at the same time: each has ports of its own. */
const AT_ONCE = 6;
const LONGEST_MS = 40_000;

const read = (file: string): FlowNode[] =>
  JSON.parse(readFileSync(join(projectRoot, "examples", `${file}.json`), "utf8")) as FlowNode[];

/** The examples, each on a tab with a memory in the place of its debug nodes; their websockets at `port`. */
function prepared(files: readonly string[], port: number): FlowNode[] {
  const builder = new FlowBuilder("memories");
  return [
    ...builder.build(),
    ...files.flatMap((file, index) => {
      const tab = `tab${index}`;
      const memory = `memory${index}`;
      const nodes = read(file);
      const shown = new Set(nodes.filter(({ type }) => type === "debug").map(({ id }) => id));
      const remember: FlowNode = {
        id: memory,
        type: "function",
        z: tab,
        x: 100,
        y: 20,
        wires: [],
        func: `const all = global.get("captured") || {};
(all[${JSON.stringify(file)}] = all[${JSON.stringify(file)}] || []).push({ at: Date.now(), msg: { topic: msg.topic } });
global.set("captured", all);`,
        outputs: 0,
        timeout: "",
        noerr: 0,
        initialize: "",
        finalize: "",
        libs: [],
      };
      return [
        { id: tab, type: "tab", label: file },
        remember,
        ...nodes
          .filter(({ id }) => !shown.has(id))
          .map((node) => ({
            ...node,
            ...("x" in node ? { z: tab } : {}),
            ...(node.type === "websocket-client"
              ? { path: (node.path as string).replace(":1880", `:${port}`) }
              : {}),
            ...(Array.isArray(node.wires)
              ? {
                  wires: (node.wires as string[][]).map((wires) =>
                    wires.map((id) => (shown.has(id) ? memory : id)),
                  ),
                }
              : {}),
          })),
      ];
    }),
  ];
}

/** The first that does not come in this order, others between them allowed. */
function firstMissing(events: readonly string[], seen: readonly string[]): string | undefined {
  let from = 0;
  return events.find((event) => {
    const at = seen.indexOf(event, from);
    from = at + 1;
    return at < 0;
  });
}

describe("Examples do what their comments say", function () {
  let nodeRed: NodeRed;

  before(async () => {
    nodeRed = await NodeRed.start();
    await nodeRed.deploy(prepared(FILES, nodeRed.port));
  });

  after(async () => {
    await nodeRed.stop();
  });

  /** Buttons of one example are pressed one after the other. */
  const lastOf = new Map<string, Promise<unknown>>();
  const started = new Map<number, Promise<void>>();

  function start(index: number): Promise<void> | undefined {
    const [file, button, events] = RUNS[index] ?? [];
    if (file === undefined || button === undefined || events === undefined) return undefined;
    const known = started.get(index);
    if (known !== undefined) return known;
    const result = (lastOf.get(file) ?? Promise.resolve()).then(() => run(file, button, events));
    started.set(index, result);
    // Its own test tells.
    lastOf.set(
      file,
      result.catch(() => undefined),
    );
    return result;
  }

  RUNS.forEach(([file, button], index) => {
    it(`${file}: ${button}`, async () => {
      for (let next = index; next < index + AT_ONCE; next++) start(next)?.catch(() => undefined);
      await start(index);
    });
  });

  it("advanced/Talk to a speech model: a server elsewhere, which speaks for a long time", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    const frames: number[] = [];
    const heard: string[] = [];
    let speaks = false;
    let quiet = 0;
    server.on("connection", (socket) => {
      socket.on("message", (data: Buffer) => {
        const { session, event, audio } = JSON.parse(data.toString()) as Record<string, string>;
        if (event !== "audio") {
          heard.push(event);
          return;
        }
        const sound = Buffer.from(audio, "base64");
        frames.push(sound.length);
        quiet =
          Math.abs(sound.readInt16LE(100)) + Math.abs(sound.readInt16LE(130)) > 800 ? 0 : quiet + 1;
        const say = (more: object): void => socket.send(JSON.stringify({ session, ...more }));
        if (!speaks && frames.length > 60 && quiet > 10) {
          speaks = true;
          say({ event: "answer", audio: Buffer.alloc(24_000 * 2 * 20, 0x11).toString("base64") });
        } else if (speaks && quiet === 0) {
          say({ event: "clear" });
          quiet = 1;
        }
      });
    });
    try {
      const { port } = server.address() as AddressInfo;
      const events = ["inviting", "answered", "answer", "clear", "ended"];
      const file = "advanced/Talk to a speech model";
      await nodeRed.deploy(prepared([file], port));
      await run(file, "call", events);
    } finally {
      for (const socket of server.clients) socket.terminate();
      server.close();
    }
    assert.deepEqual(heard, ["ended"]);
    assert.ok(frames.length > 200, `${frames.length} frames`);
    assert.deepEqual([...new Set(frames)], [960]);
  });

  /** Presses, and reads the debug nodes until the last event is there. */
  async function run(file: string, button: string, events: readonly string[]): Promise<void> {
    const inject = read(file).find(({ type, name }) => type === "inject" && name === button);
    assert.ok(inject);
    const before = (await nodeRed.captured(file)).length;
    const pressed = await fetch(`${nodeRed.url}/inject/${inject.id}`, { method: "POST" });
    assert.ok(pressed.ok);
    let seen: string[];
    let missing: string | undefined;
    const end = Date.now() + LONGEST_MS;
    do {
      await new Promise((resolve) => setTimeout(resolve, 100));
      seen = (await nodeRed.captured(file)).slice(before).map(({ msg }) => String(msg.topic));
      missing = firstMissing(events, seen);
    } while (missing !== undefined && Date.now() < end);
    assert.equal(missing, undefined, `missing in: ${seen.join(", ")}`);
  }
});
