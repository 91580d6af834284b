/**
 * Subscriptions between two real stacks on 127.0.0.1 in one Node-RED: taken, told, ended; a REFER reported by sip-notify;
 * what a Deploy leaves alone and what it ends.
 */
import assert from "node:assert/strict";
import {
  type FlowEntry,
  type Message,
  NodeBench,
  stack,
  useNodeRed,
} from "../support/node-bench.js";

const here = (id: string, more = {}): FlowEntry =>
  stack({ transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }], ...more }, id);
const RTP = (rtpPortMin: number) => ({ rtpPortMin, rtpPortMax: rtpPortMin + 98 });
const VOICEMAIL = "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n";
const SUMMARY = "application/simple-message-summary";

describe("subscriptions with the real library", function () {
  this.timeout(120_000);
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  type Running = { userAgent?: { running: boolean; bound: { port: number }[] } };
  const agentOf = (id: string) => (bench.node(id) as unknown as Running).userAgent;
  const until = async (condition: () => boolean, limitMs = 40_000): Promise<void> => {
    const end = Date.now() + limitMs;
    while (!condition()) {
      if (Date.now() > end) {
        assert.fail(
          `not reached; seen: ${bench.order().join(" ")} ${JSON.stringify(bench.of("caught"))}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const seen = async (from: string, count = 1): Promise<Message> => {
    await until(() => bench.of(from).length >= count);
    return bench.of(from)[count - 1];
  };
  const told = async (topic: string, count = 1): Promise<Message> => {
    const found = (): Message[] => bench.of("ev:1").filter((msg) => msg.topic === topic);
    await until(() => found().length >= count);
    return found()[count - 1];
  };

  const flow = (
    more: { one?: object; two?: object; sub?: object; extra?: FlowEntry[] } = {},
  ): FlowEntry[] => [
    here("one", more.one),
    here("two", more.two),
    {
      id: "sub",
      type: "sip-subscribe",
      stack: "one",
      to: "to",
      toType: "msg",
      eventPackage: "message-summary",
      ...more.sub,
    },
    { id: "req", type: "sip-request", stack: "one", to: "to", toType: "msg", method: "REFER" },
    {
      id: "ev",
      type: "sip-event",
      stack: "two",
      events: ["subscribe", "subscription-ended", "refer"],
      answerWithin: 5000,
    },
    { id: "acc", type: "sip-accept" },
    { id: "not", type: "sip-notify", contentType: SUMMARY },
    ...(more.extra ?? []),
  ];
  const start = async (nodes = flow()): Promise<string> => {
    await bench.loadReal(nodes);
    await until(() => ["one", "two"].every((id) => agentOf(id)?.running === true));
    return `sip:box@127.0.0.1:${agentOf("two")?.bound[0].port}`;
  };
  /** A subscription that two has taken. */
  const subscribed = async (to: string): Promise<Message> => {
    bench.send("sub", { to, mine: 1 });
    bench.send("acc", await told("subscribe"));
    return seen("acc:1");
  };

  it("is taken, told and ended by the one who is watched", async () => {
    const taken = await subscribed(await start());
    assert.equal(taken.topic, "accepted");
    assert.equal(taken.payload, 200);
    assert.equal(taken.sip.eventPackage, "message-summary");
    assert.equal(taken.sip.subscriptionState, "active");
    assert.ok(taken.sip.expires > 3_500 && taken.sip.expires <= 3_600);
    assert.equal(taken.sip.session, undefined);
    // The flow said nothing for 500 ms.
    assert.equal((await seen("sub:1")).payload, "");
    bench.send("not", { ...taken, payload: VOICEMAIL });
    const sent = await seen("not:1");
    assert.deepEqual([sent.topic, sent.payload], ["notify-sent", 200]);
    assert.equal(sent.sip.subscriptionState, "active");
    assert.equal(sent.sip.eventPackage, "message-summary");
    const lamp = await seen("sub:1", 2);
    assert.equal(lamp.mine, 1);
    assert.deepEqual(lamp.payload, {
      waiting: true,
      voice: { new: 2, old: 8, urgentNew: 0, urgentOld: 2 },
    });
    assert.equal(lamp.sip.body, VOICEMAIL);
    const options = { subscriptionState: "terminated;reason=noresource" };
    bench.send("not", { ...taken, payload: "", options });
    assert.equal((await seen("not:1", 2)).sip.subscriptionState, "terminated");
    const end = await seen("sub:2");
    assert.deepEqual([end.topic, end.payload], ["subscription-ended", "noresource"]);
    const event = await told("subscription-ended");
    assert.equal(event.sip.subscription, taken.sip.subscription);
    assert.equal(event.sip.eventPackage, "message-summary");
    assert.equal(event.sip.subscriptionState, "terminated");
    assert.equal(event.sip.direction, "incoming");
    bench.send("not", { ...taken, payload: VOICEMAIL });
    const late = await seen("not:2");
    assert.deepEqual([late.payload, late.sip.cause], [0, "no-request"]);
    assert.deepEqual(bench.of("caught"), []);
  });

  it("is refreshed by the same input, and ended by stop", async () => {
    const to = await start();
    const taken = await subscribed(to);
    await seen("sub:1");
    bench.send("not", { ...taken, payload: VOICEMAIL });
    await seen("sub:1", 2);
    bench.send("sub", { to, mine: 2 });
    const again = await seen("sub:1", 3);
    // The stack answers the refresh, with what was told last.
    assert.deepEqual([again.mine, again.payload.voice.new], [2, 2]);
    assert.equal(bench.of("ev:1").length, 1);
    bench.send("sub", { control: "stop" });
    assert.equal((await seen("sub:2")).payload, "unsubscribed");
    assert.equal((await told("subscription-ended")).payload, "unsubscribed");
  });

  it("that is rejected leaves by output 2", async () => {
    const to = await start(flow({ extra: [{ id: "rej", type: "sip-reject" }] }));
    bench.send("sub", { to });
    bench.send("rej", await told("subscribe"));
    const end = await seen("sub:2");
    assert.equal(end.sip.statusCode, 403);
    assert.equal(end.sip.retryAfter, undefined);
  });

  it("of a REFER outside of a call is over when nobody wants its NOTIFYs", async () => {
    const to = await start();
    bench.send("req", {
      to,
      headers: { "Refer-To": "<sip:carol@127.0.0.1:9>", "Refer-Sub": "true" },
    });
    bench.send("acc", await told("refer"));
    const taken = await seen("acc:1");
    assert.deepEqual([taken.payload, taken.sip.eventPackage], [202, "refer"]);
    assert.equal((await told("subscription-ended")).sip.statusCode, 481);
    bench.send("not", { ...taken, payload: "180" });
    const answer = await seen("not:2");
    assert.deepEqual([answer.payload, answer.sip.cause], [0, "no-request"]);
  });

  it("of a REFER in a call says what its subscriber answered, until the last status", async () => {
    const extra: FlowEntry[] = [
      { id: "out", type: "sip-invite", stack: "one", to: "to", toType: "msg" },
      { id: "in", type: "sip-incoming", stack: "two" },
      { id: "ans", type: "sip-accept" },
      { id: "ref", type: "sip-refer", to: "sip:carol@127.0.0.1:9" },
    ];
    const to = await start(flow({ one: RTP(24_000), two: RTP(24_100), extra }));
    bench.send("out", { to });
    bench.send("ans", await seen("in:1"));
    bench.send("ref", await seen("out:1"));
    bench.send("acc", await told("refer"));
    const taken = await seen("acc:1");
    assert.equal(taken.sip.eventPackage, "refer");
    assert.ok(typeof taken.sip.session === "string");
    bench.send("not", { ...taken, payload: "180" });
    const ringing = await seen("not:1");
    assert.deepEqual([ringing.payload, ringing.sip.subscriptionState], [200, "active"]);
    bench.send("not", { ...taken, payload: "SIP/2.0 486 Busy Here" });
    const last = await seen("not:1", 2);
    assert.deepEqual([last.payload, last.sip.subscriptionState], [200, "terminated"]);
    assert.equal((await seen("ref:3")).payload, 486);
    bench.send("not", { ...taken, payload: "200" });
    assert.equal((await seen("not:2")).sip.cause, "no-request");
  });

  it("lives through every Deploy that leaves its stack and node alone", async () => {
    const nodes = flow();
    const taken = await subscribed(await start(nodes));
    await seen("sub:1");
    let count = 1;
    for (const type of ["full", "flows", "nodes"] as const) {
      await bench.deploy(nodes, type);
      bench.send("not", { ...taken, payload: VOICEMAIL });
      const lamp = await seen("sub:1", ++count);
      assert.equal(lamp.payload.waiting, true);
    }
    assert.equal(bench.of("ev:1").length, 1);
    assert.equal(bench.of("sub:2").length, 0);
  });

  it("that began with a deploy is neither repeated nor lost by the next", async () => {
    const watched = [here("two"), ...flow().filter(({ id }) => !["two", "sub"].includes(id))];
    await bench.loadReal(watched);
    await until(() => ["one", "two"].every((id) => agentOf(id)?.running === true));
    const to = `sip:box@127.0.0.1:${agentOf("two")?.bound[0].port}`;
    const auto = (expires: number): FlowEntry => ({
      id: "sub",
      type: "sip-subscribe",
      stack: "one",
      to,
      eventPackage: "message-summary",
      auto: true,
      expires,
    });
    await bench.deploy([...watched, auto(600)]);
    bench.send("acc", await told("subscribe"));
    await seen("sub:1");
    await bench.deploy([...watched, auto(600)]);
    await bench.deploy([...watched, auto(600)], "flows");
    assert.equal(bench.of("ev:1").length, 1);
    await bench.deploy(watched);
    assert.equal((await told("subscription-ended")).payload, "unsubscribed");
  });

  it("is ended at its notifier when its node or its stack goes", async () => {
    const to = await start();
    await subscribed(to);
    await seen("sub:1");
    await bench.deploy(flow({ one: { userAgent: "another" } }));
    assert.equal((await told("subscription-ended")).payload, "unsubscribed");
    await until(() => agentOf("one")?.running === true);
    bench.send("sub", { to });
    bench.send("acc", await told("subscribe", 2));
    await seen("acc:1", 2);
    await bench.deploy(flow().filter(({ id }) => id !== "sub"));
    assert.equal((await told("subscription-ended", 2)).payload, "unsubscribed");
  });
});
