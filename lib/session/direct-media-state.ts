/**
 * Where the media of two calls flows that are joined directly (RFC 3725 §4.1, turned to calls that are up): through us,
 * or between their peers (with or without a relay in the middle). Both peers must agree; when one does not, or it is stopped meanwhile, what the other has agreed to
 * is taken back.
 */
import type { MachineDefinition } from "../foundation/index.js";

export type DirectMediaState =
  | "asking"
  | "direct"
  /** It was stopped while the peers are being asked. */
  | "withdrawing"
  /** What stood between the peers is lost: they are being asked again. */
  | "moving"
  /** It was stopped while they are being asked again. */
  | "leaving"
  | "here";
export type DirectMediaInput =
  | "agreed"
  /** Only the second: the first has ended, or could not take the answer. */
  | "halfAgreed"
  | "refused"
  | "lost"
  | "stop";
export type DirectMediaAction = "follow" | "askAgain" | "bringBack" | "bringSecondBack";

export const directMediaMachine: MachineDefinition<
  DirectMediaState,
  DirectMediaInput,
  DirectMediaAction
> = {
  name: "media between two calls",
  initial: "asking",
  inputs: ["agreed", "halfAgreed", "refused", "lost", "stop"],
  final: ["here"],
  table: {
    asking: {
      agreed: { next: "direct", do: ["follow"], rfc: "RFC 3725 §4.1" },
      halfAgreed: { next: "here", do: ["bringSecondBack"], rfc: "RFC 3725 §6" },
      refused: { next: "here", do: [], rfc: "RFC 3725 §6" },
      stop: { next: "withdrawing", do: [], rfc: "contract §4.7" },
    },
    withdrawing: {
      agreed: { next: "here", do: ["bringBack"], rfc: "contract §4.7" },
      halfAgreed: { next: "here", do: ["bringSecondBack"], rfc: "RFC 3725 §6" },
      refused: { next: "here", do: [], rfc: "RFC 3725 §6" },
    },
    direct: {
      lost: { next: "moving", do: ["askAgain"], rfc: "RFC 3725 §4.1" },
      stop: { next: "here", do: ["bringBack"], rfc: "contract §4.7" },
    },
    moving: {
      agreed: { next: "direct", do: ["follow"], rfc: "RFC 3725 §4.1" },
      halfAgreed: { next: "here", do: ["bringBack"], rfc: "RFC 3725 §6" },
      refused: { next: "here", do: ["bringBack"], rfc: "RFC 3725 §6" },
      stop: { next: "leaving", do: [], rfc: "contract §4.7" },
    },
    leaving: {
      agreed: { next: "here", do: ["bringBack"], rfc: "contract §4.7" },
      halfAgreed: { next: "here", do: ["bringBack"], rfc: "RFC 3725 §6" },
      refused: { next: "here", do: ["bringBack"], rfc: "RFC 3725 §6" },
    },
    here: {},
  },
};
