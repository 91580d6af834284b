/**
 * A dialog as plain JSON (RFC 3261 §12), so that another process can go on with it. What is read may come from anybody
 * who can write where it was kept: a wrong shape is no dialog.
 */
import { parseNameAddr, parseUri, type NameAddr, type Uri } from "../message/index.js";

export interface DialogRecord {
  readonly role: "client" | "server";
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** From and To of our requests, tags included. */
  readonly local: string;
  readonly remote: string;
  readonly target: string;
  readonly routes: readonly string[];
  readonly secure: boolean;
  readonly localSequence: number;
  readonly remoteSequence?: number | undefined;
}

/** The same, read. */
export interface ParsedDialogRecord {
  readonly record: DialogRecord;
  readonly local: NameAddr;
  readonly remote: NameAddr;
  readonly target: Uri;
  readonly routes: readonly NameAddr[];
}

const MOST_ROUTES = 32;
const LONGEST_TEXT = 2_048;
/** RFC 3261 §8.1.1.5: below 2^31. */
const LARGEST_SEQUENCE = 2 ** 31 - 1;

/** @returns undefined for anything that is no dialog. */
export function parseDialogRecord(value: unknown): ParsedDialogRecord | undefined {
  if (!isDialogRecord(value)) return undefined;
  const local = parseNameAddr(value.local);
  const remote = parseNameAddr(value.remote);
  const target = parseUri(value.target);
  const routes = value.routes.map(parseNameAddr);
  if (local === undefined || remote === undefined || target === undefined) return undefined;
  if ((local.tag ?? "") !== value.localTag || (remote.tag ?? "") !== value.remoteTag) {
    return undefined;
  }
  if (!routes.every((route) => route !== undefined)) return undefined;
  return { record: value, local, remote, target, routes };
}

function isDialogRecord(value: unknown): value is DialogRecord {
  if (typeof value !== "object" || value === null) return false;
  const { role, callId, localTag, remoteTag, local, remote, target, routes, ...rest } =
    value as Partial<Record<keyof DialogRecord, unknown>>;
  return (
    (role === "client" || role === "server") &&
    isText(callId) &&
    isText(localTag) &&
    typeof remoteTag === "string" &&
    (remoteTag === "" || isText(remoteTag)) &&
    [local, remote, target].every(isText) &&
    Array.isArray(routes) &&
    routes.length <= MOST_ROUTES &&
    routes.every(isText) &&
    typeof rest.secure === "boolean" &&
    isSequence(rest.localSequence) &&
    (rest.remoteSequence === undefined || isSequence(rest.remoteSequence))
  );
}

/** One line, not empty. */
function isText(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    value.length <= LONGEST_TEXT &&
    !/[\r\n\0]/.test(value)
  );
}

function isSequence(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= LARGEST_SEQUENCE;
}
