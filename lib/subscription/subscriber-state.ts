/**
 * The life of a subscription of ours as a table (RFC 6665 §4.1.2, figure 1): it exists with the first NOTIFY, is kept
 * by refreshes, and when it is lost it may be made anew after a while.
 */
import type { MachineDefinition } from "../foundation/index.js";

export type SubscriberState =
  | "init"
  /** SUBSCRIBE is out; Timer N runs until the first NOTIFY. */
  | "notifyWait"
  | "pending"
  | "active"
  /** To be ended, but there is no dialog yet in which that could be said. */
  | "leaving"
  /** SUBSCRIBE with Expires 0 is out; the final NOTIFY is due. */
  | "unsubscribing"
  /** Lost; the time until the next attempt runs. */
  | "waiting"
  | "terminated";

export type SubscriberInput =
  | "start"
  /** 2xx. */
  | "accepted"
  /** 423 with a Min-Expires that we can ask for. */
  | "tooBrief"
  | "notifyPending"
  | "notifyActive"
  /** Refused, timed out or ended by the notifier, and there is hope. */
  | "lost"
  /** The same without hope, or without a wish to try again. */
  | "over"
  | "refreshDue"
  | "retryDue"
  | "unsubscribe"
  /** Forget everything, send nothing more. */
  | "close";

export type SubscriberAction =
  | "sendSubscribe"
  | "sendRefresh"
  | "sendUnsubscribe"
  | "startRefreshTimer"
  | "stopTimerN"
  | "reportNotify"
  /** Dialog, timers and the request under way go. */
  | "endDialog"
  | "startRetryTimer"
  | "reportEnded";

const lost = {
  next: "waiting",
  do: ["endDialog", "startRetryTimer", "reportEnded"],
  rfc: "RFC 6665 §4.1.3",
} as const;
const over = {
  next: "terminated",
  do: ["endDialog", "reportEnded"],
  rfc: "RFC 6665 §4.1.3",
} as const;
const close = {
  next: "terminated",
  do: ["endDialog", "reportEnded"],
  rfc: "contract §2 redeploy",
} as const;
const pending = {
  next: "pending",
  do: ["stopTimerN", "startRefreshTimer", "reportNotify"],
  rfc: "RFC 6665 §4.1.2.2",
} as const;
const active = {
  next: "active",
  do: ["stopTimerN", "startRefreshTimer", "reportNotify"],
  rfc: "RFC 6665 §4.1.2.2",
} as const;
const unsubscribe = {
  next: "unsubscribing",
  do: ["sendUnsubscribe"],
  rfc: "RFC 6665 §4.1.2.3",
} as const;

export const subscriberMachine: MachineDefinition<
  SubscriberState,
  SubscriberInput,
  SubscriberAction
> = {
  name: "Subscriber",
  initial: "init",
  inputs: [
    "start",
    "accepted",
    "tooBrief",
    "notifyPending",
    "notifyActive",
    "lost",
    "over",
    "refreshDue",
    "retryDue",
    "unsubscribe",
    "close",
  ],
  final: ["terminated"],
  table: {
    init: {
      start: { next: "notifyWait", do: ["sendSubscribe"], rfc: "RFC 6665 §4.1.2.1" },
      // The dialog of a further fork: its NOTIFY is the first that we hear of it.
      notifyPending: { ...pending, rfc: "RFC 6665 §4.1.4" },
      notifyActive: { ...active, rfc: "RFC 6665 §4.1.4" },
      unsubscribe: over,
      close,
    },
    notifyWait: {
      // The dialog begins with the NOTIFY, not with the 2xx (§4.4.1).
      accepted: { next: "notifyWait", do: [], rfc: "RFC 6665 §4.1.2.1" },
      tooBrief: { next: "notifyWait", do: ["sendSubscribe"], rfc: "RFC 6665 §4.2.1.1" },
      notifyPending: pending,
      notifyActive: active,
      lost,
      over,
      unsubscribe: { next: "leaving", do: [], rfc: "RFC 6665 §4.1.2.3" },
      close,
    },
    pending: {
      accepted: { next: "pending", do: ["startRefreshTimer"], rfc: "RFC 6665 §4.1.2.2" },
      tooBrief: { next: "pending", do: ["sendRefresh"], rfc: "RFC 6665 §4.2.1.1" },
      notifyPending: pending,
      notifyActive: active,
      lost,
      over,
      refreshDue: { next: "pending", do: ["sendRefresh"], rfc: "RFC 6665 §4.1.2.2" },
      unsubscribe,
      close,
    },
    active: {
      accepted: { next: "active", do: ["startRefreshTimer"], rfc: "RFC 6665 §4.1.2.2" },
      tooBrief: { next: "active", do: ["sendRefresh"], rfc: "RFC 6665 §4.2.1.1" },
      notifyPending: pending,
      notifyActive: active,
      lost,
      over,
      refreshDue: { next: "active", do: ["sendRefresh"], rfc: "RFC 6665 §4.1.2.2" },
      unsubscribe,
      close,
    },
    leaving: {
      notifyPending: unsubscribe,
      notifyActive: unsubscribe,
      // Whatever ends it, it ends as it was wished: nothing is lost.
      over,
      close,
    },
    unsubscribing: {
      // What the notifier had on its way before it heard of the end changes nothing.
      notifyPending: { next: "unsubscribing", do: [], rfc: "RFC 6665 §4.1.2.3" },
      notifyActive: { next: "unsubscribing", do: [], rfc: "RFC 6665 §4.1.2.3" },
      over,
      close,
    },
    waiting: {
      retryDue: { next: "notifyWait", do: ["sendSubscribe"], rfc: "RFC 6665 §4.1.3" },
      // The application asks again before the time has come.
      start: { next: "notifyWait", do: ["endDialog", "sendSubscribe"], rfc: "RFC 6665 §4.1.3" },
      unsubscribe: over,
      close,
    },
    terminated: {},
  },
};
