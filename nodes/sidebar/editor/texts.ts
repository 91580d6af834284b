/**
 * The words of the sidebar, from the plugin's own catalogue. Values are put in here and not by the catalogue's library,
 * which would look for further keys in what a peer wrote.
 */
import { fill } from "./fill.js";
import type { Translate } from "./types.js";

const CATALOGUE = "@sipflow/node-red-sip/sip-sidebar:";

export const t: Translate = (key, values) => fill(RED._(CATALOGUE + key), values);

/** The text of a key that may be missing: a header or a cause nobody has described. A peer may have written its last part. */
export function optional(key: string): string | undefined {
  const last = key.slice(key.lastIndexOf(".") + 1);
  if (last === "" || last in Object.prototype || /[^\w.-]/.test(key)) return undefined;
  const text: unknown = RED._(CATALOGUE + key);
  const isMissing = text === CATALOGUE + key || text === key;
  return typeof text !== "string" || isMissing || text.startsWith("key '") ? undefined : text;
}
