/**
 * Calls through sip-incoming and sip-invite and the nodes that act in them (contract §4.1, §4.5, §4.8).
 * Hard cases: hang-up while a node waits, order of outputs, two calls in one flow, races with the end.
 */
import assert from "node:assert/strict";
import { type FakeSession, invite, sipMessage } from "../support/fake-user-agent.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

describe("calls", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());

  const load = (...nodes: FlowEntry[]): Promise<void> => bench.load([stack(), ...nodes]);
  const incoming = (more = {}): FlowEntry => ({
    id: "in",
    type: "sip-incoming",
    stack: "stack",
    ...more,
  });
  const outgoing = (more = {}): FlowEntry => ({
    id: "out",
    type: "sip-invite",
    stack: "stack",
    to: "sip:bob@10.0.0.9",
    ...more,
  });
  const ring = async (message = invite()): Promise<FakeSession> => {
    const session = bench.userAgent.ring(message);
    assert.ok(session);
    await bench.settle();
    return session;
  };
  const call = async (msg: Record<string, unknown> = {}): Promise<FakeSession> => {
    await bench.input("out", { payload: "x", ...msg });
    return bench.userAgent.lastCall;
  };

  describe("sip-incoming", () => {
    it("sends a call with everything that msg.sip promises and rings at once", async () => {
      await load(incoming());
      const session = await ring();
      const msg = bench.only("in:1");
      assert.equal(msg.topic, "incoming");
      assert.equal(msg.payload, "sip:bob@10.0.0.9");
      assert.equal(msg.sip.session, session.id);
      assert.equal(msg.sip.event, "incoming");
      assert.equal(msg.sip.state, "incoming");
      assert.equal(msg.sip.stack, "stack");
      assert.equal(msg.sip.method, "INVITE");
      assert.equal(msg.sip.headers["max-forwards"], "70");
      assert.deepEqual(msg.sip.headerList["cseq"], ["1 INVITE"]);
      assert.deepEqual(msg.sip.source, { protocol: "udp", address: "10.0.0.9", port: 5060 });
      assert.deepEqual(msg.sip.data, {});
      assert.deepEqual(session.calls, [{ name: "progress", options: { statusCode: 180 } }]);
    });

    it("makes no message for outputs that no wire leaves, and completes what came in", async () => {
      await load(incoming({ wires: [["ok"], []] }), {
        id: "ok",
        type: "sip-accept",
        wires: [[], []],
      });
      const session = await ring();
      session.close("remote-bye");
      await bench.settle();
      assert.deepEqual(
        session.calls.map(({ name }) => name),
        ["progress", "accept"],
      );
      assert.deepEqual(bench.order(), ["completed"]);
    });

    it("does not ring with ring=false", async () => {
      await load(incoming({ ring: false }));
      assert.deepEqual((await ring()).calls, []);
    });

    it("leaves a call that no node takes to the stack", async () => {
      await load(incoming({ match: "carol" }));
      assert.equal(bench.userAgent.ring(), undefined);
      await bench.settle();
      assert.deepEqual(bench.order(), []);
    });

    it("sends ended exactly once with the cause, whoever ended the call", async () => {
      await load(incoming());
      const session = await ring();
      session.answer();
      session.happen("bye");
      session.close("remote-bye");
      await bench.settle();
      const msg = bench.only("in:2");
      assert.equal(msg.topic, "ended");
      assert.equal(msg.payload, "remote-bye");
      assert.equal(msg.sip.cause, "remote-bye");
      assert.equal(msg.sip.state, "terminated");
      assert.notEqual(msg._msgid, bench.only("in:1")._msgid);
    });

    it("sends failed with cancelled when the caller gives up", async () => {
      await load(incoming());
      (await ring()).close("cancelled", 487);
      await bench.settle();
      const msg = bench.only("in:2");
      assert.equal(msg.topic, "failed");
      assert.equal(msg.payload, "cancelled");
    });

    it("ends a call that is not answered in time with unhandledStatus and no-answer", async () => {
      await bench.load([stack({ unhandledStatus: 404 }), incoming({ answerTimeout: "2.5" })]);
      const session = await ring();
      bench.clock.advance(2499);
      assert.equal(session.state, "early");
      bench.clock.advance(1);
      await bench.settle();
      assert.deepEqual(session.calls.at(-1), {
        name: "end",
        options: { statusCode: 404, cause: "no-answer" },
      });
      assert.equal(bench.only("in:2").payload, "no-answer");
      assert.equal(bench.clock.pendingTimers(), 0);
    });

    it("forgets the answer timeout once answered", async () => {
      await load(incoming());
      const session = await ring();
      session.answer();
      assert.equal(bench.clock.pendingTimers(), 0);
      bench.clock.advance(200_000);
      assert.equal(session.state, "established");
    });

    it("waits for ever with answerTimeout 0", async () => {
      await load(incoming({ answerTimeout: 0 }));
      await ring();
      assert.equal(bench.clock.pendingTimers(), 0);
    });

    it("gives a call to exactly one node, the most specific", async () => {
      await load(
        incoming({ id: "any" }),
        incoming({ id: "glob", match: "ali*" }),
        incoming({ id: "exact", match: "alice" }),
        incoming({ id: "regex", match: "/al.ce/" }),
      );
      await ring();
      assert.deepEqual(bench.order(), ["exact:1"]);
    });

    it("shows a broken pattern as status and takes no call", async () => {
      await load(incoming({ match: "/(/" }));
      assert.equal(bench.userAgent.ring(), undefined);
      const status = bench.statuses("in").at(-1);
      assert.equal(status?.fill, "red");
      assert.match(status.text ?? "", /bad-pattern/);
    });

    it("gives up a pattern that takes too long, says so once, and other nodes take the calls", async () => {
      await load(incoming({ id: "in", match: "/(a+)+b/" }), incoming({ id: "other" }));
      for (let i = 0; i < 5; i++) await ring(invite(`sip:${"a".repeat(64)}@127.0.0.1:5060`));
      assert.equal(bench.of("other:1").length, 5);
      const { error } = bench.node("in") as unknown as { error: { args: [Error][] } };
      assert.equal(error.args.length, 1);
      assert.match(error.args[0][0].message, /bad-pattern.*too long/);
      const status = bench.statuses("in").at(-1);
      assert.match(status?.text ?? "", /bad-pattern/);
    });

    it("matches the caller by user or user@host", async () => {
      await load(incoming({ id: "x", from: "bob@10.0.0.9" }), incoming({ id: "y", from: "b*" }));
      await ring();
      assert.deepEqual(bench.order(), ["x:1"]);
    });
  });

  describe("sip-invite", () => {
    it("sends inviting, progress and answered of one attempt under one session handle", async () => {
      await load(outgoing());
      const session = await call({ keep: { me: true } });
      session.become("early");
      session.happen("progress", {
        statusCode: 180,
        reason: "Ringing",
        target: "sip:bob@10.0.0.9",
      });
      session.answer();
      await bench.settle();
      assert.deepEqual(bench.order(), ["out:2", "out:2", "out:1", "completed"]);
      const [inviting, progress] = bench.of("out:2");
      const answered = bench.only("out:1");
      assert.equal(inviting.topic, "inviting");
      assert.equal(inviting.payload, "sip:bob@10.0.0.9");
      assert.equal(progress.topic, "progress");
      assert.equal(progress.payload, 180);
      assert.equal(progress.sip.target, "sip:bob@10.0.0.9");
      assert.equal(progress.sip.state, "early");
      assert.equal(answered.topic, "answered");
      assert.equal(answered.payload, "sip:bob@10.0.0.9");
      for (const msg of [inviting, progress, answered]) {
        assert.equal(msg.sip.session, session.id);
        assert.equal(msg._msgid, inviting._msgid);
        assert.deepEqual(msg.keep, { me: true });
        assert.equal(msg.sip.targets[0].uri, "sip:bob@10.0.0.9");
      }
    });

    it("sends failed with the status code and the cause", async () => {
      await load(outgoing());
      const session = await call();
      session.happen("rejected", { statusCode: 486 });
      session.close("busy", 486);
      await bench.settle();
      const msg = bench.only("out:3");
      assert.equal(msg.topic, "failed");
      assert.equal(msg.payload, 486);
      assert.equal(msg.sip.cause, "busy");
      assert.deepEqual(bench.order(), ["out:2", "out:3", "completed"]);
    });

    it("sends failed with 0 when no response came", async () => {
      await load(outgoing());
      (await call()).close("timeout");
      await bench.settle();
      assert.equal(bench.only("out:3").payload, 0);
    });

    it("sends ended once after the answer, with the clone of the message that asked for the call", async () => {
      await load(outgoing());
      const session = await call({ user: "data" });
      session.answer();
      session.close("remote-bye");
      await bench.settle();
      const msg = bench.only("out:4");
      assert.equal(msg.topic, "ended");
      assert.equal(msg.payload, "remote-bye");
      assert.equal(msg.user, "data");
      assert.equal(bench.of("completed").length, 1);
    });

    it("reports redirects as an array of URIs with contacts", async () => {
      await load(outgoing());
      const session = await call();
      session.happen("redirecting", {
        statusCode: 302,
        uris: ["sip:c@d"],
        contacts: [{ uri: "sip:c@d", q: 0.5 }],
      });
      await bench.settle();
      const msg = bench.of("out:2")[1];
      assert.equal(msg.topic, "redirecting");
      assert.deepEqual(msg.payload, ["sip:c@d"]);
      assert.deepEqual(msg.sip.contacts, [{ uri: "sip:c@d", q: 0.5 }]);
    });

    it("passes all its properties on, and msg.options wins over them", async () => {
      await load(
        outgoing({
          to: "target",
          toType: "msg",
          strategy: "sequential",
          timeout: "20",
          anonymous: true,
          earlyMedia: false,
          redirects: 0,
          headers: [{ name: "X-A", value: "1" }],
        }),
      );
      await bench.input("out", {
        target: ["sip:a@b", { uri: "sip:c@d", timeout: 1.5, headers: { "X-T": "t" } }],
        options: { timeout: 5, delayedOffer: true, unknown: 1 },
        headers: { "x-a": null, "X-B": ["1", "2"] },
        sdp: "v=0",
      });
      const [{ options }] = bench.userAgent.invites;
      assert.deepEqual(options.targets, [
        "sip:a@b",
        { uri: "sip:c@d", timeoutMs: 1500, headers: [["X-T", "t"]], account: undefined },
      ]);
      assert.equal(options.strategy, "sequential");
      assert.equal(options.timeoutMs, 5000);
      assert.equal(options.anonymous, true);
      assert.equal(options.earlyMedia, false);
      assert.equal(options.delayedOffer, true);
      assert.equal(options.redirects, 0);
      assert.equal(options.sdp, "v=0");
      assert.deepEqual(options.headers, [
        ["X-B", "1"],
        ["X-B", "2"],
      ]);
      const msg = bench.only("out:2");
      for (const read of ["options", "headers", "sdp"]) assert.ok(!(read in msg), read);
      assert.deepEqual(msg.payload, ["sip:a@b", "sip:c@d"]);
    });

    it("links the attempt to the session it came from and hands on peer and data", async () => {
      await load(incoming(), outgoing());
      const first = await ring();
      await bench.input("out", { sip: { session: first.id, data: { n: 1 } } });
      const second = bench.userAgent.lastCall;
      assert.deepEqual(second.data, { n: 1 });
      assert.equal(bench.only("out:2").sip.peer, first.id);
      assert.equal(bench.userAgent.invites[0].options.near, first.id);
      assert.deepEqual(bench.only("out:2").sip.data, { n: 1 });
      first.close("cancelled");
      await bench.settle();
      assert.equal(second.calls.at(-1)?.name, "end");
      const failed = bench.only("out:3");
      assert.equal(failed.sip.cause, "cancelled");
      assert.equal(failed.sip.peer, first.id);
    });

    it("does not touch the attempt with linked=false, nor an answered call", async () => {
      await load(incoming(), outgoing({ linked: false }), outgoing({ id: "out2" }));
      const first = await ring();
      await bench.input("out", { sip: { session: first.id } });
      const unlinked = bench.userAgent.lastCall;
      await bench.input("out2", { sip: { session: first.id } });
      const answered = bench.userAgent.lastCall;
      answered.answer();
      first.close("cancelled");
      await bench.settle();
      assert.deepEqual([unlinked.state, answered.state], ["inviting", "established"]);
    });

    it("takes the input's peer when the session it carried is over", async () => {
      await load(outgoing());
      await call({ sip: { session: "gone", peer: "other" } });
      assert.equal(bench.only("out:2").sip.peer, "other");
    });

    it("fails above maxCalls with limit, and places the next call when one has ended", async () => {
      await load(outgoing({ maxCalls: 1 }));
      const first = await call();
      await bench.input("out", { payload: 2, mine: "second" });
      const failed = bench.only("out:3");
      assert.equal(failed.sip.cause, "limit");
      assert.equal(failed.sip.state, "terminated");
      assert.equal(typeof failed.sip.session, "string");
      assert.equal(failed.payload, 0);
      assert.equal(failed.mine, "second");
      first.close("busy", 486);
      await bench.settle();
      await call();
      assert.equal(bench.userAgent.invites.length, 2);
    });

    it("queues above maxCalls in order, and a linked end takes an attempt out of the queue", async () => {
      await load(incoming(), outgoing({ maxCalls: 1, queue: true }));
      const caller = await ring();
      const first = await call({ n: 1 });
      await bench.input("out", { n: 2, sip: { session: caller.id } });
      await bench.input("out", { n: 3 });
      assert.equal(bench.userAgent.invites.length, 1);
      caller.close("cancelled");
      await bench.settle();
      assert.equal(bench.only("out:3").n, 2);
      first.answer();
      await bench.settle();
      assert.equal(bench.userAgent.invites.length, 1);
      first.close("remote-bye");
      await bench.settle();
      assert.equal(bench.userAgent.invites.length, 2);
      assert.equal(bench.of("out:2").at(-1).n, 3);
    });

    it("two calls through one flow never mix", async () => {
      await load(outgoing({ to: "to", toType: "msg" }));
      await bench.input("out", { to: "sip:one@h", who: 1 });
      const one = bench.userAgent.lastCall;
      await bench.input("out", { to: "sip:two@h", who: 2 });
      const two = bench.userAgent.lastCall;
      two.answer();
      one.answer();
      one.close("remote-bye");
      two.close("local-bye");
      await bench.settle();
      const seen = [...bench.of("out:1"), ...bench.of("out:4")].map((m) => [m.who, m.sip.session]);
      assert.deepEqual(seen, [
        [2, two.id],
        [1, one.id],
        [1, one.id],
        [2, two.id],
      ]);
    });

    for (const [name, config, msg, code] of [
      ["no target", { to: "" }, {}, "no-target"],
      [
        "a target with a line break",
        { toType: "msg", to: "to" },
        { to: "sip:a\r\nb" },
        "bad-target",
      ],
      ["a target that is no string", { toType: "msg", to: "to" }, { to: [{}] }, "bad-target"],
      ["an option of the wrong type", {}, { options: { timeout: "soon" } }, "bad-option"],
      ["a boolean option that is a string", {}, { options: { linked: "yes" } }, "bad-option"],
      ["options that are no object", {}, { options: 5 }, "bad-option"],
      ["a header of the stack", {}, { headers: { Via: "x" } }, "bad-header"],
      ["a header in compact form", {}, { headers: { m: "x" } }, "bad-header"],
      ["a header with a line break", {}, { headers: { "X-A": "a\r\nB: c" } }, "bad-header"],
      ["a header name that is no token", {}, { headers: { "X A": "a" } }, "bad-header"],
      ["a header value that is an object", {}, { headers: { "X-A": {} } }, "bad-header"],
      ["data that is too large", {}, { sip: { data: { a: "x".repeat(17_000) } } }, "bad-data"],
      ["sdp that is no text", {}, { sdp: {} }, "bad-sdp"],
      ["a broken expression", { toType: "jsonata", to: "$x(" }, {}, "bad-property"],
    ] as const) {
      it(`sends ${name} to the Catch node as ${code}, and nothing else`, async () => {
        await load(outgoing(config));
        await bench.input("out", { payload: 1, ...msg });
        const caught = bench.only("caught");
        assert.equal(caught.error.code, code);
        assert.match(caught.error.message, new RegExp(`${code}: .{10}`));
        assert.equal(caught.error.source.id, "out");
        assert.deepEqual(bench.order(), ["caught"]);
      });
    }

    it("leaves the answer of a core http request in msg.headers alone", async () => {
      await load(outgoing());
      const headers = { "x-node-red-request-node": "abc", via: "1.1 proxy" };
      await call({ headers });
      assert.deepEqual(bench.only("out:2").headers, headers);
      assert.deepEqual(bench.userAgent.invites[0].options.headers, []);
    });

    it("turns what the library refuses into an error, and frees its place", async () => {
      await load(outgoing({ maxCalls: 1 }));
      bench.userAgent.inviteError = new Error("cannot parse");
      await bench.input("out", {});
      assert.equal(bench.of("caught").length, 1);
      bench.userAgent.inviteError = undefined;
      await call();
      assert.equal(bench.userAgent.invites.length, 1);
    });
  });

  describe("actions in a call", () => {
    const act = (type: string, more = {}): FlowEntry => ({
      id: "act",
      type: `sip-${type}`,
      ...more,
    });

    it("sip-accept confirms with the remote URI, before sip-event hears of it", async () => {
      await load(incoming(), act("accept"), {
        id: "ev",
        type: "sip-event",
        stack: "stack",
        events: ["answered", "confirmed"],
      });
      const session = await ring();
      await bench.input("act", { sip: { session: session.id }, headers: { "X-Y": "z" } });
      assert.deepEqual(bench.order(), ["in:1", "ev:1", "act:1", "completed", "ev:1"]);
      const msg = bench.only("act:1");
      assert.equal(msg.topic, "confirmed");
      assert.equal(msg.payload, "sip:bob@10.0.0.9");
      assert.equal(msg.sip.state, "established");
      assert.deepEqual((session.calls.at(-1)?.options as { headers: unknown }).headers, [
        ["X-Y", "z"],
      ]);
    });

    it("sip-accept sends a lost call to output 2 with the status code, before the owner's ended", async () => {
      await load(incoming(), act("accept"));
      const session = await ring();
      let settle!: (value: { ok: false; cause: "no-ack"; statusCode: number }) => void;
      session.outcomes.accept = new Promise((resolve) => (settle = resolve));
      await bench.input("act", { sip: { session: session.id } });
      session.answered = true;
      settle({ ok: false, cause: "no-ack", statusCode: 0 });
      session.close("no-ack");
      await bench.settle();
      assert.deepEqual(bench.order(), ["in:1", "act:2", "completed", "in:2"]);
      const msg = bench.only("act:2");
      assert.equal(msg.topic, "accept-failed");
      assert.equal(msg.sip.cause, "no-ack");
    });

    it("sip-progress reports the status code it sent", async () => {
      await load(incoming({ ring: false }), act("progress", { statusCode: "183", reason: "Wait" }));
      const session = await ring();
      await bench.input("act", { sip: { session: session.id }, options: { earlyMedia: true } });
      const msg = bench.only("act:1");
      assert.equal(msg.topic, "progress");
      assert.equal(msg.payload, 183);
      assert.deepEqual(session.calls.at(-1), {
        name: "progress",
        options: {
          statusCode: 183,
          reason: "Wait",
          headers: [],
          earlyMedia: true,
          rel100: undefined,
          sdp: undefined,
        },
      });
    });

    it("sip-progress passes on how reliable it shall be, and refuse other words", async () => {
      await load(incoming({ ring: false }), act("progress"));
      const session = await ring();
      for (const [rel100, passed] of [
        ["required", true],
        ["none", false],
        ["supported", undefined],
      ] as const) {
        await bench.input("act", { sip: { session: session.id }, options: { rel100 } });
        const options = session.calls.at(-1)?.options as { rel100?: boolean };
        assert.equal(options.rel100, passed);
      }
      const count = session.calls.length;
      await bench.input("act", { sip: { session: session.id }, options: { rel100: "maybe" } });
      assert.equal(session.calls.length, count);
    });

    it("sip-progress after the answer is an error", async () => {
      await load(incoming(), act("progress"));
      const session = await ring();
      session.answer();
      await bench.input("act", { sip: { session: session.id } });
      assert.equal(bench.only("caught").error.code, "E_STATE");
    });

    it("sip-reject answers 486 unless told otherwise, with the targets of a redirect", async () => {
      await load(
        incoming(),
        act("reject", { contacts: '["sip:x@y",{"uri":"sip:z@y","q":0.3}]', contactsType: "json" }),
      );
      const session = await ring();
      await bench.input("act", { sip: { session: session.id }, options: { statusCode: 302 } });
      const { options } = session.calls.at(-1) as {
        options: { statusCode: number; contacts: unknown };
      };
      assert.equal(options.statusCode, 302);
      assert.deepEqual(options.contacts, ["sip:x@y", { uri: "sip:z@y", q: 0.3 }]);
      const msg = bench.only("act:1");
      assert.equal(msg.topic, "rejected");
      assert.equal(msg.payload, 302);
      assert.deepEqual(bench.order(), ["in:1", "act:1", "completed", "in:2"]);
    });

    it("sip-bye leaves after the session has closed and before the owner; a second one waits for the same end", async () => {
      await load(incoming(), act("bye", { statusCode: 503, reason: "later" }));
      const session = await ring();
      session.answer();
      let bye!: () => void;
      session.outcomes.end = new Promise(
        (resolve) => (bye = () => resolve({ ok: true, statusCode: 200 })),
      );
      await bench.input("act", { sip: { session: session.id }, n: 1 });
      session.become("terminating");
      await bench.input("act", { sip: { session: session.id }, n: 2 });
      assert.deepEqual(bench.of("act:1"), []);
      bye();
      await bench.settle();
      assert.deepEqual(
        bench.of("act:1").map((msg) => [msg.n, msg.topic, msg.payload, msg.sip.state]),
        [
          [1, "ended", "local-bye", "terminated"],
          [2, "ended", "local-bye", "terminated"],
        ],
      );
      assert.equal(bench.order().at(-1), "in:2");
      assert.equal(session.calls.filter((entry) => entry.name === "end").length, 1);
      assert.deepEqual(session.calls.at(-1)?.options, {
        statusCode: 503,
        reason: "later",
        headers: [],
      });
    });

    it("sip-refer reports every sipfrag and the result", async () => {
      await load(incoming(), act("refer", { to: "sip:c@d", timeout: 9, hangup: false }));
      const session = await ring();
      session.answer();
      let settle!: (value: { ok: true; statusCode: number }) => void;
      session.outcomes.refer = new Promise((resolve) => (settle = resolve));
      await bench.input("act", { sip: { session: session.id } });
      const options = session.calls.at(-1)?.options as Record<string, unknown> & {
        onProgress(code: number, reason: string, notify: unknown): void;
      };
      assert.equal(options["to"], "sip:c@d");
      assert.equal(options["timeoutMs"], 9000);
      assert.equal(options["hangup"], false);
      const notify = sipMessage(`NOTIFY sip:a@b SIP/2.0
Via: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bKn
From: <sip:x@y>;tag=1
To: <sip:a@b>;tag=2
Call-ID: n
CSeq: 2 NOTIFY
Max-Forwards: 70
Event: refer
Content-Length: 0`);
      options.onProgress(180, "Ringing", notify);
      await bench.settle();
      settle({ ok: true, statusCode: 200 });
      await bench.settle();
      const progress = bench.only("act:2");
      assert.equal(progress.topic, "refer-progress");
      assert.equal(progress.payload, 180);
      assert.equal(progress.sip.headers.event, "refer");
      const done = bench.only("act:1");
      assert.equal(done.topic, "transferred");
      assert.equal(done.payload, 200);
    });

    it("sip-refer joins two calls by the handle of the other", async () => {
      await load(
        incoming(),
        act("refer", { target: "sip.peer", targetType: "msg", hangup: false }),
      );
      const session = await ring();
      session.answer();
      session.outcomes.refer = { ok: false, cause: "no-session", statusCode: 0 };
      await bench.input("act", { sip: { session: session.id, peer: "other" } });
      const options = session.calls.at(-1)?.options as Record<string, unknown>;
      assert.equal(options["target"], "other");
      assert.equal(options["to"], undefined);
      assert.equal(bench.only("act:3").sip.cause, "no-session");
      await bench.input("act", { sip: { session: session.id } });
      assert.equal(bench.only("caught").error.code, "no-target");
    });

    it("sip-reinvite holds with the flow's SDP and tells the peer's", async () => {
      await load(incoming(), act("reinvite", { action: "hold" }));
      const session = await ring();
      session.answer();
      session.outcomes.reinvite = { ok: true, statusCode: 200, remoteSdp: "v=0 theirs" };
      await bench.input("act", {
        sdp: "v=0 mine",
        headers: { "X-A": "1" },
        sip: { session: session.id },
      });
      assert.deepEqual(session.calls.at(-1)?.options, {
        action: "hold",
        delayedOffer: false,
        sdp: "v=0 mine",
        headers: [["X-A", "1"]],
      });
      const msg = bench.only("act:1");
      assert.deepEqual([msg.topic, msg.payload], ["reinvited", "hold"]);
      assert.equal(msg.sip.remoteSdp, "v=0 theirs");
      assert.equal(msg.sdp, undefined);
      await bench.input("act", { options: { action: "jump" }, sip: { session: session.id } });
      assert.equal(bench.only("caught").error.code, "bad-option");
    });

    it("sip-reinvite that is refused, or comes too late, leaves by output 2", async () => {
      await load(incoming(), act("reinvite", { action: "resume" }));
      const session = await ring();
      session.answer();
      session.outcomes.reinvite = { ok: false, cause: "incompatible-media", statusCode: 488 };
      await bench.input("act", { sip: { session: session.id } });
      assert.deepEqual(
        [bench.only("act:2").topic, bench.only("act:2").payload],
        ["reinvite-failed", 488],
      );
      assert.equal(bench.only("act:2").sip.state, "established");
      session.close("remote-bye");
      await bench.input("act", { sip: { session: session.id } });
      assert.equal(bench.of("act:2")[1].payload, 0);
      assert.equal(bench.of("act:2")[1].sip.cause, "no-session");
    });

    it("sip-refer that fails leaves the call up", async () => {
      await load(incoming(), act("refer", { to: "sip:c@d" }));
      const session = await ring();
      session.answer();
      session.outcomes.refer = { ok: false, cause: "rejected", statusCode: 603, reason: "Decline" };
      await bench.input("act", { sip: { session: session.id } });
      const msg = bench.only("act:3");
      assert.equal(msg.topic, "refer-failed");
      assert.equal(msg.payload, 603);
      assert.equal(msg.sip.cause, "rejected");
      assert.equal(msg.sip.state, "established");
    });

    it("sip-dtmf sends digits and refuses what is none", async () => {
      await load(incoming(), act("dtmf"));
      const session = await ring();
      session.answer();
      await bench.input("act", { payload: "12,#A", sip: { session: session.id } });
      assert.equal(bench.only("act:1").topic, "dtmf-sent");
      assert.equal(bench.only("act:1").payload, "12,#A");
      await bench.input("act", { payload: 42, sip: { session: session.id } });
      assert.equal(bench.of("act:1")[1].payload, "42");
      await bench.input("act", { payload: "12x", sip: { session: session.id } });
      assert.equal(bench.only("caught").error.code, "bad-digits");
      session.outcomes.sendDigits = { ok: false, cause: "rejected", statusCode: 415 };
      await bench.input("act", { payload: "1", sip: { session: session.id } });
      assert.equal(bench.only("act:2").payload, 415);
    });

    it("sip-session tells whether the call lives and stores data key by key", async () => {
      await load(incoming(), act("session"));
      const session = await ring();
      session.data = { old: 1, gone: 2 };
      await bench.input("act", {
        sip: { session: session.id, data: { gone: null, fresh: { x: [1] } } },
      });
      const msg = bench.only("act:1");
      assert.equal(msg.payload, "early");
      assert.deepEqual(msg.sip.data, { old: 1, fresh: { x: [1] } });
      msg.sip.data.fresh.x.push("mine");
      assert.deepEqual(session.data, { old: 1, fresh: { x: [1] } });
    });

    it("keeps data of another session out and sets peer to the one the message came with", async () => {
      await load(incoming(), act("session", { session: "other", sessionType: "msg" }));
      const session = await ring();
      await bench.input("act", {
        other: session.id,
        sip: { session: "A", peer: "P", data: { a: 1 } },
      });
      const msg = bench.only("act:1");
      assert.equal(msg.sip.session, session.id);
      assert.equal(msg.sip.peer, "A");
      assert.deepEqual(msg.sip.data, {});
    });

    it("never lets a forbidden name become a key of data", async () => {
      await load(incoming(), act("session"));
      const session = await ring();
      const data = JSON.parse(
        '{"__proto__":{"x":1},"a":{"constructor":1,"ok":2},"prototype":3}',
      ) as object;
      await bench.input("act", { sip: { session: session.id, data } });
      assert.equal(JSON.stringify(bench.only("act:1").sip.data), '{"a":{"ok":2}}');
    });

    for (const [type, output, topic, payload, msg] of [
      ["accept", 2, "accept-failed", 0, {}],
      ["progress", 2, "ended", "no-session", {}],
      ["reject", 1, "rejected", 0, {}],
      ["bye", 1, "ended", "no-session", {}],
      ["refer", 3, "refer-failed", 0, { options: { to: "sip:a@b" } }],
      ["session", 2, "ended", "no-session", {}],
      ["dtmf", 2, "dtmf-failed", 0, { payload: "1" }],
      ["play", 2, "ended", "no-session", { payload: "tone:beep" }],
      ["gather", 4, "ended", "", {}],
      ["message", 2, "message-failed", 0, { payload: "x" }],
    ] as const) {
      it(`sip-${type} sends a handle that is over to output ${output} with no-session`, async () => {
        await load(act(type));
        await bench.input("act", { mine: 1, ...msg, sip: { session: "gone", peer: "p" } });
        const out = bench.only(`act:${output}`);
        assert.equal(out.topic, topic);
        assert.equal(out.sip.event, topic);
        assert.equal(out.payload, payload);
        assert.equal(out.sip.cause, "no-session");
        assert.equal(out.sip.state, "terminated");
        assert.equal(out.sip.session, "gone");
        assert.equal(out.sip.peer, "p");
        assert.equal(out.mine, 1);
        assert.deepEqual(bench.order(), [`act:${output}`, "completed"]);
      });

      it(`sip-${type} refuses a message without a handle`, async () => {
        await load(act(type));
        await bench.input("act", { ...msg, sip: { session: 5 } });
        assert.equal(bench.only("caught").error.code, "no-handle");
        assert.deepEqual(bench.order(), ["caught"]);
      });
    }

    it("treats a refused action in a call that is just ending as the lost race that it is", async () => {
      await load(incoming(), act("dtmf"));
      const session = await ring();
      session.answer();
      const { InvalidStateError } = await import("../../lib/index.js");
      session.state = "terminating";
      session.outcomes.sendDigits = new InvalidStateError("not now");
      await bench.input("act", { payload: "1", sip: { session: session.id } });
      assert.equal(bench.only("act:2").sip.cause, "no-session");
    });
  });
});
