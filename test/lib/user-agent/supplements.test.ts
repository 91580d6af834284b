/**
 * Supplements and cookies of sessions (contract §7). Requirements:
 *  1. Every message once, in both directions, in the order of registration, with the session it belongs to;
 *     repetitions are not shown, a request sent again with credentials is.
 *  2. Headers can be changed, those of the stack not; a peer sees the change once, also in repetitions.
 *  3. A request can be refused, or wait: CANCEL, the end of the time and of the stack end the wait. ACK and CANCEL
 *     cannot be refused.
 *  4. What a hook throws changes nothing.
 *  5. Cookies are destroyed exactly once, after the last event.
 */
import assert from "node:assert/strict";
import type { SipRequest } from "../../../lib/message/index.js";
import type { Session } from "../../../lib/session/index.js";
import type { Supplement, SupplementVerdict } from "../../../lib/user-agent/index.js";
import { aliceAndBob, type AliceAndBob } from "../../support/alice-and-bob.js";

/** Writes down everything, without changing it. */
function diary(): { lines: string[]; supplement: Supplement; sessions: (string | undefined)[] } {
  const lines: string[] = [];
  const sessions: (string | undefined)[] = [];
  const note =
    (arrow: string) =>
    (
      { message, method }: { message: { kind: string; statusCode?: number }; method: string },
      context: { session: Session | undefined },
    ): undefined => {
      lines.push(`${arrow} ${message.kind === "request" ? method : String(message.statusCode)}`);
      sessions.push(context.session?.id);
    };
  const supplement: Supplement = {
    incomingRequest: note("<"),
    incomingResponse: note("<"),
    outgoingRequest: note(">"),
    outgoingResponse: note(">"),
    sessionBegin: () => void lines.push("begin"),
    sessionEnd: () => void lines.push("end"),
  };
  return { lines, supplement, sessions };
}

describe("supplements", () => {
  let pair: AliceAndBob;
  beforeEach(async () => {
    pair = await aliceAndBob();
  });

  const call = async (): Promise<{ caller: Session; callee: Session }> => {
    const { alice, bob } = pair;
    if (bob.userAgent.onIncomingCall === undefined) bob.takeCalls();
    const caller = alice.userAgent.invite({ targets: [bob.uri] });
    await pair.pass(100);
    const callee = bob.calls.at(-1) as Session;
    void callee.accept();
    await pair.pass(200);
    return { caller, callee };
  };

  it("see each message of a call once, on both sides, with begin and end around", async () => {
    const { alice, bob } = pair;
    const [a, b] = [diary(), diary()];
    alice.userAgent.addSupplement(a.supplement);
    bob.userAgent.addSupplement(b.supplement);
    const { caller, callee } = await call();
    void caller.end();
    await pair.pass(500);
    assert.deepEqual(a.lines, [
      "begin",
      "> INVITE",
      "< 100",
      "< 200",
      "> ACK",
      "> BYE",
      "< 200",
      "end",
    ]);
    assert.deepEqual(
      b.lines.filter((line) => line !== "> 100"),
      ["< INVITE", "begin", "> 200", "< ACK", "< BYE", "> 200", "end"],
    );
    assert.deepEqual([...new Set(a.sessions)], [caller.id]);
    assert.deepEqual([...new Set(b.sessions)], [undefined, callee.id]);
    await pair.end();
  });

  it("do not see repetitions: a lost ACK, a lost 200, a repeated request", async () => {
    const { alice, bob, network } = pair;
    const [a, b] = [diary(), diary()];
    alice.userAgent.addSupplement(a.supplement);
    bob.userAgent.addSupplement(b.supplement);
    network.drop(({ label }) => label === "ACK", 2);
    await call();
    await pair.pass(5_000);
    assert.equal(a.lines.filter((line) => line === "< 200").length, 1);
    assert.equal(a.lines.filter((line) => line === "> ACK").length, 1);
    assert.equal(b.lines.filter((line) => line === "> 200").length, 1);
    assert.equal(b.lines.filter((line) => line === "< ACK").length, 1);
    await pair.end();
  });

  it("change headers, each what the one before left, and not those of the stack", async () => {
    const { alice, bob } = pair;
    const problems: unknown[] = [];
    alice.userAgent.addSupplement({
      methods: ["invite"],
      outgoingRequest: (message) => {
        message.set("X-One", "1");
        message.set("Subject", "door");
        for (const name of ["Via", "f", "Contact", "Call-ID", "no token"]) {
          try {
            message.set(name, "x");
          } catch (error) {
            problems.push(error);
          }
        }
      },
    });
    alice.userAgent.addSupplement({
      outgoingRequest: (message) => {
        assert.equal(message.header("x-one"), message.method === "INVITE" ? "1" : undefined);
        message.remove("x-one");
        message.add("X-Two", "2");
      },
    });
    bob.userAgent.addSupplement({
      outgoingResponse: (message) => message.set("X-Answer", "yes"),
      incomingRequest: (message) => void message.add("X-Seen", "by bob"),
    });
    await call();
    const invite = bob.last("incoming").message as SipRequest;
    assert.equal(invite.headers.get("subject"), "door");
    assert.equal(invite.headers.has("x-one"), false);
    assert.deepEqual(invite.headers.getAll("x-two"), ["2"]);
    assert.equal(invite.headers.get("x-seen"), "by bob");
    assert.equal(problems.length, 5);
    assert.equal(alice.last("answered").message?.headers.get("x-answer"), "yes");
    await pair.end();
  });

  it("refuse a call, with reason and headers, and a request in a call", async () => {
    const { alice, bob } = pair;
    bob.takeCalls();
    const remove = bob.userAgent.addSupplement({
      methods: ["INVITE"],
      incomingRequest: () => ({ statusCode: 403, reason: "Not you", headers: [["X-Why", "list"]] }),
    });
    const refused = alice.userAgent.invite({ targets: [bob.uri] });
    await pair.pass(500);
    assert.equal(refused.state, "terminated");
    const { message } = alice.last("failed");
    assert.equal(message?.headers.get("x-why"), "list");
    assert.equal(message?.kind === "response" && message.reason, "Not you");
    assert.equal(bob.calls.length, 0);
    remove();
    remove();
    const { caller } = await call();
    bob.userAgent.addSupplement({ incomingRequest: () => ({ statusCode: 20 }) });
    const outcome = caller.request({ method: "INFO" });
    await pair.pass(100);
    assert.equal((await outcome).statusCode, 403, "a status that cannot be");
    await pair.end();
  });

  it("cannot refuse ACK", async () => {
    const { bob } = pair;
    bob.userAgent.addSupplement({ methods: ["ACK"], incomingRequest: () => ({ statusCode: 403 }) });
    const { callee } = await call();
    assert.equal(callee.state, "established");
    assert.ok(bob.heard().includes("confirmed"));
    await pair.end();
  });

  it("make a call wait for an answer by its handle", async () => {
    const { alice, bob } = pair;
    bob.takeCalls();
    const handles: string[] = [];
    bob.userAgent.addSupplement({
      methods: ["INVITE"],
      incomingRequest: (_message, context) => {
        const hold = context.hold(3_000);
        handles.push(String(hold.handle));
        return hold.verdict;
      },
    });
    const answers = ["reject", "accept", "time"] as const;
    for (const answer of answers) {
      const before = bob.calls.length;
      const caller = alice.userAgent.invite({ targets: [bob.uri] });
      await pair.pass(1_000);
      assert.equal(bob.calls.length, before);
      const pending = bob.userAgent.pendingRequest(handles.at(-1) ?? "");
      if (answer === "reject") await pending?.reject();
      if (answer === "accept") await pending?.accept();
      await pair.pass(answer === "time" ? 2_500 : 300);
      assert.equal(bob.calls.length, before + (answer === "reject" ? 0 : 1), answer);
      if (answer === "reject") assert.equal(alice.last("failed").statusCode, 486);
      void caller.end();
      await pair.pass(500);
    }
    assert.equal(bob.userAgent.counters().pendingRequests, 0);
    await pair.end();
  });

  it("give up waiting when the caller cancels: 487, and nobody hears of the call", async () => {
    const { alice, bob } = pair;
    bob.takeCalls();
    const seen = diary();
    bob.userAgent.addSupplement({
      methods: ["INVITE"],
      incomingRequest: (_message, context) => context.hold(10_000).verdict,
    });
    bob.userAgent.addSupplement({ ...seen.supplement, methods: ["CANCEL"] });
    const caller = alice.userAgent.invite({ targets: [bob.uri] });
    await pair.pass(1_000);
    void caller.end();
    await pair.pass(1_000);
    assert.equal(caller.snapshot().cause, "cancelled");
    assert.equal(bob.calls.length, 0);
    assert.deepEqual(seen.lines, ["< CANCEL"]);
    assert.equal(bob.userAgent.counters().pendingRequests, 0);
    await pair.end();
  });

  it("that never decide keep a request no longer than 20 s", async () => {
    const { alice, bob } = pair;
    bob.userAgent.addSupplement({
      incomingRequest: () => new Promise<SupplementVerdict>(() => undefined),
    });
    const asked = alice.userAgent.request({ method: "OPTIONS", to: bob.uri });
    await pair.pass(19_000);
    assert.equal(bob.endpoint.name, "bob");
    await pair.pass(6_000);
    assert.equal((await asked).statusCode, 200);
    await pair.end();
  });

  it("let everything pass when the stack stops: the request gets 503", async () => {
    const { alice, bob } = pair;
    bob.userAgent.addSupplement({
      incomingRequest: () => new Promise<SupplementVerdict>(() => undefined),
    });
    const asked = alice.userAgent.request({ method: "OPTIONS", to: bob.uri });
    await pair.pass(1_000);
    const stopped = bob.userAgent.stop();
    await pair.pass(1_000);
    await stopped;
    assert.equal((await asked).statusCode, 503);
    await pair.end();
  });

  it("prepare a request as long as they need, once, but 2 s at most", async () => {
    const { clock, alice, bob, end } = pair;
    bob.takeCalls();
    let release: () => void = () => undefined;
    let times = 0;
    const remove = alice.userAgent.addSupplement({
      methods: ["INVITE"],
      prepareRequest: async (message) => {
        times++;
        await new Promise<void>((resolve) => (release = resolve));
        message.set("X-Slow", "here");
      },
    });
    alice.userAgent.addSupplement({ prepareRequest: () => Promise.reject(new Error("broken")) });
    const call = alice.userAgent.invite({ targets: [bob.uri] });
    await clock.advanceAsync(500);
    assert.equal(bob.calls.length, 0);
    release();
    await clock.advanceAsync(100);
    assert.equal(bob.last("incoming").message?.headers.get("x-slow"), "here");
    assert.equal(times, 1);
    await Promise.all([call.end(), clock.advanceAsync(100)]);
    const late = alice.userAgent.invite({ targets: [bob.uri] });
    await clock.advanceAsync(2_100);
    assert.equal(bob.last("incoming").message?.headers.get("x-slow"), undefined);
    const cancelled = alice.userAgent.invite({ targets: [bob.uri] });
    await clock.advanceAsync(10);
    await Promise.all([cancelled.end(), late.end(), clock.advanceAsync(100)]);
    assert.equal(bob.calls.length, 2);
    remove();
    alice.errors.length = 0;
    await end();
  });

  it("that fail change nothing", async () => {
    const { alice, bob } = pair;
    const fail = (): never => {
      throw new Error("a mistake");
    };
    const broken: Supplement = {
      incomingRequest: () => Promise.reject(new Error("a mistake")),
      incomingResponse: fail,
      outgoingRequest: fail,
      outgoingResponse: fail,
      sessionBegin: fail,
      sessionEnd: fail,
    };
    alice.userAgent.addSupplement(broken);
    bob.userAgent.addSupplement({ ...broken, incomingRequest: fail });
    const { caller } = await call();
    assert.equal(caller.state, "established");
    void caller.end();
    await pair.pass(500);
    assert.ok(alice.errors.length > 3 && bob.errors.length > 3);
    for (const error of [...alice.errors, ...bob.errors]) assert.match(error, /a mistake/);
    alice.errors.length = bob.errors.length = 0;
    await pair.end();
  });

  it("hear of an end only when they heard of the begin", async () => {
    const { alice } = pair;
    const { lines, supplement } = diary();
    const { caller } = await call();
    alice.userAgent.addSupplement({ sessionEnd: supplement.sessionEnd });
    void caller.end();
    await pair.pass(500);
    assert.deepEqual(lines, []);
    await pair.end();
  });

  it("a request with credentials is shown again, and what was added is there once", async () => {
    const { alice, bob } = pair;
    const seen: string[][] = [];
    let challenges = 0;
    alice.userAgent.addSupplement({
      methods: ["OPTIONS"],
      outgoingRequest: (message) => {
        message.add("X-Mark", "1");
        assert.equal(message.header("authorization"), undefined);
      },
    });
    bob.userAgent.addSupplement({
      methods: ["OPTIONS"],
      incomingRequest: ({ message }) => {
        seen.push(message.headers.getAll("x-mark"));
        if (challenges++ > 0) return undefined;
        const challenge = 'Digest realm="r", nonce="n", algorithm=MD5, qop="auth"';
        return { statusCode: 401, headers: [["WWW-Authenticate", challenge]] };
      },
    });
    alice.userAgent.addAccount({
      id: "a",
      uri: "sip:alice@10.0.0.2",
      password: "secret",
      register: false,
    });
    const asked = alice.userAgent.request({ method: "OPTIONS", to: bob.uri, account: "a" });
    await pair.pass(500);
    assert.equal((await asked).statusCode, 200);
    assert.deepEqual(seen, [["1"], ["1"]]);
    await pair.end();
  });
});

describe("cookies of a session", () => {
  it("are destroyed exactly once: replaced, deleted, or after the last event", async () => {
    const pair = await aliceAndBob();
    const { alice, bob } = pair;
    bob.takeCalls();
    const session = alice.userAgent.invite({ targets: [bob.uri] });
    const destroyed: unknown[] = [];
    const note = (value: unknown): void => void destroyed.push(value);
    session.cookies.set("a", 1, note);
    session.cookies.set("a", 2, note);
    session.cookies.set("b", 3, note);
    session.cookies.set("c", 4, () => {
      throw new Error("a mistake");
    });
    session.cookies.set("d", 5);
    assert.deepEqual(destroyed, [1]);
    assert.equal(session.cookies.delete("b"), true);
    assert.equal(session.cookies.delete("b"), false);
    assert.deepEqual(destroyed, [1, 3]);
    assert.deepEqual([session.cookies.get("a"), session.cookies.has("b")], [2, false]);
    session.on("event", ({ name }) => {
      if (name === "failed") note(`failed, ${String(session.cookies.get("a"))} is there`);
    });
    await pair.pass(100);
    void session.end();
    await pair.pass(500);
    assert.deepEqual([...destroyed] as unknown[], [1, 3, "failed, 2 is there", 2]);
    assert.deepEqual(session.data, {}, "they are no data");
    session.cookies.set("late", 6, note);
    assert.equal(destroyed.pop(), 6);
    assert.equal(session.cookies.has("late"), false);
    assert.match(alice.errors.join(), /a mistake/);
    alice.errors.length = 0;
    await pair.end();
  });
});
