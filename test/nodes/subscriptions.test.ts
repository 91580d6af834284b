/** sip-subscribe (contract §4.6 "Subscriptions"). */
import assert from "node:assert/strict";
import type { SipRequest } from "../../lib/index.js";
import { sipMessage } from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

const notify = sipMessage(`NOTIFY sip:alice@10.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKn
From: <sip:bob@10.0.0.9>;tag=n1
To: <sip:alice@10.0.0.1>;tag=a1
Call-ID: n
CSeq: 1 NOTIFY
Max-Forwards: 70
Event: message-summary
Subscription-State: active;expires=60
Content-Type: application/simple-message-summary
Content-Length: 21

Messages-Waiting: yes`) as SipRequest;
notify.source = { protocol: "udp", address: "10.0.0.9", port: 5060 };
notify.body = Buffer.from("Messages-Waiting: yes");

describe("sip-subscribe", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());
  const node = (more = {}): FlowEntry => ({
    id: "s",
    type: "sip-subscribe",
    stack: "stack",
    to: "sip:bob@10.0.0.9",
    eventPackage: "message-summary",
    ...more,
  });
  const load = (more = {}): Promise<void> => bench.load([stack(), node(more)]);

  it("sends each NOTIFY to output 1, parsed, and is done with the first", async () => {
    await load({ expires: "120", headers: [{ name: "X-A", value: "1" }] });
    bench.send("s", { keep: 1 });
    await bench.settle();
    const [subscription] = bench.userAgent.ownSubscriptions;
    assert.deepEqual(subscription.options, {
      to: "sip:bob@10.0.0.9",
      account: undefined,
      eventPackage: "message-summary",
      accept: undefined,
      expires: 120,
      headers: [["X-A", "1"]],
      resubscribe: true,
    });
    const parsed = { waiting: true };
    subscription.emit("notify", { message: notify, state: "active", expires: 60, parsed });
    subscription.emit("notify", {
      message: notify,
      state: "active",
      expires: 60,
      parsed: undefined,
    });
    await bench.settle();
    const [first, second] = bench.of("s:1");
    assert.equal(first.topic, "notify");
    assert.deepEqual(first.payload, parsed);
    assert.equal(first.keep, 1);
    assert.equal(first.sip.subscription, subscription.id);
    assert.equal(first.sip.eventPackage, "message-summary");
    assert.equal(first.sip.subscriptionState, "active");
    assert.equal(first.sip.expires, 60);
    assert.equal(first.sip.body, "Messages-Waiting: yes");
    assert.equal(second.payload, "Messages-Waiting: yes");
    assert.equal(bench.of("completed").length, 1);
  });

  it("refreshes the same, subscribes to another, and stops one or all", async () => {
    await load();
    bench.send("s", {});
    await bench.settle();
    bench.send("s", {});
    bench.send("s", { options: { to: "sip:carl@10.0.0.9" } });
    await bench.settle();
    const [bob, carl, ...more] = bench.userAgent.ownSubscriptions;
    assert.equal(more.length, 0);
    assert.deepEqual(bob.log, ["refresh"]);
    bench.send("s", { control: "stop", sip: { subscription: carl.id } });
    await bench.settle();
    assert.deepEqual([bob.log, carl.log], [["refresh"], ["unsubscribe"]]);
    assert.equal(bench.of("s:2")[0].payload, "unsubscribed");
    bench.send("s", { control: "stop" });
    await bench.settle();
    assert.deepEqual(bob.log, ["refresh", "unsubscribe"]);
    assert.equal(bench.of("s:2").length, 2);
    assert.equal(bench.of("caught").length, 0);
  });

  it("tells the end on output 2, with the response and the time of the next attempt", async () => {
    await load();
    bench.send("s", {});
    await bench.settle();
    const [subscription] = bench.userAgent.ownSubscriptions;
    subscription.emit("ended", {
      reason: "Call/Transaction Does Not Exist",
      cause: "dialog-error",
      statusCode: 481,
      retryAfter: 7,
    });
    await bench.settle();
    const msg = bench.only("s:2");
    assert.equal(msg.topic, "subscription-ended");
    assert.equal(msg.payload, "Call/Transaction Does Not Exist");
    assert.equal(msg.sip.statusCode, 481);
    assert.equal(msg.sip.cause, "dialog-error");
    assert.equal(msg.sip.retryAfter, 7);
    assert.equal(msg.sip.subscriptionState, "terminated");
  });

  it("begins with the deploy when it is told to", async () => {
    await load({ auto: true });
    await bench.settle();
    const [subscription] = bench.userAgent.ownSubscriptions;
    subscription.emit("notify", {
      message: notify,
      state: "active",
      expires: 60,
      parsed: undefined,
    });
    await bench.settle();
    assert.equal(bench.only("s:1").sip.event, "notify");
  });

  it("gives a missing target and an unknown word to Catch", async () => {
    await load({ to: "" });
    bench.send("s", {});
    bench.send("s", { control: "dance" });
    await bench.settle();
    assert.deepEqual(
      bench.of("caught").map((msg) => msg.error.code),
      ["no-target", "bad-control"],
    );
  });
});
