/** The calls of each owner node: their number for `maxCalls`, and the story that the node's status tells. */
import type { Call } from "./call.js";
import { liveNode } from "./live-nodes.js";
import { type CallStory, storyOfCalls } from "./status.js";

const TICK_MS = 1000;

class OwnedCalls {
  readonly #byNode = new Map<string, Set<Call>>();
  #ticker: NodeJS.Timeout | undefined;

  add(nodeId: string, call: Call): void {
    let calls = this.#byNode.get(nodeId);
    if (calls === undefined) this.#byNode.set(nodeId, (calls = new Set()));
    calls.add(call);
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS).unref();
    this.changed(nodeId);
  }

  remove(nodeId: string, call: Call): void {
    const calls = this.#byNode.get(nodeId);
    if (calls?.delete(call) !== true) return;
    if (calls.size === 0) this.#byNode.delete(nodeId);
    if (this.#byNode.size === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
    this.changed(nodeId);
  }

  of(nodeId: string): ReadonlySet<Call> {
    return this.#byNode.get(nodeId) ?? new Set();
  }

  /** Something happened in one of the node's calls: its status may say something new. */
  changed(nodeId: string): void {
    const live = liveNode(nodeId);
    if (live === undefined) return;
    live.status.story(() => storyOfCalls(live.RED, [...this.of(nodeId)].map(storyOf)));
  }

  #tick(): void {
    for (const nodeId of this.#byNode.keys()) this.changed(nodeId);
  }
}

function storyOf(call: Call): CallStory {
  const { remote } = call.session.snapshot();
  return {
    answered: call.answered,
    who: remote.displayName ?? (remote.user === "" ? remote.host : remote.user),
    seconds: call.secondsInPhase,
  };
}

export const ownedCalls = new OwnedCalls();
