/**
 * What whoever runs Node-RED decides in `settings.js` for all stacks, whatever their flows say: `sipStackTrace`,
 * `sipStackMaxSessions`, `sipStackHistory`, `sipStackGraceSeconds`, `sipStackRtpengineDigits`.
 */
import type { NodeAPI } from "node-red";
import { isRecord } from "./sip-fields.js";
import { DEFAULT_HISTORY } from "./tracing/history.js";

export interface RuntimeSettings {
  /** true = every stack keeps the messages of calls, false = none does; undefined = as each stack says. */
  readonly trace: boolean | undefined;
  /** Calls at once that no stack may exceed; undefined = as each stack says. */
  readonly maxSessions: number | undefined;
  /** So many ended calls are remembered. */
  readonly history: number;
  /** SIGTERM waits so long for calls to end; 0 = it ends them. */
  readonly graceSeconds: number;
  /** `host:port` where rtpengines report the keys that they hear; undefined = nowhere. */
  readonly rtpengineDigits: string | undefined;
}

const MOST_HISTORY = 1_000;
const LONGEST_GRACE_S = 24 * 3600;

/** For `registerType`: the editor may know them. */
export const SETTINGS_OF_STACK = {
  sipStackTrace: { value: null, exportable: true },
  sipStackMaxSessions: { value: 0, exportable: true },
  sipStackHistory: { value: DEFAULT_HISTORY, exportable: false },
  sipStackGraceSeconds: { value: 0, exportable: false },
  sipStackRtpengineDigits: { value: "", exportable: false },
};

/** @param warn - Told of each value that cannot be; it counts as not set then. */
export function readRuntimeSettings(
  RED: Pick<NodeAPI, "settings">,
  warn: (text: string) => void = () => undefined,
): RuntimeSettings {
  // A runtime that is embedded may have none.
  const given: Readonly<Record<string, unknown>> = isRecord(RED.settings) ? RED.settings : {};
  const number = (name: string, least: number, most: number): number | undefined => {
    const value = given[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) {
      return value;
    }
    warn(`settings.js: ${name} must be a whole number from ${least} to ${most}; it is ignored`);
    return undefined;
  };
  let trace: boolean | undefined;
  const wanted = given["sipStackTrace"];
  if (typeof wanted === "boolean") trace = wanted;
  else if (wanted !== undefined && wanted !== null) {
    warn("settings.js: sipStackTrace must be true or false; it is ignored");
  }
  const digits = given["sipStackRtpengineDigits"] ?? "";
  const isAddress = typeof digits === "string" && /^$|^.+:\d{1,5}$/.test(digits);
  if (!isAddress) warn("settings.js: sipStackRtpengineDigits must be host:port; it is ignored");
  return {
    trace,
    // 0 would say "no limit", which is what a stack says already.
    maxSessions: number("sipStackMaxSessions", 1, 1_000_000),
    history: number("sipStackHistory", 0, MOST_HISTORY) ?? DEFAULT_HISTORY,
    graceSeconds: number("sipStackGraceSeconds", 0, LONGEST_GRACE_S) ?? 0,
    rtpengineDigits: isAddress && digits !== "" ? digits : undefined,
  };
}
