/**
 * Subscriptions of `sip-subscribe` nodes (contract §4.6): one per node, target and package. They belong to the node's id,
 * so that they live through a deploy; what the deploy took away is ended.
 */
import type { NodeMessage } from "node-red";
import { errorText } from "../../lib/index.js";
import type {
  SubscribeOptions,
  Subscription,
  SubscriptionEnd,
  SubscriptionNotify,
} from "../../lib/index.js";
import { deploys } from "./deploys.js";
import { dispatcher } from "./dispatcher.js";
import type { Engine } from "./engine.js";
import type { Input, Outgoing } from "./input.js";
import { liveNode } from "./live-nodes.js";
import { bodyOf, messageFields, partyFields } from "./message-fields.js";
import { type SipFields, withoutUndefined } from "./sip-fields.js";
import { translate } from "./texts.js";

export interface SubscriptionWish {
  readonly nodeId: string;
  readonly engine: Engine;
  readonly options: SubscribeOptions;
  /** The message that wants it; undefined = the deploy (`auto`). */
  readonly input: Input | undefined;
}

/** How long a subscription that began with the deploy waits for a stack that does not start. */
const AUTO_RETRY_MS = 15_000;

const byNode = new Map<string, Map<string, Entry>>();

deploys.listen({
  started: () => {
    for (const [nodeId, entries] of byNode) {
      if (liveNode(nodeId) !== undefined) continue;
      for (const entry of [...entries.values()]) entry.stop();
    }
  },
  stopped: () => {
    for (const entries of [...byNode.values()]) {
      for (const entry of [...entries.values()]) entry.stop();
    }
  },
});

/** Begins a subscription, or refreshes the same one of this node. */
export function subscribe(wish: SubscriptionWish): void {
  const { nodeId, engine, options } = wish;
  const key = keyOf(engine, options);
  let entries = byNode.get(nodeId);
  if (entries === undefined) byNode.set(nodeId, (entries = new Map<string, Entry>()));
  const existing = entries.get(key);
  // A stack that was restarted knows nothing of the subscriptions of the old one.
  if (existing !== undefined && existing.engine === engine && !existing.stopped) {
    existing.again(wish);
    return;
  }
  const entry: Entry = new Entry(wish, () => {
    const own = byNode.get(nodeId);
    if (own?.get(key) === entry) own.delete(key);
    if (own?.size === 0) byNode.delete(nodeId);
    showCount(nodeId);
  });
  entries.set(key, entry);
  entry.begin();
}

/** Ends the one with this handle, or all of a node. What they stop leaves by their own output. */
export function stopSubscriptions(nodeId: string, handle: string | undefined): void {
  for (const [owner, entries] of byNode) {
    for (const entry of [...entries.values()]) {
      if (handle === undefined ? owner === nodeId : entry.handle === handle) entry.stop();
    }
  }
}

/** After a deploy: of what the deploy itself began only `wanted` stays. */
export function keepAutomatic(nodeId: string, wanted: string | undefined): void {
  for (const [key, entry] of byNode.get(nodeId) ?? []) {
    if (entry.automatic && key !== wanted) entry.stop();
  }
}

export function keyOf(engine: Engine, options: SubscribeOptions): string {
  return JSON.stringify([
    engine.stackId,
    options.account ?? "",
    options.to,
    options.eventPackage.toLowerCase(),
  ]);
}

class Entry {
  readonly engine: Engine;
  readonly automatic: boolean;
  stopped = false;
  #wish: SubscriptionWish;
  #subscription: Subscription | undefined;
  #retry: NodeJS.Timeout | undefined;
  readonly #onOver: () => void;

  constructor(wish: SubscriptionWish, onOver: () => void) {
    this.#wish = wish;
    this.engine = wish.engine;
    this.automatic = wish.input === undefined;
    this.#onOver = onOver;
  }

  get handle(): string | undefined {
    return this.#subscription?.id;
  }

  get active(): boolean {
    const state = this.#subscription?.state;
    return state === "active" || state === "pending";
  }

  begin(): void {
    void this.#begin().catch((error: unknown) => {
      const { input } = this.#wish;
      if (input !== undefined) {
        input.fail(error);
        this.#over();
      } else if (!this.stopped) {
        const live = liveNode(this.#wish.nodeId);
        live?.status.failure(errorText(error));
        this.#retry = setTimeout(() => this.begin(), AUTO_RETRY_MS);
        this.#retry.unref();
      }
    });
  }

  async #begin(): Promise<void> {
    const userAgent = await this.engine.ready();
    if (this.stopped) return;
    const subscription = userAgent.subscribe(this.#wish.options);
    this.#subscription = subscription;
    subscription.on("notify", (notify) => this.#onNotify(subscription, notify));
    subscription.on("ended", (end) => this.#onEnded(subscription, end));
  }

  /** The same once more: a refresh, and further messages are copies of the newer input. */
  again(wish: SubscriptionWish): void {
    if (wish.input !== undefined) {
      const { input } = this.#wish;
      this.#wish = wish;
      input?.complete();
    }
    this.#subscription?.refresh();
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    clearTimeout(this.#retry);
    const subscription = this.#subscription;
    if (subscription === undefined) {
      this.#wish.input?.complete();
      this.#over();
    } else {
      // Its end is told by the event.
      void subscription.unsubscribe();
    }
  }

  #over(): void {
    this.stopped = true;
    clearTimeout(this.#retry);
    this.#onOver();
  }

  #onNotify(
    subscription: Subscription,
    { message, state, expires, parsed }: SubscriptionNotify,
  ): void {
    showCount(this.#wish.nodeId);
    this.#send(1, "notify", () => ({
      sip: this.#fields("notify", subscription, {
        ...messageFields(message),
        ...partyFields(message),
        subscriptionState: state,
        expires: expires ?? subscription.expires,
      }),
      payload: parsed === undefined ? bodyOf(message) : structuredClone(parsed),
    }));
  }

  #onEnded(subscription: Subscription, end: SubscriptionEnd): void {
    const { message, reason, cause, statusCode, retryAfter } = end;
    const { nodeId } = this.#wish;
    if (retryAfter === undefined) this.#over();
    else showCount(nodeId);
    if (cause !== undefined && cause !== "shutdown") {
      liveNode(nodeId)?.status.failure(statusCode > 0 ? `${cause} ${statusCode}` : cause);
    }
    this.#send(2, "subscription-ended", () => ({
      sip: this.#fields("subscription-ended", subscription, {
        ...(message === undefined ? {} : { ...messageFields(message), ...partyFields(message) }),
        ...withoutUndefined({ reason, cause, retryAfter }),
        ...(statusCode === 0 && cause === undefined ? {} : { statusCode }),
        subscriptionState: "terminated",
      }),
      payload: reason,
    }));
  }

  #fields(event: string, subscription: Subscription, more: Partial<SipFields>): SipFields {
    return withoutUndefined({
      ...more,
      event,
      stack: this.engine.stackId,
      account: this.#wish.options.account,
      subscription: subscription.id,
      eventPackage: subscription.eventPackage,
    });
  }

  #send(output: number, event: string, build: () => Outgoing): void {
    const { input, nodeId } = this.#wish;
    const cause = { sessionId: undefined, events: [event] };
    // Built now: the subscription goes on while the message waits for its turn.
    const built = build();
    const fresh = (): Outgoing => ({
      sip: structuredClone(built.sip),
      payload: copyOf(built.payload),
    });
    if (input === undefined) {
      dispatcher.output(undefined, cause.events, dispatcher.nextSequence(), {
        nodeId,
        run: (live) => {
          const { sip, payload } = fresh();
          const outputs = new Array<NodeMessage | null>(output).fill(null);
          outputs[output - 1] = { topic: sip.event, payload, sip };
          live.node.send(outputs);
        },
      });
    } else if (input.settled) input.also(output, fresh, cause);
    else input.leave(output, fresh, cause);
  }
}

function copyOf(payload: unknown): unknown {
  return Buffer.isBuffer(payload) ? Buffer.from(payload) : structuredClone(payload);
}

/** Green dot with the number of subscriptions that are up. */
function showCount(nodeId: string): void {
  const live = liveNode(nodeId);
  live?.status.story(() => {
    const entries = [...(byNode.get(nodeId)?.values() ?? [])];
    if (entries.length === 0) return undefined;
    const up = entries.filter(({ active }) => active).length;
    const text =
      entries.length === 1 && up === 1
        ? translate(live.RED, "status.subscribed")
        : translate(live.RED, "status.subscriptions", { up, count: entries.length });
    return up === entries.length
      ? { fill: "green", shape: "dot", text }
      : { fill: "yellow", shape: "ring", text };
  });
}
