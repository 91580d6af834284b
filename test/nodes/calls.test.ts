/** Calls through sip-incoming and sip-invite and the nodes that act in them (contract §4.1, §4.5, §4.8). */
import assert from "node:assert/strict";
import { NodeBench, stack, useNodeRed } from "../support/node-bench.js";
import { invite } from "../support/fake-user-agent.js";

describe("calls", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  it("sends an incoming call out of sip-incoming with everything that msg.sip promises", async () => {
    await bench.load([stack(), { id: "in", type: "sip-incoming", stack: "stack" }]);
    const session = bench.userAgent.ring(invite());
    await bench.settle();
    const msg = bench.only("in:1");
    assert.equal(msg.topic, "incoming");
    assert.equal(msg.payload, "sip:bob@10.0.0.9");
    assert.equal(msg.sip.session, session?.id);
    assert.equal(msg.sip.event, "incoming");
    assert.equal(msg.sip.stack, "stack");
    assert.equal(msg.sip.method, "INVITE");
    assert.equal(msg.sip.headers["max-forwards"], "70");
    assert.deepEqual(msg.sip.headerList["cseq"], ["1 INVITE"]);
    assert.deepEqual(msg.sip.source, { protocol: "udp", address: "10.0.0.9", port: 5060 });
    assert.deepEqual(msg.sip.data, {});
    assert.deepEqual(
      session?.calls.map((call) => call.name),
      ["progress"],
    );
  });
});
