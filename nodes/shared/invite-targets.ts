/** The `to` of `sip-invite` → targets (contract §4.5 "Targets and forks"). */
import type { InviteTarget } from "../../lib/index.js";
import { misuse } from "./errors.js";
import { headersOfObject } from "./header-input.js";
import { isRecord } from "./sip-fields.js";

const LARGEST_FORK = 32;

/** @throws InvalidArgumentError `no-target` or `bad-target`. */
export function parseTargets(value: unknown): (string | InviteTarget)[] {
  const entries: unknown[] = Array.isArray(value) ? value : [value];
  if (entries.length > LARGEST_FORK) {
    throw misuse("bad-target", `at most ${LARGEST_FORK} targets can be called at once`);
  }
  const targets = entries.filter((entry) => !isBlank(entry)).map(parseTarget);
  if (targets.length === 0) throw misuse("no-target", `"to" is empty: whom to call?`);
  return targets;
}

function isBlank(entry: unknown): boolean {
  return entry === undefined || entry === null || entry === "";
}

function parseTarget(entry: unknown): string | InviteTarget {
  if (typeof entry === "string") return checkedUri(entry);
  if (typeof entry === "number") return String(entry);
  if (!isRecord(entry) || typeof entry["uri"] !== "string") {
    throw misuse("bad-target", "a target is a string or an object with uri");
  }
  const { uri, headers, account } = entry;
  const timeout = seconds(entry["timeout"]);
  if (headers !== undefined && !isRecord(headers)) {
    throw misuse("bad-target", "the headers of a target must be an object");
  }
  if (account !== undefined && typeof account !== "string") {
    throw misuse("bad-target", "the account of a target must be the id of an account node");
  }
  return {
    uri: checkedUri(uri),
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
    headers: headers === undefined ? undefined : headersOfObject(headers).lines,
    account,
  };
}

/** A number, or a text that is one; absent or empty = the node's. */
function seconds(value: unknown): number | undefined {
  if (isBlank(value)) return undefined;
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number === "number" && number >= 0 && Number.isFinite(number)) return number;
  throw misuse("bad-target", "the timeout of a target must be a number of seconds");
}

function checkedUri(uri: string): string {
  if (/[\r\n\0]/.test(uri)) throw misuse("bad-target", "a target holds a line break or a NUL");
  return uri.trim();
}
