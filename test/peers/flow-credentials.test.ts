/**
 * Credentials and agreements that a server asks for in mid-flow, against SIPp: a challenge that the flow answers
 * (event `challenge`), and a security agreement (RFC 3329).
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, projectRoot } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";
import { Sipp } from "../support/peers/sipp.js";
import { freePort } from "../support/ports.js";

const desk = "127.0.68.1:5070";
const agreeing = "127.0.68.2:5070";

describe("what a server asks for in mid-flow", function () {
  this.timeout(60_000);
  let nodeRed: NodeRed;

  before(async function () {
    needs(this, "sipp");
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
    });
    const unknown = flow.config("sip-account", {
      stack,
      uri: `sip:flow@${desk}`,
      register: false,
    });
    const known = flow.config("sip-account", {
      stack,
      uri: `sip:flow@${agreeing}`,
      register: false,
    });
    const accept = flow.node("sip-accept", {}, flow.captures("given", 2));
    const password = flow.node(
      "function",
      {
        func: 'msg.credentials = { user: "flow", password: "secret" }; return msg;',
        outputs: 1,
        libs: [],
        initialize: "",
        finalize: "",
      },
      [[accept]],
    );
    flow.node("sip-event", { stack, events: ["challenge"], answerWithin: 5000 }, [
      [flow.capture("challenge"), password],
    ]);
    for (const [name, account, to] of [
      ["desk", unknown, desk],
      ["agree", known, agreeing],
    ] as const) {
      const message = flow.node(
        "sip-message",
        { scope: "standalone", account, to: `sip:desk@${to}`, toType: "str" },
        flow.captures(name, 2),
      );
      flow.entry(name, [message]);
    }
    flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);
    nodeRed = await NodeRed.start();
    await nodeRed.deploy(flow.build(), { credentials: { [known]: { password: "secret" } } });
  });

  after(() => nodeRed?.stop());

  const send = async (name: string, scenario: string, local: string): Promise<void> => {
    const sipp = new Sipp({
      scenario: join(projectRoot, "test/peers/sipp/flow", `${scenario}.xml`),
      local,
    });
    await sipp.listening();
    await nodeRed.inject(name, { payload: "hello" });
    const result = await sipp.result();
    assert.equal(result.problem, "");
    const [delivered] = await nodeRed.waitFor(`${name}/1`);
    assert.equal(delivered.msg["payload"], 200);
    assert.deepEqual(await nodeRed.captured("caught"), []);
  };

  it("gets the password from the flow", async () => {
    await send("desk", "out-challenge", desk);
    const [challenge] = await nodeRed.waitFor("challenge");
    const { realm } = (challenge.msg["sip"] as { challenge: { realm: string } }).challenge;
    assert.equal(realm, "desk.test");
    assert.ok(!JSON.stringify(await nodeRed.allCaptured()).includes('"password"'));
  });

  it("gets its security agreement", () => send("agree", "out-sec-agree", agreeing));
});
