/**
 * sip-bridge (contract §4.7, §4.8). Hard cases: both sides hang up at once, two bridges asked for one call at once, a
 * call that moves over, one that is replaced, a hang-up while it is being joined, a deploy.
 */
import assert from "node:assert/strict";
import type { DigitEvent } from "../../lib/index.js";
import { type FakeAudio, type FakeSession, invite } from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

describe("sip-bridge", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  const flow = (more: Record<string, unknown> = {}, ...nodes: FlowEntry[]): FlowEntry[] => [
    stack(),
    { id: "in", type: "sip-incoming", stack: "stack" },
    { id: "join", type: "sip-bridge", ...more },
    ...nodes,
  ];

  /** Calls that are up. */
  const calls = async (count: number): Promise<FakeSession[]> => {
    const sessions: FakeSession[] = [];
    for (let i = 0; i < count; i++) {
      const session = bench.userAgent.ring();
      assert.ok(session);
      await bench.settle();
      session.answer();
      await bench.settle();
      session.calls.length = 0;
      sessions.push(session);
    }
    bench.clear();
    return sessions;
  };
  const audio = ({ fakeAudio }: FakeSession): FakeAudio => fakeAudio as FakeAudio;
  const join = (
    a: FakeSession,
    b: FakeSession,
    more: Record<string, unknown> = {},
    id = "join",
  ): Promise<void> => bench.input(id, { ...more, sip: { session: a.id, peer: b.id } });
  const digit = (value: string, method: DigitEvent["method"]): { digit: DigitEvent } => ({
    digit: { digit: value, method, duration: 120 },
  });

  it("joins two calls and leaves with the handle of the other; in every message the other is peer", async () => {
    await bench.load(flow({}, { id: "look", type: "sip-session" }));
    const [a, b] = await calls(2);
    await join(a, b, { payload: "gone", keep: 7 });
    const msg = bench.only("join:1");
    assert.equal(msg.topic, "bridged");
    assert.equal(msg.payload, b.id);
    assert.equal(msg.keep, 7);
    assert.equal(msg.sip.session, a.id);
    assert.equal(msg.sip.peer, b.id);
    assert.equal(audio(a).bridges.length, 1);
    assert.equal(audio(a).bridges[0].other, audio(b));
    assert.deepEqual(bench.order(), ["join:1", "completed"]);
    await bench.input("look", { sip: { session: b.id, peer: "another" } });
    assert.equal(bench.only("look:1").sip.peer, a.id);
  });

  it("ends the other call when one ends, tells it once, and both owners hear of it", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    await join(a, b, { keep: 1 });
    bench.clear();
    b.close("remote-bye");
    await bench.settle();
    const msg = bench.only("join:2");
    assert.equal(msg.topic, "bridge-ended");
    assert.equal(msg.payload, "remote-bye");
    assert.equal(msg.keep, 1);
    assert.equal(msg.sip.session, b.id);
    assert.equal(msg.sip.peer, a.id);
    assert.equal(msg.sip.cause, "remote-bye");
    assert.deepEqual(
      a.calls.map(({ name }) => name),
      ["end"],
    );
    assert.deepEqual(bench.order(), ["join:2", "in:2", "in:2"]);
    // Outputs are ordered within a call; those of two calls leave beside each other.
    assert.deepEqual(
      new Map(bench.of("in:2").map(({ sip }) => [sip.session, sip.peer])),
      new Map([
        [b.id, a.id],
        [a.id, undefined],
      ]),
    );
    assert.equal(audio(a).bridges[0].stopped, true);
  });

  it("leaves the other call up without hangup, and the flow goes on with it", async () => {
    await bench.load(flow({ hangup: false }, { id: "look", type: "sip-session" }));
    const [a, b] = await calls(2);
    await join(a, b);
    a.close("remote-bye");
    await bench.settle();
    const msg = bench.only("join:2");
    assert.equal(msg.sip.peer, b.id);
    assert.deepEqual(b.calls, []);
    await bench.input("look", { sip: { session: msg.sip.peer } });
    assert.equal(bench.only("look:1").sip.peer, undefined);
  });

  it("survives that both hang up at once", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    await join(a, b);
    bench.clear();
    a.close("remote-bye");
    b.close("remote-bye");
    await bench.settle();
    assert.deepEqual(bench.order().sort(), ["in:2", "in:2", "join:2"]);
    assert.equal(bench.only("join:2").sip.session, a.id);
  });

  it("is taken apart by stop, by its own node or by options.all", async () => {
    await bench.load(flow({}, { id: "other", type: "sip-bridge" }));
    const [a, b] = await calls(2);
    await join(a, b);
    await bench.input("other", { control: "stop", sip: { session: b.id } });
    assert.equal(audio(a).bridges[0].stopped, false);
    bench.clear();
    await bench.input("join", { control: "stop", sip: { session: b.id } });
    const msg = bench.only("join:2");
    assert.equal(msg.payload, "unbridged");
    assert.equal(msg.sip.cause, "unbridged");
    assert.equal(msg.sip.session, b.id);
    assert.equal(msg.sip.peer, a.id);
    assert.equal(msg.sip.state, "established");
    assert.deepEqual([...a.calls, ...b.calls], []);
    assert.deepEqual(bench.order().sort(), ["completed", "join:2"]);
    await join(a, b);
    await bench.input("other", { control: "stop", options: { all: true }, sip: { session: a.id } });
    assert.equal(bench.of("join:2").length, 2);
    await bench.input("join", { control: "pause", sip: { session: a.id } });
    assert.equal(bench.only("caught").error.code, "bad-control");
    await bench.input("join", { control: "stop", sip: { session: "gone" } });
    assert.equal(bench.of("caught").length, 1);
  });

  it("changes nothing for the same pair again, whichever comes first", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    await join(a, b);
    await join(b, a);
    assert.equal(audio(a).bridges.length + audio(b).bridges.length, 1);
    assert.deepEqual(
      bench.of("join:1").map(({ payload }) => payload),
      [b.id, a.id],
    );
    a.close("remote-bye");
    await bench.settle();
    assert.equal(bench.of("join:2").length, 1);
  });

  it("lets a call move over to another bridge; the one it leaves alone lives on", async () => {
    await bench.load(flow());
    const [a, b, c] = await calls(3);
    await join(a, b);
    await join(c, a);
    const msg = bench.only("join:2");
    assert.equal(msg.payload, "unbridged");
    assert.equal(msg.sip.session, a.id);
    assert.equal(msg.sip.peer, b.id);
    assert.deepEqual(bench.order(), ["join:1", "completed", "join:2", "join:1", "completed"]);
    b.close("remote-bye");
    await bench.settle();
    assert.deepEqual([...a.calls, ...c.calls], []);
    a.close("remote-bye");
    await bench.settle();
    assert.deepEqual(
      c.calls.map(({ name }) => name),
      ["end"],
    );
  });

  it("takes the newest of two bridges that are asked for at once", async () => {
    await bench.load(flow());
    const [a, b, c] = await calls(3);
    let release = (): void => undefined;
    audio(a).holdBridges = new Promise((resolve) => (release = resolve));
    await join(a, b);
    await join(a, c);
    const lost = bench.only("join:2");
    assert.equal(lost.payload, "unbridged");
    assert.equal(lost.sip.peer, b.id);
    release();
    await bench.settle();
    assert.equal(bench.only("join:1").payload, c.id);
    const [first, second] = audio(a).bridges;
    assert.equal(first.other, audio(b));
    assert.deepEqual([first.stopped, second.stopped], [true, false]);
  });

  it("leaves by output 2 when a side hangs up while it is being joined", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    let release = (): void => undefined;
    audio(a).holdBridges = new Promise((resolve) => (release = resolve));
    await join(a, b);
    b.close("remote-bye");
    await bench.settle();
    release();
    await bench.settle();
    assert.equal(bench.only("join:2").payload, "remote-bye");
    assert.deepEqual(bench.of("join:1"), []);
    assert.equal(audio(a).bridges[0].stopped, true);
    assert.deepEqual(bench.order().filter((from) => from === "completed").length, 1);
  });

  it("leaves by output 2 when a call is over already, and ends the other", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    b.close("remote-bye");
    await bench.settle();
    bench.clear();
    await join(a, b);
    const msg = bench.only("join:2");
    assert.equal(msg.payload, "no-session");
    assert.equal(msg.sip.cause, "no-session");
    assert.equal(msg.sip.state, "terminated");
    assert.equal(msg.sip.session, b.id);
    assert.equal(msg.sip.peer, a.id);
    assert.deepEqual(
      a.calls.map(({ name }) => name),
      ["end"],
    );
    bench.clear();
    await bench.input("join", {
      options: { hangup: false },
      sip: { session: "gone", peer: "too" },
    });
    assert.equal(bench.only("join:2").sip.session, "gone");
  });

  it("refuses what cannot be joined, and leaves the bridges as they are", async () => {
    await bench.load(flow());
    const [a, b, c] = await calls(3);
    await join(a, b);
    bench.clear();
    const fails = async (code: string, send: () => Promise<void>): Promise<void> => {
      bench.clear();
      await send();
      assert.equal(bench.only("caught").error.code, code);
      assert.deepEqual(bench.order(), ["caught"]);
    };
    await fails("no-peer", () => bench.input("join", { sip: { session: a.id } }));
    await fails("no-handle", () => bench.input("join", { sip: { peer: a.id } }));
    await fails("same-session", () => join(a, a));
    await fails("bad-option", () => join(a, c, { options: { mode: "none" } }));
    audio(c).ready = false;
    await fails("no-media", () => join(a, c));
    assert.equal(audio(a).bridges[0].stopped, false);
  });

  it("passes keys on that the sound does not carry, and they stay events", async () => {
    await bench.load(flow({}, { id: "ev", type: "sip-event", stack: "stack", events: "dtmf" }));
    const [a, b] = await calls(2);
    await join(a, b);
    bench.clear();
    a.happen("dtmf", digit("1", "info-relay"));
    a.happen("dtmf", digit("2", "inband"));
    b.happen("dtmf", digit("3", "rfc4733"));
    await bench.settle();
    const sent = ({ calls: made }: FakeSession): unknown[] => made.map(({ options }) => options);
    assert.deepEqual(sent(b), [{ digits: "1", duration: 120 }]);
    // The fake's media takes no events.
    assert.deepEqual(sent(a), [{ digits: "3", duration: 120 }]);
    assert.deepEqual(
      bench.of("ev:1").map(({ payload }) => payload),
      ["1", "2", "3"],
    );
  });

  it("passes a key by INFO on once, though the same key comes in the media as well", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    for (const session of [a, b]) {
      session.media = [
        {
          kind: "audio",
          codec: "PCMU",
          clockRate: 8000,
          direction: "sendrecv",
          address: "10.0.0.9",
          port: 4000,
          dtmf: "rfc4733",
        },
      ];
    }
    await join(a, b);
    const { listener } = audio(a).bridges[0];
    const pass = async (ms: number): Promise<string[]> => {
      bench.clock.advance(ms);
      await bench.settle();
      return b.calls.splice(0).map(({ name, options }) => `${name} ${JSON.stringify(options)}`);
    };
    // In the media first, then as INFO.
    listener?.onKey(audio(b), "1");
    a.happen("dtmf", digit("1", "info-relay"));
    assert.deepEqual(await pass(1000), []);
    // As INFO first.
    a.happen("dtmf", digit("2", "info-relay"));
    await pass(100);
    listener?.onKey(audio(b), "2");
    assert.deepEqual(await pass(1000), []);
    // As INFO only; what went to the other side, or long ago, does not count.
    listener?.onKey(audio(a), "3");
    listener?.onKey(audio(b), "3");
    await pass(6000);
    a.happen("dtmf", digit("3", "info-relay"));
    assert.deepEqual(await pass(1000), ['sendDigits {"digits":"3","duration":120}']);
    a.happen("dtmf", digit("4", "info-relay"));
    await bench.input("join", { control: "stop", sip: { session: a.id } });
    assert.deepEqual(await pass(1000), []);
  });

  it("moves to the call that replaces a leg, and goes on with it", async () => {
    await bench.load(flow());
    const [a, b, heir] = await calls(3);
    await join(a, b);
    bench.clear();
    a.happen("replaced", { snapshot: { ...a.snapshot(), replacedBy: heir.id } });
    a.close("replaced");
    await bench.settle();
    assert.deepEqual(bench.of("join:2"), []);
    assert.deepEqual(b.calls, []);
    assert.equal(audio(heir).bridges.length, 1);
    assert.equal(audio(heir).bridges[0].other, audio(b));
    b.close("remote-bye");
    await bench.settle();
    assert.equal(bench.only("join:2").sip.peer, heir.id);
    assert.deepEqual(
      heir.calls.map(({ name }) => name),
      ["end"],
    );
  });

  it("waits for the sound of the call that replaces a leg", async () => {
    await bench.load(flow());
    const [a, b, heir] = await calls(3);
    audio(heir).ready = false;
    await join(a, b);
    a.happen("replaced", { snapshot: { ...a.snapshot(), replacedBy: heir.id } });
    a.close("replaced");
    await bench.settle();
    assert.equal(audio(heir).bridges.length, 0);
    audio(heir).ready = true;
    heir.happen("confirmed");
    await bench.settle();
    assert.equal(audio(heir).bridges.length, 1);
  });

  it("joins again what was lost, when there is sound again", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    await join(a, b);
    a.happen("media");
    await bench.settle();
    assert.equal(audio(a).bridges.length, 1);
    audio(a).bridges[0].finish("failed");
    await bench.settle();
    a.happen("media");
    await bench.settle();
    assert.equal(audio(a).bridges.length, 2);
    assert.deepEqual(bench.of("join:2"), []);
  });

  describe("in the mode signaling", () => {
    const acts = ({ calls: made }: FakeSession): string[] =>
      made.map(({ name, options }) => `${name} ${String(options)}`);

    it("lets the sound flow directly, and back when it is stopped", async () => {
      await bench.load(flow({ mode: "signaling" }));
      const [a, b] = await calls(2);
      await join(a, b);
      assert.equal(bench.only("join:1").payload, b.id);
      assert.deepEqual(acts(a), [`direct ${b.id}`]);
      await bench.input("join", { control: "stop", sip: { session: a.id } });
      assert.deepEqual(acts(a), [`direct ${b.id}`, `indirect ${b.id}`]);
      assert.equal(bench.only("join:2").payload, "unbridged");
    });

    it("is an error when a side refuses; both calls live on for themselves", async () => {
      await bench.load(flow({ mode: "signaling" }));
      const [a, b] = await calls(2);
      a.outcomes["direct"] = { ok: false, cause: "incompatible-media", statusCode: 488 };
      await join(a, b);
      assert.equal(bench.only("caught").error.code, "not-direct");
      assert.deepEqual(bench.order(), ["caught"]);
      assert.equal(audio(a).bridges[0].stopped, true);
      a.close("remote-bye");
      await bench.settle();
      assert.deepEqual(b.calls, []);
    });

    it("needs two calls that are up", async () => {
      await bench.load(flow({ mode: "signaling" }));
      const [a, b] = await calls(2);
      b.state = "early";
      await join(a, b);
      assert.equal(bench.only("caught").error.code, "E_STATE");
    });

    it("follows a call that replaces a leg: first back, then directly again", async () => {
      await bench.load(flow({ mode: "signaling" }));
      const [a, b, heir] = await calls(3);
      await join(a, b);
      a.happen("replaced", { snapshot: { ...a.snapshot(), replacedBy: heir.id } });
      a.close("replaced");
      await bench.settle();
      assert.deepEqual(acts(a), [`direct ${b.id}`, `indirect ${b.id}`]);
      assert.deepEqual(acts(heir), [`direct ${b.id}`]);
    });

    it("tells its end when the sound of the call that stays is here, or two seconds later", async () => {
      await bench.load(flow({ mode: "signaling", hangup: false }));
      const [a, b, c] = await calls(3);
      await join(a, b);
      bench.clear();
      let back = (): void => undefined;
      a.outcomes["indirect"] = new Promise((resolve) => {
        back = () => resolve({ ok: true, statusCode: 200 });
      });
      b.close("remote-bye");
      await bench.settle();
      assert.deepEqual(bench.order(), []);
      back();
      await bench.settle();
      assert.deepEqual(bench.order(), ["join:2", "in:2"]);
      await join(c, a);
      c.outcomes["indirect"] = new Promise(() => undefined);
      bench.clear();
      a.close("remote-bye");
      await bench.settle();
      assert.deepEqual(bench.order(), []);
      bench.clock.advance(2000);
      await bench.settle();
      assert.deepEqual(bench.order(), ["join:2", "in:2"]);
    });

    it("is changed to media by the same pair again in that mode", async () => {
      await bench.load(flow({ mode: "signaling" }));
      const [a, b] = await calls(2);
      await join(a, b);
      await join(a, b, { options: { mode: "media" } });
      assert.deepEqual(acts(a), [`direct ${b.id}`, `indirect ${b.id}`]);
      assert.equal(bench.of("join:1").length, 2);
      assert.equal(bench.only("join:2").payload, "unbridged");
      assert.equal(audio(a).bridges.length, 2);
      assert.equal(audio(a).bridges[1].stopped, false);
    });
  });

  it("moves to the call that a followed REFER has placed, also when its leg hung up before", async () => {
    await bench.load(
      flow(
        {},
        { id: "ev", type: "sip-event", stack: "stack", events: "refer" },
        { id: "ok", type: "sip-accept", follow: true },
      ),
    );
    const [a, b, heir] = await calls(3);
    await join(a, b);
    bench.clear();
    const pending = bench.userAgent.hold(invite());
    let placed = (): void => undefined;
    pending.accept = () =>
      new Promise((resolve) => {
        placed = () => resolve({ ok: true, statusCode: 202, newSession: { id: heir.id } });
      });
    await bench.input("ok", { sip: { session: a.id, request: pending.handle } });
    a.close("remote-bye");
    await bench.settle();
    assert.deepEqual(bench.of("join:2"), []);
    assert.deepEqual(b.calls, []);
    placed();
    await bench.settle();
    assert.equal(bench.only("ok:1").sip.session, heir.id);
    assert.equal(bench.only("ok:1").sip.peer, a.id);
    assert.equal(audio(heir).bridges.length, 1);
    b.close("remote-bye");
    await bench.settle();
    assert.equal(bench.only("join:2").sip.peer, heir.id);
  });

  it("lives through a deploy; the new instance of the node tells its end", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    await join(a, b);
    bench.clear();
    await bench.deploy(undefined);
    assert.equal(audio(a).bridges[0].stopped, false);
    a.close("remote-bye");
    await bench.settle();
    assert.equal(bench.only("join:2").sip.session, a.id);
    assert.deepEqual(
      b.calls.map(({ name }) => name),
      ["end"],
    );
  });

  it("shows that it joins calls", async () => {
    await bench.load(flow());
    const [a, b] = await calls(2);
    await join(a, b);
    assert.equal(bench.statuses("join").at(-1)?.text, "bridged");
  });
});
