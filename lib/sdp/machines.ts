/** The state machines of this room, for docs/state-machines.md and its check. */
import type { MachineDefinition } from "../foundation/index.js";
import { signalingMachine } from "./signaling-state.js";

export const sdpMachines: readonly MachineDefinition[] = [signalingMachine];
