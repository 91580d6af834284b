/**
 * Replaces and attended transfer between real user agents (RFC 3891, RFC 5589 §7). Hard cases first: bad, repeated,
 * unknown, ended and ringing dialogs, `early-only`, two calls that want the same place, the old one hanging up first.
 */
import assert from "node:assert/strict";
import type { Session } from "../../../lib/session/index.js";
import { InvalidArgumentError, InvalidStateError } from "../../../lib/foundation/index.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";

async function threePeople() {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock);
  const bob = new Person("bob", "10.0.0.2", network, clock);
  const carol = new Person("carol", "10.0.0.3", network, clock);
  const people = [alice, bob, carol];
  for (const person of people) {
    await person.userAgent.start();
    person.takeCalls((session) => void session.accept());
  }
  const pass = (ms: number) => clock.advanceAsync(ms);
  /** The call, seen by the caller and by the one who is called. */
  const call = async (from: Person, to: Person): Promise<[Session, Session]> => {
    const session = from.userAgent.invite({ targets: [to.uri] });
    await pass(100);
    const theirs = to.calls.at(-1);
    assert.ok(theirs);
    return [session, theirs];
  };
  return { clock, alice, bob, carol, pass, call, end: () => endAll(clock, people) };
}

/** Names and causes, as the flow would see them. */
function plot(person: Person, session: Session): string[] {
  return person.events
    .filter(
      ([s, { name }]) => s === session && !["state", "media", "request", "response"].includes(name),
    )
    .map(([, { name, snapshot }]) => (snapshot.cause ? `${name}:${snapshot.cause}` : name));
}

function namesOf({ callId, localTag, remoteTag = "" }: ReturnType<Session["snapshot"]>) {
  return { callId, toTag: remoteTag, fromTag: localTag };
}

describe("INVITE with Replaces", () => {
  it("takes the place of the call that it names, which ends as replaced", async () => {
    const { alice, bob, carol, pass, call, end } = await threePeople();
    const [ours, old] = await call(alice, bob);
    bob.events.length = 0;
    const names = namesOf(ours.snapshot());
    const session = carol.userAgent.invite({ targets: [bob.uri], replaces: names });
    await pass(100);
    const fresh = bob.calls[1];
    assert.ok(fresh);
    assert.equal(session.state, "established");
    assert.equal(fresh.snapshot().replaces, old.id);
    assert.equal(old.snapshot().replacedBy, fresh.id);
    assert.deepEqual(plot(bob, old), ["replaced", "bye:replaced", "ended:replaced"]);
    assert.equal(ours.snapshot().cause, "remote-bye");
    const [invite] = bob.events.flatMap(([s, { name, message }]) =>
      s === fresh && name === "incoming" && message ? [message] : [],
    );
    assert.equal(invite?.headers.get("require"), "replaces");
    const heard = bob.heard();
    assert.ok(heard.indexOf("replaced") < heard.indexOf("answered"));
    await end();
  });

  it("leaves the old call alone while it rings and when it is refused or cancelled", async () => {
    const { alice, bob, carol, pass, call, end } = await threePeople();
    const [ours, old] = await call(alice, bob);
    bob.takeCalls();
    const replaces = namesOf(ours.snapshot());
    const refused = carol.userAgent.invite({ targets: [bob.uri], replaces });
    await pass(100);
    await bob.calls.at(-1)?.reject({ statusCode: 486 });
    await pass(100);
    assert.equal(refused.snapshot().cause, "busy");
    const cancelled = carol.userAgent.invite({ targets: [bob.uri], replaces });
    await pass(100);
    void cancelled.end();
    await pass(100);
    assert.equal(old.state, "established");
    assert.equal(old.snapshot().replacedBy, undefined);
    await end();
  });

  it("is refused with 481 for a call that never was, 603 for one that is over", async () => {
    const { alice, bob, carol, pass, call, end } = await threePeople();
    const [ours] = await call(alice, bob);
    const names = namesOf(ours.snapshot());
    const wrong = carol.userAgent.invite({
      targets: [bob.uri],
      replaces: { ...names, toTag: "other" },
    });
    await pass(100);
    assert.equal(carol.last("failed").statusCode, 481);
    assert.equal(wrong.state, "terminated");
    await Promise.all([ours.end(), pass(100)]);
    carol.userAgent.invite({ targets: [bob.uri], replaces: names });
    await pass(100);
    assert.equal(carol.last("failed").statusCode, 603);
    await pass(33_000);
    carol.userAgent.invite({ targets: [bob.uri], replaces: names });
    await pass(100);
    assert.equal(carol.last("failed").statusCode, 481);
    await end();
  });

  for (const [what, lines] of [
    ["malformed", [["Replaces", "nonsense"]]],
    ["without tags", [["Replaces", "abc;to-tag=1"]]],
    [
      "repeated",
      [
        ["Replaces", "abc;to-tag=1;from-tag=2"],
        ["Replaces", "abd;to-tag=1;from-tag=2"],
      ],
    ],
    [
      "beside Join",
      [
        ["Replaces", "abc;to-tag=1;from-tag=2"],
        ["Join", "abc;to-tag=1;from-tag=2"],
      ],
    ],
  ] as const) {
    it(`is refused with 400 when it is ${what}`, async () => {
      const { bob, carol, pass, end } = await threePeople();
      carol.userAgent.invite({ targets: [bob.uri], headers: lines });
      await pass(100);
      assert.equal(carol.last("failed").statusCode, 400);
      assert.equal(bob.calls.length, 0);
      await end();
    });
  }

  it("is refused with 486 when it is early-only and the call is answered", async () => {
    const { alice, bob, carol, pass, call, end } = await threePeople();
    const [ours, old] = await call(alice, bob);
    const replaces = { ...namesOf(ours.snapshot()), earlyOnly: true };
    carol.userAgent.invite({ targets: [bob.uri], replaces });
    await pass(100);
    assert.equal(carol.last("failed").statusCode, 486);
    assert.equal(old.state, "established");
    await end();
  });

  it("is refused with 481 for a call that rings here", async () => {
    const { alice, bob, carol, pass, end } = await threePeople();
    bob.takeCalls((session) => void session.progress());
    const ringing = alice.userAgent.invite({ targets: [bob.uri] });
    await pass(100);
    const { callId, localTag } = ringing.snapshot();
    const toTag = alice.last("progress").snapshot.remoteTag ?? "";
    const replaces = { callId, toTag, fromTag: localTag };
    carol.userAgent.invite({ targets: [bob.uri], replaces });
    await pass(100);
    assert.equal(carol.last("failed").statusCode, 481);
    assert.equal(ringing.state, "early");
    await end();
  });

  it("cancels a call of ours that still rings elsewhere", async () => {
    const { alice, bob, carol, pass, end } = await threePeople();
    bob.takeCalls((session) => void session.progress());
    const ringing = alice.userAgent.invite({ targets: [bob.uri] });
    await pass(100);
    const { callId, localTag } = ringing.snapshot();
    const remoteTag = alice.last("progress").snapshot.remoteTag ?? "";
    // Bob picks his call up at another telephone, Carol's.
    const replaces = { callId, toTag: localTag, fromTag: remoteTag, earlyOnly: true };
    const picked = carol.userAgent.invite({ targets: [alice.uri], replaces });
    await pass(100);
    assert.equal(picked.state, "established");
    assert.deepEqual(plot(alice, ringing), [
      "inviting",
      "progress",
      "replaced",
      "cancelled:replaced",
      "failed:replaced",
    ]);
    assert.equal(ringing.snapshot().cause, "replaced");
    assert.equal(bob.calls[0]?.snapshot().cause, "cancelled");
    await end();
  });

  it("gives the place to the first of two that is answered; the other gets 603", async () => {
    const { alice, bob, carol, pass, call, end } = await threePeople();
    const [ours, old] = await call(alice, bob);
    bob.takeCalls();
    const replaces = namesOf(ours.snapshot());
    const first = carol.userAgent.invite({ targets: [bob.uri], replaces });
    const second = carol.userAgent.invite({ targets: [bob.uri], replaces });
    await pass(100);
    const accepted = bob.calls[1]?.accept();
    const declined = bob.calls[2]?.accept();
    await pass(100);
    assert.equal((await accepted)?.ok, true);
    const outcome = await declined;
    assert.deepEqual([outcome?.ok, outcome?.statusCode], [false, 603]);
    assert.deepEqual([first, second].map(({ state }) => state).sort(), [
      "established",
      "terminated",
    ]);
    assert.equal(old.snapshot().cause, "replaced");
    await end();
  });

  it("is an ordinary call when the old one hangs up while it rings", async () => {
    const { alice, bob, carol, pass, call, end } = await threePeople();
    const [ours, old] = await call(alice, bob);
    bob.takeCalls();
    const fresh = carol.userAgent.invite({
      targets: [bob.uri],
      replaces: namesOf(ours.snapshot()),
    });
    await pass(100);
    await Promise.all([ours.end(), pass(100)]);
    void bob.calls.at(-1)?.accept();
    await pass(100);
    assert.equal(fresh.state, "established");
    assert.equal(old.snapshot().cause, "remote-bye");
    assert.equal(old.snapshot().replacedBy, undefined);
    await end();
  });

  it("names a call of our own by its handle, when there is one", async () => {
    const { alice, bob, pass, call, end } = await threePeople();
    const [ours, old] = await call(alice, bob);
    const again = alice.userAgent.invite({ targets: [bob.uri], replaces: ours.id });
    await pass(100);
    assert.equal(again.state, "established");
    assert.equal(old.snapshot().cause, "replaced");
    assert.throws(
      () => alice.userAgent.invite({ targets: [bob.uri], replaces: ours.id }),
      (error) => error instanceof InvalidStateError && error.rule === "no-session",
    );
    const early = alice.userAgent.invite({ targets: ["sip:nobody@10.0.0.77"] });
    assert.throws(
      () => alice.userAgent.invite({ targets: [bob.uri], replaces: early.id }),
      /established/,
    );
    for (const replaces of [
      { callId: "a b", toTag: "1", fromTag: "2" },
      { callId: "a;x", toTag: "1", fromTag: "2" },
      { callId: "a", toTag: "1;early-only", fromTag: "2" },
      { callId: "a", toTag: "", fromTag: "2" },
    ]) {
      assert.throws(
        () => alice.userAgent.invite({ targets: [bob.uri], replaces }),
        InvalidArgumentError,
      );
    }
    await end();
  });
});

describe("attended transfer", () => {
  /** Alice talks to Bob and to Carol; Bob does what he is told. */
  async function twoCalls() {
    const people = await threePeople();
    const { alice, bob, carol, call } = people;
    bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 1_000 });
    bob.userAgent.on("sessionEvent", (_session, { name, pending }) => {
      if (name === "refer") void pending?.accept({ follow: true });
    });
    const [first] = await call(alice, bob);
    const [second, carols] = await call(alice, carol);
    return { ...people, first, second, carols };
  }

  it("connects the two others and ends both calls as transferred", async () => {
    const { alice, bob, carol, first, second, carols, pass, end } = await twoCalls();
    const transferred = first.refer({ target: second.id });
    await pass(500);
    const outcome = await transferred;
    assert.deepEqual([outcome.ok, outcome.statusCode], [true, 200]);
    await pass(500);
    assert.equal(first.snapshot().cause, "transferred");
    assert.equal(second.snapshot().cause, "transferred");
    assert.equal(carols.snapshot().cause, "replaced");
    const fresh = carol.calls.at(-1);
    assert.equal(fresh?.state, "established");
    assert.equal(fresh?.snapshot().replaces, carols.id);
    const refer = bob.last("refer").message;
    const { callId, localTag, remoteTag } = second.snapshot();
    assert.equal(
      refer?.headers.get("refer-to"),
      `<sip:node-red@10.0.0.3:5060?Replaces=${callId}%3Bto-tag%3D${remoteTag}%3Bfrom-tag%3D${localTag}>`,
    );
    assert.equal(alice.userAgent.sessions.size, 0);
    assert.equal(bob.userAgent.sessions.size, 1);
    await end();
  });

  it("leaves both calls up when the new one is refused", async () => {
    const { carol, first, second, carols, pass, end } = await twoCalls();
    carol.takeCalls((session) => void session.reject({ statusCode: 486 }));
    const transferred = first.refer({ target: second.id });
    await pass(500);
    const outcome = await transferred;
    assert.deepEqual([outcome.ok, outcome.statusCode], [false, 486]);
    assert.deepEqual([first.state, second.state, carols.state], Array(3).fill("established"));
    await Promise.all([carols.end(), pass(100)]);
    assert.equal(second.snapshot().cause, "remote-bye", "the transfer is forgotten");
    await end();
  });

  it("keeps our calls up with hangup off, except the one that was replaced", async () => {
    const { first, second, pass, end } = await twoCalls();
    const transferred = first.refer({ target: second.id, hangup: false });
    await pass(500);
    assert.equal((await transferred).ok, true);
    assert.equal(first.state, "established");
    assert.equal(second.snapshot().cause, "transferred");
    await end();
  });

  it("is no session when the target is over, and misuse when it is not up or the call itself", async () => {
    const { alice, carol, first, second, pass, end } = await twoCalls();
    await assert.rejects(first.refer({ target: first.id }), InvalidArgumentError);
    await assert.rejects(first.refer({}), InvalidArgumentError);
    carol.takeCalls((session) => void session.progress());
    const ringing = alice.userAgent.invite({ targets: [carol.uri] });
    await pass(100);
    await assert.rejects(first.refer({ target: ringing.id }), /early.*established/);
    await Promise.all([second.end(), pass(100)]);
    const outcome = await first.refer({ target: second.id });
    assert.deepEqual(outcome, { ok: false, cause: "no-session", statusCode: 0 });
    await end();
  });
});
