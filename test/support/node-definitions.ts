/**
 * What the editor templates say about each node, read without an editor: the scripts run against a stand-in for RED that
 * accepts everything. The generated reference, the pictures in the help and the tests of both are made from it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createContext, runInContext } from "node:vm";

/** One property of a node as its template declares it. */
export interface Property {
  readonly value: unknown;
  /** Type of the config node that it names. */
  readonly type?: string;
}

/** A node type as its template registers it. */
export interface NodeDefinition {
  readonly type: string;
  readonly category: string;
  readonly color?: string;
  readonly inputs: number;
  readonly defaults: Readonly<Record<string, Property>>;
  readonly credentials: readonly string[];
  /** Names of the outputs in a language; a menu as it is right after it was dropped. */
  outputs(language: string): string[];
  /** Text of the catalogue of this node, with those of all nodes behind it; undefined where there is none. */
  text(language: string, key: string): string | undefined;
}

type Template = Omit<NodeDefinition, "type" | "outputs" | "text" | "credentials"> & {
  outputs?: number;
  credentials?: object;
  outputLabels?: (this: object, index: number) => string | undefined;
};

/** Folder of the package. */
export const root = resolve(__dirname, "../..");

/** Text of a file of the package. */
export const read = (...parts: string[]): string => readFileSync(join(root, ...parts), "utf8");

/** The languages that the editor speaks here. */
export const languages: readonly string[] = readdirSync(join(root, "nodes/locales")).sort();

/** A catalogue of texts; undefined where the language has none for the set. */
export function catalogue(language: string, set: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(read("nodes/locales", language, `${set}.json`)) as Record<string, unknown>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function find(texts: unknown, key: string): string | undefined {
  let found = texts;
  for (const part of key.split(".")) found = (found as Record<string, unknown> | undefined)?.[part];
  return typeof found === "string" ? found : undefined;
}

/** Anything at all: called, read and made new without complaint. */
function anything(): unknown {
  const target = () => undefined;
  const proxy: unknown = new Proxy(target, {
    get: (_target, name) => (name === Symbol.toPrimitive ? () => "" : proxy),
    apply: () => proxy,
    construct: () => proxy as object,
  });
  return proxy;
}

/** All node types of the package, in the order of package.json. */
export function definitions(): NodeDefinition[] {
  const found = new Map<string, Template>();
  const globals: Record<string, unknown> = { $: anything(), document: anything() };
  globals.RED = new Proxy(
    {
      nodes: new Proxy(
        { registerType: (type: string, template: Template) => void found.set(type, template) },
        { get: (nodes, name) => (name in nodes ? nodes.registerType : anything()) },
      ),
    },
    { get: (red, name) => (name === "nodes" ? red.nodes : anything()) },
  );
  globals.window = globals;
  const context = createContext(globals);
  const { nodes } = (
    JSON.parse(read("package.json")) as { "node-red": { nodes: Record<string, string> } }
  )["node-red"];
  for (const type of Object.keys(nodes)) {
    const scripts = read("nodes", `${type}.html`).matchAll(
      /<script type="text\/javascript">([\s\S]*?)<\/script>/g,
    );
    for (const [, script] of scripts) runInContext(script ?? "", context);
  }
  return Object.keys(nodes).flatMap((type) => {
    const template = found.get(type);
    if (!template) return [];
    const text = (language: string, key: string) =>
      find(catalogue(language, type), key) ?? find(catalogue(language, "sip-stack"), key);
    return {
      type,
      category: template.category,
      ...(template.color !== undefined && { color: template.color }),
      inputs: template.inputs ?? 0,
      defaults: template.defaults,
      credentials: Object.keys(template.credentials ?? {}),
      text,
      outputs: (language: string) => {
        const values = Object.entries(template.defaults).map(([name, { value }]) => [name, value]);
        const node = {
          ...(Object.fromEntries(values) as object),
          _: (key: string) => text(language, key) ?? key,
        };
        return Array.from(
          { length: template.outputs ?? 0 },
          (_, index) => template.outputLabels?.call(node, index) ?? "",
        );
      },
    };
  });
}

/** Properties that the dialog shows: without the type beside a typed one, the count of ports, and the editor's own. */
export function shownProperties(definition: NodeDefinition): string[] {
  return Object.keys(definition.defaults).filter(
    (name) =>
      !["name", "outputs", "inputs", "version"].includes(name) &&
      !(name.endsWith("Type") && name.slice(0, -"Type".length) in definition.defaults),
  );
}
