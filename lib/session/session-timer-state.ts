/**
 * The session timer of one call as a table (RFC 4028): every 2xx to an INVITE or UPDATE says who refreshes until when,
 * and what happens when nobody does.
 */
import type { MachineDefinition, Transition } from "../foundation/index.js";

export type SessionTimerState =
  /** Nobody has asked for a timer, or it was given up. */
  | "off"
  /** We refresh, at half the interval. */
  | "waiting"
  /** The flow was told and may refresh by a re-INVITE of its own. */
  | "asking"
  /** A request of ours that refreshes is under way. */
  | "refreshing"
  /** The refresh was refused; it is tried again later. */
  | "pausing"
  /** The peer refreshes. */
  | "watching"
  /** The interval ran out. */
  | "expired";

export type SessionTimerInput =
  /** A 2xx made us the refresher … */
  | "ours"
  /** … made the peer the refresher … */
  | "peers"
  /** … or named no session interval. */
  | "none"
  /** Half of the interval is over; the peer takes UPDATE. */
  | "halfwayUpdate"
  /** Half of the interval is over; only a re-INVITE is left. */
  | "halfwayInvite"
  /** The flow's time is over. */
  | "unasked"
  /** An INVITE or UPDATE of ours was sent. */
  | "sent"
  /** It was refused. */
  | "refused"
  /** The peer does not know UPDATE after all. */
  | "unsupported"
  /** Time to try again. */
  | "again"
  /** The session is about to expire. */
  | "deadline";

export type SessionTimerAction =
  "schedule" | "watch" | "stop" | "update" | "ask" | "reinvite" | "pause" | "retry" | "expire";

type Row = Transition<SessionTimerState, SessionTimerAction>;

/** Each refresh, whoever sends it, settles everything anew (§7.2, §9, §10). */
const AGREED: Readonly<Record<"ours" | "peers" | "none", Row>> = {
  ours: { next: "waiting", do: ["stop", "schedule"], rfc: "RFC 4028 §10" },
  peers: { next: "watching", do: ["stop", "watch"], rfc: "RFC 4028 §10" },
  none: { next: "off", do: ["stop"], rfc: "RFC 4028 §7.2" },
};
const DEADLINE: Row = { next: "expired", do: ["stop", "expire"], rfc: "RFC 4028 §10" };

export const sessionTimerMachine: MachineDefinition<
  SessionTimerState,
  SessionTimerInput,
  SessionTimerAction
> = {
  name: "session timer",
  initial: "off",
  inputs: [
    "ours",
    "peers",
    "none",
    "halfwayUpdate",
    "halfwayInvite",
    "unasked",
    "sent",
    "refused",
    "unsupported",
    "again",
    "deadline",
  ],
  final: ["expired"],
  table: {
    off: { ours: AGREED.ours, peers: AGREED.peers },
    waiting: {
      ...AGREED,
      halfwayUpdate: { next: "refreshing", do: ["update"], rfc: "RFC 4028 §7.4" },
      halfwayInvite: { next: "asking", do: ["ask"], rfc: "contract §4.5" },
      sent: { next: "refreshing", do: [], rfc: "RFC 4028 §7.4" },
      deadline: DEADLINE,
    },
    asking: {
      ...AGREED,
      unasked: { next: "refreshing", do: ["reinvite"], rfc: "RFC 4028 §7.4" },
      sent: { next: "refreshing", do: [], rfc: "RFC 4028 §7.4" },
      deadline: DEADLINE,
    },
    refreshing: {
      ...AGREED,
      refused: { next: "pausing", do: ["pause"], rfc: "RFC 4028 §7.3" },
      unsupported: { next: "refreshing", do: ["reinvite"], rfc: "RFC 3261 §21.4.6" },
      deadline: DEADLINE,
    },
    pausing: {
      ...AGREED,
      again: { next: "refreshing", do: ["retry"], rfc: "RFC 4028 §7.3" },
      sent: { next: "refreshing", do: [], rfc: "RFC 4028 §7.4" },
      deadline: DEADLINE,
    },
    watching: { ...AGREED, deadline: DEADLINE },
    expired: {},
  },
};
