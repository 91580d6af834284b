/**
 * Offers that the application answers (contract §4.5 "Answers given by the flow"). Requirements:
 *  1. The offer of a 2xx comes with `answered` and a handle; `accept` with SDP puts the answer into the ACK.
 *  2. `reject`, or nothing for 5 s: a valid refusing answer in the ACK, then BYE.
 *  3. 2xx repeated meanwhile: no ACK before the answer, one for each copy after it.
 *  4. Hang-up of either side meanwhile: ACK with a refusing answer; the handle is spent and no timer is left.
 *  5. An acceptance without SDP is refused and the request goes on waiting.
 *  6. Every 2xx with an offer that nothing comes of has a refusing answer in its ACK.
 */
import assert from "node:assert/strict";
import { InvalidArgumentError, MediaError } from "../../../lib/foundation/index.js";
import { OutgoingSession, type OutgoingSessionOptions } from "../../../lib/session/index.js";
import { ALICE, FakeServices, Witness, outcomeOf } from "../../support/fake-services.js";

const OFFER = "v=0\r\nm=audio 4000 RTP/AVP 0\r\n";
const MINE = "v=0\r\nm=audio 5000 RTP/AVP 0\r\n";
const REFUSAL = /^v=0\r\n[^]*m=audio 0 RTP\/AVP 0\r\n$/;

function call(services: FakeServices, change: Partial<OutgoingSessionOptions> = {}) {
  const session = new OutgoingSession(services, {
    targets: [
      {
        address: services.parseTarget("sip:bob@example.com"),
        account: ALICE,
        timeoutMs: 60_000,
        headers: [],
      },
    ],
    account: ALICE,
    strategy: "parallel",
    anonymous: false,
    earlyMedia: true,
    delayedOffer: true,
    redirects: 3,
    headers: [],
    ...change,
  });
  const witness = new Witness(session);
  session.begin();
  services.clock.advance(0);
  return { session, witness, invite: services.lastSent("INVITE") };
}

describe("an offer in a 2xx that the application answers", () => {
  let services: FakeServices;

  beforeEach(() => {
    services = new FakeServices();
    services.mediaHandler = undefined;
  });

  it("is told with its handle, and the answer goes out in the ACK", async () => {
    const { session, witness, invite } = call(services);
    invite.respond(180);
    invite.respond(200, { sdp: OFFER });
    invite.respond(200, { sdp: OFFER });
    assert.equal(services.acks.length, 0);
    const answered = witness.last("answered");
    assert.equal(answered.remoteSdp, OFFER);
    assert.equal(answered.snapshot.state, "established");
    assert.equal(answered.snapshot.signaling, "have-remote-offer");
    assert.equal(answered.pending?.method, "INVITE");
    const outcome = await answered.pending.accept({ sdp: MINE });
    assert.equal(outcome.ok, true);
    assert.equal(services.acks.length, 1);
    assert.equal(services.acks[0].text, MINE);
    assert.equal(services.acks[0].cseq.sequence, invite.sent.cseq.sequence);
    assert.equal(session.signaling, "stable");
    assert.deepEqual(witness.plot, ["inviting", "progress:180", "answered:200", "confirmed"]);
    assert.equal(witness.last("confirmed").localSdp, MINE);
    assert.equal(witness.last("media").remoteSdp, OFFER);
    invite.respond(200, { sdp: OFFER });
    assert.equal(services.acks.length, 2);
    assert.equal(services.acks[1].text, MINE);
    const again = await answered.pending.accept({ sdp: MINE });
    assert.deepEqual(again, { ok: false, cause: "no-request", statusCode: 0 });
    void session.end();
    services.lastSent("BYE").respond(200);
    assert.deepEqual(services.leftovers(), []);
  });

  it("goes on waiting when the acceptance has no SDP", async () => {
    const { witness, invite } = call(services);
    invite.respond(200, { sdp: OFFER });
    const { pending } = witness.last("answered");
    await assert.rejects(
      async () => pending?.accept(),
      (error) => error instanceof InvalidArgumentError && error.rule === "no-sdp",
    );
    assert.equal(pending?.pending, true);
    assert.equal((await pending.accept({ sdp: MINE })).ok, true);
    assert.equal(services.acks[0]?.text, MINE);
  });

  it("gets a valid refusal and BYE when the application rejects it", async () => {
    const { witness, invite } = call(services);
    invite.respond(200, { sdp: OFFER });
    const outcome = await witness.last("answered").pending?.reject({ reason: "No thanks" });
    assert.equal(outcome?.ok, true);
    assert.match(services.acks[0]?.text ?? "", REFUSAL);
    const bye = services.lastSent("BYE");
    assert.equal(bye.sent.headers.get("reason"), 'SIP;cause=488;text="No thanks"');
    bye.respond(200);
    assert.equal(witness.plot.at(-1), "ended:incompatible-media");
    assert.deepEqual(services.leftovers(), []);
  });

  it("is refused likewise when nobody answers in time", () => {
    const { witness, invite } = call(services);
    invite.respond(200, { sdp: OFFER });
    services.pending[0].expire();
    assert.deepEqual(services.log.slice(-2), ["ACK →", "BYE →"]);
    assert.match(services.acks[0]?.text ?? "", REFUSAL);
    services.lastSent("BYE").respond(200);
    assert.equal(witness.plot.at(-1), "ended:incompatible-media");
    assert.deepEqual(services.leftovers(), []);
  });

  it("is refused in the ACK when we hang up meanwhile", async () => {
    const { session, witness, invite } = call(services);
    invite.respond(200, { sdp: OFFER });
    const { pending } = witness.last("answered");
    const ended = session.end();
    assert.deepEqual(services.log.slice(-2), ["ACK →", "BYE →"]);
    assert.match(services.acks[0]?.text ?? "", REFUSAL);
    const late = await pending?.accept({ sdp: MINE });
    assert.equal(late?.ok === false && late.cause, "no-session");
    services.lastSent("BYE").respond(200);
    await ended;
    assert.equal(services.acks.length, 1);
    assert.equal(witness.plot.at(-1), "ended:local-bye");
    assert.deepEqual(services.leftovers(), []);
  });

  it("is refused in the ACK when the peer hangs up meanwhile, and the handle is spent", async () => {
    const { session, witness, invite } = call(services);
    invite.respond(200, { sdp: OFFER });
    const { pending } = witness.last("answered");
    services.request(services.dialogOf(session), "BYE");
    assert.match(services.acks[0]?.text ?? "", REFUSAL);
    assert.equal(pending?.pending, false);
    assert.equal(witness.plot.at(-1), "ended:remote-bye");
    const late = await outcomeOf(pending.accept({ sdp: MINE }));
    assert.deepEqual(late, { ok: false, cause: "no-request", statusCode: 0 });
    assert.deepEqual(services.leftovers(), []);
  });

  it("is left to the application by a media handler that declines it", async () => {
    services.mediaHandler = services.media;
    const { witness, invite } = call(services);
    services.media.answerFailure = new MediaError("Not mine", { rule: "declined" });
    invite.respond(200, { sdp: OFFER });
    assert.equal((await witness.last("answered").pending?.accept({ sdp: MINE }))?.ok, true);
    assert.equal(services.acks[0]?.text, MINE);
  });

  it("gets a refusing answer when the media handler cannot use it", () => {
    services.mediaHandler = services.media;
    const { invite } = call(services);
    invite.respond(200, { sdp: `${OFFER}bad` });
    assert.match(services.acks[0]?.text ?? "", /m=audio 0 /);
    assert.equal(services.log.at(-1), "BYE →");
  });

  it("gets a refusing answer in forks that lose and after our CANCEL", () => {
    const { session, invite } = call(services);
    invite.respond(180);
    void session.end();
    invite.respond(200, { sdp: OFFER });
    assert.match(services.acks[0]?.text ?? "", REFUSAL);
    assert.equal(services.log.at(-1), "BYE →");
  });
});
