/**
 * Reliable provisional responses to a re-INVITE, and CANCEL of one. Requirements:
 *  1. Each is acknowledged by PRACK in the dialog, in order, repeated ones are dropped; with rel100 `none` they are not.
 *  2. The answer may come in one of them, or the offer, whose answer is in the PRACK (RFC 3262 §5).
 *  3. A re-INVITE of the peer that is cancelled gets 487, leaves the call as it was, and the next one is welcome
 *     (RFC 3261 §9.2), also while our description is being made.
 */
import assert from "node:assert/strict";
import { createRequest, type SipRequest } from "../../../lib/message/index.js";
import { establishedCall, hungUp, type Call } from "../../support/established-call.js";
import {
  outcomeOf,
  type FakeRequest,
  type FakeServerTransaction,
} from "../../support/fake-services.js";

function reliable(number: number): { headers: [string, string][] } {
  return {
    headers: [
      ["Require", "100rel"],
      ["RSeq", String(number)],
    ],
  };
}

function pracks({ services }: Call): FakeRequest[] {
  return services.sent.filter(({ method }) => method === "PRACK");
}

describe("A reliable provisional response to our re-INVITE", () => {
  it("is acknowledged by PRACK, once and in order", async () => {
    const call = await establishedCall();
    const { services, session } = call;
    const outcome = session.reinvite({ action: "hold" });
    const invite = services.lastSent("INVITE");
    assert.match(invite.sent.headers.get("supported") ?? "", /100rel/);
    invite.respond(183, reliable(7));
    invite.respond(183, reliable(7));
    invite.respond(183, reliable(9));
    invite.respond(180, reliable(8));
    invite.respond(180);
    const sequence = invite.sent.cseq.sequence;
    assert.deepEqual(
      pracks(call).map(({ sent }) => sent.headers.get("rack")),
      [`7 ${sequence} INVITE`, `8 ${sequence} INVITE`],
    );
    assert.equal(pracks(call)[0]?.options.inDialog, true);
    for (const prack of pracks(call)) prack.respond(200);
    invite.respond(200, { sdp: "v=0 recvonly" });
    assert.equal((await outcome).ok, true);
    await hungUp(call);
  });

  it("may hold the answer, which the 2xx need not repeat", async () => {
    const call = await establishedCall();
    const { services, session, witness } = call;
    const outcome = session.reinvite({ action: "hold" });
    const invite = services.lastSent("INVITE");
    invite.respond(183, { ...reliable(1), sdp: "v=0 recvonly" });
    pracks(call)[0]?.respond(200);
    assert.equal(session.signaling, "have-local-offer");
    invite.respond(200);
    assert.equal((await outcome).ok, true);
    assert.equal(session.snapshot().hold, "local");
    assert.equal(witness.last("updated").remoteSdp, "v=0 recvonly");
    await hungUp(call);
  });

  it("that holds the answer changes nothing when the re-INVITE is refused after all", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    const invite = call.services.lastSent("INVITE");
    invite.respond(183, { ...reliable(1), sdp: "v=0 recvonly" });
    invite.respond(488);
    assert.equal((await outcome).ok, false);
    assert.deepEqual([call.session.signaling, call.session.snapshot().hold], ["stable", "none"]);
    await hungUp(call);
  });

  for (const deferred of [false, true]) {
    it(`may hold the offer, whose answer is in the PRACK${deferred ? ", also when it takes a while" : ""}`, async () => {
      const call = await establishedCall();
      const { services, session, witness } = call;
      const outcome = session.reinvite({ action: "renegotiate", delayedOffer: true });
      const invite = services.lastSent("INVITE");
      services.media.deferred = deferred;
      invite.respond(183, { ...reliable(1), sdp: "v=0 theirs" });
      if (deferred) {
        invite.respond(200);
        services.media.settle();
        await outcomeOf(outcome);
      } else {
        invite.respond(200);
      }
      assert.equal(pracks(call)[0]?.sent.text, "v=0 answer to v=0 theirs");
      assert.equal((await outcome).ok, true);
      assert.equal(services.acks.at(-1)?.text, "");
      assert.equal(witness.last("updated").localSdp, "v=0 answer to v=0 theirs");
      assert.equal(session.signaling, "stable");
      services.media.deferred = false;
      await hungUp(call);
    });
  }

  it("with an offer that fits nothing gets a refusing answer, and the call ends after the 2xx", async () => {
    const { services, session, witness } = await establishedCall();
    const outcome = session.reinvite({ action: "renegotiate", delayedOffer: true });
    const invite = services.lastSent("INVITE");
    invite.respond(183, { ...reliable(1), sdp: "v=0 bad" });
    assert.ok(services.lastSent("PRACK").sent.hasBody);
    invite.respond(200);
    const result = await outcome;
    assert.equal(result.ok || result.cause, "bad-media");
    services.lastSent("BYE").respond(200);
    assert.equal(witness.plot.at(-1), "ended:bad-media");
    assert.deepEqual(services.leftovers(), []);
  });

  it("with an offer whose re-INVITE is refused meanwhile is not answered", async () => {
    const call = await establishedCall();
    const { services, session } = call;
    const outcome = session.reinvite({ action: "renegotiate", delayedOffer: true });
    const invite = services.lastSent("INVITE");
    services.media.deferred = true;
    invite.respond(183, { ...reliable(1), sdp: "v=0 theirs" });
    invite.respond(488);
    assert.equal((await outcome).ok, false);
    services.media.settle();
    await outcomeOf(outcome);
    assert.equal(pracks(call).length, 0);
    assert.equal(session.signaling, "stable");
    services.media.deferred = false;
    await hungUp(call);
  });

  it("is taken as an unreliable one with rel100 none", async () => {
    const call = await establishedCall((services) => (services.rel100 = "none"));
    const outcome = call.session.reinvite({ action: "hold" });
    const invite = call.services.lastSent("INVITE");
    assert.doesNotMatch(invite.sent.headers.get("supported") ?? "", /100rel/);
    invite.respond(183, { ...reliable(1), sdp: "v=0 recvonly" });
    invite.respond(200, { sdp: "v=0 recvonly" });
    assert.equal((await outcome).ok, true);
    assert.equal(pracks(call).length, 0);
    await hungUp(call);
  });

  it("after the call has ended is of no interest", async () => {
    const call = await establishedCall();
    void call.session.reinvite({ action: "hold" });
    const invite = call.services.lastSent("INVITE");
    call.services.request(call.dialog, "BYE");
    invite.respond(183, reliable(1));
    assert.equal(pracks(call).length, 0);
    assert.deepEqual(call.services.leftovers(), []);
  });
});

describe("CANCEL of the peer's re-INVITE", () => {
  function cancel(invite: FakeServerTransaction): void {
    invite.user?.onCancel?.(cancelOf(invite.request));
  }

  function cancelOf(invite: SipRequest): SipRequest {
    const { uri, from, to, callId, cseq } = invite;
    return createRequest({ method: "CANCEL", uri, from, to, callId, sequence: cseq.sequence });
  }

  async function nextIsTaken(call: Call): Promise<void> {
    const next = call.services.request(call.dialog, "INVITE", { sdp: "v=0 next" });
    await outcomeOf(Promise.resolve());
    assert.equal(next.status, 200);
    call.services.ack(next.request, call.dialog);
    await hungUp(call);
  }

  it("that a flow is still to decide gets 487, and what the flow then says is too late", async () => {
    const call = await establishedCall((services) => services.held.add("reinvite"));
    const invite = call.services.request(call.dialog, "INVITE", { sdp: "v=0 sendonly" });
    assert.equal(call.session.signaling, "have-remote-offer");
    cancel(invite);
    assert.equal(invite.status, 487);
    assert.deepEqual([call.session.signaling, call.session.snapshot().hold], ["stable", "none"]);
    const outcome = await call.services.pending[0]?.accept();
    assert.equal(outcome?.ok === false && outcome.cause, "no-request");
    assert.equal(call.session.state, "established");
    call.services.held.clear();
    await nextIsTaken(call);
  });

  it("whose answer is being made gets 487; a further one has to wait for that", async () => {
    const call = await establishedCall();
    const { services, dialog, session } = call;
    for (const sdp of ["v=0 sendonly", "v=0 bad"]) {
      services.media.deferred = true;
      const invite = services.request(dialog, "INVITE", { sdp });
      cancel(invite);
      assert.equal(invite.status, 487);
      assert.equal(services.request(dialog, "INVITE", { sdp: "v=0" }).status, 500);
      services.media.settle();
      await outcomeOf(Promise.resolve());
      services.media.deferred = false;
      assert.deepEqual([session.signaling, session.snapshot().hold], ["stable", "none"]);
    }
    await nextIsTaken(call);
  });

  it("that comes after our answer changes nothing", async () => {
    const call = await establishedCall();
    const invite = call.services.request(call.dialog, "INVITE", { sdp: "v=0 sendonly" });
    cancel(invite);
    assert.equal(invite.status, 200);
    call.services.ack(invite.request, call.dialog);
    assert.equal(call.session.snapshot().hold, "remote");
    await hungUp(call);
  });

  it("lets our own change go on that has waited for it", async () => {
    const call = await establishedCall((services) => services.held.add("reinvite"));
    const invite = call.services.request(call.dialog, "INVITE", { sdp: "v=0 sendonly" });
    const outcome = call.session.reinvite({ action: "hold" });
    cancel(invite);
    await outcomeOf(outcome);
    call.services.lastSent("INVITE").respond(200, { sdp: "v=0 recvonly" });
    assert.equal((await outcome).ok, true);
    await hungUp(call);
  });
});
