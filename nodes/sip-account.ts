/** Config node `sip-account`: one address-of-record on a stack (contract §2). */
import { createHash } from "node:crypto";
import type { Node, NodeAPI } from "node-red";
import { errorText } from "../lib/index.js";
import { addAccountNode, removeAccountNode } from "./shared/account-nodes.js";
import { deploys } from "./shared/deploys.js";
import { findEngine, refreshStatuses } from "./shared/engines.js";
import { misuse, nodeError } from "./shared/errors.js";
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

/**
 * The name of this account on this installation, the same after each restart (RFC 5626 §4.1): made of the id that
 * Node-RED keeps in its user directory. Undefined when it keeps none: then each start has its own.
 */
function instanceIdOf(RED: NodeAPI, accountId: string): string | undefined {
  const settings = RED.settings as { get?: (name: string) => unknown; instanceId?: unknown };
  const installation = settings.instanceId ?? settings.get?.("instanceId");
  if (typeof installation !== "string" || installation === "") return undefined;
  const hash = createHash("sha256").update(`${installation} ${accountId}`).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  const parts = [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ] as const;
  return `urn:uuid:${parts.map(([from, to]) => hex.slice(from, to)).join("-")}`;
}
