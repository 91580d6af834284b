/** Runs a layer over many inputs and collects what must not happen. */
import { SeededRandom } from "../support/seeded-random.js";
import { lastInput, type Layer } from "./layer.js";
import { Mutation } from "./mutation.js";

export interface FuzzOptions {
  readonly seed: number;
  readonly inputs: number;
  /** Only the input of this number. */
  readonly only?: number | undefined;
}

export interface FuzzFailure {
  readonly seed: number;
  readonly number: number;
  readonly error: string;
  /** The last bytes that were put in, as Latin-1, their beginning. */
  readonly input: string;
}

export interface FuzzReport {
  readonly layer: string;
  readonly inputs: number;
  readonly seconds: number;
  /** Of one input. */
  readonly slowestMs: number;
  /** Bytes after collection, from the tenth part of the run to its end; 0 when garbage cannot be collected. */
  readonly heapGrowth: number;
  readonly failures: readonly FuzzFailure[];
}

/** After so many inputs the layer checks that nothing is left behind. */
const SETTLE_EVERY = 200;
/** Longer than any pause of the collector. */
const HANGS_MS = 500;
/** Bytes of heap that a run may leave. */
const MOST_GROWTH = 10e6;
const MOST_FAILURES = 20;
const MOST_SHOWN = 2000;

export async function fuzz(layer: Layer, options: FuzzOptions): Promise<FuzzReport> {
  const { seed, inputs, only } = options;
  const failures: FuzzFailure[] = [];
  const prototype = Object.getOwnPropertyNames(Object.prototype).join();
  let number = 0;
  const fail = (error: unknown): void => {
    if (failures.length >= MOST_FAILURES) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    failures.push({
      seed,
      number,
      error: text,
      input: lastInput.bytes.toString("latin1").slice(0, MOST_SHOWN),
    });
  };
  const onRejection = (error: unknown): void => fail(error);
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onRejection);
  await layer.begin?.();
  const begin = performance.now();
  let slowestMs = 0;
  let heapBefore = 0;
  try {
    for (number = only ?? 0; number < (only === undefined ? inputs : only + 1); number++) {
      // Each input has a random source of its own, so that it can be made again without those before it.
      const mutation = new Mutation(
        new SeededRandom((seed * 0x9e37_79b1 + number * 0x85eb_ca6b + 1) >>> 0),
      );
      mutation.random.next();
      const before = performance.now();
      try {
        await layer.take(mutation);
        const took = performance.now() - before;
        slowestMs = Math.max(slowestMs, took);
        if (took > HANGS_MS) fail(new Error(`took ${Math.round(took)} ms`));
        if ((number + 1) % SETTLE_EVERY === 0) await layer.settle?.();
      } catch (error) {
        fail(error);
      }
      if (number === Math.floor(inputs / 10)) heapBefore = heapUsed();
    }
    await layer.settle?.();
    if (Object.getOwnPropertyNames(Object.prototype).join() !== prototype)
      fail(new Error("Object.prototype has changed"));
  } catch (error) {
    fail(error);
  }
  const heapGrowth = heapUsed() - heapBefore;
  if (only === undefined && heapGrowth > MOST_GROWTH) {
    fail(new Error(`the heap has grown by ${Math.round(heapGrowth / 1e6)} MB`));
  }
  try {
    await layer.end?.();
  } catch (error) {
    fail(error);
  }
  // What is thrown in a later turn still belongs to this layer.
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onRejection);
  process.off("uncaughtException", onRejection);
  return {
    layer: layer.name,
    inputs: only === undefined ? inputs : 1,
    seconds: (performance.now() - begin) / 1000,
    slowestMs,
    heapGrowth,
    failures,
  };
}

function heapUsed(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) return 0;
  gc();
  return process.memoryUsage().heapUsed;
}
