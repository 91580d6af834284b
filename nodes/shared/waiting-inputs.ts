/** How many inputs wait in each node, for the status of nodes that take their time (playing, collecting …). */
import { deploys } from "./deploys.js";
import { liveNode } from "./live-nodes.js";
import { translate } from "./texts.js";

const waiting = new Map<string, number>();

deploys.listen({ stopped: () => waiting.clear() });

/** An input begins to wait. `textKey` says what the node is doing. @returns to be called when it has left. */
export function beginWait(nodeId: string, textKey: string): () => void {
  change(nodeId, textKey, 1);
  return () => change(nodeId, textKey, -1);
}

function change(nodeId: string, textKey: string, by: number): void {
  const count = Math.max(0, (waiting.get(nodeId) ?? 0) + by);
  if (count === 0) waiting.delete(nodeId);
  else waiting.set(nodeId, count);
  const live = liveNode(nodeId);
  live?.status.story(() => {
    const now = waiting.get(nodeId) ?? 0;
    if (now === 0) return undefined;
    const text = translate(live.RED, textKey);
    return { fill: "green", shape: "dot", text: now === 1 ? text : `${text} ${now}` };
  });
}
