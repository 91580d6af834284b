/** The life of a user agent as a table; docs/closures.md describes the order of its end. */
import type { MachineDefinition } from "../foundation/index.js";

export type UserAgentState =
  | "idle"
  | "starting"
  | "running"
  /** Takes nothing new; the calls that are up go on. */
  | "draining"
  /** As `draining`, without a call. */
  | "drained"
  /** Ends what is left. */
  | "stopping"
  | "stopped";

export type UserAgentInput =
  | "start"
  | "bound"
  /** A transport could not be bound. */
  | "bindFailed"
  /** Another one is to take what comes from now on. */
  | "drain"
  /** The last call has ended. */
  | "callsOver"
  /** Takes what comes again. */
  | "resume"
  | "stop"
  /** Everything has ended, or the time for it is over. */
  | "ended";

export type UserAgentAction =
  | "startAccounts"
  /** Un-REGISTERs, so that calls go elsewhere. */
  | "leaveRegistrars"
  | "returnToRegistrars"
  | "reportDrain"
  | "closeEverything";

export const userAgentMachine: MachineDefinition<UserAgentState, UserAgentInput, UserAgentAction> =
  {
    name: "User agent",
    initial: "idle",
    inputs: ["start", "bound", "bindFailed", "drain", "callsOver", "resume", "stop", "ended"],
    final: ["stopped"],
    table: {
      idle: {
        start: { next: "starting", do: [], rfc: "RFC 3261 §18" },
        stop: { next: "stopped", do: ["closeEverything"], rfc: "contract §2 redeploy" },
      },
      starting: {
        bound: { next: "running", do: ["startAccounts"], rfc: "RFC 3261 §10" },
        bindFailed: { next: "stopped", do: ["closeEverything"], rfc: "RFC 3261 §18" },
        stop: { next: "stopped", do: ["closeEverything"], rfc: "contract §2 redeploy" },
      },
      running: {
        drain: {
          next: "draining",
          do: ["leaveRegistrars", "reportDrain"],
          rfc: "RFC 3261 §21.5.4",
        },
        stop: { next: "stopping", do: [], rfc: "RFC 3261 §15" },
      },
      draining: {
        callsOver: { next: "drained", do: ["reportDrain"], rfc: "RFC 3261 §21.5.4" },
        resume: {
          next: "running",
          do: ["returnToRegistrars", "reportDrain"],
          rfc: "RFC 3261 §10.2",
        },
        stop: { next: "stopping", do: [], rfc: "RFC 3261 §15" },
      },
      drained: {
        resume: {
          next: "running",
          do: ["returnToRegistrars", "reportDrain"],
          rfc: "RFC 3261 §10.2",
        },
        stop: { next: "stopping", do: [], rfc: "RFC 3261 §15" },
      },
      stopping: {
        ended: { next: "stopped", do: ["closeEverything"], rfc: "contract §2 redeploy" },
      },
      stopped: {},
    },
  };
