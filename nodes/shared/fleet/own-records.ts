/** The records that this member has put: what is still to be written, and what is written again when the store has lost it. */
import type { Clock } from "../../../lib/index.js";
import type { RecordMode } from "./group.js";
import type { RecordChange } from "./shared-store.js";

const MOST_RECORDS = 50_000;
const MOST_CHARACTERS = 64 * 1024 * 1024;
const LONGEST_VALUE = 64 * 1024;
const LONGEST_KEY = 1_024;
/** Changes that are written in one go, and characters after which no more are added. */
const BATCH = 200;
const BATCH_CHARACTERS = 256 * 1024;

interface OwnRecord extends RecordChange {
  /** By the clock; then the store has forgotten it. */
  readonly until: number;
}

export class OwnRecords {
  /** `kind key`; a removed one stays until that is written. */
  readonly #records = new Map<string, OwnRecord>();
  readonly #unwritten = new Set<string>();
  #characters = 0;

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.#records.size;
  }

  /** @returns false when there is no room for it. */
  put(kind: string, key: string, value: string, ttlSeconds: number, mode: RecordMode): boolean {
    const name = `${kind} ${key}`;
    const old = this.#records.get(name);
    const more = value.length - (old?.value?.length ?? 0);
    if (old === undefined && this.#records.size >= MOST_RECORDS) return false;
    if (value.length > LONGEST_VALUE || key.length > LONGEST_KEY) return false;
    if (this.#characters + more > MOST_CHARACTERS) return false;
    const until = this.clock.now() + ttlSeconds * 1000;
    this.#set(name, { kind, key, value, ttlSeconds, mode, until });
    return true;
  }

  remove(kind: string, key: string): void {
    const name = `${kind} ${key}`;
    const old = this.#records.get(name);
    if (old === undefined && this.#records.size >= MOST_RECORDS) return;
    const until = Number.POSITIVE_INFINITY;
    this.#set(name, { kind, key, value: undefined, ttlSeconds: 0, mode: "own", until });
  }

  /** The value, while the store has not been asked to keep it. */
  unwritten(kind: string, key: string): string | undefined {
    const name = `${kind} ${key}`;
    return this.#unwritten.has(name) ? this.#records.get(name)?.value : undefined;
  }

  /** What is to be written next; it counts as written. */
  take(): RecordChange[] {
    const changes: RecordChange[] = [];
    let characters = 0;
    for (const name of this.#unwritten) {
      if (changes.length >= BATCH || characters >= BATCH_CHARACTERS) break;
      this.#unwritten.delete(name);
      const record = this.#records.get(name);
      if (record === undefined) continue;
      changes.push(record);
      characters += record.value?.length ?? 0;
    }
    return changes;
  }

  /** It was not written. */
  putBack(changes: readonly RecordChange[]): void {
    for (const change of changes) this.#unwritten.add(nameOf(change));
  }

  /** It was written. */
  settle(change: RecordChange): void {
    if (change.value === undefined && this.#records.get(nameOf(change)) === change)
      this.#delete(nameOf(change));
  }

  /** It is another's. @returns false when it has been put anew meanwhile. */
  lose(change: RecordChange): boolean {
    if (this.#records.get(nameOf(change)) !== change) return false;
    this.#delete(nameOf(change));
    return true;
  }

  /** The store has lost everything. */
  writeAll(): void {
    for (const name of this.#records.keys()) this.#unwritten.add(name);
  }

  /** Forgets what the store forgets by itself now. */
  expire(): void {
    const now = this.clock.now();
    for (const record of this.#records.values()) {
      if (record.until <= now) this.remove(record.kind, record.key);
    }
  }

  #set(name: string, record: OwnRecord): void {
    this.#delete(name);
    this.#records.set(name, record);
    this.#characters += record.value?.length ?? 0;
    this.#unwritten.add(name);
  }

  #delete(name: string): void {
    const old = this.#records.get(name);
    if (old === undefined) return;
    this.#characters -= old.value?.length ?? 0;
    this.#records.delete(name);
    this.#unwritten.delete(name);
  }
}

function nameOf({ kind, key }: RecordChange): string {
  return `${kind} ${key}`;
}
