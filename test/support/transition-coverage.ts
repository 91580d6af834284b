/**
 * Root hooks for mocha: which rows of the state machines were run by the code itself (not by a test that walks the table)
 * while the library's tests ran. Rows that no test took fail the suite, so that no row is there without a reason.
 */
import assert from "node:assert/strict";
import { collectMachines } from "./state-machine-docs.js";

/** Rows that the library's tests do not take yet, only the walk over the table. To be emptied; never to be added to. */
const OPEN: readonly string[] = [];

/** `machine: state × input` of rows that nothing has taken yet. */
const untaken = new Set<string>();

/** A frame of the library other than the runner itself: a table that a test walks has none. */
function isTakenByLibrary(): boolean {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const frames = new Error().stack?.split("\n") ?? [];
  Error.stackTraceLimit = limit;
  return frames.some((frame) => /\/lib\/(?!foundation\/)/.test(frame) && !/\/test\//.test(frame));
}

/** Puts a reader in front of the actions of one row; the runner reads them exactly when it takes the row. */
function watch(row: { readonly do: readonly string[] }, name: string): void {
  const actions = row.do;
  untaken.add(name);
  Object.defineProperty(row, "do", {
    configurable: true,
    enumerable: true,
    get(this: unknown): readonly string[] {
      if (untaken.has(name) && isTakenByLibrary()) {
        untaken.delete(name);
        Object.defineProperty(row, "do", { value: actions, enumerable: true });
      }
      return actions;
    },
  });
}

export const mochaHooks = {
  async beforeAll(): Promise<void> {
    for (const { definition } of await collectMachines()) {
      for (const [state, cells] of Object.entries(definition.table)) {
        for (const [input, row] of Object.entries(cells)) {
          if (row === undefined) continue;
          // A row may stand in several places of a table.
          const own = { ...row };
          Object.assign(cells, { [input]: own });
          watch(own, `${definition.name}: ${state} × ${input}`);
        }
      }
    }
  },
  afterAll(): void {
    assert.deepEqual([...untaken].sort(), [...OPEN].sort(), "rows that no test takes");
  },
};
