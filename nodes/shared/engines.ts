/**
 * All engines by the id of their `sip-stack` node. A node that closes in a deploy parks its engine; the next
 * instance adopts it when the settings are the same, else the old one ends before the new one begins.
 */
import type { NodeAPI } from "node-red";
import { deploys } from "./deploys.js";
import { Engine } from "./engine.js";
import { liveNodes } from "./live-nodes.js";
import type { StackSettings } from "./stack-settings.js";
import { stackLogger } from "./stack-logger.js";
import { stackStatus } from "./stack-status.js";
import { changes } from "./tracing/changes.js";

/** Longer than Node-RED waits for nodes to close; then nobody comes for the engine. */
const PARKED_MS = 16_000;

const engines = new Map<string, Engine>();
const parked = new Map<string, NodeJS.Timeout>();
/** Engines that are ending, so that a new one on the same ports waits. */
const ending = new Map<string, Promise<void>>();

deploys.listen({
  started: () => {
    for (const id of [...parked.keys()]) void endEngine(id);
    for (const engine of engines.values()) engine.reconcile();
  },
  stopped: () => {
    for (const id of [...engines.keys()]) void endEngine(id);
  },
});

export function findEngine(stackId: string | undefined): Engine | undefined {
  return stackId === undefined ? undefined : engines.get(stackId);
}

export function allEngines(): IterableIterator<Engine> {
  return engines.values();
}

/** The engine for a new instance of a stack node. */
export function openEngine(RED: NodeAPI, stackId: string, settings: StackSettings): Engine {
  const existing = engines.get(stackId);
  unpark(stackId);
  if (existing !== undefined) {
    const isSame = existing.settings.fingerprint === settings.fingerprint;
    // A failed one is tried again at once: the deploy may come after the cure.
    if (isSame && existing.state !== "failed") {
      refreshStatuses(stackId);
      return existing;
    }
    void endEngine(stackId);
  }
  const engine = new Engine(
    stackId,
    settings,
    stackLogger(RED, stackId, settings.name),
    () => {
      changes.tell();
      refreshStatuses(stackId);
    },
    ending.get(stackId),
  );
  engines.set(stackId, engine);
  if (isLeaving) engine.drain.begin();
  return engine;
}

/** Its node closed, but may come back in a moment. */
export function parkEngine(stackId: string): void {
  unpark(stackId);
  const timer = setTimeout(() => void endEngine(stackId), PARKED_MS);
  parked.set(stackId, timer.unref());
}

function unpark(stackId: string): void {
  clearTimeout(parked.get(stackId));
  parked.delete(stackId);
}

/** Ends everything of a stack; resolves when its sockets are free. */
export function endEngine(stackId: string): Promise<void> {
  unpark(stackId);
  const engine = engines.get(stackId);
  engines.delete(stackId);
  const before = ending.get(stackId);
  if (engine === undefined) return before ?? Promise.resolve();
  const end = Promise.all([before, engine.stop()]).then(() => {
    if (ending.get(stackId) === end) ending.delete(stackId);
  });
  ending.set(stackId, end);
  return end;
}

/** All nodes on this stack show what it and its accounts say. */
export function refreshStatuses(stackId: string): void {
  for (const live of liveNodes()) {
    if (live.stackId === stackId) live.showBase();
  }
}

/** What a node on this stack and account shows when nothing else happens. */
export function baseStatus(
  RED: NodeAPI,
  stackId: string | undefined,
  accountId: string | undefined,
): ReturnType<typeof stackStatus> {
  return stackStatus(RED, findEngine(stackId), accountId);
}

let isLeaving = false;

/** The process ends when its calls are over: no stack takes new ones. Resolves when none is left. */
export async function drainAll(): Promise<void> {
  isLeaving = true;
  for (const engine of engines.values()) engine.drain.begin();
  await Promise.all([...engines.values()].map((engine) => engine.drain.over()));
}

/** Of all stacks. */
export function callsNow(): number {
  let calls = 0;
  for (const engine of engines.values()) calls += engine.callCount;
  return calls;
}

export async function endAll(): Promise<void> {
  await Promise.all([...engines.keys()].map(endEngine));
}
