/** The calls of each owner node: their number for `maxCalls`, and the story that the node's status tells. */
import type { Call, CallRef } from "./call.js";
import { liveNode } from "./live-nodes.js";
import { type CallStory, storyOfCalls } from "./status.js";

const TICK_MS = 1000;

class OwnedCalls {
  readonly #byNode = new Map<string, Set<CallRef>>();
  #ticker: NodeJS.Timeout | undefined;

  add(nodeId: string, call: Call): void {
    let calls = this.#byNode.get(nodeId);
    if (calls === undefined) this.#byNode.set(nodeId, (calls = new Set()));
    calls.add(call.ref);
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS).unref();
    this.changed(nodeId);
  }

  remove(nodeId: string, call: Call): void {
    const calls = this.#byNode.get(nodeId);
    if (calls?.delete(call.ref) !== true) return;
    if (calls.size === 0) this.#byNode.delete(nodeId);
    this.changed(nodeId);
  }

  /** Something happened in one of the node's calls: its status may say something new. */
  changed(nodeId: string): void {
    const live = liveNode(nodeId);
    if (live === undefined) return;
    live.status.story(() => storyOfCalls(live.RED, this.#stories(nodeId)));
  }

  #stories(nodeId: string): CallStory[] {
    const calls = this.#byNode.get(nodeId) ?? [];
    return [...calls].flatMap(({ call }) => (call === undefined ? [] : [storyOf(call)]));
  }

  #tick(): void {
    if (this.#byNode.size === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
    for (const nodeId of this.#byNode.keys()) this.changed(nodeId);
  }
}

/** Its texts are made when they are asked for: of many calls only the number is shown. */
function storyOf(call: Call): CallStory {
  return {
    answered: call.answered,
    get who() {
      const { remote } = call.session.snapshot();
      return remote.displayName ?? (remote.user === "" ? remote.host : remote.user);
    },
    get seconds() {
      return call.secondsInPhase;
    },
  };
}

export const ownedCalls = new OwnedCalls();
