/** sip-supplement (contract §4.6): rules before outputs, in order; waiting; directions and methods; six outputs. */
import assert from "node:assert/strict";
import {
  type IncomingRequestContext,
  type SipRequest,
  SupplementMessage,
  type SupplementVerdict,
} from "../../lib/index.js";
import { FakeSession, invite } from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

describe("sip-supplement", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());
  const node = (id: string, more = {}): FlowEntry => ({
    id,
    type: "sip-supplement",
    stack: "stack",
    ...more,
  });
  const context = (hold?: Promise<SupplementVerdict>): IncomingRequestContext => ({
    session: undefined,
    accountId: undefined,
    request: undefined,
    hold: () => ({ handle: "held", verdict: hold ?? Promise.resolve(undefined) }),
  });
  const message = (): SupplementMessage<SipRequest> => new SupplementMessage(invite());

  it("applies rules by order, then id, before its outputs", async () => {
    const rule = (action: string, value: string, valueType = "str"): object => ({
      action,
      header: "X-A",
      value,
      valueType,
    });
    await bench.load([
      stack(),
      node("a", { order: 2, rules: [rule("add", "third")] }),
      node("c", { order: 1, rules: [rule("add", "second")] }),
      node("b", { order: 1, rules: [rule("set", "payload & '!'", "jsonata")] }),
    ]);
    const shown = message();
    const [supplement] = bench.userAgent.supplements;
    await supplement?.incomingRequest?.(shown, context());
    await bench.settle();
    assert.deepEqual(shown.message.headers.getAll("x-a"), ["INVITE!", "second", "third"]);
    assert.deepEqual(bench.order(), ["b:1", "c:1", "a:1"]);
    assert.equal(bench.only("b:1").sip.headers["x-a"], "INVITE!");
    assert.deepEqual(bench.only("a:1").sip.headers["x-a"], ["INVITE!", "second", "third"]);
  });

  it("waits with a handle, refuses what sip-reject refuses, and never ACK", async () => {
    await bench.load([stack(), node("s", { wait: 1000 }), node("t", { order: 1 })]);
    const [supplement] = bench.userAgent.supplements;
    const refused = { statusCode: 403 };
    const verdict = supplement?.incomingRequest?.(message(), context(Promise.resolve(refused)));
    assert.deepEqual(await verdict, refused);
    await bench.settle();
    assert.equal(bench.only("s:1").sip.request, "held");
    assert.equal(bench.of("t:1").length, 0, "refused before it came there");
    const passed = await supplement?.incomingRequest?.(message(), context());
    assert.equal(passed, undefined);
    await bench.settle();
    assert.equal(bench.of("t:1").length, 1);
  });

  it("sees only the directions and methods that it asks for, and begin and end of sessions", async () => {
    await bench.load([
      stack(),
      node("s", { directions: ["outgoing-request"], methods: "invite" }),
      node("other", { methods: "BYE" }),
    ]);
    const [supplement] = bench.userAgent.supplements;
    await supplement?.incomingRequest?.(message(), context());
    supplement?.outgoingRequest?.(message(), context());
    supplement?.sessionBegin?.(new FakeSession(bench.userAgent, "outgoing"));
    await bench.settle();
    assert.deepEqual(bench.order(), ["s:3", "other:5", "s:5"]);
    assert.deepEqual(
      [bench.only("s:3").payload, bench.only("s:3").topic],
      ["INVITE", "outgoing-request"],
    );
  });

  it("waits for slow values of outgoing requests before they are sent, not for those of an ACK", async () => {
    await bench.load([
      stack(),
      node("s", {
        rules: [
          { action: "remove", header: "X-Old" },
          { action: "add", header: "X-A", value: "payload & '!'", valueType: "jsonata" },
        ],
      }),
      node("fast", { order: 1, rules: [{ action: "add", header: "X-A", value: "fast" }] }),
    ]);
    const [supplement] = bench.userAgent.supplements;
    const shown = message();
    shown.set("X-Old", "1");
    const prepared = supplement?.prepareRequest?.(shown, context());
    assert.ok(prepared instanceof Promise);
    await prepared;
    assert.deepEqual(shown.message.headers.getAll("x-a"), ["INVITE!"]);
    supplement?.outgoingRequest?.(shown, context());
    await bench.settle();
    assert.deepEqual(shown.message.headers.getAll("x-a"), ["INVITE!", "fast"]);
    assert.equal(shown.header("x-old"), undefined);
    assert.deepEqual(bench.only("fast:3").sip.headers["x-a"], ["INVITE!", "fast"]);
  });

  it("refuses rules for headers of the stack at deploy", async () => {
    await bench.load([
      stack(),
      node("s", { rules: [{ action: "set", header: "Via", value: "x" }] }),
    ]);
    assert.equal(bench.userAgent.supplements.length, 0);
  });
});
