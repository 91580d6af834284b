/** A call that a peer places to us. */
import type { ServerTransaction } from "../transaction/index.js";
import { CallSession } from "./call-session.js";
import type { AccountHandle, SessionServices } from "./session-services.js";
import type { Participant } from "./session-types.js";

export interface IncomingSessionOptions {
  readonly account: AccountHandle | undefined;
  /** Who calls, from a trusted P-Asserted-Identity or Remote-Party-ID; default From. */
  readonly identity?: Participant | undefined;
}

export class IncomingSession extends CallSession {
  constructor(
    services: SessionServices,
    _transaction: ServerTransaction,
    _options: IncomingSessionOptions,
  ) {
    super(services, "incoming");
  }
}
