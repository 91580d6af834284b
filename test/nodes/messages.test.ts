/**
 * How messages travel (contract §4.1): nothing is shared between outputs, wires, events and the stack; one done;
 * each delivery in its own turn. That every message is plain data is checked by the bench for all tests.
 */
import assert from "node:assert/strict";
import { type FakeSession, invite } from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

const wire = (id: string): FlowEntry => ({ id, type: "helper", z: "tab", x: 1, y: 1 });

describe("messages", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  /** Destroys whatever it gets. */
  const vandal = (id: string): void => {
    bench.node(id).on("input", (msg: Record<string, unknown>) => {
      const wreck = (value: unknown): void => {
        if (typeof value !== "object" || value === null) return;
        for (const key of Object.keys(value)) {
          wreck((value as Record<string, unknown>)[key]);
          delete (value as Record<string, unknown>)[key];
        }
      };
      wreck(msg["sip"]);
      wreck(msg["mine"]);
    });
  };

  it("three wires get three messages, and what one does to its own touches nothing else", async () => {
    await bench.load([
      stack(),
      {
        id: "out",
        type: "sip-invite",
        stack: "stack",
        to: "sip:bob@h",
        wires: [["a", "b", "c"], ["a", "b", "c"], [], ["a", "b", "c"]],
      },
      wire("a"),
      wire("b"),
      wire("c"),
    ]);
    vandal("a");
    await bench.input("out", { mine: { deep: [1, { x: 2 }] }, sip: { data: { k: { v: 1 } } } });
    const session = bench.userAgent.lastCall;
    session.answer();
    session.close("remote-bye");
    await bench.settle();
    for (const id of ["b", "c"]) {
      const messages = bench.of(id);
      assert.deepEqual(
        messages.map((msg) => msg.topic),
        ["inviting", "answered", "ended"],
      );
      for (const msg of messages) {
        assert.deepEqual(msg.mine, { deep: [1, { x: 2 }] });
        assert.deepEqual(msg.sip.data, { k: { v: 1 } });
        assert.equal(msg.sip.session, session.id);
        assert.equal(msg.sip.remote.user, "bob");
      }
    }
    assert.deepEqual(session.data, { k: { v: 1 } });
  });

  it("watching nodes and the owner get objects of their own", async () => {
    await bench.load([
      stack(),
      { id: "in", type: "sip-incoming", stack: "stack" },
      { id: "e1", type: "sip-event", stack: "stack", events: "incoming" },
      { id: "e2", type: "sip-event", stack: "stack", events: "incoming" },
    ]);
    vandal("in:1");
    vandal("e1:1");
    bench.userAgent.ring(invite(undefined, undefined, "X-A: 1\n"));
    await bench.settle();
    assert.equal(bench.only("e2:1").sip.headers["x-a"], "1");
    assert.equal(bench.only("e2:1").sip.remote.user, "bob");
  });

  it("keeps the message of the input apart from its later changes", async () => {
    await bench.load([stack(), { id: "out", type: "sip-invite", stack: "stack", to: "sip:b@h" }]);
    const mine = { n: 1 };
    bench.send("out", { mine });
    await new Promise((resolve) => setImmediate(resolve));
    mine.n = 2;
    await bench.settle();
    assert.deepEqual(bench.only("out:2").mine, { n: 1 });
  });

  it("delivers each message in its own turn and never inside an input handler", async () => {
    await bench.load([
      stack(),
      { id: "in", type: "sip-incoming", stack: "stack" },
      { id: "see", type: "sip-session" },
      { id: "ev", type: "sip-event", stack: "stack", events: "state" },
    ]);
    const session = bench.userAgent.ring() as FakeSession;
    await bench.settle();
    let turn = 0;
    let counting = true;
    const count = (): void => {
      turn++;
      if (counting) setImmediate(count);
    };
    const turns: number[] = [];
    for (const id of ["see", "ev"]) {
      const node = bench.node(id);
      const send = node.send.bind(node);
      node.send = (msg) => {
        turns.push(turn);
        send(msg);
      };
    }
    count();
    session.become("established");
    bench.send("see", { sip: { session: session.id } });
    assert.deepEqual(turns, [], "not inside the handler");
    await bench.settle();
    counting = false;
    assert.equal(turns.length, 2);
    assert.equal(new Set(turns).size, 2, `turns ${turns.join(" ")}`);
  });

  it("outputs of a session come in the order of its events, waiting nodes before the owner before watchers", async () => {
    await bench.load([
      stack(),
      { id: "in", type: "sip-incoming", stack: "stack" },
      { id: "g1", type: "sip-gather" },
      { id: "b1", type: "sip-bye" },
      { id: "ev", type: "sip-event", stack: "stack", events: "dtmf,bye,ended" },
    ]);
    const session = bench.userAgent.ring() as FakeSession;
    await bench.settle();
    session.answer();
    await bench.settle();
    let end!: () => void;
    session.outcomes.end = new Promise(
      (resolve) => (end = () => resolve({ ok: true, statusCode: 200 })),
    );
    // The bye waits longer than the gather.
    await bench.input("b1", { sip: { session: session.id } });
    await bench.input("g1", { sip: { session: session.id } });
    bench.clear();
    session.digit("1");
    session.happen("bye");
    end();
    await bench.settle();
    assert.deepEqual(bench.order(), [
      "ev:1",
      "ev:1",
      "b1:1",
      "completed",
      "g1:4",
      "completed",
      "in:2",
      "ev:1",
    ]);
  });

  it("an input that cannot be cloned is an error, not a crash", async () => {
    await bench.load([stack(), { id: "see", type: "sip-session" }]);
    const loop = new Map<string, unknown>();
    loop.set("self", { loop });
    await bench.input("see", { loop, sip: { session: "gone" } }).catch(() => undefined);
    assert.ok(bench.order().length <= 2);
    bench.clear();
    await bench.input("see", { sip: { session: "gone" } });
    assert.equal(bench.of("see:2").length, 1);
  });

  it("hands http request objects on by reference, as the core nodes do", async () => {
    await bench.load([stack(), { id: "see", type: "sip-session" }]);
    const seen: unknown[] = [];
    bench.node("see:2").removeAllListeners("input");
    bench.node("see:2").on("input", (msg: Record<string, unknown>) => seen.push(msg["res"]));
    const res = { status: () => undefined };
    await bench.input("see", { res, sip: { session: "gone" } });
    assert.equal(seen[0], res);
  });

  describe("status", () => {
    const shown = (id: string): string[] => bench.statuses(id).map(({ text }) => text ?? "");
    const second = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1050));

    it("tells the story of a call, at most once a second, and is cleared at 0", async () => {
      await bench.load([stack(), { id: "out", type: "sip-invite", stack: "stack", to: "sip:b@h" }]);
      await bench.input("out", {});
      const session = bench.userAgent.lastCall;
      session.become("early");
      session.answer();
      assert.deepEqual(shown("out"), ["ringing bob 0 s"]);
      bench.clock.advance(83_000);
      await second();
      assert.deepEqual(shown("out").slice(1), ["talking 01:23"]);
      await bench.input("out", {});
      await second();
      assert.deepEqual(shown("out").slice(2), ["2 calls"]);
      bench.userAgent.lastCall.close("busy", 486);
      session.close("remote-bye");
      await second();
      assert.deepEqual(shown("out").slice(3), ["busy 486"]);
    });

    it("shows the account of sip-register and follows it", async () => {
      await bench.load([
        stack(),
        { id: "account", type: "sip-account", stack: "stack", uri: "sip:a@b" },
        { id: "reg", type: "sip-register", account: "account" },
      ]);
      await second();
      assert.equal(shown("reg").at(-1), "registered");
      const account = bench.userAgent.accounts.get("account");
      assert.ok(account);
      account.registration = { state: "failed", statusCode: 403, reason: "Forbidden" };
      bench.userAgent.report({
        name: "registration-failed",
        accountId: "account",
        statusCode: 403,
      });
      await second();
      assert.equal(shown("reg").at(-1), "403 Forbidden");
    });
  });
});
