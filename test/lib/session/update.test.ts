/**
 * UPDATE of the peer (RFC 3311 §5.2). Requirements:
 *  1. Without SDP: 200 with Contact, target refresh, early and established. With an offer: answered by the media.
 *  2. 488, 491, 500 with Retry-After and 422 where they belong; the call stays as it was.
 *  3. Without media handler the flow answers the event `offer`, or 488 after 5 s.
 */
import assert from "node:assert/strict";
import { IncomingSession } from "../../../lib/session/index.js";
import { establishedCall, hungUp } from "../../support/established-call.js";
import { ALICE, FakeServices, Witness, outcomeOf } from "../../support/fake-services.js";

describe("UPDATE of the peer", () => {
  it("without SDP is a sign of life and may move the peer", async () => {
    const call = await establishedCall();
    const { services, dialog, witness } = call;
    const contact = "<sip:bob@192.0.2.88:5099>";
    const update = services.request(dialog, "UPDATE", { contact });
    assert.equal(update.status, 200);
    assert.equal(update.last.headers.get("contact"), "<sip:alice@192.0.2.1:5060>");
    assert.equal(update.last.text, "");
    assert.equal(dialog.remoteTarget.toString(), "sip:bob@192.0.2.88:5099");
    assert.equal(call.session.snapshot().remote.contact, "sip:bob@192.0.2.88:5099");
    assert.deepEqual(witness.plot, []);
    await hungUp(call);
  });

  it("holds and resumes", async () => {
    const call = await establishedCall();
    const { services, dialog, witness, session } = call;
    const hold = services.request(dialog, "UPDATE", { sdp: "v=0 sendonly" });
    assert.equal(hold.status, 200);
    assert.equal(hold.last.text, "v=0 answer to v=0 sendonly");
    assert.equal(session.snapshot().hold, "remote");
    assert.equal(services.request(dialog, "UPDATE", { sdp: "v=0 sendrecv" }).status, 200);
    assert.deepEqual(witness.plot, ["hold", "updated", "resume", "updated"]);
    await hungUp(call);
  });

  it("that fits nothing gets 488 and changes nothing", async () => {
    const call = await establishedCall();
    const { services, dialog, session } = call;
    const contact = "<sip:elsewhere@192.0.2.77>";
    const update = services.request(dialog, "UPDATE", { sdp: "v=0 bad", contact });
    assert.equal(update.status, 488);
    assert.match(update.last.headers.get("warning") ?? "", /^305 /);
    assert.equal(session.signaling, "stable");
    assert.equal(dialog.remoteTarget.toString(), "sip:bob@192.0.2.2:5070");
    assert.equal(services.request(dialog, "UPDATE", { sdp: "v=0 good" }).status, 200);
    await hungUp(call);
  });

  it("gets 500 with Retry-After while an earlier one is undecided, as does a re-INVITE", async () => {
    const call = await establishedCall();
    const { services, dialog } = call;
    services.media.deferred = true;
    const first = services.request(dialog, "UPDATE", { sdp: "v=0 sendonly" });
    assert.equal(first.status, undefined);
    for (const method of ["UPDATE", "INVITE"]) {
      const second = services.request(dialog, method, { sdp: "v=0" });
      assert.equal(second.status, 500);
      assert.ok(Number(second.last.headers.get("retry-after")) <= 10);
    }
    services.media.settle();
    await outcomeOf(Promise.resolve());
    assert.equal(first.status, 200);
    await hungUp(call);
  });

  it("gets 491 while our offer is open, and only with an offer", async () => {
    const call = await establishedCall();
    const { services, dialog, session } = call;
    for (const delayedOffer of [false, true]) {
      const outcome = session.reinvite({ action: "renegotiate", delayedOffer });
      assert.equal(services.request(dialog, "UPDATE", { sdp: "v=0" }).status, 491);
      assert.equal(services.request(dialog, "UPDATE").status, 200);
      services.lastSent("INVITE").respond(200, { sdp: "v=0 theirs" });
      assert.equal((await outcome).ok, true);
    }
    await hungUp(call);
  });

  it("makes our own change wait until it is decided", async () => {
    const call = await establishedCall();
    const { services, dialog, session } = call;
    services.media.deferred = true;
    services.request(dialog, "UPDATE", { sdp: "v=0 sendonly" });
    const outcome = session.reinvite({ action: "resume" });
    assert.equal(services.sent.length, 0);
    services.media.deferred = false;
    services.media.settle();
    await outcomeOf(outcome);
    services.lastSent("INVITE").respond(200, { sdp: "v=0" });
    assert.equal((await outcome).ok, true);
    await hungUp(call);
  });

  it("is over with the call when its answer is still being made", async () => {
    const call = await establishedCall();
    call.services.media.deferred = true;
    const update = call.services.request(call.dialog, "UPDATE", { sdp: "v=0 sendonly" });
    await hungUp(call);
    call.services.media.settle();
    await outcomeOf(Promise.resolve());
    assert.equal(update.status, 487);
  });

  it("before the answer refreshes the target; its offer has to wait for ours or for theirs", async () => {
    const services = new FakeServices();
    const session = new IncomingSession(services, services.invite({ sdp: "v=0" }), {
      account: ALICE,
    });
    const witness = new Witness(session);
    session.begin();
    await session.progress();
    const dialog = services.dialogOf(session);
    assert.equal(services.request(dialog, "UPDATE").status, 200);
    const early = services.request(dialog, "UPDATE", { sdp: "v=0 other" });
    assert.equal(early.status, 500);
    assert.ok(early.last.headers.has("retry-after"));
    assert.equal(session.state, "early");
    assert.deepEqual(witness.plot, ["incoming", "progress:180"]);
    session.forceClose("shutdown");
    assert.deepEqual(services.leftovers(), []);
  });

  describe("without media handler", () => {
    const bare = () => establishedCall((services) => (services.mediaHandler = undefined));

    it("asks the flow, which answers", async () => {
      const call = await bare();
      const { services, dialog, witness, session } = call;
      services.held.add("offer");
      const update = services.request(dialog, "UPDATE", { sdp: "v=0 theirs" });
      assert.equal(update.status, undefined);
      const { pending, remoteSdp } = witness.last("offer");
      assert.equal(remoteSdp, "v=0 theirs");
      const outcome = await pending?.accept({ sdp: "v=0 mine 2" });
      assert.equal(outcome?.ok, true);
      assert.equal(update.status, 200);
      assert.equal(update.last.text, "v=0 mine 2");
      assert.deepEqual(witness.plot, ["offer", "updated"]);
      assert.equal(session.signaling, "stable");
      await hungUp(call);
    });

    it("gets 488 when the flow says no or nothing, and the call goes on", async () => {
      const call = await bare();
      const { services, dialog, witness, session } = call;
      services.held.add("offer");
      const refused = services.request(dialog, "UPDATE", { sdp: "v=0 theirs" });
      await witness.last("offer").pending?.reject();
      assert.equal(refused.status, 488);
      const unanswered = services.request(dialog, "UPDATE", { sdp: "v=0 theirs" });
      services.pending.at(-1)?.expire();
      assert.equal(unanswered.status, 488);
      assert.deepEqual([session.state, session.signaling], ["established", "stable"]);
      await hungUp(call);
    });
  });
});
