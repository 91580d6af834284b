/**
 * The test buttons of the dialogs against a real registrar: good, wrong password, closed port, silent host, unknown name,
 * expired certificate; the registration that runs stays, the saved password goes to nobody else.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { certificateAuthority } from "../support/certificates.js";
import { FlowBuilder } from "../support/flow-builder.js";
import { NodeRed } from "../support/node-red.js";
import { Kamailio } from "../support/peers/kamailio.js";
import { needs } from "../support/peers/process.js";
import { freePort } from "../support/ports.js";

interface Answer {
  ok: boolean;
  reason?: string;
  message?: string;
  steps: { name: string; ok: boolean; ms: number; text: string; detail?: string }[];
}

const registrar = "sip:127.0.63.1:5060";

describe("the test buttons of the dialogs", function () {
  this.timeout(60_000);
  let kamailio: Kamailio;
  let nodeRed: NodeRed;
  let stack: string;
  let account: string;
  let port: number;
  const authority = certificateAuthority();

  before(async function () {
    needs(this, "kamailio", "openssl");
    kamailio = new Kamailio({ address: "127.0.63.1" });
    await kamailio.start();
    port = await freePort();
    const flow = new FlowBuilder();
    const tls = flow.config("tls-config", {
      ...{ name: "authority", cert: "", key: "", ca: "", certname: "", keyname: "" },
      ...{ caname: "ca.pem", servername: "", verifyservercert: true, alpnprotocol: "" },
    });
    stack = flow.config("sip-stack", {
      name: "line",
      transports: ["udp", "tcp", "tls"].map((protocol) => ({
        protocol,
        address: "127.0.0.1",
        port: protocol === "tls" ? 0 : port,
        ...(protocol === "tls" ? { tls } : {}),
      })),
    });
    account = flow.config("sip-account", saved());
    flow.node("sip-register", { account }, flow.captures("register", 2));
    nodeRed = await NodeRed.start({
      flows: flow.build(),
      credentials: { [account]: { password: "noderedpw" }, [tls]: { cadata: authority.cert } },
    });
    const end = Date.now() + 10_000;
    while ((await registration()).state !== "registered") {
      assert.ok(Date.now() < end, nodeRed.log);
      await new Promise((done) => setTimeout(done, 50));
    }
  });

  after(async () => {
    await nodeRed?.stop();
    await kamailio?.dispose();
  });

  const saved = (changes: object = {}) => ({
    stack,
    uri: "sip:nodered@sip.test",
    registrar,
    register: true,
    expires: 60,
    minExpires: 5,
    ...changes,
  });

  async function registration(): Promise<{ state: string }> {
    const stacks = (await (await fetch(`${nodeRed.url}/sip/stacks`)).json()) as {
      accounts: { registration: { state: string } }[];
    }[];
    return stacks[0]?.accounts[0]?.registration ?? { state: "" };
  }

  async function post(what: "accounts" | "stacks", body: object): Promise<Answer> {
    const response = await fetch(`${nodeRed.url}/sip/${what}/test`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Answer;
  }
  const testAccount = (changes: object = {}) =>
    post("accounts", { id: "new", password: "noderedpw", ...saved(changes) });
  const stepOf = ({ steps }: Answer, name: string) => steps.find((step) => step.name === name);
  const story = (answer: Answer) => JSON.stringify(answer, null, 1);

  for (const transport of ["udp", "tcp"]) {
    it(`registers over ${transport} with unsaved values, shows each step, and takes its own entry away`, async () => {
      const answer = await testAccount({ transport });
      assert.deepEqual(
        answer.steps.map(({ name, ok }) => [name, ok]),
        [
          ["dns", true],
          ["socket", true],
          ["register", true],
          ["unregister", true],
        ],
        story(answer),
      );
      assert.ok(answer.ok);
      assert.match(stepOf(answer, "register")?.text ?? "", /^200 OK, for 60 s/);
      assert.equal((await registration()).state, "registered");
    });
  }

  it("refreshes the account that runs unchanged, with the saved password, in place of a second entry", async () => {
    const answer = await post("accounts", { id: account, password: "__PWRD__", ...saved() });
    assert.ok(answer.ok, story(answer));
    assert.match(stepOf(answer, "register")?.text ?? "", /refreshed/);
    assert.equal(stepOf(answer, "unregister"), undefined);
  });

  it("uses the saved password with other settings of the same user and server, but for no other", async () => {
    const answer = await post("accounts", {
      id: account,
      password: "__PWRD__",
      ...saved({ expires: 30 }),
    });
    assert.ok(answer.ok, story(answer));
    for (const changes of [
      { registrar: "sip:127.0.63.1:5070" },
      { outboundProxy: "sip:127.0.63.9" },
      { authUser: "mallory" },
      { stackSettings: { transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }] } },
    ]) {
      const refused = await post("accounts", {
        id: account,
        password: "__PWRD__",
        ...saved(changes),
      });
      assert.ok(!refused.ok);
      assert.match(refused.reason ?? "", /password again/, story(refused));
      assert.deepEqual(
        refused.steps.map(({ name }) => name),
        ["settings"],
      );
    }
  });

  it("tells a wrong password and a missing one apart, and shows neither", async () => {
    const wrong = await testAccount({ password: "not-the-password" });
    assert.match(wrong.reason ?? "", /^401: the password or the user name “nodered” is wrong/);
    assert.equal(stepOf(wrong, "register")?.ok, false);
    const none = await testAccount({ password: "" });
    assert.match(none.reason ?? "", /wants a password/, story(none));
    assert.doesNotMatch(story(wrong) + nodeRed.log, /not-the-password/);
  });

  it("says that a port is closed, over UDP and TCP", async () => {
    for (const transport of ["udp", "tcp"]) {
      const answer = await testAccount({ transport, registrar: "sip:127.0.63.1:5999" });
      assert.match(answer.reason ?? "", /nothing listens at that/, story(answer));
      assert.equal(stepOf(answer, "socket")?.ok, false);
      assert.equal(stepOf(answer, "register"), undefined);
    }
  });

  it("says within 15 s that a host is silent, over UDP and over TCP", async () => {
    const udp = createSocket("udp4").bind(0, "127.0.0.1");
    const tcp = createTcpServer().listen(0, "127.0.0.1");
    await Promise.all([
      new Promise((done) => udp.once("listening", done)),
      new Promise((done) => tcp.once("listening", done)),
    ]);
    try {
      const began = Date.now();
      const [overUdp, overTcp] = await Promise.all([
        testAccount({ transport: "udp", registrar: `sip:127.0.0.1:${udp.address().port}` }),
        post("accounts", {
          ...saved({
            transport: "tcp",
            registrar: `sip:127.0.0.1:${(tcp.address() as AddressInfo).port}`,
          }),
          id: "other",
          password: "x",
        }),
      ]);
      assert.match(overUdp.reason ?? "", /No answer: a firewall or the wrong port/, story(overUdp));
      assert.match(overTcp.reason ?? "", /did not answer/, story(overTcp));
      assert.ok(Date.now() - began < 15_000);
    } finally {
      udp.close();
      tcp.close();
    }
  });

  it("says that a name is not in DNS", async () => {
    const answer = await testAccount({ registrar: "sip:no-such-host.invalid" });
    assert.match(answer.reason ?? "", /not known in DNS/, story(answer));
    assert.equal(stepOf(answer, "dns")?.ok, false);
  });

  for (const [what, issuer, days, reason] of [
    ["has expired", authority, -1, /certificate has expired/],
    [
      "nobody trusted has signed",
      certificateAuthority("Stranger CA"),
      9,
      /private CA|unknown CA|self-signed/,
    ],
    ["is good, though nothing answers", authority, 9, /did not answer/],
  ] as const)
    it(`shows whose certificate it is and for how long, of one that ${what}`, async () => {
      const altNames = ["IP:127.0.0.1"];
      const { cert, key } = issuer.issue({ commonName: "pbx.test", altNames, days });
      const server = createServer({ cert, key }).listen(0, "127.0.0.1");
      server.on("tlsClientError", () => undefined);
      server.on("secureConnection", (socket) => socket.once("data", () => socket.destroy()));
      await new Promise((done) => server.once("listening", done));
      try {
        const { port: at } = server.address() as AddressInfo;
        const answer = await testAccount({ transport: "tls", registrar: `sip:127.0.0.1:${at}` });
        const tls = stepOf(answer, "tls");
        assert.match(tls?.text ?? "", /pbx\.test, issued by .* CA, -?\d days left/, story(answer));
        assert.match(answer.reason ?? "", reason, story(answer));
        assert.equal(tls?.ok, issuer === authority && days > 0);
      } finally {
        server.close();
      }
    });

  it("answers 400 to what is no test, 409 to a second press for the same node, and goes when the dialog goes", async () => {
    const silent = createSocket("udp4").bind(0, "127.0.0.1");
    await new Promise((done) => silent.once("listening", done));
    try {
      const url = `${nodeRed.url}/sip/accounts/test`;
      const headers = { "content-type": "application/json" };
      assert.equal((await fetch(url, { method: "POST", headers, body: "[]" })).status, 400);
      const body = JSON.stringify({
        id: "pressed",
        ...saved({ transport: "udp", registrar: `sip:127.0.0.1:${silent.address().port}` }),
      });
      const dialog = new AbortController();
      const first = fetch(url, { method: "POST", headers, body, signal: dialog.signal });
      await new Promise((done) => silent.once("message", done));
      assert.equal((await fetch(url, { method: "POST", headers, body })).status, 409);
      dialog.abort();
      await assert.rejects(first);
      const end = Date.now() + 5_000;
      let status = 409;
      while (status === 409 && Date.now() < end) {
        const again = new AbortController();
        const late = setTimeout(() => again.abort(), 300);
        ({ status } = await fetch(url, {
          method: "POST",
          headers,
          body,
          signal: again.signal,
        }).catch(() => ({ status: 0 })));
        clearTimeout(late);
      }
      assert.equal(status, 0, "the first test still runs");
    } finally {
      silent.close();
    }
  });

  it("tells for a stack what is free, what it holds itself, whose a taken port is, and what this machine has not", async () => {
    const held = await post("stacks", {
      id: stack,
      transports: [{ protocol: "udp", address: "127.0.0.1", port }],
      media: "none",
    });
    assert.match(held.steps[0]?.text ?? "", /this stack listens there/, story(held));
    assert.ok(held.ok);
    const other = await post("stacks", {
      id: "second",
      transports: [
        { protocol: "tcp", address: "127.0.0.1", port },
        { protocol: "udp", address: "192.0.2.77", port: 5060 },
        { protocol: "udp", address: "127.0.0.1", port: await freePort() },
      ],
      rtpPortMin: 30_000,
      rtpPortMax: 30_100,
    });
    assert.deepEqual(
      other.steps.map(({ name, ok }) => [name, ok]),
      [
        ["socket", false],
        ["socket", false],
        ["socket", true],
        ["media", true],
      ],
      story(other),
    );
    assert.match(other.reason ?? "", /taken by the stack “line”/);
    assert.match(other.steps[1]?.text ?? "", /no address 192\.0\.2\.77/);
    const wrong = await post("stacks", { id: "third", transports: [{ protocol: "smoke" }] });
    assert.match(wrong.reason ?? "", /unknown protocol/);
  });

  it("names the addresses of this machine and whom one may call", async () => {
    const addresses = (await (await fetch(`${nodeRed.url}/sip/addresses`)).json()) as {
      addresses: { address: string; internal: boolean }[];
    };
    assert.ok(
      addresses.addresses.some(({ address, internal }) => address === "127.0.0.1" && internal),
    );
    const { targets } = (await (await fetch(`${nodeRed.url}/sip/targets`)).json()) as {
      targets: unknown[];
    };
    assert.deepEqual(targets, [{ uri: "sip:nodered@sip.test", kind: "account" }]);
  });
});
