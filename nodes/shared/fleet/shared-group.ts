/**
 * A Group over a store: it beats each second, sees from the answers who lives, asks for leases with the same question, and
 * writes records behind. A member that has been silent for three seconds by the store's clock, in two answers, is gone. After
 * an interruption of our own we judge nobody for a while: the others may have been cut off as well.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { type Clock, errorText, type Logger, printable, type Timer } from "../../../lib/index.js";
import {
  type Group,
  type Lease,
  type LeaseListener,
  type RecordMode,
  SharedStateError,
} from "./group.js";
import { OwnRecords } from "./own-records.js";
import { type LeaseKeeper, SharedLease } from "./shared-lease.js";
import type { BeatAnswer, SharedStore, SharedStoreEvents } from "./shared-store.js";

const BEAT_MS = 1_000;
const DEAD_MS = 3_000;
/** No answer for so long: the connection is opened anew. */
const SILENT_MS = 5_000;
/** An answer that came later says too little about now. */
const LATE_MS = 2_000;
/** After an interruption, until everybody has had time to beat again. */
const SETTLE_MS = 4_000;
/** Answers without a member before it is gone. */
const MISSES = 2;
const ANSWER_MS = 1_000;
/** News that make us ask at once come in swarms. */
const SOON_MS = 20;
/** The longest that leaving waits for the store. */
const LEAVE_MS = 90;
const MOST_WARNINGS = 10;
const LONGEST_TEXT = 64 * 1024;
/** Before the others may take us for dead we are not sure ourselves. */
const MARGIN_MS = 100;
const EXPIRE_EVERY = 30;
/** Topic of what members tell each other about themselves. */
const MEMBERS = "members";

export interface SharedGroupOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: a name of this machine and chance. */
  readonly instance?: string;
  readonly openStore: (events: SharedStoreEvents) => SharedStore;
}

export class SharedGroup implements Group {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #store: SharedStore;
  readonly #records: OwnRecords;
  readonly #leases = new Map<string, SharedLease>();
  readonly #topics = new Map<string, Set<(text: string) => void>>();
  readonly #gone = new Set<(instance: string) => void>();
  readonly #connection = new Set<(isConnected: boolean) => void>();
  readonly #recordLost = new Set<(kind: string, key: string) => void>();
  #instance: string;
  /** Member → answers in a row in which it was missing. */
  #members = new Map<string, number>();
  #isConnected = false;
  #isClosed = false;
  #epoch: string | undefined;
  #count = 0;
  #timer: Timer | undefined;
  #soon: Timer | undefined;
  #lastTick: number;
  #askedAt: number | undefined;
  #isAskedAgain = false;
  /** Judges nobody before. */
  #settledAt = 0;
  #isWriting = false;
  readonly #warned = new Set<string>();
  /** Leases that were given up while the store could not be told. */
  readonly #unreleased = new Set<string>();
  readonly #keeper: LeaseKeeper;
  readonly #begun: number;

  constructor({ clock, logger, instance, openStore }: SharedGroupOptions) {
    this.#clock = clock;
    this.#logger = logger;
    this.#instance = instance ?? newInstance();
    this.#members.set(this.#instance, 0);
    this.#records = new OwnRecords(clock);
    this.#lastTick = this.#begun = clock.now();
    this.#keeper = {
      instance: () => this.#instance,
      isAwake: () => clock.now() - this.#lastTick < DEAD_MS - MARGIN_MS,
      isMember: (name) => this.#members.has(name),
      release: (lease) => {
        if (this.#leases.get(lease.name) === lease) this.#leases.delete(lease.name);
        // Wanted again meanwhile.
        return this.#leases.has(lease.name) ? Promise.resolve() : this.#release(lease.name);
      },
    };
    this.#store = openStore({
      onUp: () => this.#ask(),
      onDown: () => this.#interrupted(),
      onText: (text) => this.#onText(text),
      onProblem: (text) => this.#warn(text),
    });
    this.#timer = clock.setTimer(BEAT_MS, () => this.#tick());
  }

  get instance(): string {
    return this.#instance;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  get members(): ReadonlySet<string> {
    return new Set(this.#members.keys());
  }

  onMemberGone(listener: (instance: string) => void): () => void {
    return listen(this.#gone, listener);
  }

  onConnection(listener: (isConnected: boolean) => void): () => void {
    return listen(this.#connection, listener);
  }

  onRecordLost(listener: (kind: string, key: string) => void): () => void {
    return listen(this.#recordLost, listener);
  }

  put(
    kind: string,
    key: string,
    value: string,
    ttlSeconds: number,
    mode: RecordMode = "own",
  ): void {
    if (this.#isClosed) return;
    if (!this.#records.put(kind, key, value, ttlSeconds, mode)) {
      this.#warn(`A record (${kind}) is not shared: it is too long, or there are too many.`);
    }
    this.#write();
  }

  remove(kind: string, key: string): void {
    if (this.#isClosed) return;
    this.#records.remove(kind, key);
    this.#write();
  }

  async get(kind: string, key: string): Promise<{ holder: string; value: string } | undefined> {
    const value = this.#records.unwritten(kind, key);
    if (value !== undefined) return { holder: this.#instance, value };
    return this.#answer(() => this.#store.read(kind, key));
  }

  async claim(
    kind: string,
    key: string,
  ): Promise<{ value: string; formerHolder: string } | undefined> {
    // Who was cut off a moment ago cannot tell a dead holder from one that was cut off, too.
    if (!this.#isSettled) throw new SharedStateError("The group has only just been joined again.");
    return this.#answer(() => this.#store.claim(this.#instance, DEAD_MS, kind, key));
  }

  heldBy(kind: string, instance: string): Promise<string[]> {
    return this.#answer(() => this.#store.heldBy(kind, instance));
  }

  lease(name: string, listener: LeaseListener): Lease {
    const lease = new SharedLease(name, this.#keeper, listener);
    this.#unreleased.delete(name);
    this.#leases.set(name, lease);
    this.#askSoon();
    return lease;
  }

  publish(topic: string, text: string): void {
    if (this.#isClosed || !this.#isConnected) return;
    if (text.length > LONGEST_TEXT) this.#warn(`A text (${topic}) is too long to be shared.`);
    else this.#store.publish(`${this.#instance}\n${topic}\n${text}`);
  }

  subscribe(topic: string, listener: (text: string) => void): () => void {
    const listeners = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, listeners);
    return listen(listeners, listener);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#soon?.cancel();
    for (const lease of this.#leases.values()) void lease.release();
    if (this.#isConnected) {
      for (let rest = this.#records.take(); rest.length > 0; rest = this.#records.take()) {
        this.#store.write(this.#instance, DEAD_MS, rest).catch(this.#ignore);
      }
      const left = this.#store
        .leave(this.#instance)
        .then(() => this.#store.publish(`${this.#instance}\n${MEMBERS}\nleft`), this.#ignore);
      await this.#within(LEAVE_MS, left).catch(this.#ignore);
    }
    this.#isConnected = false;
    // The last text is on its way.
    this.#clock.setTimer(SOON_MS, () => this.#store.close());
  }

  readonly #ignore = (error: unknown): void => this.#logger.debug(printable(errorText(error)));

  get #isSettled(): boolean {
    return this.#isConnected && this.#clock.now() >= this.#settledAt;
  }

  #tick(): void {
    if (!this.#keeper.isAwake()) for (const lease of this.#leases.values()) lease.doubt();
    this.#lastTick = this.#clock.now();
    this.#timer = this.#clock.setTimer(BEAT_MS, () => this.#tick());
    if (this.#count % EXPIRE_EVERY === 0) this.#records.expire();
    this.#ask();
    this.#write();
  }

  #askSoon(): void {
    if (this.#isClosed) return;
    this.#soon ??= this.#clock.setTimer(SOON_MS, () => {
      this.#soon = undefined;
      this.#ask();
    });
  }

  /** Beats, unless the answer to the last beat is still to come. */
  #ask(): void {
    if (this.#isClosed) return;
    const begun = this.#clock.now();
    if (this.#askedAt !== undefined) {
      const silentMs = begun - this.#askedAt;
      this.#isAskedAgain = true;
      if (silentMs > LATE_MS) this.#interrupted();
      if (silentMs > SILENT_MS) {
        this.#askedAt = undefined;
        this.#store.reconnect();
      }
      return;
    }
    this.#askedAt = begun;
    this.#isAskedAgain = false;
    const leases = [...this.#leases.values()];
    const isSettled = this.#isConnected ? this.#isSettled : this.#isFresh;
    const beat = {
      instance: this.#instance,
      count: ++this.#count,
      deadMs: DEAD_MS,
      epoch: randomBytes(8).toString("hex"),
      leases: leases.map((lease) => [lease.name, lease.wish(isSettled)] as const),
    };
    this.#store.beat(beat).then(
      (answer) => {
        if (this.#isClosed || this.#askedAt !== begun) return;
        this.#askedAt = undefined;
        if (this.#clock.now() - begun > LATE_MS) this.#interrupted();
        else this.#observe(answer, leases);
        if (this.#isAskedAgain) this.#askSoon();
      },
      (error: unknown) => {
        if (this.#isClosed || this.#askedAt !== begun) return;
        this.#askedAt = undefined;
        this.#interrupted();
        if (!(error instanceof SharedStateError)) this.#warn(errorText(error));
      },
    );
  }

  /** Nothing has been interrupted since we began. */
  get #isFresh(): boolean {
    return this.#epoch === undefined && this.#clock.now() - this.#begun < DEAD_MS;
  }

  #interrupted(): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#tell(this.#connection, false);
  }

  #observe(answer: BeatAnswer, leases: readonly SharedLease[]): void {
    if (answer.isClash) return this.#renamed();
    const now = this.#clock.now();
    const isNews = !this.#isConnected;
    const isOther = this.#epoch !== undefined && this.#epoch !== answer.epoch;
    if (isOther || (isNews && !this.#isFresh)) this.#settledAt = now + SETTLE_MS;
    this.#epoch = answer.epoch;
    this.#isConnected = true;
    if (isOther) {
      this.#logger.info("The shared state was empty: what is ours is written again.");
      this.#records.writeAll();
    }
    const gone = this.#missing(answer.members);
    for (const [index, lease] of leases.entries()) lease.observe(answer.holders[index]);
    if (isNews) {
      this.#warned.clear();
      this.#tell(this.#connection, true);
    }
    for (const instance of gone) this.#left(instance);
    for (const name of this.#unreleased) void this.#release(name);
    const isHeir = (lease: SharedLease): boolean => lease.wish(this.#isSettled) === "inherit";
    if ([...this.#leases.values()].some(isHeir)) this.#askSoon();
    this.#write();
  }

  /** @returns those that are gone. */
  #missing(present: readonly string[]): string[] {
    const lives = new Set(present);
    for (const instance of present) this.#members.set(instance, 0);
    if (!this.#isSettled) return [];
    const gone: string[] = [];
    for (const [instance, misses] of this.#members) {
      if (lives.has(instance) || instance === this.#instance) continue;
      this.#members.set(instance, misses + 1);
      if (misses + 1 >= MISSES) gone.push(instance);
    }
    return gone;
  }

  #left(instance: string): void {
    if (instance === this.#instance || !this.#members.delete(instance)) return;
    this.#logger.info(`The member ${printable(instance)} of the group is gone.`);
    this.#tell(this.#gone, instance);
  }

  /** Another process bears our name: a copy of this machine as it ran. */
  #renamed(): void {
    this.#members.delete(this.#instance);
    this.#instance = newInstance();
    this.#members.set(this.#instance, 0);
    this.#warn(
      `Another process has the name of this one in the group; it is ${this.#instance} now.`,
    );
    for (const lease of this.#leases.values()) lease.observe(undefined);
    this.#records.writeAll();
    this.#askSoon();
  }

  #onText(text: string): void {
    const [instance = "", topic = ""] = text.split("\n", 2);
    if (this.#isClosed || instance === this.#instance) return;
    const rest = text.slice(instance.length + topic.length + 2);
    if (topic === MEMBERS) {
      if (rest === "left") this.#left(instance);
      this.#askSoon();
      return;
    }
    const listeners = this.#topics.get(topic);
    if (listeners !== undefined) this.#tell(listeners, rest);
  }

  async #release(name: string): Promise<void> {
    this.#unreleased.add(name);
    if (!this.#isConnected) return;
    try {
      await this.#store.release(this.#instance, name);
      this.#unreleased.delete(name);
      this.#store.publish(`${this.#instance}\n${MEMBERS}\nreleased`);
    } catch (error) {
      // Asked again with the next answer.
      this.#ignore(error);
    }
  }

  /** Writes behind, one batch at a time; what has changed meanwhile is written with its newest value. */
  #write(): void {
    if (this.#isWriting || !this.#isConnected || this.#isClosed) return;
    const changes = this.#records.take();
    if (changes.length === 0) return;
    this.#isWriting = true;
    this.#store.write(this.#instance, DEAD_MS, changes).then(
      (results) => {
        this.#isWriting = false;
        for (const [index, change] of changes.entries()) {
          if (results[index] || change.value === undefined) this.#records.settle(change);
          else if (this.#records.lose(change)) {
            for (const listener of [...this.#recordLost]) {
              this.#guarded(() => listener(change.kind, change.key));
            }
          }
        }
        this.#write();
      },
      (error: unknown) => {
        this.#isWriting = false;
        this.#records.putBack(changes);
        this.#warn(errorText(error));
      },
    );
  }

  async #answer<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#isClosed || !this.#isConnected) throw new SharedStateError("Redis is not connected.");
    try {
      return await this.#within(ANSWER_MS, ask());
    } catch (error) {
      if (error instanceof SharedStateError) throw error;
      throw new SharedStateError(printable(errorText(error)), { cause: error });
    }
  }

  #within<T>(limitMs: number, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(limitMs, () =>
        reject(new SharedStateError(`Redis has not answered within ${limitMs} ms.`)),
      );
      promise.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #tell<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
    for (const listener of [...listeners]) this.#guarded(() => listener(value));
  }

  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#logger.error(printable(errorText(error)));
    }
  }

  /** Each once until all is well again. */
  #warn(text: string): void {
    if (this.#warned.has(text) || this.#warned.size >= MOST_WARNINGS) return;
    this.#warned.add(text);
    this.#logger.warn(`Shared state: ${printable(text)}`);
  }
}

/** Its host, so that people know which one it is. */
function newInstance(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9.-]/g, "")
    .slice(0, 24);
  return `${host || "sip"}-${randomBytes(4).toString("hex")}`;
}

function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
