/**
 * Follows the runtime's deploys, so that calls live through them: while nodes are being replaced outputs are
 * held back; afterwards everybody learns who is still there. Tells a deploy from a real stop.
 */
import type { NodeAPI } from "node-red";
import { errorText } from "../../lib/index.js";

/** `changing`: between `flows:stopping` (or `starting`) and `flows:started`. */
export type DeployPhase = "running" | "changing";

/** A start that is never reported (missing node types) must not hold calls for ever. */
const LONGEST_CHANGE_MS = 20_000;

interface DeployListener {
  /** All nodes of the new flows exist. */
  started?(): void;
  /** The flows were stopped and do not come back by themselves. */
  stopped?(): void;
}

class Deploys {
  #phase: DeployPhase = "running";
  #guard: NodeJS.Timeout | undefined;
  readonly #listeners = new Set<DeployListener>();
  readonly #known = new WeakSet<object>();
  #log: NodeAPI["log"] | undefined;
  /** SIGTERM or SIGINT came: the process ends as soon as the nodes have closed. */
  dying = false;

  get phase(): DeployPhase {
    return this.#phase;
  }

  listen(listener: DeployListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called by every node set when it is loaded; the first call counts. */
  watch(RED: NodeAPI): void {
    if (this.#known.has(RED.events)) return;
    this.#known.add(RED.events);
    this.#log = RED.log;
    RED.events.on("flows:stopping", () => this.changing());
    RED.events.on("flows:starting", () => this.changing());
    RED.events.on("flows:started", () => this.started());
    RED.events.on("runtime-event", (event: unknown) => {
      if (isRealStop(event)) this.stopped();
    });
  }

  changing(): void {
    this.#phase = "changing";
    clearTimeout(this.#guard);
    this.#guard = setTimeout(() => this.started(), LONGEST_CHANGE_MS);
    this.#guard.unref();
  }

  started(): void {
    clearTimeout(this.#guard);
    this.#phase = "running";
    this.#tell((listener) => listener.started?.());
  }

  stopped(): void {
    clearTimeout(this.#guard);
    this.#phase = "running";
    this.#tell((listener) => listener.stopped?.());
  }

  /** A listener that fails must harm neither the others nor the runtime, whose event this is. */
  #tell(call: (listener: DeployListener) => void): void {
    for (const listener of [...this.#listeners]) {
      try {
        call(listener);
      } catch (error) {
        this.report(error);
      }
    }
  }

  /** Something failed that no node can be blamed for. */
  report(error: unknown): void {
    this.#log?.error(`SIP nodes: ${errorText(error)}`);
  }
}

/** `runtime-state` `stop` without `deploy`: the flows stay stopped (user, shutdown, missing types). */
function isRealStop(event: unknown): boolean {
  if (typeof event !== "object" || event === null) return false;
  const { id, payload } = event as { id?: unknown; payload?: unknown };
  if (id !== "runtime-state" || typeof payload !== "object" || payload === null) return false;
  const { state, deploy } = payload as { state?: unknown; deploy?: unknown };
  return state === "stop" && deploy !== true;
}

export const deploys = new Deploys();
