/** The instance of RFC 5626 for each account, the same over restarts. */
import { createHash } from "node:crypto";
import type { NodeAPI } from "node-red";

/**
 * The name of this account on this installation, the same after each restart (RFC 5626 §4.1): made of the id that
 * Node-RED keeps in its user directory. Undefined when it keeps none: then each start has its own.
 *
 * @param group - What instances that keep the registration in turn have in common: they are one to the registrar.
 */
export function instanceIdOf(RED: NodeAPI, accountId: string, group?: string): string | undefined {
  const installation = group ?? installationId(RED);
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

function installationId(RED: NodeAPI): unknown {
  const settings = RED.settings as { get?: (name: string) => unknown; instanceId?: unknown };
  if (settings.instanceId !== undefined) return settings.instanceId;
  try {
    return settings.get?.("instanceId");
  } catch {
    // Without a user directory to keep it in, Node-RED has none.
    return undefined;
  }
}
