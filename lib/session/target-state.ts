/**
 * One target of an attempt, as a table: its INVITE from waiting for its turn to the final response (RFC 3261 §13.2.2,
 * §9.1). A 2xx that comes when it is no longer wanted is acknowledged and ended with BYE.
 */
import type { MachineDefinition } from "../foundation/index.js";

export type TargetState =
  | "waiting"
  /** INVITE on its way, nothing heard. */
  | "calling"
  /** 100 came. */
  | "trying"
  /** 101–199 came. */
  | "ringing"
  /** Our time ran out; CANCEL is on its way. */
  | "expiring"
  /** Not wanted any more; CANCEL is on its way. */
  | "cancelling"
  | "answered"
  | "failed"
  | "cancelled";

export type TargetInput =
  | "start"
  /** The `dial` filter or a limit of the account forbids it. */
  | "blocked"
  | "100"
  | "1xx"
  | "2xx"
  /** A 3xx is followed, or the next of its contacts is tried. */
  | "redirect"
  /** A 422 is obeyed. */
  | "again"
  /** Final response ≥ 300 or none at all. */
  | "failure"
  | "timeout"
  | "cancel";

export type TargetAction =
  | "sendInvite"
  | "sendCancel"
  | "progress"
  | "answer"
  /** A further 2xx: repeated, or of another fork. */
  | "furtherSuccess"
  /** ACK, then BYE. */
  | "refuse"
  | "expire"
  | "finish";

export const targetMachine: MachineDefinition<TargetState, TargetInput, TargetAction> = {
  name: "target of an attempt",
  initial: "waiting",
  inputs: [
    "start",
    "blocked",
    "100",
    "1xx",
    "2xx",
    "redirect",
    "again",
    "failure",
    "timeout",
    "cancel",
  ],
  final: ["answered", "failed", "cancelled"],
  table: {
    waiting: {
      start: { next: "calling", do: ["sendInvite"], rfc: "RFC 3261 §13.2.1" },
      blocked: { next: "failed", do: ["finish"], rfc: "contract §2" },
      cancel: { next: "cancelled", do: ["finish"], rfc: "contract §4.5" },
    },
    calling: {
      "100": { next: "trying", do: [], rfc: "RFC 3261 §13.2.2.1" },
      "1xx": { next: "ringing", do: ["progress"], rfc: "RFC 3261 §13.2.2.1" },
      "2xx": { next: "answered", do: ["answer"], rfc: "RFC 3261 §13.2.2.4" },
      redirect: { next: "calling", do: ["sendInvite"], rfc: "RFC 3261 §13.2.2.2" },
      again: { next: "calling", do: ["sendInvite"], rfc: "RFC 4028 §7.3" },
      failure: { next: "failed", do: ["finish"], rfc: "RFC 3261 §13.2.2.3" },
      timeout: { next: "failed", do: ["sendCancel", "finish"], rfc: "RFC 3261 §9.1" },
      cancel: { next: "cancelling", do: ["sendCancel"], rfc: "RFC 3261 §9.1" },
    },
    trying: {
      "1xx": { next: "ringing", do: ["progress"], rfc: "RFC 3261 §13.2.2.1" },
      "2xx": { next: "answered", do: ["answer"], rfc: "RFC 3261 §13.2.2.4" },
      redirect: { next: "calling", do: ["sendInvite"], rfc: "RFC 3261 §13.2.2.2" },
      again: { next: "calling", do: ["sendInvite"], rfc: "RFC 4028 §7.3" },
      failure: { next: "failed", do: ["finish"], rfc: "RFC 3261 §13.2.2.3" },
      timeout: { next: "expiring", do: ["sendCancel", "expire"], rfc: "RFC 3261 §9.1" },
      cancel: { next: "cancelling", do: ["sendCancel"], rfc: "RFC 3261 §9.1" },
    },
    ringing: {
      "1xx": { next: "ringing", do: ["progress"], rfc: "RFC 3261 §13.2.2.1" },
      "2xx": { next: "answered", do: ["answer"], rfc: "RFC 3261 §13.2.2.4" },
      redirect: { next: "calling", do: ["sendInvite"], rfc: "RFC 3261 §13.2.2.2" },
      again: { next: "calling", do: ["sendInvite"], rfc: "RFC 4028 §7.3" },
      failure: { next: "failed", do: ["finish"], rfc: "RFC 3261 §13.2.2.3" },
      timeout: { next: "expiring", do: ["sendCancel", "expire"], rfc: "RFC 3261 §9.1" },
      cancel: { next: "cancelling", do: ["sendCancel"], rfc: "RFC 3261 §9.1" },
    },
    expiring: {
      "2xx": { next: "failed", do: ["refuse", "finish"], rfc: "RFC 3261 §9.1, §13.2.2.4" },
      failure: { next: "failed", do: ["finish"], rfc: "RFC 3261 §9.1" },
      cancel: { next: "cancelling", do: [], rfc: "RFC 3261 §9.1" },
    },
    cancelling: {
      "2xx": { next: "cancelled", do: ["refuse", "finish"], rfc: "RFC 3261 §9.1, §13.2.2.4" },
      failure: { next: "cancelled", do: ["finish"], rfc: "RFC 3261 §9.1" },
    },
    answered: {
      "2xx": { next: "answered", do: ["furtherSuccess"], rfc: "RFC 3261 §13.2.2.4" },
    },
    failed: {
      "2xx": { next: "failed", do: ["refuse"], rfc: "RFC 3261 §13.2.2.4" },
    },
    cancelled: {
      "2xx": { next: "cancelled", do: ["refuse"], rfc: "RFC 3261 §13.2.2.4" },
    },
  },
};
