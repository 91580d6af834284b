/**
 * Changes of a call that we ask for (RFC 3261 §14.1, RFC 3311, RFC 3264 §8). Requirements:
 *  1. Hold, resume, renegotiate and refresh by re-INVITE, ACK again for a repeated 2xx, target refresh, delayed offer.
 *  2. A refusal, whatever it is, leaves the call and its media as they were; what has lost the dialog ends it.
 *  3. 491: both back-offs, bounded; 500 with Retry-After is obeyed once; one change after the other, and none while an
 *     exchange of the peer is open.
 *  4. Whatever crosses the end of the call is answered as it must be, and leaves nothing behind.
 */
import assert from "node:assert/strict";
import {
  InvalidArgumentError,
  InvalidStateError,
  TransactionTimeoutError,
  TransportError,
} from "../../../lib/foundation/index.js";
import { IncomingSession, OutgoingSession } from "../../../lib/session/index.js";
import type { ActionOutcome, ReInviteAction } from "../../../lib/session/index.js";
import { establishedCall, hungUp, type Call } from "../../support/established-call.js";
import { ALICE, FakeServices, outcomeOf } from "../../support/fake-services.js";

const ALLOW_UPDATE = "INVITE, ACK, BYE, INFO, UPDATE";

/** Asks for a change that the peer grants. */
async function changed(call: Call, action: ReInviteAction, answer: string): Promise<ActionOutcome> {
  const outcome = call.session.reinvite({ action });
  call.services.lastSent("INVITE").respond(200, { sdp: answer });
  return outcome;
}

describe("re-INVITE of ours", () => {
  it("holds and resumes", async () => {
    const call = await establishedCall();
    const { services, session, witness } = call;
    const outcome = await changed(call, "hold", "v=0 recvonly");
    assert.deepEqual([outcome.ok, outcome.statusCode], [true, 200]);
    assert.deepEqual(services.log, ["INVITE →", "← 200", "ACK →"]);
    const invite = services.lastSent("INVITE").sent;
    assert.equal(invite.text, "v=0 offer 1 sendonly");
    assert.equal(invite.headers.get("contact"), "<sip:alice@192.0.2.1:5060>");
    assert.equal(services.acks.at(-1)?.cseq.sequence, invite.cseq.sequence);
    assert.equal(session.snapshot().hold, "local");
    assert.equal((await changed(call, "resume", "v=0 sendrecv")).ok, true);
    assert.equal(services.lastSent("INVITE").sent.text, "v=0 offer 2 sendrecv");
    assert.equal(session.snapshot().hold, "none");
    assert.deepEqual(witness.plot, ["updated", "updated"]);
    assert.equal(witness.last("updated").localSdp, "v=0 offer 2 sendrecv");
    await hungUp(call);
  });

  it("tells when the peer holds in its answer", async () => {
    const call = await establishedCall();
    await changed(call, "renegotiate", "v=0 sendonly");
    assert.deepEqual(call.witness.plot, ["hold", "updated"]);
    assert.equal(call.session.snapshot().hold, "remote");
    await hungUp(call);
  });

  it("acknowledges a repeated 2xx again", async () => {
    const call = await establishedCall();
    await changed(call, "hold", "v=0 recvonly");
    call.services.lastSent("INVITE").respond(200, { sdp: "v=0 recvonly" });
    assert.equal(call.services.log.at(-1), "ACK →");
    assert.equal(call.services.acks.length, 2);
    assert.equal(call.services.acks[0], call.services.acks[1]);
    await hungUp(call);
  });

  it("follows the peer to the Contact of its 2xx, with the ACK already", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "renegotiate" });
    call.services
      .lastSent("INVITE")
      .respond(200, { sdp: "v=0", contact: "<sip:bob@192.0.2.88:5099>" });
    await outcome;
    assert.equal(call.services.acks.at(-1)?.uri, "sip:bob@192.0.2.88:5099");
    assert.equal(call.session.snapshot().remote.contact, "sip:bob@192.0.2.88:5099");
    await hungUp(call);
  });

  it("without SDP answers the peer's offer in the ACK", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold", delayedOffer: true });
    assert.equal(call.services.lastSent("INVITE").sent.text, "");
    assert.equal(call.session.signaling, "stable");
    call.services.lastSent("INVITE").respond(200, { sdp: "v=0 their offer" });
    assert.equal((await outcome).ok, true);
    assert.equal(call.services.acks.at(-1)?.text, "v=0 answer to v=0 their offer");
    assert.equal(call.session.snapshot().hold, "local");
    assert.deepEqual(call.witness.plot, ["updated"]);
    await hungUp(call);
  });

  for (const [what, delayedOffer, sdp] of [
    ["an answer that does not fit", false, "v=0 bad"],
    ["no answer", false, undefined],
    ["an offer that fits nothing", true, "v=0 bad"],
    ["no offer", true, undefined],
  ] as const) {
    it(`ends the call with ACK and BYE when the 2xx brings ${what}`, async () => {
      const { services, session, witness } = await establishedCall();
      const outcome = session.reinvite({ action: "renegotiate", delayedOffer });
      services.lastSent("INVITE").respond(200, sdp === undefined ? {} : { sdp });
      const result = await outcome;
      assert.equal(result.ok || result.cause, "bad-media");
      assert.deepEqual(services.log.slice(-2), ["ACK →", "BYE →"]);
      services.lastSent("BYE").respond(200);
      assert.equal(witness.plot.at(-1), "ended:bad-media");
      assert.deepEqual(services.leftovers(), []);
    });
  }

  it("carries the application's SDP and headers", async () => {
    const call = await establishedCall((services) => (services.mediaHandler = undefined));
    const outcome = call.session.reinvite({
      action: "hold",
      sdp: "v=0 the flow's",
      headers: [["X-A", "1"]],
    });
    const invite = call.services.lastSent("INVITE");
    assert.equal(invite.sent.text, "v=0 the flow's");
    assert.equal(invite.sent.headers.get("x-a"), "1");
    invite.respond(200, { sdp: "v=0 theirs" });
    assert.equal((await outcome).ok, true);
    assert.equal(call.witness.last("updated").remoteSdp, "v=0 theirs");
    await hungUp(call);
  });

  it("needs an SDP where there is no media handler, except to repeat the last one", async () => {
    const call = await establishedCall((services) => (services.mediaHandler = undefined));
    const { services, session } = call;
    await assert.rejects(session.reinvite({ action: "hold" }), InvalidArgumentError);
    const outcome = session.reinvite({ action: "refresh" });
    assert.equal(services.lastSent("INVITE").sent.text, "v=0 mine");
    services.lastSent("INVITE").respond(200, { sdp: "v=0 theirs" });
    assert.equal((await outcome).ok, true);
    await hungUp(call);
  });

  it("is refused before the call is up and after it with words that help", async () => {
    const services = new FakeServices();
    const session = new IncomingSession(services, services.invite({ sdp: "v=0" }), {
      account: ALICE,
    });
    session.begin();
    await assert.rejects(session.reinvite({ action: "hold" }), (error) => {
      assert.ok(error instanceof InvalidStateError);
      assert.match(error.message, /"incoming".*established.*answered/);
      return true;
    });
    await session.reject();
    const late = await session.reinvite({ action: "hold" });
    assert.equal(late.ok || late.cause, "no-session");
  });

  it("refuses an action that does not exist", async () => {
    const call = await establishedCall();
    const action = "explode" as ReInviteAction;
    await assert.rejects(call.session.reinvite({ action }), InvalidArgumentError);
    await hungUp(call);
  });
});

describe("a refused re-INVITE of ours", () => {
  for (const statusCode of [302, 403, 486, 488, 500, 503, 603, 606]) {
    it(`leaves the call as it was after ${statusCode}`, async () => {
      const call = await establishedCall();
      const before = call.session.snapshot();
      const outcome = call.session.reinvite({ action: "hold" });
      call.services.lastSent("INVITE").respond(statusCode);
      const result = await outcome;
      assert.deepEqual([result.ok, result.statusCode], [false, statusCode]);
      assert.deepEqual(
        [call.session.state, call.session.signaling, call.session.snapshot().hold],
        ["established", "stable", "none"],
      );
      assert.deepEqual(call.session.snapshot().media, before.media);
      assert.deepEqual(call.witness.plot, []);
      assert.equal((await changed(call, "hold", "v=0 recvonly")).ok, true);
      await hungUp(call);
    });
  }

  it("leaves the flow's earlier SDP in force", async () => {
    const call = await establishedCall((services) => (services.mediaHandler = undefined));
    const outcome = call.session.reinvite({ action: "hold", sdp: "v=0 hold" });
    call.services.lastSent("INVITE").respond(488);
    assert.equal((await outcome).ok, false);
    void call.session.reinvite({ action: "refresh" });
    assert.equal(call.services.lastSent("INVITE").sent.text, "v=0 mine");
    await hungUp(call);
  });

  it("ends the call when the peer has lost the dialog (481)", async () => {
    const { services, session, witness } = await establishedCall();
    const outcome = session.reinvite({ action: "hold" });
    services.lastSent("INVITE").respond(481);
    assert.equal((await outcome).statusCode, 481);
    assert.equal(witness.plot.at(-1), "ended:dialog-error:481".replace(":481", ""));
    assert.deepEqual(services.leftovers(), []);
  });

  for (const lost of ["408", "silence"]) {
    it(`ends the call with BYE after ${lost}`, async () => {
      const { services, session, witness } = await establishedCall();
      const outcome = session.reinvite({ action: "hold" });
      if (lost === "408") services.lastSent("INVITE").respond(408);
      else services.lastSent("INVITE").fail(new TransactionTimeoutError("silence"));
      assert.equal((await outcome).ok, false);
      services.lastSent("BYE").respond(200);
      assert.equal(witness.plot.at(-1), "ended:timeout");
      assert.deepEqual(services.leftovers(), []);
    });
  }

  it("is no reason to hang up when the network is away for a moment", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    call.services.lastSent("INVITE").fail(new TransportError("gone", "192.0.2.2"));
    const result = await outcome;
    assert.equal(result.ok || result.cause, "transport-error");
    assert.equal(call.session.signaling, "stable");
    await hungUp(call);
  });

  it("is the flow's mistake when its header cannot be written", async () => {
    const call = await establishedCall();
    const headers = [["X", "a\nb"]] as const;
    await assert.rejects(call.session.reinvite({ action: "hold", headers }));
    assert.equal(call.session.signaling, "stable");
    assert.equal((await changed(call, "hold", "v=0 recvonly")).ok, true);
    await hungUp(call);
  });

  it("is given up after three minutes of 100 Trying", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    const invite = call.services.lastSent("INVITE");
    invite.respond(100);
    call.services.clock.advance(180_000);
    assert.ok(invite.cancelled);
    invite.respond(487);
    assert.equal((await outcome).statusCode, 487);
    await hungUp(call);
  });
});

describe("glare", () => {
  const sentInvites = ({ services }: Call): number =>
    services.sent.filter(({ request }) => request?.method === "INVITE").length;

  it("makes the called side wait 0 to 2 s (RFC 3261 §14.1)", async () => {
    const waits = new Set<number>();
    const call = await establishedCall();
    for (let round = 0; round < 8; round++) {
      const outcome = call.session.reinvite({ action: "hold" });
      call.services.lastSent("INVITE").respond(491);
      const before = sentInvites(call);
      let waited = 0;
      while (sentInvites(call) === before && waited <= 2_010) {
        call.services.clock.advance(10);
        waited += 10;
      }
      assert.ok(waited <= 2_010, `waited ${waited} ms`);
      waits.add(waited);
      call.services.lastSent("INVITE").respond(200, { sdp: "v=0 recvonly" });
      assert.equal((await outcome).ok, true);
    }
    assert.ok(waits.size > 3);
    await hungUp(call);
  });

  it("makes the caller wait 2.1 to 4 s", async () => {
    const services = new FakeServices();
    const session = new OutgoingSession(services, {
      targets: [
        {
          address: services.parseTarget("sip:bob@example.com"),
          account: ALICE,
          timeoutMs: 0,
          headers: [],
        },
      ],
      account: ALICE,
      strategy: "parallel",
      headers: [],
      redirects: 0,
      earlyMedia: true,
      delayedOffer: false,
      anonymous: false,
    } as unknown as ConstructorParameters<typeof OutgoingSession>[1]);
    session.begin();
    services.clock.advance(1);
    services.lastSent("INVITE").respond(200, { sdp: "v=0 first" });
    const outcome = session.reinvite({ action: "hold" });
    const first = services.lastSent("INVITE");
    first.respond(491);
    services.clock.advance(2_090);
    assert.equal(services.lastSent("INVITE"), first);
    services.clock.advance(1_930);
    const second = services.lastSent("INVITE");
    assert.notEqual(second, first);
    assert.ok(second.sent.cseq.sequence > first.sent.cseq.sequence);
    second.respond(200, { sdp: "v=0 recvonly" });
    assert.equal((await outcome).ok, true);
    session.forceClose("shutdown");
  });

  it("is given up after the fifth 491", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    for (let round = 0; round < 5; round++) {
      call.services.lastSent("INVITE").respond(491);
      call.services.clock.advance(2_100);
    }
    assert.equal((await outcome).statusCode, 491);
    assert.equal(sentInvites(call), 5);
    await hungUp(call);
  });

  it("gives the peer 491 while ours is open, and lets its own through while we wait", async () => {
    const call = await establishedCall();
    const { services, session, dialog } = call;
    const outcome = session.reinvite({ action: "hold" });
    assert.equal(services.request(dialog, "INVITE", { sdp: "v=0" }).status, 491);
    services.lastSent("INVITE").respond(491);
    const theirs = services.request(dialog, "INVITE", { sdp: "v=0 sendonly" });
    assert.equal(theirs.status, 200);
    const before = sentInvites(call);
    services.clock.advance(2_100);
    assert.equal(sentInvites(call), before, "their ACK is missing");
    services.ack(theirs.request, dialog);
    services.clock.advance(1);
    assert.equal(sentInvites(call), before + 1);
    services.lastSent("INVITE").respond(200, { sdp: "v=0 inactive" });
    assert.equal((await outcome).ok, true);
    assert.equal(session.snapshot().hold, "both");
    await hungUp(call);
  });

  it("gives 491 also while an INVITE of ours without SDP is open", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "renegotiate", delayedOffer: true });
    assert.equal(call.services.request(call.dialog, "INVITE", { sdp: "v=0" }).status, 491);
    call.services.lastSent("INVITE").respond(200, { sdp: "v=0 theirs" });
    assert.equal((await outcome).ok, true);
    await hungUp(call);
  });
});

describe("500 with Retry-After", () => {
  it("is obeyed once", async () => {
    const call = await establishedCall();
    const { services } = call;
    const outcome = call.session.reinvite({ action: "hold" });
    const busy = { headers: [["Retry-After", "3"]] } as const;
    const first = services.lastSent("INVITE");
    first.respond(500, busy);
    services.clock.advance(2_999);
    assert.equal(services.lastSent("INVITE"), first);
    services.clock.advance(2);
    assert.notEqual(services.lastSent("INVITE"), first);
    services.lastSent("INVITE").respond(500, busy);
    assert.equal((await outcome).statusCode, 500);
    await hungUp(call);
  });

  it("is a refusal when it asks for minutes", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    call.services.lastSent("INVITE").respond(500, { headers: [["Retry-After", "600"]] });
    const result = await outcome;
    assert.equal(result.ok || result.retryAfter, 600);
    await hungUp(call);
  });
});

describe("refresh", () => {
  it("is an UPDATE without body where the peer allows it", async () => {
    const call = await establishedCall(undefined, ALLOW_UPDATE);
    const outcome = call.session.reinvite({ action: "refresh" });
    const update = call.services.lastSent("UPDATE");
    assert.equal(update.sent.text, "");
    assert.equal(update.sent.headers.get("contact"), "<sip:alice@192.0.2.1:5060>");
    update.respond(200, { contact: "<sip:bob@192.0.2.88>" });
    assert.equal((await outcome).ok, true);
    assert.equal(call.dialog.remoteTarget.toString(), "sip:bob@192.0.2.88");
    assert.deepEqual(call.services.acks, []);
    await hungUp(call);
  });

  it("falls back to re-INVITE for good when UPDATE is unknown after all", async () => {
    for (const statusCode of [405, 501]) {
      const call = await establishedCall(undefined, ALLOW_UPDATE);
      const outcome = call.session.reinvite({ action: "refresh" });
      call.services.lastSent("UPDATE").respond(statusCode);
      call.services.clock.advance(1);
      call.services.lastSent("INVITE").respond(200, { sdp: "v=0 same" });
      assert.equal((await outcome).ok, true);
      const again = call.session.reinvite({ action: "refresh" });
      call.services.lastSent("INVITE").respond(200, { sdp: "v=0 same" });
      assert.equal((await again).ok, true);
      await hungUp(call);
    }
  });

  it("repeats our last description in a re-INVITE, and forgives a missing answer", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "refresh" });
    assert.equal(call.services.lastSent("INVITE").sent.text, "v=0 answer to v=0 first");
    call.services.lastSent("INVITE").respond(200);
    assert.equal((await outcome).ok, true);
    assert.equal(call.session.signaling, "stable");
    await hungUp(call);
  });

  it("lets the peer's re-INVITE through meanwhile when it is an UPDATE", async () => {
    const call = await establishedCall(undefined, ALLOW_UPDATE);
    const outcome = call.session.reinvite({ action: "refresh" });
    const theirs = call.services.request(call.dialog, "INVITE", { sdp: "v=0 sendonly" });
    assert.equal(theirs.status, 200);
    call.services.ack(theirs.request, call.dialog);
    call.services.lastSent("UPDATE").respond(200);
    assert.equal((await outcome).ok, true);
    await hungUp(call);
  });
});

describe("several changes", () => {
  it("follow each other", async () => {
    const call = await establishedCall();
    const { services } = call;
    const hold = call.session.reinvite({ action: "hold" });
    const resume = call.session.reinvite({ action: "resume" });
    assert.equal(services.sent.length, 1);
    services.lastSent("INVITE").respond(200, { sdp: "v=0 recvonly" });
    assert.equal((await hold).ok, true);
    services.clock.advance(1);
    assert.equal(services.sent.length, 2);
    services.lastSent("INVITE").respond(200, { sdp: "v=0 sendrecv" });
    assert.equal((await resume).ok, true);
    await hungUp(call);
  });

  it("are limited", async () => {
    const call = await establishedCall();
    const outcomes = Array.from({ length: 17 }, () => call.session.reinvite({ action: "hold" }));
    const last = await outcomes[16];
    assert.equal(last?.ok || last?.cause, "limit");
    await hungUp(call);
    for (const outcome of await Promise.all(outcomes.slice(0, 16))) {
      assert.equal(outcome.ok || outcome.cause, "no-session");
    }
  });

  it("wait for the ACK of our first 2xx", async () => {
    const services = new FakeServices();
    const transaction = services.invite({ sdp: "v=0" });
    const session = new IncomingSession(services, transaction, { account: ALICE });
    session.begin();
    const accepted = session.accept();
    await outcomeOf(accepted);
    const outcome = session.reinvite({ action: "hold" });
    assert.equal(services.sent.length, 0);
    services.ack(transaction.request, services.dialogOf(session));
    assert.equal(services.sent.length, 1);
    services.lastSent("INVITE").respond(200, { sdp: "v=0 recvonly" });
    assert.equal((await outcome).ok, true);
    session.forceClose("shutdown");
    assert.deepEqual(services.leftovers(), []);
  });
});

describe("a re-INVITE of ours that crosses the end of the call", () => {
  it("is no-session, and its late 2xx gets an ACK", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    const invite = call.services.lastSent("INVITE");
    await hungUp(call);
    const result = await outcome;
    assert.equal(result.ok || result.cause, "no-session");
    assert.ok(invite.expired, "it may be open for ever");
    invite.respond(200, { sdp: "v=0 recvonly" });
    assert.equal(call.services.log.at(-1), "ACK →");
    assert.deepEqual(call.services.leftovers(), []);
  });

  it("is forgotten when it gets 487 after the BYE", async () => {
    const call = await establishedCall();
    void call.session.reinvite({ action: "hold" });
    const invite = call.services.lastSent("INVITE");
    const ended = call.session.end();
    invite.respond(487);
    call.services.lastSent("BYE").respond(200);
    await ended;
    assert.deepEqual(call.services.leftovers(), []);
  });

  it("is acknowledged when its 2xx comes between our BYE and its answer", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    const ended = call.session.end();
    call.services.lastSent("INVITE").respond(200, { sdp: "v=0 recvonly" });
    assert.equal(call.services.log.at(-1), "ACK →");
    call.services.lastSent("BYE").respond(200);
    await ended;
    await outcome;
    assert.deepEqual(call.services.leftovers(), []);
  });

  it("is not sent again when the call ends during the back-off", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    call.services.lastSent("INVITE").respond(491);
    await hungUp(call);
    call.services.clock.advance(5_000);
    const result = await outcome;
    assert.equal(result.ok || result.cause, "no-session");
    assert.equal(call.services.sent.length, 1);
  });

  it("is over when its offer is still being made", async () => {
    const call = await establishedCall();
    call.services.media.deferred = true;
    const outcome = call.session.reinvite({ action: "hold" });
    await hungUp(call);
    call.services.media.settle();
    const result = await outcome;
    assert.equal(result.ok || result.cause, "no-session");
    assert.equal(call.services.sent.length, 0);
  });

  it("leaves nothing behind at a shutdown", async () => {
    const call = await establishedCall();
    const outcome = call.session.reinvite({ action: "hold" });
    call.session.forceClose("shutdown");
    const result = await outcome;
    assert.equal(result.ok || result.cause, "no-session");
    assert.deepEqual(call.services.leftovers(), []);
  });
});
