/**
 * Two real stacks on 127.0.0.1 in one Node-RED: real user agents, real UDP, real sound. What the fakes of the
 * other tests assume about the library is seen to hold here.
 */
import assert from "node:assert/strict";
import { account, type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

const here = (id: string, rtp: number, more = {}): FlowEntry =>
  stack(
    {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
      rtpPortMin: rtp,
      rtpPortMax: rtp + 98,
      ...more,
    },
    id,
  );

/** What a stack opens; the helper's own web server stays. */
const LEFT_OPEN = /UDP|TCP|TLS|Timeout|MessagePort|Worker/i;

describe("loopback with the real library", function () {
  this.timeout(30_000);
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  const portOf = (id: string): number => {
    const { userAgent } = bench.node(id) as unknown as {
      userAgent: { bound: { port: number }[] };
    };
    return userAgent.bound[0].port;
  };
  const running = (id: string): boolean =>
    (bench.node(id) as unknown as { userAgent?: { running: boolean } }).userAgent?.running === true;
  const until = async (condition: () => boolean, limitMs = 8000): Promise<void> => {
    const end = Date.now() + limitMs;
    while (!condition()) {
      if (Date.now() > end) {
        assert.fail(
          `not reached; seen: ${bench.order().join(" ")} ${JSON.stringify(bench.of("caught"))}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const seen =
    (from: string, count = 1) =>
    (): boolean =>
      bench.of(from).length >= count;

  const flow: FlowEntry[] = [
    here("one", 21_000),
    here("two", 21_100),
    { id: "out", type: "sip-invite", stack: "one", to: "to", toType: "msg" },
    { id: "in", type: "sip-incoming", stack: "two", match: "door*" },
    { id: "ans", type: "sip-accept" },
    { id: "bye", type: "sip-bye" },
    { id: "get", type: "sip-gather", max: 3 },
    {
      id: "menu",
      type: "sip-menu",
      choices: [{ digits: "1" }, { digits: "2" }, { digits: "3" }],
      prompt: "ring",
      promptType: "tone",
      invalidPrompt: "tone:busy",
      timeout: 0.5,
      retries: 1,
    },
    { id: "dtmf", type: "sip-dtmf", digits: "123", gap: 100 },
    { id: "play", type: "sip-play", source: "beep", sourceType: "tone" },
    { id: "rej", type: "sip-reject" },
    { id: "msg", type: "sip-message" },
    { id: "ev", type: "sip-event", stack: "two", events: "state,message,bye" },
  ];
  const start = async (): Promise<void> => {
    await bench.loadReal(flow);
    for (const id of ["one", "two"]) {
      await until(() => running(id));
    }
  };
  const dial = (user: string, more = {}): void =>
    bench.send("out", { to: `sip:${user}@127.0.0.1:${portOf("two")}`, ...more });

  /** Both sides of a call that is up. */
  const talk = async (): Promise<{ caller: string; callee: string }> => {
    dial("door1", { mine: 1 });
    await until(seen("in:1"));
    bench.send("ans", bench.of("in:1")[0]);
    await until(seen("ans:1"));
    await until(seen("out:1"));
    return { caller: bench.only("out:1").sip.session, callee: bench.only("ans:1").sip.session };
  };

  it("gives a call with Replaces to the node of the old one, which ends as replaced", async () => {
    await start();
    const { caller, callee } = await talk();
    const { callId, localTag, remoteTag } = bench.only("out:1").sip;
    // Sent to the Contact of the old call, whose user no node asks for.
    dial("contact", { options: { replaces: { callId, toTag: remoteTag, fromTag: localTag } } });
    await until(seen("in:1", 2));
    const fresh = bench.of("in:1")[1];
    assert.equal(fresh.sip.replaces, callee);
    bench.send("ans", fresh);
    await until(seen("in:2"));
    assert.equal(bench.only("in:2").payload, "replaced");
    assert.equal(bench.only("in:2").sip.replacedBy, fresh.sip.session);
    await until(seen("out:4"));
    assert.equal(bench.only("out:4").payload, "remote-bye");
    assert.equal(bench.only("out:4").sip.session, caller);
    dial("door1", { options: { replaces: caller } });
    await until(seen("out:3"));
    assert.equal(bench.only("out:3").sip.cause, "no-session");
    dial("door1", { options: { replaces: { callId } } });
    await until(seen("caught"));
    assert.equal(bench.only("caught").error.code, "bad-option");
  });

  it("leaves no socket, timer, port or thread behind when the nodes close in mid-call, within 2 s", async () => {
    const resources = (): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const kind of process.getActiveResourcesInfo()) {
        if (LEFT_OPEN.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
      }
      return counts;
    };
    await start();
    await bench.unload();
    const before = resources();
    bench = new NodeBench();
    await start();
    const { callee } = await talk();
    bench.send("play", { payload: "", sip: { session: callee } });
    assert.ok((resources().UDPWrap ?? 0) > (before.UDPWrap ?? 0), "the call holds something open");
    await bench.unload();
    const more = (): string[] =>
      Object.entries(resources()).flatMap(([kind, count]) =>
        count > (before[kind] ?? 0) ? [`${count} ${kind} instead of ${before[kind] ?? 0}`] : [],
      );
    const end = Date.now() + 2000;
    while (more().length > 0 && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual(more(), []);
  });

  it("goes through menus: barge-in, a wrong key, keys typed ahead, silence, a hang-up in mid-prompt", async () => {
    await start();
    const { caller, callee } = await talk();
    const ask = (): void => bench.send("menu", { sip: { session: callee } });
    ask();
    bench.send("dtmf", { options: { digits: ",2" }, sip: { session: caller } });
    await until(seen("menu:2"));
    ask();
    // Nine is wrong, one interrupts the words about it, three waits for the next menu.
    bench.send("dtmf", { options: { digits: "913" }, sip: { session: caller } });
    await until(seen("menu:1"));
    await until(seen("dtmf:1", 2));
    ask();
    await until(seen("menu:3"));
    bench.send("menu", { options: { prompt: "", retries: 0 }, sip: { session: callee } });
    await until(seen("menu:4"));
    bench.send("menu", { options: { prompt: "", retries: 0 }, sip: { session: callee } });
    bench.send("dtmf", { options: { digits: "*" }, sip: { session: caller } });
    await until(seen("menu:5"));
    ask();
    bench.send("bye", { sip: { session: caller } });
    await until(seen("menu:6"));
    assert.equal(bench.only("menu:6").sip.cause, "remote-bye");
    assert.deepEqual(
      bench.order().filter((from) => from.startsWith("menu")),
      ["menu:2", "menu:1", "menu:3", "menu:4", "menu:5", "menu:6"],
    );
    assert.deepEqual(bench.of("caught"), []);
  });

  it("calls, answers, plays, sends digits, sends a text, hangs up", async () => {
    await start();
    const { caller, callee } = await talk();
    const inviting = bench.of("out:2");
    assert.deepEqual(
      inviting.map((msg) => msg.topic),
      ["inviting", "progress"],
    );
    assert.equal(bench.only("out:1").mine, 1);
    assert.equal(bench.only("out:1").sip.state, "established");
    assert.equal(bench.only("out:1").sip.media[0].codec, "opus");
    bench.send("get", { sip: { session: callee } });
    bench.send("dtmf", { sip: { session: caller } });
    await until(seen("get:1"));
    assert.equal(bench.only("get:1").payload, "123");
    await until(seen("dtmf:1"));
    bench.send("play", { sip: { session: callee } });
    await until(seen("play:1"));
    assert.equal(bench.only("play:1").payload, "completed");
    bench.send("msg", { payload: "Grüße", sip: { session: caller } });
    await until(seen("msg:1"));
    const text = bench.of("ev:1").find((msg) => msg.topic === "message");
    assert.equal(text.payload, "Grüße");
    assert.equal(text.sip.session, callee);
    bench.send("bye", { sip: { session: callee } });
    await until(seen("bye:1"));
    await until(seen("out:4"));
    await until(seen("in:2"));
    assert.equal(bench.only("bye:1").payload, "local-bye");
    assert.equal(bench.only("in:2").payload, "local-bye");
    assert.equal(bench.only("out:4").payload, "remote-bye");
    assert.deepEqual(bench.of("caught"), []);
    const order = bench.order();
    assert.ok(order.indexOf("bye:1") < order.indexOf("in:2"));
  });

  it("a refused call fails with the code, an unhandled user with 480", async () => {
    await start();
    dial("door2");
    await until(seen("in:1"));
    bench.send("rej", { ...bench.of("in:1")[0], options: { statusCode: 486 } });
    await until(seen("out:3"));
    assert.deepEqual([bench.only("out:3").payload, bench.only("out:3").sip.cause], [486, "busy"]);
    assert.equal(bench.only("in:2").topic, "failed");
    assert.equal(bench.only("rej:1").payload, 486);
    bench.clear();
    dial("nobody");
    await until(seen("out:3"));
    assert.deepEqual(
      [bench.only("out:3").payload, bench.only("out:3").sip.cause],
      [480, "unavailable"],
    );
  });

  it("the caller's sip-bye before the answer cancels, and the callee's play ends with the call", async () => {
    await start();
    dial("door3");
    await until(seen("in:1"));
    bench.send("bye", { sip: bench.of("out:2")[0].sip });
    await until(seen("out:3"));
    await until(seen("in:2"));
    assert.equal(bench.only("out:3").sip.cause, "cancelled");
    assert.equal(bench.only("in:2").payload, "cancelled");
    await until(seen("bye:1"));
  });

  it("a call and its sound live through a Full deploy", async () => {
    await start();
    const { caller, callee } = await talk();
    bench.send("get", { sip: { session: callee }, options: { max: 1 } });
    await bench.deploy(undefined);
    bench.send("dtmf", { sip: { session: caller }, options: { digits: "7" } });
    await until(seen("get:1"));
    assert.equal(bench.only("get:1").payload, "7");
    bench.send("bye", { sip: { session: caller } });
    await until(seen("out:4"));
    await until(seen("in:2"));
  });

  it("a transfer by one flow is followed by another, and both see its way", async () => {
    await bench.loadReal([
      ...flow,
      here("three", 21_200),
      { id: "in3", type: "sip-incoming", stack: "three" },
      { id: "ans3", type: "sip-accept" },
      { id: "ref", type: "sip-refer", to: "to", toType: "msg" },
      { id: "ev1", type: "sip-event", stack: "one", events: "refer", answerWithin: 2000 },
      { id: "fol", type: "sip-accept", follow: true },
    ]);
    for (const id of ["one", "two", "three"]) await until(() => running(id));
    const { caller, callee } = await talk();
    bench.send("ref", {
      to: `sip:target@127.0.0.1:${portOf("three")}`,
      sip: { session: callee },
    });
    await until(seen("ev1:1"));
    const refer = bench.only("ev1:1");
    assert.match(refer.payload, /target@127\.0\.0\.1/);
    assert.equal(typeof refer.sip.request, "string");
    assert.equal(refer.sip.session, caller);
    bench.send("fol", refer);
    await until(seen("in3:1"));
    bench.send("ans3", bench.only("in3:1"));
    await until(seen("fol:1"));
    await until(seen("ref:1"));
    const followed = bench.only("fol:1");
    assert.equal(followed.sip.peer, caller);
    assert.notEqual(followed.sip.session, caller);
    assert.equal(followed.sip.request, undefined);
    assert.equal(bench.only("ref:1").payload, 200);
    await until(seen("in:2"));
    assert.equal(bench.only("in:2").sip.cause, "transferred");
    assert.ok(bench.of("ref:2").length > 0);
    bench.send("bye", { sip: followed.sip });
    await until(seen("bye:1"));
    assert.deepEqual(bench.of("caught"), []);
  });

  it("early sound, a text on its own that is held and answered, a second late answer", async () => {
    await bench.loadReal([
      ...flow,
      { id: "pro", type: "sip-progress", statusCode: 183, earlyMedia: true },
      { id: "alone", type: "sip-message", stack: "one", to: "to", toType: "msg" },
      { id: "hold", type: "sip-event", stack: "two", events: "message", answerWithin: 3000 },
    ]);
    for (const id of ["one", "two"]) await until(() => running(id));
    dial("door4");
    await until(seen("in:1"));
    bench.send("play", { sip: bench.only("in:1").sip });
    await until(seen("caught"));
    assert.equal(bench.only("caught").error.code, "no-media");
    bench.send("pro", { sip: bench.only("in:1").sip });
    await until(seen("pro:1"));
    assert.equal(bench.only("pro:1").payload, 183);
    bench.send("play", { sip: bench.only("in:1").sip });
    await until(seen("play:1"));
    bench.send("bye", { sip: bench.only("in:1").sip });
    await until(seen("out:3"));
    bench.clear();

    bench.send("alone", { payload: "hello", to: `sip:x@127.0.0.1:${portOf("two")}` });
    await until(seen("hold:1"));
    const held = bench.only("hold:1");
    assert.equal(held.payload, "hello");
    bench.send("ans", { ...held, options: { statusCode: 202 } });
    await until(seen("ans:1"));
    await until(seen("alone:1"));
    assert.deepEqual([bench.only("ans:1").payload, bench.only("alone:1").payload], [202, 202]);
    bench.send("ans", held);
    await until(seen("ans:2"));
    assert.equal(bench.only("ans:2").sip.cause, "no-request");
  });

  it("names a busy port and starts all the same", async () => {
    await bench.loadReal([here("one", 21_000)]);
    await until(() => running("one"));
    const port = portOf("one");
    await bench.deploy([
      here("one", 21_000),
      here("two", 21_100, { transports: [{ protocol: "udp", address: "127.0.0.1", port }] }),
      { id: "out", type: "sip-invite", stack: "two", to: "sip:a@127.0.0.1" },
    ]);
    bench.send("out", {});
    await until(seen("caught"));
    const { error } = bench.only("caught");
    assert.equal(error.code, "stack-failed");
    assert.match(error.message, new RegExp(String(port)));
  });

  it("says why an account is not registered", async () => {
    await bench.loadReal([
      here("one", 21_000),
      here("two", 21_100),
      { id: "ev", type: "sip-event", stack: "one", events: "registration-failed" },
      { id: "reg", type: "sip-register", account: "account" },
      account({ stack: "one", uri: "sip:alice@127.0.0.1", register: false, registrar: "" }),
    ]);
    await until(() => running("two"));
    const { userAgent } = bench.node("one") as unknown as {
      userAgent: { accounts: Map<string, unknown> };
    };
    assert.ok(userAgent.accounts.has("account"));
    bench.send("reg", { control: "status" });
    await until(seen("reg:2"));
    assert.equal(bench.only("reg:2").topic, "registration-failed");
  });
});
