/** The library without Node-RED against SIPp over a real socket: streams of handlers beside the embedded audio (contract §7). */
import assert from "node:assert/strict";
import { join } from "node:path";
import { EmbeddedMediaHandler, UserAgent } from "../../lib/index.js";
import type { SdpStream, SdpStreamContext, SdpStreamDescription } from "../../lib/index.js";
import { projectRoot } from "../support/node-red.js";
import { needs } from "../support/peers/process.js";
import { Sipp } from "../support/peers/sipp.js";
import { freePort } from "../support/ports.js";

const scenario = join(projectRoot, "test/peers/sipp/library/in-sdp-streams.xml");

/** A handler that claims whatever has its protocol, and writes down what becomes of it. */
function passive(protocol: string, answer: SdpStreamDescription, log: string[]) {
  return {
    negotiateIncoming: (stream: SdpStream): SdpStreamDescription | undefined =>
      stream.protocol === protocol ? answer : undefined,
    apply: (local: SdpStream, remote: SdpStream): void =>
      void log.push(`${local.streamType} ${remote.port}`),
    destroy: ({ streamType }: SdpStreamContext, end: string): void =>
      void log.push(`${streamType} ${end}`),
  };
}

describe("library over a real socket", function () {
  this.timeout(60_000);

  for (const transport of ["u1", "t1"] as const) {
    it(`answers fax and messages by handlers, over ${transport === "u1" ? "UDP" : "TCP"}`, async function () {
      needs(this, "sipp");
      const port = await freePort();
      const protocol = transport === "u1" ? "udp" : "tcp";
      const agent = new UserAgent({
        transports: [{ protocol, address: "127.0.0.1", port }],
        mediaHandler: new EmbeddedMediaHandler({ address: "127.0.0.1" }),
      });
      const log: string[] = [];
      const fax = { port: 5104, attributes: ["T38FaxVersion:0"] };
      const chat = { port: 2856, attributes: ["path:msrp://127.0.0.1:2856/x;tcp"] };
      agent.addSdpHandler("image", passive("udptl", fax, log));
      agent.addSdpHandler("message", passive("TCP/MSRP", chat, log));
      const problems: unknown[] = [];
      agent.onIncomingCall = (session) => {
        session.accept().catch((error: unknown) => problems.push(error));
        return true;
      };
      await agent.start();
      try {
        const local = `127.0.0.1:${await freePort()}`;
        const sipp = new Sipp({ scenario, target: `127.0.0.1:${port}`, local, transport });
        assert.equal((await sipp.result()).problem, "");
      } finally {
        await agent.stop();
      }
      assert.deepEqual(problems, []);
      assert.deepEqual(log, ["image 5002", "message 2855", "image declined", "message ended"]);
      assert.equal(agent.counters().sessions, 0);
    });
  }
});
