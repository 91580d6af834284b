/**
 * The life of one outgoing request above its transactions, as a table: resolving, trying one target after another
 * (RFC 3263 §4.3), retrying with credentials (RFC 3261 §22), and cancelling (§9.1).
 */
import type { MachineDefinition } from "../foundation/index.js";

export type ExchangeState =
  | "resolving"
  | "connecting"
  | "building"
  | "calling"
  | "proceeding"
  /** A challenge waits for credentials of the application; no transaction is open. */
  | "asking"
  /** The application cancelled before any provisional response came: the CANCEL has to wait (§9.1). */
  | "cancelPending"
  | "cancelling"
  /** The final response is in; an INVITE may still get further 2xx from other forks. */
  | "completed"
  | "ended";

export type ExchangeInput =
  /** The resolver found at least one target. */
  | "targets"
  /** No target is left: the last error counts. */
  | "unreachable"
  | "flow"
  /** This target failed, another one is there. */
  | "nextTarget"
  /** The connection was lost before any response came: the same again over a new one. */
  | "connectionLost"
  /** The request is there, and the flow will do. */
  | "built"
  /** The request is too large for this flow (§18.1.1). */
  | "tooLarge"
  | "buildFailed"
  | "provisional"
  | "final"
  /** A challenge that we have an answer to. */
  | "retry"
  /** A challenge that the application is asked about. */
  | "challenged"
  /** The application has none either. */
  | "refused"
  | "cancel"
  /** 64·T1 after the CANCEL there was still no final response (§9.1). */
  | "cancelExpired"
  /** Nobody has waited for the final response for 64·T1. */
  | "expired"
  | "abandon";

export type ExchangeAction =
  | "connect"
  | "reconnect"
  | "build"
  | "transmit"
  | "passUp"
  /** The response with the challenge. */
  | "passUpChallenge"
  | "sendCancel"
  | "stopCancelTimer"
  | "closeTransaction"
  | "failUnsent"
  | "failExpired"
  | "fail";

const abandon = { next: "ended", do: [], rfc: "session-services abandon" } as const;
const fail = { next: "ended", do: ["fail"], rfc: "RFC 3261 §8.1.3.1" } as const;
const unsent = { next: "ended", do: ["failUnsent"], rfc: "RFC 3261 §9.1" } as const;

export const exchangeMachine: MachineDefinition<ExchangeState, ExchangeInput, ExchangeAction> = {
  name: "Outgoing request",
  initial: "resolving",
  inputs: [
    "targets",
    "unreachable",
    "flow",
    "nextTarget",
    "connectionLost",
    "built",
    "tooLarge",
    "buildFailed",
    "provisional",
    "final",
    "retry",
    "challenged",
    "refused",
    "cancel",
    "cancelExpired",
    "expired",
    "abandon",
  ],
  final: ["ended"],
  table: {
    resolving: {
      targets: { next: "connecting", do: ["connect"], rfc: "RFC 3263 §4" },
      unreachable: fail,
      cancel: unsent,
      abandon,
    },
    connecting: {
      flow: { next: "building", do: ["build"], rfc: "RFC 3261 §18.1.1" },
      nextTarget: { next: "connecting", do: ["connect"], rfc: "RFC 3263 §4.3" },
      unreachable: fail,
      cancel: unsent,
      abandon,
    },
    building: {
      built: { next: "calling", do: ["transmit"], rfc: "RFC 3261 §17.1" },
      tooLarge: { next: "connecting", do: ["connect"], rfc: "RFC 3261 §18.1.1" },
      buildFailed: fail,
      cancel: unsent,
      abandon,
    },
    calling: {
      provisional: { next: "proceeding", do: ["passUp"], rfc: "RFC 3261 §17.1.1.2" },
      final: { next: "completed", do: ["passUp"], rfc: "RFC 3261 §8.1.3.2" },
      retry: { next: "calling", do: ["transmit"], rfc: "RFC 3261 §22.2" },
      challenged: { next: "asking", do: [], rfc: "RFC 3261 §22.1" },
      nextTarget: { next: "connecting", do: ["connect"], rfc: "RFC 3263 §4.3" },
      connectionLost: { next: "connecting", do: ["reconnect"], rfc: "RFC 5923 §8.1" },
      unreachable: fail,
      cancel: { next: "cancelPending", do: [], rfc: "RFC 3261 §9.1" },
      abandon,
    },
    proceeding: {
      provisional: { next: "proceeding", do: ["passUp"], rfc: "RFC 3261 §17.1.1.2" },
      final: { next: "completed", do: ["passUp"], rfc: "RFC 3261 §8.1.3.2" },
      retry: { next: "calling", do: ["transmit"], rfc: "RFC 3261 §22.2" },
      challenged: { next: "asking", do: [], rfc: "RFC 3261 §22.1" },
      nextTarget: { next: "connecting", do: ["connect"], rfc: "RFC 3263 §4.3" },
      unreachable: fail,
      cancel: { next: "cancelling", do: ["sendCancel"], rfc: "RFC 3261 §9.1" },
      expired: { next: "ended", do: ["closeTransaction"], rfc: "RFC 3261 §15.1.2" },
      abandon,
    },
    asking: {
      retry: { next: "calling", do: ["transmit"], rfc: "RFC 3261 §22.2" },
      refused: { next: "completed", do: ["passUpChallenge"], rfc: "RFC 3261 §22.1" },
      cancel: { next: "completed", do: ["passUpChallenge"], rfc: "RFC 3261 §9.1" },
      abandon,
    },
    cancelPending: {
      provisional: { next: "cancelling", do: ["sendCancel", "passUp"], rfc: "RFC 3261 §9.1" },
      final: { next: "completed", do: ["passUp"], rfc: "RFC 3261 §9.1" },
      unreachable: fail,
      abandon,
    },
    cancelling: {
      provisional: { next: "cancelling", do: ["passUp"], rfc: "RFC 3261 §17.1.1.2" },
      final: { next: "completed", do: ["stopCancelTimer", "passUp"], rfc: "RFC 3261 §9.1" },
      unreachable: { next: "ended", do: ["stopCancelTimer", "fail"], rfc: "RFC 3261 §8.1.3.1" },
      cancelExpired: {
        next: "ended",
        do: ["closeTransaction", "failExpired"],
        rfc: "RFC 3261 §9.1",
      },
      abandon: { next: "ended", do: ["stopCancelTimer"], rfc: "session-services abandon" },
    },
    completed: {
      final: { next: "completed", do: ["passUp"], rfc: "RFC 3261 §13.2.2.4" },
      abandon,
    },
    ended: {},
  },
};
