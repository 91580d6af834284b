/**
 * Transfers. Requirements:
 *  1. REFER out: 202, NOTIFYs (also before the 202), success → BYE after T1; failing sipfrag, refusal or timeout → the call stays.
 *  2. A peer that hangs up after its 2xx and without bad news was transferred.
 *  3. REFER in: 400 for a bad Refer-To, 603 by default; followed: 202, NOTIFY 100 at once, progress, final with
 *     `terminated;reason=noresource`; otherwise a subscription for the flow. NOTIFYs one after the other.
 */
import assert from "node:assert/strict";
import {
  InvalidArgumentError,
  InvalidStateError,
  TransactionTimeoutError,
} from "../../../lib/foundation/index.js";
import { establishedCall, hungUp, type Call } from "../../support/established-call.js";
import {
  outcomeOf,
  type FakeRequest,
  type FakeServerTransaction,
} from "../../support/fake-services.js";

function notify(call: Call, fragment: string, state: string, id = ""): FakeServerTransaction {
  return call.services.request(call.dialog, "NOTIFY", {
    headers: [
      ["Event", `refer${id}`],
      ["Subscription-State", state],
    ],
    contentType: "message/sipfrag;version=2.0",
    body: fragment,
  });
}

const ACTIVE = "active;expires=60";
const TERMINATED = "terminated;reason=noresource";

describe("REFER by us", () => {
  it("reports each sipfrag, hangs up after success and resolves", async () => {
    const call = await establishedCall();
    const { services, session, witness } = call;
    const told: number[] = [];
    const transferred = session.refer({
      to: '"Carol" <sip:carol@example.com>',
      headers: [["X-A", "1"]],
      onProgress: (statusCode) => told.push(statusCode),
    });
    const refer = services.lastSent("REFER");
    assert.equal(refer.sent.headers.get("refer-to"), '"Carol" <sip:carol@example.com>');
    assert.equal(refer.sent.headers.get("referred-by"), "<sip:alice@example.com>");
    assert.equal(refer.sent.headers.get("contact"), "<sip:alice@192.0.2.1:5060>");
    refer.respond(202);
    assert.equal(notify(call, "SIP/2.0 100 Trying", ACTIVE).status, 200);
    notify(call, "SIP/2.0 180 Ringing\r\n", ACTIVE);
    assert.equal(await outcomeOf(transferred), "pending");
    notify(call, "SIP/2.0 200 OK", TERMINATED);
    const outcome = await transferred;
    assert.deepEqual([outcome.ok, outcome.statusCode], [true, 200]);
    assert.deepEqual(told, [100, 180, 200]);
    // The NOTIFY is answered before the BYE leaves, and the peer has T1 to send its own.
    assert.deepEqual(services.log.slice(-2), ["← NOTIFY", "200 →"]);
    notify(call, "SIP/2.0 180 Ringing", ACTIVE);
    notify(call, "SIP/2.0 200 OK", TERMINATED);
    notify(call, "SIP/2.0 503 Service Unavailable", TERMINATED);
    services.clock.advance(500);
    assert.equal(services.log.at(-1), "BYE →");
    services.lastSent("BYE").respond(200);
    assert.deepEqual(witness.plot, [
      "refer-progress:100",
      "refer-progress:180",
      "refer-progress:200",
      "refer-progress:180",
      "refer-progress:200",
      "refer-progress:503",
      "bye",
      "ended:transferred",
    ]);
    assert.deepEqual(services.leftovers(), []);
  });

  it("need not hang up when the peer does, after the news of success", async () => {
    const call = await establishedCall();
    const transferred = call.session.refer({ to: "sip:carol@example.com" });
    call.services.lastSent("REFER").respond(202);
    notify(call, "SIP/2.0 200 OK", TERMINATED);
    assert.equal((await transferred).ok, true);
    await hungUp(call);
    call.services.clock.advance(500);
    assert.equal(call.services.log.includes("BYE →"), false);
    assert.equal(call.witness.plot.at(-1), "ended:transferred");
    assert.deepEqual(call.services.leftovers(), []);
  });

  it("leaves the cause to the flow that hangs up in the moment before our BYE", async () => {
    const call = await establishedCall();
    const transferred = call.session.refer({ to: "sip:carol@example.com" });
    call.services.lastSent("REFER").respond(202);
    notify(call, "SIP/2.0 200 OK", TERMINATED);
    await transferred;
    void call.session.end();
    call.services.clock.advance(500);
    assert.equal(call.services.log.filter((line) => line === "BYE →").length, 1);
    call.services.lastSent("BYE").respond(200);
    assert.equal(call.witness.plot.at(-1), "ended:local-bye");
    assert.deepEqual(call.services.leftovers(), []);
  });

  it("takes a NOTIFY that overtakes the 202", async () => {
    const call = await establishedCall();
    const transferred = call.session.refer({ to: "sip:carol@example.com", hangup: false });
    notify(call, "SIP/2.0 200 OK", TERMINATED);
    const outcome = await transferred;
    assert.equal(outcome.ok, true);
    call.services.lastSent("REFER").respond(202);
    assert.equal(call.session.state, "established");
    await hungUp(call);
  });

  it("leaves the call up when the new call fails", async () => {
    const call = await establishedCall();
    const transferred = call.session.refer({ to: "sip:carol@example.com" });
    call.services.lastSent("REFER").respond(202);
    notify(call, "SIP/2.0 486 Busy Here", TERMINATED);
    const outcome = await transferred;
    assert.deepEqual(
      [outcome.ok, outcome.statusCode, "cause" in outcome && outcome.cause],
      [false, 486, "busy"],
    );
    assert.equal(call.session.state, "established");
    // A late NOTIFY is answered and changes nothing.
    assert.equal(notify(call, "SIP/2.0 200 OK", TERMINATED).status, 200);
    assert.equal(call.session.state, "established");
    await hungUp(call);
  });

  it("fails when the subscription ends without a result", async () => {
    const call = await establishedCall();
    const transferred = call.session.refer({ to: "sip:carol@example.com" });
    call.services.lastSent("REFER").respond(202);
    notify(call, "SIP/2.0 100 Trying", "terminated;reason=timeout");
    const outcome = await transferred;
    assert.equal("cause" in outcome && outcome.cause, "timeout");
    await hungUp(call);
  });

  it("fails when it is refused or nothing comes back", async () => {
    const call = await establishedCall();
    const refused = call.session.refer({ to: "sip:carol@example.com" });
    call.services.lastSent("REFER").respond(603);
    assert.equal((await refused).statusCode, 603);
    const silent = call.session.refer({ to: "sip:carol@example.com", timeoutMs: 5000 });
    call.services.lastSent("REFER").respond(202);
    notify(call, "SIP/2.0 180 Ringing", ACTIVE);
    call.services.clock.advance(5000);
    const outcome = await silent;
    assert.deepEqual(
      [outcome.ok, outcome.statusCode, "cause" in outcome && outcome.cause],
      [false, 180, "timeout"],
    );
    assert.equal(call.session.state, "established");
    await hungUp(call);
  });

  it("ends with its 2xx when the peer will not notify (RFC 4488)", async () => {
    const call = await establishedCall();
    const transferred = call.session.refer({ to: "sip:carol@example.com" });
    call.services.lastSent("REFER").respond(200, { headers: [["Refer-Sub", "false"]] });
    assert.equal((await transferred).ok, true);
    call.services.clock.advance(500);
    call.services.lastSent("BYE").respond(200);
    assert.equal(call.witness.plot.at(-1), "ended:transferred");
  });

  it("counts as done when the peer hangs up after its 202", async () => {
    const call = await establishedCall();
    const transferred = call.session.refer({ to: "sip:carol@example.com" });
    call.services.lastSent("REFER").respond(202);
    notify(call, "SIP/2.0 180 Ringing", ACTIVE);
    await hungUp(call);
    assert.equal((await transferred).ok, true);
    assert.equal(call.witness.plot.at(-1), "ended:transferred");
  });

  it("is over with the call when that ends before the 202, or by us", async () => {
    const early = await establishedCall();
    const first = early.session.refer({ to: "sip:carol@example.com" });
    await hungUp(early);
    assert.deepEqual(await first, { ok: false, cause: "no-session", statusCode: 0 });
    assert.equal(early.witness.plot.at(-1), "ended:remote-bye");
    const ours = await establishedCall();
    const second = ours.session.refer({ to: "sip:carol@example.com" });
    ours.services.lastSent("REFER").respond(202);
    void ours.session.end();
    ours.services.lastSent("BYE").respond(200);
    assert.deepEqual(await second, { ok: false, cause: "no-session", statusCode: 0 });
    assert.deepEqual(await ours.session.refer({ to: "sip:x@example.com" }), {
      ok: false,
      cause: "no-session",
      statusCode: 0,
    });
    assert.deepEqual(ours.services.leftovers(), []);
  });

  it("tells several apart by the id of their events, retries included", async () => {
    const call = await establishedCall();
    const first = call.session.refer({ to: "sip:carol@example.com", hangup: false });
    const second = call.session.refer({ to: "sip:dave@example.com", hangup: false });
    const refer = call.services.lastSent("REFER");
    refer.retry();
    refer.respond(202);
    notify(call, "SIP/2.0 404 Not Found", TERMINATED, `;id=${refer.sent.cseq.sequence}`);
    assert.equal((await second).statusCode, 404);
    assert.equal(await outcomeOf(first), "pending");
    notify(call, "SIP/2.0 200 OK", TERMINATED);
    assert.equal((await first).ok, true);
    assert.equal(notify(call, "SIP/2.0 200 OK", TERMINATED, ";id=99999").status, 481);
    await hungUp(call);
  });

  it("survives NOTIFYs without a usable body", async () => {
    const call = await establishedCall();
    const transferred = call.session.refer({ to: "sip:carol@example.com", hangup: false });
    call.services.lastSent("REFER").respond(202);
    assert.equal(notify(call, "nonsense", ACTIVE).status, 200);
    assert.equal(notify(call, "SIP/2.0 999 Big", ACTIVE).status, 200);
    assert.deepEqual(call.witness.plot, []);
    notify(call, "SIP/2.0 200 OK", TERMINATED);
    assert.equal((await transferred).ok, true);
    await hungUp(call);
  });

  it("forgets the oldest of too many", async () => {
    const call = await establishedCall();
    const refers = Array.from({ length: 9 }, () => call.session.refer({ to: "sip:c@example.com" }));
    assert.deepEqual(await refers[0], { ok: false, cause: "no-session", statusCode: 0 });
    await hungUp(call);
  });

  it("refuses bad targets and calls that are not up", async () => {
    const call = await establishedCall();
    await assert.rejects(call.session.refer({ to: "<<>>" }), InvalidArgumentError);
    await assert.rejects(
      call.session.refer({ to: "sip:c@example.com", referredBy: "<<" }),
      InvalidArgumentError,
    );
    await assert.rejects(
      call.session.refer({ to: "sip:c@example.com", headers: [["X", "a\r\nb"]] }),
      InvalidArgumentError,
    );
    await hungUp(call);
    assert.ok(InvalidStateError);
  });
});

describe("REFER by the peer", () => {
  const TO = "<sip:carol@example.com>";

  function refer(call: Call, referTo: readonly string[] = [TO]): FakeServerTransaction {
    return call.services.request(call.dialog, "REFER", {
      headers: [
        ...referTo.map((value) => ["Refer-To", value] as [string, string]),
        ["Referred-By", "<sip:bob@example.com>"],
      ],
    });
  }

  function notifies(call: Call): FakeRequest[] {
    return call.services.sent.filter(({ method }) => method === "NOTIFY");
  }

  it("gets 400 without, with a bad or with a repeated Refer-To; the call is unharmed", async () => {
    const call = await establishedCall();
    assert.equal(refer(call, []).status, 400);
    assert.equal(refer(call, ["<sip:@@>"]).status, 400);
    assert.equal(refer(call, [TO, TO]).status, 400);
    assert.equal(refer(call, ["<http://example.com/>"]).status, 603);
    assert.deepEqual(call.witness.plot, []);
    await hungUp(call);
  });

  it("is declined when nobody takes it, or when time is over", async () => {
    const call = await establishedCall();
    assert.equal(refer(call).status, 603);
    assert.equal(call.witness.last("refer").referTo, "sip:carol@example.com");
    call.services.held.add("refer");
    const held = refer(call);
    call.services.pending[0]?.expire();
    assert.equal(held.status, 603);
    const rejected = refer(call);
    await call.witness.last("refer").pending?.reject({ statusCode: 486 });
    assert.equal(rejected.status, 486);
    await hungUp(call);
  });

  it("is followed: 202, NOTIFY 100 at once, progress and the result", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    const transaction = refer(call, ["Carol <sip:carol@example.com;method=INVITE?Subject=x>"]);
    const accepted = call.witness.last("refer").pending?.accept({ follow: true });
    assert.equal(transaction.status, 202);
    assert.equal(transaction.last.headers.has("contact"), true);
    assert.equal(call.services.placed[0]?.target, '"Carol" <sip:carol@example.com>');
    const [first] = notifies(call);
    assert.equal(first?.sent.text, "SIP/2.0 100 Trying\r\n");
    assert.equal(first?.sent.headers.get("event"), "refer");
    assert.match(first?.sent.headers.get("subscription-state") ?? "", /^active;expires=\d+$/);
    assert.equal(first?.sent.headers.get("content-type"), "message/sipfrag;version=2.0");
    assert.equal(first?.sent.headers.has("contact"), true);
    call.services.placed[0]?.tell(180, "Ringing");
    call.services.placed[0]?.tell(180, "Ringing");
    call.services.placed[0]?.tell(200, "OK");
    assert.equal(notifies(call).length, 1, "one at a time");
    first?.respond(200);
    notifies(call)[1]?.respond(200);
    notifies(call)[2]?.respond(200);
    assert.deepEqual(
      notifies(call).map(({ sent }) => sent.text),
      ["SIP/2.0 100 Trying\r\n", "SIP/2.0 180 Ringing\r\n", "SIP/2.0 200 OK\r\n"],
    );
    assert.equal(
      notifies(call)[2]?.sent.headers.get("subscription-state"),
      "terminated;reason=noresource",
    );
    const outcome = await accepted;
    assert.equal(outcome?.ok === true && outcome.newSession?.id, "new-call");
    await hungUp(call);
  });

  it("is followed to a failure; the old call goes on", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    refer(call);
    const accepted = call.witness.last("refer").pending?.accept({ follow: true });
    notifies(call)[0]?.respond(200);
    call.services.placed[0]?.tell(0, "");
    assert.equal(notifies(call)[1]?.sent.text, "SIP/2.0 503 Service Unavailable\r\n");
    const outcome = await accepted;
    assert.equal(outcome?.ok, false);
    assert.equal(call.session.state, "established");
    refer(call);
    const busy = call.witness.last("refer").pending?.accept({ follow: true });
    call.services.placed[1]?.tell(486, "Busy");
    assert.equal((await busy)?.statusCode, 486);
    // The second REFER of a dialog is told apart by its id (RFC 3515 §2.4.6).
    assert.match(notifies(call)[2]?.sent.headers.get("event") ?? "", /^refer;id=\d+$/);
    await hungUp(call);
  });

  it("keeps the Replaces of an attended transfer and nothing else of the URI's headers", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    refer(call, ["<sip:carol@example.com?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2&Route=evil>"]);
    void call.witness.last("refer").pending?.accept({ follow: true });
    assert.match(
      call.services.placed[0]?.target ?? "",
      /\?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>/i,
    );
    assert.doesNotMatch(call.services.placed[0]?.target ?? "", /evil/);
    call.services.placed[0]?.tell(200);
    await hungUp(call);
  });

  it("is blocked when the dial filter forbids the target", async () => {
    const call = await establishedCall((services) => {
      services.held.add("refer");
      services.blocked = () => true;
    });
    const transaction = refer(call);
    const outcome = await call.witness.last("refer").pending?.accept({ follow: true });
    assert.equal(transaction.status, 403);
    assert.equal(outcome?.ok === false && outcome.cause, "blocked");
    await hungUp(call);
  });

  it("tells the peer when the call cannot be placed", async () => {
    const call = await establishedCall((services) => {
      services.held.add("refer");
      services.placeFailure = new Error("limit");
    });
    refer(call);
    const outcome = await call.witness.last("refer").pending?.accept({ follow: true });
    assert.equal(outcome?.ok, false);
    notifies(call)[0]?.respond(200);
    assert.match(notifies(call)[1]?.sent.text ?? "", /^SIP\/2.0 503/);
    await hungUp(call);
  });

  it("without follow gives the flow a subscription to report with", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    const transaction = refer(call);
    const outcome = await call.witness.last("refer").pending?.accept();
    assert.equal(transaction.status, 202);
    const subscription = outcome?.ok === true ? outcome.subscription : undefined;
    assert.ok(subscription);
    notifies(call)[0]?.respond(200);
    const ringing = call.session.notifyReferrer(subscription, 180);
    notifies(call)[1]?.respond(200);
    assert.equal((await ringing).statusCode, 200);
    const last = call.session.notifyReferrer(subscription, 200, "Fine");
    assert.equal(notifies(call)[2]?.sent.text, "SIP/2.0 200 Fine\r\n");
    notifies(call)[2]?.respond(481);
    const refused = await last;
    assert.ok(!refused.ok && refused.statusCode === 481);
    const late = await call.session.notifyReferrer(subscription, 200);
    assert.ok(!late.ok && late.cause === "no-request");
    await hungUp(call);
  });

  const subscribe = (
    call: Call,
    event: string,
    expires: number | undefined,
  ): FakeServerTransaction =>
    call.services.request(call.dialog, "SUBSCRIBE", {
      headers: [
        ["Event", event],
        ...(expires === undefined ? [] : [["Expires", String(expires)] as const]),
      ],
    });

  it("prolongs the subscription when the peer asks for it, and tells where things stand", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    const { sequence } = refer(call).request.cseq;
    const outcome = await call.witness.last("refer").pending?.accept();
    assert.ok(outcome?.ok === true && outcome.subscription !== undefined);
    notifies(call)[0]?.respond(200);
    void call.session.notifyReferrer(outcome.subscription, 183, "Progress");
    notifies(call)[1]?.respond(200);
    for (const event of ["refer", `refer;id=${sequence}`]) {
      const transaction = subscribe(call, event, 600);
      assert.equal(transaction.status, 200);
      assert.equal(transaction.last.headers.get("expires"), "600");
      assert.ok(transaction.last.headers.has("contact"));
      const notify = notifies(call).at(-1);
      assert.equal(notify?.sent.text, "SIP/2.0 183 Progress\r\n");
      assert.equal(notify.sent.headers.get("subscription-state"), "active;expires=600");
      notify.respond(200);
    }
    call.services.clock.advance(599_000);
    assert.equal(notifies(call).length, 4);
    call.services.clock.advance(2_000);
    assert.equal(
      notifies(call)[4]?.sent.headers.get("subscription-state"),
      "terminated;reason=timeout",
    );
    await hungUp(call);
  });

  it("ends the subscription when the peer unsubscribes; the followed call goes on", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    refer(call);
    const accepted = call.witness.last("refer").pending?.accept({ follow: true });
    notifies(call)[0]?.respond(200);
    assert.equal(subscribe(call, "refer", 0).status, 200);
    const last = notifies(call)[1];
    assert.equal(last?.sent.headers.get("subscription-state"), "terminated;reason=timeout");
    assert.equal(last.sent.text, "SIP/2.0 100 Trying\r\n");
    last.respond(200);
    call.services.placed[0]?.tell(200, "OK");
    assert.equal((await accepted)?.ok, true);
    assert.equal(notifies(call).length, 2);
    assert.equal(subscribe(call, "refer", 0).status, 481);
    await hungUp(call);
  });

  it("answers SUBSCRIBEs of the peer that fit no REFER", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    assert.equal(subscribe(call, "refer", 60).status, 481);
    refer(call);
    await call.witness.last("refer").pending?.accept();
    const second = refer(call).request.cseq.sequence;
    await call.witness.last("refer").pending?.accept();
    assert.equal(subscribe(call, "refer;id=1", 60).status, 481);
    assert.equal(subscribe(call, "refer", 10).status, 423);
    assert.equal(subscribe(call, `refer;id=${second}`, undefined).status, 200);
    // RFC 6665 §4.5.2: nothing new begins in the dialog of a call.
    const presence = subscribe(call, "presence", 60);
    assert.equal(presence.status, 489);
    assert.equal(presence.last.headers.get("allow-events"), "refer");
    call.services.held.add("request");
    const held = subscribe(call, "presence", 60);
    const taken = await call.witness.last("request").pending?.accept();
    assert.ok(taken?.ok === false && taken.cause === "rejected" && taken.statusCode === 403);
    assert.equal(held.last.reason, "Subscribe Outside of the Call");
    await hungUp(call);
  });

  it("keeps a bounded queue of what the flow tells", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    refer(call);
    const outcome = await call.witness.last("refer").pending?.accept();
    assert.ok(outcome?.ok === true && outcome.subscription !== undefined);
    const { subscription } = outcome;
    const told = Array.from({ length: 40 }, () => call.session.notifyReferrer(subscription, 180));
    assert.equal(notifies(call).length, 1);
    notifies(call)[0]?.fail(new TransactionTimeoutError("Timer F"));
    const causes = (await Promise.all(told)).map((each) => (each.ok ? "" : each.cause));
    assert.equal(causes.filter((cause) => cause === "limit").length, 8);
    assert.equal(causes.filter((cause) => cause === "no-request").length, 32);
    await hungUp(call);
  });

  it("ends the subscription in time when the flow says nothing", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    refer(call);
    await call.witness.last("refer").pending?.accept();
    notifies(call)[0]?.respond(200);
    call.services.clock.advance(180_000);
    assert.equal(
      notifies(call)[1]?.sent.headers.get("subscription-state"),
      "terminated;reason=timeout",
    );
    await hungUp(call);
  });

  it("stops when the peer does not want the NOTIFYs, and the call goes on", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    refer(call);
    void call.witness.last("refer").pending?.accept({ follow: true });
    notifies(call)[0]?.respond(481);
    call.services.placed[0]?.tell(180);
    call.services.placed[0]?.tell(200);
    assert.equal(notifies(call).length, 1);
    assert.equal(call.session.state, "established");
    refer(call);
    void call.witness.last("refer").pending?.accept({ follow: true });
    notifies(call)[1]?.fail(new TransactionTimeoutError("Timer F"));
    assert.equal(call.session.state, "established");
    await hungUp(call);
  });

  it("goes on telling after the peer has hung up", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    refer(call);
    const accepted = call.witness.last("refer").pending?.accept({ follow: true });
    notifies(call)[0]?.respond(200);
    await hungUp(call);
    call.services.placed[0]?.tell(200, "OK");
    assert.match(notifies(call)[1]?.sent.text ?? "", /^SIP\/2.0 200/);
    assert.equal((await accepted)?.ok, true);
  });

  it("is followed at most four times at once", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    const statuses: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      const transaction = refer(call);
      void call.witness.last("refer").pending?.accept({ follow: true });
      statuses.push(transaction.status);
    }
    assert.deepEqual(statuses, [202, 202, 202, 202, 503]);
    for (const placed of call.services.placed) placed.tell(486, "Busy");
    const next = refer(call);
    void call.witness.last("refer").pending?.accept({ follow: true });
    assert.equal(next.status, 202);
    await hungUp(call);
  });

  it("keeps a bounded number of open subscriptions", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    for (let i = 0; i < 12; i++) {
      refer(call);
      await call.witness.last("refer").pending?.accept();
    }
    assert.equal(notifies(call).length, 12);
    await hungUp(call);
  });

  it("is followed in silence when the peer wants no NOTIFY (RFC 4488)", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    const quiet = (): FakeServerTransaction =>
      call.services.request(call.dialog, "REFER", {
        headers: [
          ["Refer-To", TO],
          ["Refer-Sub", " False"],
        ],
      });
    const transaction = quiet();
    const accepted = call.witness.last("refer").pending?.accept({ follow: true });
    assert.equal(transaction.status, 202);
    assert.equal(transaction.last.headers.get("refer-sub"), "false");
    call.services.placed[0]?.tell(180);
    call.services.placed[0]?.tell(200, "OK");
    assert.equal((await accepted)?.ok, true);
    quiet();
    const outcome = await call.witness.last("refer").pending?.accept();
    assert.ok(outcome?.ok === true && outcome.subscription === undefined);
    quiet();
    const lost = call.witness.last("refer").pending?.accept({ follow: true });
    call.services.placed[1]?.tell(0, "");
    assert.equal((await lost)?.ok, false);
    assert.equal(notifies(call).length, 0);
    await hungUp(call);
  });

  it("gets 482 when the new call would ring the flow that is asked to place it", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    for (const [to, status] of [
      ["<sip:alice@example.com>", 482],
      ["<sip:alice@192.0.2.1>", 482],
      ["<sip:alice@192.0.2.1:5062>", 202],
      ["<sip:other@192.0.2.1>", 202],
      ["<sip:alice@192.0.2.1?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>", 202],
      ["<tel:+49123>", 202],
    ] as const) {
      const transaction = refer(call, [to]);
      const accepted = call.witness.last("refer").pending?.accept({ follow: true });
      assert.equal(transaction.status, status, to);
      if (status === 482) {
        const outcome = await accepted;
        assert.ok(outcome?.ok === false && outcome.cause === "blocked");
      } else call.services.placed.at(-1)?.tell(486, "Busy");
    }
    await hungUp(call);
  });

  it("is followed at most twenty times in one call", async () => {
    const call = await establishedCall((services) => services.held.add("refer"));
    for (let i = 0; i < 20; i++) {
      refer(call);
      void call.witness.last("refer").pending?.accept({ follow: true });
      call.services.placed.at(-1)?.tell(486, "Busy");
    }
    const transaction = refer(call);
    const outcome = await call.witness.last("refer").pending?.accept({ follow: true });
    assert.equal(transaction.status, 503);
    assert.ok(outcome?.ok === false && outcome.cause === "limit");
    await hungUp(call);
  });
});
