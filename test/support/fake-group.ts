/** Several Groups in one process, joined by one table in memory instead of Redis. Nothing waits: news arrive in the same turn. */
import {
  SharedStateError,
  type Group,
  type Lease,
  type LeaseListener,
  type RecordMode,
} from "../../nodes/shared/fleet/group.js";

interface Waiter extends LeaseListener {
  readonly group: FakeGroup;
}

/** What the Groups of a test share. */
export class FakeGroups {
  readonly groups = new Set<FakeGroup>();
  /** `kind key` → record. */
  readonly records = new Map<
    string,
    { kind: string; key: string; holder: string; value: string }
  >();
  /** Lease → who wants it, the holder first. */
  readonly leases = new Map<string, Waiter[]>();
  #count = 0;

  /** A new member. */
  join(instance = `member-${++this.#count}`): FakeGroup {
    const group = new FakeGroup(this, instance);
    this.groups.add(group);
    return group;
  }

  /** As by SIGKILL: the survivors hear of it at once. */
  kill(group: FakeGroup): void {
    group.isAlive = false;
    this.leave(group);
  }

  lives(instance: string): boolean {
    return [...this.groups].some((group) => group.instance === instance);
  }

  leave(group: FakeGroup): void {
    if (!this.groups.delete(group)) return;
    for (const name of this.leases.keys()) this.drop(name, (waiter) => waiter.group === group);
    for (const other of this.groups) other.tellGone(group.instance);
  }

  /** Takes waiters out; the first of those that remain holds the lease. */
  drop(name: string, isGone: (waiter: Waiter) => boolean): void {
    const waiters = this.leases.get(name) ?? [];
    const rest = waiters.filter((waiter) => !isGone(waiter));
    this.leases.set(name, rest);
    if (waiters[0] !== rest[0]) rest[0]?.onGained();
  }
}

export class FakeGroup implements Group {
  isAlive = true;
  #isConnected = true;
  readonly #gone = new Set<(instance: string) => void>();
  readonly #connection = new Set<(isConnected: boolean) => void>();
  readonly #lost = new Set<(kind: string, key: string) => void>();
  readonly #topics = new Map<string, Set<(text: string) => void>>();

  constructor(
    private readonly all: FakeGroups,
    readonly instance: string,
  ) {}

  get isConnected(): boolean {
    return this.#isConnected;
  }

  get members(): ReadonlySet<string> {
    return new Set([...this.all.groups].map(({ instance }) => instance));
  }

  /** Cuts this member off from Redis, or joins it again. */
  setConnected(isConnected: boolean): void {
    this.#isConnected = isConnected;
    for (const listener of [...this.#connection]) listener(isConnected);
  }

  tellGone(instance: string): void {
    for (const listener of [...this.#gone]) listener(instance);
  }

  onMemberGone(listener: (instance: string) => void): () => void {
    return listen(this.#gone, listener);
  }

  onConnection(listener: (isConnected: boolean) => void): () => void {
    return listen(this.#connection, listener);
  }

  onRecordLost(listener: (kind: string, key: string) => void): () => void {
    return listen(this.#lost, listener);
  }

  put(kind: string, key: string, value: string, _ttl: number, mode: RecordMode = "own"): void {
    if (!this.isAlive || !this.#isConnected) return;
    const holder = this.all.records.get(`${kind} ${key}`)?.holder;
    const isOthers = holder !== undefined && holder !== this.instance && this.all.lives(holder);
    if (mode === "own" && isOthers) {
      for (const listener of [...this.#lost]) listener(kind, key);
      return;
    }
    this.all.records.set(`${kind} ${key}`, { kind, key, holder: this.instance, value });
  }

  remove(kind: string, key: string): void {
    if (!this.isAlive || !this.#isConnected) return;
    const name = `${kind} ${key}`;
    if (this.all.records.get(name)?.holder === this.instance) this.all.records.delete(name);
  }

  async get(kind: string, key: string): Promise<{ holder: string; value: string } | undefined> {
    await this.#ask();
    const found = this.all.records.get(`${kind} ${key}`);
    return found && { holder: found.holder, value: found.value };
  }

  async claim(
    kind: string,
    key: string,
  ): Promise<{ value: string; formerHolder: string } | undefined> {
    await this.#ask();
    const found = this.all.records.get(`${kind} ${key}`);
    if (found === undefined) return undefined;
    const { holder, value } = found;
    if (holder !== this.instance && this.all.lives(holder)) return undefined;
    found.holder = this.instance;
    return { value, formerHolder: holder };
  }

  async heldBy(kind: string, instance: string): Promise<string[]> {
    await this.#ask();
    return [...this.all.records.values()]
      .filter((record) => record.kind === kind && record.holder === instance)
      .map(({ key }) => key);
  }

  lease(name: string, listener: LeaseListener): Lease {
    const { all } = this;
    const waiter: Waiter = {
      group: this,
      onGained: () => listener.onGained(),
      onLost: () => listener.onLost(),
    };
    const waiters = all.leases.get(name) ?? [];
    all.leases.set(name, [...waiters, waiter]);
    if (waiters.length === 0) queueMicrotask(() => waiter.onGained());
    const holder = (): Waiter | undefined => all.leases.get(name)?.[0];
    return {
      get isHeld() {
        return holder() === waiter;
      },
      get holder() {
        return holder()?.group.instance;
      },
      release: () => {
        const wasHeld = holder() === waiter;
        if (wasHeld) waiter.onLost();
        all.drop(name, (one) => one === waiter);
        return Promise.resolve();
      },
    };
  }

  publish(topic: string, text: string): void {
    if (!this.isAlive || !this.#isConnected) return;
    for (const other of this.all.groups) if (other !== this) other.hear(topic, text);
  }

  hear(topic: string, text: string): void {
    if (!this.#isConnected) return;
    for (const listener of [...(this.#topics.get(topic) ?? [])]) listener(text);
  }

  subscribe(topic: string, listener: (text: string) => void): () => void {
    const listeners = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, listeners);
    return listen(listeners, listener);
  }

  close(): Promise<void> {
    this.all.leave(this);
    return Promise.resolve();
  }

  async #ask(): Promise<void> {
    await Promise.resolve();
    if (!this.#isConnected || !this.isAlive) throw new SharedStateError("Redis does not answer.");
  }
}

function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
