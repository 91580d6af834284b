/** The state machines of this room, for docs/state-machines.md and the tests. */
import type { MachineDefinition } from "../foundation/index.js";
import { exchangeMachine } from "./client-exchange-state.js";
import { userAgentMachine } from "./user-agent-state.js";

export const userAgentMachines: readonly MachineDefinition[] = [exchangeMachine, userAgentMachine];
