/** A user agent that subscribes, and a notifier that the test plays. */
import assert from "node:assert/strict";
import type { SubscriptionEnd, SubscriptionNotify } from "../../lib/subscription/index.js";
import { endAll, Person } from "./alice-and-bob.js";
import { LoopNetwork } from "./loop-network.js";
import { ManualClock } from "./manual-clock.js";
import { requestText, ScriptedPeer, type SipRequest } from "./scripted-peer.js";

export const NOTIFIER = "10.0.0.9";

export interface NotifyText {
  readonly state?: string;
  readonly event?: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly tag?: string;
  readonly sequence?: number;
  readonly contact?: string;
}

export class SubscriptionBench {
  readonly clock = new ManualClock();
  readonly network = new LoopNetwork(this.clock);
  readonly alice = new Person("alice", "10.0.0.1", this.network, this.clock);
  readonly notifier = new ScriptedPeer(this.network, { name: "notifier", address: NOTIFIER });
  readonly notified: SubscriptionNotify[] = [];
  readonly ended: SubscriptionEnd[] = [];
  sequence = 0;

  async start(): Promise<this> {
    await this.alice.userAgent.start();
    await this.notifier.start();
    return this;
  }

  subscribe(options: Partial<Parameters<Person["userAgent"]["subscribe"]>[0]> = {}) {
    const subscription = this.alice.userAgent.subscribe({
      to: `sip:bob@${NOTIFIER}`,
      eventPackage: "presence",
      ...options,
    });
    subscription.on("notify", (notify) => this.notified.push(notify));
    subscription.on("ended", (end) => this.ended.push(end));
    return subscription;
  }

  pass(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  /** Answers each SUBSCRIBE, and sends a NOTIFY after it. */
  serve(expires: number, notify: NotifyText = {}): void {
    this.notifier.onRequest = (request) => {
      if (request.method !== "SUBSCRIBE") return;
      const isEnd = request.headers.get("expires") === "0";
      this.accept(request, isEnd ? 0 : expires);
      this.notify(request, {
        ...notify,
        state: isEnd ? "terminated;reason=timeout" : (notify.state ?? `active;expires=${expires}`),
      });
    };
  }

  accept(request: SipRequest, expires: number): void {
    this.notifier.reply(request, 200, {
      toTag: "n1",
      contact: `<sip:bob@${NOTIFIER}>`,
      headers: [["Expires", String(expires)]],
    });
  }

  notify(subscribe: SipRequest, notify: NotifyText = {}): void {
    const { state = "active;expires=600", event = "presence", body, tag = "n1" } = notify;
    const text = requestText({
      method: "NOTIFY",
      uri: "sip:alice@10.0.0.1",
      callId: subscribe.callId,
      to: `<sip:alice@10.0.0.1>;tag=${subscribe.from.tag}`,
      sequence: notify.sequence ?? ++this.sequence,
      headers: [
        `Contact: ${notify.contact ?? `<sip:bob@${NOTIFIER}>`}`,
        ...(event === "" ? [] : [`Event: ${event}`]),
        ...(state === "" ? [] : [`Subscription-State: ${state}`]),
        ...(body === undefined
          ? []
          : [`Content-Type: ${notify.contentType ?? "application/pidf+xml"}`]),
      ],
      body,
    }).replace(/^(From: .*;tag=)\S+/m, `$1${tag}`);
    this.notifier.send(text, "10.0.0.1");
  }

  subscribes(): SipRequest[] {
    return this.notifier.requests.filter(({ method }) => method === "SUBSCRIBE");
  }

  /** Statuses of the answers to NOTIFYs. */
  answers(): number[] {
    return this.notifier.responses
      .filter(({ cseq }) => cseq.method === "NOTIFY")
      .map(({ statusCode }) => statusCode);
  }

  async end(): Promise<void> {
    await endAll(this.clock, [this.alice]);
    assert.equal(this.alice.userAgent.subscriptions.size, 0);
  }
}
