/** The first call of somebody who has just installed the package: an example on a tab of its own, without import dialog. */
import { request } from "./requests.js";

/** As the import menu asks for it. */
const EXAMPLE = "library/examples/flows/@sipflow/node-red-sip/calls/Loopback";
const TAB = "0000000000000001";

interface ImportedNode {
  readonly x?: number;
}

/** Puts the example onto a new tab and shows that. It is not deployed. @throws RequestError */
export async function importFirstCall(label: string): Promise<void> {
  const nodes = await request<ImportedNode[]>(EXAMPLE);
  const known = new Set(tabs());
  const tab = { id: TAB, type: "tab", label, disabled: false, info: "" };
  const placed = nodes.map((node) => ("x" in node ? { ...node, z: TAB } : node));
  RED.view.importNodes([tab, ...placed], { generateIds: true, notify: false });
  const added = tabs().find((id) => !known.has(id));
  if (added === undefined) return;
  RED.workspaces.show(added);
  RED.nodes.dirty(true);
}

function tabs(): string[] {
  const ids: string[] = [];
  RED.nodes.eachWorkspace(({ id }) => ids.push(id));
  return ids;
}
