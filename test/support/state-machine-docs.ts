/** docs/state-machines.md, made from the tables that the library runs. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import type { MachineDefinition, Transition } from "../../lib/foundation/index.js";

export interface DocumentedMachine {
  readonly definition: MachineDefinition;
  /** Path in the repository, with slashes. */
  readonly file: string;
}

const ROOT = join(__dirname, "../..");

export const STATE_MACHINES_FILE = join(ROOT, "docs/state-machines.md");

/** Rooms from the wire upwards; others follow by name. */
const ROOM_ORDER = ["transaction", "sdp", "session", "registration", "subscription", "user-agent"];

/** Every machine that a module of lib/ exports, in the order of rooms, files and exports. */
export async function collectMachines(): Promise<DocumentedMachine[]> {
  const machines: DocumentedMachine[] = [];
  for (const path of sourceFiles()) {
    const source = readFileSync(path, "utf8");
    if (!/: MachineDefinition</.test(source)) continue;
    const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
    const file = relative(ROOT, path).replaceAll("\\", "/");
    for (const value of Object.values(module)) {
      if (isMachine(value)) machines.push({ definition: value, file });
    }
  }
  return machines;
}

/** The whole document. */
export function renderMachines(machines: readonly DocumentedMachine[]): string {
  const contents = machines.map(
    ({ definition }) => `- [${definition.name}](#${anchor(definition)})`,
  );
  return [
    "# State machines",
    "",
    "Generated from the tables in `lib/` by `node --import tsx test/support/write-state-machines.ts`; a test fails when",
    "this file is stale. An input that a state does not list is ignored there, on purpose. Actions run in the order",
    "given, after the state has changed.",
    "",
    ...contents,
    "",
    ...machines.map(renderMachine),
  ].join("\n");
}

function renderMachine({ definition, file }: DocumentedMachine): string {
  return [
    `## ${definition.name}`,
    "",
    `[\`${file}\`](../${file})`,
    "",
    "```mermaid",
    ...diagram(definition),
    "```",
    "",
    "| state | input | next | actions | rule |",
    "|---|---|---|---|---|",
    ...rows(definition),
    "",
    "Ignored:",
    "",
    ...ignored(definition),
    "",
  ].join("\n");
}

function diagram(definition: MachineDefinition): string[] {
  const lines = ["stateDiagram-v2"];
  for (const state of Object.keys(definition.table)) {
    if (identifier(state) !== state) lines.push(`  state "${state}" as ${identifier(state)}`);
  }
  lines.push(`  [*] --> ${identifier(definition.initial)}`);
  for (const [state, cells] of Object.entries(definition.table)) {
    const edges = new Map<string, string[]>();
    for (const [input, transition] of transitions(cells)) {
      edges.set(transition.next, [...(edges.get(transition.next) ?? []), input]);
    }
    for (const [next, inputs] of edges) {
      lines.push(`  ${identifier(state)} --> ${identifier(next)}: ${inputs.join(", ")}`);
    }
  }
  for (const state of definition.final) lines.push(`  ${identifier(state)} --> [*]`);
  return lines;
}

function rows(definition: MachineDefinition): string[] {
  return Object.entries(definition.table).flatMap(([state, cells]) =>
    transitions(cells).map(
      ([input, { next, do: actions, rfc }]) =>
        `| ${state} | ${input} | ${next} | ${actions.join(", ") || "–"} | ${rfc} |`,
    ),
  );
}

function ignored(definition: MachineDefinition): string[] {
  const lines: string[] = [];
  for (const [state, cells] of Object.entries(definition.table)) {
    const inputs = definition.inputs.filter((input) => !(input in cells));
    if (inputs.length === definition.inputs.length) lines.push(`- ${state}: everything`);
    else if (inputs.length > 0) lines.push(`- ${state}: ${inputs.join(", ")}`);
  }
  return lines;
}

function transitions(
  cells: MachineDefinition["table"][string],
): [string, Transition<string, string>][] {
  const found: [string, Transition<string, string>][] = [];
  for (const [input, transition] of Object.entries(cells)) {
    if (transition) found.push([input, transition]);
  }
  return found;
}

/** Mermaid names hold letters, digits and underscores. */
function identifier(state: string): string {
  return state.replaceAll(/\W/g, "_");
}

/** As GitHub derives it from a heading. */
function anchor(definition: MachineDefinition): string {
  return definition.name
    .toLowerCase()
    .replaceAll(/[^\w -]/g, "")
    .replaceAll(" ", "-");
}

function isMachine(value: unknown): value is MachineDefinition {
  return typeof value === "object" && value !== null && "table" in value && "inputs" in value;
}

function sourceFiles(): string[] {
  const library = join(ROOT, "lib");
  const rooms = readdirSync(library, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return rooms.flatMap((room) =>
    readdirSync(join(library, room), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .sort()
      .map((name) => join(library, room, name)),
  );
}

function rank(room: string): number {
  const index = ROOM_ORDER.indexOf(room);
  return index < 0 ? ROOM_ORDER.length : index;
}
