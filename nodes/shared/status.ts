/**
 * The small text under a node. It tells the story of the node's calls ("ringing bob 4 s", "talking 01:23",
 * "busy 486"), falls back to what the stack or account says, and changes at most once a second.
 */
import type { Node, NodeAPI, NodeStatus as RuntimeStatus } from "node-red";
import { deploys } from "./deploys.js";
import { translate } from "./texts.js";

const SHORTEST_INTERVAL_MS = 1000;
/** How long the reason of a failed call stays visible. */
const FAILURE_SHOWN_MS = 5000;
const LONGEST_NAME = 12;

export class NodeStatus {
  #base: RuntimeStatus = {};
  #story: () => RuntimeStatus | undefined = () => undefined;
  #failure: RuntimeStatus | undefined;
  #shown = "{}";
  #shownAt = Number.NEGATIVE_INFINITY;
  #later: NodeJS.Timeout | undefined;
  #failureEnd: NodeJS.Timeout | undefined;
  #closed = false;
  #unlisten: (() => void) | undefined;

  constructor(
    readonly node: Node,
    readonly RED: NodeAPI,
  ) {}

  /** What is shown when nothing happens: the state of the stack or account. */
  base(status: RuntimeStatus): void {
    this.#base = status;
    this.#update();
  }

  /** What is going on, asked when it is shown; undefined = nothing. */
  story(status: () => RuntimeStatus | undefined): void {
    this.#story = status;
    this.#update();
  }

  /** Why a call failed; leaves by itself. */
  failure(text: string): void {
    this.#failure = { fill: "red", shape: "ring", text };
    clearTimeout(this.#failureEnd);
    this.#failureEnd = setTimeout(() => {
      this.#failure = undefined;
      this.#update();
    }, FAILURE_SHOWN_MS);
    this.#failureEnd.unref();
    this.#update();
  }

  /** The node's own settings are wrong: nothing else matters. */
  broken(text: string): void {
    this.#story = () => ({ fill: "red", shape: "ring", text });
    this.#shownAt = Number.NEGATIVE_INFINITY;
    this.#update();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#later);
    clearTimeout(this.#failureEnd);
    this.#unlisten?.();
  }

  #update(): void {
    if (this.#closed) return;
    if (deploys.phase === "changing") {
      // Status nodes hear nothing before all nodes exist.
      this.#unlisten ??= deploys.listen({ started: () => this.#afterChange() });
      return;
    }
    const wait = this.#shownAt + SHORTEST_INTERVAL_MS - performance.now();
    if (wait > 0) {
      this.#later ??= this.#updateLater(wait);
      return;
    }
    const status = this.#story() ?? this.#failure ?? this.#base;
    const text = JSON.stringify(status);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#shownAt = performance.now();
    this.node.status({ ...status });
  }

  #afterChange(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    this.#update();
  }

  #updateLater(waitMs: number): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#later = undefined;
      this.#update();
    }, waitMs);
    return timer.unref();
  }
}

/** One call of a node, as far as its status needs it. */
export interface CallStory {
  readonly answered: boolean;
  /** User or host of the other side. */
  readonly who: string;
  /** Seconds in the present phase. */
  readonly seconds: number;
}

/** Blue ring while ringing, green dot while talking, undefined without calls (contract §8). */
export function storyOfCalls(RED: NodeAPI, calls: readonly CallStory[]): RuntimeStatus | undefined {
  const [first] = calls;
  if (first === undefined) return undefined;
  const talking = calls.filter((call) => call.answered).length;
  if (talking === 0) {
    const text =
      calls.length === 1
        ? translate(RED, "status.ringing", { who: shortName(first.who), seconds: first.seconds })
        : translate(RED, "status.ringingMany", { count: calls.length });
    return { fill: "blue", shape: "ring", text };
  }
  const text =
    calls.length === 1
      ? translate(RED, "status.talking", { time: minutes(first.seconds) })
      : translate(RED, "status.calls", { count: calls.length });
  return { fill: "green", shape: "dot", text };
}

function shortName(name: string): string {
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
}

function minutes(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}
