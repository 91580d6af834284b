/** The state machines of this room, for docs/state-machines.md and for the tests that walk every cell. */
import type { MachineDefinition } from "../foundation/index.js";
import { directMediaMachine } from "./direct-media-state.js";
import { incomingInviteMachine } from "./incoming-invite-state.js";
import { modificationMachine } from "./modification-state.js";
import { reInviteMachine } from "./re-invite.js";
import { referMachine } from "./refer-sender.js";
import { reliableMachine } from "./reliable-provisional.js";
import { streamMachine } from "./sdp-stream-state.js";
import { sessionMachine } from "./session-state.js";
import { sessionTimerMachine } from "./session-timer-state.js";
import { signalingMachine } from "./signaling-state.js";
import { targetMachine } from "./target-state.js";
import { updateMachine } from "./update-receiver.js";

export const sessionMachines: readonly MachineDefinition[] = [
  sessionMachine,
  signalingMachine,
  targetMachine,
  incomingInviteMachine,
  reliableMachine,
  reInviteMachine,
  modificationMachine,
  updateMachine,
  referMachine,
  sessionTimerMachine,
  streamMachine,
  directMediaMachine,
];
