/** Reads a node's properties for one input: TypedInputs, `${ENV}`, and the overrides of contract §4.2. */
import type { Node, NodeAPI, NodeDef, NodeMessage } from "node-red";
import { errorText, type HeaderList } from "../../lib/index.js";
import { misuse } from "./errors.js";
import { headersOfObject, mergeHeaders } from "./header-input.js";
import type { Origin, Properties, Property, Values } from "./properties.js";
import { isRecord } from "./sip-fields.js";

/** A node's properties as they stand in the flow file. */
export type NodeConfig = NodeDef & Readonly<Record<string, unknown>>;

/** Types whose value the flow's author wrote down. */
const LITERAL_TYPES: ReadonlySet<string> = new Set(["str", "num", "json", "file", "url", "tone"]);
/** Types that the runtime evaluates; the others are texts with a meaning. */
const EVALUATED: ReadonlySet<string> = new Set([
  "num",
  "bool",
  "json",
  "msg",
  "flow",
  "global",
  "env",
  "jsonata",
]);

const OVERRIDE: Origin = { type: "option", literal: false };

export interface Evaluation {
  readonly RED: NodeAPI;
  readonly node: Node;
  readonly config: NodeConfig;
  readonly msg: NodeMessage;
}

/** Replaces `${NAME}` in a text of the flow file; text of messages is never passed here. */
export function expandEnvironment(RED: NodeAPI, node: Node, text: string): string {
  if (!text.includes("${")) return text;
  return text.replace(/\$\{([^}]+)\}/g, (_whole, name: string) =>
    String(RED.util.evaluateNodeProperty(name, "env", node, {}) ?? ""),
  );
}

/**
 * The values of all properties. @throws InvalidArgumentError that names the property (rule `bad-option`) or the
 * expression that failed (`bad-property`).
 */
export async function readProperties<P extends Properties>(
  evaluation: Evaluation,
  properties: P,
): Promise<Values<P>> {
  const options = optionsOf(evaluation.msg);
  const values: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(properties)) {
    const given = options !== undefined && Object.hasOwn(options, name) ? options[name] : undefined;
    if (given !== undefined) {
      values[name] = property.parse(given, name, OVERRIDE);
      continue;
    }
    const value = readConfigured(evaluation, name, property);
    values[name] = value instanceof Promise ? await value : value;
  }
  return values as Values<P>;
}

/** The values of properties that are no TypedInputs, for nodes without an input. @throws like `readProperties`. */
export function readLiterals<P extends Properties>(
  RED: NodeAPI,
  node: Node,
  config: NodeConfig,
  properties: P,
): Values<P> {
  const values: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(properties)) {
    const raw = config[name];
    const value = typeof raw === "string" ? expandEnvironment(RED, node, raw) : raw;
    values[name] =
      isMissing(value) || (value === "" && property.emptyIsChoice !== true)
        ? property.fallback
        : property.parse(value, name, { type: "str", literal: true });
  }
  return values as Values<P>;
}

/** `msg.options`, or undefined when there is none. */
export function optionsOf(msg: NodeMessage): Record<string, unknown> | undefined {
  const { options } = msg;
  if (options === undefined || options === null) return undefined;
  if (!isRecord(options)) throw misuse("bad-option", "msg.options is not an object");
  return options;
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}

/** At once where nothing has to be waited for. */
function readConfigured(
  evaluation: Evaluation,
  name: string,
  property: Property<unknown>,
): unknown {
  const raw = evaluation.config[name];
  const rawType = evaluation.config[`${name}Type`];
  const type = typeof rawType === "string" && rawType !== "" ? rawType : "str";
  const isEmpty = raw === "" && type === "str" && property.emptyIsChoice !== true;
  const isAbsent = isMissing(raw) || isEmpty;
  const parsed = (value: unknown, origin: Origin): unknown =>
    value instanceof Promise
      ? value.then((settled: unknown) => property.parse(settled, name, origin))
      : property.parse(value, name, origin);
  if (isAbsent && typeof property.typed === "object") {
    const { value, type: defaultType } = property.typed;
    const origin = { type: defaultType, literal: false };
    return parsed(evaluate(evaluation, name, value, defaultType), origin);
  }
  if (isAbsent) return property.fallback;
  const origin = { type, literal: LITERAL_TYPES.has(type) };
  return parsed(evaluate(evaluation, name, raw, type), origin);
}

/** @returns the value, or a promise of it where the runtime may have to wait. */
function evaluate(
  { RED, node, msg }: Evaluation,
  name: string,
  raw: unknown,
  type: string,
): unknown {
  if (typeof raw !== "string") return raw;
  if (!EVALUATED.has(type) || type === "num") return expandEnvironment(RED, node, raw);
  if (type === "msg") {
    try {
      return RED.util.evaluateNodeProperty(raw, type, node, msg) as unknown;
    } catch {
      // A property of a message that is not there is simply absent, however deep the path.
      return undefined;
    }
  }
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void =>
      reject(misuse("bad-property", `"${name}" (${type}): ${errorText(error)}`));
    try {
      RED.util.evaluateNodeProperty(raw, type, node, msg, (error, value: unknown) => {
        if (error) failed(error);
        else resolve(value);
      });
    } catch (error) {
      failed(error);
    }
  });
}

/** The header lines of a node with `headers`, after `msg.options.headers` and `msg.headers`. */
export async function readHeaders(
  evaluation: Evaluation,
  fromMessage: unknown,
): Promise<HeaderList> {
  const option = optionsOf(evaluation.msg)?.["headers"];
  const own =
    option === undefined
      ? await configuredHeaders(evaluation, evaluation.config["headers"], true)
      : await configuredHeaders(evaluation, option, false);
  return mergeHeaders(own, fromMessage);
}

async function configuredHeaders(
  evaluation: Evaluation,
  headers: unknown,
  fromConfig: boolean,
): Promise<HeaderList> {
  if (headers === undefined || headers === null || headers === "") return [];
  if (isRecord(headers)) return headersOfObject(headers).lines;
  if (!Array.isArray(headers))
    throw misuse("bad-header", "headers is neither a list nor an object");
  const lines: (readonly [string, string])[] = [];
  for (const entry of headers as unknown[]) {
    if (!isRecord(entry) || typeof entry["name"] !== "string") {
      throw misuse("bad-header", "an entry of headers has no name");
    }
    const { name, value, valueType } = entry;
    if (fromConfig && name === "") continue;
    const type = typeof valueType === "string" && valueType !== "" ? valueType : "str";
    const evaluated = fromConfig
      ? await Promise.resolve(evaluate(evaluation, `headers ${name}`, value, type))
      : value;
    if (evaluated === undefined || evaluated === null) continue;
    lines.push(...headersOfObject({ [name]: evaluated }).lines);
  }
  return lines;
}
