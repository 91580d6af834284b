/** What outgoing and incoming calls have in common behind the public face `Session`. */
import type { Cause } from "./cause.js";
import type { MediaSession } from "./media-handler.js";
import type { SessionServices } from "./session-services.js";
import type {
  ActionOutcome,
  SessionSnapshot,
  SessionState,
  SignalingState,
} from "./session-types.js";
import { Session } from "./session.js";

export class CallSession extends Session {
  readonly id: string = "";

  constructor(
    _services: SessionServices,
    readonly direction: "incoming" | "outgoing",
  ) {
    super();
  }

  get state(): SessionState {
    throw new Error("pending");
  }
  get signaling(): SignalingState {
    throw new Error("pending");
  }
  get accountId(): string | undefined {
    throw new Error("pending");
  }
  get mediaSession(): MediaSession | undefined {
    throw new Error("pending");
  }

  /**
   * Starts the call; to be called once, after the owner has attached its listeners. Incoming: checks the INVITE,
   * stores the dialog and emits `incoming`; false = the INVITE was refused (400) and there is no session, nothing was
   * emitted. Outgoing: emits `inviting` in a later turn, then sends; always true.
   */
  begin(): boolean {
    throw new Error("pending");
  }

  /** Ends the session at once and without any message: for the last step of a shutdown. Idempotent. */
  forceClose(_cause: Cause): void {
    throw new Error("pending");
  }

  snapshot(): SessionSnapshot {
    throw new Error("pending");
  }
  progress(): Promise<ActionOutcome> {
    throw new Error("pending");
  }
  accept(): Promise<ActionOutcome> {
    throw new Error("pending");
  }
  reject(): Promise<ActionOutcome> {
    throw new Error("pending");
  }
  end(): Promise<void> {
    throw new Error("pending");
  }
  refer(): Promise<ActionOutcome> {
    throw new Error("pending");
  }
  request(): Promise<ActionOutcome> {
    throw new Error("pending");
  }
  sendDigits(): Promise<ActionOutcome> {
    throw new Error("pending");
  }
}
