/**
 * What is kept of calls for the other instances of a group: one record for a call, or for two that are joined past this
 * process, as JSON. The second leg of a pair has a record that names the first one's. Nothing that is read is trusted.
 */
import { createHash } from "node:crypto";
import type { CallRecord } from "../../../lib/index.js";
import { CallBridge, type BridgeRecord } from "../bridges.js";
import type { Call } from "../call.js";
import { isRecord, parseRecord } from "../sip-fields.js";

export interface KeptCall {
  /** The node that brought it. */
  readonly owner?: string | undefined;
  readonly call: CallRecord;
}

export interface CallUnit {
  readonly version: typeof UNIT_VERSION;
  readonly calls: readonly [KeptCall] | readonly [KeptCall, KeptCall];
  /** Of two. */
  readonly bridge?: BridgeRecord | undefined;
}

/** As it was read; its calls are checked by whoever restores them. */
export interface ReadUnit {
  readonly calls: readonly { readonly owner: string | undefined; readonly call: unknown }[];
  readonly bridge: BridgeRecord | undefined;
}

const UNIT_VERSION = 1;
const LONGEST_ID = 128;

/** Of a dialog, as who receives a request in it sees it. Call-IDs are of any length, and two calls may share one. */
export function dialogKey(callId: string, localTag: string): string {
  const text = `${localTag.length} ${localTag} ${callId}`;
  return createHash("sha256").update(text).digest("base64url").slice(0, 27);
}

/** The two legs of a bridge that outlives this process, the first one first; else the call alone. */
export function unitOf(call: Call): readonly Call[] {
  const bridge = call.bridge instanceof CallBridge ? call.bridge : undefined;
  if (bridge?.record() === undefined) return [call];
  // Two stacks are two groups: nobody could take both.
  return bridge.legs.every(({ stackId }) => stackId === call.stackId) ? bridge.legs : [call];
}

/** Undefined while one of them is not established. */
export function writeUnit(calls: readonly Call[]): string | undefined {
  const [first] = calls;
  const kept: KeptCall[] = [];
  for (const call of calls) {
    const record = call.session.record();
    if (record === undefined) return undefined;
    kept.push({ owner: call.owner?.nodeId, call: record });
  }
  const bridge =
    calls.length === 2 && first?.bridge instanceof CallBridge ? first.bridge.record() : undefined;
  return JSON.stringify({ version: UNIT_VERSION, calls: kept, bridge });
}

export function writeReference(key: string): string {
  return JSON.stringify({ version: UNIT_VERSION, see: key });
}

/** @returns the key of another record, or what is in this one; undefined for anything that is neither. Never throws. */
export function readUnit(text: string): string | ReadUnit | undefined {
  const value = parseRecord(text);
  if (value === undefined || value["version"] !== UNIT_VERSION) return undefined;
  const { see, calls, bridge } = value;
  if (isId(see)) return see;
  if (!Array.isArray(calls) || calls.length < 1 || calls.length > 2) return undefined;
  const kept = calls.filter(isRecord).map(({ owner, call }) => ({
    owner: isId(owner) ? owner : undefined,
    call,
  }));
  if (kept.length !== calls.length) return undefined;
  return { calls: kept, bridge: kept.length === 2 ? readBridge(bridge) : undefined };
}

function readBridge(value: unknown): BridgeRecord | undefined {
  if (!isRecord(value)) return undefined;
  const { node, mode, hangup, relay } = value;
  if (!isId(node) || (mode !== "media" && mode !== "signaling")) return undefined;
  return { node, mode, hangup: hangup !== false, relay };
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= LONGEST_ID;
}
