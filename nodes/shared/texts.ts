/** Texts of the message catalogue (locales/<language>/sip-stack.json), shared by all node sets. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NodeAPI } from "node-red";

/** `<package>/<set>` is the namespace under which Node-RED loads a catalogue. */
const NAMESPACE = "@sipflow/node-red-sip/sip-stack";

let english: unknown;

/** The English catalogue, also the answer when the runtime has not loaded ours (tests, embedded use). */
function englishText(key: string): string | undefined {
  english ??= JSON.parse(
    readFileSync(join(__dirname, "..", "locales", "en-US", "sip-stack.json"), "utf8"),
  ) as unknown;
  let node = english;
  for (const part of key.split(".")) {
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, part)) return undefined;
    node = (node as Record<string, unknown>)[part];
  }
  return typeof node === "string" ? node : undefined;
}

export function hasText(key: string): boolean {
  return englishText(key) !== undefined;
}

/** The text in the server's language with `__name__` filled in. */
export function translate(
  RED: NodeAPI,
  key: string,
  values: Readonly<Record<string, string | number>> = {},
): string {
  const fullKey = `${NAMESPACE}:${key}`;
  const translated: unknown = RED._(fullKey, { ...values });
  if (typeof translated === "string" && translated !== fullKey && translated !== key) {
    return translated;
  }
  const template = englishText(key) ?? key;
  return template.replace(/__(\w+)__/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : whole,
  );
}
