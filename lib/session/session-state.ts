/**
 * The states of a session (contract §5 "Order and states") as a table. The session's owner sees one `state` event per
 * change; RFC 3261 §13 (INVITE), §9 (CANCEL), §15 (BYE).
 */
import type { MachineDefinition } from "../foundation/index.js";
import type { SessionState } from "./session-types.js";

export type SessionInput =
  /** We are about to send the first INVITE. */
  | "invite"
  /** An INVITE came in. */
  | "inviteReceived"
  /** A 101–199 was sent or received. */
  | "provisional"
  /** A 2xx was sent, or received and understood. */
  | "success"
  /** We sent CANCEL. */
  | "cancel"
  /** We sent BYE. */
  | "bye"
  /** It was established by another process, and goes on here. */
  | "restore"
  /** Nothing is left to wait for. */
  | "close";

export type SessionStateAction =
  /** Tell the owner: one `state` event. */
  | "announce"
  /** Free the media, dialogs, timers and waiting promises. */
  | "release";

export const sessionMachine: MachineDefinition<SessionState, SessionInput, SessionStateAction> = {
  name: "session",
  initial: "idle",
  inputs: [
    "invite",
    "inviteReceived",
    "provisional",
    "success",
    "cancel",
    "bye",
    "restore",
    "close",
  ],
  final: ["terminated"],
  table: {
    idle: {
      invite: { next: "inviting", do: ["announce"], rfc: "RFC 3261 §13.2" },
      inviteReceived: { next: "incoming", do: ["announce"], rfc: "RFC 3261 §13.3" },
      restore: { next: "established", do: [], rfc: "RFC 3261 §12.2" },
      close: { next: "terminated", do: ["announce", "release"], rfc: "contract §5" },
    },
    inviting: {
      provisional: { next: "early", do: ["announce"], rfc: "RFC 3261 §13.2.2.1" },
      success: { next: "established", do: ["announce"], rfc: "RFC 3261 §13.2.2.4" },
      cancel: { next: "terminating", do: ["announce"], rfc: "RFC 3261 §9.1" },
      bye: { next: "terminating", do: ["announce"], rfc: "RFC 3261 §13.2.2.4" },
      close: { next: "terminated", do: ["announce", "release"], rfc: "RFC 3261 §13.2.2.3" },
    },
    incoming: {
      provisional: { next: "early", do: ["announce"], rfc: "RFC 3261 §13.3.1.1" },
      success: { next: "established", do: ["announce"], rfc: "RFC 3261 §13.3.1.4" },
      close: { next: "terminated", do: ["announce", "release"], rfc: "RFC 3261 §13.3.1.3" },
    },
    early: {
      provisional: { next: "early", do: [], rfc: "RFC 3261 §13.2.2.1" },
      success: { next: "established", do: ["announce"], rfc: "RFC 3261 §13.2.2.4" },
      cancel: { next: "terminating", do: ["announce"], rfc: "RFC 3261 §9.1" },
      bye: { next: "terminating", do: ["announce"], rfc: "RFC 3261 §13.2.2.4" },
      close: { next: "terminated", do: ["announce", "release"], rfc: "RFC 3261 §13.2.2.3" },
    },
    established: {
      bye: { next: "terminating", do: ["announce"], rfc: "RFC 3261 §15.1.1" },
      close: { next: "terminated", do: ["announce", "release"], rfc: "RFC 3261 §15.1.2" },
    },
    terminating: {
      close: { next: "terminated", do: ["announce", "release"], rfc: "RFC 3261 §15.1.1" },
    },
    terminated: {},
  },
};
