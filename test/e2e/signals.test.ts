/**
 * SIGTERM with a time of grace (`sipStackGraceSeconds`) in a real Node-RED: calls that are up end by themselves, new ones go
 * elsewhere, and neither a long call nor a second signal keeps the process from ending properly.
 */
import assert from "node:assert/strict";
import { UserAgent, type Session } from "../../lib/index.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { freePort } from "../support/ports.js";

const SDP =
  "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40102 RTP/AVP 0\r\n";

describe("SIGTERM with a time of grace", function () {
  this.timeout(60_000);
  let nodeRed: NodeRed;
  let phone: UserAgent;
  let target = "";

  async function start(sipStackGraceSeconds: number): Promise<void> {
    const port = await freePort();
    target = `sip:flow@127.0.0.1:${port}`;
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
    });
    const accept = flow.node("sip-accept", {}, flow.captures("accept", 2));
    flow.node("sip-incoming", { stack }, [[accept], []]);
    nodeRed = await NodeRed.start({ flows: flow.build(), settings: { sipStackGraceSeconds } });
    phone = new UserAgent({ transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }] });
    await phone.start();
  }

  afterEach(async () => {
    await phone?.stop();
    await nodeRed?.stop();
  });

  const until = async (condition: () => boolean, ms: number, what: string): Promise<number> => {
    const since = Date.now();
    while (!condition()) {
      assert.ok(
        Date.now() - since < ms,
        `${what} not within ${ms} ms: ${nodeRed.log.slice(-1500)}`,
      );
      await pause(20);
    }
    return Date.now() - since;
  };
  async function call(): Promise<Session> {
    const session = phone.invite({ targets: [target], sdp: SDP });
    await until(() => session.state === "established", 10_000, "an answer");
    return session;
  }
  const ended = (): boolean => nodeRed.exitCode !== undefined;

  it("ends when the last call has, and takes no new one until then", async () => {
    await start(60);
    const session = await call();
    nodeRed.process.kill("SIGTERM");
    await nodeRed.until(() => nodeRed.log.includes("draining 1 calls"), 5_000, "the log");
    const refused = phone.invite({ targets: [target], sdp: SDP });
    await until(() => refused.state === "terminated", 5_000, "a refusal");
    assert.equal(refused.snapshot().cause, "unavailable");
    assert.equal((await phone.request({ method: "OPTIONS", to: target })).statusCode, 503);
    assert.equal(session.state, "established");
    assert.equal(ended(), false);
    await session.end();
    assert.equal(session.snapshot().cause, "local-bye");
    await until(ended, 4_000, "the end of the process");
  });

  it("ends at once without a call", async () => {
    await start(60);
    nodeRed.process.kill("SIGINT");
    await until(ended, 4_000, "the end of the process");
  });

  it("ends a call that lasts longer with a BYE", async () => {
    await start(2);
    const session = await call();
    nodeRed.process.kill("SIGTERM");
    const took = await until(ended, 8_000, "the end of the process");
    assert.ok(took > 1_900, `${took} ms`);
    assert.equal(session.snapshot().cause, "remote-bye");
    assert.match(nodeRed.log, /stopping with 1 calls/);
  });

  it("that comes a second time ends at once", async () => {
    await start(60);
    const session = await call();
    nodeRed.process.kill("SIGTERM");
    await pause(300);
    assert.equal(ended(), false);
    nodeRed.process.kill("SIGINT");
    await until(ended, 5_000, "the end of the process");
    assert.equal(session.snapshot().cause, "remote-bye");
  });
});
