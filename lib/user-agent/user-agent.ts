/** The user agent: owns transports, transactions, dialogs, sessions and accounts, and their shutdown order. */
import { TypedEmitter } from "../foundation/typed-emitter.js";
import type { ActionOutcome, PendingRequest, Session } from "../session/index.js";
import type { BoundTransport } from "../transport/transport.js";
import type {
  IncomingCallHandler,
  RegistrationStatus,
  RequestPolicy,
  UserAgentEvents,
} from "./events.js";
import type {
  AccountOptions,
  InviteOptions,
  OutOfDialogRequestOptions,
  UserAgentOptions,
} from "./options.js";

/** One address-of-record with its registration. */
export interface Account {
  readonly id: string;
  readonly uri: string;
  readonly registration: RegistrationStatus;
  /** Registers now (also opens a lost connection at once). Resolves with the registrar's answer. */
  register(): Promise<ActionOutcome>;
  /** REGISTER with Expires 0; stays unregistered until `register`. */
  unregister(): Promise<ActionOutcome>;
}

export class UserAgent extends TypedEmitter<UserAgentEvents> {
  constructor(_options: UserAgentOptions = {}) {
    super();
  }

  /** Set before `start`; see the types. */
  onIncomingCall: IncomingCallHandler | undefined;
  requestPolicy: RequestPolicy | undefined;

  /** Binds the transports, then registers the accounts. Rejects with TransportError that names port and cure. */
  start(): Promise<void> {
    throw new Error("pending");
  }

  /**
   * BYE, CANCEL, rejections and un-REGISTER in parallel, at most `graceMs` (default 2500), then closes everything:
   * no socket, timer or listener is left. New requests get 503 meanwhile. Idempotent.
   */
  stop(_options?: { readonly graceMs?: number }): Promise<void> {
    throw new Error("pending");
  }

  get running(): boolean {
    throw new Error("pending");
  }
  get bound(): readonly BoundTransport[] {
    throw new Error("pending");
  }
  get sessions(): ReadonlyMap<string, Session> {
    throw new Error("pending");
  }
  get accounts(): ReadonlyMap<string, Account> {
    throw new Error("pending");
  }

  /** Adds an account; registers it at once when running and `register` is true. Throws InvalidArgumentError. */
  addAccount(_options: AccountOptions): Account {
    throw new Error("pending");
  }

  /** Un-registers (bounded in time) and forgets it; its calls go on. */
  removeAccount(_id: string): Promise<void> {
    throw new Error("pending");
  }

  /**
   * Starts an attempt: one session for all targets. Its first event (`inviting`) comes in a later turn. Throws
   * InvalidArgumentError for a malformed target, InvalidStateError when stopped.
   */
  invite(_options: InviteOptions): Session {
    throw new Error("pending");
  }

  /** A request outside of any dialog; not INVITE, ACK, CANCEL, PRACK, BYE or REGISTER. */
  request(_options: OutOfDialogRequestOptions): Promise<ActionOutcome> {
    throw new Error("pending");
  }

  /** A request that waits for the application's answer. */
  pendingRequest(_handle: string): PendingRequest | undefined {
    throw new Error("pending");
  }

  counters(): Readonly<Record<string, number>> {
    throw new Error("pending");
  }
}
