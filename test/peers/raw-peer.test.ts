/**
 * The acceptance peer's byte-level cases in which the product is the one that sends: digest with several algorithms, requests
 * too large for a datagram, and a registrar that asks for everything at once. Run where that peer stands beside the checkout.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause, projectRoot } from "../support/node-red.js";
import { needs, PeerProcess } from "../support/peers/process.js";
import { Sipp } from "../support/peers/sipp.js";
import { freePort } from "../support/ports.js";

const folder = resolve(projectRoot, "../shared/peers/sip");
const rawPeer = join(folder, "rawpeer.js");

describe("the raw peer as server", function () {
  this.timeout(90_000);
  let nodeRed: NodeRed;

  before(async function () {
    if (!existsSync(rawPeer)) {
      console.error("      NOT TESTED: the raw peer is not beside this checkout");
      this.skip();
    }
    needs(this, "sipp");
    nodeRed = await NodeRed.start();
  });

  after(async () => {
    await nodeRed?.stop();
  });

  /** An account at `server` and an entry that calls it with `msg.headers`. */
  async function flowFor(server: string, account: Record<string, unknown> = {}): Promise<void> {
    const flow = new FlowBuilder();
    const stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
    });
    const id = flow.config("sip-account", {
      stack,
      uri: `sip:test@${server}`,
      register: false,
      ...account,
    });
    const invite = flow.node(
      "sip-invite",
      { stack, account: id, to: "to", toType: "msg" },
      flow.captures("call", 4),
    );
    flow.entry("call", [invite]);
    flow.node(
      "sip-event",
      { stack, events: ["registered", "unregistered", "registration-failed"] },
      [[flow.capture("events")]],
    );
    await nodeRed.deploy(flow.build(), { credentials: { [id]: { password: "secret" } } });
    await nodeRed.clearCaptured();
  }

  const digests: [string, string[]][] = [
    ["SHA-256 before MD5", ["--alg", "SHA-256,MD5"]],
    ["SHA-256 alone", ["--alg", "SHA-256"]],
    ["SHA-512-256 before SHA-256", ["--alg", "SHA-512-256,SHA-256"]],
    ["MD5 with auth and auth-int", ["--alg", "MD5", "--qop", "auth,auth-int"]],
  ];
  let host = 10;
  for (const [title, options] of digests) {
    it(`registers against ${title}`, async () => {
      const server = `127.0.64.${host++}:5070`;
      const peer = PeerProcess.start(process.execPath, [rawPeer, "digest", server, ...options]);
      await pause(300);
      await flowFor(server, { register: true });
      await peer.exited();
      assert.equal(peer.exitCode, 0, peer.log);
    });
  }

  it("calls against a challenge of the proxy", async () => {
    const server = `127.0.64.${host++}:5070`;
    const peer = PeerProcess.start(process.execPath, [
      rawPeer,
      "digest",
      server,
      "--alg",
      "SHA-256,MD5",
    ]);
    await pause(300);
    await flowFor(server);
    await nodeRed.inject("call", { to: `sip:x@${server}` });
    await peer.exited();
    assert.equal(peer.exitCode, 0, peer.log);
  });

  it("moves a request of more than 1300 bytes to TCP", async () => {
    const server = `127.0.64.${host++}:5070`;
    const peer = PeerProcess.start(process.execPath, [rawPeer, "listen_big", server]);
    await pause(300);
    await flowFor(server);
    await nodeRed.inject("call", {
      to: `sip:x@${server}`,
      headers: { "X-Long": "x".repeat(1200) },
    });
    await peer.exited();
    assert.equal(peer.exitCode, 0, peer.log);
  });

  it("falls back to UDP when the peer does not listen on TCP", async () => {
    const server = `127.0.64.${host++}:5070`;
    const sipp = new Sipp({
      scenario: join(projectRoot, "test/peers/sipp/out/out-busy.xml"),
      local: server,
    });
    await pause(300);
    await flowFor(server);
    await nodeRed.inject("call", {
      to: `sip:x@${server}`,
      headers: { "X-Long": "x".repeat(1200) },
    });
    assert.equal((await sipp.result()).problem, "");
  });

  it("registers where everything is asked for (401, 423, short expiry), refreshes, un-registers at the end", async () => {
    const server = `127.0.64.${host++}:5070`;
    const sipp = new Sipp({
      scenario: join(folder, "sipp/out/o21_register.xml"),
      local: server,
      limitSeconds: 70,
    });
    await pause(300);
    await flowFor(server, { register: true, expires: 10, minExpires: 5 });
    await nodeRed.waitFor("events", 1, 40_000);
    await nodeRed.stop();
    assert.equal((await sipp.result()).problem, "");
  });
});
