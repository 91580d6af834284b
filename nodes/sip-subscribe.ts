/**
 * `sip-subscribe`: keeps a subscription to somebody's state (contract §4.6, RFC 6665). Outputs: 1 notify, 2 ended.
 */
import type { NodeAPI } from "node-red";
import type { SubscribeOptions } from "../lib/index.js";
import { deploys } from "./shared/deploys.js";
import { misuse, nodeError } from "./shared/errors.js";
import { type Action, engineFor, registerActionNode } from "./shared/flow-node.js";
import { type LiveNode, liveNode } from "./shared/live-nodes.js";
import { keepAutomatic, keyOf, stopSubscriptions, subscribe } from "./shared/own-subscriptions.js";
import { flag, optionalText, seconds, text, typedText } from "./shared/properties.js";
import { type NodeConfig, readHeaders, readProperties } from "./shared/property-values.js";

const properties = {
  stack: optionalText,
  account: optionalText,
  to: typedText(),
  eventPackage: text("presence"),
  accept: optionalText,
  expires: seconds(3600),
  auto: flag(false),
  resubscribe: flag(true),
};

type SubscribeAction = Action<typeof properties>;
type SubscribeValues = SubscribeAction["values"];

export default function (RED: NodeAPI): void {
  registerActionNode(RED, "sip-subscribe", {
    shows: "problems",
    properties,
    reads: ["headers", "control"],
    attached: (live, config) => startWithDeploy(live, config),
    run,
  });
}

function run({ live, input, values, headers, control }: SubscribeAction): void {
  if (control === "stop") {
    stopSubscriptions(live.id, input.carried.subscription);
    input.complete();
    return;
  }
  if (control !== undefined && control !== "start") {
    throw misuse("bad-control", `msg.control "${control}": use start or stop`);
  }
  subscribe({
    nodeId: live.id,
    engine: engineFor(values.stack, values.account),
    options: optionsOf(values, headers),
    input,
  });
}

function optionsOf(
  { to, account, eventPackage, accept, expires, resubscribe }: SubscribeValues,
  headers: SubscribeOptions["headers"],
): SubscribeOptions {
  if (to === undefined) throw misuse("no-target", `"to" is empty: whose state is wanted?`);
  return { to, account, eventPackage, accept, expires: expires / 1000, headers, resubscribe };
}

/** `auto`: when all nodes of the deploy exist; what an earlier deploy began and nobody wants any more is ended. */
function startWithDeploy(live: LiveNode, config: NodeConfig): void {
  const start = (): void => {
    if (liveNode(live.id) !== live) return;
    attempt(live, config).catch((error: unknown) => {
      const shown = nodeError(live.RED, error);
      live.status.failure(shown.message);
      live.node.error(shown);
    });
  };
  if (deploys.phase !== "changing") {
    setImmediate(start);
    return;
  }
  const unlisten = deploys.listen({
    started: () => {
      unlisten();
      setImmediate(start);
    },
    stopped: () => unlisten(),
  });
}

async function attempt(live: LiveNode, config: NodeConfig): Promise<void> {
  const isAuto = config["auto"] === true || config["auto"] === "true";
  if (!isAuto) {
    keepAutomatic(live.id, undefined);
    return;
  }
  const evaluation = { RED: live.RED, node: live.node, config, msg: {} };
  const values = await readProperties(evaluation, properties);
  const options = optionsOf(values, await readHeaders(evaluation, undefined));
  const engine = engineFor(values.stack, values.account);
  keepAutomatic(live.id, keyOf(engine, options));
  subscribe({ nodeId: live.id, engine, options, input: undefined });
}
