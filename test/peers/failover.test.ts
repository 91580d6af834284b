/**
 * Two Kamailios behind the SRV records of a DNS server of our own; the one that is used is killed. The registration
 * moves to the other within 32 s over UDP and 5 s over TCP, and each server sees only answers to its own challenges.
 */
import assert from "node:assert/strict";
import {
  type AccountOptions,
  UserAgent,
  type StackEvent,
  type UserAgentOptions,
} from "../../lib/index.js";
import { DnsServer, type DnsRecord } from "../support/dns-server.js";
import { pause } from "../support/node-red.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { needs } from "../support/peers/process.js";
import { freePort } from "../support/ports.js";

const FIRST = "127.0.71.1";
const SECOND = "127.0.71.2";

function srv(priority: number, name: string): DnsRecord {
  return { type: "SRV", priority, weight: 0, port: 5060, name };
}

describe("two registrars behind SRV records", function () {
  this.timeout(120_000);
  let dns: DnsServer;
  let servers: [Kamailio, Kamailio];
  let userAgent: UserAgent | undefined;
  const events: { at: number; event: StackEvent }[] = [];

  before(async function () {
    needs(this, "kamailio", "openssl");
    dns = await new DnsServer().start();
    servers = [new Kamailio({ address: FIRST }), new Kamailio({ address: SECOND })];
  });

  beforeEach(async () => {
    events.length = 0;
    dns.failure = 0;
    dns.zone.clear();
    for (const protocol of ["_udp", "_tcp"]) {
      dns.zone.set(`_sip.${protocol}.sip.test`, [srv(1, "one.sip.test"), srv(2, "two.sip.test")]);
    }
    dns.zone.set("one.sip.test", [{ type: "CNAME", name: "host-one.sip.test" }]);
    dns.zone.set("host-one.sip.test", [{ type: "A", address: FIRST }]);
    dns.zone.set("two.sip.test", [{ type: "A", address: SECOND }]);
    for (const server of servers) await server.start();
  });

  afterEach(async () => {
    await userAgent?.stop();
    userAgent = undefined;
    for (const server of servers) await server.stop();
  });

  after(async () => {
    await dns?.stop();
    for (const server of servers ?? []) await server.dispose();
  });

  async function start(protocol: "udp" | "tcp", more: Partial<UserAgentOptions> = {}) {
    userAgent = new UserAgent({
      transports: [{ protocol, address: "127.0.0.1", port: await freePort() }],
      dnsServers: [dns.address],
      ...more,
    });
    userAgent.on("stackEvent", (event) => events.push({ at: Date.now(), event }));
    await userAgent.start();
    userAgent.addAccount({
      id: "a",
      uri: "sip:nodered@sip.test",
      password: "noderedpw",
      expires: 60,
      transport: protocol,
    });
    await registered(1, 20_000);
  }

  const registrations = () => events.filter(({ event }) => event.name === "registered");

  async function registered(count: number, withinMs: number): Promise<string | undefined> {
    const end = Date.now() + withinMs;
    while (registrations().length < count) {
      assert.ok(
        Date.now() < end,
        `not registered: ${events.map(({ event }) => `${event.name} ${event.statusCode ?? event.connection?.reason ?? ""}`).join(", ")}`,
      );
      await pause(50);
    }
    return registrations().at(-1)?.event.message?.source?.address;
  }

  it("move a registration over UDP within 32 s", async () => {
    await start("udp");
    assert.equal(registrations()[0]?.event.message?.source?.address, FIRST);
    await servers[0].stop();
    assert.equal(await registered(2, 32_000), SECOND);
  });

  it("move a registration over UDP at once when it is asked for", async () => {
    await start("udp");
    await servers[0].stop();
    const outcome = await userAgent?.accounts.get("a")?.register();
    assert.equal(outcome?.ok, true);
    assert.equal(await registered(2, 1_000), SECOND);
  });

  it("move a registration over TCP within 5 s, and tell the loss once", async () => {
    await start("tcp");
    assert.equal(registrations()[0]?.event.message?.source?.address, FIRST);
    await servers[0].stop();
    assert.equal(await registered(2, 5_000), SECOND);
    const lost = events.filter(
      ({ event }) => event.name === "disconnected" && event.connection?.reason !== "ECONNREFUSED",
    );
    assert.equal(lost.length, 1);
  });

  it("are found by NAPTR, in its order", async () => {
    dns.zone.set("sip.test", [
      naptr(2, "SIP+D2U", "_sip._udp.sip.test"),
      naptr(1, "SIP+D2T", "_tcp-first.sip.test"),
    ]);
    dns.zone.set("_tcp-first.sip.test", [srv(1, "two.sip.test")]);
    userAgent = new UserAgent({
      transports: [
        { protocol: "udp", address: "127.0.0.1", port: await freePort() },
        { protocol: "tcp", address: "127.0.0.1", port: await freePort() },
      ],
      dnsServers: [dns.address],
    });
    userAgent.on("stackEvent", (event) => events.push({ at: Date.now(), event }));
    await userAgent.start();
    userAgent.addAccount({ id: "a", uri: "sip:nodered@sip.test", password: "noderedpw" });
    assert.equal(await registered(1, 10_000), SECOND);
    assert.equal(registrations()[0]?.event.message?.source?.protocol, "tcp");
    assert.ok(dns.asked.includes("NAPTR sip.test"));
  });

  it("say that DNS is out of order, and are registered after its return", async () => {
    dns.failure = 2;
    userAgent = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
      dnsServers: [dns.address],
    });
    userAgent.on("stackEvent", (event) => events.push({ at: Date.now(), event }));
    await userAgent.start();
    userAgent.addAccount({ id: "a", uri: "sip:nodered@sip.test", password: "noderedpw" });
    for (let i = 0; i < 400 && events.length === 0; i++) await pause(50);
    assert.equal(events[0]?.event.cause, "dns-error");
    dns.failure = 0;
    assert.equal(await registered(1, 50_000), FIRST);
  });
});

describe("Kamailio and GRUU (RFC 5627)", function () {
  this.timeout(60_000);
  let kamailio: Kamailio;
  const agents: UserAgent[] = [];

  before(async function () {
    needs(this, "kamailio", "openssl");
    kamailio = new Kamailio({ address: "127.0.71.3" });
    await kamailio.start();
  });

  after(async () => {
    for (const agent of agents) await agent.stop();
    await kamailio?.dispose();
  });

  async function registered(user: string, more: Partial<AccountOptions>): Promise<UserAgent> {
    const agent = new UserAgent({
      transports: [{ protocol: "udp", address: "127.0.0.1", port: await freePort() }],
    });
    agents.push(agent);
    await agent.start();
    const account = agent.addAccount({
      id: user,
      uri: `sip:${user}@sip.test`,
      registrar: "sip:127.0.71.3:5060;transport=udp",
      outboundProxy: "sip:127.0.71.3:5060;transport=udp",
      password: `${user}pw`,
      register: false,
      ...more,
    });
    assert.equal((await account.register()).ok, true);
    return agent;
  }

  it("calls the GRUU of one instance, whose requests of the dialog go there too", async () => {
    const instanceId = "urn:uuid:11111111-2222-8333-8444-555555555555";
    const callee = await registered("bob", { outbound: true, instanceId });
    const caller = await registered("alice", { outbound: true });
    const called: string[] = [];
    callee.onIncomingCall = (session, invite) => {
      called.push(invite.headers.get("contact") ?? "");
      void session.accept({ sdp: SDP });
      return true;
    };
    const session = caller.invite({
      targets: [`sip:bob@sip.test;gr=${instanceId}`],
      account: "alice",
      sdp: SDP,
    });
    const reaches = async (state: string): Promise<void> => {
      for (let i = 0; i < 100 && session.state !== state; i++) await pause(50);
      assert.equal(session.state, state);
    };
    await reaches("established");
    assert.match(called[0] ?? "", /<sip:alice@sip\.test;gr=urn:uuid:/);
    // The BYE of the called one finds the caller by its GRUU.
    const [answered] = callee.sessions.values();
    await answered?.end();
    await reaches("terminated");
  });
});

const SDP = `v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 40000 RTP/AVP 0
`.replace(/\n/g, "\r\n");

function naptr(order: number, service: string, replacement: string): DnsRecord {
  return { type: "NAPTR", order, preference: 1, flags: "s", service, replacement };
}
