/** The state machines of this room, for docs/state-machines.md and the tests that walk every cell. */
import type { MachineDefinition } from "../foundation/index.js";
import { inviteClientMachine } from "./invite-client.js";
import { inviteServerMachine } from "./invite-server.js";
import { nonInviteClientMachine } from "./non-invite-client.js";
import { nonInviteServerMachine } from "./non-invite-server.js";

export const transactionMachines: readonly MachineDefinition[] = [
  inviteClientMachine,
  nonInviteClientMachine,
  inviteServerMachine,
  nonInviteServerMachine,
];
