/**
 * Reliable provisional responses that we send (RFC 3262 §3, §5). Requirements:
 *  1. Reliable where the caller requires or supports it; 421 when we insist; an error when a flow insists in vain.
 *  2. Repeated T1, 2·T1, 4·T1 … until PRACK; after 64·T1 504 and `no-prack`.
 *  3. One at a time, RSeq +1 each; a wrong, old or late RAck gives 481, a malformed one 400.
 *  4. The 2xx waits for the PRACK of a description, and only for that.
 *  5. Offer and answer in response and PRACK; bad answers end the call, bad offers do not.
 *  6. CANCEL, BYE and the end of the session in between leave nothing behind.
 */
import assert from "node:assert/strict";
import { InvalidStateError } from "../../../lib/foundation/index.js";
import { IncomingSession, type HeaderList } from "../../../lib/session/index.js";
import {
  ALICE,
  FakeServices,
  Witness,
  outcomeOf,
  type FakeServerTransaction,
  type PeerFields,
} from "../../support/fake-services.js";

const OFFER = "v=0 their offer";
const SUPPORTED: HeaderList = [["Supported", "timer, 100rel"]];
const REQUIRED: HeaderList = [["Require", "100rel"]];

function arrive(services: FakeServices, fields: PeerFields = {}) {
  const transaction = services.invite({ sdp: OFFER, headers: SUPPORTED, ...fields });
  const session = new IncomingSession(services, transaction, { account: ALICE });
  const witness = new Witness(session);
  assert.equal(session.begin(), true);
  return { transaction, session, witness, dialog: services.dialogOf(session) };
}

function rseq(transaction: FakeServerTransaction): number {
  return Number(transaction.last.headers.get("rseq"));
}

describe("reliable provisional responses sent", () => {
  let services: FakeServices;

  beforeEach(() => {
    services = new FakeServices();
  });

  function prack(
    { transaction, dialog }: ReturnType<typeof arrive>,
    rack = `${rseq(transaction)} 1 INVITE`,
    fields: PeerFields = {},
  ) {
    return services.request(dialog, "PRACK", { ...fields, headers: [["RAck", rack]] });
  }

  it("rings reliably where the caller supports it, and tells the flow after the PRACK", async () => {
    const call = arrive(services);
    const ringing = call.session.progress();
    const { last } = call.transaction;
    assert.equal(last.statusCode, 180);
    assert.deepEqual(last.tokens("require"), ["100rel"]);
    assert.ok(rseq(call.transaction) >= 1 && rseq(call.transaction) < 2 ** 31);
    assert.equal(await outcomeOf(ringing), "pending");
    assert.equal(prack(call).status, 200);
    const outcome = await ringing;
    assert.equal(outcome.ok && outcome.statusCode, 180);
    services.clock.advance(40_000);
    assert.equal(call.transaction.responses.length, 1);
    const accepted = call.session.accept();
    await outcomeOf(accepted);
    assert.equal(call.transaction.last.text, `v=0 answer to ${OFFER}`);
    services.ack(call.transaction.request, call.dialog);
    assert.equal((await accepted).ok, true);
    services.request(call.dialog, "BYE");
    assert.deepEqual(call.witness.plot.slice(0, 4), [
      "incoming",
      "progress:180",
      "answered:200",
      "confirmed",
    ]);
    assert.deepEqual(services.leftovers(), []);
  });

  it("is unreliable when the caller or the flow wants that", async () => {
    for (const [headers, rel100] of [
      [[], undefined],
      [SUPPORTED, false],
    ] as [HeaderList, boolean | undefined][]) {
      const { session, transaction } = arrive(services, { headers });
      assert.equal((await session.progress({ rel100 })).ok, true);
      assert.equal(transaction.last.headers.has("rseq"), false);
      await session.reject();
    }
  });

  it("is reliable when the caller requires it, whatever the flow wants", async () => {
    const call = arrive(services, { headers: REQUIRED });
    const ringing = call.session.progress({ rel100: false });
    assert.ok(rseq(call.transaction) > 0);
    prack(call);
    assert.equal((await ringing).ok, true);
    await call.session.reject();
    assert.deepEqual(services.leftovers(), []);
  });

  it("refuses to be reliable with a caller that cannot, and the call rings on", async () => {
    const { session } = arrive(services, { headers: [] });
    await assert.rejects(session.progress({ rel100: true }), InvalidStateError);
    assert.equal(session.state, "incoming");
    assert.equal((await session.progress()).ok, true);
    await session.reject();
  });

  it("never is when the stack says none", async () => {
    services.rel100 = "none";
    const { session, transaction } = arrive(services);
    await session.progress();
    assert.equal(transaction.last.headers.has("rseq"), false);
    await session.reject();
  });

  it("answers 421 when the stack requires what the caller does not support", () => {
    services.rel100 = "required";
    const transaction = services.invite({ sdp: OFFER });
    const session = new IncomingSession(services, transaction, { account: ALICE });
    assert.equal(session.begin(), false);
    assert.equal(transaction.status, 421);
    assert.deepEqual(transaction.last.tokens("require"), ["100rel"]);
    assert.equal(services.dialogs.size, 0);
  });

  it("repeats with doubling intervals beyond T2, then gives up with 504 and no-prack", async () => {
    const { session, transaction, witness } = arrive(services);
    const ringing = session.progress({ statusCode: 183 });
    const times: number[] = [];
    let seen = 1;
    for (let ms = 500; ms <= 31_500; ms += 500) {
      services.clock.advance(500);
      if (transaction.responses.length > seen) times.push(ms);
      seen = transaction.responses.length;
    }
    assert.deepEqual(times, [500, 1500, 3500, 7500, 15_500, 31_500]);
    services.clock.advance(500);
    assert.equal(transaction.status, 504);
    assert.equal(witness.last("failed").snapshot.cause, "no-prack");
    assert.deepEqual(await ringing, { ok: false, cause: "no-session", statusCode: 0 });
    assert.deepEqual(services.leftovers(), []);
  });

  it("answers 481 to a PRACK that acknowledges nothing, 400 to one that cannot be read", async () => {
    const call = arrive(services);
    assert.equal(prack(call, "1 1 INVITE").status, 481);
    const ringing = call.session.progress();
    const number = rseq(call.transaction);
    for (const wrong of [
      `${number + 1} 1 INVITE`,
      `${number} 2 INVITE`,
      `${number} 1 BYE`,
      "99999999999 1 INVITE",
      "",
      "x",
    ]) {
      const { status } = prack(call, wrong);
      assert.ok(status === 481 || status === 400, wrong);
    }
    assert.equal(await outcomeOf(ringing), "pending");
    assert.equal(prack(call, `${number}  1\tINVITE`).status, 200);
    assert.equal(prack(call, `${number} 1 INVITE`).status, 481);
    await ringing;
    await call.session.reject();
    assert.deepEqual(services.leftovers(), []);
  });

  it("sends one after the other, RSeq one higher each", async () => {
    const call = arrive(services);
    const first = call.session.progress();
    const second = call.session.progress({ statusCode: 182 });
    const third = call.session.progress({ statusCode: 181 });
    assert.equal(call.transaction.responses.length, 1);
    const number = rseq(call.transaction);
    prack(call);
    await first;
    assert.equal(call.transaction.status, 182);
    assert.equal(rseq(call.transaction), number + 1);
    prack(call);
    await second;
    assert.equal(rseq(call.transaction), number + 2);
    prack(call);
    await third;
    assert.deepEqual(call.witness.plot, [
      "incoming",
      "progress:180",
      "progress:182",
      "progress:181",
    ]);
    await call.session.reject();
    assert.deepEqual(services.leftovers(), []);
  });

  it("limits how many may wait", async () => {
    const { session, transaction } = arrive(services);
    const waiting = Array.from({ length: 40 }, () => session.progress());
    const last = await waiting[39];
    assert.equal(!last.ok && last.cause, "limit");
    assert.equal(transaction.responses.length, 1);
    await session.reject();
    await Promise.all(waiting);
    assert.deepEqual(services.leftovers(), []);
  });

  it("sends an acknowledged one again with the next number while the call rings on", async () => {
    const call = arrive(services);
    const ringing = call.session.progress();
    const number = rseq(call.transaction);
    prack(call);
    await ringing;
    services.clock.advance(150_000);
    assert.equal(call.transaction.responses.length, 2);
    assert.equal(call.transaction.responses.length, 2);
    assert.equal(rseq(call.transaction), number + 1);
    assert.equal(prack(call).status, 200);
    assert.deepEqual(call.witness.plot, ["incoming", "progress:180"]);
    await call.session.reject();
    assert.deepEqual(services.leftovers(), []);
  });

  it("does not let the 2xx wait for a PRACK without description, and takes a late one", async () => {
    const call = arrive(services);
    const ringing = call.session.progress();
    const second = call.session.progress({ statusCode: 181 });
    const number = rseq(call.transaction);
    const accepted = call.session.accept();
    await outcomeOf(accepted);
    assert.equal(call.transaction.status, 200);
    assert.deepEqual(await second, { ok: false, cause: "no-request", statusCode: 0 });
    assert.equal(prack(call, `${number} 1 INVITE`).status, 200);
    assert.equal((await ringing).ok, true);
    assert.equal(prack(call, `${number} 1 INVITE`).status, 481);
    services.ack(call.transaction.request, call.dialog);
    await accepted;
    services.request(call.dialog, "BYE");
    assert.equal(services.log.filter((line) => line === "180 →").length, 1);
    assert.deepEqual(services.leftovers(), []);
  });

  it("lets the 2xx wait for the PRACK of its answer, and repeats no description", async () => {
    const call = arrive(services);
    const { session, transaction, witness } = call;
    const early = session.progress({ statusCode: 183, earlyMedia: true });
    assert.equal(transaction.last.text, `v=0 answer to ${OFFER}`);
    assert.equal(session.signaling, "stable");
    const again = session.progress({ statusCode: 180, earlyMedia: true });
    const accepted = session.accept();
    await outcomeOf(accepted);
    assert.equal(transaction.status, 183);
    services.clock.advance(500);
    assert.equal(transaction.status, 183);
    prack(call);
    await early;
    assert.equal(transaction.status, 200);
    assert.equal(transaction.last.hasBody, false);
    assert.equal((await again).ok, false);
    services.ack(transaction.request, call.dialog);
    assert.equal((await accepted).ok, true);
    assert.equal(witness.last("answered").localSdp, undefined);
    services.request(call.dialog, "BYE");
    assert.deepEqual(services.leftovers(), []);
  });

  it("offers in a 183 when the INVITE did not, and takes the answer from the PRACK", async () => {
    const call = arrive(services, { sdp: undefined });
    const { session, transaction } = call;
    const early = session.progress({ statusCode: 183, earlyMedia: true });
    assert.equal(transaction.last.text, "v=0 offer 1 sendrecv");
    assert.equal(session.signaling, "have-local-offer");
    const accepted = session.accept();
    await outcomeOf(accepted);
    assert.equal(prack(call, undefined, { sdp: "v=0 answer" }).status, 200);
    await early;
    assert.equal(session.signaling, "stable");
    assert.equal(transaction.status, 200);
    assert.equal(transaction.last.hasBody, false);
    services.ack(transaction.request, call.dialog);
    assert.equal((await accepted).ok, true);
    services.request(call.dialog, "BYE");
    assert.deepEqual(services.leftovers(), []);
  });

  for (const [what, sdp, status] of [
    ["missing", undefined, 400],
    ["unusable", "v=0 bad", 488],
  ] as const) {
    it(`ends the call when the answer in the PRACK is ${what}`, async () => {
      const call = arrive(services, { sdp: undefined });
      const early = call.session.progress({ statusCode: 183, earlyMedia: true });
      const accepted = call.session.accept();
      await outcomeOf(accepted);
      assert.equal(prack(call, undefined, sdp === undefined ? {} : { sdp }).status, status);
      assert.equal(call.transaction.status, 488);
      assert.equal(call.witness.last("failed").snapshot.cause, "bad-media");
      assert.equal((await early).ok, false);
      assert.equal((await accepted).ok, false);
      assert.deepEqual(services.leftovers(), []);
    });
  }

  it("answers an offer in a PRACK once the first exchange is complete; a bad one changes nothing", async () => {
    const call = arrive(services);
    const early = call.session.progress({ statusCode: 183, earlyMedia: true });
    const first = prack(call, undefined, { sdp: "v=0 second offer" });
    assert.equal(first.status, 200);
    assert.equal(first.last.text, "v=0 answer to v=0 second offer");
    await early;
    assert.ok(call.witness.plot.includes("updated"));
    const more = call.session.progress({ statusCode: 182 });
    const second = prack(call, undefined, { sdp: "v=0 bad offer" });
    assert.equal(second.status, 488);
    assert.equal((await more).ok, true);
    assert.equal(call.session.signaling, "stable");
    await call.session.reject();
    assert.deepEqual(services.leftovers(), []);
  });

  it("refuses an offer in a PRACK before the first is answered, and goes on", async () => {
    const call = arrive(services);
    const ringing = call.session.progress();
    assert.equal(prack(call, undefined, { sdp: "v=0 too early" }).status, 491);
    assert.equal((await ringing).ok, true);
    await call.session.reject();
    assert.deepEqual(services.leftovers(), []);
  });

  it("asks the flow for the answer to an offer in a PRACK when there is no media handler", async () => {
    services.mediaHandler = undefined;
    const call = arrive(services);
    const early = call.session.progress({ statusCode: 183, sdp: "v=0 mine" });
    const request = prack(call, undefined, { sdp: "v=0 second offer" });
    await early;
    const offer = call.witness.last("offer");
    assert.equal(offer.remoteSdp, "v=0 second offer");
    const accepted = call.session.accept({ sdp: "v=0 mine" });
    assert.equal(await outcomeOf(accepted), "pending");
    assert.notEqual(call.transaction.status, 200);
    assert.equal((await offer.pending?.accept({ sdp: "v=0 mine too" }))?.ok, true);
    assert.equal(request.last.text, "v=0 mine too");
    assert.equal(call.transaction.status, 200);
    services.ack(call.transaction.request, call.dialog);
    await accepted;
    services.request(call.dialog, "BYE");
    assert.equal(services.dialogs.size, 0);
  });

  it("refuses such an offer with 488 when the flow says no or nothing", async () => {
    services.mediaHandler = undefined;
    const call = arrive(services);
    const early = call.session.progress({ statusCode: 183, sdp: "v=0 mine" });
    const request = prack(call, undefined, { sdp: "v=0 second offer" });
    await early;
    services.pending[0]?.expire();
    assert.equal(request.status, 488);
    assert.equal(call.session.signaling, "stable");
    await call.session.reject();
  });

  it("comes to its end with CANCEL, whatever waits", async () => {
    services.media.deferred = true;
    const call = arrive(services, { sdp: undefined });
    const early = call.session.progress({ statusCode: 183, earlyMedia: true });
    services.media.settle();
    await outcomeOf(early);
    const accepted = call.session.accept();
    await outcomeOf(accepted);
    const request = prack(call, undefined, { sdp: "v=0 answer" });
    assert.equal(request.status, undefined);
    call.transaction.user?.onCancel?.(services.invite().request);
    assert.equal(call.transaction.status, 487);
    assert.equal(request.status, 487);
    services.media.settle();
    assert.equal((await early).ok, false);
    assert.equal((await accepted).ok, false);
    assert.deepEqual(services.leftovers(), []);
  });

  it("answers 481 to every PRACK of a call that sends nothing reliably", async () => {
    const call = arrive(services, { headers: [] });
    await call.session.progress();
    assert.equal(prack(call, "1 1 INVITE").status, 481);
    await call.session.reject();
    assert.deepEqual(services.leftovers(), []);
  });
});
