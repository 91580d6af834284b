/**
 * sip-event between two real stacks (contract §3, §4.6, §5). Requirements:
 *  1. Every event of a call is told on its side, in order, with state, signaling, data, times and identity of the dialog as
 *     they are then; the last one with cause, endTime and duration.
 *  2. Hold and resume by sip-reinvite; a re-INVITE of the peer is accepted and rejected by its handle.
 *  3. sip-request in and out of a call: OPTIONS, PUBLISH, INFO with and without a package that is taken.
 *  4. Rules of sip-supplement: set, add and remove, in both directions, with values that need time.
 */
import assert from "node:assert/strict";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

const EVENTS = [
  "inviting incoming progress answered confirmed redirecting rejected failed cancelled ended state reinvite hold resume updated",
  "refresh-needed offer refer replaced message info dtmf notify bye participant route media request response options",
].join(" ");

const real = (id: string, rtp: number): FlowEntry =>
  stack(
    {
      transports: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
      rtpPortMin: rtp,
      rtpPortMax: rtp + 98,
      infoPackages: ["foo"],
    },
    id,
  );

const rule = (action: string, header: string, value = "", valueType = "str"): object => ({
  action,
  header,
  value,
  valueType,
});

const flow: FlowEntry[] = [
  real("one", 22_000),
  real("two", 22_100),
  { id: "out", type: "sip-invite", stack: "one", to: "to", toType: "msg" },
  { id: "in", type: "sip-incoming", stack: "two" },
  { id: "acc", type: "sip-accept" },
  { id: "rej", type: "sip-reject" },
  { id: "bye", type: "sip-bye" },
  { id: "change", type: "sip-reinvite" },
  { id: "req", type: "sip-request", stack: "one", to: "to", toType: "msg" },
  { id: "tone", type: "sip-dtmf", digits: "7", method: "info-relay" },
  { id: "ev1", type: "sip-event", stack: "one", events: EVENTS.split(" "), answerWithin: 0 },
  { id: "ev2", type: "sip-event", stack: "two", events: EVENTS.split(" "), answerWithin: 0 },
  { id: "held", type: "sip-event", stack: "two", events: ["reinvite"], answerWithin: 15_000 },
  {
    id: "supout",
    type: "sip-supplement",
    stack: "one",
    directions: ["outgoing-request"],
    methods: ["INVITE"],
    rules: [
      rule("set", "X-Slow", "payload & ' slow'", "jsonata"),
      rule("add", "X-Two", "a"),
      rule("add", "X-Two", "b"),
      rule("remove", "User-Agent"),
    ],
  },
  {
    id: "supin",
    type: "sip-supplement",
    stack: "two",
    directions: ["incoming-request", "outgoing-response"],
    methods: ["INVITE"],
    rules: [rule("set", "X-Seen", "yes"), rule("remove", "X-Two")],
  },
  {
    id: "supback",
    type: "sip-supplement",
    stack: "one",
    directions: ["incoming-response"],
    methods: ["INVITE"],
    rules: [rule("set", "X-Back", "back")],
  },
];

describe("sip-event between real stacks", function () {
  this.timeout(60_000);
  useNodeRed();
  let bench: NodeBench;
  beforeEach(async () => {
    bench = new NodeBench();
    await bench.loadReal(flow);
    for (const id of ["one", "two"]) await until(() => userAgent(id)?.running === true);
  });
  afterEach(() => bench.unload());

  const userAgent = (id: string) =>
    (bench.node(id) as unknown as { userAgent?: { running: boolean; bound: { port: number }[] } })
      .userAgent;
  const until = async (condition: () => boolean, limitMs = 20_000): Promise<void> => {
    const end = Date.now() + limitMs;
    while (!condition()) {
      if (Date.now() > end) assert.fail(`not reached; seen: ${bench.order().join(" ")}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const told = (node: string, event: string) =>
    bench.of(`${node}:1`).filter((msg) => msg.topic === event);
  const heard = async (node: string, event: string, count = 1) => {
    await until(() => told(node, event).length >= count);
    return told(node, event)[count - 1];
  };
  const uri = (user: string): string => `sip:${user}@127.0.0.1:${userAgent("two")?.bound[0].port}`;
  const names = (node: string): string[] =>
    bench
      .of(`${node}:1`)
      .map((msg) => (msg.topic === "state" ? `state:${msg.payload}` : String(msg.topic)))
      .filter((name) => !["request", "response", "media"].includes(name));

  /** What every event of a session has. */
  const check = (node: string, stackId: string, direction: string): void => {
    for (const { sip, topic } of bench.of(`${node}:1`)) {
      if (sip.session === undefined) continue;
      const where = `${node} ${String(topic)}`;
      assert.equal(sip.event, topic, where);
      assert.equal(sip.stack, stackId, where);
      assert.equal(sip.direction, direction, where);
      assert.match(
        sip.state,
        /^(idle|inviting|incoming|early|established|terminating|terminated)$/,
      );
      assert.match(
        sip.signaling,
        /^(initial|have-local-offer|have-remote-offer|stable|closed)$/,
        where,
      );
      assert.equal(typeof sip.data, "object", where);
      assert.ok(Date.parse(sip.startTime) > 0, where);
      for (const name of ["session", "callId", "localTag"]) {
        assert.ok(typeof sip[name] === "string" && sip[name] !== "", `${where} ${name}`);
      }
      for (const side of ["local", "remote"]) {
        assert.ok(sip[side].uri.startsWith("sip:"), where);
        assert.ok(typeof sip[side].host === "string", where);
      }
      const isOver = sip.state === "terminated";
      assert.equal(sip.endTime !== undefined, isOver, where);
      if (isOver) assert.equal(sip.signaling, "closed", where);
      assert.equal(sip.answerTime === undefined, sip.duration === undefined, where);
    }
  };

  it("tells a call with everything in it, on both sides", async () => {
    bench.send("out", { to: uri("door"), sip: { data: { ticket: 7 } } });
    await until(() => bench.of("in:1").length > 0);
    const incoming = bench.of("in:1")[0];
    bench.send("acc", { sip: { ...incoming.sip, data: { desk: "a" } } });
    await heard("ev1", "confirmed");
    await heard("ev2", "confirmed");
    const caller = bench.of("out:1")[0].sip.session;
    const callee = incoming.sip.session;

    // Rules, in both directions.
    const invite = await heard("ev2", "incoming");
    assert.equal(invite.sip.headers["x-slow"], "INVITE slow");
    assert.equal(invite.sip.headers["x-seen"], "yes");
    assert.equal(invite.sip.headers["x-two"], undefined);
    assert.equal(invite.sip.headers["user-agent"], undefined);
    const answered = await heard("ev1", "answered");
    assert.equal(answered.sip.headers["x-seen"], "yes");
    assert.equal(answered.sip.headers["x-back"], "back");

    // Hold is accepted, the first resume rejected, the second accepted.
    const change = (action: string): void =>
      bench.send("change", { options: { action }, sip: { session: caller } });
    const asked = async (count: number) => {
      await until(() => bench.of("held:1").length >= count);
      return bench.of("held:1")[count - 1];
    };
    change("hold");
    const first = await asked(1);
    assert.equal(first.sip.signaling, "have-remote-offer");
    assert.match(first.sip.remoteSdp, /a=sendonly/);
    bench.send("acc", { sip: { session: callee, request: first.sip.request } });
    const held = await heard("ev2", "hold");
    assert.deepEqual([held.payload, held.sip.hold], ["remote", "remote"]);
    assert.match(held.sip.localSdp, /a=recvonly/);
    assert.equal((await heard("ev1", "updated")).sip.hold, "local");
    change("resume");
    bench.send("rej", { sip: { session: callee, request: (await asked(2)).sip.request } });
    await until(() => bench.of("change:2").length > 0);
    const refused = bench.of("change:2")[0];
    assert.deepEqual([refused.payload, refused.topic], [488, "reinvite-failed"]);
    assert.deepEqual([refused.sip.state, refused.sip.signaling], ["established", "stable"]);
    change("resume");
    bench.send("acc", { sip: { session: callee, request: (await asked(3)).sip.request } });
    assert.equal((await heard("ev2", "resume")).payload, "none");

    // Requests in the call and beside it.
    const request = (method: string, more = {}): void =>
      bench.send("req", { payload: "x", options: { method, ...more }, sip: { session: caller } });
    request("INFO", { infoPackage: "foo", contentType: "text/plain" });
    const info = await heard("ev2", "info");
    assert.equal(info.sip.headers["info-package"], "foo");
    request("INFO", { infoPackage: "bar" });
    await until(() => bench.of("req:2").length > 0);
    assert.equal(bench.of("req:2")[0].payload, 469);
    request("OPTIONS");
    await until(() => bench.of("req:1").length > 1);
    assert.equal(bench.of("req:1")[1].sip.headers.allow.includes("INVITE"), true);
    bench.send("req", { options: { method: "OPTIONS" }, to: uri("door") });
    await heard("ev2", "options");
    bench.send("req", {
      options: { method: "PUBLISH", contentType: "text/plain" },
      payload: "news",
      headers: { Event: "x" },
      to: uri("door"),
    });
    await until(() => bench.of("req:2").length > 1);
    assert.equal(bench.of("req:2")[1].payload, 405);
    const publish = told("ev2", "request").find((msg) => msg.payload === "PUBLISH");
    assert.deepEqual([publish?.sip.method, publish?.sip.body], ["PUBLISH", "news"]);
    bench.send("tone", { sip: { session: caller } });
    const digit = await heard("ev2", "dtmf");
    assert.deepEqual([digit.payload, digit.sip.dtmf.method], ["7", "info-relay"]);

    bench.send("bye", { sip: { session: caller } });
    const ended = await heard("ev1", "ended");
    const theirs = await heard("ev2", "ended");
    assert.deepEqual([ended.payload, theirs.payload], ["local-bye", "remote-bye"]);
    for (const { sip } of [ended, theirs]) {
      assert.equal(sip.cause, sip === ended.sip ? "local-bye" : "remote-bye");
      const seconds = (Date.parse(sip.endTime) - Date.parse(sip.answerTime)) / 1000;
      assert.equal(sip.duration, seconds);
    }
    assert.deepEqual(ended.sip.data, { ticket: 7 });
    assert.deepEqual(theirs.sip.data, { desk: "a" });
    check("ev1", "one", "outgoing");
    check("ev2", "two", "incoming");
    const last = (node: string): string[] => names(node).slice(-4);
    assert.deepEqual(last("ev1").slice(-4), [
      "state:terminating",
      "bye",
      "state:terminated",
      "ended",
    ]);
    assert.deepEqual(last("ev2").slice(-3), ["bye", "state:terminated", "ended"]);
    const begin = names("ev1").filter((name) => name !== "participant");
    assert.deepEqual(begin.slice(0, 7), [
      "state:inviting",
      "inviting",
      "state:early",
      "progress",
      "state:established",
      "answered",
      "confirmed",
    ]);
    assert.deepEqual(bench.of("caught"), []);
  });

  it("tells a cancelled and a rejected call, with nothing left of their offers", async () => {
    bench.send("out", { to: uri("door") });
    await until(() => bench.of("in:1").length > 0);
    await heard("ev1", "progress");
    bench.send("bye", { sip: { session: bench.of("out:2")[0].sip.session } });
    const ours = await heard("ev1", "cancelled");
    const theirs = await heard("ev2", "cancelled");
    assert.deepEqual([ours.sip.signaling, theirs.sip.signaling], ["closed", "closed"]);
    assert.deepEqual([ours.payload, theirs.payload], ["cancelled", "cancelled"]);
    assert.equal((await heard("ev2", "failed")).sip.cause, "cancelled");
    await heard("ev1", "failed");
    bench.send("out", { to: uri("door") });
    await until(() => bench.of("in:1").length > 1);
    bench.send("rej", { sip: bench.of("in:1")[1].sip, options: { statusCode: 600 } });
    const rejected = await heard("ev2", "rejected");
    assert.deepEqual([rejected.payload, rejected.sip.signaling], [600, "closed"]);
    const failed = await heard("ev1", "failed", 2);
    assert.deepEqual(
      [failed.payload, failed.sip.cause, failed.sip.duration],
      [600, "busy", undefined],
    );
    check("ev1", "one", "outgoing");
    check("ev2", "two", "incoming");
  });
});
