/**
 * The worker threads of this process, shared by the media handlers of all stacks: one at first, another when each has
 * its share of calls, none when the last handler is closed. A call is put where the fewest are; or, when it is likely
 * to be joined with another, where that one is, so that their packets need not cross from thread to thread.
 */
import { availableParallelism } from "node:os";
import { silentLogger, SystemClock } from "../foundation/index.js";
import type { Clock, Logger } from "../foundation/index.js";
import { WorkerClient } from "./worker-client.js";
import type { WorkerClientOptions } from "./worker-client.js";

export interface WorkerPoolOptions {
  readonly clock?: Clock | undefined;
  /** Threads at most. Default: one less than the processor has cores, at least 1, at most 4. */
  readonly mostWorkers?: number | undefined;
  /** Calls that each thread carries before another is started. Default 16. */
  readonly callsPerWorker?: number | undefined;
  /** Replaces the real threads in tests. */
  readonly createWorker?: WorkerClientOptions["createWorker"];
}

/** A call's place in a worker. */
export interface WorkerPlace {
  readonly worker: WorkerClient;
  /** The call is over. Idempotent. */
  leave(): void;
}

/** The part that one media handler has in the pool. */
export interface PoolMember {
  /** Starts a thread, where there is none, and has the codecs of these names loaded there and in later threads. */
  start(codecs: readonly string[]): Promise<void>;
  /**
   * A place for a call. After `leave` its worker refuses everything.
   *
   * @param call - Handle of the call.
   * @param near - Handle of the call that it is likely to be joined with.
   */
  place(call: string, near?: string): WorkerPlace;
  /**
   * Takes no more calls; when `finished` is settled, or takes too long, the member is gone, and with the last one the
   * threads. Resolves then. Idempotent.
   */
  leave(finished: Promise<unknown>): Promise<void>;
}

/**
 * As many calls with Opus leave a core some room (docs/decisions/0015-workers-by-load.md); of other codecs it carries
 * far more, but such calls also cost little when they are spread.
 */
const CALLS_PER_WORKER = 16;
const MOST_WORKERS = 4;
/** Closing sockets takes no time; what takes longer is stuck. */
const LONGEST_FAREWELL_MS = 1_500;

class Slot {
  calls = 0;

  constructor(readonly client: WorkerClient) {}
}

export class WorkerPool {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #share: number;
  readonly #createWorker: WorkerClientOptions["createWorker"];
  readonly #members = new Set<Member>();
  #slots: Slot[] = [];
  /** Where each call is, by its handle. */
  readonly #calls = new Map<string, Slot>();
  /** Codecs that every thread loads; names that we know, so there are few. */
  readonly #codecs = new Set<string>();

  constructor(options: WorkerPoolOptions = {}) {
    this.#clock = options.clock ?? new SystemClock();
    this.#most = options.mostWorkers ?? mostWorkers();
    this.#share = options.callsPerWorker ?? CALLS_PER_WORKER;
    this.#createWorker = options.createWorker;
  }

  /** Threads that run or are being started. */
  get workerCount(): number {
    return this.#slots.filter(({ client }) => client.state !== "stopped").length;
  }

  /** @param logger - Hears of the threads while its handler is the eldest of those that are open. */
  join(logger: Logger): PoolMember {
    const member: Member = new Member({
      logger,
      start: (codecs) => this.#start(codecs),
      place: (call, near) => this.#place(call, near),
      closed: () => closedPlace(this.#clock),
      leave: (finished) => this.#leave(member, finished),
    });
    this.#members.add(member);
    return member;
  }

  async #start(codecs: readonly string[]): Promise<void> {
    for (const name of codecs) this.#codecs.add(name);
    const slots = this.#slots.filter(({ client }) => client.state !== "stopped");
    if (slots.length === 0) slots.push(this.#slots.at(0) ?? this.#add());
    for (const { client } of slots) void this.#prepare(client, codecs);
    await slots[0].client.start();
  }

  #place(call: string, near: string | undefined): WorkerPlace {
    const beside = near === undefined ? undefined : this.#calls.get(near);
    const slot = beside && !beside.client.failing ? beside : this.#emptiest();
    slot.calls += 1;
    this.#calls.set(call, slot);
    this.#grow();
    let left = false;
    return {
      worker: slot.client,
      leave: () => {
        if (left) return;
        left = true;
        slot.calls -= 1;
        if (this.#calls.get(call) === slot) this.#calls.delete(call);
        this.#shrink(slot);
      },
    };
  }

  /** Of the threads that are ready: no call shall wait for one to start while another has room. */
  #emptiest(): Slot {
    const usable = this.#slots.filter(({ client }) => !client.failing);
    const ready = usable.filter(({ client }) => client.state === "ready");
    const [first, ...others] = ready.length > 0 ? ready : usable.length > 0 ? usable : this.#slots;
    // No slots at all.
    if ((first as Slot | undefined) === undefined) return this.#add();
    return others.reduce((best, slot) => (slot.calls < best.calls ? slot : best), first);
  }

  /** Another thread, when all that run have their share. */
  #grow(): void {
    const idle: Slot[] = [];
    for (const slot of this.#slots) {
      if (slot.client.state === "stopped") idle.push(slot);
      else if (slot.calls < this.#share) return;
    }
    if (idle.length === this.#slots.length) return;
    const usable = idle.find(({ client }) => !client.failing);
    if (usable) void this.#prepare(usable.client, [...this.#codecs]);
    else if (this.#slots.length < this.#most) {
      void this.#prepare(this.#add().client, [...this.#codecs]);
    }
  }

  /** A thread without calls ends when the others have room enough that it is not soon needed again. */
  #shrink(slot: Slot): void {
    if (slot.calls > 0 || this.#slots.length < 2 || !this.#slots.includes(slot)) return;
    const others = this.#slots.filter((other) => other !== slot);
    const calls = others.reduce((sum, other) => sum + other.calls, 0);
    if (calls * 2 >= others.length * this.#share) return;
    this.#slots = others;
    void slot.client.close();
  }

  async #prepare(client: WorkerClient, codecs: readonly string[]): Promise<void> {
    await client.start();
    if (codecs.length > 0) client.post({ type: "load", codecs });
  }

  #add(): Slot {
    const logger = this.#logger();
    const slot = new Slot(
      new WorkerClient({ clock: this.#clock, logger, createWorker: this.#createWorker }),
    );
    this.#slots.push(slot);
    return slot;
  }

  async #leave(member: Member, finished: Promise<unknown>): Promise<void> {
    await this.#atMost(LONGEST_FAREWELL_MS, finished);
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    const slots = this.#slots;
    // Whoever joins from now on gets new threads.
    this.#slots = [];
    this.#calls.clear();
    this.#codecs.clear();
    await Promise.all(slots.map(({ client }) => client.close()));
  }

  /** A thread serves many handlers; what it says is said once. */
  #logger(): Logger {
    const eldest = (): Logger => this.#members.values().next().value?.logger ?? silentLogger;
    return {
      debug: (text) => eldest().debug(text),
      info: (text) => eldest().info(text),
      warn: (text) => eldest().warn(text),
      error: (text) => eldest().error(text),
    };
  }

  #atMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(milliseconds, resolve);
      const done = (): void => {
        timer.cancel();
        resolve();
      };
      work.then(done, done);
    });
  }
}

interface MemberOptions {
  readonly logger: Logger;
  readonly start: PoolMember["start"];
  readonly place: PoolMember["place"];
  readonly closed: () => WorkerPlace;
  readonly leave: PoolMember["leave"];
}

class Member implements PoolMember {
  readonly #options: MemberOptions;
  #leaving: Promise<void> | undefined;

  constructor(options: MemberOptions) {
    this.#options = options;
  }

  get logger(): Logger {
    return this.#options.logger;
  }

  async start(codecs: readonly string[]): Promise<void> {
    if (this.#leaving === undefined) await this.#options.start(codecs);
  }

  place(call: string, near?: string): WorkerPlace {
    return this.#leaving ? this.#options.closed() : this.#options.place(call, near);
  }

  leave(finished: Promise<unknown>): Promise<void> {
    this.#leaving ??= this.#options.leave(finished);
    return this.#leaving;
  }
}

/** Without a thread, and never with one. */
function closedPlace(clock: Clock): WorkerPlace {
  const worker = new WorkerClient({ clock, logger: silentLogger });
  void worker.close();
  return { worker, leave: () => undefined };
}

function mostWorkers(): number {
  return Math.min(MOST_WORKERS, Math.max(1, availableParallelism() - 1));
}

/** The pool of this process. */
export const sharedWorkers = new WorkerPool();
