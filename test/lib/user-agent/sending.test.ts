/**
 * The way of outgoing requests: failover (RFC 3263 §4.3), large requests over TCP (RFC 3261 §18.1.1), CANCEL (§9.1),
 * routes (§8.1.2, RFC 3608), connection reuse in dialogs.
 */
import assert from "node:assert/strict";
import { exchangeMachine } from "../../../lib/user-agent/client-exchange-state.js";
import { userAgentMachine } from "../../../lib/user-agent/user-agent-state.js";
import type { DnsClient } from "../../../lib/transport/transport.js";
import { aliceAndBob, endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";

const none = <T>(): Promise<T[]> =>
  Promise.reject(Object.assign(new Error("ENOTFOUND"), { code: "ENOTFOUND" }));

/** example.com: two servers by SRV, the first with priority. */
const dns: DnsClient = {
  resolveNaptr: none,
  resolveSrv: (name) =>
    name === "_sip._udp.example.com"
      ? Promise.resolve([
          { priority: 1, weight: 0, port: 5060, name: "first.example.com" },
          { priority: 2, weight: 0, port: 5060, name: "second.example.com" },
        ])
      : none(),
  resolve4: (name) =>
    name === "first.example.com"
      ? Promise.resolve(["10.0.0.11"])
      : name === "second.example.com"
        ? Promise.resolve(["10.0.0.12"])
        : none(),
  resolve6: none,
};

async function setUp(options: PersonOptions = {}) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock, { dns, ...options });
  const first = await new ScriptedPeer(network, { name: "first", address: "10.0.0.11" }).start();
  const second = await new ScriptedPeer(network, { name: "second", address: "10.0.0.12" }).start();
  await alice.userAgent.start();
  const message = (to = "sip:bob@example.com", body = "hello") =>
    alice.userAgent.request({ method: "MESSAGE", to, contentType: "text/plain", body });
  return { clock, network, alice, first, second, message, end: () => endAll(clock, [alice]) };
}

describe("failover", () => {
  it("goes to the next server after a 503, with a new branch and the same Call-ID", async () => {
    const { clock, first, second, message, end } = await setUp();
    first.onRequest = (request) => first.reply(request, 503);
    second.onRequest = (request) => second.reply(request, 200);
    const outcome = message();
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, true);
    const [a, b] = [first.last("MESSAGE"), second.last("MESSAGE")];
    assert.equal(a.callId, b.callId);
    assert.equal(a.cseq.sequence, b.cseq.sequence);
    assert.notEqual(a.topVia.branch, b.topVia.branch);
    assert.equal(b.vias.length, 1);
    await end();
  });

  it("goes to the next server after 64·T1 of silence, and does not ask the dead one first again", async () => {
    const { clock, first, second, message, end } = await setUp();
    second.onRequest = (request) => second.reply(request, 200);
    const outcome = message();
    await clock.advanceAsync(31_900);
    assert.equal(second.requests.length, 0);
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, true);
    const sent = first.requests.length;
    const next = message();
    await clock.advanceAsync(1_000);
    assert.equal((await next).ok, true);
    assert.equal(first.requests.length, sent);
    await end();
  });

  it("goes to the next server when sending fails", async () => {
    const { clock, network, second, message, end } = await setUp();
    network.rule((packet) =>
      packet.to.includes("first") || packet.to.includes("10.0.0.11") ? "fail" : undefined,
    );
    second.onRequest = (request) => second.reply(request, 200);
    const outcome = message();
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, true);
    await end();
  });

  it("passes the last 503 up when no server is left", async () => {
    const { clock, first, second, message, end } = await setUp();
    first.onRequest = (request) => first.reply(request, 503);
    second.onRequest = (request) => second.reply(request, 503, { headers: [["Retry-After", "9"]] });
    const outcome = message();
    await clock.advanceAsync(1_000);
    const failure = await outcome;
    assert.ok(!failure.ok);
    assert.equal(failure.statusCode, 503);
    assert.equal(failure.retryAfter, 9);
    await end();
  });

  it("does not ring at a second server after the first has rung", async () => {
    const { clock, alice, first, second, end } = await setUp();
    first.onRequest = (request) => {
      if (request.method !== "INVITE") return;
      first.reply(request, 180, { toTag: "x" });
      first.reply(request, 503, { toTag: "x" });
    };
    alice.userAgent.invite({ targets: ["sip:bob@example.com"] });
    await clock.advanceAsync(1_000);
    assert.equal(second.requests.length, 0);
    assert.equal(alice.last("failed").snapshot.cause, "unavailable");
    await end();
  });

  it("tells an unknown host as dns-error with a text that names it", async () => {
    const { clock, message, end } = await setUp();
    const outcome = message("sip:bob@nowhere.example");
    await clock.advanceAsync(20_000);
    const failure = await outcome;
    assert.ok(!failure.ok);
    assert.equal(failure.cause, "dns-error");
    assert.match(failure.reason ?? "", /nowhere\.example/);
    await end();
  });

  it("tells silence as timeout", async () => {
    const { clock, message, end } = await setUp();
    const outcome = message("sip:bob@10.0.0.99");
    await clock.advanceAsync(40_000);
    const failure = await outcome;
    assert.ok(!failure.ok && failure.cause === "timeout" && failure.statusCode === 0);
    await end();
  });
});

describe("large requests", () => {
  const large = "x".repeat(1_400);

  it("move to TCP, with a Via and Contact of TCP", async () => {
    const { alice, bob, network, pass, end } = await aliceAndBob();
    bob.takeCalls((session) => void session.accept());
    bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 0 });
    const outcome = alice.userAgent.request({
      method: "MESSAGE",
      to: bob.uri,
      contentType: "text/plain",
      body: large,
    });
    await pass(1_000);
    assert.equal((await outcome).ok, true);
    assert.deepEqual(
      network.messages.map(({ protocol }) => protocol),
      ["tcp", "tcp"],
    );
    assert.match(network.messages[0]?.text ?? "", /Via: SIP\/2\.0\/TCP/);
    const call = alice.userAgent.invite({
      targets: [bob.uri],
      headers: [["X-Filler", large]],
    });
    await pass(100);
    const invite = network.messages.find(({ label }) => label === "INVITE");
    assert.equal(invite?.protocol, "tcp");
    assert.match(invite?.text ?? "", /Contact: <sip:[^>]*;transport=tcp>/);
    void call.end();
    await pass(100);
    await end();
  });

  it("fall back to a datagram when TCP is refused", async () => {
    const { clock, network, first, message, end } = await setUp();
    first.onRequest = (request) => first.reply(request, 200);
    const outcome = message("sip:bob@10.0.0.11", large);
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, true);
    assert.equal(network.messages[0]?.protocol, "udp");
    await end();
  });

  it("stay on UDP when the address demands it", async () => {
    const { clock, network, first, message, end } = await setUp();
    first.onRequest = (request) => first.reply(request, 200);
    const outcome = message("sip:bob@10.0.0.11;transport=udp", large);
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, true);
    assert.equal(network.messages[0]?.protocol, "udp");
    await end();
  });
});

describe("CANCEL", () => {
  it("waits for a provisional response", async () => {
    const { clock, alice, first, end } = await setUp();
    const call = alice.userAgent.invite({ targets: ["sip:bob@10.0.0.11"] });
    await clock.advanceAsync(100);
    void call.end();
    await clock.advanceAsync(3_000);
    assert.equal(first.methods().includes("CANCEL"), false);
    first.reply(first.last("INVITE"), 180, { toTag: "t" });
    await clock.advanceAsync(10);
    const cancel = first.last("CANCEL");
    const invite = first.last("INVITE");
    assert.equal(cancel.topVia.branch, invite.topVia.branch);
    assert.equal(cancel.uri, invite.uri);
    assert.equal(cancel.cseq.sequence, invite.cseq.sequence);
    first.reply(cancel, 200);
    first.reply(invite, 487, { toTag: "t" });
    await clock.advanceAsync(10);
    assert.equal(alice.last("failed").snapshot.cause, "cancelled");
    await end();
  });

  it("is given up 64·T1 later when no final response follows", async () => {
    const { clock, alice, first, end } = await setUp();
    first.onRequest = (request) => {
      if (request.method === "INVITE") first.reply(request, 180, { toTag: "t" });
      if (request.method === "CANCEL") first.reply(request, 200);
    };
    const call = alice.userAgent.invite({ targets: ["sip:bob@10.0.0.11"] });
    await clock.advanceAsync(100);
    void call.end();
    await clock.advanceAsync(31_000);
    assert.equal(call.state, "terminating");
    await clock.advanceAsync(2_000);
    assert.equal(call.state, "terminated");
    assert.equal(alice.last("failed").snapshot.cause, "cancelled");
    await end();
  });

  it("sends nothing at all when the call is over before its first packet", async () => {
    const { clock, alice, network, end } = await setUp();
    const call = alice.userAgent.invite({ targets: ["sip:bob@example.com"] });
    void call.end();
    await clock.advanceAsync(1_000);
    assert.deepEqual(network.labels(), []);
    assert.equal(alice.last("failed").snapshot.cause, "cancelled");
    await end();
  });
});

describe("routes", () => {
  async function withAccount(account: Record<string, unknown>) {
    const tools = await setUp();
    tools.alice.userAgent.addAccount({
      id: "a",
      uri: "sip:alice@pbx.invalid",
      register: false,
      ...account,
    });
    for (const peer of [tools.first, tools.second])
      peer.onRequest = (request) => peer.reply(request, 200);
    const send = async (to: string) => {
      const outcome = tools.alice.userAgent.request({ method: "MESSAGE", to, account: "a" });
      await tools.clock.advanceAsync(1_000);
      return outcome;
    };
    return { ...tools, send };
  }

  it("send everything of an account with outbound proxy there, with a Route", async () => {
    const { first, send, end } = await withAccount({ outboundProxy: "sip:10.0.0.11" });
    assert.equal((await send("sip:bob@10.0.0.12")).ok, true);
    const request = first.last("MESSAGE");
    assert.equal(request.uri, "sip:bob@10.0.0.12");
    assert.deepEqual(request.headers.getAll("route"), ["<sip:10.0.0.11;lr>"]);
    await end();
  });

  it("send what is in the account's domain to its registrar", async () => {
    const { first, second, send, end } = await withAccount({ registrar: "sip:10.0.0.11" });
    assert.equal((await send("200")).ok, true);
    assert.equal(first.last("MESSAGE").uri, "sip:200@pbx.invalid");
    assert.equal((await send("tel:+4930123")).ok, true);
    assert.equal(first.last("MESSAGE").uri, "sip:+4930123@pbx.invalid;user=phone");
    assert.equal((await send("sip:bob@10.0.0.12")).ok, true);
    assert.equal(second.requests.length, 1);
    await end();
  });

  it("follow the Service-Route of the registration", async () => {
    const { alice, clock, first, second, send, end } = await withAccount({
      registrar: "sip:10.0.0.11",
    });
    first.onRequest = (request) =>
      first.reply(request, 200, {
        headers: [
          ["Contact", `${request.headers.get("contact")};expires=600`],
          ["Service-Route", "<sip:10.0.0.12;lr>, <sip:core.invalid;lr>"],
        ],
      });
    void alice.userAgent.accounts.get("a")?.register();
    await clock.advanceAsync(100);
    assert.equal((await send("200")).ok, true);
    assert.deepEqual(
      second.last("MESSAGE").routes.map((route) => route.toString()),
      ["<sip:10.0.0.12;lr>", "<sip:core.invalid;lr>"],
    );
    assert.equal(first.methods().filter((method) => method === "MESSAGE").length, 0);
    await end();
  });

  it("put a strict router into the Request-URI", async () => {
    const { alice, clock, first, second, send, end } = await withAccount({
      registrar: "sip:10.0.0.11",
    });
    first.onRequest = (request) =>
      first.reply(request, 200, {
        headers: [
          ["Contact", `${request.headers.get("contact")};expires=600`],
          ["Service-Route", "<sip:10.0.0.12>"],
        ],
      });
    void alice.userAgent.accounts.get("a")?.register();
    await clock.advanceAsync(100);
    assert.equal((await send("200")).ok, true);
    assert.equal(second.last("MESSAGE").uri, "sip:10.0.0.12");
    assert.deepEqual(second.last("MESSAGE").headers.getAll("route"), ["<sip:200@pbx.invalid>"]);
    await end();
  });
});

describe("calls over a connection", () => {
  it("keep to their connection for every request of the dialog, both ways", async () => {
    const { alice, bob, network, pass, end } = await aliceAndBob();
    bob.takeCalls((session) => void session.accept());
    const call = alice.userAgent.invite({ targets: [`${bob.uri};transport=tcp`] });
    await pass(100);
    assert.equal(call.state, "established");
    void bob.calls[0]?.end();
    await pass(100);
    assert.ok(network.messages.every(({ protocol }) => protocol === "tcp"));
    const { connections } = alice.userAgent.counters();
    assert.equal(connections, 1);
    await end();
  });
});

describe("tables of the user agent", () => {
  const expected: Record<string, Record<string, string>> = {
    resolving: { targets: "connecting", unreachable: "ended", cancel: "ended", abandon: "ended" },
    connecting: {
      flow: "building",
      nextTarget: "connecting",
      unreachable: "ended",
      cancel: "ended",
      abandon: "ended",
    },
    building: {
      built: "calling",
      tooLarge: "connecting",
      buildFailed: "ended",
      cancel: "ended",
      abandon: "ended",
    },
    calling: {
      provisional: "proceeding",
      final: "completed",
      retry: "calling",
      challenged: "asking",
      nextTarget: "connecting",
      connectionLost: "connecting",
      unreachable: "ended",
      cancel: "cancelPending",
      abandon: "ended",
    },
    proceeding: {
      provisional: "proceeding",
      final: "completed",
      retry: "calling",
      challenged: "asking",
      nextTarget: "connecting",
      unreachable: "ended",
      cancel: "cancelling",
      expired: "ended",
      abandon: "ended",
    },
    asking: { retry: "calling", refused: "completed", cancel: "completed", abandon: "ended" },
    cancelPending: {
      provisional: "cancelling",
      final: "completed",
      unreachable: "ended",
      abandon: "ended",
    },
    cancelling: {
      provisional: "cancelling",
      final: "completed",
      unreachable: "ended",
      cancelExpired: "ended",
      abandon: "ended",
    },
    completed: { final: "completed", abandon: "ended" },
    ended: {},
    idle: { start: "starting", stop: "stopped" },
    starting: { bound: "running", bindFailed: "stopped", stop: "stopped" },
    running: { drain: "draining", stop: "stopping" },
    draining: { callsOver: "drained", resume: "running", stop: "stopping" },
    drained: { resume: "running", stop: "stopping" },
    stopping: { ended: "stopped" },
    stopped: {},
  };
  for (const machine of [exchangeMachine, userAgentMachine]) {
    for (const [state, row] of Object.entries(machine.table)) {
      it(`of ${machine.name}: every input in ${state}`, () => {
        for (const input of machine.inputs as readonly string[]) {
          const cell = (row as Record<string, { next: string } | undefined>)[input];
          assert.equal(cell?.next, expected[state]?.[input], `${state} × ${input}`);
        }
      });
    }
  }
});
