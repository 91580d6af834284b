/** Kamailio as registrar: every transport, both digests, a restart, a wrong password - through nodes in a real Node-RED. */
import assert from "node:assert/strict";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed } from "../support/node-red.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { needs } from "../support/peers/process.js";
import { freePort } from "../support/ports.js";

type Message = { payload: unknown; topic: string; sip: Record<string, unknown> };

interface AccountPlan {
  readonly protocol: "udp" | "tcp" | "tls" | "ws" | "wss";
  readonly registrar: string;
  readonly password?: string;
  readonly expires?: number;
}

/** A stack with one transport, an account on it, and listeners for what happens. */
async function accountFlow(plan: AccountPlan, authority: string) {
  const flow = new FlowBuilder();
  const tls = flow.config("tls-config", {
    name: "test authority",
    cert: "",
    key: "",
    ca: "",
    certname: "",
    keyname: "",
    caname: "ca.pem",
    servername: "",
    verifyservercert: true,
    alpnprotocol: "",
  });
  const secure = plan.protocol === "tls" || plan.protocol === "wss";
  const webSocket = plan.protocol === "ws" || plan.protocol === "wss";
  const stack = flow.config("sip-stack", {
    transports: [
      {
        protocol: plan.protocol,
        address: "127.0.0.1",
        ...(webSocket ? { path: "/" } : { port: await freePort() }),
        ...(secure ? { tls } : {}),
      },
    ],
  });
  const account = flow.config("sip-account", {
    stack,
    uri: "sip:nodered@sip.test",
    registrar: plan.registrar,
    register: true,
    expires: plan.expires ?? 60,
    minExpires: 5,
  });
  flow.node(
    "sip-event",
    {
      stack,
      events: ["registered", "unregistered", "registration-failed", "connected", "disconnected"],
    },
    [[flow.capture("events")]],
  );
  const register = flow.node("sip-register", { account }, flow.captures("register", 2));
  flow.entry("register", [register]);
  flow.node("catch", { scope: null, uncaught: false }, [[flow.capture("caught")]]);
  return {
    flows: flow.build(),
    account,
    credentials: {
      [account]: { password: plan.password ?? "noderedpw" },
      [tls]: { cadata: authority },
    } as Record<string, Record<string, string>>,
  };
}

describe("Kamailio as registrar", function () {
  this.timeout(90_000);
  let kamailio: Kamailio;
  let nodeRed: NodeRed;

  before(async function () {
    needs(this, "kamailio", "openssl");
    kamailio = new Kamailio({ address: "127.0.61.1" });
    await kamailio.start();
    nodeRed = await NodeRed.start();
  });

  after(async () => {
    await nodeRed?.stop();
    await kamailio?.dispose();
  });

  const events = async (topic: string) =>
    (await nodeRed.captured("events"))
      .map(({ msg }) => msg as Message)
      .filter((msg) => msg.topic === topic);

  async function waitForEvent(topic: string, least = 1, timeoutMs = 20_000): Promise<Message[]> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const seen = await events(topic);
      if (seen.length >= least) return seen;
      if (Date.now() > end)
        throw new Error(
          `${topic}: ${seen.length} of ${least}: ${JSON.stringify((await nodeRed.captured("events")).map(({ msg }) => [(msg as Message).topic, (msg as Message).sip.connection, (msg as Message).sip.reason])).slice(0, 2500)}\n${nodeRed.log.slice(-1500)}`,
        );
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  async function accountNow(): Promise<{ registration: { state: string; reason?: string } }> {
    const answer = await fetch(`${nodeRed.url}/sip/stacks`);
    const [stack] = (await answer.json()) as {
      accounts: { registration: { state: string; reason?: string } }[];
    }[];
    assert.ok(stack?.accounts[0]);
    return stack.accounts[0];
  }

  async function deploy(plan: AccountPlan): Promise<void> {
    const { flows, credentials } = await accountFlow(plan, kamailio.authority);
    await nodeRed.clearCaptured().catch(() => undefined);
    await nodeRed.deploy(flows, { credentials });
  }

  const registrars: Record<AccountPlan["protocol"], string> = {
    udp: "sip:127.0.61.1:5060",
    tcp: "sip:127.0.61.1:5060;transport=tcp",
    tls: "sip:127.0.61.1:5061;transport=tls",
    ws: "ws://127.0.61.1:5080/",
    wss: "wss://127.0.61.1:5443/",
  };

  for (const protocol of ["udp", "tcp", "tls", "ws", "wss"] as const) {
    it(`registers over ${protocol} with MD5 and un-registers`, async () => {
      await deploy({ protocol, registrar: registrars[protocol] });
      const [registered] = await waitForEvent("registered");
      assert.equal(registered?.payload, 60);
      await nodeRed.inject("register", { control: "unregister" });
      const [unregistered] = await nodeRed.waitFor("register/1");
      assert.equal((unregistered?.msg as Message).topic, "unregistered");
      await nodeRed.inject("register", { control: "status" });
      await nodeRed.waitFor("register/2");
    });
  }

  it("shows the registrar's answer when the password is wrong, as event, output and status", async () => {
    await deploy({ protocol: "udp", registrar: registrars.udp, password: "wrong" });
    const [failed] = await waitForEvent("registration-failed");
    assert.equal(failed?.payload, 401);
    assert.equal(failed?.sip.cause, "unauthorized");
    await nodeRed.inject("register", { control: "register" });
    const [answer] = await nodeRed.waitFor("register/2");
    assert.equal((answer?.msg as Message).payload, 401);
    assert.doesNotMatch(
      JSON.stringify(await nodeRed.allCaptured()) + nodeRed.log,
      /wrong"|Digest username/,
    );
  });

  it("survives a restart of the registrar over TCP: tells the loss, registers again", async () => {
    await deploy({ protocol: "tcp", registrar: registrars.tcp, expires: 30 });
    await waitForEvent("registered");
    await kamailio.restart();
    await waitForEvent("disconnected");
    await waitForEvent("registered", 2, 60_000);
  });

  it("survives a restart of the registrar over UDP by its next refresh", async () => {
    await deploy({ protocol: "udp", registrar: registrars.udp, expires: 10 });
    await waitForEvent("registered");
    await kamailio.restart();
    await waitForEvent("registered", 3, 40_000);
  });

  for (const protocol of ["udp", "tcp"] as const) {
    it(`tells over ${protocol} that the registrar is gone, asks it seldom, and is registered within 5 s of its return`, async () => {
      await deploy({ protocol, registrar: registrars[protocol], expires: 3600 });
      await waitForEvent("registered");
      await kamailio.stop();
      // Over UDP only a question tells that it is gone.
      await nodeRed.inject("register", { control: "register" });
      await new Promise((done) => setTimeout(done, 8_000));
      const lost = [...(await events("disconnected")), ...(await events("registration-failed"))];
      assert.ok(lost.length <= 3, `${lost.length} events`);
      if (protocol === "tcp") {
        const { registration } = await accountNow();
        assert.notEqual(registration.state, "registered");
        assert.ok(lost.length >= 1);
        assert.match(registration.reason ?? "", /refused|closed/);
      }
      await kamailio.start();
      const returned = Date.now();
      await waitForEvent("registered", 2, 10_000);
      assert.ok(Date.now() - returned < 5_500, `${Date.now() - returned} ms`);
    });
  }

  it("refuses a certificate of an unknown authority and says so", async () => {
    // An empty text takes back the authority that earlier tests left in the credentials of this node id.
    const { flows, credentials } = await accountFlow(
      { protocol: "tls", registrar: registrars.tls },
      "",
    );
    await nodeRed.deploy(flows, { credentials });
    // A lost connection is told by `disconnected`; no `registration-failed` follows for it (contract §5).
    const reasons = async () =>
      (await events("disconnected")).map(
        ({ sip }) => (sip.connection as { reason: string }).reason,
      );
    const end = Date.now() + 15_000;
    while (!(await reasons()).some((reason) => /certificate/i.test(reason))) {
      assert.ok(Date.now() < end, (await reasons()).join(" | "));
      await new Promise((done) => setTimeout(done, 100));
    }
  });

  it("registers with SHA-256 over TCP", async () => {
    await kamailio.dispose();
    kamailio = new Kamailio({ address: "127.0.61.1", algorithm: "SHA-256" });
    await kamailio.start();
    await deploy({ protocol: "tcp", registrar: registrars.tcp });
    await waitForEvent("registered");
  });

  it("un-registers at the end of Node-RED within 3 s", async () => {
    const took = await nodeRed.stop();
    assert.ok(took < 4500, `${took} ms`);
  });
});
