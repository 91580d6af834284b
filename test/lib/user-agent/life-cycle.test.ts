/**
 * Start, registration through the whole user agent, and stop with calls in every state: nothing may be left.
 */
import assert from "node:assert/strict";
import { InvalidArgumentError, InvalidStateError } from "../../../lib/foundation/index.js";
import type { Session } from "../../../lib/session/index.js";
import { UserAgent } from "../../../lib/user-agent/index.js";
import { aliceAndBob, endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock, settle } from "../../support/manual-clock.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";
import type { TransportProtocol } from "../../../lib/transport/transport.js";

async function withRegistrar(protocols: TransportProtocol[] = ["udp"]) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock, { protocols });
  const server = await new ScriptedPeer(network, {
    name: "server",
    address: "10.0.0.5",
    protocols,
  }).start();
  const grant = (seconds: number) => {
    server.onRequest = (request) =>
      server.reply(request, 200, {
        headers: [["Contact", `${request.headers.get("contact")};expires=${seconds}`]],
      });
  };
  grant(600);
  await alice.userAgent.start();
  const account = (change = {}) =>
    alice.userAgent.addAccount({ id: "a", uri: "sip:alice@10.0.0.5", ...change });
  return { clock, network, alice, server, grant, account, end: () => endAll(clock, [alice]) };
}

describe("an account", () => {
  it("registers at once, refreshes within 80–90 %, and un-registers when the stack stops", async () => {
    const { clock, alice, server, account, end } = await withRegistrar();
    const added = account();
    await clock.advanceAsync(10);
    assert.deepEqual(added.registration, { state: "registered", expires: 600 });
    await clock.advanceAsync(479_000);
    assert.equal(server.requests.length, 1);
    await clock.advanceAsync(61_000);
    assert.equal(server.requests.length, 2);
    await end();
    assert.equal(server.requests.length, 3);
    assert.equal(server.last("REGISTER").headers.get("expires"), "0");
    const sequences = server.requests.map(({ cseq }) => cseq.sequence);
    assert.deepEqual(
      sequences,
      [...sequences].sort((a, b) => a - b),
    );
    assert.deepEqual(alice.heardOfStack(), ["registered", "registered", "unregistered"]);
    assert.equal(alice.stackEvents[0]?.expires, 600);
  });

  it("answers 401, 423 and grants as the acceptance peer plays them", async () => {
    const { clock, alice, server, account, end } = await withRegistrar();
    let step = 0;
    server.onRequest = (request) => {
      const contact = request.headers.get("contact") ?? "";
      step++;
      if (step === 1)
        server.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="peer.test", nonce="reg1", qop="auth"']],
        });
      else if (step === 2) server.reply(request, 423, { headers: [["Min-Expires", "20"]] });
      else server.reply(request, 200, { headers: [["Contact", `${contact};expires=20`]] });
    };
    account({ authUser: "test", password: "secret", expires: 10, minExpires: 5 });
    await clock.advanceAsync(100);
    assert.equal(server.requests.length, 3);
    assert.ok(server.requests[1]?.headers.has("authorization"));
    assert.equal(server.requests[2]?.headers.get("expires"), "20");
    const granted = alice.stackEvents.find(({ name }) => name === "registered");
    assert.equal(granted?.expires, 20);
    await clock.advanceAsync(15_900);
    assert.equal(server.requests.length, 3);
    await clock.advanceAsync(2_200);
    assert.equal(server.requests.length, 4, "refreshed before 20 s");
    await end();
  });

  it("shows the registrar's reason when the password is wrong", async () => {
    const { clock, alice, server, account, end } = await withRegistrar();
    server.onRequest = (request) =>
      server.reply(request, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n"']],
      });
    const added = account({ password: "wrong" });
    await clock.advanceAsync(100);
    assert.equal(server.requests.length, 2);
    const { registration } = added;
    assert.equal(registration.state, "failed");
    assert.equal(registration.statusCode, 401);
    assert.equal(registration.reason, "Unauthorized");
    assert.equal(registration.cause, "unauthorized");
    assert.ok((registration.retryIn ?? 0) >= 150);
    const failure = alice.stackEvents.find(({ name }) => name === "registration-failed");
    assert.equal(failure?.statusCode, 401);
    assert.equal(failure.cause, "unauthorized");
    assert.equal(failure.retryAfter, registration.retryIn);
    await end();
  });

  it("tells a silent registrar as timeout and is registered soon after its return", async () => {
    const { clock, alice, server, grant, account, end } = await withRegistrar();
    server.onRequest = () => undefined;
    const added = account();
    await clock.advanceAsync(33_000);
    assert.equal(added.registration.cause, "timeout");
    assert.deepEqual(alice.heardOfStack(), ["registration-failed"]);
    grant(600);
    await clock.advanceAsync(6_000);
    assert.equal(added.registration.state, "registered");
    await end();
  });

  it("registers again when its connection is lost, and tells only of the connection meanwhile", async () => {
    const { clock, network, alice, server, account, end } = await withRegistrar(["tcp"]);
    const added = account({ registrar: "sip:10.0.0.5;transport=tcp" });
    await clock.advanceAsync(100);
    assert.equal(added.registration.state, "registered");
    assert.match(server.requests[0]?.headers.get("contact") ?? "", /;transport=tcp/);
    await server.endpoint.stop();
    network.closeConnections();
    await clock.advanceAsync(100);
    const lost = alice.stackEvents.find(({ name }) => name === "disconnected");
    assert.ok((lost?.connection?.retryIn ?? 0) >= 1);
    await clock.advanceAsync(20_000);
    await server.start();
    await clock.advanceAsync(6_000);
    assert.equal(added.registration.state, "registered");
    assert.equal(alice.heardOfStack().includes("registration-failed"), false);
    assert.equal(alice.heardOfStack().at(-1), "registered");
    await end();
  });

  it("is taken away with its binding while its calls go on", async () => {
    const { clock, alice, server, account, end } = await withRegistrar();
    account();
    await clock.advanceAsync(100);
    void alice.userAgent.removeAccount("a");
    await clock.advanceAsync(100);
    assert.equal(alice.userAgent.accounts.size, 0);
    assert.equal(server.last("REGISTER").headers.get("expires"), "0");
    await clock.advanceAsync(10_000_000);
    assert.equal(server.requests.length, 2);
    await end();
  });

  it("registers and un-registers when it is told to, with the registrar's answer", async () => {
    const { clock, server, account, end } = await withRegistrar();
    const added = account({ register: false });
    await clock.advanceAsync(1_000);
    assert.equal(server.requests.length, 0);
    const yes = added.register();
    await clock.advanceAsync(100);
    assert.deepEqual([(await yes).ok, (await yes).statusCode], [true, 200]);
    const off = added.unregister();
    await clock.advanceAsync(100);
    assert.equal((await off).ok, true);
    assert.equal(added.registration.state, "unregistered");
    await end();
  });

  it("sends reg-id and instance with outbound, and Supported: path always", async () => {
    const { clock, server, account, end } = await withRegistrar();
    account({ outbound: true, instanceId: "urn:uuid:00000000-0000-4000-8000-000000000001" });
    await clock.advanceAsync(100);
    const register = server.last("REGISTER");
    const contact = register.contacts[0];
    assert.equal(contact?.parameters.get("reg-id"), "1");
    assert.equal(
      contact.parameters.get("+sip.instance"),
      "<urn:uuid:00000000-0000-4000-8000-000000000001>",
    );
    assert.ok(register.tokens("supported").includes("path"));
    await end();
  });

  const wrong: [text: string, account: Record<string, unknown>][] = [
    ["no id", { id: "" }],
    ["an id that is taken", { id: "taken" }],
    ["no user", { uri: "sip:example.com" }],
    ["no address", { uri: "" }],
    ["a line break in the address", { uri: "sip:alice@example.com\r\nEvil: 1" }],
    ["a scheme of the web", { uri: "http://example.com" }],
    ["a registrar that is none", { registrar: "http://example.com" }],
    ["a proxy that is none", { outboundProxy: "<<>>" }],
    ["an unknown transport", { transport: "pigeon" }],
    ["a negative time", { expires: -1 }],
    ["a line break in the display name", { displayName: "a\r\nb" }],
  ];
  for (const [text, change] of wrong) {
    it(`is refused with ${text}`, () => {
      const userAgent = new UserAgent({ clock: new ManualClock() });
      userAgent.addAccount({ id: "taken", uri: "sip:x@example.com" });
      const options = { id: "a", uri: "sip:alice@example.com", ...change };
      assert.throws(() => userAgent.addAccount(options), InvalidArgumentError);
    });
  }
});

describe("options", () => {
  const wrong: [text: string, options: Record<string, unknown>][] = [
    ["a network that is none", { allow: ["everyone"] }],
    ["an unknown protocol", { transports: [{ protocol: "sctp", address: "0.0.0.0", port: 5060 }] }],
    [
      "a port out of range",
      { transports: [{ protocol: "udp", address: "0.0.0.0", port: 70_000 }] },
    ],
    ["a status that is no refusal", { unhandledStatus: 200 }],
    ["a limit that is no number", { maxSessions: Number.NaN }],
    ["a line break in the product name", { userAgent: "x\r\ny" }],
  ];
  for (const [text, options] of wrong) {
    it(`with ${text} are refused`, () => {
      assert.throws(() => new UserAgent(options), InvalidArgumentError);
    });
  }
});

describe("start and stop", () => {
  it("cannot be used before start or after stop", async () => {
    const { alice, end } = await aliceAndBob();
    await assert.rejects(alice.userAgent.start(), InvalidStateError);
    await end();
    assert.throws(() => alice.userAgent.invite({ targets: ["sip:x@10.0.0.2"] }), InvalidStateError);
    await assert.rejects(
      alice.userAgent.request({ method: "OPTIONS", to: "sip:x@10.0.0.2" }),
      InvalidStateError,
    );
    await assert.rejects(alice.userAgent.start(), InvalidStateError);
    assert.equal(alice.userAgent.running, false);
    await alice.userAgent.stop();
  });

  it("stops when it was never started, and while it starts", async () => {
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const idle = new Person("idle", "10.0.0.1", network, clock);
    await idle.userAgent.stop();
    const hasty = new Person("hasty", "10.0.0.2", network, clock);
    const started = hasty.userAgent.start();
    const stopped = hasty.userAgent.stop();
    await assert.rejects(started, InvalidStateError);
    await stopped;
    assert.equal(hasty.endpoint.bound.length, 0);
    assert.equal(clock.pendingTimers(), 0);
  });

  it("rejects with the transport's words when a port is taken, and leaves nothing bound", async () => {
    const first = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
    });
    await first.start();
    const port = first.bound[0]?.port;
    const second = new UserAgent({
      transports: [
        { protocol: "tcp", address: "127.0.0.1", port: 0 },
        { protocol: "udp", address: "127.0.0.1", port },
      ],
    });
    await assert.rejects(second.start(), new RegExp(String(port)));
    assert.equal(second.bound.length, 0);
    await first.stop();
  });

  it("answers 503 to what is new while it stops, and lets calls end", async () => {
    const { alice, bob, network, pass, end } = await aliceAndBob();
    alice.takeCalls((session) => void session.accept());
    bob.userAgent.invite({ targets: [alice.uri] });
    await pass(50);
    network.rule((packet) =>
      packet.cseqMethod === "BYE" && packet.label === "200" ? 500 : undefined,
    );
    const stopped = alice.userAgent.stop();
    await pass(10);
    const outcome = bob.userAgent.request({ method: "OPTIONS", to: alice.uri });
    await pass(100);
    const refused = await outcome;
    assert.equal(refused.statusCode, 503);
    await pass(3_000);
    await stopped;
    assert.equal(bob.last("ended").snapshot.cause, "remote-bye");
    await end();
  });

  type Tools = Awaited<ReturnType<typeof aliceAndBob>>;
  const states: [text: string, prepare: (tools: Tools) => Promise<Session | undefined>][] = [
    [
      "an outgoing call that has sent nothing yet",
      ({ alice, bob }) => Promise.resolve(alice.userAgent.invite({ targets: [bob.uri] })),
    ],
    [
      "an outgoing call without any response",
      async ({ alice, network, bob, pass }) => {
        network.drop((packet) => packet.from === "bob");
        const call = alice.userAgent.invite({ targets: [bob.uri] });
        await pass(700);
        return call;
      },
    ],
    [
      "an outgoing call that rings",
      async ({ alice, bob, pass }) => {
        bob.takeCalls((session) => void session.progress());
        const call = alice.userAgent.invite({ targets: [bob.uri] });
        await pass(700);
        return call;
      },
    ],
    [
      "an incoming call that rings",
      async ({ alice, bob, pass }) => {
        alice.takeCalls((session) => void session.progress());
        bob.userAgent.invite({ targets: [alice.uri] });
        await pass(700);
        return alice.calls[0];
      },
    ],
    [
      "an incoming call whose ACK is lost",
      async ({ alice, bob, network, pass }) => {
        alice.takeCalls((session) => void session.accept());
        network.drop((packet) => packet.label === "ACK");
        bob.userAgent.invite({ targets: [alice.uri] });
        await pass(700);
        return alice.calls[0];
      },
    ],
    [
      "an established call",
      async ({ alice, bob, pass }) => {
        bob.takeCalls((session) => void session.accept());
        const call = alice.userAgent.invite({ targets: [bob.uri] });
        await pass(700);
        assert.equal(call.state, "established");
        return call;
      },
    ],
    [
      "an established call whose peer is gone",
      async ({ alice, bob, network, pass }) => {
        bob.takeCalls((session) => void session.accept());
        const call = alice.userAgent.invite({ targets: [bob.uri] });
        await pass(700);
        network.drop((packet) => packet.to === "bob");
        return call;
      },
    ],
    [
      "a call that is being hung up",
      async ({ alice, bob, network, pass }) => {
        bob.takeCalls((session) => void session.accept());
        const call = alice.userAgent.invite({ targets: [bob.uri] });
        await pass(700);
        network.drop((packet) => packet.label === "200");
        void call.end();
        await pass(100);
        return call;
      },
    ],
    [
      "a request without answer",
      async ({ alice, network, bob, pass }) => {
        network.drop((packet) => packet.from === "bob");
        void alice.userAgent.request({ method: "OPTIONS", to: bob.uri });
        await pass(700);
        return undefined;
      },
    ],
    [
      "a held request of the peer",
      async ({ alice, bob, pass }) => {
        alice.userAgent.requestPolicy = () => ({ listened: true, holdMs: 20_000 });
        void bob.userAgent.request({ method: "MESSAGE", to: alice.uri });
        await pass(700);
        return undefined;
      },
    ],
    [
      "a name that is being looked up",
      async ({ alice, pass }) => {
        const call = alice.userAgent.invite({ targets: ["sip:x@slow.example"] });
        await pass(0);
        return call;
      },
    ],
  ];
  for (const [text, prepare] of states) {
    it(`stops with ${text} and leaves nothing`, async () => {
      const tools = await aliceAndBob();
      const { alice, clock } = tools;
      const call = await prepare(tools);
      let stopped = false;
      void alice.userAgent.stop().then(() => (stopped = true));
      await clock.advanceAsync(2_600);
      assert.equal(stopped, true, "within its time");
      if (call) {
        assert.equal(call.state, "terminated");
        const last = alice.events.at(-1)?.[1];
        assert.ok(last?.name === "ended" || last?.name === "failed");
        const finals = alice.heard(call).filter((name) => name === "ended" || name === "failed");
        assert.equal(finals.length, 1);
      }
      await clock.advanceAsync(40_000);
      await tools.end();
    });
  }

  it("settles requests without answer as shutdown", async () => {
    const { alice, bob, network, pass, end } = await aliceAndBob();
    network.drop((packet) => packet.from === "bob");
    const outcome = alice.userAgent.request({ method: "OPTIONS", to: bob.uri });
    await pass(100);
    await end();
    const failure = await outcome;
    assert.ok(!failure.ok && failure.cause === "shutdown");
    await settle();
  });
});
