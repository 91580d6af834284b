/**
 * What the nodes know about one session besides the session itself: who brought it, who waits for its end, its
 * digits and its sounds. Lives in the stack, not in a node, and therefore through a deploy.
 */
import type {
  DigitEvent,
  Playback,
  Recording,
  Session,
  SessionEvent,
  Timer,
} from "../../lib/index.js";
import type { ActiveStream } from "./active-stream.js";
import { DigitBuffer, isTerminator } from "./digits.js";
import type { Delivery } from "./dispatcher.js";
import { environment } from "./environment.js";
import { sessionFields } from "./event-fields.js";
import { misuse } from "./errors.js";
import { ownedCalls } from "./owned-calls.js";
import { isEmpty, isSafeKey, jsonCopy, type SipFields } from "./sip-fields.js";

const LONGEST_DATA = 16_384;

/** The node that brought the call (`sip-incoming`, `sip-invite`). */
export interface Owner {
  readonly nodeId: string;
  /** The message that this event is worth to the owner. Called once per event, in order. */
  deliver(event: SessionEvent): Delivery | undefined;
}

/** A sound that a node plays in the session. */
export interface ActivePlayback {
  readonly nodeId: string;
  /** A digit stops it. */
  readonly bargeIn: boolean;
  readonly playback: Playback;
  /** Set when a digit stopped it. */
  stoppedByDigit: boolean;
}

/** A recording that a node makes of the session. */
export interface ActiveRecording {
  readonly nodeId: string;
  /** Any of these digits ends it, letters in either case. */
  readonly terminator: string;
  readonly recording: Recording;
}

/** What joins the session to another one. */
export interface CallLink {
  readonly nodeId: string;
  /** The peer of `call` pressed a key. */
  digit(call: Call, digit: DigitEvent): void;
  /** The sound of a leg may be another now. */
  mediaChanged(): void;
  /** Something needs the sound in our own media; undefined = it is there. Never rejects. */
  bringSound(): Promise<void> | undefined;
  /** Nothing does any more. */
  soundFree(): void;
  /**
   * A call is being placed that shall take the place of `call`, which may end before that is decided.
   *
   * @returns to be called once with the new call, or nothing when it failed.
   */
  transfer(call: Call): (heir: Call | undefined) => void;
  /** `heir` takes the place of `call`. */
  move(call: Call, heir: Call): void;
  /** The stack of `call` stopped without closing it. */
  lost(call: Call): void;
}

/** Whoever takes the digits now; one at a time. */
export interface DigitTaker {
  digit(digit: string): void;
}

/**
 * What tables hold of a call; emptied when it is over. A table of V8 that was tidied up keeps what it held until the
 * next full collection: holding calls themselves made every call through a flow as expensive again.
 */
export class CallRef {
  constructor(public call: Call | undefined) {}
}

export class Call {
  readonly id: string;
  readonly ref = new CallRef(this);
  readonly digits = new DigitBuffer();
  readonly playbacks = new Set<ActivePlayback>();
  readonly recordings = new Set<ActiveRecording>();
  readonly streams = new Set<ActiveStream>();
  /** Waiting nodes that the end of the session releases. */
  readonly closers = new Set<(event: SessionEvent) => void>();
  /** Called at the end: attempts that end with this session (`linked`). */
  readonly dependants = new Set<() => void>();
  /** Called when the stack stopped without closing the session. */
  onAbandoned: (() => void) | undefined;
  /** What is kept of it for other instances may be another now. */
  onChanged: (() => void) | undefined;
  collector: DigitTaker | undefined;
  bridge: CallLink | undefined;
  /** So many need the sound of this call in our own media. */
  soundUsers = 0;
  /** Ends the call when it is not answered in time. */
  answerDeadline: Timer | undefined;
  answered = false;
  /** Closed: exactly one `ended` or `failed` was seen. */
  over = false;
  #owner: Owner | undefined;
  #phaseSince = environment().clock.now();

  constructor(
    readonly session: Session,
    readonly stackId: string,
  ) {
    this.id = session.id;
  }

  get owner(): Owner | undefined {
    return this.#owner;
  }

  setOwner(owner: Owner): void {
    this.#owner = owner;
    ownedCalls.add(owner.nodeId, this);
  }

  /** Whole seconds since it began to ring or was answered. */
  get secondsInPhase(): number {
    return Math.floor((environment().clock.now() - this.#phaseSince) / 1000);
  }

  /** Follows the session; called for every event, in order, before anything is delivered. */
  observe(event: SessionEvent): void {
    switch (event.name) {
      case "answered":
        this.answered = true;
        this.#phaseSince = environment().clock.now();
        this.answerDeadline?.cancel();
        this.bridge?.mediaChanged();
        break;
      case "confirmed":
      case "media":
      case "progress":
        this.bridge?.mediaChanged();
        break;
      case "dtmf":
        if (event.digit !== undefined) {
          this.#digit(event.digit.digit);
          this.bridge?.digit(this, event.digit);
        }
        break;
      case "replaced":
        this.#hand(event.snapshot.replacedBy);
        break;
      case "ended":
      case "failed":
        this.#close(event);
        break;
      default:
        break;
    }
    if (this.#owner !== undefined) ownedCalls.changed(this.#owner.nodeId);
  }

  /**
   * The sound is in our own media, wherever a bridge has sent it, until what is returned is called; calling that twice
   * does no harm.
   */
  async useSound(): Promise<() => void> {
    this.soundUsers++;
    let isUsed = true;
    const coming = this.bridge?.bringSound();
    if (coming !== undefined) await coming;
    return () => {
      if (isUsed) this.soundUsers--;
      if (isUsed && this.soundUsers === 0) this.bridge?.soundFree();
      isUsed = false;
    };
  }

  /** This session's fields now, for a message about `event`. */
  fields(event: string, more: Partial<SipFields> = {}): SipFields {
    const own = sessionFields(this.stackId, this.session, this.session.snapshot());
    return Object.assign(own, more, { event });
  }

  /**
   * Merges a message's data, key by key (contract §3.3). @throws InvalidArgumentError `bad-data` when the result
   * is larger than 16 KiB or no JSON; then nothing has changed.
   */
  mergeData(data: Record<string, unknown>): void {
    if (isEmpty(data)) return;
    const merged: Record<string, unknown> = { ...this.session.data };
    for (const [key, value] of Object.entries(data)) {
      if (!isSafeKey(key)) continue;
      if (value === null) delete merged[key];
      else merged[key] = value;
    }
    this.session.data = checkedData(merged);
    this.onChanged?.();
  }

  /** Another instance has answered it. */
  resume(): void {
    this.answered = true;
    this.#phaseSince -= 1000 * (this.session.snapshot().duration ?? 0);
  }

  /** Another instance has it now: what waits for it here is let go, and nothing is said. */
  forget(): void {
    if (this.over) return;
    this.over = true;
    forgetCall(this);
    this.answerDeadline?.cancel();
    this.onAbandoned?.();
    this.#free();
    this.session.forget();
  }

  /** The stack stopped without closing it: frees what it holds. */
  abandon(): void {
    if (this.over) return;
    this.over = true;
    forgetCall(this);
    this.answerDeadline?.cancel();
    this.onAbandoned?.();
    this.bridge?.lost(this);
    this.#free();
  }

  #free(): void {
    this.closers.clear();
    this.dependants.clear();
    this.playbacks.clear();
    this.recordings.clear();
    this.streams.clear();
    this.collector = undefined;
    this.bridge = undefined;
    if (this.#owner !== undefined) ownedCalls.remove(this.#owner.nodeId, this);
  }

  /** Another call takes the place of this one: what hangs on it hangs on that one from now on. */
  #hand(handle: string | undefined): void {
    const heir = handle === undefined ? undefined : findCall(handle);
    if (heir === undefined) return;
    for (const dependant of this.dependants) heir.dependants.add(dependant);
    this.dependants.clear();
    this.bridge?.move(this, heir);
  }

  #digit(digit: string): void {
    for (const active of this.playbacks) {
      if (!active.bargeIn) continue;
      active.stoppedByDigit = true;
      active.playback.stop();
    }
    for (const { terminator, recording } of this.recordings) {
      if (isTerminator(terminator, digit)) recording.stop("digit");
    }
    if (this.collector !== undefined) this.collector.digit(digit);
    else if (this.answered) this.digits.add(digit);
  }

  #close(event: SessionEvent): void {
    this.over = true;
    forgetCall(this);
    this.answerDeadline?.cancel();
    for (const release of [...this.closers]) release(event);
    for (const cancel of [...this.dependants]) cancel();
    this.#free();
  }
}

/** A copy that is JSON and small enough. @throws InvalidArgumentError `bad-data`. */
export function checkedData(data: Record<string, unknown>): Record<string, unknown> {
  let copy: unknown;
  try {
    copy = jsonCopy(data);
  } catch (error) {
    throw misuse("bad-data", `msg.sip.data is no JSON (${String(error)})`);
  }
  if (Buffer.byteLength(JSON.stringify(copy)) > LONGEST_DATA) {
    throw misuse("bad-data", "msg.sip.data would be larger than 16 KiB");
  }
  return copy as Record<string, unknown>;
}

const calls = new Map<string, CallRef>();

/** The live call of a handle, whatever stack it is on. */
export function findCall(handle: string): Call | undefined {
  return calls.get(handle)?.call;
}

/** The call of a session, made on its first appearance. */
export function callOf(session: Session, stackId: string): Call {
  const known = findCall(session.id);
  if (known !== undefined) return known;
  const call = new Call(session, stackId);
  calls.set(session.id, call.ref);
  return call;
}

/** Forgets a session that nobody took, or that is over. */
export function forgetCall(call: Call): void {
  calls.delete(call.id);
  call.ref.call = undefined;
}

export function callsOfStack(stackId: string): Call[] {
  return [...calls.values()].flatMap(({ call }) => (call?.stackId === stackId ? [call] : []));
}
