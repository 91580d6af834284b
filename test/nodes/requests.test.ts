/** sip-event, held requests, sip-message and sip-register (contract §4.6, §3.1). */
import assert from "node:assert/strict";
import type {
  ActionOutcome,
  InDialogRequestOptions,
  SipRequest,
  SipResponse,
} from "../../lib/index.js";
import { FakeSession, sipMessage } from "../support/fake-user-agent.js";
import { account, type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";

const request = (method: string, extra = "", body = ""): SipRequest => {
  const message = sipMessage(`${method} sip:alice@example.com SIP/2.0
Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKr${method}
From: "Bob B" <sip:bob@10.0.0.9>;tag=r1
To: <sip:alice@example.com>
Call-ID: r-${method}
CSeq: 7 ${method}
Max-Forwards: 70
${extra}Content-Length: ${Buffer.byteLength(body)}

${body}`) as SipRequest;
  message.source = { protocol: "udp", address: "10.0.0.9", port: 5060 };
  message.body = Buffer.from(body);
  return message;
};

describe("requests and events", () => {
  useNodeRed();
  let bench: NodeBench;
  beforeEach(() => {
    bench = new NodeBench();
  });
  afterEach(() => bench.unload());
  const load = (...nodes: FlowEntry[]): Promise<void> => bench.load([stack(), ...nodes]);
  const events = (more = {}): FlowEntry => ({
    id: "ev",
    type: "sip-event",
    stack: "stack",
    ...more,
  });

  it("shows hostile header names without making them keys, and never Authorization", async () => {
    await load(events());
    const message = request(
      "MESSAGE",
      `__proto__: polluted
constructor: x
X-Twice: 1
X-Twice: 2
Authorization: Digest secret
Proxy-Authorization: Digest secret
Content-Type: text/plain
`,
      "hello",
    );
    bench.userAgent.report({ name: "message", message });
    await bench.settle();
    const msg = bench.only("ev:1");
    assert.equal(msg.topic, "message");
    assert.equal(msg.payload, "hello");
    assert.deepEqual(Object.keys(msg.sip.headers).sort(), [
      "call-id",
      "content-length",
      "content-type",
      "cseq",
      "from",
      "max-forwards",
      "to",
      "via",
      "x-twice",
    ]);
    assert.deepEqual(msg.sip.headers["x-twice"], ["1", "2"]);
    assert.deepEqual(msg.sip.headerList["x-twice"], ["1", "2"]);
    assert.deepEqual(msg.sip.headerList["to"], ["<sip:alice@example.com>"]);
    assert.equal(Object.getPrototypeOf(msg.sip.headers), Object.prototype);
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
    assert.doesNotMatch(JSON.stringify(msg), /secret/);
    assert.deepEqual(msg.sip.remote, {
      uri: "sip:bob@10.0.0.9",
      user: "bob",
      host: "10.0.0.9",
      displayName: "Bob B",
    });
    assert.equal(msg.sip.contentType, "text/plain");
    assert.equal(msg.sip.body, "hello");
  });

  it("gives a body that is no text as a Buffer of its own", async () => {
    await load(events());
    const message = request("MESSAGE", "Content-Type: image/png\n", "abc");
    bench.userAgent.report({ name: "message", message });
    await bench.settle();
    const { payload } = bench.only("ev:1");
    assert.ok(Buffer.isBuffer(payload));
    payload.fill(0);
    assert.equal(message.body.toString(), "abc");
  });

  it("empty events = all but request, response, media and route", async () => {
    await load(events(), events({ id: "some", events: ["route", "request"] }));
    const session = new FakeSession(bench.userAgent, "incoming");
    session.happen("route", { route: "down" });
    session.happen("media");
    session.happen("request", { message: request("FOO") });
    session.happen("participant");
    await bench.settle();
    assert.deepEqual(
      bench.of("ev:1").map((msg) => msg.topic),
      ["participant"],
    );
    assert.deepEqual(
      bench.of("some:1").map((msg) => [msg.topic, msg.payload]),
      [
        ["route", "down"],
        ["request", "FOO"],
      ],
    );
  });

  it("account and methods narrow what a node hears", async () => {
    await load(events({ events: "request", methods: "foo" }), account(), {
      id: "acc",
      type: "sip-event",
      account: "account",
    });
    bench.userAgent.report({ name: "request", message: request("FOO") });
    bench.userAgent.report({ name: "request", message: request("BAR") });
    bench.userAgent.report({ name: "options", message: request("OPTIONS"), accountId: "account" });
    await bench.settle();
    assert.deepEqual(bench.order(), ["ev:1", "acc:1"]);
    assert.equal(bench.only("acc:1").sip.account, "account");
  });

  it("holds what a node lists by name, for the longest time that is asked for", async () => {
    await load(
      events({ events: ["refer", "message"], answerWithin: 200 }),
      events({ id: "ev2", events: "refer", answerWithin: "60000" }),
      events({ id: "all" }),
      events({ id: "watch", events: "notify", answerWithin: 0 }),
    );
    const policy = bench.userAgent.requestPolicy;
    const ask = (name: string, message = request("X")): unknown =>
      policy?.(name, message, undefined, undefined);
    assert.deepEqual(ask("refer"), { listened: true, holdMs: 20_000 });
    assert.deepEqual(ask("message"), { listened: true, holdMs: 200 });
    assert.deepEqual(ask("notify"), { listened: true, holdMs: 0 });
    assert.deepEqual(ask("info"), { listened: false, holdMs: 0 });
  });

  it("gives every stack event its natural value", async () => {
    await load(
      events({
        events: ["registered", "unregistered", "registration-failed", "connected", "error"],
      }),
    );
    const { userAgent } = bench;
    userAgent.report({ name: "registered", accountId: "a", expires: 300 });
    userAgent.report({ name: "unregistered", accountId: "a" });
    userAgent.report({
      name: "registration-failed",
      statusCode: 403,
      cause: "rejected",
      retryAfter: 9,
    });
    userAgent.report({
      name: "connected",
      connection: {
        state: "connected",
        protocol: "tcp",
        address: "1.2.3.4",
        port: 5,
        outgoing: true,
      },
    });
    userAgent.report({ name: "error", text: "it broke" });
    await bench.settle();
    assert.deepEqual(
      bench.of("ev:1").map((msg) => [msg.topic, msg.payload]),
      [
        ["registered", 300],
        ["unregistered", 0],
        ["registration-failed", 403],
        ["connected", "tcp:1.2.3.4:5"],
        ["error", "it broke"],
      ],
    );
    assert.deepEqual(bench.of("ev:1")[3].sip.connection, {
      protocol: "tcp",
      address: "1.2.3.4",
      port: 5,
    });
    assert.equal(bench.of("ev:1")[2].sip.retryAfter, 9);
  });

  describe("held requests", () => {
    const flow: FlowEntry[] = [
      events({ events: ["refer", "message"] }),
      { id: "yes", type: "sip-accept" },
      { id: "no", type: "sip-reject" },
    ];

    it("carry a handle that sip-accept answers; outputs drop it then", async () => {
      await load(...flow);
      const pending = bench.userAgent.hold(request("MESSAGE", "", "hi"));
      bench.userAgent.report({ name: "message", message: pending.request, pending });
      await bench.settle();
      const { sip } = bench.only("ev:1");
      assert.equal(sip.request, pending.handle);
      await bench.input("yes", { sip, options: { statusCode: 202 }, keep: 1 });
      const msg = bench.only("yes:1");
      assert.equal(msg.topic, "accepted");
      assert.equal(msg.payload, 202);
      assert.equal(msg.sip.request, undefined);
      assert.equal(msg.keep, 1);
      await bench.input("yes", { sip });
      const late = bench.only("yes:2");
      assert.equal(late.topic, "accept-failed");
      assert.equal(late.sip.cause, "no-request");
      assert.equal(late.payload, 0);
      await bench.input("no", { sip });
      assert.equal(bench.only("no:1").sip.cause, "no-request");
    });

    it("are refused by sip-reject with the default of the method", async () => {
      await load(...flow);
      const pending = bench.userAgent.hold(request("REFER"));
      await bench.input("no", { sip: { request: pending.handle } });
      assert.equal((pending.calls[0].options as { statusCode: unknown }).statusCode, undefined);
      assert.equal(bench.only("no:1").topic, "rejected");
      assert.equal(bench.only("no:1").payload, 403);
    });

    it("a followed REFER goes on as the new session with the old one as peer", async () => {
      await load(...flow, { id: "in", type: "sip-incoming", stack: "stack" });
      const old = bench.userAgent.ring();
      await bench.settle();
      const pending = bench.userAgent.hold(request("REFER"));
      const placed = new FakeSession(bench.userAgent, "outgoing");
      placed.happen("inviting");
      placed.answer();
      pending.outcome = { ok: true, statusCode: 202, newSession: placed };
      await bench.input("yes", {
        sip: { session: old?.id, request: pending.handle },
        options: { follow: true },
      });
      assert.equal((pending.calls[0].options as { follow: boolean }).follow, true);
      const { sip, topic, payload } = bench.only("yes:1");
      assert.deepEqual([topic, payload], ["accepted", 202]);
      assert.equal(sip.session, placed.id);
      assert.equal(sip.peer, old?.id);
    });

    it("a followed REFER whose call failed leaves by output 2 with the old session", async () => {
      await load(...flow, { id: "in", type: "sip-incoming", stack: "stack" });
      const old = bench.userAgent.ring();
      await bench.settle();
      const pending = bench.userAgent.hold(request("REFER"));
      pending.outcome = { ok: false, statusCode: 486, cause: "busy" };
      await bench.input("yes", { sip: { session: old?.id, request: pending.handle } });
      const { sip, payload } = bench.only("yes:2");
      assert.equal(payload, 486);
      assert.equal(sip.session, old?.id);
      assert.equal(sip.cause, "busy");
    });

    it("a handle travels through other nodes until it is answered", async () => {
      await load(
        ...flow,
        { id: "in", type: "sip-incoming", stack: "stack" },
        { id: "see", type: "sip-session" },
      );
      const old = bench.userAgent.ring();
      await bench.settle();
      await bench.input("see", { sip: { session: old?.id, request: "r", subscription: "s" } });
      const { sip } = bench.only("see:1");
      assert.deepEqual([sip.request, sip.subscription], ["r", "s"]);
    });
  });

  describe("sip-request", () => {
    const node = (more = {}): FlowEntry => ({
      id: "req",
      type: "sip-request",
      stack: "stack",
      to: "sip:c@d",
      ...more,
    });

    it("goes alone with method, headers and body, and shows the headers of the answer", async () => {
      await load(
        node({ method: "publish", contentType: "application/pidf+xml", account: "account" }),
        account(),
      );
      const message = sipMessage(`SIP/2.0 200 OK
Via: SIP/2.0/UDP h;branch=z9hG4bK1
From: <sip:a@b>;tag=1
To: <sip:c@d>;tag=2
Call-ID: x
CSeq: 1 PUBLISH
SIP-ETag: abc
Content-Length: 0`);
      bench.userAgent.requestOutcome = { ok: true, statusCode: 200, reason: "OK", message };
      await bench.input("req", { payload: "<presence/>", headers: { Event: "presence" } });
      const [{ onProvisional, ...sent }] = bench.userAgent.requests;
      assert.deepEqual(sent, {
        method: "PUBLISH",
        to: "sip:c@d",
        account: "account",
        headers: [["Event", "presence"]],
        contentType: "application/pidf+xml",
        body: "<presence/>",
      });
      assert.equal(typeof onProvisional, "function");
      const msg = bench.only("req:1");
      assert.deepEqual([msg.topic, msg.payload], ["response", 200]);
      assert.equal(msg.sip.headers["sip-etag"], "abc");
      assert.ok(!("headers" in msg));
    });

    it("has no body without a content type, whatever the payload is", async () => {
      await load(node());
      await bench.input("req", { payload: { any: "thing" } });
      const [sent] = bench.userAgent.requests;
      assert.deepEqual(
        [sent.method, sent.contentType, sent.body],
        ["OPTIONS", undefined, undefined],
      );
    });

    it("goes inside the live session, an INFO with its package, and reports 1xx first", async () => {
      await load(node({ method: "INFO", infoPackage: "g.3gpp.x", to: "" }), {
        id: "in",
        type: "sip-incoming",
        stack: "stack",
      });
      const session = bench.userAgent.ring() as FakeSession;
      await bench.settle();
      const trying = sipMessage(`SIP/2.0 183 Going on
Via: SIP/2.0/UDP h;branch=z9hG4bK1
From: <sip:a@b>;tag=1
To: <sip:c@d>;tag=2
Call-ID: x
CSeq: 1 INFO
Content-Length: 0`);
      let end!: (outcome: ActionOutcome) => void;
      session.outcomes.request = new Promise((resolve) => (end = resolve));
      await bench.input("req", { sip: { session: session.id } });
      const { options } = session.calls.at(-1) as { options: InDialogRequestOptions };
      assert.deepEqual([options.method, options.infoPackage], ["INFO", "g.3gpp.x"]);
      options.onProvisional?.(trying as SipResponse);
      end({ ok: false, statusCode: 469, cause: "rejected", reason: "Bad Info Package" });
      await bench.settle();
      assert.deepEqual(bench.order().slice(-3), ["req:3", "req:2", "completed"]);
      const [provisional, failed] = [bench.only("req:3"), bench.only("req:2")];
      assert.deepEqual([provisional.topic, provisional.payload], ["provisional", 183]);
      assert.deepEqual(
        [failed.topic, failed.payload, failed.sip.cause, failed.sip.session],
        ["request-failed", 469, "rejected", session.id],
      );
    });

    it("in a session that is over goes to failed, silently", async () => {
      await load(node({ scope: "session" }));
      await bench.input("req", { sip: { session: "gone" } });
      const msg = bench.only("req:2");
      assert.deepEqual([msg.payload, msg.sip.cause], [0, "no-session"]);
    });

    for (const method of ["INVITE", "ack", "CANCEL", "PRACK", "BYE", "REGISTER", "NO WAY"]) {
      it(`refuses ${method}`, async () => {
        await load(node({ method }));
        await bench.input("req", { sip: { session: "gone" } });
        assert.deepEqual(bench.order(), ["caught"]);
        assert.equal((bench.only("caught").error as { code?: string }).code, "bad-method");
        assert.equal(bench.userAgent.requests.length, 0);
      });
    }
  });

  describe("sip-message", () => {
    const message = (more = {}): FlowEntry => ({
      id: "msg",
      type: "sip-message",
      stack: "stack",
      to: "sip:c@d",
      ...more,
    });

    it("goes alone when there is no live session, with account and headers", async () => {
      await load(message({ account: "account", contentType: "application/json" }), account());
      await bench.input("msg", {
        payload: { a: 1 },
        headers: { "X-A": "b" },
        sip: { session: "gone" },
      });
      assert.deepEqual(bench.userAgent.requests, [
        {
          method: "MESSAGE",
          to: "sip:c@d",
          account: "account",
          headers: [["X-A", "b"]],
          contentType: "application/json",
          body: '{"a":1}',
        },
      ]);
      const msg = bench.only("msg:1");
      assert.equal(msg.topic, "delivered");
      assert.equal(msg.payload, 200);
      assert.equal(msg.sip.account, "account");
      assert.ok(!("headers" in msg));
    });

    it("goes inside the session when that is live, unless scope says standalone", async () => {
      await load(message(), message({ id: "alone", scope: "standalone" }), {
        id: "in",
        type: "sip-incoming",
        stack: "stack",
      });
      const session = bench.userAgent.ring();
      await bench.settle();
      await bench.input("msg", { payload: "hi", sip: { session: session?.id } });
      assert.deepEqual(session?.calls.at(-1), {
        name: "request",
        options: { method: "MESSAGE", headers: [], contentType: "text/plain", body: "hi" },
      });
      assert.equal(bench.only("msg:1").sip.session, session?.id);
      await bench.input("alone", { payload: "hi", sip: { session: session?.id } });
      assert.equal(bench.userAgent.requests.length, 1);
      assert.equal(bench.only("alone:1").sip.session, session?.id, "the flow goes on in its call");
    });

    it("sends a refusal to output 2", async () => {
      await load(message());
      bench.userAgent.requestOutcome = {
        ok: false,
        statusCode: 404,
        cause: "not-found",
        reason: "No",
      };
      await bench.input("msg", { payload: "hi" });
      const msg = bench.only("msg:2");
      assert.deepEqual(
        [msg.topic, msg.payload, msg.sip.cause],
        ["message-failed", 404, "not-found"],
      );
    });

    for (const [name, config, msg, code] of [
      ["a body that is no text", {}, { payload: { a: 1 } }, "bad-body"],
      ["no body at all", {}, {}, "bad-body"],
      [
        "a content type with a line break",
        {},
        { payload: "x", options: { contentType: "a\r\nb" } },
        "bad-text",
      ],
      ["no address", { scope: "standalone", to: "" }, { payload: "x" }, "no-target"],
      ["no stack", { stack: "" }, { payload: "x" }, "no-stack"],
      ["a missing account", { account: "nobody" }, { payload: "x" }, "no-account"],
      ["an unknown scope", { scope: "everywhere" }, { payload: "x" }, "bad-option"],
    ] as const) {
      it(`refuses ${name} with ${code}`, async () => {
        await load(message(config));
        await bench.input("msg", msg);
        assert.equal(bench.only("caught").error.code, code);
        assert.deepEqual(bench.order(), ["caught"]);
      });
    }
  });

  describe("sip-register", () => {
    const flow: FlowEntry[] = [account(), { id: "reg", type: "sip-register", account: "account" }];

    it("registers by default and says for how long", async () => {
      await load(...flow);
      await bench.input("reg", { keep: 1, sip: { session: "s" } });
      const msg = bench.only("reg:1");
      assert.deepEqual([msg.topic, msg.payload, msg.keep], ["registered", 300, 1]);
      assert.deepEqual(
        [msg.sip.account, msg.sip.stack, msg.sip.expires, msg.sip.session],
        ["account", "stack", 300, "s"],
      );
    });

    it("unregisters, and removes msg.control", async () => {
      await load(...flow);
      await bench.input("reg", { control: "unregister" });
      const msg = bench.only("reg:1");
      assert.deepEqual([msg.topic, msg.payload], ["unregistered", 0]);
      assert.ok(!("control" in msg));
      assert.deepEqual(bench.userAgent.accounts.get("account")?.calls, ["unregister"]);
    });

    it("sends a refusal to output 2 with status code and reason", async () => {
      await load(...flow);
      const registered = bench.userAgent.accounts.get("account");
      assert.ok(registered);
      registered.outcome = { ok: false, statusCode: 403, reason: "Forbidden", cause: "rejected" };
      await bench.input("reg", {});
      const msg = bench.only("reg:2");
      assert.deepEqual(
        [msg.topic, msg.payload, msg.sip.reason],
        ["registration-failed", 403, "Forbidden"],
      );
    });

    it("tells the state by output", async () => {
      await load(...flow);
      await bench.input("reg", { control: "status" });
      assert.equal(bench.only("reg:1").payload, 300);
      const registered = bench.userAgent.accounts.get("account");
      assert.ok(registered);
      registered.registration = { state: "failed", statusCode: 401, reason: "wrong password" };
      await bench.input("reg", { control: "status" });
      assert.equal(bench.only("reg:2").payload, 401);
    });

    it("refuses an unknown word and a missing account", async () => {
      await load(...flow, { id: "none", type: "sip-register", account: "nobody" });
      await bench.input("reg", { control: "dance" });
      await bench.input("none", {});
      assert.deepEqual(
        bench.of("caught").map((msg) => msg.error.code),
        ["bad-control", "no-account"],
      );
    });
  });
});
