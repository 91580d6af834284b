/**
 * Reliable provisional responses that we receive (RFC 3262 §4, §5; RFC 6228). Requirements:
 *  1. Each new one is told once and acknowledged with PRACK in its own early dialog; repeats and gaps are dropped.
 *  2. Forks count for themselves.
 *  3. A description in one completes the exchange; later ones say nothing; a fork that wins brings its own.
 *  4. An INVITE without description: the offer is answered in the PRACK, by the media, the flow, or with a refusal.
 *  5. Failing PRACKs do not harm the call. CANCEL and answers in between leave nothing behind.
 *  6. 199 ends a fork and nothing else.
 */
import assert from "node:assert/strict";
import { TransactionTimeoutError } from "../../../lib/foundation/index.js";
import {
  OutgoingSession,
  type HeaderList,
  type OutgoingSessionOptions,
} from "../../../lib/session/index.js";
import type { FakeMediaSession } from "../../support/fake-media-handler.js";
import {
  ALICE,
  FakeServices,
  Witness,
  outcomeOf,
  type PeerFields,
} from "../../support/fake-services.js";

function placed(services: FakeServices, options: Partial<OutgoingSessionOptions> = {}) {
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
    delayedOffer: false,
    redirects: 3,
    headers: [],
    ...options,
  });
  const witness = new Witness(session);
  session.begin();
  services.clock.advance(0);
  return { session, witness, invite: services.lastSent("INVITE") };
}

function reliable(number: number | string, fields: PeerFields = {}): PeerFields {
  const headers: HeaderList = [
    ["Require", "100rel"],
    ["RSeq", String(number)],
  ];
  return { ...fields, headers: [...headers, ...(fields.headers ?? [])] };
}

describe("reliable provisional responses received", () => {
  let services: FakeServices;

  beforeEach(() => {
    services = new FakeServices();
  });

  const pracks = () => services.sent.filter((each) => each.request?.method === "PRACK");
  const racks = () => pracks().map((each) => each.sent.headers.get("rack"));
  const answerPracks = () => {
    for (const each of pracks()) if (!each.abandoned) each.respond(200, { toTag: "" });
  };

  it("offers, insists on, or does not mention them", () => {
    for (const [rel100, supported, required] of [
      [undefined, true, false],
      ["none", false, false],
      ["supported", true, false],
      ["required", true, true],
    ] as const) {
      const { invite, session } = placed(new FakeServices(), { rel100 });
      assert.equal(invite.sent.tokens("supported").includes("100rel"), supported);
      assert.equal(invite.sent.tokens("require").includes("100rel"), required);
      void session.end();
    }
  });

  it("acknowledges each once and in order, and drops repeats and gaps", () => {
    const { witness, invite } = placed(services);
    invite.respond(183, reliable(10));
    invite.respond(183, reliable(10));
    invite.respond(180, reliable(12));
    invite.respond(180, reliable(11));
    invite.respond(180, reliable(12));
    invite.respond(180, reliable(11));
    const { sequence } = invite.sent.cseq;
    assert.deepEqual(racks(), [
      `10 ${sequence} INVITE`,
      `11 ${sequence} INVITE`,
      `12 ${sequence} INVITE`,
    ]);
    assert.deepEqual(
      pracks().map(({ sent }) => sent.cseq.sequence),
      [sequence + 1, sequence + 2, sequence + 3],
    );
    assert.deepEqual(witness.plot, ["inviting", "progress:183", "progress:180", "progress:180"]);
    assert.equal(pracks()[0]?.sent.to.tag, "peer");
    assert.equal(pracks()[0]?.sent.uri, "sip:bob@192.0.2.2:5070");
  });

  it("follows the route set of the early dialog", () => {
    const { invite } = placed(services);
    const headers: HeaderList = [["Record-Route", "<sip:p2;lr>, <sip:p1;lr>"]];
    invite.respond(180, reliable(1, { headers }));
    assert.deepEqual(
      pracks()[0]?.sent.routes.map((route) => route.toString()),
      ["<sip:p1;lr>", "<sip:p2;lr>"],
    );
  });

  it("takes what is not wholly reliable as unreliable", () => {
    const { witness, invite } = placed(services);
    for (const number of ["", "0", "x", "4294967296", "99999999999999999999"]) {
      invite.respond(180, reliable(number));
    }
    invite.respond(180, { headers: [["RSeq", "5"]] });
    invite.respond(180, reliable(5, { toTag: "" }));
    assert.deepEqual(racks(), []);
    assert.equal(witness.plot.length, 8);
  });

  it("ignores that they are reliable when the call says none", () => {
    const { invite, witness } = placed(services, { rel100: "none" });
    invite.respond(180, reliable(5));
    invite.respond(180, reliable(5));
    assert.deepEqual(racks(), []);
    assert.deepEqual(witness.plot, ["inviting", "progress:180", "progress:180"]);
  });

  it("counts each fork for itself, with a dialog and numbers of its own", () => {
    const { invite } = placed(services);
    invite.respond(180, reliable(7, { toTag: "a" }));
    invite.respond(180, reliable(900, { toTag: "b" }));
    invite.respond(183, reliable(8, { toTag: "a" }));
    const { sequence } = invite.sent.cseq;
    assert.deepEqual(
      pracks().map(({ sent }) => [sent.to.tag, sent.cseq.sequence - sequence]),
      [
        ["a", 1],
        ["b", 1],
        ["a", 2],
      ],
    );
  });

  it("completes the exchange with the answer in a 183; a 200 without or with another changes nothing", () => {
    for (const sdp of [undefined, "v=0 another answer"]) {
      services = new FakeServices();
      const { session, invite, witness } = placed(services);
      invite.respond(183, reliable(1, { sdp: "v=0 answer" }));
      assert.equal(session.signaling, "stable");
      assert.equal((session.mediaSession as FakeMediaSession).starts, 1);
      invite.respond(180, reliable(2, { sdp: "v=0 unwanted" }));
      answerPracks();
      invite.respond(200, { sdp });
      assert.equal(session.state, "established");
      assert.equal(services.media.last.remoteSdp, "v=0 answer");
      assert.deepEqual(witness.plot.slice(-2), ["answered:200", "confirmed"]);
      services.request(services.dialogOf(session), "BYE");
      assert.deepEqual(services.leftovers(), []);
    }
  });

  it("takes the answer of the fork that wins, whichever was heard before", () => {
    const { session, invite } = placed(services);
    invite.respond(183, reliable(1, { toTag: "a", sdp: "v=0 of a" }));
    invite.respond(183, reliable(1, { toTag: "b", sdp: "v=0 of b" }));
    assert.equal(services.media.last.remoteSdp, "v=0 of a");
    invite.respond(200, { toTag: "b" });
    assert.equal(session.state, "established");
    assert.equal(services.media.last.remoteSdp, "v=0 of b");
    services.request(services.dialogOf(session), "BYE");
    assert.deepEqual(services.leftovers(), []);
  });

  it("waits for media that is not ready when the 200 comes", async () => {
    const { session, invite, witness } = placed(services);
    services.media.deferred = true;
    invite.respond(183, reliable(1, { sdp: "v=0 answer" }));
    invite.respond(200);
    assert.equal(session.state, "early");
    services.media.settle();
    await outcomeOf(Promise.resolve());
    assert.equal(session.state, "established");
    assert.ok(witness.plot.includes("progress:183"));
    services.request(services.dialogOf(session), "BYE");
    assert.deepEqual(services.leftovers(), []);
  });

  it("leaves early media alone when the flow does not want it, and uses the answer later", () => {
    const { session, invite } = placed(services, { earlyMedia: false });
    invite.respond(183, reliable(1, { sdp: "v=0 answer" }));
    assert.equal(racks().length, 1);
    assert.equal((session.mediaSession as FakeMediaSession).starts, 0);
    invite.respond(200);
    assert.equal(session.state, "established");
    assert.equal(services.media.last.remoteSdp, "v=0 answer");
    services.request(services.dialogOf(session), "BYE");
  });

  it("acknowledges an unusable answer, and ends the call if it is answered", () => {
    const { session, invite, witness } = placed(services);
    invite.respond(183, reliable(1, { sdp: "v=0 bad" }));
    assert.equal(racks().length, 1);
    invite.respond(200);
    assert.equal(session.state, "terminating");
    services.lastSent("BYE").respond(200);
    assert.match(witness.plot.at(-1) ?? "", /^failed:/);
    assert.deepEqual(services.leftovers(), []);
  });

  it("answers the offer of a 183 in the PRACK", () => {
    const { session, invite, witness } = placed(services, { delayedOffer: true });
    invite.respond(183, reliable(1, { sdp: "v=0 their offer" }));
    assert.equal(pracks()[0]?.sent.text, "v=0 answer to v=0 their offer");
    assert.equal(session.signaling, "stable");
    assert.equal(witness.last("progress").localSdp, "v=0 answer to v=0 their offer");
    answerPracks();
    invite.respond(200);
    assert.equal(session.state, "established");
    assert.equal(services.acks[0]?.hasBody, false);
    services.request(services.dialogOf(session), "BYE");
    assert.deepEqual(services.leftovers(), []);
  });

  it("answers the offers of two forks; the media is the winner's", () => {
    const { session, invite } = placed(services, { delayedOffer: true });
    invite.respond(183, reliable(1, { toTag: "a", sdp: "v=0 offer a" }));
    invite.respond(183, reliable(1, { toTag: "b", sdp: "v=0 offer b" }));
    assert.deepEqual(
      pracks().map(({ sent }) => sent.text),
      ["v=0 answer to v=0 offer a", "v=0 answer to v=0 offer b"],
    );
    invite.respond(200, { toTag: "a" });
    assert.equal(session.state, "established");
    assert.equal(services.media.last.remoteSdp, "v=0 offer a");
    services.request(services.dialogOf(session), "BYE");
    assert.deepEqual(services.leftovers(), []);
  });

  it("refuses an offer that fits nothing with a valid answer, then cancels", () => {
    const { session, invite, witness } = placed(services, { delayedOffer: true });
    invite.respond(183, reliable(1, { sdp: "v=0 bad\r\nm=audio 4000 RTP/AVP 96\r\n" }));
    assert.match(pracks()[0]?.sent.text ?? "", /m=audio 0 RTP\/AVP 96/);
    assert.notEqual(invite.cancelled, undefined);
    answerPracks();
    invite.respond(487);
    assert.equal(session.state, "terminated");
    assert.equal(witness.last("failed").snapshot.cause, "incompatible-media");
    assert.deepEqual(services.leftovers(), []);
  });

  describe("without a media handler", () => {
    beforeEach(() => {
      services.mediaHandler = undefined;
    });

    it("asks the flow for the answer to the offer of a 183", async () => {
      const { session, invite, witness } = placed(services, { delayedOffer: true });
      invite.respond(183, reliable(1, { sdp: "v=0 their offer" }));
      const { pending, remoteSdp, snapshot } = witness.last("progress");
      assert.equal(remoteSdp, "v=0 their offer");
      assert.equal(snapshot.signaling, "have-remote-offer");
      assert.equal(snapshot.remoteTag, "peer");
      assert.deepEqual(racks(), []);
      const accepted = pending?.accept({ sdp: "v=0 mine" }) ?? Promise.reject(new Error("none"));
      await outcomeOf(accepted);
      assert.equal(pracks()[0]?.sent.text, "v=0 mine");
      answerPracks();
      assert.equal((await accepted).ok, true);
      invite.respond(200);
      assert.equal(session.state, "established");
      assert.equal(session.signaling, "stable");
      services.request(services.dialogOf(session), "BYE");
      assert.deepEqual(services.leftovers(), []);
    });

    it("refuses it when the flow says nothing, and cancels", () => {
      const { session, invite, witness } = placed(services, { delayedOffer: true });
      const sdp = "v=0\r\nm=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\n";
      invite.respond(183, reliable(1, { sdp }));
      services.pending[0]?.expire();
      assert.match(pracks()[0]?.sent.text ?? "", /m=audio 0 .*\r\nm=video 0 /);
      invite.respond(487);
      assert.equal(session.state, "terminated");
      assert.equal(witness.last("failed").snapshot.cause, "incompatible-media");
      assert.deepEqual(services.leftovers(), []);
    });

    it("forgets the question when the call is cancelled", async () => {
      const { session, invite, witness } = placed(services, { delayedOffer: true });
      invite.respond(183, reliable(1, { sdp: "v=0 their offer" }));
      const ended = session.end();
      invite.respond(487);
      await ended;
      const outcome = await witness.last("progress").pending?.accept({ sdp: "v=0 mine" });
      assert.equal(outcome?.ok, false);
      assert.deepEqual(racks(), []);
      assert.deepEqual(services.leftovers(), []);
    });
  });

  it("goes on when a PRACK is refused or never answered", () => {
    const { session, invite } = placed(services);
    invite.respond(183, reliable(1, { sdp: "v=0 answer" }));
    invite.respond(180, reliable(2));
    pracks()[0]?.respond(481, { toTag: "" });
    pracks()[1]?.fail(new TransactionTimeoutError("no response"));
    assert.equal(session.state, "early");
    invite.respond(200);
    assert.equal(session.state, "established");
    services.request(services.dialogOf(session), "BYE");
    assert.deepEqual(services.leftovers(), []);
  });

  it("is cancelled with a PRACK under way", async () => {
    const { session, invite } = placed(services);
    invite.respond(183, reliable(1, { sdp: "v=0 answer" }));
    const ended = session.end();
    invite.respond(180, reliable(2));
    assert.equal(racks().length, 1);
    answerPracks();
    invite.respond(487);
    await ended;
    assert.deepEqual(services.leftovers(), []);
  });

  it("drops the fork that 199 ends, tells of it, and hears the next", () => {
    const { session, invite, witness } = placed(services);
    invite.respond(183, { toTag: "a", sdp: "v=0 of a" });
    assert.equal(services.dialogs.size, 1);
    invite.respond(199, { toTag: "a", headers: [["Reason", "SIP;cause=486"]] });
    assert.equal(services.dialogs.size, 0);
    assert.deepEqual(witness.plot, ["inviting", "progress:183", "progress:199"]);
    invite.respond(183, { toTag: "b", sdp: "v=0 of b" });
    assert.equal(services.media.last.remoteSdp, "v=0 of b");
    invite.respond(200, { toTag: "b", sdp: "v=0 of b" });
    assert.equal(session.state, "established");
    services.request(services.dialogOf(session), "BYE");
    assert.deepEqual(services.leftovers(), []);
  });
});
