/**
 * The tables as data.
 * 1 docs/state-machines.md shows the tables that the code runs. 2 Every machine is well-formed: its states and inputs are
 * known, final states lead nowhere else, every state can be reached and, unless final, left, and each row names its rule.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import type { MachineDefinition } from "../lib/foundation/index.js";
import {
  collectMachines,
  renderMachines,
  STATE_MACHINES_FILE,
  type DocumentedMachine,
} from "./support/state-machine-docs.js";

/** States that some sequence of inputs leads to. */
function reachable({ initial, table }: MachineDefinition): Set<string> {
  const found = new Set([initial]);
  for (const state of found) {
    for (const transition of Object.values(table[state] ?? {})) {
      if (transition) found.add(transition.next);
    }
  }
  return found;
}

function problems({ definition }: DocumentedMachine): string[] {
  const { table, inputs, final, initial } = definition;
  const states = Object.keys(table);
  const found: string[] = [];
  if (!states.includes(initial)) found.push(`unknown initial state ${initial}`);
  for (const [state, cells] of Object.entries(table)) {
    if (!final.includes(state) && Object.keys(cells).length === 0) {
      found.push(`${state} cannot be left`);
    }
    for (const [input, transition] of Object.entries(cells)) {
      if (!inputs.includes(input)) found.push(`${state}: unknown input ${input}`);
      if (!transition) continue;
      if (!states.includes(transition.next))
        found.push(`${state}: unknown state ${transition.next}`);
      if (final.includes(state) && !final.includes(transition.next)) {
        found.push(`final state ${state} leads back to ${transition.next}`);
      }
      if (!/\S/.test(transition.rfc)) found.push(`${state} × ${input}: no rule`);
    }
  }
  const known = reachable(definition);
  for (const state of states) if (!known.has(state)) found.push(`${state} is never reached`);
  return found;
}

describe("State machines", () => {
  let machines: DocumentedMachine[] = [];

  before(async () => {
    machines = await collectMachines();
  });

  it("are drawn in docs/state-machines.md as the code runs them", () => {
    assert.ok(existsSync(STATE_MACHINES_FILE), "docs/state-machines.md is missing");
    assert.equal(
      readFileSync(STATE_MACHINES_FILE, "utf8"),
      renderMachines(machines),
      "docs/state-machines.md is stale: node --import tsx test/support/write-state-machines.ts",
    );
  });

  it("include the four transactions, under names of their own", () => {
    const names = machines.map(({ definition }) => definition.name);
    assert.deepEqual(names.slice(0, 4).sort(), [
      "INVITE client transaction",
      "INVITE server transaction",
      "Non-INVITE client transaction",
      "Non-INVITE server transaction",
    ]);
    assert.equal(new Set(names).size, names.length);
  });

  it("are well-formed tables", () => {
    const faults = machines.flatMap((machine) =>
      problems(machine).map((fault) => `${machine.definition.name}: ${fault}`),
    );
    assert.deepEqual(faults, []);
  });
});
