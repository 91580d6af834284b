/**
 * The server side of the INVITE that began a session, as a table: from its arrival to the ACK (RFC 3261 §13.3, §9.2).
 * A BYE of the callee waits for the ACK (§15).
 */
import type { MachineDefinition } from "../foundation/index.js";

export type IncomingInviteState =
  | "received"
  /** Accepted by the application; our description is being made. */
  | "describing"
  /** 2xx sent, no ACK yet. */
  | "accepted"
  /** As `accepted`, and the application has hung up. */
  | "ending"
  | "confirmed"
  | "closed";

export type IncomingInviteInput =
  | "accept"
  | "described"
  /** The offer fits nothing that we have. */
  | "undescribed"
  | "reject"
  /** CANCEL in. */
  | "cancel"
  | "ack"
  | "noAck"
  | "hangUp"
  /** The session has closed. */
  | "close";

export type IncomingInviteAction =
  | "describe"
  | "sendSuccess"
  | "sendRejection"
  | "refuseOffer"
  | "terminate"
  | "confirm"
  | "reportAck"
  | "giveUp"
  | "sendBye";

export const incomingInviteMachine: MachineDefinition<
  IncomingInviteState,
  IncomingInviteInput,
  IncomingInviteAction
> = {
  name: "INVITE received",
  initial: "received",
  inputs: [
    "accept",
    "described",
    "undescribed",
    "reject",
    "cancel",
    "ack",
    "noAck",
    "hangUp",
    "close",
  ],
  final: ["closed"],
  table: {
    received: {
      accept: { next: "describing", do: ["describe"], rfc: "RFC 3261 §13.3.1.4" },
      undescribed: { next: "closed", do: ["refuseOffer"], rfc: "RFC 3261 §13.3.1.3" },
      reject: { next: "closed", do: ["sendRejection"], rfc: "RFC 3261 §13.3.1.3" },
      cancel: { next: "closed", do: ["terminate"], rfc: "RFC 3261 §9.2" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15.1.2" },
    },
    describing: {
      described: { next: "accepted", do: ["sendSuccess"], rfc: "RFC 3261 §13.3.1.4" },
      undescribed: { next: "closed", do: ["refuseOffer"], rfc: "RFC 3261 §13.3.1.3" },
      reject: { next: "closed", do: ["sendRejection"], rfc: "RFC 3261 §13.3.1.3" },
      cancel: { next: "closed", do: ["terminate"], rfc: "RFC 3261 §9.2" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15.1.2" },
    },
    accepted: {
      ack: { next: "confirmed", do: ["confirm"], rfc: "RFC 3261 §13.3.1.4" },
      noAck: { next: "closed", do: ["giveUp"], rfc: "RFC 3261 §13.3.1.4" },
      hangUp: { next: "ending", do: [], rfc: "RFC 3261 §15" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15.1.2" },
    },
    ending: {
      ack: { next: "closed", do: ["reportAck", "sendBye"], rfc: "RFC 3261 §15" },
      noAck: { next: "closed", do: ["sendBye"], rfc: "RFC 3261 §15" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15.1.2" },
    },
    confirmed: {
      hangUp: { next: "closed", do: ["sendBye"], rfc: "RFC 3261 §15.1.1" },
      close: { next: "closed", do: [], rfc: "RFC 3261 §15.1.2" },
    },
    closed: {},
  },
};
