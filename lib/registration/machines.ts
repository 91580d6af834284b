/** The state machines of this room, for docs/state-machines.md and the tests. */
import type { MachineDefinition } from "../foundation/index.js";
import { registrationMachine } from "./registration-state.js";

export const registrationMachines: readonly MachineDefinition[] = [registrationMachine];
