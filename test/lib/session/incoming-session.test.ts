/**
 * Calls that come in. Requirements:
 *  1. `incoming`, progress, answered (2xx out), confirmed (ACK in), and the closing event, in order.
 *  2. The 2xx is repeated T1…T2 until the ACK; without one BYE after 64·T1, cause `no-ack`.
 *  3. CANCEL gives 487 and `cancelled`, or `answered-elsewhere`; whatever was under way comes to an end.
 *  4. A BYE of ours waits for the ACK (RFC 3261 §15).
 *  5. Provisional responses are repeated each minute.
 *  6. Offer and answer: answer in 1xx and 2xx, our offer when there was none, 488 with Warning, bad answers in the ACK.
 *  7. Whatever happens: one closing event, media closed once, no dialog and no timer left.
 */
import assert from "node:assert/strict";
import { InvalidArgumentError, InvalidStateError } from "../../../lib/foundation/index.js";
import type { FakeMediaSession } from "../../support/fake-media-handler.js";
import { IncomingSession } from "../../../lib/session/index.js";
import {
  ALICE,
  FakeServices,
  Witness,
  outcomeOf,
  type PeerFields,
} from "../../support/fake-services.js";

const OFFER = "v=0 their offer";

function arrive(services: FakeServices, fields: PeerFields = { sdp: OFFER }) {
  const transaction = services.invite(fields);
  const session = new IncomingSession(services, transaction, { account: ALICE });
  const witness = new Witness(session);
  assert.equal(session.begin(), true);
  return { transaction, session, witness, dialog: services.dialogOf(session) };
}

/** Accepted and acknowledged. */
async function answered(services: FakeServices, fields?: PeerFields, answer?: string) {
  const call = arrive(services, fields);
  const accepted = call.session.accept();
  await outcomeOf(accepted);
  services.ack(call.transaction.request, call.dialog, answer === undefined ? {} : { sdp: answer });
  return { ...call, outcome: await accepted };
}

describe("IncomingSession", () => {
  let services: FakeServices;

  beforeEach(() => {
    services = new FakeServices();
  });

  it("opens the sound with the ACK, not before: an INVITE may be forged", async () => {
    const { session, transaction, dialog } = arrive(services);
    const accepted = session.accept();
    await outcomeOf(accepted);
    const media = session.mediaSession as FakeMediaSession;
    assert.equal(media.starts, 0);
    services.ack(transaction.request, dialog);
    await accepted;
    assert.equal(media.starts, 1);
    services.request(dialog, "BYE");
  });

  it("rings, answers, is confirmed and ended by the peer", async () => {
    const { session, witness, transaction, dialog } = arrive(services);
    assert.equal(session.state, "incoming");
    await session.progress();
    assert.equal(session.state, "early");
    const accepted = session.accept({ headers: [["X-Room", "5"]] });
    assert.equal(await outcomeOf(accepted), "pending");
    const success = transaction.last;
    assert.equal(success.headers.get("x-room"), "5");
    assert.equal(success.headers.get("contact"), "<sip:alice@192.0.2.1:5060>");
    assert.equal(success.to.tag, "ours");
    assert.equal(success.text, `v=0 answer to ${OFFER}`);
    assert.equal(session.signaling, "stable");
    services.ack(transaction.request, dialog);
    const outcome = await accepted;
    assert.equal(outcome.ok, true);
    services.request(dialog, "BYE");
    assert.deepEqual(witness.story, [
      "state:incoming",
      "incoming",
      "state:early",
      "progress:180",
      "state:established",
      "answered:200",
      "media",
      "confirmed",
      "bye",
      "state:terminated",
      "ended:remote-bye",
    ]);
    assert.equal(witness.last("incoming").remoteSdp, OFFER);
    const { remote, local } = session.snapshot();
    assert.deepEqual(remote, {
      uri: "sip:bob@example.com",
      user: "bob",
      host: "example.com",
      displayName: "Bob",
      identity: "from",
      contact: "sip:bob@192.0.2.2:5070",
    });
    assert.equal(local.user, "alice");
    assert.deepEqual(services.log, ["← INVITE", "180 →", "200 →", "← ACK", "← BYE", "200 →"]);
    assert.deepEqual(services.leftovers(), []);
  });

  it("shows who calls as the user agent has found out", () => {
    const transaction = services.invite({ sdp: OFFER });
    const identity = { uri: "tel:+491", user: "+491", host: "", identity: "pai" as const };
    const session = new IncomingSession(services, transaction, { account: undefined, identity });
    session.begin();
    assert.equal(session.snapshot().remote.identity, "pai");
    assert.equal(session.accountId, undefined);
  });

  it("refuses an INVITE without Contact and reports nothing", () => {
    const transaction = services.invite({ sdp: OFFER, contact: null });
    const session = new IncomingSession(services, transaction, { account: ALICE });
    const witness = new Witness(session);
    assert.equal(session.begin(), false);
    assert.equal(transaction.status, 400);
    assert.deepEqual(witness.story, []);
    assert.equal(services.dialogs.size, 0);
  });

  describe("2xx", () => {
    it("is repeated until the ACK comes, and not after it", async () => {
      const { session, transaction, dialog } = arrive(services);
      void session.accept();
      await outcomeOf(Promise.resolve());
      services.clock.advance(3600);
      assert.equal(transaction.responses.length, 4);
      services.ack(transaction.request, dialog);
      services.clock.advance(60_000);
      assert.equal(transaction.responses.length, 4);
    });

    it("without ACK is followed by BYE after 64·T1 (RFC 3261 §13.3.1.4)", async () => {
      const { session, witness, transaction } = arrive(services);
      const accepted = session.accept();
      await outcomeOf(accepted);
      services.clock.advance(31_999);
      assert.equal(services.sent.length, 0);
      // At 0, .5, 1.5, 3.5, 7.5, then each T2.
      assert.equal(transaction.responses.length, 11);
      services.clock.advance(1);
      services.lastSent("BYE").respond(200);
      assert.deepEqual(await accepted, { ok: false, cause: "no-ack", statusCode: 0 });
      assert.equal(witness.plot.at(-1), "ended:no-ack");
      assert.deepEqual(services.leftovers(), []);
    });

    it("takes the same ACK twice", async () => {
      const { transaction, dialog, witness } = await answered(services);
      services.ack(transaction.request, dialog);
      assert.equal(witness.plot.filter((word) => word === "confirmed").length, 1);
    });
  });

  describe("CANCEL", () => {
    it("is answered with 487 and ends the call", async () => {
      const { session, witness, transaction } = arrive(services);
      await session.progress();
      const cancel = services.invite().request;
      transaction.user?.onCancel?.(cancel);
      assert.equal(transaction.status, 487);
      assert.equal(transaction.last.to.tag, "ours");
      assert.deepEqual(witness.story.slice(4), [
        "cancelled",
        "state:terminated",
        "failed:cancelled",
      ]);
      for (const name of ["cancelled", "state", "failed"] as const) {
        assert.equal(witness.last(name).snapshot.signaling, "closed", name);
      }
      assert.deepEqual(await session.accept(), { ok: false, cause: "no-session", statusCode: 0 });
      assert.deepEqual(await session.reject(), { ok: false, cause: "no-session", statusCode: 0 });
      assert.deepEqual(await session.progress(), { ok: false, cause: "no-session", statusCode: 0 });
      assert.deepEqual(services.leftovers(), []);
    });

    it("tells that another phone has answered (RFC 3326)", () => {
      const { witness, transaction } = arrive(services);
      const cancel = services.invite({
        headers: [["Reason", 'Q.850;cause=26, SIP;cause=200;text="Call completed elsewhere"']],
      });
      transaction.user?.onCancel?.(cancel.request);
      assert.equal(witness.plot.at(-1), "failed:answered-elsewhere");
    });

    it("while the answer is being made sends no 200 and closes the media", async () => {
      services.media.deferred = true;
      const { session, transaction } = arrive(services);
      const accepted = session.accept();
      await outcomeOf(accepted);
      transaction.user?.onCancel?.(services.invite().request);
      services.media.settle();
      assert.deepEqual(await accepted, { ok: false, cause: "cancelled", statusCode: 0 });
      assert.deepEqual(
        transaction.responses.map(({ statusCode }) => statusCode),
        [487],
      );
      assert.deepEqual(services.leftovers(), []);
    });

    it("after the 200 changes nothing", async () => {
      const { session, transaction } = await answered(services);
      transaction.user?.onCancel?.(services.invite().request);
      assert.equal(session.state, "established");
      assert.equal(transaction.status, 200);
    });
  });

  describe("end", () => {
    it("of an unanswered call is a rejection", async () => {
      const { session, witness, transaction } = arrive(services);
      await Promise.all([session.end({ statusCode: 503, reason: "Closed" }), session.end()]);
      assert.equal(transaction.status, 503);
      assert.equal(transaction.last.reason, "Closed");
      assert.deepEqual(witness.plot, ["incoming", "rejected:503", "failed:unavailable"]);
      assert.equal(witness.last("rejected").snapshot.signaling, "closed");
      assert.deepEqual(services.leftovers(), []);
    });

    it("of an answered call is a BYE with Reason", async () => {
      const { session, witness } = await answered(services);
      const ended = session.end({ statusCode: 480, reason: "lunch" });
      const again = session.end();
      const bye = services.lastSent("BYE");
      assert.equal(bye.sent.headers.get("reason"), 'SIP;cause=480;text="lunch"');
      assert.equal(bye.sent.uri, "sip:bob@192.0.2.2:5070");
      assert.equal(session.state, "terminating");
      assert.equal(services.media.last.closes, 1);
      assert.equal(await outcomeOf(again), "pending");
      bye.respond(200);
      await Promise.all([ended, again]);
      assert.deepEqual(witness.story.slice(-4), [
        "state:terminating",
        "bye",
        "state:terminated",
        "ended:local-bye",
      ]);
      assert.equal(services.sent.length, 1);
      assert.deepEqual(services.leftovers(), []);
    });

    it("before the ACK waits for it (RFC 3261 §15)", async () => {
      const { session, witness, transaction, dialog } = arrive(services);
      void session.accept();
      await outcomeOf(Promise.resolve());
      const ended = session.end();
      assert.equal(await outcomeOf(ended), "pending");
      assert.equal(services.sent.length, 0);
      assert.equal(session.state, "established");
      services.ack(transaction.request, dialog);
      services.lastSent("BYE").respond(200);
      await ended;
      assert.deepEqual(witness.plot, [
        "incoming",
        "answered:200",
        "confirmed",
        "bye",
        "ended:local-bye",
      ]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("before an ACK that never comes sends BYE after 64·T1", async () => {
      const { session, witness } = arrive(services);
      void session.accept();
      await outcomeOf(Promise.resolve());
      void session.end();
      services.clock.advance(32_000);
      services.lastSent("BYE").respond(200);
      assert.equal(witness.plot.at(-1), "ended:local-bye");
      assert.deepEqual(services.leftovers(), []);
    });

    it("crosses with the peer's BYE", async () => {
      const { session, witness, dialog } = await answered(services);
      const ended = session.end();
      const bye = services.request(dialog, "BYE");
      assert.equal(bye.status, 200);
      await ended;
      services.lastSent("BYE").respond(481);
      assert.deepEqual(witness.plot.slice(-2), ["bye", "ended:local-bye"]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("by the peer before the ACK stops the 200", async () => {
      const { session, witness, dialog, transaction } = arrive(services);
      const accepted = session.accept();
      await outcomeOf(accepted);
      services.request(dialog, "BYE");
      services.clock.advance(60_000);
      assert.equal(transaction.responses.length, 1);
      assert.deepEqual(await accepted, { ok: false, cause: "remote-bye", statusCode: 0 });
      assert.equal(witness.plot.at(-1), "ended:remote-bye");
      assert.deepEqual(services.leftovers(), []);
    });

    it("by the peer in the early dialog answers the INVITE with 487 (RFC 3261 §15.1.2)", async () => {
      const { session, witness, dialog, transaction } = arrive(services);
      await session.progress();
      const bye = services.request(dialog, "BYE");
      assert.equal(bye.status, 200);
      assert.equal(transaction.status, 487);
      assert.equal(witness.plot.at(-1), "failed:remote-bye");
      assert.deepEqual(services.leftovers(), []);
    });

    it("by the user agent rejects, or sends the BYE without waiting for the ACK", async () => {
      const ringing = arrive(services);
      ringing.session.forceClose("shutdown");
      assert.equal(ringing.transaction.status, 480);
      const unconfirmed = arrive(services);
      void unconfirmed.session.accept();
      await outcomeOf(Promise.resolve());
      unconfirmed.session.forceClose("shutdown");
      assert.equal(services.lastSent("BYE").method, "BYE");
      assert.equal(unconfirmed.session.state, "terminated");
      assert.deepEqual(services.leftovers(), []);
    });
  });

  describe("reject", () => {
    it("sends the status, reason and contacts of the application", async () => {
      const { session, witness, transaction } = arrive(services);
      const outcome = await session.reject({
        statusCode: 302,
        reason: "Moved",
        contacts: [
          "sip:carol@example.com",
          { uri: "sip:dave@example.com", q: 0.25, displayName: "D" },
        ],
      });
      assert.equal(outcome.ok, true);
      assert.deepEqual(transaction.last.headers.getAll("contact"), [
        "<sip:carol@example.com>",
        '"D" <sip:dave@example.com>;q=0.25',
      ]);
      assert.deepEqual(witness.plot, ["incoming", "rejected:302", "failed:redirected"]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("is 486 by default and comes once", async () => {
      const { session, transaction } = arrive(services);
      await session.reject();
      assert.equal(transaction.status, 486);
      assert.deepEqual(await session.reject(), { ok: false, cause: "no-session", statusCode: 0 });
    });

    it("after the answer finds no request", async () => {
      const { session } = await answered(services);
      assert.deepEqual(await session.reject(), { ok: false, cause: "no-request", statusCode: 0 });
      assert.deepEqual(await session.accept(), { ok: false, cause: "no-request", statusCode: 0 });
    });

    it("refuses what is no rejection", async () => {
      const { session } = arrive(services);
      await assert.rejects(session.reject({ statusCode: 200 }), InvalidArgumentError);
      await assert.rejects(session.reject({ reason: "a\r\nb" }), InvalidArgumentError);
      await assert.rejects(
        session.reject({ statusCode: 302, contacts: ["\u0000"] }),
        InvalidArgumentError,
      );
      assert.equal(session.state, "incoming");
      await session.reject();
    });
  });

  describe("progress", () => {
    it("is repeated each minute (RFC 3261 §13.3.1.1)", async () => {
      const { session, transaction, witness } = arrive(services);
      await session.progress({ statusCode: 182, reason: "Queued" });
      services.clock.advance(150_000);
      assert.equal(transaction.responses.length, 3);
      assert.equal(witness.plot.length, 2);
      await session.reject();
      assert.deepEqual(services.leftovers(), []);
    });

    it("with early media carries the answer, and the 200 the same", async () => {
      const { session, transaction, witness } = arrive(services);
      await session.progress({ statusCode: 183, earlyMedia: true });
      assert.equal(transaction.last.text, `v=0 answer to ${OFFER}`);
      assert.equal(services.media.last.starts, 1);
      assert.equal(session.signaling, "have-remote-offer");
      void session.accept();
      await outcomeOf(Promise.resolve());
      assert.equal(transaction.last.text, `v=0 answer to ${OFFER}`);
      assert.deepEqual(services.media.last.log, [`answer(${OFFER})`]);
      assert.deepEqual(witness.plot, ["incoming", "progress:183", "answered:200"]);
    });

    it("without an offer rings without SDP", async () => {
      const { session, transaction } = arrive(services, {});
      await session.progress({ statusCode: 183, earlyMedia: true });
      assert.equal(transaction.last.body.length, 0);
    });

    it("with early media that fits nothing refuses the call", async () => {
      const { session, transaction } = arrive(services, { sdp: "v=0 bad" });
      const outcome = await session.progress({ earlyMedia: true });
      assert.equal(outcome.ok, false);
      assert.equal(transaction.status, 488);
      assert.deepEqual(services.leftovers(), []);
    });

    it("refuses what is no provisional response, and answered calls", async () => {
      const { session } = await answered(services);
      await assert.rejects(session.progress(), InvalidStateError);
      const other = arrive(services);
      await assert.rejects(other.session.progress({ statusCode: 100 }), InvalidArgumentError);
      await assert.rejects(other.session.progress({ statusCode: 200 }), InvalidArgumentError);
    });
  });

  describe("offer and answer", () => {
    it("that fit nothing give 488 with Warning", async () => {
      const { session, witness, transaction } = arrive(services, { sdp: "v=0 bad" });
      const outcome = await session.accept();
      assert.equal(outcome.ok, false);
      assert.deepEqual(
        [outcome.statusCode, "cause" in outcome && outcome.cause],
        [488, "incompatible-media"],
      );
      assert.match(transaction.last.headers.get("warning") ?? "", /^305 /);
      assert.deepEqual(witness.plot, ["incoming", "rejected:488", "failed:incompatible-media"]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("go the other way when the INVITE has no SDP", async () => {
      const { witness, transaction, session } = await answered(services, {}, "v=0 their answer");
      assert.equal(transaction.last.text, "v=0 offer 1 sendrecv");
      assert.deepEqual(services.media.last.log, ["offer", "final(v=0 their answer)"]);
      assert.deepEqual(witness.story.slice(2), [
        "state:established",
        "answered:200",
        "confirmed",
        "media",
      ]);
      assert.equal(witness.last("confirmed").remoteSdp, "v=0 their answer");
      assert.equal(session.signaling, "stable");
    });

    for (const answer of [undefined, "v=0 bad", "v=0 broken"]) {
      it(`end with BYE when the ACK brings ${answer ?? "no answer"}`, async () => {
        const { outcome, witness } = await answered(services, {}, answer);
        assert.deepEqual(outcome, { ok: false, cause: "bad-media", statusCode: 0 });
        services.lastSent("BYE").respond(200);
        assert.deepEqual(witness.plot.slice(-3), ["confirmed", "bye", "ended:bad-media"]);
        assert.deepEqual(services.leftovers(), []);
      });
    }

    it("come from the application when it gives SDP", async () => {
      services.mediaHandler = undefined;
      const { session, transaction, dialog } = arrive(services);
      await assert.rejects(session.accept(), (error) => {
        return error instanceof InvalidArgumentError && error.rule === "no-sdp";
      });
      assert.equal(session.state, "incoming");
      const accepted = session.accept({ sdp: "v=0 mine" });
      await outcomeOf(accepted);
      assert.equal(transaction.last.text, "v=0 mine");
      services.ack(transaction.request, dialog);
      assert.equal((await accepted).ok, true);
      assert.equal(session.signaling, "stable");
      await assert.rejects(
        arrive(services).session.progress({ earlyMedia: true }),
        InvalidArgumentError,
      );
    });

    it("are found in a multipart body", () => {
      const body = `--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: application/sdp\r\n\r\n${OFFER}\r\n--b--\r\n`;
      const { witness } = arrive(services, { contentType: "multipart/mixed;boundary=b", body });
      assert.equal(witness.last("incoming").remoteSdp, OFFER);
    });
  });

  it("accepts once: the second finds no request", async () => {
    const { session, transaction, dialog } = arrive(services);
    const first = session.accept();
    const second = session.accept();
    assert.deepEqual(await second, { ok: false, cause: "no-request", statusCode: 0 });
    services.ack(transaction.request, dialog);
    assert.equal((await first).ok, true);
  });

  it("gives up a call whose answer cannot be written", async () => {
    const { session, transaction } = arrive(services);
    await assert.rejects(session.accept({ headers: [["X", "a\r\nb"]] }), InvalidArgumentError);
    assert.equal(transaction.status, 500);
    assert.deepEqual(services.leftovers(), []);
  });
});
