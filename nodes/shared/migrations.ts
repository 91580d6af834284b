/**
 * Config nodes of older flows as the present version reads them (docs/migrations.md). Each step lifts one node type by
 * one `version`; a node without a version has version 0. Pure, never throws, and leaves alone what it does not know:
 * wrong values are told by whoever reads them.
 */
import type { NodeConfig } from "./property-values.js";

type Properties = Readonly<Record<string, unknown>>;

export interface Migration {
  readonly type: string;
  /** The version that it makes. */
  readonly to: number;
  /** @returns the properties that change. */
  readonly change: (node: Properties) => Properties;
}

const LISTS = ["codecs", "allow", "deny", "trusted", "dial", "infoPackages", "dnsServers"] as const;

export const migrations: readonly Migration[] = [
  {
    // Lists were one text with commas, transports a JSON text, in flows that were written by hand or by programs.
    type: "sip-stack",
    to: 1,
    change: (node) => ({
      ...Object.fromEntries(LISTS.flatMap((name) => listOf(node, name))),
      ...transportsOf(node["transports"]),
    }),
  },
  {
    // The address could stand without its scheme, the transport in capitals.
    type: "sip-account",
    to: 1,
    change: ({ uri, transport }) => ({
      ...(typeof uri === "string" && /^[^\s:@${}]+@[^\s@]+$/.test(uri)
        ? { uri: `sip:${uri}` }
        : {}),
      ...(typeof transport === "string" ? { transport: transport.toLowerCase() } : {}),
    }),
  },
];

/** The newest version of a type's properties; 0 = it has none. */
export function newestVersion(type: string, table: readonly Migration[] = migrations): number {
  return table.reduce(
    (newest, step) => (step.type === type ? Math.max(newest, step.to) : newest),
    0,
  );
}

/** A copy with the properties of the newest version; that of a newer package stays as it is. */
export function migrated(config: NodeConfig, table: readonly Migration[] = migrations): NodeConfig {
  let node = config;
  const version = versionOf(config);
  const steps = table.filter(({ type, to }) => type === config.type && to > version);
  for (const { to, change } of [...steps].sort((a, b) => a.to - b.to)) {
    node = { ...node, ...change(node), version: to };
  }
  return node;
}

function versionOf(config: NodeConfig): number {
  const version = Number(config["version"] ?? 0);
  return Number.isInteger(version) && version > 0 ? version : 0;
}

function listOf(node: Properties, name: string): [string, string[]][] {
  const value = node[name];
  if (typeof value !== "string" || value.includes("${")) return [];
  const entries = value.split(",").map((entry) => entry.trim());
  return [[name, entries.filter((entry) => entry !== "")]];
}

function transportsOf(value: unknown): Properties {
  if (typeof value !== "string" || value.includes("${")) return {};
  try {
    const transports: unknown = JSON.parse(value);
    return Array.isArray(transports) ? { transports } : {};
  } catch {
    // Told by whoever reads it.
    return {};
  }
}
