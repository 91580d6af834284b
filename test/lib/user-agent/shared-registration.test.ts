/**
 * One registration that several user agents keep in turn: who takes over takes the old Contact away, who may not sends no
 * REGISTER, who stands by follows the Service-Route of the keeper; limits and states that others tell.
 */
import assert from "node:assert/strict";
import { CallLimits } from "../../../lib/user-agent/call-limits.js";
import type { AccountOptions } from "../../../lib/user-agent/index.js";
import { aliceAndBob, endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

const SERVER = "10.0.0.5";

async function setUp(change: Partial<AccountOptions> = {}) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const people = ["10.0.0.1", "10.0.0.2"].map(
    (address, i) => new Person(`one${i}`, address, network, clock),
  );
  const server = await new ScriptedPeer(network, { name: "server", address: SERVER }).start();
  server.onRequest = (request) => {
    const contacts = (request.headers.get("contact") ?? "").split(", ");
    server.reply(request, 200, {
      headers: [
        ["Contact", `${contacts.at(-1)};expires=${request.headers.get("expires")}`],
        ["Service-Route", "<sip:edge.home.test:5099;lr>"],
      ],
    });
  };
  const may = [true, false];
  const accounts = [];
  for (const [i, { userAgent }] of people.entries()) {
    await userAgent.start();
    accounts.push(
      userAgent.addAccount({
        id: "a",
        uri: "sip:alice@home.test",
        registrar: `sip:${SERVER}`,
        register: false,
        expires: 600,
        mayRegister: () => may[i],
        ...change,
      }),
    );
  }
  const registers = () =>
    server.requests
      .filter(({ method }) => method === "REGISTER")
      .map((request) => [request.source?.address, request.headers.get("contact") ?? ""] as const);
  const pass = (ms: number) => clock.advanceAsync(ms);
  return { pass, server, may, people, accounts, registers, end: () => endAll(clock, people) };
}

describe("a registration that is kept in turn", () => {
  it("is taken over with one REGISTER that takes the old Contact away and brings the new one", async () => {
    const { pass, may, accounts, registers, end } = await setUp();
    const [first, second] = accounts;
    void first.register();
    await pass(100);
    const { learnt } = first;
    assert.ok(learnt);
    assert.match(learnt.contact, /^<sip:alice@10\.0\.0\.1(:5060)?;.*line=/);
    assert.deepEqual(learnt.serviceRoute, ["<sip:edge.home.test:5099;lr>"]);
    first.standDown();
    may.reverse();
    assert.equal(first.registration.state, "unregistered");
    assert.equal(first.learnt, undefined);
    second.learn(learnt);
    void second.register();
    await pass(100);
    const [, [address, contact]] = registers();
    assert.equal(address, "10.0.0.2");
    assert.match(contact, /^<sip:alice@10\.0\.0\.1[^>]*>;expires=0, <sip:alice@10\.0\.0\.2/);
    // A refresh says nothing of the old one.
    await pass(590_000);
    assert.match(registers().at(-1)?.[1] ?? "", /^<sip:alice@10\.0\.0\.2[^,]*$/);
    assert.equal(
      registers().filter(([from]) => from === "10.0.0.1").length,
      1,
      "who stands by is silent",
    );
    await end();
  });

  it("takes no old Contact away with outbound: both are one instance to the registrar", async () => {
    const { pass, may, accounts, registers, end } = await setUp({
      outbound: true,
      instanceId: "urn:uuid:00000000-0000-8000-8000-000000000001",
    });
    may.reverse();
    accounts[1].learn({ contact: "<sip:alice@10.0.0.1;line=x>", serviceRoute: [] });
    void accounts[1].register();
    await pass(100);
    const [[, contact]] = registers();
    assert.match(contact, /^<sip:alice@10\.0\.0\.2[^,]*\+sip\.instance/);
    await end();
  });

  it("sends no REGISTER while another one keeps it, whoever asks, and no refresh", async () => {
    const { pass, may, accounts, registers, end } = await setUp();
    const [first, second] = accounts;
    const asked = second.register();
    await pass(100);
    assert.equal((await asked).ok, false);
    assert.equal(registers().length, 0);
    void first.register();
    await pass(100);
    may[0] = false;
    await pass(600_000);
    assert.equal(registers().length, 1);
    may[0] = true;
    await pass(600_000);
    assert.equal(first.registration.state, "registered");
    await end();
  });

  it("is taken back when it goes, also while nobody may register", async () => {
    const { pass, may, people, accounts, server, end } = await setUp();
    void accounts[0].register();
    await pass(100);
    may[0] = false;
    const gone = people[0].userAgent.removeAccount("a");
    await pass(100);
    await gone;
    assert.equal(server.requests.at(-1)?.headers.get("expires"), "0");
    await end();
  });

  it("leads the calls of those who stand by along the Service-Route that the keeper has learnt", async () => {
    const { pass, people, accounts, server, end } = await setUp();
    accounts[1].learn({ contact: "nonsense", serviceRoute: [`<sip:${SERVER};lr>`, "nonsense,,<"] });
    people[1].userAgent.invite({ targets: ["sip:bob@far.test"], account: "a" });
    await pass(200);
    const invite = server.requests.find(({ method }) => method === "INVITE");
    assert.equal(invite?.headers.get("route"), `<sip:${SERVER};lr>`);
    await end();
  });
});

describe("limits that others use, too", () => {
  it("count what the others have told with one's own", () => {
    const clock = new ManualClock();
    let others = { calls: 1, lastMinute: 2 };
    const limits = new CallLimits(clock, (id) => (id === "a" ? others : undefined));
    const account = { id: "a", maxCalls: 3, maxCallsPerMinute: 5 };
    assert.equal(limits.take(account, "1"), true);
    assert.equal(limits.take(account, "2"), true);
    assert.equal(limits.take(account, "3"), false, "two of ours, one of theirs");
    assert.equal(limits.take(account, "2"), true);
    others = { calls: 0, lastMinute: 2 };
    assert.equal(limits.take(account, "3"), false, "three of ours, two of theirs in a minute");
    assert.equal(limits.take({ ...account, id: "b" }, "4"), true);
    assert.deepEqual(
      [...limits.usages()],
      [
        ["a", { calls: 2, lastMinute: 3 }],
        ["b", { calls: 1, lastMinute: 1 }],
      ],
    );
    clock.advance(61_000);
    for (const session of ["1", "2", "4"]) limits.release(session);
    assert.deepEqual([...limits.usages()], []);
  });
});

describe("a state that another one was given to tell", () => {
  const state = { contentType: "text/plain", body: "busy" };

  async function subscribed(lastState: () => Promise<typeof state | undefined>) {
    const asked: unknown[] = [];
    const world = await aliceAndBob({
      bob: {
        lastState: (...of) => {
          asked.push(of);
          return lastState();
        },
      },
    });
    const { userAgent } = world.bob;
    const peer = await new ScriptedPeer(world.network, {
      name: "peer",
      address: "10.0.0.9",
    }).start();
    peer.onRequest = (request) => peer.reply(request, 200, { toTag: "f" });
    userAgent.requestPolicy = () => ({ listened: true, holdMs: 500 });
    let handle = "";
    userAgent.on("stackEvent", ({ name, pending }) => {
      if (name !== "subscribe" || pending?.pending !== true) return;
      void pending.accept().then((outcome) => {
        if (outcome.ok) handle = outcome.subscription ?? "";
      });
    });
    const text = requestText({
      method: "SUBSCRIBE",
      headers: ["Contact: <sip:peer@10.0.0.9>", "Event: presence", "Expires: 600"],
    });
    peer.send(text, "10.0.0.2");
    await world.pass(100);
    const bodies = () =>
      peer.requests.filter(({ method }) => method === "NOTIFY").map((request) => request.text);
    return { world, userAgent, asked, bodies, handle: () => handle };
  }

  it("is the first NOTIFY of a subscriber to whom the application has told nothing", async () => {
    const { world, asked, bodies, userAgent, handle } = await subscribed(() =>
      Promise.resolve(state),
    );
    const resource = userAgent.subscriberFacts(handle())?.resource;
    assert.equal(resource, "bob@10.0.0.2");
    await world.pass(600);
    assert.deepEqual([asked, bodies()], [[["presence", "bob@10.0.0.2"]], ["busy"]]);
    userAgent.tellSubscribers("presence", "bob@10.0.0.2", state);
    userAgent.tellSubscribers("presence", "carol@10.0.0.2", { ...state, body: "x" });
    userAgent.tellSubscribers("dialog", "bob@10.0.0.2", { ...state, body: "x" });
    await world.pass(100);
    assert.deepEqual(bodies(), ["busy"], "no news");
    userAgent.tellSubscribers("presence", "bob@10.0.0.2", { ...state, body: "free" });
    await world.pass(100);
    assert.deepEqual(bodies(), ["busy", "free"]);
    await world.end();
  });

  it("gives way to what the application tells, and is not waited for", async () => {
    const { world, bodies, userAgent, handle } = await subscribed(() => Promise.resolve(state));
    void userAgent.notify(handle(), { ...state, body: "own" });
    await world.pass(1_000);
    assert.deepEqual(bodies(), ["own"]);
    await world.end();
    const failing = await subscribed(() => Promise.reject(new Error("away")));
    await failing.world.pass(600);
    assert.deepEqual(failing.bodies(), [""]);
    await failing.world.end();
  });

  it("is not told to those whom the application keeps waiting", async () => {
    const { world, bodies, userAgent, handle } = await subscribed(() => Promise.resolve(undefined));
    void userAgent.notify(handle(), {
      state: { state: "pending", expires: undefined, reason: undefined },
    });
    await world.pass(1_000);
    userAgent.tellSubscribers("presence", "bob@10.0.0.2", state);
    await world.pass(100);
    assert.deepEqual(bodies(), [""]);
    await world.end();
  });
});
