/** How many calls an account may place: at once, and within any sixty seconds (toll fraud, contract §3 `limit`). */
import assert from "node:assert/strict";
import { UserAgent } from "../../../lib/user-agent/index.js";
import { CallLimits } from "../../../lib/user-agent/call-limits.js";
import type { AccountOptions, InviteOptions } from "../../../lib/user-agent/index.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

describe("call limits", () => {
  const limited = (maxCalls: number, maxCallsPerMinute: number) => ({
    id: "a",
    maxCalls,
    maxCallsPerMinute,
  });

  it("count sessions at once, each once", () => {
    const limits = new CallLimits(new ManualClock());
    const account = limited(2, 0);
    assert.equal(limits.take(account, "1"), true);
    assert.equal(limits.take(account, "1"), true, "a further target of the same attempt");
    assert.equal(limits.take(account, "2"), true);
    assert.equal(limits.take(account, "3"), false);
    assert.equal(limits.take({ ...account, id: "b" }, "3"), true, "another account");
    limits.release("1");
    assert.equal(limits.take(account, "3"), true);
    assert.equal(limits.take(account, "4"), false);
  });

  it("count addresses within a sliding minute", () => {
    const clock = new ManualClock();
    const limits = new CallLimits(clock);
    const account = limited(0, 3);
    const take = () => limits.take(account, "1");
    assert.deepEqual([take(), take()], [true, true]);
    clock.advance(40_000);
    assert.deepEqual([take(), take()], [true, false]);
    clock.advance(20_000);
    assert.deepEqual([take(), take(), take()], [true, true, false]);
    clock.advance(40_000);
    assert.deepEqual([take(), take()], [true, false]);
  });

  it("count nothing that was refused, and nothing without a limit", () => {
    const clock = new ManualClock();
    const limits = new CallLimits(clock);
    for (let i = 0; i < 1_000; i++) assert.equal(limits.take(limited(0, 0), `${i}`), true);
    assert.equal(limits.take(limited(1, 2), "x"), true);
    for (let i = 0; i < 10; i++) assert.equal(limits.take(limited(1, 2), "y"), false);
    assert.equal(limits.take(limited(1, 2), "x"), true);
  });

  it("outlive an account that comes back with other settings", () => {
    const limits = new CallLimits(new ManualClock());
    limits.take(limited(1, 1), "1");
    assert.equal(limits.take(limited(2, 1), "2"), false);
    assert.equal(limits.take(limited(2, 2), "2"), true);
  });
});

describe("an account with limits", () => {
  const REGISTRAR = "10.0.0.7";

  async function setUp(limits: Partial<AccountOptions>) {
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const bob = new Person("bob", "10.0.0.2", network, clock);
    await bob.userAgent.start();
    const server = await new ScriptedPeer(network, { name: "server", address: REGISTRAR }).start();
    server.onRequest = (request) => {
      if (["BYE", "CANCEL", "NOTIFY"].includes(request.method)) server.reply(request, 200);
    };
    bob.userAgent.addAccount({
      id: "trunk",
      uri: `sip:bob@${REGISTRAR}`,
      register: false,
      ...limits,
    });
    const call = async (options: Partial<InviteOptions> = {}) => {
      const session = bob.userAgent.invite({
        targets: [`sip:x@${REGISTRAR}`],
        account: "trunk",
        ...options,
      });
      await clock.advanceAsync(20);
      return session;
    };
    const cause = (session: { readonly id: string }) =>
      bob.events.find(([s, { name }]) => s.id === session.id && name === "failed")?.[1].snapshot
        .cause;
    const invites = () =>
      new Set(
        server.requests.filter((r) => r.method === "INVITE").map((r) => r.requestUri.toString()),
      );
    const refuseAll = (statusCode: number, contacts: readonly string[] = []) => {
      server.onRequest = (request) => {
        if (request.method === "ACK") return;
        if (request.method !== "INVITE") return server.reply(request, 200);
        server.reply(request, statusCode, {
          headers: contacts.map((contact) => ["Contact", `<${contact}>`] as const),
        });
      };
    };
    const end = async () => {
      refuseAll(486);
      await clock.advanceAsync(100_000);
      await endAll(clock, [bob]);
    };
    return { clock, network, bob, server, call, cause, invites, refuseAll, end };
  }

  it("places no more calls at once than it may, and another when one is over", async () => {
    const { clock, call, cause, server, end } = await setUp({ maxCalls: 2 });
    const [first, second, third] = [await call(), await call(), await call()];
    assert.deepEqual([first, second, third].map(cause), [undefined, undefined, "limit"]);
    server.reply(server.requests[0], 486);
    await clock.advanceAsync(20);
    assert.equal(cause(first), "busy");
    assert.equal(cause(await call()), undefined);
    assert.equal(cause(await call()), "limit");
    await end();
  });

  it("counts a fork once for its calls at once, and each of its targets for the minute", async () => {
    const targets = [1, 2, 3].map((n) => `sip:x${n}@${REGISTRAR}`);
    const atOnce = await setUp({ maxCalls: 1 });
    assert.equal(atOnce.cause(await atOnce.call({ targets })), undefined);
    assert.equal(atOnce.invites().size, 3);
    await atOnce.end();
    const perMinute = await setUp({ maxCallsPerMinute: 2 });
    const fork = await perMinute.call({ targets });
    assert.equal(perMinute.invites().size, 2);
    assert.deepEqual(
      fork.snapshot().targets?.map(({ state, cause }) => [state, cause]),
      [
        ["trying", undefined],
        ["trying", undefined],
        ["failed", "limit"],
      ],
    );
    await perMinute.end();
  });

  it("counts redirects for the minute", async () => {
    const { call, cause, invites, refuseAll, end } = await setUp({ maxCallsPerMinute: 2 });
    refuseAll(302, [`sip:y1@${REGISTRAR}`, `sip:y2@${REGISTRAR}`, `sip:y3@${REGISTRAR}`]);
    assert.equal(cause(await call()), "limit");
    assert.deepEqual([...invites()], [`sip:x@${REGISTRAR}`, `sip:y1@${REGISTRAR}`]);
    await end();
  });

  it("may call again when the minute is over", async () => {
    const { clock, call, cause, refuseAll, end } = await setUp({ maxCallsPerMinute: 2 });
    refuseAll(486);
    const causes = async (n: number) => {
      const seen = [];
      for (let i = 0; i < n; i++) seen.push(cause(await call()));
      return seen;
    };
    assert.deepEqual(await causes(4), ["busy", "busy", "limit", "limit"]);
    await clock.advanceAsync(60_000);
    assert.deepEqual(await causes(3), ["busy", "busy", "limit"]);
    await end();
  });

  it("leaves calls without account, and incoming calls, alone", async () => {
    const { clock, bob, call, cause, network, end } = await setUp({ maxCalls: 1 });
    await call();
    assert.equal(cause(await call({ account: undefined })), undefined);
    bob.takeCalls();
    const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
    peer.send(
      requestText({ method: "INVITE", headers: ["Contact: <sip:p@10.0.0.9>"] }),
      "10.0.0.2",
    );
    await clock.advanceAsync(20);
    assert.equal(bob.calls.length, 1);
    await bob.calls[0]?.reject({ statusCode: 486 });
    await end();
  });

  it("counts the call that a followed REFER asks for, and tells the one who asked", async () => {
    const { clock, bob, server, call, cause, invites, end } = await setUp({ maxCalls: 1 });
    const session = await call();
    const invite = server.requests[0];
    server.reply(invite, 200, {
      toTag: "s1",
      contact: `<sip:x@${REGISTRAR}>`,
      contentType: "application/sdp",
      body: String(invite.body).replace(/^a=.*\r\n/gm, ""),
    });
    bob.userAgent.requestPolicy = (name) => ({
      listened: true,
      holdMs: name === "refer" ? 500 : 0,
    });
    bob.userAgent.on("sessionEvent", (_session, event) => {
      if (event.name === "refer") void event.pending?.accept({ follow: true });
    });
    await clock.advanceAsync(20);
    assert.equal(session.state, "established");
    server.send(
      [
        `REFER ${invite.contacts[0]?.uri.toString()} SIP/2.0`,
        `Via: SIP/2.0/UDP ${REGISTRAR}:5060;branch=z9hG4bKrefer`,
        `From: ${invite.to.toString()};tag=s1`,
        `To: ${invite.from.toString()}`,
        `Call-ID: ${invite.callId}`,
        "CSeq: 7 REFER",
        `Refer-To: <sip:premium@${REGISTRAR}>`,
        `Contact: <sip:x@${REGISTRAR}>`,
        "Content-Length: 0",
        "",
        "",
      ].join("\r\n"),
      "10.0.0.2",
    );
    await clock.advanceAsync(500);
    assert.equal(server.statuses().includes(202), true, server.statuses().join());
    assert.deepEqual([...invites()], [`sip:x@${REGISTRAR}`], "nobody is called");
    const notify = server.last("NOTIFY");
    assert.match(String(notify.body), /^SIP\/2\.0 [456]\d\d /);
    assert.equal(session.state, "established", "the call that asked lives on");
    const failed = bob.events.filter(([, { name }]) => name === "failed");
    assert.deepEqual(
      failed.map(([s]) => cause(s)),
      ["limit"],
    );
    void session.end();
    await clock.advanceAsync(100);
    await end();
  });

  for (const [name, value] of [
    ["maxCalls", -1],
    ["maxCallsPerMinute", Number.NaN],
  ] as const) {
    it(`refuses ${name} ${value}`, () => {
      const userAgent = new UserAgent({ clock: new ManualClock() });
      assert.throws(
        () => userAgent.addAccount({ id: "x", uri: "sip:x@y", [name]: value }),
        new RegExp(name),
      );
    });
  }
});
