/** The flows as they stand in the editor: showing a node, and the list that the issues are looked for in. */
import type { WorkspaceNode } from "./issues.js";

export function findNode(id: string | undefined): EditorNode | undefined {
  return (id === undefined ? undefined : RED.nodes.node(id)) ?? undefined;
}

export function nodeLabel(id: string | undefined): string | undefined {
  const node = findNode(id);
  return node === undefined ? undefined : RED.utils.getNodeLabel(node, node.type);
}

/** Goes to a node on the canvas, or opens the dialog of a config node. */
export function showNode(id: string | undefined): void {
  const node = findNode(id);
  if (node === undefined) return;
  if (node.type === "sip-stack" || node.type === "sip-account")
    RED.editor.editConfig("", node.type, node.id);
  else RED.view.reveal(node.id);
}

const isOurs = (node: EditorNode): boolean => node.type.startsWith("sip-");

export function workspaceNodes(): WorkspaceNode[] {
  const nodes: WorkspaceNode[] = [];
  const add = (node: EditorNode): void => {
    if (!isOurs(node)) return;
    const flow = node.z === undefined ? undefined : RED.nodes.workspace(node.z);
    nodes.push({
      id: node.id,
      type: node.type,
      label: RED.utils.getNodeLabel(node, node.type),
      disabled: node.d === true || flow?.disabled === true,
      wired: RED.nodes.filterLinks({ source: node }).map((link) => link.sourcePort),
      properties: node,
    });
  };
  RED.nodes.eachNode(add);
  RED.nodes.eachConfig(add);
  return nodes;
}
