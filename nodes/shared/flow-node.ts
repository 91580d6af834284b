/**
 * The frame of every flow node: registers the instance while it exists, shows the state of its stack, and for
 * nodes with an input turns a message into an action that ends in exactly one output or error.
 */
import type { Node, NodeAPI, NodeMessage, NodeMessageInFlow } from "node-red";
import type { HeaderList } from "../../lib/index.js";
import { stackIdOfAccount } from "./account-nodes.js";
import { deploys } from "./deploys.js";
import type { Engine } from "./engine.js";
import { baseStatus, findEngine } from "./engines.js";
import { misuse, nodeError } from "./errors.js";
import { isHttpAnswer } from "./header-input.js";
import { Input } from "./input.js";
import { addLiveNode, type LiveNode, removeLiveNode } from "./live-nodes.js";
import type { Properties, Values } from "./properties.js";
import { type NodeConfig, readHeaders, readProperties } from "./property-values.js";
import { NodeStatus } from "./status.js";
import { translate } from "./texts.js";
import { beginWait } from "./waiting-inputs.js";

/**
 * What a node shows of its stack: `always` its state, `problems` only when something is wrong, `none` for nodes
 * that find their stack by the session.
 */
export type ShowsStack = "always" | "problems" | "none";

/** Registers an instance until it closes. */
export function attachNode(
  RED: NodeAPI,
  node: Node,
  config: NodeConfig,
  shows: ShowsStack,
): LiveNode {
  const id = (name: string): string | undefined => {
    const value = config[name];
    return typeof value === "string" && value !== "" && value !== "_ADD_" ? value : undefined;
  };
  const accountId = id("account");
  const stackId = accountId === undefined ? id("stack") : stackIdOfAccount(accountId);
  const status = new NodeStatus(node, RED);
  const live: LiveNode = {
    id: node.id,
    node,
    RED,
    status,
    stackId,
    accountId,
    showBase: () => {
      if (shows === "none") return;
      const missingAccount = accountId !== undefined && stackId === undefined;
      const base = missingAccount
        ? { fill: "red" as const, shape: "ring" as const, text: translate(RED, "status.noAccount") }
        : baseStatus(RED, stackId, accountId);
      status.base(shows === "always" || base.fill === "red" ? base : {});
    },
  };
  addLiveNode(live);
  live.showBase();
  node.on("close", () => {
    removeLiveNode(live);
    status.close();
  });
  return live;
}

/**
 * The engine that an action outside of a session uses. @throws InvalidArgumentError `no-account` or `no-stack`.
 */
export function engineFor(stackId: string | undefined, accountId: string | undefined): Engine {
  if (accountId !== undefined) {
    const engine = findEngine(stackIdOfAccount(accountId));
    const entry = engine?.accounts.entry(accountId);
    if (engine === undefined || entry === undefined) {
      throw misuse("no-account", "the account of this node is missing, disabled or has no stack");
    }
    if (entry.problem !== undefined) throw misuse("no-account", entry.problem);
    return engine;
  }
  const engine = findEngine(stackId);
  if (engine === undefined) {
    throw misuse("no-stack", "the stack of this node is missing or disabled");
  }
  return engine;
}

/** One input on its way to its outcome. */
export interface Action<P extends Properties> {
  readonly live: LiveNode;
  readonly RED: NodeAPI;
  readonly input: Input;
  readonly values: Values<P>;
  /** The message as it arrived, payload included; only to be read. */
  readonly msg: NodeMessage;
  readonly headers: HeaderList;
  readonly sdp: string | undefined;
  readonly control: string | undefined;
  /** `msg.credentials`; the message itself no longer has them. */
  readonly credentials: unknown;
}

export interface ActionNode<P extends Properties> {
  readonly shows?: ShowsStack;
  readonly properties: P;
  /** Text key of the status while an input waits in the node. */
  readonly busyText?: string;
  /** Overrides besides `msg.options` that this node reads and does not send on. */
  readonly reads?: readonly ("headers" | "sdp" | "control" | "credentials")[];
  /** A new instance is there. */
  attached?(live: LiveNode, config: NodeConfig): void;
  /** Ends the input by `leave`, `complete` or `fail`, now or later; what it throws becomes `done(error)`. */
  run(action: Action<P>): Promise<void> | void;
}

/** Registers a node type with an input. */
export function registerActionNode<P extends Properties>(
  RED: NodeAPI,
  type: string,
  definition: ActionNode<P>,
): void {
  deploys.watch(RED);
  RED.nodes.registerType(type, function (this: Node, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    const live = attachNode(RED, this, config, definition.shows ?? "none");
    definition.attached?.(live, config);
    this.on("input", (msg, _send, done) => {
      void perform(live, config, definition, msg, done);
    });
  });
}

async function perform<P extends Properties>(
  live: LiveNode,
  config: NodeConfig,
  definition: ActionNode<P>,
  msg: NodeMessageInFlow,
  done: (error?: Error) => void,
): Promise<void> {
  const { RED, node } = live;
  let input: Input;
  try {
    input = new Input(live, msg, done);
  } catch (error) {
    // A message that cannot even be cloned.
    done(nodeError(RED, error));
    return;
  }
  try {
    const reads = definition.reads ?? [];
    const headersAreOurs = reads.includes("headers") && !isHttpAnswer(msg["headers"]);
    input.consume(["options", ...reads.filter((name) => name !== "headers" || headersAreOurs)]);
    const credentials = reads.includes("credentials") ? msg["credentials"] : undefined;
    // What an error hands to Catch nodes is the message as it came: no password may be in it.
    if (reads.includes("credentials")) delete msg["credentials"];
    const evaluation = { RED, node, config, msg };
    const values = await readProperties(evaluation, definition.properties);
    const headers = reads.includes("headers")
      ? await readHeaders(evaluation, headersAreOurs ? msg["headers"] : undefined)
      : [];
    if (definition.busyText !== undefined) {
      input.onSettled(beginWait(node.id, definition.busyText));
    }
    await definition.run({
      live,
      RED,
      input,
      values,
      msg,
      headers,
      sdp: reads.includes("sdp") ? textOverride(msg, "sdp") : undefined,
      control: reads.includes("control") ? textOverride(msg, "control") : undefined,
      credentials,
    });
  } catch (error) {
    input.fail(error);
  }
}

function textOverride(msg: NodeMessage, name: string): string | undefined {
  const value = msg[name];
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") throw misuse(`bad-${name}`, `msg.${name} is not a string`);
  return value;
}
