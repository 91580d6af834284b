/** Config node `sip-account`: one address-of-record on a stack (contract §2). */
import type { Node, NodeAPI } from "node-red";
import { errorText } from "../lib/index.js";
import { addAccountNode, removeAccountNode } from "./shared/account-nodes.js";
import { deploys } from "./shared/deploys.js";
import { findEngine, refreshStatuses } from "./shared/engines.js";
import { misuse, nodeError } from "./shared/errors.js";
import { instanceIdOf } from "./shared/instance-id.js";
import { choice, flag, number, optionalNumber, optionalText, text } from "./shared/properties.js";
import { type NodeConfig, readLiterals } from "./shared/property-values.js";

const properties = {
  uri: text(),
  displayName: optionalText,
  authUser: optionalText,
  register: flag(true),
  registrar: optionalText,
  outboundProxy: optionalText,
  cacheOutboundProxy: flag(false),
  expires: number(3600),
  minExpires: number(30),
  sendExpires: flag(true),
  transport: choice(["auto", "udp", "tcp", "tls", "ws", "wss"], "auto"),
  outbound: flag(false),
  maxCalls: number(0),
  maxCallsPerMinute: number(0),
  contactParams: optionalText,
  contactUriParams: optionalText,
  learnPublicAddress: flag(true),
  keepAlive: optionalNumber,
};

export default function (RED: NodeAPI): void {
  deploys.watch(RED);
  RED.nodes.registerType(
    "sip-account",
    function (this: Node<{ password: unknown }>, config: NodeConfig) {
      RED.nodes.createNode(this, config);
      const stackId = typeof config["stack"] === "string" ? config["stack"] : "";
      const engine = findEngine(stackId);
      if (engine === undefined) {
        this.error(nodeError(RED, misuse("no-stack", "this account has no stack")));
        return;
      }
      addAccountNode(this.id, stackId);
      try {
        const options = readLiterals(RED, this, config, properties);
        engine.claimAccount({
          options: {
            id: this.id,
            ...options,
            instanceId: instanceIdOf(RED, this.id),
            password: passwordOf(this),
          },
        });
        refreshStatuses(stackId);
      } catch (error) {
        const uri = typeof config["uri"] === "string" ? config["uri"] : "";
        engine.accounts.refuse(this.id, uri, errorText(error));
        this.error(nodeError(RED, error));
      }
      this.on("close", (removed: boolean, done: () => void) => {
        removeAccountNode(this.id);
        if (removed) void engine.accounts.remove(this.id).then(done);
        else {
          engine.accounts.release(this.id);
          done();
        }
      });
    },
    { credentials: { password: { type: "password" as const } } },
  );
}

/** Nodes without saved credentials have none at all. */
function passwordOf(node: Node<{ password: unknown }>): string | undefined {
  const credentials = node.credentials as { password?: unknown } | undefined;
  return typeof credentials?.password === "string" ? credentials.password : undefined;
}
