/** `sip-event`: hears of everything else, and holds requests for its flow (contract §4.6). Output: 1 event. */
import type { Node, NodeAPI } from "node-red";
import { deploys } from "./shared/deploys.js";
import { nodeError } from "./shared/errors.js";
import { addEventNode, type EventSubscription, removeEventNode } from "./shared/event-nodes.js";
import { attachNode } from "./shared/flow-node.js";
import { list, milliseconds } from "./shared/properties.js";
import { type NodeConfig, readLiterals } from "./shared/property-values.js";

const LONGEST_ANSWER_MS = 20_000;

const properties = { events: list, methods: list, answerWithin: milliseconds(500) };

export default function (RED: NodeAPI): void {
  deploys.watch(RED);
  RED.nodes.registerType("sip-event", function (this: Node, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    const live = attachNode(RED, this, config, "always");
    if (live.stackId === undefined) return;
    try {
      const values = readLiterals(RED, this, config, properties);
      const subscription: EventSubscription = {
        nodeId: this.id,
        stackId: live.stackId,
        accountId: live.accountId,
        events: new Set(values.events),
        methods: new Set(values.methods.map((method) => method.toUpperCase())),
        answerWithin: Math.min(values.answerWithin, LONGEST_ANSWER_MS),
      };
      addEventNode(subscription);
      this.on("close", () => removeEventNode(subscription));
    } catch (error) {
      const shown = nodeError(RED, error);
      live.status.broken(shown.message);
      this.error(shown);
    }
  });
}
