/** From a new INVITE to a session in the application's hands (RFC 3261 §13.3.1). */
import { errorText, type Logger } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import {
  IncomingSession,
  type IncomingSessionOptions,
  type SessionServices,
} from "../session/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { AccessGate } from "./access-gate.js";
import type { IncomingCallHandler } from "./events.js";
import type { ManagedAccount } from "./managed-account.js";
import { assertedIdentity } from "./remote-identity.js";
import type { ReplacedCalls } from "./replaced-calls.js";
import type { SessionTable } from "./session-table.js";
import { UnfinishedCalls, type UnfinishedCall } from "./unfinished-calls.js";

export interface IncomingCallsOptions {
  readonly logger: Logger;
  readonly gate: AccessGate;
  readonly services: SessionServices;
  readonly sessions: SessionTable;
  readonly replaced: ReplacedCalls;
  readonly unhandledStatus: number;
  account(request: SipRequest): ManagedAccount | undefined;
  handler(): IncomingCallHandler | undefined;
  refuse(transaction: ServerTransaction, statusCode: number): void;
  /** There is no room for the call. */
  refuseForRoom(transaction: ServerTransaction): void;
}

/** A session that tells when it has closed, without the cost of an event. */
class WatchedIncomingSession extends IncomingSession {
  constructor(
    services: SessionServices,
    transaction: ServerTransaction,
    options: IncomingSessionOptions,
    private readonly unfinished: UnfinishedCall,
    onClosed: (session: IncomingSession) => void,
  ) {
    super(services, transaction, options);
    this.core.onClose(() => {
      unfinished.closed();
      onClosed(this);
    });
  }

  protected override answered(): void {
    this.unfinished.answered();
  }

  protected override acknowledged(): void {
    this.unfinished.confirmed();
  }
}

export class IncomingCalls {
  readonly #options: IncomingCallsOptions;
  readonly #unfinished: UnfinishedCalls;

  constructor(options: IncomingCallsOptions) {
    this.#options = options;
    this.#unfinished = new UnfinishedCalls(options.services.clock);
  }

  receive(transaction: ServerTransaction): void {
    const { gate, services, sessions, unhandledStatus } = this.#options;
    const { request, flow } = transaction;
    const address = request.source?.address ?? flow.remoteAddress;
    const admission = sessions.isFull ? "never" : this.#unfinished.admits(address);
    if (admission !== "now") {
      if (admission === "later") transaction.close();
      else this.#options.refuseForRoom(transaction);
      return;
    }
    const replaced = this.#options.replaced.find(request);
    if (typeof replaced === "number") {
      this.#options.refuse(transaction, replaced);
      return;
    }
    const unfinished = this.#unfinished.add(address);
    const session = new WatchedIncomingSession(
      services,
      transaction,
      {
        account: this.#options.account(request),
        identity: gate.isTrusted(address) ? assertedIdentity(request) : undefined,
        replaces: replaced,
      },
      unfinished,
      (closed) => {
        this.#options.replaced.remember(closed);
        sessions.remove(closed);
      },
    );
    sessions.add(session);
    if (!session.begin()) {
      unfinished.closed();
      sessions.remove(session);
      return;
    }
    if (session.state !== "incoming" || this.#offer(session, request)) return;
    session.reject({ statusCode: unhandledStatus }).catch((error: unknown) => {
      this.#options.logger.error(`An unhandled call could not be refused: ${errorText(error)}`);
    });
  }

  /** @returns true when the application takes the call, or has answered it already. */
  #offer(session: IncomingSession, invite: SipRequest): boolean {
    const handler = this.#options.handler();
    if (handler === undefined) return false;
    try {
      return handler(session, invite) || session.state !== "incoming";
    } catch (error) {
      this.#options.logger.error(`The handler of incoming calls failed: ${errorText(error)}`);
      return false;
    }
  }
}
