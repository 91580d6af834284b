/** `sip-incoming`: takes the calls that fit (contract §4.5). Outputs: 1 call, 2 ended. */
import type { Node, NodeAPI } from "node-red";
import { deploys } from "./shared/deploys.js";
import { misuse, nodeError } from "./shared/errors.js";
import { attachNode } from "./shared/flow-node.js";
import { addIncomingNode, type IncomingRule, removeIncomingNode } from "./shared/incoming-nodes.js";
import { parsePattern } from "./shared/patterns.js";
import { flag, seconds, text } from "./shared/properties.js";
import { type NodeConfig, readLiterals } from "./shared/property-values.js";

const properties = {
  match: text(),
  from: text(),
  ring: flag(true),
  answerTimeout: seconds(180),
};

export default function (RED: NodeAPI): void {
  deploys.watch(RED);
  RED.nodes.registerType("sip-incoming", function (this: Node, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    const live = attachNode(RED, this, config, "always");
    if (live.stackId === undefined) return;
    let givenUp = false;
    try {
      const values = readLiterals(RED, this, config, properties);
      const rule: IncomingRule = {
        nodeId: this.id,
        stackId: live.stackId,
        accountId: live.accountId,
        match: parsePattern(values.match),
        from: parsePattern(values.from),
        ring: values.ring,
        answerTimeout: values.answerTimeout,
        onGivenUp: (pattern) => {
          if (givenUp) return;
          givenUp = true;
          const shown = nodeError(
            RED,
            misuse("bad-pattern", `${pattern} takes too long to be tested against a call`),
          );
          live.status.broken(shown.message);
          this.error(shown);
        },
      };
      addIncomingNode(rule);
      this.on("close", () => removeIncomingNode(rule));
    } catch (error) {
      const shown = nodeError(RED, error);
      live.status.broken(shown.message);
      this.error(shown);
    }
  });
}
