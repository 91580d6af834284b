/**
 * Two Node-RED with one flow, a Redis server and Kamailio as outside registrar: one keeps the registration, the other calls
 * out all the same; it moves when its keeper is killed, drained or stopped, and the registrar never keeps the old Contact.
 */
import assert from "node:assert/strict";
import { UserAgent, type Session } from "../../lib/index.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed, pause } from "../support/node-red.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { needs } from "../support/peers/process.js";
import { needsRedis, Redis } from "../support/peers/redis.js";

const REGISTRAR = "127.0.33.1";
const SDP =
  "v=0\r\no=- 1 1 IN IP4 127.0.33.3\r\ns=-\r\nc=IN IP4 127.0.33.3\r\nt=0 0\r\nm=audio 40100 RTP/AVP 0\r\n";

interface Shown {
  readonly group?: { connected: boolean; members: string[]; instance: string; leases: number };
  readonly accounts: readonly { standby?: string; registration?: { state: string } }[];
}

describe("The registration of a group of instances", function () {
  this.timeout(60_000);
  let kamailio: Kamailio;
  let redis: Redis;
  let stack = "";
  let flow: FlowBuilder;
  let account = "";
  const nodeReds: NodeRed[] = [];
  let caller: UserAgent;

  before(async function () {
    needs(this, "kamailio");
    needsRedis(this);
    kamailio = new Kamailio({ address: REGISTRAR });
    redis = new Redis({ address: "127.0.33.2", password: "of-the-tests" });
    await Promise.all([kamailio.start(), redis.start()]);
    flow = new FlowBuilder();
    stack = flow.config("sip-stack", {
      transports: [{ protocol: "udp", address: "${SIP_ADDRESS}", port: 5060 }],
      sharedState: "${STATE}",
    });
    account = flow.config("sip-account", {
      stack,
      uri: "sip:nodered@sip.test",
      registrar: `sip:${REGISTRAR}:5060`,
      register: true,
    });
    flow.node("sip-event", { stack, events: ["registered"] }, [[flow.capture("registered")]]);
    flow.node("sip-event", { stack, events: ["unregistered"] }, [[flow.capture("unregistered")]]);
    const accept = flow.node("sip-accept", {}, flow.captures("accept", 2));
    flow.node("sip-incoming", { stack }, [[accept], []]);
    const invite = flow.node("sip-invite", { account, to: "sip:alice@sip.test" }, [
      [flow.capture("out")],
      [],
      [flow.capture("failed")],
      [],
    ]);
    flow.entry("call", [invite]);
    caller = new UserAgent({ transports: [{ protocol: "udp", address: "127.0.33.3", port: 0 }] });
    await caller.start();
    caller.onIncomingCall = (session) => {
      void session.accept({ sdp: SDP });
      return true;
    };
    const alice = caller.addAccount({
      id: "alice",
      uri: "sip:alice@sip.test",
      registrar: `sip:${REGISTRAR}:5060`,
      password: "alicepw",
      register: false,
    });
    await alice.register();
    nodeReds.push(await start("127.0.33.11"));
    await nodeReds[0].waitFor("registered");
    nodeReds.push(await start("127.0.33.12"));
  });

  after(async () => {
    await caller?.stop();
    await Promise.all(nodeReds.map((one) => one.stop()));
    await Promise.all([kamailio?.dispose(), redis?.dispose()]);
  });

  function start(address: string): Promise<NodeRed> {
    return NodeRed.start({
      flows: flow.build(),
      credentials: { [account]: { password: "noderedpw" } },
      env: { SIP_ADDRESS: address, STATE: redis.url },
    });
  }

  async function shown(nodeRed: NodeRed): Promise<Shown> {
    const answer = await fetch(`${nodeRed.adminUrl}/sip/stacks`);
    return ((await answer.json()) as Shown[])[0];
  }

  async function until(nodeRed: NodeRed, holds: (now: Shown) => boolean): Promise<Shown> {
    const end = Date.now() + 10_000;
    for (;;) {
      const now = await shown(nodeRed);
      if (holds(now)) return now;
      assert.ok(Date.now() < end, JSON.stringify(now));
      await pause(50);
    }
  }

  /** A call from outside is answered at this instance. */
  async function reaches(nodeRed: NodeRed): Promise<void> {
    const before = (await nodeRed.captured("accept/1")).length;
    const session: Session = caller.invite({
      targets: ["sip:nodered@sip.test"],
      account: "alice",
      sdp: SDP,
    });
    const end = Date.now() + 5_000;
    while (session.state !== "established" && Date.now() < end) await pause(20);
    assert.equal(session.state, "established", session.snapshot().cause);
    await nodeRed.waitFor("accept/1", before + 1);
    await session.end();
  }

  /** Contacts that the registrar knew after the last registration. */
  async function contacts(nodeRed: NodeRed): Promise<string> {
    const { msg } = (await nodeRed.captured("registered")).at(-1) ?? {};
    return String(msg?.sip?.headers?.contact);
  }

  it("is kept by one; the other stands by, says so, and calls out", async () => {
    const [keeper, other] = nodeReds;
    const standby = await until(other, ({ accounts }) => Boolean(accounts[0].standby));
    const held = await until(keeper, ({ group }) => group?.members.length === 2);
    assert.equal(standby.accounts[0].standby, held.group?.instance);
    assert.deepEqual([held.group?.leases, standby.group?.leases], [1, 0]);
    assert.equal(held.accounts[0].standby, undefined);
    assert.equal((await other.captured("registered")).length, 0);
    await other.inject("call", {});
    await other.waitFor("out", 1, 5_000);
    await reaches(keeper);
    const page = await (await fetch(`${other.adminUrl}/sip/metrics`)).text();
    assert.match(page, /sip_group_members\{[^}]*\} 2/);
    for (const { log } of nodeReds) assert.doesNotMatch(log, /of-the-tests/);
  });

  it("moves within 10 s when its keeper is killed, and the dead Contact is taken away", async () => {
    const [keeper, other] = nodeReds;
    await keeper.kill();
    const killed = Date.now();
    await other.waitFor("registered", 1, 10_000);
    console.log(`      registered ${Date.now() - killed} ms after the death of the keeper`);
    assert.match(await contacts(other), /127\.0\.33\.12/);
    assert.doesNotMatch(await contacts(other), /127\.0\.33\.11/);
    await reaches(other);
    nodeReds[0] = await start("127.0.33.11");
    await until(nodeReds[0], ({ accounts }) => Boolean(accounts[0].standby));
    assert.equal((await nodeReds[0].captured("registered")).length, 0);
  });

  it("moves at once when its keeper is drained, and the binding was taken back before", async () => {
    const [other, keeper] = nodeReds;
    const drained = Date.now();
    await fetch(`${keeper.adminUrl}/sip/stacks/${stack}/drain`, { method: "POST" });
    await other.waitFor("registered", 1, 3_000);
    console.log(`      registered ${Date.now() - drained} ms after the drain`);
    assert.equal((await keeper.captured("unregistered")).length, 1);
    assert.doesNotMatch(await contacts(other), /127\.0\.33\.12/);
    await reaches(other);
    await fetch(`${keeper.adminUrl}/sip/stacks/${stack}/drain`, { method: "DELETE" });
    await until(keeper, ({ accounts }) => Boolean(accounts[0].standby));
  });

  it("moves at once when its keeper is stopped", async () => {
    const [keeper, other] = nodeReds;
    const before = (await other.captured("registered")).length;
    const stopped = Date.now();
    await keeper.stop();
    await other.waitFor("registered", before + 1, 5_000);
    console.log(`      registered ${Date.now() - stopped} ms after the stop`);
    assert.doesNotMatch(await contacts(other), /127\.0\.33\.11/);
    await reaches(other);
  });

  it("stays where it is while Redis is away, and the status says so", async () => {
    const [, keeper] = nodeReds;
    await redis.stop();
    await until(keeper, ({ group }) => group?.connected === false);
    await reaches(keeper);
    await redis.start();
    const back = await until(keeper, ({ group }) => group?.connected === true);
    assert.equal(back.accounts[0].registration?.state, "registered");
    assert.doesNotMatch(keeper.log, /of-the-tests/);
  });
});
