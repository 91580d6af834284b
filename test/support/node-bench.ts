/** Runs SIP nodes in a real Node-RED runtime over fake user agents and records every message they send. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import helper from "node-red-node-test-helper";
import type { Node, NodeAPI, NodeMessage } from "node-red";
import { replaceEnvironment } from "../../nodes/shared/environment.js";
import sipAccept from "../../nodes/sip-accept.js";
import sipAccount from "../../nodes/sip-account.js";
import sipBridge from "../../nodes/sip-bridge.js";
import sipBye from "../../nodes/sip-bye.js";
import sipDtmf from "../../nodes/sip-dtmf.js";
import sipEvent from "../../nodes/sip-event.js";
import sipGather from "../../nodes/sip-gather.js";
import sipIncoming from "../../nodes/sip-incoming.js";
import sipInvite from "../../nodes/sip-invite.js";
import sipMenu from "../../nodes/sip-menu.js";
import sipMessage from "../../nodes/sip-message.js";
import sipPlay from "../../nodes/sip-play.js";
import sipRecord from "../../nodes/sip-record.js";
import sipProgress from "../../nodes/sip-progress.js";
import sipReinvite from "../../nodes/sip-reinvite.js";
import sipRefer from "../../nodes/sip-refer.js";
import sipRegister from "../../nodes/sip-register.js";
import sipReject from "../../nodes/sip-reject.js";
import sipRequest from "../../nodes/sip-request.js";
import sipSession from "../../nodes/sip-session.js";
import sipNotify from "../../nodes/sip-notify.js";
import sipSubscribe from "../../nodes/sip-subscribe.js";
import sipSupplement from "../../nodes/sip-supplement.js";
import sipStream from "../../nodes/sip-stream.js";
import sipStack from "../../nodes/sip-stack.js";
import { FakeUserAgent } from "./fake-user-agent.js";
import { ManualClock } from "./manual-clock.js";
import { nodeRedHome } from "./node-red.js";

type NodeModule = (RED: NodeAPI) => void;

const fromNodeRed = createRequire(join(nodeRedHome(), "package.json"));
/** A core node of the Node-RED under test. */
const core = (path: string): NodeModule =>
  fromNodeRed(`@node-red/nodes/core/${path}`) as NodeModule;

const MODULES: NodeModule[] = [
  sipStack,
  sipAccount,
  sipIncoming,
  sipInvite,
  sipProgress,
  sipAccept,
  sipReject,
  sipBye,
  sipReinvite,
  sipRefer,
  sipMessage,
  sipSubscribe,
  sipNotify,
  sipRequest,
  sipDtmf,
  sipGather,
  sipMenu,
  sipPlay,
  sipRecord,
  sipBridge,
  sipStream,
  sipRegister,
  sipSession,
  sipEvent,
  sipSupplement,
];

/** Outputs of each type. */
const OUTPUTS: Readonly<Record<string, number>> = {
  "sip-incoming": 2,
  "sip-invite": 4,
  "sip-progress": 2,
  "sip-accept": 2,
  "sip-reject": 1,
  "sip-bye": 1,
  "sip-reinvite": 2,
  "sip-refer": 3,
  "sip-message": 2,
  "sip-subscribe": 2,
  "sip-notify": 2,
  "sip-request": 3,
  "sip-dtmf": 2,
  "sip-gather": 4,
  // Of a menu with three choices.
  "sip-menu": 6,
  "sip-play": 2,
  "sip-record": 2,
  "sip-bridge": 2,
  "sip-stream": 3,
  "sip-register": 2,
  "sip-session": 2,
  "sip-event": 1,
  "sip-supplement": 6,
};

// Messages are whatever the nodes made of them; tests look into them freely.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Message = any;

export interface Recorded {
  /** `id:output`, `caught`, `completed`. */
  readonly from: string;
  readonly msg: Message;
}

export interface FlowEntry {
  readonly id: string;
  readonly type: string;
  readonly [property: string]: unknown;
}

export interface NodeStatus {
  readonly fill?: string;
  readonly shape?: string;
  readonly text?: string;
}

export class NodeBench {
  readonly clock = new ManualClock();
  /** Every user agent that a stack made, oldest first. */
  readonly userAgents: FakeUserAgent[] = [];
  readonly recorded: Recorded[] = [];
  /** False when a test sends in what is no plain data itself. */
  checksPlainData = true;
  /** Called for each new user agent. */
  onCreate: (userAgent: FakeUserAgent) => void = () => undefined;
  #restore: () => void = () => undefined;
  #flow: FlowEntry[] = [];
  /** Paths of values in messages that are no plain data. */
  readonly #impure: string[] = [];

  get userAgent(): FakeUserAgent {
    const last = this.userAgents.at(-1);
    if (!last) throw new Error("no stack was started");
    return last;
  }

  /** Loads nodes with a stack `stack`; every output leads to a recorder, as do Catch and Complete. */
  async load(nodes: FlowEntry[], credentials: Record<string, unknown> = {}): Promise<void> {
    this.#restore = replaceEnvironment({
      clock: this.clock,
      createUserAgent: (options) => {
        const userAgent = new FakeUserAgent(options);
        this.userAgents.push(userAgent);
        this.onCreate(userAgent);
        return userAgent;
      },
      createMediaHandler: () => ({
        contentType: "application/sdp",
        createSession: () => {
          throw new Error("the fake user agent makes no media");
        },
        close: () => undefined,
      }),
    });
    await this.#load(nodes, credentials);
  }

  /** Loads nodes over real user agents. */
  async loadReal(nodes: FlowEntry[], credentials: Record<string, unknown> = {}): Promise<void> {
    await this.#load(nodes, credentials);
  }

  async #load(nodes: FlowEntry[], credentials: Record<string, unknown>): Promise<void> {
    this.#flow = withRecorders(nodes);
    await helper.load(
      [
        ...MODULES,
        core("common/25-catch.js"),
        core("common/24-complete.js"),
        core("network/05-tls.js"),
      ],
      this.#flow,
      credentials,
    );
    this.#record();
    await this.settle();
  }

  /** Deploys other nodes, or the same again. */
  async deploy(
    nodes: FlowEntry[] | undefined,
    type: "full" | "nodes" | "flows" = "full",
    credentials: Record<string, unknown> = {},
  ): Promise<void> {
    if (nodes !== undefined) this.#flow = withRecorders(nodes);
    const started = new Promise<void>((resolve) => {
      const events = runtimeEvents();
      events.once("flows:started", () => {
        this.#record();
        resolve();
      });
    });
    await (helper as unknown as { _redNodes: RuntimeNodes })._redNodes.setFlows(
      structuredClone(this.#flow),
      credentials,
      type,
    );
    await started;
    await this.settle();
  }

  node(id: string): Node {
    return helper.getNode(id);
  }

  /** What the node has shown below itself, oldest first. The helper's spy is one for the nodes of all types. */
  statuses(id: string): NodeStatus[] {
    const spy = this.node(id).status as unknown as {
      getCalls(): { thisValue: { id: string }; args: [NodeStatus] }[];
    };
    return spy
      .getCalls()
      .filter(({ thisValue }) => thisValue.id === id)
      .map(({ args: [status] }) => status);
  }

  send(id: string, msg: NodeMessage): void {
    this.node(id).receive(msg);
  }

  /** Sends and waits until everything that it causes at once has happened. */
  async input(id: string, msg: NodeMessage): Promise<void> {
    this.send(id, msg);
    await this.settle();
  }

  /** Lets the event loop run until nothing is queued any more. */
  async settle(turns = 40): Promise<void> {
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < turns; i++) await turn();
    // What Node-RED or the system does aside comes back with the timers, at the latest.
    await new Promise((resolve) => setTimeout(resolve, 1));
    await turn();
    await turn();
  }

  /** Messages of one recorder, `id:output`. */
  of(from: string): Message[] {
    return this.recorded.filter((entry) => entry.from === from).map((entry) => entry.msg);
  }

  /** The single message of a recorder. */
  only(from: string): Message {
    const messages = this.of(from);
    if (messages.length !== 1) {
      throw new Error(`${from} has ${messages.length} messages; all: ${this.order().join(" ")}`);
    }
    return messages[0];
  }

  /** Where messages came out, in order. */
  order(): string[] {
    return this.recorded.map((entry) => entry.from);
  }

  clear(): void {
    this.recorded.length = 0;
  }

  /** Also checks that every message of the test was plain data. */
  async unload(): Promise<void> {
    await helper.unload();
    await this.settle();
    this.#restore();
    if (this.checksPlainData) assert.deepEqual(this.#impure, []);
  }

  #record(): void {
    for (const { id, type } of this.#flow) {
      if (type !== "helper") continue;
      const node = helper.getNode(id) as Node | null;
      if (node === null || node.listenerCount("recorded") > 0) continue;
      node.on("recorded" as "close", () => undefined);
      node.on("input", (msg) => {
        this.recorded.push({ from: id, msg });
        if (id !== "caught" && id !== "completed") findImpure(msg, id, this.#impure);
      });
    }
  }
}

const FORBIDDEN = ["__proto__", "constructor", "prototype"];

/** Collects the paths of everything that JSON or structuredClone would not keep. */
function findImpure(value: unknown, path: string, found: string[]): void {
  if (value === null || ["string", "boolean"].includes(typeof value) || Buffer.isBuffer(value))
    return;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) found.push(path);
    return;
  }
  if (Array.isArray(value)) {
    value.forEach((entry, index) => findImpure(entry, `${path}[${index}]`, found));
    return;
  }
  if (typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype) {
    found.push(`${path}: ${typeof value}`);
    return;
  }
  for (const key of Reflect.ownKeys(value)) {
    if (typeof key === "symbol" || FORBIDDEN.includes(key)) found.push(`${path}.${String(key)}`);
    else findImpure((value as Record<string, unknown>)[key], `${path}.${key}`, found);
  }
}

interface RuntimeNodes {
  setFlows(flow: FlowEntry[], credentials: unknown, type: string): Promise<unknown>;
}

function runtimeEvents(): NodeJS.EventEmitter {
  return (helper as unknown as { _events: NodeJS.EventEmitter })._events;
}

/** A stack config node. */
export function stack(properties: Record<string, unknown> = {}, id = "stack"): FlowEntry {
  return {
    id,
    type: "sip-stack",
    name: `The ${id}`,
    transports: [{ protocol: "udp", address: "127.0.0.1", port: 5060 }],
    ...properties,
  };
}

/** An account config node. */
export function account(properties: Record<string, unknown> = {}, id = "account"): FlowEntry {
  return { id, type: "sip-account", stack: "stack", uri: "sip:alice@example.com", ...properties };
}

function withRecorders(nodes: FlowEntry[]): FlowEntry[] {
  const flow: FlowEntry[] = [{ id: "tab", type: "tab", label: "test" }];
  const watched: string[] = [];
  for (const node of nodes) {
    const outputs = OUTPUTS[node.type];
    if (outputs === undefined) {
      flow.push(node);
      continue;
    }
    watched.push(node.id);
    const wires: string[][] = [];
    for (let output = 1; output <= outputs; output++) {
      const id = `${node.id}:${output}`;
      wires.push([id]);
      flow.push({ id, type: "helper", z: "tab", x: 1, y: 1 });
    }
    flow.push({ z: "tab", x: 1, y: 1, wires, ...node });
  }
  flow.push({ id: "catch", type: "catch", z: "tab", x: 1, y: 1, scope: null, wires: [["caught"]] });
  flow.push({
    id: "complete",
    type: "complete",
    z: "tab",
    x: 1,
    y: 1,
    scope: watched,
    wires: [["completed"]],
  });
  flow.push({ id: "caught", type: "helper", z: "tab", x: 1, y: 1 });
  flow.push({ id: "completed", type: "helper", z: "tab", x: 1, y: 1 });
  return flow;
}

/** Starts the runtime once for a test file. */
export function useNodeRed(): void {
  before(function (done) {
    helper.init(join(nodeRedHome(), "lib/red.js"));
    helper.startServer(done);
  });
  after(function (done) {
    helper.stopServer(done);
  });
}

/** HTTP requests to the admin endpoints. */
export function adminRequest(): ReturnType<typeof helper.request> {
  return helper.request();
}
