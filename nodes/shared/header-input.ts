/** Header lines that a flow wants to send: from the node's `headers` and from `msg.headers` (contract §4.2). */
import { type HeaderList, isReservedHeader } from "../../lib/index.js";
import { misuse } from "./errors.js";
import { isRecord } from "./sip-fields.js";

/** RFC 3261 §25.1 `token`. */
const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;
const FORBIDDEN_IN_VALUE = /[\r\n\0]/;

/** @throws InvalidArgumentError `bad-header`. */
export function checkedHeader(name: string, value: unknown): readonly [string, string] {
  if (!TOKEN.test(name)) {
    throw misuse("bad-header", `"${printableName(name)}" is no header name`);
  }
  if (isReservedHeader(name)) {
    throw misuse("bad-header", `${name} is written by the stack and cannot be set by a flow`);
  }
  if (typeof value !== "string" && typeof value !== "number") {
    throw misuse("bad-header", `the value of ${name} is not a string`);
  }
  const text = String(value);
  if (FORBIDDEN_IN_VALUE.test(text)) {
    throw misuse("bad-header", `the value of ${name} holds a line break or a NUL`);
  }
  return [name, text];
}

function printableName(name: string): string {
  return JSON.stringify(name.slice(0, 40)).slice(1, -1);
}

/** `{name: string | string[]}`, null values as `remove`. */
export function headersOfObject(object: Record<string, unknown>): {
  lines: (readonly [string, string])[];
  remove: string[];
} {
  const lines: (readonly [string, string])[] = [];
  const remove: string[] = [];
  for (const [name, value] of Object.entries(object)) {
    if (value === null || value === undefined) {
      checkedHeader(name, "");
      remove.push(name);
    } else if (Array.isArray(value)) {
      if (value.length === 0) checkedHeader(name, "");
      for (const entry of value) lines.push(checkedHeader(name, entry));
    } else lines.push(checkedHeader(name, value));
  }
  return { lines, remove };
}

/** `msg.headers` that a core `http request` node left behind: not for us. */
export function isHttpAnswer(headers: unknown): boolean {
  return isRecord(headers) && Object.hasOwn(headers, "x-node-red-request-node");
}

/**
 * Applies `msg.headers` after the node's own: replaces the header of that name, null removes it.
 * @throws InvalidArgumentError `bad-header`.
 */
export function mergeHeaders(own: HeaderList, fromMessage: unknown): HeaderList {
  if (fromMessage === undefined || fromMessage === null) return own;
  if (!isRecord(fromMessage)) {
    throw misuse("bad-header", "msg.headers is not an object of names and values");
  }
  const { lines, remove } = headersOfObject(fromMessage);
  const replaced = new Set(
    [...lines.map(([name]) => name), ...remove].map((name) => name.toLowerCase()),
  );
  return [...own.filter(([name]) => !replaced.has(name.toLowerCase())), ...lines];
}
