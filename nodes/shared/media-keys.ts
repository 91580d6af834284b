/**
 * Keys of SRTP stand in session descriptions (RFC 4568). They never reach a message, except where the flow itself makes
 * the descriptions and needs them (`media: none`).
 */
import { withoutKeys } from "../../lib/index.js";
import type { SipFields } from "./sip-fields.js";

const FIELDS = ["remoteSdp", "localSdp", "body"] as const;
/** Stacks whose flows make the descriptions. */
const open = new Set<string>();

export function setKeysShown(stackId: string, shown: boolean): void {
  if (shown) open.add(stackId);
  else open.delete(stackId);
}

/** The same fields, without keys; changes nothing in `sip`. */
export function hideKeys(sip: SipFields): SipFields {
  const stack = sip["stack"];
  if (typeof stack === "string" && open.has(stack)) return sip;
  let shown = sip;
  for (const field of FIELDS) {
    const value = sip[field];
    const hidden = withoutKeysOf(value);
    if (hidden !== value) shown = { ...shown, [field]: hidden };
  }
  return shown;
}

/** A description, or a body of several parts that holds one. */
function withoutKeysOf(value: unknown): unknown {
  if (typeof value === "string") return withoutKeys(value);
  if (!Buffer.isBuffer(value) || !value.includes("a=crypto:")) return value;
  return Buffer.from(withoutKeys(value.toString("latin1")), "latin1");
}
