/** Config node `sip-account`: one address-of-record on a stack (contract §2). */
import type { Node, NodeAPI } from "node-red";
import { errorText } from "../lib/index.js";
import { addAccountNode, removeAccountNode } from "./shared/account-nodes.js";
import { readAccount } from "./shared/account-settings.js";
import { deploys } from "./shared/deploys.js";
import { findEngine, refreshStatuses } from "./shared/engines.js";
import { misuse, nodeError } from "./shared/errors.js";
import { migrated } from "./shared/migrations.js";
import type { NodeConfig } from "./shared/property-values.js";

export default function (RED: NodeAPI): void {
  deploys.watch(RED);
  RED.nodes.registerType(
    "sip-account",
    function (this: Node<{ password: unknown }>, saved: NodeConfig) {
      RED.nodes.createNode(this, saved);
      const config = migrated(saved);
      const stackId = typeof config["stack"] === "string" ? config["stack"] : "";
      const engine = findEngine(stackId);
      if (engine === undefined) {
        this.error(nodeError(RED, misuse("no-stack", "this account has no stack")));
        return;
      }
      addAccountNode(this.id, stackId);
      try {
        const group =
          engine.group === undefined ? undefined : `${stackId} ${String(config["uri"])}`;
        engine.claimAccount({ options: readAccount(RED, this, config, passwordOf(this), group) });
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
