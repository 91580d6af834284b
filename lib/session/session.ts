/** One call: the object that flows act on through its handle. */
import { TypedEmitter } from "../foundation/typed-emitter.js";
import type { CallRecord } from "./call-record.js";
import type { AudioControl, DigitEvent, MediaSession, MediaStatistics } from "./media-handler.js";
import type { DescriptionPath, DirectMediaControl } from "./direct-media.js";
import { SessionCookies } from "./session-cookies.js";
import type {
  AcceptOptions,
  ActionOutcome,
  EndOptions,
  InDialogRequestOptions,
  ProgressOptions,
  ReInviteOptions,
  ReferOptions,
  RejectOptions,
  SendDigitsOptions,
  SessionEvent,
  SessionHandle,
  SessionSnapshot,
  SessionState,
  SignalingState,
} from "./session-types.js";

export type SessionEvents = {
  /** Everything that happens, in order; `ended` or `failed` is the last, exactly once. */
  event: [SessionEvent];
};

/**
 * Actions reject with InvalidStateError / InvalidArgumentError on misuse (a flow's mistake), and resolve with
 * `{ok: false}` on the peer's "no" and on the race with a hang-up (`no-session`).
 */
export abstract class Session extends TypedEmitter<SessionEvents> implements SessionHandle {
  /** Random handle. */
  abstract readonly id: string;
  abstract readonly direction: "incoming" | "outgoing";
  abstract readonly state: SessionState;
  abstract readonly signaling: SignalingState;
  abstract readonly accountId: string | undefined;
  abstract readonly mediaSession: MediaSession | undefined;
  /** The application's own JSON data (`msg.sip.data`), destroyed with the session. */
  data: Record<string, unknown> = {};

  #cookies: SessionCookies | undefined;

  /** Live objects that belong to the session and are destroyed with it; not for flows. */
  get cookies(): SessionCookies {
    return (this.#cookies ??= this.makeCookies());
  }

  protected makeCookies(): SessionCookies {
    return new SessionCookies();
  }

  /** Of its media, known when they are closed; never rejects. Undefined while they are open, or if there were none. */
  get mediaStatistics(): Promise<MediaStatistics | undefined> | undefined {
    return undefined;
  }

  get audio(): AudioControl | undefined {
    return this.mediaSession?.audio;
  }

  abstract snapshot(): SessionSnapshot;
  /** The Call-IDs of its messages: each target of an attempt has its own. */
  get callIds(): readonly string[] {
    return [this.snapshot().callId];
  }
  /** What another process needs to go on with it (`UserAgent.restore`): plain JSON. Undefined unless established. */
  record(): CallRecord | undefined {
    return undefined;
  }
  /** Another process has the call now: it is closed here without a message to the peer and without an event. */
  forget(): void {
    // Sessions that are not calls have nobody to take them.
  }
  /** Incoming, unanswered: a provisional response. Resolves when sent. */
  abstract progress(options?: ProgressOptions): Promise<ActionOutcome>;
  /** Incoming: 200; resolves when the ACK came in, or with cause `no-ack`, `cancelled` … */
  abstract accept(options?: AcceptOptions): Promise<ActionOutcome>;
  /** Incoming, unanswered: 300–699. */
  abstract reject(options?: RejectOptions): Promise<ActionOutcome>;
  /** CANCEL, BYE or a rejection, whichever the state demands; resolves after the session has closed. */
  abstract end(options?: EndOptions): Promise<void>;
  /**
   * Changes the established call: hold, resume, new codecs, or only a sign of life. One change after the other; glare is
   * waited out. `{ok: false}`: the peer refused and the call is as it was, or it ended meanwhile (`no-session`).
   * Rejects with InvalidStateError before the call is up, InvalidArgumentError rule `no-sdp` when nobody has an SDP.
   */
  abstract reinvite(options: ReInviteOptions): Promise<ActionOutcome>;
  /** Transfer, blind (`to`) or attended (`target`). `ok` = transferred; a failing sipfrag, no 2xx or the timeout = not ok, the call stays. */
  abstract refer(options: ReferOptions): Promise<ActionOutcome>;
  abstract request(options: InDialogRequestOptions): Promise<ActionOutcome>;
  /** Resolves after the last digit; `{ok:false}` when the peer refused an INFO. */
  abstract sendDigits(options: SendDigitsOptions): Promise<ActionOutcome>;
  /** Whoever carries the media elsewhere has heard a key of the peer. */
  abstract receiveDigit(digit: DigitEvent): void;
  /**
   * Joins the media of this call and of another one without us between them (RFC 3725); `start` of the result begins.
   * @param path - a relay in the middle; this call is its place 0.
   *
   * @throws InvalidStateError unless both calls are up, InvalidArgumentError for another kind of call.
   */
  abstract direct(other: Session, path?: DescriptionPath): DirectMediaControl;
}
