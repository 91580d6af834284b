/** The life of a user agent as a table; docs/closures.md describes the order of its end. */
import type { MachineDefinition } from "../foundation/index.js";

export type UserAgentState = "idle" | "starting" | "running" | "draining" | "stopped";

export type UserAgentInput =
  | "start"
  | "bound"
  /** A transport could not be bound. */
  | "bindFailed"
  | "stop"
  /** Everything has ended, or the time for it is over. */
  | "drained";

export type UserAgentAction = "startAccounts" | "closeEverything";

export const userAgentMachine: MachineDefinition<UserAgentState, UserAgentInput, UserAgentAction> =
  {
    name: "User agent",
    initial: "idle",
    inputs: ["start", "bound", "bindFailed", "stop", "drained"],
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
        stop: { next: "draining", do: [], rfc: "RFC 3261 §15" },
      },
      draining: {
        drained: { next: "stopped", do: ["closeEverything"], rfc: "contract §2 redeploy" },
      },
      stopped: {},
    },
  };
