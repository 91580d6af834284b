/**
 * The life of one registration as a table (RFC 3261 §10.2, RFC 5626 §4.5): who is on the way to the registrar, what is
 * bound there, and when the next REGISTER is due.
 */
import type { MachineDefinition } from "../foundation/index.js";

export type RegistrationMachineState =
  "unregistered" | "registering" | "registered" | "refreshing" | "waiting" | "unregistering";

export type RegistrationInput =
  /** The application (or the start of the stack) wants to be registered now. */
  | "register"
  /** The application wants the binding gone. */
  | "unregister"
  /** 2xx. */
  | "success"
  /** 423 with a Min-Expires that we can ask for. */
  | "intervalTooBrief"
  /** The same again in another form: without outbound after a 439, or with the address that the registrar saw. */
  | "askAgain"
  /** Any other final response, a timeout, or a send failure. */
  | "failure"
  /** 80–90 % of the granted time are over. */
  | "refreshDue"
  /** The wait after a failure or a lost connection is over. */
  | "retryDue"
  /** The connection over which we registered is gone, and with it the registrar's way to us. */
  | "connectionLost"
  /** Forget everything, send nothing more. */
  | "close";

export type RegistrationAction =
  | "sendRegister"
  | "sendUnregister"
  /** Stop listening to the REGISTER that is under way. */
  | "abandonRequest"
  | "cancelTimer"
  | "startRefreshTimer"
  | "startRetryTimer"
  | "startReconnectTimer"
  | "reportRegistered"
  | "reportFailed"
  | "reportUnregistered"
  | "reportUnregisterFailed"
  /** Whoever waits for an answer hears that the registration was closed or withdrawn meanwhile. */
  | "settleWaiting";

export const registrationMachine: MachineDefinition<
  RegistrationMachineState,
  RegistrationInput,
  RegistrationAction
> = {
  name: "Registration",
  initial: "unregistered",
  inputs: [
    "register",
    "unregister",
    "success",
    "intervalTooBrief",
    "askAgain",
    "failure",
    "refreshDue",
    "retryDue",
    "connectionLost",
    "close",
  ],
  final: [],
  table: {
    unregistered: {
      register: { next: "registering", do: ["sendRegister"], rfc: "RFC 3261 §10.2" },
      // Nothing is bound that we know of, but the wish is answered by asking the registrar.
      unregister: { next: "unregistering", do: ["sendUnregister"], rfc: "RFC 3261 §10.2.2" },
    },
    registering: {
      success: {
        next: "registered",
        do: ["startRefreshTimer", "reportRegistered"],
        rfc: "RFC 3261 §10.2.4",
      },
      intervalTooBrief: { next: "registering", do: ["sendRegister"], rfc: "RFC 3261 §10.2.8" },
      askAgain: { next: "registering", do: ["sendRegister"], rfc: "RFC 5626 §11.6, RFC 3581 §4" },
      failure: {
        next: "waiting",
        do: ["startRetryTimer", "reportFailed"],
        rfc: "RFC 5626 §4.5",
      },
      unregister: {
        next: "unregistering",
        do: ["abandonRequest", "settleWaiting", "sendUnregister"],
        rfc: "RFC 3261 §10.2.2",
      },
      close: {
        next: "unregistered",
        do: ["abandonRequest", "settleWaiting"],
        rfc: "contract §2 redeploy",
      },
    },
    registered: {
      refreshDue: { next: "refreshing", do: ["sendRegister"], rfc: "RFC 3261 §10.2.4" },
      register: {
        next: "refreshing",
        do: ["cancelTimer", "sendRegister"],
        rfc: "RFC 3261 §10.2.4",
      },
      connectionLost: {
        next: "waiting",
        do: ["cancelTimer", "startReconnectTimer"],
        rfc: "RFC 5626 §4.5",
      },
      unregister: {
        next: "unregistering",
        do: ["cancelTimer", "sendUnregister"],
        rfc: "RFC 3261 §10.2.2",
      },
      close: { next: "unregistered", do: ["cancelTimer"], rfc: "contract §2 redeploy" },
    },
    refreshing: {
      success: {
        next: "registered",
        do: ["startRefreshTimer", "reportRegistered"],
        rfc: "RFC 3261 §10.2.4",
      },
      intervalTooBrief: { next: "refreshing", do: ["sendRegister"], rfc: "RFC 3261 §10.2.8" },
      askAgain: { next: "refreshing", do: ["sendRegister"], rfc: "RFC 5626 §11.6, RFC 3581 §4" },
      failure: {
        next: "waiting",
        do: ["startRetryTimer", "reportFailed"],
        rfc: "RFC 5626 §4.5",
      },
      unregister: {
        next: "unregistering",
        do: ["abandonRequest", "settleWaiting", "sendUnregister"],
        rfc: "RFC 3261 §10.2.2",
      },
      close: {
        next: "unregistered",
        do: ["abandonRequest", "settleWaiting"],
        rfc: "contract §2 redeploy",
      },
    },
    waiting: {
      retryDue: { next: "registering", do: ["sendRegister"], rfc: "RFC 5626 §4.5" },
      register: {
        next: "registering",
        do: ["cancelTimer", "sendRegister"],
        rfc: "RFC 3261 §10.2",
      },
      unregister: {
        next: "unregistering",
        do: ["cancelTimer", "sendUnregister"],
        rfc: "RFC 3261 §10.2.2",
      },
      close: { next: "unregistered", do: ["cancelTimer"], rfc: "contract §2 redeploy" },
    },
    unregistering: {
      success: { next: "unregistered", do: ["reportUnregistered"], rfc: "RFC 3261 §10.2.2" },
      // Gone or not: the registrar will forget us when the time is over.
      intervalTooBrief: {
        next: "unregistered",
        do: ["reportUnregisterFailed"],
        rfc: "RFC 3261 §10.2.2",
      },
      failure: { next: "unregistered", do: ["reportUnregisterFailed"], rfc: "RFC 3261 §10.2.2" },
      register: {
        next: "registering",
        do: ["abandonRequest", "settleWaiting", "sendRegister"],
        rfc: "RFC 3261 §10.2",
      },
      close: {
        next: "unregistered",
        do: ["abandonRequest", "settleWaiting"],
        rfc: "contract §2 redeploy",
      },
    },
  },
};
