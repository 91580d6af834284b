/** What a process keeps: its heap after a collection, objects by class (also those of a worker thread), open files. */
import { existsSync, readdirSync } from "node:fs";
import type { Readable } from "node:stream";
import { getHeapSnapshot, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../../lib/index.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes of this thread's heap after a collection. */
export function heapAfterCollection(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

export function openFiles(): number {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}

/** A clock that counts the timers that wait. */
export class CountingClock implements Clock {
  pending = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  wallTime(): number {
    return this.#clock.wallTime();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    let waiting = true;
    const settled = (): void => {
      if (waiting) this.pending -= 1;
      waiting = false;
    };
    this.pending += 1;
    const timer = this.#clock.setTimer(delayMs, () => {
      settled();
      callback();
    });
    return {
      cancel: () => {
        settled();
        timer.cancel();
      },
    };
  }

  defer(callback: () => void): void {
    this.#clock.defer(callback);
  }
}

export interface Census {
  /** Objects of each class. */
  readonly objects: ReadonlyMap<string, number>;
  /** All together. */
  readonly bytes: number;
}

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: string[]; node_types: unknown[][] } };
  readonly nodes: number[];
  readonly strings: string[];
}

/** Counts the objects of this thread, or of a worker. */
export async function census(worker?: Worker): Promise<Census> {
  const text = await textOf(worker ? await worker.getHeapSnapshot() : getHeapSnapshot());
  const { snapshot, nodes, strings } = JSON.parse(text) as Snapshot;
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const width = fields.length;
  const [type, name, size] = ["type", "name", "self_size"].map((field) => fields.indexOf(field));
  const object = types[type].indexOf("object");
  const objects = new Map<string, number>();
  let bytes = 0;
  for (let at = 0; at < nodes.length; at += width) {
    bytes += nodes[at + size];
    if (nodes[at + type] !== object) continue;
    const key = strings[nodes[at + name]];
    objects.set(key, (objects.get(key) ?? 0) + 1);
  }
  return { objects, bytes };
}

async function textOf(stream: Readable): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part as Buffer));
  return Buffer.concat(parts).toString("latin1");
}

/** What the engine and Node make of by themselves, in numbers that change; and queues, of which there is one for each length of timer. */
const COMMON = /^(TimerQueue|Object|Array|Map|Set|Promise|Buffer|ArrayBuffer|\w+Array|system .*)$/;

/** Classes of which there are more than before. @param calls - Between the two; one in twenty of them may leave a plain object. */
export function grown(before: Census, after: Census, calls: number): string[] {
  return [...after.objects]
    .map(([name, count]) => [name, count - (before.objects.get(name) ?? 0)] as const)
    .filter(([name, more]) => more >= (COMMON.test(name) ? Math.max(2_000, calls / 20) : 20))
    .map(([name, more]) => `${name} +${more}`);
}
