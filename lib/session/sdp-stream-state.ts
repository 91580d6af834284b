/** The life of a stream that a handler has claimed or added, over all exchanges of the call (RFC 3264 §8). */
import type { MachineDefinition } from "../foundation/index.js";

export type StreamState = "proposed" | "agreed" | "over";
export type StreamInput = "agree" | "decline" | "withdraw" | "end";
export type StreamAction = "revert" | "tellDeclined" | "tellWithdrawn" | "tellEnded";

export const streamMachine: MachineDefinition<StreamState, StreamInput, StreamAction> = {
  name: "stream of a handler",
  initial: "proposed",
  inputs: ["agree", "decline", "withdraw", "end"],
  final: ["over"],
  table: {
    proposed: {
      agree: { next: "agreed", do: [], rfc: "RFC 3264 §6" },
      decline: { next: "over", do: ["tellDeclined"], rfc: "RFC 3264 §6" },
      withdraw: { next: "over", do: ["tellWithdrawn"], rfc: "RFC 6337 §3.4" },
      end: { next: "over", do: ["tellEnded"], rfc: "RFC 3261 §15" },
    },
    agreed: {
      agree: { next: "agreed", do: [], rfc: "RFC 3264 §8.3" },
      decline: { next: "over", do: ["tellDeclined"], rfc: "RFC 3264 §8.2" },
      // A later exchange was refused: what was agreed before stays.
      withdraw: { next: "agreed", do: ["revert"], rfc: "RFC 6337 §3.4" },
      end: { next: "over", do: ["tellEnded"], rfc: "RFC 3261 §15" },
    },
    over: {},
  },
};
