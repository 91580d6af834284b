/** The state machines of this room, for docs/state-machines.md and the tests. */
import type { MachineDefinition } from "../foundation/index.js";
import { notifierMachine } from "./notifier-state.js";
import { subscriberMachine } from "./subscriber-state.js";

export const subscriptionMachines: readonly MachineDefinition[] = [
  subscriberMachine,
  notifierMachine,
];
