/**
 * The node instances that exist now, by id. What waits in the stack remembers only the node's id, so that after
 * a deploy its output fires on the new instance.
 */
import type { Node, NodeAPI } from "node-red";
import type { NodeStatus } from "./status.js";

export interface LiveNode {
  readonly id: string;
  readonly node: Node;
  readonly RED: NodeAPI;
  readonly status: NodeStatus;
  /** Config nodes that this node uses; undefined when none is chosen. */
  readonly stackId: string | undefined;
  readonly accountId: string | undefined;
  /** Shows the state of its stack and account. */
  showBase(): void;
}

/** Does a wire leave this output, counted from 1? What nobody gets need not be made: calls come by the thousands. */
export function isWired({ node }: LiveNode, output: number): boolean {
  const { wires } = node as { readonly wires?: readonly (readonly string[])[] };
  return wires === undefined || (wires[output - 1]?.length ?? 0) > 0;
}

const nodes = new Map<string, LiveNode>();

export function addLiveNode(live: LiveNode): void {
  nodes.set(live.id, live);
}

/** Removes this instance; a newer one with the same id stays. */
export function removeLiveNode(live: LiveNode): void {
  if (nodes.get(live.id) === live) nodes.delete(live.id);
}

export function liveNode(id: string): LiveNode | undefined {
  return nodes.get(id);
}

export function liveNodes(): IterableIterator<LiveNode> {
  return nodes.values();
}
