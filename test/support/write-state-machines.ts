/** Writes docs/state-machines.md anew: `node --import tsx test/support/write-state-machines.ts`. */
import { writeFileSync } from "node:fs";
import { collectMachines, renderMachines, STATE_MACHINES_FILE } from "./state-machine-docs.js";

void collectMachines().then((machines) => {
  writeFileSync(STATE_MACHINES_FILE, renderMachines(machines));
});
