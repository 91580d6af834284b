/**
 * From server to server (RFC 3263 §4.3): in a dialog, after Retry-After, with connections that are refused; and what
 * a peer may not make us look up. Failover of a first request stands in sending.test.ts.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { SipRequest } from "../../../lib/message/index.js";
import type { DnsClient } from "../../../lib/transport/transport.js";
import { UserAgent } from "../../../lib/user-agent/index.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";

async function setUp(protocol: "udp" | "tcp" = "udp", protocols = [protocol]) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const nothing = () => Promise.reject(Object.assign(new Error("none"), { code: "ENODATA" }));
  const dns: DnsClient = {
    resolveNaptr: nothing,
    resolveSrv: (name) =>
      name === `_sip._${protocol}.home.test`
        ? Promise.resolve(
            ["10.0.0.5", "10.0.0.6"].map((address, i) => ({
              name: address,
              port: 5060,
              priority: i,
              weight: 0,
            })),
          )
        : nothing(),
    resolve4: (name) => (name === "trap.test" ? Promise.resolve(["127.0.0.1"]) : nothing()),
    resolve6: nothing,
  };
  const alice = new Person("alice", "10.0.0.1", network, clock, { protocols, dns });
  const [first, second] = await Promise.all(
    ["10.0.0.5", "10.0.0.6"].map((address) =>
      new ScriptedPeer(network, { name: address, address, protocols: [protocol] }).start(),
    ),
  );
  assert.ok(first && second);
  await alice.userAgent.start();
  return { clock, network, alice, first, second, end: () => endAll(clock, [alice]) };
}

/** Answers a call with its own offer. */
function answerCall(peer: ScriptedPeer, headers: [string, string][]) {
  return (request: SipRequest): void => {
    if (request.method === "ACK") return;
    if (request.method !== "INVITE") return peer.reply(request, 200);
    peer.reply(request, 200, {
      headers: [...headers, ["Content-Type", "application/sdp"]],
      body: Buffer.from(request.text),
    });
  };
}

describe("transports that a target leaves open", () => {
  const redirect = (peer: ScriptedPeer, contact: string) => {
    const answer = answerCall(peer, [["Contact", "<sip:bob@10.0.0.5;transport=tcp>"]]);
    peer.onRequest = (request) =>
      request.method === "INVITE" && request.uri.includes("first@")
        ? peer.reply(request, 302, { headers: [["Contact", contact]] })
        : answer(request);
  };

  it("stay with the connection when its other end sends us to itself (302)", async () => {
    const { clock, alice, first, end } = await setUp("tcp", ["udp", "tcp"]);
    redirect(first, "<sip:second@10.0.0.5>");
    const call = alice.userAgent.invite({ targets: ["sip:first@10.0.0.5;transport=tcp"] });
    await clock.advanceAsync(200);
    assert.equal(call.state, "established");
    assert.equal(first.last("INVITE").uri, "sip:second@10.0.0.5", "dialled as it was given");
    void call.end();
    await clock.advanceAsync(200);
    await end();
  });

  it("are chosen anew for another host or port", async () => {
    const { clock, network, alice, first, end } = await setUp("tcp", ["udp", "tcp"]);
    for (const contact of ["<sip:b@10.0.0.6>", "<sip:b@10.0.0.5:5080>"]) {
      redirect(first, contact);
      const call = alice.userAgent.invite({ targets: ["sip:first@10.0.0.5;transport=tcp"] });
      await clock.advanceAsync(200);
      const last = network.messages.findLast(({ text }) => text.startsWith("INVITE"));
      assert.equal(last?.protocol, "udp", contact);
      void call.end();
      await clock.advanceAsync(40_000);
    }
    await end();
  });

  it("follow the target where the account's server names none", async () => {
    const { clock, network, alice, first, end } = await setUp("tcp", ["udp", "tcp"]);
    alice.userAgent.addAccount({ id: "a", uri: "sip:alice@10.0.0.5", register: false });
    alice.userAgent.addAccount({
      id: "b",
      uri: "sip:alice@10.0.0.5",
      register: false,
      transport: "udp",
    });
    first.onRequest = (request) => first.reply(request, 200);
    const ask = async (account: string) => {
      const to = "sip:bob@10.0.0.5;transport=tcp";
      void alice.userAgent.request({ method: "OPTIONS", account, to });
      await clock.advanceAsync(200);
      return network.messages.findLast(({ text }) => text.startsWith("OPTIONS"))?.protocol;
    };
    assert.deepEqual([await ask("a"), await ask("b")], ["tcp", "udp"]);
    await clock.advanceAsync(40_000);
    await end();
  });
});

describe("failover", () => {
  it("within a dialog goes to the next server of the route, once the first is silent", async () => {
    const { clock, alice, first, second, end } = await setUp();
    first.onRequest = answerCall(first, [
      ["Record-Route", "<sip:home.test;transport=udp;lr>"],
      ["Contact", "<sip:bob@10.0.0.99>"],
    ]);
    second.onRequest = first.onRequest;
    const call = alice.userAgent.invite({ targets: ["sip:bob@home.test;transport=udp"] });
    await clock.advanceAsync(200);
    assert.equal(call.state, "established");
    first.onRequest = () => undefined;
    second.onRequest = (request) => second.reply(request, 200);
    void call.end();
    await clock.advanceAsync(33_000);
    assert.equal(second.last("BYE").uri, "sip:bob@10.0.0.99");
    assert.equal(call.state, "terminated");
    await end();
  });

  it("of what is answered at once takes 8 s, of what an application may think about 32 s", async () => {
    for (const [method, ms] of [
      ["BYE", 8_000],
      ["INFO", 32_000],
    ] as const) {
      const { clock, alice, first, second, end } = await setUp();
      first.onRequest = answerCall(first, [
        ["Record-Route", "<sip:home.test;transport=udp;lr>"],
        ["Contact", "<sip:bob@10.0.0.99>"],
      ]);
      const call = alice.userAgent.invite({ targets: ["sip:bob@home.test;transport=udp"] });
      await clock.advanceAsync(200);
      first.onRequest = () => undefined;
      second.onRequest = (request) => second.reply(request, 200);
      if (method === "BYE") void call.end();
      else void call.request({ method });
      await clock.advanceAsync(ms - 500);
      assert.equal(second.requests.length, 0, method);
      await clock.advanceAsync(1_000);
      assert.equal(second.last(method).uri, "sip:bob@10.0.0.99");
      void call.end();
      await clock.advanceAsync(1_000);
      await end();
    }
  });

  it("takes the ACK along", async () => {
    const { clock, alice, second, end } = await setUp();
    second.onRequest = answerCall(second, [
      ["Record-Route", "<sip:home.test;transport=udp;lr>"],
      ["Contact", "<sip:bob@10.0.0.99>"],
    ]);
    const call = alice.userAgent.invite({ targets: ["sip:bob@home.test;transport=udp"] });
    await clock.advanceAsync(9_000);
    assert.equal(call.state, "established");
    assert.deepEqual(second.methods(), ["INVITE", "ACK"]);
    void call.end();
    await clock.advanceAsync(1_000);
    assert.equal(call.snapshot().cause, "local-bye");
    await end();
  });

  it("leaves a server alone for as long as its Retry-After says", async () => {
    const { clock, alice, first, second, end } = await setUp();
    first.onRequest = (request) => first.reply(request, 503, { headers: [["Retry-After", "120"]] });
    second.onRequest = (request) => second.reply(request, 200);
    const ask = async () => {
      void alice.userAgent.request({ method: "OPTIONS", to: "sip:home.test;transport=udp" });
      await clock.advanceAsync(200);
    };
    await ask();
    assert.deepEqual([first.requests.length, second.requests.length], [1, 1]);
    await clock.advanceAsync(100_000);
    await ask();
    assert.deepEqual([first.requests.length, second.requests.length], [1, 2]);
    await clock.advanceAsync(20_000);
    await ask();
    assert.deepEqual([first.requests.length, second.requests.length], [2, 3]);
    await end();
  });

  it("of an INVITE over TCP is quick when a connection is refused", async () => {
    const { clock, alice, first, second, end } = await setUp("tcp");
    await first.endpoint.stop();
    second.onRequest = answerCall(second, [["Contact", "<sip:bob@10.0.0.6;transport=tcp>"]]);
    const call = alice.userAgent.invite({ targets: ["sip:bob@home.test;transport=tcp"] });
    await clock.advanceAsync(200);
    assert.equal(call.state, "established");
    void call.end();
    await clock.advanceAsync(200);
    second.last("BYE");
    await end();
  });

  it("ends after the last server, with what that one said", async () => {
    const { clock, alice, first, second, end } = await setUp();
    for (const peer of [first, second]) {
      peer.onRequest = (request) => {
        if (request.method !== "ACK") peer.reply(request, 503);
      };
    }
    const asked = alice.userAgent.request({ method: "OPTIONS", to: "sip:home.test;transport=udp" });
    await clock.advanceAsync(200);
    assert.equal((await asked).statusCode, 503);
    await end();
  });

  it("never leads to this machine because a peer's Contact has a name that does", async () => {
    const { clock, network, alice, first, end } = await setUp();
    first.onRequest = answerCall(first, [["Contact", "<sip:bob@trap.test:25>"]]);
    const call = alice.userAgent.invite({ targets: ["sip:bob@10.0.0.5"] });
    await clock.advanceAsync(200);
    void call.end();
    await clock.advanceAsync(40_000);
    assert.equal(call.state, "terminated");
    assert.equal(network.messages.filter(({ to }) => to.startsWith("127.")).length, 0);
    await end();
  });

  it("has nowhere to go with a telephone number and no account", async () => {
    const { alice, end } = await setUp();
    assert.throws(() => alice.userAgent.invite({ targets: ["tel:+4930123456"] }), {
      rule: "bad-target",
    });
    await end();
  });
});

describe("transportTuning", () => {
  it("reaches the sockets: connections per address", async () => {
    const userAgent = new UserAgent({
      transports: [{ protocol: "tcp", address: "127.0.0.1", port: 0 }],
      transportTuning: { maxConnectionsPerAddress: 1 },
    });
    await userAgent.start();
    const port = userAgent.bound[0]?.port ?? 0;
    const sockets = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
    // The second throws the first out, which has never said anything.
    await Promise.race(sockets.map((socket) => once(socket.resume(), "close")));
    assert.ok(sockets.some((socket) => socket.destroyed));
    for (const socket of sockets) socket.destroy();
    await userAgent.stop();
  });
});
