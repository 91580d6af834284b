/**
 * The soak: calls of every kind at an even rate between user agents on real loopback sockets, and what is left of them.
 * Warm-up, rest, load, rest; heap and objects are compared between the two rests, when every transaction has ended.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { SystemClock } from "../../lib/index.js";
import { createRtpWorker } from "../../lib/media/worker-client.js";
import { WorkerPool } from "../../lib/media/worker-pool.js";
import type { Worker } from "node:worker_threads";
import { SeededRandom } from "../support/seeded-random.js";
import {
  CountingClock,
  census,
  grown,
  heapAfterCollection,
  openFiles,
  type Census,
} from "./census.js";
import { pause, Phone } from "./lines.js";
import { drawn } from "./stories.js";

export interface SoakOptions {
  readonly calls: number;
  /** Calls that begin in one second. */
  readonly rate: number;
  readonly seed: number;
  /** Share of the calls with real sound, 0 to 1. */
  readonly loud: number;
  readonly warmUp: number;
  /** Hears a line of progress. */
  readonly report: (line: string) => void;
}

/** A reading while the load goes on. */
export interface Reading {
  readonly calls: number;
  /** Bytes of heap after a collection. */
  readonly heap: number;
  readonly lingering: number;
}

export interface SoakResult {
  readonly calls: number;
  /** First hundred, each with its story. */
  readonly failures: readonly string[];
  readonly readings: readonly Reading[];
  /** Bytes of heap between the rests before and after the load. */
  readonly growth: number;
  /** Bytes of heap that each lingering transaction has, after calls that are over. */
  readonly perTransaction: number;
  /** Bytes of the worker's heap between the rests. */
  readonly workerGrowth: number;
  /** What should not be there any more, in words. */
  readonly left: readonly string[];
  readonly cpuSeconds: number;
  readonly seconds: number;
  /** The longest time in which the process took nothing in, milliseconds. */
  readonly longestStall: number;
  readonly byStory: ReadonlyMap<string, number>;
}

/** Calls between two readings. */
const READING = 10_000;
/** Readings of a short run: so many, however few calls there are. */
const FEWEST_READINGS = 10;
/** 64·T1 = 32 s, and some more. */
const REST_MS = 40_000;
const COUNTERS = [
  "clientTransactions",
  "serverTransactions",
  "lingering",
  "dialogs",
  "sessions",
  "pendingRequests",
  "outgoingRequests",
  "referrals",
  "subscriptions",
  "subscribers",
] as const;

class Soak {
  readonly #random: SeededRandom;
  readonly #clock = new CountingClock(new SystemClock());
  #worker: Worker | undefined;
  readonly #pool = new WorkerPool({
    mostWorkers: 1,
    createWorker: () => (this.#worker = createRtpWorker()),
  });
  readonly #quiet = ["alice", "bob", "carol"].map(
    (name) => new Phone(name, { clock: this.#clock }),
  );
  readonly #loud = ["alice", "bob", "carol"].map(
    (name) => new Phone(`loud ${name}`, { clock: this.#clock, workers: this.#pool }),
  );
  readonly #failures: string[] = [];
  #failed = 0;
  readonly #open = new Set<Promise<void>>();
  readonly #byStory = new Map<string, number>();
  #placed = 0;

  constructor(readonly options: SoakOptions) {
    this.#random = new SeededRandom(options.seed);
  }

  get #phones(): readonly Phone[] {
    return [...this.#quiet, ...this.#loud];
  }

  async run(): Promise<SoakResult> {
    const { report, calls, warmUp } = this.options;
    for (const phone of this.#phones) await phone.userAgent.start();
    await this.#load(warmUp, () => undefined, true);
    // Nothing but transactions that linger is left of these calls.
    const [heapLingering, lingeringThen] = [heapAfterCollection(), this.#transactions()];
    await this.#rest();
    const filesBefore = openFiles();
    const timersBefore = this.#clock.pending;
    const objectsBefore = await census();
    const workerBefore = await this.#workerCensus();
    const heapBefore = heapAfterCollection();
    report(`after ${warmUp} calls of warm-up: ${megabytes(heapBefore)} MB`);

    const readings: Reading[] = [];
    const cpuBefore = process.cpuUsage();
    const begun = performance.now();
    const delay = monitorEventLoopDelay();
    delay.enable();
    this.#byStory.clear();
    const step = Math.min(READING, Math.ceil(calls / FEWEST_READINGS));
    await this.#load(calls, (placed) => {
      if (placed % step !== 0) return;
      const lingering = this.#transactions();
      readings.push({ calls: placed, heap: heapAfterCollection(), lingering });
      report(
        `${placed} calls: ${megabytes(readings.at(-1)?.heap ?? 0)} MB, ${lingering} transactions, ${this.#count("sessions")} sessions, ${this.#failed} failed`,
      );
    });
    const seconds = (performance.now() - begun) / 1000;
    const cpu = process.cpuUsage(cpuBefore);
    delay.disable();
    await this.#rest();

    const heapAfter = heapAfterCollection();
    const left = this.#left(filesBefore, timersBefore);
    left.push(...grown(objectsBefore, await census(), calls));
    const workerAfter = await this.#workerCensus();
    left.push(...grown(workerBefore, workerAfter, calls).map((text) => `${text} in the worker`));
    await this.#stop(left);
    return {
      calls,
      failures: this.#failures,
      readings,
      growth: heapAfter - heapBefore,
      perTransaction: (heapLingering - heapBefore) / Math.max(1, lingeringThen),
      workerGrowth: workerAfter.bytes - workerBefore.bytes,
      left,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      seconds,
      longestStall: delay.max / 1e6,
      byStory: this.#byStory,
    };
  }

  /** Begins so many calls at an even rate and waits for the end of the last. */
  async #load(count: number, placed: (number: number) => void, brief = false): Promise<void> {
    const begun = performance.now();
    for (let number = 1; number <= count; number++) {
      const due = begun + (number * 1000) / this.options.rate;
      const wait = due - performance.now();
      if (wait > 0) await pause(wait);
      this.#begin(brief);
      placed(number);
    }
    await Promise.all(this.#open);
  }

  #begin(brief: boolean): void {
    const story = drawn(this.#random, brief);
    const loud = this.#random.next() < this.options.loud;
    const [alice, bob, carol] = loud ? this.#loud : this.#quiet;
    const number = String(++this.#placed);
    this.#byStory.set(story.name, (this.#byStory.get(story.name) ?? 0) + 1);
    const random = new SeededRandom(Math.floor(this.#random.next() * 2 ** 32));
    const playing = story
      .play({ number, alice, bob, carol, loud, random })
      .catch((error: unknown) => {
        this.#failed += 1;
        if (this.#failures.length >= 100) return;
        const text = `call ${number}, ${story.name}: ${String(error)}`;
        this.#failures.push(text);
        this.options.report(text);
      })
      .finally(() => this.#open.delete(playing));
    this.#open.add(playing);
  }

  async #rest(): Promise<void> {
    await pause(REST_MS);
  }

  #count(name: (typeof COUNTERS)[number]): number {
    return this.#phones.reduce((sum, { userAgent }) => sum + (userAgent.counters()[name] ?? 0), 0);
  }

  #transactions(): number {
    return this.#count("clientTransactions") + this.#count("serverTransactions");
  }

  #left(files: number, timers: number): string[] {
    const left = COUNTERS.map((name) => [name, this.#count(name)] as const)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${count} ${name}`);
    const media = this.#phones.reduce((sum, { mediaCount }) => sum + mediaCount, 0);
    if (media > 0) left.push(`${media} media sessions`);
    if (this.#clock.pending > timers) left.push(`${this.#clock.pending - timers} timers`);
    if (openFiles() > files) left.push(`${openFiles() - files} open files (sockets)`);
    for (const phone of this.#phones) {
      if (phone.waitingCount > 0) left.push(`${phone.waitingCount} calls nobody took`);
      for (const error of phone.errors) left.push(`${phone.name} logged: ${error}`);
    }
    return left;
  }

  /** Only the worker is read that carries the calls. */
  #workerCensus(): Promise<Census> | Census {
    return this.#worker ? census(this.#worker) : { objects: new Map(), bytes: 0 };
  }

  async #stop(left: string[]): Promise<void> {
    await Promise.all(this.#phones.map(({ userAgent }) => userAgent.stop()));
    if (this.#clock.pending > 0) left.push(`${this.#clock.pending} timers after the stop`);
    const resources = process
      .getActiveResourcesInfo()
      .filter((name) => name === "UDPWRAP" || name === "MessagePort");
    if (resources.length > 0) left.push(`${resources.join()} after the stop`);
  }
}

export function soak(options: SoakOptions): Promise<SoakResult> {
  return new Soak(options).run();
}

export function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

/** Bytes per 10,000 calls over the last half of the readings, by least squares. */
export function slope(readings: readonly Reading[]): number {
  const last = readings.slice(Math.floor(readings.length / 2));
  if (last.length < 2) return 0;
  const meanCalls = last.reduce((sum, { calls }) => sum + calls, 0) / last.length;
  const meanHeap = last.reduce((sum, { heap }) => sum + heap, 0) / last.length;
  let above = 0;
  let below = 0;
  for (const { calls, heap } of last) {
    above += (calls - meanCalls) * (heap - meanHeap);
    below += (calls - meanCalls) ** 2;
  }
  return (above / below) * 10_000;
}
