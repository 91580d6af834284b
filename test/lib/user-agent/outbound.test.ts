/**
 * Registration in full through a whole user agent: outbound, GRUU, keep-alives, public address, extras, failover.
 * 1 RFC 5626  2 RFC 5627  3 RFC 3581  4 keep-alive by OPTIONS  5 several servers  6 several accounts  7 cached proxy
 */
import assert from "node:assert/strict";
import type { SipRequest } from "../../../lib/message/index.js";
import type { AccountOptions } from "../../../lib/user-agent/index.js";
import type { DnsClient, TransportProtocol } from "../../../lib/transport/transport.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";

type Headers = [string, string][];

/** Alice, and servers at 10.0.0.5, 10.0.0.6 … that grant 600 s. */
async function setUp(options: { protocols?: TransportProtocol[]; servers?: number } = {}) {
  const { protocols = ["udp"], servers: count = 1 } = options;
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const addresses = Array.from({ length: count }, (_, i) => `10.0.0.${5 + i}`);
  const asked: string[] = [];
  const nothing = () => Promise.reject(Object.assign(new Error("none"), { code: "ENODATA" }));
  const dns: DnsClient = {
    resolveNaptr: nothing,
    resolveSrv: (name) => {
      asked.push(name);
      if (!name.endsWith("home.test")) return nothing();
      return Promise.resolve(
        addresses.map((address, i) => ({ name: address, port: 5060, priority: i, weight: 1 })),
      );
    },
    resolve4: nothing,
    resolve6: nothing,
  };
  const alice = new Person("alice", "10.0.0.1", network, clock, { protocols, dns });
  const servers: ScriptedPeer[] = [];
  for (const address of addresses) {
    servers.push(await new ScriptedPeer(network, { name: address, address, protocols }).start());
  }
  const grant = (more: Headers = [], parameters = "", via?: (request: SipRequest) => void) => {
    for (const server of servers) {
      server.onRequest = (request) => {
        if (request.method !== "REGISTER") return server.reply(request, 200);
        via?.(request);
        const contacts = request.contacts.filter((c) => c.parameters.get("expires") !== "0");
        const list = contacts.map((c) => `${c.toString()};expires=600${parameters}`);
        server.reply(request, 200, { headers: [["Contact", list.join(", ")], ...more] });
      };
    }
  };
  grant();
  await alice.userAgent.start();
  const account = (change: Partial<AccountOptions> = {}) =>
    alice.userAgent.addAccount({ id: "a", uri: "sip:alice@10.0.0.5", ...change });
  const [server] = servers as [ScriptedPeer];
  const end = () => endAll(clock, [alice]);
  return { clock, network, alice, server, servers, asked, grant, account, end };
}

const INSTANCE = "urn:uuid:00000000-0000-4000-8000-000000000001";

/** Puts another source into the Via that the answer copies. */
function seenAs(address: string, port: number): (request: SipRequest) => void {
  return (request) => {
    const via = request.headers.get("via") ?? "";
    request.headers.set(
      "Via",
      via.replace(/;rport(=\d*)?|;received=[^;]*/g, "") + `;received=${address};rport=${port}`,
    );
  };
}

describe("outbound (RFC 5626)", () => {
  it("asks for outbound and a GRUU only where the account wants them", async () => {
    const plain = await setUp();
    plain.account();
    await plain.clock.advanceAsync(100);
    assert.deepEqual(plain.server.last("REGISTER").tokens("supported").includes("outbound"), false);
    assert.equal(plain.server.last("REGISTER").contacts[0]?.parameters.has("reg-id"), false);
    await plain.end();
    const { clock, server, account, end } = await setUp();
    account({ outbound: true, instanceId: INSTANCE });
    await clock.advanceAsync(100);
    const register = server.last("REGISTER");
    for (const tag of ["path", "outbound", "gruu"]) {
      assert.ok(register.tokens("supported").includes(tag), tag);
    }
    const { parameters } = register.contacts[0];
    assert.equal(parameters.get("reg-id"), "1");
    assert.equal(parameters.get("+sip.instance"), `<${INSTANCE}>`);
    await end();
  });

  it("shows ob in the Contact of a call once the registrar keeps the flow", async () => {
    const { clock, alice, server, grant, account, end } = await setUp();
    grant([["Require", "outbound"]]);
    account({ outbound: true });
    await clock.advanceAsync(100);
    alice.userAgent.invite({ targets: ["bob"], account: "a" });
    await clock.advanceAsync(100);
    assert.match(server.last("INVITE").headers.get("contact") ?? "", /<sip:alice@[^>]*;ob>/);
    await end();
  });

  it("registers without reg-id when the first hop cannot do outbound (439)", async () => {
    const { clock, alice, server, grant, account, end } = await setUp();
    grant();
    const ok = server.onRequest;
    server.onRequest = (request) => {
      if (request.contacts[0]?.parameters.has("reg-id")) server.reply(request, 439);
      else ok(request);
    };
    const added = account({ outbound: true, instanceId: INSTANCE });
    await clock.advanceAsync(100);
    assert.equal(added.registration.state, "registered");
    assert.equal(server.requests.length, 2);
    const register = server.last("REGISTER");
    assert.ok(!register.tokens("supported").includes("outbound"));
    assert.equal(register.contacts[0]?.parameters.get("+sip.instance"), `<${INSTANCE}>`);
    assert.deepEqual(alice.heardOfStack(), ["registered"]);
    await end();
  });

  it("keeps the flow up as Flow-Timer says", async () => {
    const { clock, alice, server, grant, account, end } = await setUp();
    grant([
      ["Require", "outbound"],
      ["Flow-Timer", "30"],
    ]);
    const asked: unknown[] = [];
    const flow = alice.endpoint.datagramFlow("10.0.0.5", 5060);
    Object.assign(flow, {
      retain: (keepAlive: unknown) => {
        asked.push(keepAlive);
        return () => asked.push("released");
      },
    });
    account({ outbound: true });
    await clock.advanceAsync(100);
    assert.deepEqual(asked, [{ intervalMs: 28_000, pongExpected: true }]);
    grant();
    void alice.userAgent.accounts.get("a")?.register();
    await clock.advanceAsync(100);
    assert.equal(server.requests.length, 2);
    assert.deepEqual(asked.slice(1), ["released", { intervalMs: undefined, pongExpected: false }]);
    await end();
  });

  it("tries again within seconds after 430 Flow Failed", async () => {
    const { clock, server, grant, account, end } = await setUp();
    server.onRequest = (request) => server.reply(request, 430);
    const added = account({ outbound: true });
    await clock.advanceAsync(100);
    assert.ok((added.registration.retryIn ?? 99) <= 5);
    grant();
    await clock.advanceAsync(5_100);
    assert.equal(added.registration.state, "registered");
    await end();
  });

  it("carries the requests of a call over the recovered flow", async () => {
    const { clock, network, alice, server, account, end } = await setUp({ protocols: ["tcp"] });
    account({ registrar: "sip:10.0.0.5;transport=tcp", outbound: true });
    await clock.advanceAsync(100);
    const ok = server.onRequest;
    server.onRequest = (request) => {
      if (request.method !== "INVITE") return request.method === "ACK" ? undefined : ok(request);
      const offer = request.text;
      server.reply(request, 200, {
        headers: [
          ["Contact", "<sip:x7k2.invalid;transport=tcp>"],
          ["Content-Type", "application/sdp"],
        ],
        body: Buffer.from(offer),
      });
    };
    const call = alice.userAgent.invite({ targets: ["bob"], account: "a" });
    await clock.advanceAsync(100);
    assert.equal(call.state, "established");
    network.closeConnections();
    await clock.advanceAsync(5_000);
    const routes = alice.events.filter(([, { name }]) => name === "route");
    assert.deepEqual(
      routes.map(([, { route }]) => route),
      ["down", "up"],
    );
    void call.end();
    await clock.advanceAsync(100);
    server.last("BYE");
    assert.equal(call.state, "terminated");
    await end();
  });
});

describe("GRUU (RFC 5627)", () => {
  it("is the Contact of dialogs and reaches the account again", async () => {
    const { clock, alice, server, grant, account, end } = await setUp();
    const gruu = `sip:alice@10.0.0.5;gr=${INSTANCE}`;
    grant([], `;pub-gruu="${gruu}"`);
    account({ outbound: true, instanceId: INSTANCE });
    await clock.advanceAsync(100);
    alice.userAgent.invite({ targets: ["bob"], account: "a" });
    await clock.advanceAsync(100);
    assert.equal(server.last("INVITE").headers.get("contact"), `<${gruu}>`);
    assert.ok(server.last("INVITE").tokens("supported").includes("gruu"));
    await end();
  });

  for (const bad of ["mailto:alice@10.0.0.5;gr", "sip:alice@10.0.0.5", "nonsense"]) {
    it(`is not believed as ${bad}`, async () => {
      const { clock, alice, server, grant, account, end } = await setUp();
      grant([], `;pub-gruu="${bad}"`);
      account({ outbound: true });
      await clock.advanceAsync(100);
      alice.userAgent.invite({ targets: ["bob"], account: "a" });
      await clock.advanceAsync(100);
      assert.match(server.last("INVITE").headers.get("contact") ?? "", /<sip:alice@10\.0\.0\.1/);
      await end();
    });
  }
});

describe("the address that the registrar saw (RFC 3581)", () => {
  it("takes the place of our own in the binding and in calls, and the old binding is taken away", async () => {
    const { clock, alice, server, grant, account, end } = await setUp();
    grant([], "", seenAs("203.0.113.9", 40123));
    account();
    await clock.advanceAsync(100);
    assert.equal(server.requests.length, 2);
    const [old, fresh] = server.last("REGISTER").contacts;
    assert.equal(old?.parameters.get("expires"), "0");
    assert.match(old.uri.toString(), /@10\.0\.0\.1/);
    assert.match(fresh?.uri.toString() ?? "", /^sip:alice@203\.0\.113\.9:40123;line=/);
    assert.deepEqual(alice.heardOfStack(), ["registered"], "told once");
    alice.userAgent.invite({ targets: ["bob"], account: "a" });
    await clock.advanceAsync(100);
    assert.match(server.last("INVITE").headers.get("contact") ?? "", /@203\.0\.113\.9:40123/);
    await clock.advanceAsync(540_000);
    assert.equal(server.last("REGISTER").contacts.length, 1);
    await end();
  });

  it("is followed when the NAT takes another port", async () => {
    const { clock, server, grant, account, end } = await setUp();
    grant([], "", seenAs("203.0.113.9", 40123));
    account();
    await clock.advanceAsync(100);
    grant([], "", seenAs("203.0.113.9", 50000));
    await clock.advanceAsync(541_000);
    assert.match(server.last("REGISTER").contacts[1]?.uri.toString() ?? "", /:50000/);
    await end();
  });

  it("is given up when the registrar refuses such a Contact", async () => {
    const { clock, server, grant, account, end } = await setUp();
    grant([], "", seenAs("203.0.113.9", 40123));
    const ok = server.onRequest;
    server.onRequest = (request) => {
      if (request.contacts.length > 1) server.reply(request, 403);
      else ok(request);
    };
    const added = account();
    await clock.advanceAsync(100);
    assert.equal(added.registration.state, "registered");
    assert.equal(server.requests.length, 3);
    assert.match(server.last("REGISTER").contacts[0]?.uri.toString() ?? "", /@10\.0\.0\.1/);
    await end();
  });

  for (const [text, address, port] of [
    ["this machine", "127.0.0.1", 5060],
    ["a group", "224.0.0.1", 5060],
    ["no address", "evil.example", 5060],
    ["port 0", "203.0.113.9", 0],
  ] as const) {
    it(`is not believed when it is ${text}`, async () => {
      const { clock, server, grant, account, end } = await setUp();
      grant([], "", seenAs(address, port));
      account();
      await clock.advanceAsync(100);
      assert.equal(server.requests.length, 1);
      await end();
    });
  }

  it("is left alone with learnPublicAddress off", async () => {
    const { clock, server, grant, account, end } = await setUp();
    grant([], "", seenAs("203.0.113.9", 40123));
    account({ learnPublicAddress: false });
    await clock.advanceAsync(100);
    assert.equal(server.requests.length, 1);
    await end();
  });
});

describe("extras in the Contact", () => {
  it("stand in the binding, URI parameters in calls as well", async () => {
    const { clock, alice, server, account, end } = await setUp();
    account({ contactParams: 'q=0.5;+sip.tag="a b"', contactUriParams: "ob;x-line=3" });
    await clock.advanceAsync(100);
    const contact = server.last("REGISTER").headers.get("contact") ?? "";
    assert.match(contact, /;ob;x-line=3>;q=0\.5;\+sip\.tag="a b"$/);
    alice.userAgent.invite({ targets: ["bob"], account: "a" });
    await clock.advanceAsync(100);
    assert.match(server.last("INVITE").headers.get("contact") ?? "", /;ob;x-line=3>$/);
    await end();
  });

  for (const [text, change] of [
    ["a line break", { contactParams: "q=1\r\nEvil: 1" }],
    ["a line break in the URI's", { contactUriParams: "ob\r\nEvil: 1" }],
    ["a bracket", { contactUriParams: "ob>;expires=0" }],
    ["what the stack writes itself", { contactParams: "expires=1" }],
    ["the mark of the binding", { contactUriParams: "line=1" }],
    ["an instance that is no URN", { instanceId: "x>" }],
    ["a keep-alive below 5 s", { keepAlive: 1 }],
  ] as const) {
    it(`are refused with ${text}`, async () => {
      const { account, end } = await setUp();
      assert.throws(() => account(change), { rule: "bad-account" });
      await end();
    });
  }
});

describe("several servers behind one name", () => {
  const HOME = { uri: "sip:alice@home.test" };

  it("are watched over UDP by OPTIONS: the registration moves within 32 s, and stays where it is", async () => {
    const { clock, servers, account, end } = await setUp({ servers: 2 });
    const [first, second] = servers as [ScriptedPeer, ScriptedPeer];
    account(HOME);
    await clock.advanceAsync(30_000);
    assert.ok(first.requests.filter(({ method }) => method === "OPTIONS").length >= 1);
    assert.equal(second.requests.length, 0);
    first.onRequest = () => undefined;
    await clock.advanceAsync(32_000);
    assert.equal(second.last("REGISTER").contacts.length, 1);
    await clock.advanceAsync(600_000);
    assert.ok(second.requests.filter(({ method }) => method === "REGISTER").length >= 2);
    await end();
  });

  it("do not wait for Timer F when the first is dead from the start", async () => {
    const { clock, servers, account, end } = await setUp({ servers: 2 });
    const [first] = servers as [ScriptedPeer];
    first.onRequest = () => undefined;
    const added = account(HOME);
    await clock.advanceAsync(8_100);
    assert.equal(added.registration.state, "registered");
    await end();
  });

  it("get the registration within 5 s over TCP when one is gone", async () => {
    const { clock, network, servers, alice, account, end } = await setUp({
      servers: 2,
      protocols: ["tcp"],
    });
    const [first, second] = servers as [ScriptedPeer, ScriptedPeer];
    const added = account(HOME);
    await clock.advanceAsync(1_000);
    assert.equal(first.requests.length, 1);
    await first.endpoint.stop();
    network.closeConnections();
    await clock.advanceAsync(5_000);
    assert.equal(added.registration.state, "registered");
    assert.equal(second.requests.length, 1);
    const lost = alice.stackEvents.filter(({ name }) => name === "disconnected");
    assert.equal(lost.length, 2, "the loss, and that it cannot be opened again");
    assert.deepEqual(
      lost.map(({ connection }) => connection?.reason),
      ["closed by peer", "ECONNREFUSED"],
    );
    await end();
  });

  it("each get credentials only when they ask", async () => {
    const { clock, servers, account, end } = await setUp({ servers: 2 });
    const [first, second] = servers as [ScriptedPeer, ScriptedPeer];
    const ok = first.onRequest;
    first.onRequest = (request) => {
      if (request.headers.has("authorization")) ok(request);
      else
        first.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="home.test", nonce="n1"']],
        });
    };
    const added = account({ ...HOME, password: "secret" });
    await clock.advanceAsync(1_000);
    first.onRequest = () => undefined;
    void added.register();
    await clock.advanceAsync(20_000);
    assert.ok(second.requests.length > 0);
    for (const request of second.requests) {
      assert.equal(request.headers.has("authorization"), false);
      assert.equal(request.headers.has("proxy-authorization"), false);
    }
    await end();
  });
});

describe("keep-alive by OPTIONS", () => {
  it("notices a single UDP registrar that is gone, and its return", async () => {
    const { clock, server, grant, account, end } = await setUp();
    const added = account({ keepAlive: 10 });
    await clock.advanceAsync(100);
    server.onRequest = () => undefined;
    await clock.advanceAsync(18_000);
    assert.ok(server.requests.filter(({ method }) => method === "REGISTER").length > 1);
    grant();
    await clock.advanceAsync(45_000);
    assert.equal(added.registration.state, "registered");
    await end();
  });

  it("is not sent to a single registrar unasked", async () => {
    const { clock, server, account, end } = await setUp();
    account();
    await clock.advanceAsync(120_000);
    assert.equal(server.requests.length, 1);
    await end();
  });

  it("takes any answer as a sign of life, and sends no credentials", async () => {
    const { clock, server, account, end } = await setUp();
    const added = account({ keepAlive: 10, password: "secret" });
    await clock.advanceAsync(100);
    server.onRequest = (request) =>
      server.reply(request, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="10.0.0.5", nonce="n"']],
      });
    await clock.advanceAsync(60_000);
    assert.equal(added.registration.state, "registered");
    const options = server.requests.filter(({ method }) => method === "OPTIONS");
    assert.ok(options.length >= 5);
    assert.ok(options.every(({ headers }) => !headers.has("authorization")));
    await end();
  });
});

describe("several accounts on one stack", () => {
  it("share one connection and register again each when it is lost", async () => {
    const { clock, network, alice, server, end } = await setUp({ protocols: ["tcp"] });
    const names = ["a", "b", "c"];
    for (const id of names) {
      alice.userAgent.addAccount({
        id,
        uri: `sip:${id}@10.0.0.5`,
        registrar: "sip:10.0.0.5;transport=tcp",
      });
    }
    await clock.advanceAsync(200);
    assert.equal(server.requests.length, 3);
    network.closeConnections();
    await clock.advanceAsync(6_000);
    assert.equal(server.requests.length, 6);
    const lost = alice.stackEvents.filter(({ name }) => name === "disconnected");
    assert.equal(lost.length, 1, "one event, not one per account");
    for (const id of names) {
      assert.equal(alice.userAgent.accounts.get(id)?.registration.state, "registered");
    }
    await end();
  });

  it("are told once of a server that stays away", async () => {
    const { clock, network, alice, server, account, end } = await setUp({ protocols: ["tcp"] });
    account({ registrar: "sip:10.0.0.5;transport=tcp" });
    await clock.advanceAsync(100);
    await server.endpoint.stop();
    network.closeConnections();
    await clock.advanceAsync(60_000);
    const reasons = alice.stackEvents
      .filter(({ name }) => name === "disconnected")
      .map(({ connection }) => connection?.reason);
    assert.deepEqual(reasons, ["closed by peer", "ECONNREFUSED"]);
    await end();
  });
});

describe("the outbound proxy", () => {
  for (const cacheOutboundProxy of [true, false]) {
    it(`is looked up ${cacheOutboundProxy ? "once" : "for each request"} with cacheOutboundProxy ${cacheOutboundProxy}`, async () => {
      const { clock, alice, asked, account, end } = await setUp();
      account({ outboundProxy: "sip:home.test;transport=udp", cacheOutboundProxy });
      await clock.advanceAsync(100);
      const before = asked.length;
      for (let i = 0; i < 3; i++) {
        void alice.userAgent.request({ method: "OPTIONS", to: "bob", account: "a" });
        await clock.advanceAsync(100);
      }
      assert.equal(asked.length - before, cacheOutboundProxy ? 0 : 3);
      await end();
    });
  }

  it("is looked up again when its cached address does not answer any more", async () => {
    const { clock, asked, server, account, end } = await setUp();
    const added = account({
      outboundProxy: "sip:home.test;transport=udp",
      cacheOutboundProxy: true,
    });
    await clock.advanceAsync(100);
    server.onRequest = () => undefined;
    void added.register();
    await clock.advanceAsync(33_000);
    const before = asked.length;
    await clock.advanceAsync(10_000);
    assert.ok(asked.length > before);
    await end();
  });
});
