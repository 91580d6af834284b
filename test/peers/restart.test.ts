/**
 * Node-RED killed in the middle of calls and started again in the same folder: the registration returns by itself, what
 * peers send in calls that nobody knows any more gets 481, new calls work, and nothing in the user directory is broken.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UserAgent, type Session } from "../../lib/index.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { needs } from "../support/peers/process.js";
import { freePort } from "../support/ports.js";

const REGISTRAR = "127.0.72.1";
const SDP =
  "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40100 RTP/AVP 0\r\n";

describe("Node-RED killed and started again", function () {
  this.timeout(60_000);
  let kamailio: Kamailio;
  let nodeRed: NodeRed;
  let phone: UserAgent;
  let target = "";

  before(async function () {
    needs(this, "kamailio");
    kamailio = new Kamailio({ address: REGISTRAR });
    await kamailio.start();
    const port = await freePort();
    target = `sip:nodered@127.0.0.1:${port}`;
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
    });
    const account = flow.config("sip-account", {
      stack,
      uri: "sip:nodered@sip.test",
      registrar: `sip:${REGISTRAR}:5060`,
      register: true,
    });
    flow.node("sip-event", { stack, events: ["registered"] }, [[flow.capture("registered")]]);
    const record = flow.node("sip-record", { target: "call.wav", targetType: "str" }, [[], []]);
    const accept = flow.node("sip-accept", {}, flow.captures("accept", 2, { 1: [record] }));
    flow.node("sip-incoming", { stack }, [[accept], []]);
    nodeRed = await NodeRed.start({
      flows: flow.build(),
      credentials: { [account]: { password: "noderedpw" } },
    });
    phone = new UserAgent({ transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }] });
    await phone.start();
    await nodeRed.waitFor("registered");
  });

  after(async () => {
    await phone?.stop();
    await nodeRed?.stop();
    await kamailio?.dispose();
  });

  async function call(): Promise<Session> {
    const session = phone.invite({ targets: [target], sdp: SDP });
    const end = Date.now() + 10_000;
    while (session.state !== "established" && Date.now() < end) await pause(20);
    assert.equal(session.state, "established", session.snapshot().cause);
    return session;
  }

  it("is registered within 5 s, does not know the old calls, and takes new ones", async () => {
    const [first, second] = [await call(), await call()];
    await nodeRed.waitFor("accept/1", 2);
    const flowsBefore = readFileSync(join(nodeRed.userDir, "flows.json"), "utf8");
    await nodeRed.kill();
    nodeRed = await NodeRed.again(nodeRed);
    const started = Date.now();
    await nodeRed.waitFor("registered", 1, 5_000);
    assert.ok(Date.now() - started < 5_000);
    assert.doesNotMatch(nodeRed.log, /\[error\]|Uncaught/);
    assert.equal(readFileSync(join(nodeRed.userDir, "flows.json"), "utf8"), flowsBefore);

    const asked = await first.request({ method: "INFO" });
    assert.deepEqual([asked.ok, asked.statusCode], [false, 481]);
    await pause(50);
    assert.deepEqual([first.state, first.snapshot().cause], ["terminated", "dialog-error"]);
    // A BYE that gets 481 has done what it should.
    await second.end();
    assert.equal(second.snapshot().cause, "local-bye");

    const fresh = await call();
    await nodeRed.waitFor("accept/1");
    await fresh.end();
  });
});
