/**
 * Where an exchange of offer and answer stands (RFC 3264 §4, RFC 6337 §2). A session starts `stable` with
 * nothing negotiated. `answered` and `early` can still be taken back; `stable` cannot.
 */
import type { MachineDefinition } from "../foundation/index.js";

export type SignalingState = "stable" | "have-local-offer" | "early" | "answered" | "closed";

export type SignalingInput =
  "localOffer" | "remoteOffer" | "earlyAnswer" | "finalAnswer" | "commit" | "rollback" | "close";

export type SignalingAction =
  | "keepPrevious"
  | "takeOffer"
  | "takeExchange"
  | "forgetPrevious"
  | "forgetOffer"
  | "restorePrevious";

const RFC3264 = "RFC 3264 §4";
const REFUSED = "RFC 6337 §3.4";

export const signalingMachine: MachineDefinition<SignalingState, SignalingInput, SignalingAction> =
  {
    name: "offer-answer",
    initial: "stable",
    inputs: [
      "localOffer",
      "remoteOffer",
      "earlyAnswer",
      "finalAnswer",
      "commit",
      "rollback",
      "close",
    ],
    final: ["closed"],
    table: {
      stable: {
        localOffer: { next: "have-local-offer", do: ["keepPrevious", "takeOffer"], rfc: RFC3264 },
        remoteOffer: {
          next: "answered",
          do: ["forgetOffer", "keepPrevious", "takeExchange"],
          rfc: "RFC 3264 §6",
        },
        // The answer of a further branch of a forked INVITE: the last one counts (RFC 6337 §3.1.1).
        finalAnswer: { next: "stable", do: ["takeExchange"], rfc: "RFC 3261 §13.2.2.4" },
        earlyAnswer: { next: "stable", do: ["takeExchange"], rfc: "RFC 3261 §13.2.2.4" },
        close: { next: "closed", do: [], rfc: "RFC 3264 §8.2" },
      },
      "have-local-offer": {
        // The same request is built again (failover, credentials): the newest offer counts.
        localOffer: { next: "have-local-offer", do: ["takeOffer"], rfc: "RFC 3261 §8.1.3.5" },
        earlyAnswer: { next: "early", do: ["takeExchange"], rfc: "RFC 3261 §13.2.1" },
        finalAnswer: { next: "stable", do: ["takeExchange", "forgetPrevious"], rfc: RFC3264 },
        rollback: { next: "stable", do: ["forgetOffer", "restorePrevious"], rfc: REFUSED },
        close: { next: "closed", do: [], rfc: "RFC 3264 §8.2" },
      },
      early: {
        earlyAnswer: { next: "early", do: ["takeExchange"], rfc: "RFC 3261 §13.2.1" },
        finalAnswer: {
          next: "stable",
          do: ["takeExchange", "forgetPrevious"],
          rfc: "RFC 3261 §13.2.2.4",
        },
        localOffer: {
          next: "have-local-offer",
          do: ["keepPrevious", "takeOffer"],
          rfc: "RFC 3311 §5.1",
        },
        remoteOffer: {
          next: "answered",
          do: ["forgetOffer", "keepPrevious", "takeExchange"],
          rfc: "RFC 3311 §5.1",
        },
        rollback: { next: "stable", do: ["forgetOffer", "restorePrevious"], rfc: REFUSED },
        close: { next: "closed", do: [], rfc: "RFC 3264 §8.2" },
      },
      answered: {
        commit: { next: "stable", do: ["forgetPrevious"], rfc: "RFC 3264 §6" },
        rollback: { next: "stable", do: ["restorePrevious"], rfc: REFUSED },
        localOffer: { next: "have-local-offer", do: ["keepPrevious", "takeOffer"], rfc: RFC3264 },
        remoteOffer: {
          next: "answered",
          do: ["keepPrevious", "takeExchange"],
          rfc: "RFC 3264 §6",
        },
        close: { next: "closed", do: [], rfc: "RFC 3264 §8.2" },
      },
      closed: {},
    },
  };
