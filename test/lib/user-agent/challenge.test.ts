/**
 * Credentials from the application (contract §4.6). Requirements:
 *  1. A challenge of a server that nobody has credentials for is told as `challenge` with realm, algorithms, handle.
 *  2. Credentials or an account let the request go on; they are kept for that realm and server, and only there.
 *  3. Refused, or no answer in time: the failure is `unauthorized`; wrong ones are forgotten and asked for anew.
 *  4. Nothing is asked inside a dialog. A cancelled call waits for nothing.
 *  5. No password in any event; nothing is left behind.
 */
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { InvalidArgumentError } from "../../../lib/foundation/index.js";
import { parseCredentials, type SipRequest } from "../../../lib/message/index.js";
import type { StackEvent } from "../../../lib/user-agent/index.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";

const PASSWORD = "open sesame";
const ANSWER =
  "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

function userOf(request: SipRequest): string | undefined {
  const line = request.headers.get("authorization") ?? request.headers.get("proxy-authorization");
  return line === undefined ? undefined : parseCredentials(line)?.get("username");
}

async function setUp(statusCode: 401 | 407 = 401, protocols?: readonly ("udp" | "tcp")[]) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock, protocols ? { protocols } : {});
  const server = await new ScriptedPeer(network, {
    name: "server",
    address: "10.0.0.5",
    protocols: ["udp", "tcp"],
  }).start();
  await alice.userAgent.start();
  alice.userAgent.requestPolicy = (name) =>
    name === "challenge" ? { listened: true, holdMs: 2_000 } : { listened: false, holdMs: 0 };
  const header = statusCode === 401 ? "WWW-Authenticate" : "Proxy-Authenticate";
  let right = "carol";
  let nonce = 0;
  server.onRequest = (request) => {
    if (request.method === "ACK") return;
    if (userOf(request) !== right && request.method !== "CANCEL") {
      server.reply(request, statusCode, {
        headers: [[header, `Digest realm="door", nonce="n${++nonce}", algorithm=SHA-256`]],
      });
      return;
    }
    server.reply(
      request,
      200,
      request.method === "INVITE"
        ? {
            toTag: "door",
            contact: "<sip:door@10.0.0.5>",
            contentType: "application/sdp",
            body: ANSWER,
          }
        : {},
    );
  };
  return {
    clock,
    alice,
    server,
    accept: (user: string) => (right = user),
    send: () =>
      alice.userAgent.request({
        method: "MESSAGE",
        to: "sip:door@10.0.0.5",
        contentType: "text/plain",
        body: "open",
      }),
    challenges: () => alice.stackEvents.filter(({ name }) => name === "challenge"),
    end: () => endAll(clock, [alice]),
  };
}

function pendingOf(events: readonly StackEvent[]) {
  const pending = events.at(-1)?.pending;
  assert.ok(pending);
  return pending;
}

describe("credentials from the application", () => {
  for (const statusCode of [401, 407] as const) {
    it(`are asked for by a ${statusCode}, used, and kept for that realm and server`, async () => {
      const { clock, alice, server, send, challenges, end } = await setUp(statusCode);
      const outcome = send();
      await clock.advanceAsync(200);
      const [event] = challenges();
      assert.deepEqual(event.challenge, { realm: "door", algorithms: ["SHA-256"] });
      assert.equal(event.statusCode, statusCode);
      const taken = await pendingOf(challenges()).accept({
        credentials: { user: "carol", password: PASSWORD },
      });
      assert.equal(taken.ok, true);
      await clock.advanceAsync(200);
      assert.equal((await outcome).ok, true);
      assert.deepEqual(server.requests.map(userOf), [undefined, "carol"]);
      assert.equal(server.requests[1].cseq.sequence, server.requests[0].cseq.sequence + 1);
      const second = send();
      await clock.advanceAsync(200);
      assert.equal((await second).ok, true);
      assert.equal(challenges().length, 1);
      assert.equal(inspect(alice.stackEvents, { depth: 12 }).includes(PASSWORD), false);
      await end();
    });
  }

  it("may be those of an account", async () => {
    const { clock, alice, accept, send, challenges, end } = await setUp();
    accept("alice");
    alice.userAgent.addAccount({
      id: "a",
      uri: "sip:alice@10.0.0.7",
      password: PASSWORD,
      register: false,
    });
    const outcome = send();
    await clock.advanceAsync(200);
    await pendingOf(challenges()).accept({ account: "a" });
    await clock.advanceAsync(200);
    assert.equal((await outcome).ok, true);
    await end();
  });

  for (const [what, options, rule] of [
    ["nothing", {}, "no-credentials"],
    ["an unknown account", { account: "nobody" }, "no-account"],
    ["no user", { credentials: { user: "", password: PASSWORD } }, "no-credentials"],
  ] as const) {
    it(`goes on waiting when given ${what}`, async () => {
      const { clock, send, challenges, end } = await setUp();
      const outcome = send();
      await clock.advanceAsync(200);
      const pending = pendingOf(challenges());
      await assert.rejects(pending.accept(options), (error) => {
        assert.ok(error instanceof InvalidArgumentError);
        assert.equal(error.rule, rule);
        assert.equal(error.message.includes(PASSWORD), false);
        return true;
      });
      assert.equal(pending.pending, true);
      await pending.reject();
      const failure = await outcome;
      assert.ok(!failure.ok && failure.cause === "unauthorized" && failure.statusCode === 401);
      await end();
    });
  }

  it("come too late after the time", async () => {
    const { clock, server, send, challenges, end } = await setUp();
    const outcome = send();
    await clock.advanceAsync(2_500);
    const failure = await outcome;
    assert.ok(!failure.ok && failure.cause === "unauthorized");
    const late = await challenges()[0].pending?.accept({
      credentials: { user: "carol", password: PASSWORD },
    });
    assert.ok(late?.ok === false && late.cause === "no-request");
    assert.equal(server.requests.length, 1);
    await end();
  });

  it("that are wrong end in unauthorized, are forgotten and asked for anew", async () => {
    const { clock, server, send, challenges, end } = await setUp();
    for (let i = 0; i < 2; i++) {
      const outcome = send();
      await clock.advanceAsync(200);
      await pendingOf(challenges().filter(({ pending }) => pending !== undefined)).accept({
        credentials: { user: "mallory", password: PASSWORD },
      });
      await clock.advanceAsync(500);
      const failure = await outcome;
      assert.ok(!failure.ok && failure.cause === "unauthorized");
    }
    assert.equal(challenges().filter(({ pending }) => pending !== undefined).length, 2);
    assert.ok(server.requests.length <= 6);
    await end();
  });

  it("let a call through, and its BYE is not asked about", async () => {
    const { clock, alice, server, challenges, accept, end } = await setUp(407);
    const call = alice.userAgent.invite({ targets: ["sip:door@10.0.0.5"] });
    await clock.advanceAsync(200);
    await pendingOf(challenges()).accept({ credentials: { user: "carol", password: PASSWORD } });
    await clock.advanceAsync(200);
    assert.equal(call.state, "established");
    accept("somebody else");
    void call.end();
    await clock.advanceAsync(500);
    assert.equal(call.state, "terminated");
    assert.equal(challenges().filter(({ pending }) => pending !== undefined).length, 1);
    assert.ok(server.methods().includes("BYE"));
    await end();
  });

  for (const protocol of ["udp", "tcp"] as const) {
    it(`are not waited for by a call that is cancelled, over ${protocol}`, async () => {
      const { clock, alice, challenges, server, end } = await setUp(401, ["udp", "tcp"]);
      const target = `sip:door@10.0.0.5;transport=${protocol}`;
      const call = alice.userAgent.invite({ targets: [target] });
      await clock.advanceAsync(200);
      const pending = pendingOf(challenges());
      void call.end();
      await clock.advanceAsync(100);
      assert.equal(call.state, "terminated");
      assert.equal(call.snapshot().cause, "cancelled");
      assert.equal(alice.userAgent.pendingRequest(pending.handle), undefined);
      const late = await pending.accept({ credentials: { user: "carol", password: PASSWORD } });
      assert.deepEqual(late, { ok: false, cause: "no-request", statusCode: 0 });
      await clock.advanceAsync(200);
      assert.deepEqual(server.methods().filter((method) => method === "INVITE").length, 1);
      await end();
    });

    it(`that do not come leave nothing behind, over ${protocol}`, async () => {
      const { clock, alice, challenges, end } = await setUp(401, ["udp", "tcp"]);
      const target = `sip:door@10.0.0.5;transport=${protocol}`;
      const call = alice.userAgent.invite({ targets: [target] });
      await clock.advanceAsync(1_000);
      await pendingOf(challenges()).reject();
      await clock.advanceAsync(40_000);
      assert.equal(call.snapshot().cause, "unauthorized");
      assert.equal(alice.userAgent.counters()["outgoingRequests"], 0);
      await end();
    });
  }

  it("are asked for by a registration without password", async () => {
    const { clock, alice, challenges, end } = await setUp();
    alice.userAgent.addAccount({ id: "a", uri: "sip:carol@10.0.0.5", register: true });
    await clock.advanceAsync(200);
    assert.equal(challenges()[0]?.accountId, "a");
    await pendingOf(challenges()).accept({ credentials: { user: "carol", password: PASSWORD } });
    await clock.advanceAsync(500);
    assert.equal(alice.userAgent.accounts.get("a")?.registration.state, "registered");
    await end();
  });

  it("are told of, but not asked for, when nobody listens", async () => {
    const { clock, alice, send, challenges, end } = await setUp();
    alice.userAgent.requestPolicy = () => ({ listened: false, holdMs: 0 });
    const outcome = send();
    await clock.advanceAsync(200);
    assert.equal((await outcome).ok, false);
    assert.equal(challenges().length, 1);
    assert.equal(challenges()[0].pending, undefined);
    await end();
  });
});
