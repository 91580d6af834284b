/**
 * The offer/answer state of a session (RFC 3264 §4, RFC 6337 §2): who has offered and whether it is answered. An SDP
 * answer in an unreliable provisional response is a preview and changes nothing (RFC 6337 §3.1.1).
 */
import type { MachineDefinition } from "../foundation/index.js";
import type { SignalingState } from "./session-types.js";

export type SignalingInput =
  | "localOffer"
  | "remoteOffer"
  | "localAnswer"
  | "remoteAnswer"
  /** The first exchange was refused: nothing is negotiated. */
  | "rollbackToInitial"
  /** A later exchange was refused: what was negotiated before stays. */
  | "rollbackToStable"
  | "close";

export const signalingMachine: MachineDefinition<SignalingState, SignalingInput, never> = {
  name: "offer/answer of a session",
  initial: "initial",
  inputs: [
    "localOffer",
    "remoteOffer",
    "localAnswer",
    "remoteAnswer",
    "rollbackToInitial",
    "rollbackToStable",
    "close",
  ],
  final: ["closed"],
  table: {
    initial: {
      localOffer: { next: "have-local-offer", do: [], rfc: "RFC 3264 §5" },
      remoteOffer: { next: "have-remote-offer", do: [], rfc: "RFC 3264 §5" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15" },
    },
    "have-local-offer": {
      remoteAnswer: { next: "stable", do: [], rfc: "RFC 3264 §7" },
      rollbackToInitial: { next: "initial", do: [], rfc: "RFC 6337 §3.4" },
      rollbackToStable: { next: "stable", do: [], rfc: "RFC 6337 §3.4" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15" },
    },
    "have-remote-offer": {
      localAnswer: { next: "stable", do: [], rfc: "RFC 3264 §6" },
      rollbackToInitial: { next: "initial", do: [], rfc: "RFC 6337 §3.4" },
      rollbackToStable: { next: "stable", do: [], rfc: "RFC 6337 §3.4" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15" },
    },
    stable: {
      localOffer: { next: "have-local-offer", do: [], rfc: "RFC 3264 §8" },
      remoteOffer: { next: "have-remote-offer", do: [], rfc: "RFC 3264 §8" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15" },
    },
    closed: {},
  },
};
