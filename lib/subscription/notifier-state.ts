/**
 * The life of a peer's subscription at our side as a table (RFC 6665 §4.2): one NOTIFY under way at a time, the last one
 * is the end.
 */
import type { MachineDefinition } from "../foundation/index.js";

export type NotifierState =
  /** Accepted; the first NOTIFY is due. */
  | "accepted"
  | "idle"
  | "notifying"
  /** The last NOTIFY is under way. */
  | "closing"
  | "ended";

export type NotifierInput =
  /** There is something to tell: by the application, by a refresh, or because the peer waits for its first NOTIFY. */
  | "notify"
  /** What there is to tell is the last word. */
  | "notifyFinal"
  /** The NOTIFY was answered, with whatever leaves the subscription alive; nothing else is queued. */
  | "delivered"
  /** The peer does not know the subscription, or nobody answers. */
  | "refused"
  /** Forget everything, send nothing more. */
  | "close";

export type NotifierAction = "sendNext" | "end";

const send = { next: "notifying", do: ["sendNext"], rfc: "RFC 6665 §4.2.1.4" } as const;
const sendFinal = { next: "closing", do: ["sendNext"], rfc: "RFC 6665 §4.2.2" } as const;
const end = { next: "ended", do: ["end"], rfc: "RFC 6665 §4.2.2" } as const;

export const notifierMachine: MachineDefinition<NotifierState, NotifierInput, NotifierAction> = {
  name: "Notifier",
  initial: "accepted",
  inputs: ["notify", "notifyFinal", "delivered", "refused", "close"],
  final: ["ended"],
  table: {
    accepted: { notify: send, notifyFinal: sendFinal, close: end },
    idle: { notify: send, notifyFinal: sendFinal, close: end },
    notifying: {
      delivered: { next: "idle", do: [], rfc: "RFC 6665 §4.2.2" },
      refused: end,
      close: end,
    },
    closing: { delivered: end, refused: end, close: end },
    ended: {},
  },
};
