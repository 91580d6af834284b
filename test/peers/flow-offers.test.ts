/** Offers that the flow answers itself (`media: none`) against SIPp: the 200 has the offer, the ACK the flow's answer. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, projectRoot } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";
import { Sipp } from "../support/peers/sipp.js";
import { freePort } from "../support/ports.js";

const ANSWER = [
  "v=0",
  "o=flow 7 1 IN IP4 127.0.0.1",
  "s=-",
  "c=IN IP4 127.0.0.1",
  "t=0 0",
  "m=audio 40400 RTP/AVP 8",
  "a=rtpmap:8 PCMA/8000",
  "",
].join("\r\n");

describe("offers that the flow answers", function () {
  this.timeout(60_000);
  let nodeRed: NodeRed;

  before(async function () {
    needs(this, "sipp");
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
      media: "none",
    });
    const answer = flow.node(
      "function",
      {
        func: `if (!msg.answer) return null; msg.sdp = ${JSON.stringify(ANSWER)}; return msg;`,
        outputs: 1,
        libs: [],
        initialize: "",
        finalize: "",
      },
      [[flow.node("sip-accept", {}, flow.captures("accept", 2))]],
    );
    flow.entry("call", [
      flow.node(
        "sip-invite",
        { stack, to: "to", toType: "msg", timeout: 20, delayedOffer: true },
        flow.captures("call", 4, { 1: [answer] }),
      ),
    ]);
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);
    nodeRed = await NodeRed.start();
    await nodeRed.deploy(flow.build());
  });

  after(() => nodeRed?.stop());

  for (const [name, answered, output, cause] of [
    ["out-delayed-answered", true, "call/4", "remote-bye"],
    ["out-delayed-unanswered", false, "call/4", "incompatible-media"],
  ] as const) {
    it(`takes ${name}`, async () => {
      await nodeRed.clearCaptured();
      const local = `127.0.67.${answered ? 1 : 2}:5070`;
      const scenario = join(projectRoot, "test/peers/sipp/flow", `${name}.xml`);
      const sipp = new Sipp({ scenario, local });
      await sipp.listening();
      await nodeRed.inject("call", { to: `sip:callee@${local}`, answer: answered });
      assert.equal((await sipp.result()).problem, "");
      const [offered] = await nodeRed.waitFor("call/1");
      const sip = offered.msg["sip"] as { remoteSdp: string; request?: string };
      assert.match(sip.remoteSdp, /m=audio \d+ RTP\/AVP 8/);
      assert.ok(sip.request);
      const [ended] = await nodeRed.waitFor(output);
      assert.equal(ended.msg["payload"], cause);
      assert.deepEqual(await nodeRed.captured("caught"), []);
    });
  }
});
