/**
 * One change of an established call that we ask for, by re-INVITE or UPDATE, as a table (RFC 3261 §14.1, RFC 3311 §5.1).
 * A refusal leaves the call as it was.
 */
import type { MachineDefinition } from "../foundation/index.js";

export type ModificationState =
  /** Another exchange comes first. */
  | "waiting"
  /** Our description is being made. */
  | "describing"
  | "sent"
  /** A 2xx came; its description is being looked at. */
  | "concluding"
  /** It is asked again after a while. */
  | "backingOff"
  | "done";

export type ModificationInput =
  | "start"
  | "described"
  | "undescribed"
  | "success"
  /** What the 2xx brought is in force. */
  | "agreed"
  /** What the 2xx brought cannot be used, and both sides think differently of the call now. */
  | "spoilt"
  /** 491. */
  | "glare"
  /** 500 with Retry-After. */
  | "busy"
  /** 422: the session interval. */
  | "tooShort"
  /** UPDATE is unknown to the peer after all. */
  | "unsupported"
  /** Any other final response, or none. */
  | "refused"
  | "retry"
  /** The call is over. */
  | "close";

export type ModificationAction =
  | "describe"
  | "send"
  | "conclude"
  | "repeatAck"
  | "rollBack"
  | "waitAndRetry"
  | "settle"
  | "hangUp";

const close = { next: "done", do: ["settle"], rfc: "contract §4.3" } as const;

export const modificationMachine: MachineDefinition<
  ModificationState,
  ModificationInput,
  ModificationAction
> = {
  name: "re-INVITE or UPDATE sent",
  initial: "waiting",
  inputs: [
    "start",
    "described",
    "undescribed",
    "success",
    "agreed",
    "spoilt",
    "glare",
    "busy",
    "tooShort",
    "unsupported",
    "refused",
    "retry",
    "close",
  ],
  final: ["done"],
  table: {
    waiting: {
      start: { next: "describing", do: ["describe"], rfc: "RFC 3261 §14.1" },
      close,
    },
    describing: {
      described: { next: "sent", do: ["send"], rfc: "RFC 3264 §8" },
      undescribed: { next: "done", do: ["rollBack", "settle"], rfc: "RFC 6337 §3.4" },
      close,
    },
    sent: {
      success: { next: "concluding", do: ["conclude"], rfc: "RFC 3261 §14.1" },
      glare: { next: "backingOff", do: ["rollBack", "waitAndRetry"], rfc: "RFC 3261 §14.1" },
      busy: { next: "backingOff", do: ["rollBack", "waitAndRetry"], rfc: "RFC 3261 §14.2" },
      tooShort: { next: "waiting", do: ["rollBack"], rfc: "RFC 4028 §7.3" },
      unsupported: { next: "waiting", do: ["rollBack"], rfc: "RFC 3311 §4" },
      refused: { next: "done", do: ["rollBack", "settle"], rfc: "RFC 3261 §14.1" },
      close,
    },
    concluding: {
      success: { next: "concluding", do: ["repeatAck"], rfc: "RFC 3261 §13.2.2.4" },
      agreed: { next: "done", do: ["settle"], rfc: "RFC 3261 §14.1" },
      spoilt: { next: "done", do: ["settle", "hangUp"], rfc: "RFC 3261 §13.2.2.4" },
      close,
    },
    backingOff: {
      retry: { next: "waiting", do: [], rfc: "RFC 3261 §14.1" },
      close,
    },
    // A 2xx may come again, or even for the first time after the call has ended.
    done: {
      success: { next: "done", do: ["repeatAck"], rfc: "RFC 3261 §13.2.2.4" },
    },
  },
};
