/** What a Group needs of the place where its state is kept: single questions, each of them atomic there. Types only. */
import type { RecordMode } from "./group.js";

/** How a lease is asked for. */
export type LeaseWish =
  /** It is ours, as far as we know. */
  | "keep"
  /** Take it when nobody has it. */
  | "take"
  /** Take it also from its holder, who has been silent. */
  | "inherit"
  /** Only tell whose it is. */
  | "look";

export interface Beat {
  readonly instance: string;
  /** Grows with each beat of this process. */
  readonly count: number;
  /** Milliseconds without a beat after which a member counts as dead; by the clock of the store alone. */
  readonly deadMs: number;
  /** Becomes the name of the data when it has none. */
  readonly epoch: string;
  readonly leases: readonly (readonly [name: string, wish: LeaseWish])[];
}

export interface BeatAnswer {
  /** Another process beats under our name (a copied machine). */
  readonly isClash: boolean;
  /** Name of the data; another one = they were lost. */
  readonly epoch: string;
  readonly members: readonly string[];
  /** In the order of the question; undefined = nobody. */
  readonly holders: readonly (string | undefined)[];
}

export interface RecordChange {
  readonly kind: string;
  readonly key: string;
  /** Undefined = removed. */
  readonly value: string | undefined;
  readonly ttlSeconds: number;
  readonly mode: RecordMode;
}

export interface SharedStoreEvents {
  onUp(): void;
  onDown(): void;
  /** A text that a member has sent to all. */
  onText(text: string): void;
  /** Why it does not work, for the log; without secrets. */
  onProblem(text: string): void;
}

/** Every promise may stay open as long as the store is silent. */
export interface SharedStore {
  beat(beat: Beat): Promise<BeatAnswer>;
  /** @returns for each change whether it was made; false = the record is a living other's. */
  write(instance: string, deadMs: number, changes: readonly RecordChange[]): Promise<boolean[]>;
  read(kind: string, key: string): Promise<{ holder: string; value: string } | undefined>;
  claim(
    instance: string,
    deadMs: number,
    kind: string,
    key: string,
  ): Promise<{ value: string; formerHolder: string } | undefined>;
  heldBy(kind: string, instance: string): Promise<string[]>;
  /** Takes the member and its leases out. */
  leave(instance: string): Promise<void>;
  release(instance: string, lease: string): Promise<void>;
  publish(text: string): void;
  /** Opens a new connection in place of one that is silent. */
  reconnect(): void;
  close(): void;
}
