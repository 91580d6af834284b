/** A store of groups in memory, on a clock of the test: answers come at once, late, never, or as errors. */
import type { ManualClock } from "./manual-clock.js";
import type {
  Beat,
  BeatAnswer,
  RecordChange,
  SharedStore,
  SharedStoreEvents,
} from "../../nodes/shared/fleet/shared-store.js";

/** What the members share: the "server". */
export class MemoryServer {
  epoch: string | undefined;
  readonly beats = new Map<string, { at: number; count: number }>();
  readonly leases = new Map<string, string>();
  readonly records = new Map<string, { holder: string; value: string }>();
  readonly stores = new Set<MemoryStore>();
  /** Changes in the order in which they were written. */
  readonly written: RecordChange[] = [];

  constructor(readonly clock: ManualClock) {}

  /** It starts anew, empty. */
  forget(): void {
    this.epoch = undefined;
    for (const map of [this.beats, this.leases, this.records]) map.clear();
  }

  lives(instance: string, deadMs: number): boolean {
    const beat = this.beats.get(instance);
    return beat !== undefined && beat.at >= this.clock.now() - deadMs;
  }
}

export class MemoryStore implements SharedStore {
  /** Every question fails with this. */
  error: Error | undefined;
  /** Questions wait here instead of being answered. */
  held: (() => void)[] | undefined;
  reconnects = 0;
  isClosed = false;

  constructor(
    readonly server: MemoryServer,
    readonly events: SharedStoreEvents,
  ) {
    server.stores.add(this);
  }

  beat({ instance, count, deadMs, epoch, leases }: Beat): Promise<BeatAnswer> {
    return this.#answer(() => {
      const { server } = this;
      server.epoch ??= epoch;
      const isClash = (server.beats.get(instance)?.count ?? 0) >= count;
      if (isClash) return { isClash, epoch: "", members: [], holders: [] };
      server.beats.set(instance, { at: server.clock.now(), count });
      const holders = leases.map(([name, wish]) => {
        const holder = server.leases.get(name);
        const isFree = holder === undefined && wish !== "look";
        const isDead = holder !== undefined && wish === "inherit" && !server.lives(holder, deadMs);
        if (isFree || isDead) server.leases.set(name, instance);
        return server.leases.get(name);
      });
      const members = [...server.beats.keys()].filter((one) => server.lives(one, deadMs));
      return { isClash, epoch: server.epoch, members, holders };
    });
  }

  write(instance: string, deadMs: number, changes: readonly RecordChange[]): Promise<boolean[]> {
    return this.#answer(() =>
      changes.map((change) => {
        const { kind, key, value, mode } = change;
        const { records } = this.server;
        const holder = records.get(`${kind} ${key}`)?.holder;
        const isOthers = holder !== undefined && holder !== instance;
        if (value === undefined) {
          if (!isOthers) records.delete(`${kind} ${key}`);
          return !isOthers;
        }
        if (isOthers && mode === "own" && this.server.lives(holder, deadMs)) return false;
        this.server.written.push(change);
        records.set(`${kind} ${key}`, { holder: instance, value });
        return true;
      }),
    );
  }

  read(kind: string, key: string): Promise<{ holder: string; value: string } | undefined> {
    return this.#answer(() => this.server.records.get(`${kind} ${key}`));
  }

  claim(
    instance: string,
    deadMs: number,
    kind: string,
    key: string,
  ): Promise<{ value: string; formerHolder: string } | undefined> {
    return this.#answer(() => {
      const found = this.server.records.get(`${kind} ${key}`);
      if (found === undefined) return undefined;
      const { holder, value } = found;
      if (holder !== instance && this.server.lives(holder, deadMs)) return undefined;
      this.server.records.set(`${kind} ${key}`, { holder: instance, value });
      return { value, formerHolder: holder };
    });
  }

  heldBy(kind: string, instance: string): Promise<string[]> {
    return this.#answer(() =>
      [...this.server.records]
        .filter(([name, { holder }]) => name.startsWith(`${kind} `) && holder === instance)
        .map(([name]) => name.slice(kind.length + 1)),
    );
  }

  leave(instance: string): Promise<void> {
    return this.#answer(() => {
      this.server.beats.delete(instance);
      for (const [name, holder] of this.server.leases) {
        if (holder === instance) this.server.leases.delete(name);
      }
    });
  }

  release(instance: string, lease: string): Promise<void> {
    return this.#answer(() => {
      if (this.server.leases.get(lease) === instance) this.server.leases.delete(lease);
    });
  }

  publish(text: string): void {
    if (this.error !== undefined) return;
    for (const store of this.server.stores) store.events.onText(text);
  }

  reconnect(): void {
    this.reconnects++;
  }

  close(): void {
    this.isClosed = true;
    this.server.stores.delete(this);
  }

  #answer<T>(make: () => T): Promise<T> {
    if (this.error !== undefined) return Promise.reject(this.error);
    if (this.held === undefined) return Promise.resolve().then(make);
    return new Promise((resolve) => this.held?.push(() => resolve(make())));
  }
}
