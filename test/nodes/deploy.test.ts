/**
 * What lives through a deploy and what ends with it (contract §2 "Redeploy"), and stacks that cannot run.
 * Hard cases: calls that come while nodes are replaced, waits of nodes that are gone, busy ports, disabled stacks.
 */
import assert from "node:assert/strict";
import { TransportError } from "../../lib/index.js";
import { deploys } from "../../nodes/shared/deploys.js";
import type { FakeSession } from "../support/fake-user-agent.js";
import {
  account,
  adminRequest,
  type FlowEntry,
  NodeBench,
  stack,
  useNodeRed,
} from "../support/node-bench.js";
import { until } from "../support/transport-bench.js";

const incoming: FlowEntry = { id: "in", type: "sip-incoming", stack: "stack" };
const outgoing: FlowEntry = { id: "out", type: "sip-invite", stack: "stack", to: "sip:bob@h" };
const gather: FlowEntry = { id: "get", type: "sip-gather" };

describe("deploy", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  const ring = async (): Promise<FakeSession> => {
    const session = bench.userAgent.ring();
    assert.ok(session);
    await bench.settle();
    return session;
  };

  it("keeps stack, calls, waits and registrations when nothing has changed", async () => {
    const flow = [stack(), account(), incoming, outgoing, gather];
    await bench.load(flow);
    const session = await ring();
    session.answer();
    await bench.input("get", { wait: "through deploy", sip: { session: session.id } });
    await bench.input("out", { mine: 1 });
    const placed = bench.userAgent.lastCall;
    const before = bench.node("get");
    bench.clear();
    await bench.deploy(flow);
    assert.notEqual(bench.node("get"), before, "the node is a new instance");
    assert.equal(bench.userAgents.length, 1);
    assert.deepEqual(bench.userAgent.log, ["add sip:alice@example.com", "start"]);
    assert.equal(session.state, "established");

    session.digit("1");
    session.digit("#");
    placed.answer();
    placed.close("remote-bye");
    session.close("remote-bye");
    await bench.settle();
    assert.equal(bench.only("get:1").payload, "1");
    assert.equal(bench.only("get:1").wait, "through deploy");
    assert.equal(bench.only("out:1").mine, 1);
    assert.equal(bench.only("out:4").payload, "remote-bye");
    assert.equal(bench.only("in:2").payload, "remote-bye");
    assert.equal(bench.of("completed").length, 2, "Complete nodes of the new flow hear of it");
  });

  it("keeps everything when only other nodes are deployed", async () => {
    await bench.load([stack(), incoming, gather]);
    const session = await ring();
    session.answer();
    await bench.deploy([stack(), incoming, { ...gather, max: 1 }], "nodes");
    assert.equal(bench.userAgents.length, 1);
    await bench.input("get", { sip: { session: session.id } });
    session.digit("7");
    await bench.settle();
    assert.equal(
      bench.only("get:1").payload,
      "7",
      "changed properties count from the next input on",
    );
  });

  it("drops only the wait when the waiting node is gone", async () => {
    await bench.load([stack(), incoming, gather]);
    const session = await ring();
    session.answer();
    await bench.input("get", { sip: { session: session.id } });
    bench.clear();
    await bench.deploy([stack(), incoming]);
    assert.equal(session.state, "established");
    session.digit("1");
    session.digit("#");
    await bench.settle();
    assert.deepEqual(bench.order(), []);
  });

  it("ends a call whose owner is gone, with shutdown", async () => {
    await bench.load([stack(), incoming, outgoing]);
    const one = await ring();
    await bench.input("out", {});
    const two = bench.userAgent.lastCall;
    await bench.deploy([stack(), incoming]);
    assert.equal(one.state, "early");
    assert.equal(two.cause, "shutdown");
  });

  it("drops queued attempts of a node that is gone", async () => {
    await bench.load([stack(), { ...outgoing, maxCalls: 1, queue: true }]);
    await bench.input("out", {});
    await bench.input("out", {});
    await bench.deploy([stack()]);
    assert.equal(bench.userAgent.invites.length, 1);
  });

  it("restarts a stack whose settings have changed, once the old one has ended", async () => {
    await bench.load([stack(), account(), incoming]);
    const session = await ring();
    session.answer();
    const [old] = bench.userAgents;
    let portsWereFree: boolean | undefined;
    bench.onCreate = (userAgent) => {
      const start = userAgent.start.bind(userAgent);
      userAgent.start = () => {
        portsWereFree = !old.running;
        return start();
      };
    };
    bench.clear();
    await bench.deploy([stack({ userAgent: "Other/1" }), account(), incoming]);
    assert.equal(bench.userAgents.length, 2);
    assert.equal(portsWereFree, true);
    assert.deepEqual(old.log.at(-1), "stop");
    assert.equal(session.cause, "shutdown");
    assert.equal(bench.only("in:2").payload, "shutdown");
    assert.deepEqual(bench.userAgent.log, ["add sip:alice@example.com", "start"]);
    assert.equal(bench.userAgent.options.userAgent, "Other/1");
  });

  it("a new name is no change of the stack", async () => {
    await bench.load([stack()]);
    await bench.deploy([stack({ name: "Front door" })]);
    assert.equal(bench.userAgents.length, 1);
  });

  it("ends everything on every deploy with redeploy=hangup", async () => {
    const flow = [stack({ redeploy: "hangup" }), incoming];
    await bench.load(flow);
    const session = await ring();
    await bench.deploy(flow);
    assert.equal(session.cause, "shutdown");
    assert.equal(bench.userAgents.length, 2);
  });

  it("ends everything when the stack is deleted", async () => {
    await bench.load([stack(), incoming]);
    const session = await ring();
    await bench.deploy([incoming]);
    assert.equal(session.cause, "shutdown");
    assert.equal(bench.userAgent.running, false);
  });

  it("ends everything when the flows are stopped", async () => {
    await bench.load([stack(), incoming]);
    const session = await ring();
    await bench.unload();
    assert.equal(bench.userAgent.running, false);
    assert.equal(session.cause, "shutdown");
    await bench.load([stack()]);
  });

  it("ends everything before close returns when the process is told to end", async () => {
    await bench.load([stack(), incoming]);
    await ring();
    deploys.dying = true;
    try {
      await bench.node("stack").close(false);
      assert.equal(bench.userAgent.running, false);
    } finally {
      deploys.dying = false;
    }
  });

  it("re-registers only the account that has changed, and un-registers the one that is gone", async () => {
    const one = account({}, "one");
    const two = account({ uri: "sip:two@h" }, "two");
    const three = account({ uri: "sip:three@h" }, "three");
    await bench.load([stack(), one, two, three]);
    bench.userAgent.log.length = 0;
    await bench.deploy([stack(), one, { ...two, uri: "sip:second@h" }]);
    assert.deepEqual(bench.userAgent.log.sort(), [
      "add sip:second@h",
      "remove sip:three@h",
      "remove sip:two@h",
    ]);
  });

  it("re-registers when only the password has changed", async () => {
    await bench.load([stack(), account()], { account: { password: "a" } });
    assert.equal(bench.userAgent.accounts.get("account")?.options.password, "a");
    await bench.deploy([stack(), account()], "full", { account: { password: "b" } });
    assert.equal(bench.userAgent.accounts.get("account")?.options.password, "b");
    assert.deepEqual(bench.userAgent.log.slice(2), [
      "remove sip:alice@example.com",
      "add sip:alice@example.com",
    ]);
  });

  it("holds a call that comes while nodes are replaced and gives it to the new instance", async () => {
    await bench.load([stack({ unhandledStatus: 404 }), incoming]);
    deploys.changing();
    const session = bench.userAgent.ring();
    assert.ok(session, "taken");
    await bench.settle();
    assert.deepEqual(bench.order(), []);
    deploys.started();
    await bench.settle();
    assert.equal(bench.only("in:1").sip.session, session.id);
  });

  it("answers a held call with unhandledStatus when no new node takes it", async () => {
    await bench.load([stack({ unhandledStatus: 404 }), { ...incoming, match: "carol" }]);
    deploys.changing();
    const session = bench.userAgent.ring();
    deploys.started();
    await bench.settle();
    assert.deepEqual(session?.calls, [{ name: "reject", options: { statusCode: 404 } }]);
  });

  describe("stacks that cannot run", () => {
    it("a busy port is a red status with words, an error event, and a catchable error", async () => {
      bench.onCreate = (userAgent) => {
        userAgent.startError = new TransportError(
          "Port 5060 (udp) is used by another program. Choose another port.",
          "udp:127.0.0.1:5060",
        );
      };
      await bench.load([
        stack(),
        incoming,
        outgoing,
        { id: "ev", type: "sip-event", stack: "stack", events: "error" },
      ]);
      assert.match(bench.only("ev:1").payload, /5060/);
      await bench.input("out", {});
      const { error } = bench.only("caught");
      assert.equal(error.code, "stack-failed");
      assert.match(error.message, /Port 5060.*another port/);
      const red = () => bench.statuses("in").find(({ fill }) => fill === "red");
      await until(() => red() !== undefined, "the red status");
      assert.match(red()?.text ?? "", /Port 5060/);
    });

    for (const [name, settings, words] of [
      ["an unknown protocol", { transports: [{ protocol: "pigeon" }] }, /pigeon/],
      ["a port that is none", { transports: [{ protocol: "udp", port: "abc" }] }, /port/],
      ["broken JSON", { transports: "[{" }, /JSON/],
      ["missing TLS settings", { transports: [{ protocol: "tls", tls: "gone" }] }, /TLS/],
      ["an rtpengine without an address", { media: "rtpengine" }, /its address is missing/],
      ["RTP ports the wrong way round", { rtpPortMin: 20000, rtpPortMax: 10000 }, /rtpPortMin/],
    ] as const) {
      it(`${name} stops the stack, not Node-RED, and says why`, async () => {
        await bench.load([stack(settings), outgoing, account()]);
        await bench.input("out", {});
        const { error } = bench.only("caught");
        assert.equal(error.code, "stack-failed");
        assert.match(error.message, words);
      });
    }

    it("nodes without a stack show it and fail catchably", async () => {
      await bench.load([
        { ...incoming, stack: "gone" },
        { ...outgoing, stack: "gone" },
        { id: "out2", type: "sip-invite", account: "gone", to: "sip:a@b" },
      ]);
      for (const id of ["in", "out", "out2"]) {
        const status = bench.statuses(id).at(-1);
        assert.deepEqual([status?.fill, status?.shape], ["red", "ring"]);
      }
      await bench.input("out", {});
      await bench.input("out2", {});
      assert.deepEqual(
        bench.of("caught").map((msg) => msg.error.code),
        ["no-stack", "no-account"],
      );
    });

    it("waits for a stack that is still starting", async () => {
      await bench.load([stack(), outgoing]);
      // An inject node that fires at once is faster than the stack.
      const flow = [stack({ userAgent: "x" }), outgoing];
      const deployed = bench.deploy(flow);
      await deployed;
      bench.send("out", {});
      await bench.settle();
      assert.equal(bench.userAgent.invites.length, 1);
    });
  });

  it("hands an account's Contact parameters and keep-alive to the library", async () => {
    const extras = {
      keepAlive: "20",
      contactParams: "q=0.5",
      contactUriParams: "ob",
      maxCalls: "3",
      maxCallsPerMinute: 10,
    };
    await bench.load([stack(), account({ ...extras, learnPublicAddress: false })]);
    const { options } = bench.userAgent.accounts.get("account") ?? {};
    assert.equal(options?.keepAlive, 20);
    assert.equal(options.contactParams, "q=0.5");
    assert.equal(options.contactUriParams, "ob");
    assert.equal(options.learnPublicAddress, false);
    assert.deepEqual([options.maxCalls, options.maxCallsPerMinute], [3, 10]);
  });

  it("uses the account's stack and expands environment variables in every text", async () => {
    process.env["SIP_TEST_USER"] = "carol";
    try {
      await bench.load([
        stack({ userAgent: "for ${SIP_TEST_USER}" }),
        account({ uri: "sip:${SIP_TEST_USER}@example.com", expires: "600" }),
        { id: "out", type: "sip-invite", account: "account", to: "${SIP_TEST_USER}" },
      ]);
      await bench.input("out", {});
      assert.equal(bench.userAgent.options.userAgent, "for carol");
      const { options } = bench.userAgent.accounts.get("account") ?? {};
      assert.equal(options?.uri, "sip:carol@example.com");
      assert.equal(options?.expires, 600);
      assert.deepEqual(bench.userAgent.invites[0].options.targets, ["carol"]);
      assert.equal(bench.userAgent.invites[0].options.account, "account");
    } finally {
      delete process.env["SIP_TEST_USER"];
    }
  });

  it("shows other packages its user agent", async () => {
    await bench.load([stack()]);
    const node = bench.node("stack") as unknown as { userAgent: unknown };
    assert.equal(node.userAgent, bench.userAgent);
  });

  describe("admin endpoints", () => {
    it("list stacks and sessions and hang up", async () => {
      await bench.load([stack(), account(), incoming], { account: { password: "canary" } });
      const session = await ring();
      const stacks = await adminRequest().get("/sip/stacks").expect(200);
      assert.equal(stacks.body[0].state, "running");
      assert.equal(stacks.body[0].accounts[0].registration.state, "registered");
      assert.doesNotMatch(stacks.text, /canary/);
      const sessions = await adminRequest().get("/sip/sessions").expect(200);
      assert.deepEqual(
        [sessions.body[0].session, sessions.body[0].node, sessions.body[0].stack],
        [session.id, "in", "stack"],
      );
      await adminRequest().delete(`/sip/sessions/${session.id}`).expect(204);
      assert.equal(session.state, "terminated");
      await adminRequest().delete("/sip/sessions/gone").expect(404);
    });
  });
});
