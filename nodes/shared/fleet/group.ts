/**
 * What the instances of one flow on several machines share (property `sharedState`): who lives, whose a record is, and
 * who of them does what only one may do. Kept in Redis (redis-group.ts); tests put test/support/fake-group.ts in its place.
 */
import { SipError } from "../../../lib/index.js";

/** The shared state cannot be asked now. Callers go on alone. */
export class SharedStateError extends SipError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("E_TRANSPORT", message, { ...options, rule: "no-shared-state" });
    this.name = "SharedStateError";
  }
}

/** Who may overwrite a record: `own` = not while another holder lives; `shared` = whoever writes last. */
export type RecordMode = "own" | "shared";

export interface LeaseListener {
  onGained(): void;
  /** Taken from us, released, or not sure any more (this process was stopped for a while): stop what it stood for. */
  onLost(): void;
}

export interface Lease {
  /** Ask before each act: it is false at once after this process was held up, before `onLost` was told. */
  readonly isHeld: boolean;
  /** Who holds it, as far as known. */
  readonly holder: string | undefined;
  /** Gives it up for good; another member gets it at once. No further callback but `onLost`. */
  release(): Promise<void>;
}

/** Every promise rejects with a SharedStateError when there is no answer within a second. */
export interface Group {
  /** Own id, new at each start of the process. */
  readonly instance: string;
  readonly isConnected: boolean;
  /** Live members, this one included. While there is no connection: as it was last. */
  readonly members: ReadonlySet<string>;
  /** A member has stopped beating (known 3 to 5 s after its death) or has left properly. Each survivor is told. @returns unlisten */
  onMemberGone(listener: (instance: string) => void): () => void;
  onConnection(listener: (isConnected: boolean) => void): () => void;
  /**
   * A record of ours; not waited for, in order per key, only the newest is written when Redis is slow. Written again when
   * Redis has lost its data. Longer values than 64 KiB and more than 50,000 records are refused with a warning.
   */
  put(kind: string, key: string, value: string, ttlSeconds: number, mode?: RecordMode): void;
  remove(kind: string, key: string): void;
  get(kind: string, key: string): Promise<{ holder: string; value: string } | undefined>;
  /** Makes us its holder unless the holder lives; atomic. Undefined: there is none, or its holder lives. */
  claim(kind: string, key: string): Promise<{ value: string; formerHolder: string } | undefined>;
  /** Keys of that kind whose holder is that instance. */
  heldBy(kind: string, instance: string): Promise<string[]>;
  /** A record of ours is another's now: it took us for dead (this process was stopped or cut off). Our `put` was not written. */
  onRecordLost(listener: (kind: string, key: string) => void): () => void;
  /** One member at a time holds it. Taken over within 10 s of the holder's death, at once when released. */
  lease(name: string, listener: LeaseListener): Lease;
  /** To the others, not to ourselves. May be lost. */
  publish(topic: string, text: string): void;
  subscribe(topic: string, listener: (text: string) => void): () => void;
  /** Leaves: leases are given up, the others are told. Records stay until their time is over. */
  close(): Promise<void>;
}
