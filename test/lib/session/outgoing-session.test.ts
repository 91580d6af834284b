/**
 * Calls that we place. Requirements:
 *  1. `inviting` comes in a later turn and before the INVITE; every 1xx above 100 is told; answered, confirmed in order.
 *  2. Each target has its own Call-ID and tag; the first 2xx wins, the others are cancelled with Reason.
 *  3. Of several forks one becomes the call; every other 2xx gets ACK and BYE, whenever it comes.
 *  4. The ACK is sent for every copy of the 2xx.
 *  5. CANCEL crossing a 2xx: ACK, BYE, `cancelled`.
 *  6. Time limits, redirects, the best of several failures, causes of contract §3.4.
 *  7. Offer and answer: delayed offer, early media, answers that are missing or do not fit.
 *  8. Whatever happens: one closing event, media closed once, no dialog and no timer left.
 */
import assert from "node:assert/strict";
import {
  InvalidArgumentError,
  MediaError,
  TransactionTimeoutError,
  TransportError,
} from "../../../lib/foundation/index.js";
import { OutgoingSession, type OutgoingSessionOptions } from "../../../lib/session/index.js";
import { ALICE, FakeServices, Witness, outcomeOf } from "../../support/fake-services.js";

const ANSWER = "v=0 answer";

function place(
  services: FakeServices,
  change: Partial<OutgoingSessionOptions> & { readonly uris?: readonly string[] } = {},
) {
  const { uris = ["sip:bob@example.com"], ...options } = change;
  const session = new OutgoingSession(services, {
    targets: uris.map((uri) => ({
      address: services.parseTarget(uri),
      account: ALICE,
      timeoutMs: 60_000,
      headers: [],
    })),
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
  return { session, witness };
}

/** As `place`, with the INVITE sent. */
function placed(
  services: FakeServices,
  change: Partial<OutgoingSessionOptions> & { readonly uris?: readonly string[] } = {},
) {
  const call = place(services, change);
  services.clock.advance(0);
  return { ...call, invite: services.lastSent("INVITE") };
}

describe("OutgoingSession", () => {
  let services: FakeServices;

  beforeEach(() => {
    services = new FakeServices();
  });

  it("tells its media which call it is likely to be joined with", () => {
    const { session } = placed(services, { near: "caller" });
    const { near, sessionId } = services.media.last.context;
    assert.deepEqual({ near, sessionId }, { near: "caller", sessionId: session.id });
    placed(services);
    assert.equal(services.media.last.context.near, undefined);
  });

  it("rings, is answered, confirmed and ended by the peer", async () => {
    const { session, witness } = place(services);
    assert.deepEqual(witness.story, []);
    assert.equal(session.state, "idle");
    services.clock.advance(0);
    const invite = services.lastSent("INVITE");
    assert.equal(invite.sent.from.tag, session.snapshot().localTag);
    assert.equal(invite.sent.to.toString(), "<sip:bob@example.com>");
    assert.equal(invite.sent.text, "v=0 offer 1 sendrecv");
    assert.equal(session.signaling, "have-local-offer");
    invite.respond(100);
    invite.respond(180);
    invite.respond(200, { sdp: ANSWER });
    assert.equal(session.signaling, "stable");
    const dialog = services.dialogOf(session);
    const bye = services.request(dialog, "BYE", {
      headers: [["Reason", 'Q.850;cause=16;text="Normal call clearing"']],
    });
    assert.equal(bye.status, 200);
    assert.deepEqual(witness.story, [
      "state:inviting",
      "inviting",
      "state:early",
      "progress:180",
      "state:established",
      "answered:200",
      "confirmed",
      "media",
      "bye:16",
      "state:terminated",
      "ended:remote-bye",
    ]);
    assert.equal(witness.last("ended").reason, "Normal call clearing");
    assert.deepEqual(services.log, [
      "INVITE →",
      "← 100",
      "← 180",
      "← 200",
      "ACK →",
      "← BYE",
      "200 →",
    ]);
    assert.deepEqual(services.leftovers(), []);
    await session.end();
  });

  it("shows the call in snapshots that share nothing with it", () => {
    const { session, invite } = placed(services);
    invite.respond(180);
    services.clock.advance(4000);
    invite.respond(200, { sdp: ANSWER });
    services.clock.advance(2500);
    const snapshot = session.snapshot();
    assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot);
    assert.equal(snapshot.duration, 2.5);
    assert.equal(snapshot.direction, "outgoing");
    assert.equal(snapshot.account, "account-1");
    assert.equal(snapshot.remoteTag, "peer");
    assert.equal(snapshot.remote.contact, "sip:bob@192.0.2.2:5070");
    assert.equal(snapshot.local.displayName, "Alice");
    assert.equal(snapshot.media?.[0]?.codec, "PCMU");
    assert.deepEqual(snapshot.targets, [
      { uri: "sip:bob@example.com", state: "answered", statusCode: 200, reason: "OK" },
    ]);
    (snapshot.media as unknown[]).length = 0;
    snapshot.remote = { uri: "", user: "", host: "" };
    assert.equal(session.snapshot().media?.length, 1);
    assert.equal(session.snapshot().remote.user, "bob");
  });

  it("sends the ACK again for every copy of the 2xx (RFC 3261 §13.2.2.4)", () => {
    const { invite, witness } = placed(services);
    for (let i = 0; i < 3; i++) invite.respond(200, { sdp: ANSWER });
    assert.equal(services.acks.length, 3);
    assert.equal(services.acks[0], services.acks[2]);
    assert.equal(services.acks[0]?.cseq.sequence, invite.sent.cseq.sequence);
    assert.equal(witness.plot.filter((word) => word === "answered:200").length, 1);
  });

  it("answers a 2xx that comes after its transaction has gone", () => {
    const { session, invite } = placed(services);
    const success = invite.respond(200, { sdp: ANSWER });
    const dialog = services.dialogOf(session);
    const stored = services.dialogs.find(success);
    stored?.user.onDialogResponse?.(success, dialog, services.flow);
    assert.equal(services.acks.length, 2);
  });

  it("carries the credentials of the INVITE in the ACK (RFC 3261 §22.1)", () => {
    const { invite } = placed(services);
    invite.sent.headers.add("Proxy-Authorization", 'Digest username="alice"');
    invite.respond(200, { sdp: ANSWER });
    assert.equal(services.acks[0]?.headers.get("proxy-authorization"), 'Digest username="alice"');
  });

  it("keeps one of two forks and ends the other with ACK and BYE", () => {
    const { session, invite, witness } = placed(services);
    invite.respond(180, { toTag: "desk" });
    invite.respond(183, { toTag: "mobile" });
    assert.equal(services.dialogs.size, 2);
    invite.respond(200, { toTag: "mobile", sdp: ANSWER });
    assert.equal(services.dialogs.size, 1);
    invite.respond(200, { toTag: "desk", sdp: ANSWER });
    const bye = services.lastSent("BYE");
    assert.equal(bye.sent.to.tag, "desk");
    invite.respond(200, { toTag: "desk", sdp: ANSWER });
    assert.equal(services.sent.filter((each) => each.method === "BYE").length, 1);
    assert.equal(services.acks.filter((ack) => ack.to.tag === "desk").length, 2);
    assert.equal(session.snapshot().remoteTag, "mobile");
    assert.equal(session.state, "established");
    assert.deepEqual(witness.plot, [
      "inviting",
      "progress:180",
      "progress:183",
      "answered:200",
      "confirmed",
    ]);
    assert.deepEqual(
      witness.events.filter(({ name }) => name === "progress").map((e) => e.snapshot.remoteTag),
      ["desk", "mobile"],
    );
  });

  it("acknowledges a 2xx that is repeated after its end, and ends a fork that answers then", async () => {
    const { session, invite } = placed(services);
    invite.respond(180, { toTag: "desk" });
    invite.respond(200, { toTag: "mobile", sdp: ANSWER });
    const ended = session.end();
    services.lastSent("BYE").respond(200);
    await ended;
    assert.ok(invite.late, "only what a late answer needs is kept");
    const before = services.acks.length;
    invite.respond(200, { toTag: "mobile", sdp: ANSWER });
    assert.equal(services.acks.length, before + 1);
    assert.equal(services.acks.at(-1)?.to.tag, "mobile");
    for (const toTag of ["desk", "kitchen"]) {
      invite.respond(200, { toTag, sdp: ANSWER });
      assert.equal(services.acks.at(-1)?.to.tag, toTag);
      assert.equal(services.lastSent("BYE").sent.to.tag, toTag);
      invite.respond(200, { toTag, sdp: ANSWER });
    }
    assert.equal(services.sent.filter(({ method }) => method === "BYE").length, 3);
    assert.equal(services.acks.length, before + 5);
    invite.respond(486);
    assert.equal(services.dialogs.size, 0);
    assert.deepEqual(services.leftovers(), []);
  });

  it("ends further forks that answer after its end without keeping more than 64 of them", async () => {
    const { session, invite } = placed(services);
    invite.respond(200, { sdp: ANSWER });
    const ended = session.end();
    services.lastSent("BYE").respond(200);
    await ended;
    for (let i = 0; i < 100; i++) invite.respond(200, { toTag: `tag${i}`, sdp: ANSWER });
    assert.equal(services.sent.filter(({ method }) => method === "BYE").length, 101);
    assert.deepEqual(services.leftovers(), []);
  });

  it("takes provisional and final responses without To tag", () => {
    const { session, invite, witness } = placed(services);
    for (const statusCode of [183, 200]) invite.respond(statusCode, { toTag: "", sdp: ANSWER });
    assert.equal(session.state, "established");
    assert.deepEqual(witness.plot.slice(1), ["progress:183", "answered:200", "confirmed"]);
  });

  it("keeps a bounded number of forks and forgets them all", () => {
    const { session, invite } = placed(services);
    for (let i = 0; i < 200; i++) invite.respond(180, { toTag: `tag${i}` });
    assert.equal(services.dialogs.size, 64);
    invite.respond(200, { toTag: "tag150", sdp: ANSWER });
    assert.equal(session.state, "established");
    assert.equal(services.dialogs.size, 1);
    session.forceClose("shutdown");
    assert.deepEqual(services.leftovers(), []);
  });

  it("takes a BYE in an early dialog without giving up the INVITE (RFC 3261 §15)", () => {
    const { session, invite, witness } = placed(services);
    const ringing = invite.respond(180, { toTag: "desk" });
    const early = services.dialogs.find(ringing)?.dialog;
    assert.ok(early);
    assert.equal(services.request(early, "INVITE", { sdp: "v=0" }).status, 491);
    assert.equal(services.request(early, "BYE").status, 200);
    assert.equal(services.dialogs.size, 0);
    invite.respond(200, { toTag: "mobile", sdp: ANSWER });
    assert.equal(session.state, "established");
    assert.deepEqual(witness.plot, ["inviting", "progress:180", "answered:200", "confirmed"]);
  });

  it("hangs up before its delayed answer is ready: ACK first, then BYE", async () => {
    const { session, invite, witness } = placed(services, { delayedOffer: true });
    services.media.deferred = true;
    invite.respond(200, { sdp: "v=0 their offer" });
    const ended = session.end();
    assert.deepEqual(services.log.slice(-2), ["ACK →", "BYE →"]);
    services.media.settle();
    services.lastSent("BYE").respond(200);
    await ended;
    await outcomeOf(Promise.resolve());
    assert.equal(services.acks.length, 1);
    assert.equal(witness.plot.at(-1), "failed:cancelled");
    assert.deepEqual(services.leftovers(), []);
  });

  it("is ended by the peer while its answer is being looked at", async () => {
    const { session, invite, witness } = placed(services);
    services.media.deferred = true;
    invite.respond(200, { sdp: ANSWER });
    services.request(services.dialogOf(session), "BYE");
    services.media.settle();
    await outcomeOf(Promise.resolve());
    assert.deepEqual(witness.plot, ["inviting", "bye", "failed:remote-bye"]);
    assert.deepEqual(services.leftovers(), []);
  });

  describe("CANCEL", () => {
    it("is followed by the 487 and ends the attempt", async () => {
      const { session, invite, witness } = placed(services);
      invite.respond(180);
      const ended = session.end({ statusCode: 480, reason: "Gone home" });
      const again = session.end();
      assert.equal(session.state, "terminating");
      assert.deepEqual(invite.cancelled, [["Reason", 'SIP;cause=480;text="Gone home"']]);
      assert.equal(await outcomeOf(ended), "pending");
      invite.respond(487);
      await Promise.all([ended, again]);
      assert.deepEqual(witness.story.slice(4), [
        "state:terminating",
        "cancelled",
        "state:terminated",
        "failed:cancelled",
      ]);
      assert.equal(witness.last("failed").statusCode, 487);
      assert.equal(witness.last("cancelled").snapshot.signaling, "closed");
      assert.deepEqual(services.leftovers(), []);
    });

    it("that crosses the 200 is followed by ACK and BYE", async () => {
      const { session, invite, witness } = placed(services);
      invite.respond(180);
      const ended = session.end();
      invite.respond(200, { sdp: ANSWER });
      await ended;
      assert.deepEqual(services.log.slice(2), ["CANCEL →", "← 200", "ACK →", "BYE →"]);
      assert.equal(witness.plot.at(-1), "failed:cancelled");
      services.lastSent("BYE").respond(200);
      assert.deepEqual(services.leftovers(), []);
    });

    it("is not sent before the INVITE when the attempt ends at once", async () => {
      const { session, witness } = place(services);
      const ended = session.end();
      services.clock.advance(0);
      await ended;
      assert.deepEqual(services.log, []);
      assert.deepEqual(witness.story, ["state:terminated", "failed:cancelled"]);
    });

    it("ends the attempt even when no final response comes", async () => {
      const { session, invite, witness } = placed(services);
      invite.respond(180);
      const ended = session.end({ cause: "shutdown" });
      invite.fail(new TransactionTimeoutError("No final response"));
      await ended;
      assert.equal(witness.plot.at(-1), "failed:shutdown");
      assert.deepEqual(services.leftovers(), []);
    });
  });

  describe("targets", () => {
    const uris = ["sip:desk@example.com", "sip:mobile@example.com"];

    it("are called at once; the first answer wins and the others are cancelled with Reason", () => {
      const { session, witness } = placed(services, { uris });
      const [desk, mobile] = services.sent as [
        (typeof services.sent)[0],
        (typeof services.sent)[0],
      ];
      assert.notEqual(desk.sent.callId, mobile.sent.callId);
      assert.notEqual(desk.sent.from.tag, mobile.sent.from.tag);
      assert.equal(desk.sent.text, mobile.sent.text);
      desk.respond(180);
      mobile.respond(180);
      mobile.respond(200, { sdp: ANSWER });
      assert.deepEqual(desk.cancelled, [
        ["Reason", 'SIP;cause=200;text="Call completed elsewhere"'],
      ]);
      desk.respond(487);
      assert.equal(session.snapshot().callId, mobile.sent.callId);
      assert.equal(session.snapshot().remote.user, "mobile");
      assert.deepEqual(
        session.snapshot().targets?.map(({ state, cause }) => [state, cause]),
        [
          ["cancelled", "answered-elsewhere"],
          ["answered", undefined],
        ],
      );
      assert.deepEqual(witness.plot, [
        "inviting",
        "progress:180",
        "progress:180",
        "answered:200",
        "confirmed",
      ]);
      assert.deepEqual(witness.last("inviting").uris, uris);
    });

    it("end with ACK and BYE when they answer too late", () => {
      const { session } = placed(services, { uris });
      const [desk, mobile] = services.sent;
      desk?.respond(180);
      mobile?.respond(200, { sdp: ANSWER });
      desk?.respond(200, { sdp: ANSWER, toTag: "late" });
      assert.equal(services.lastSent("BYE").sent.to.tag, "late");
      assert.equal(session.state, "established");
    });

    it("are called one after the other in a sequence", () => {
      const { witness } = placed(services, { uris, strategy: "sequential" });
      assert.equal(services.sent.length, 1);
      services.sent[0]?.respond(486);
      assert.equal(services.sent.length, 2);
      services.sent[1]?.respond(404);
      assert.deepEqual(witness.plot, ["inviting", "rejected:486", "failed:busy"]);
      assert.equal(witness.last("rejected").snapshot.signaling, "closed");
      assert.deepEqual(
        witness.last("failed").snapshot.targets?.map(({ cause }) => cause),
        ["busy", "not-found"],
      );
      assert.deepEqual(services.leftovers(), []);
    });

    it("stop with a 6xx only themselves", () => {
      const { witness } = placed(services, { uris });
      services.sent[0]?.respond(603);
      assert.equal(services.sent[1]?.cancelled, undefined);
      services.sent[1]?.respond(200, { sdp: ANSWER });
      assert.equal(witness.plot.at(-1), "confirmed");
    });

    it("fail with the best of their responses (RFC 3261 §16.7)", () => {
      const { witness } = placed(services, { uris: [...uris, "sip:home@example.com"] });
      services.sent[0]?.respond(503);
      services.sent[1]?.respond(404);
      services.sent[2]?.fail(new TransportError("refused", "tcp:192.0.2.3:5060"));
      assert.deepEqual(witness.plot, ["inviting", "rejected:404", "failed:not-found"]);
    });

    it("give up after their time, the rest of a sequence first", () => {
      const { session, witness } = placed(services, { uris, strategy: "sequential" });
      services.sent[0]?.respond(180);
      services.clock.advance(60_000);
      assert.deepEqual(services.sent[0]?.cancelled, []);
      assert.equal(session.state, "early");
      services.sent[0]?.respond(487);
      services.sent[1]?.respond(180);
      services.clock.advance(60_000);
      assert.equal(session.state, "terminating");
      services.sent[1]?.respond(487);
      assert.deepEqual(witness.plot, [
        "inviting",
        "progress:180",
        "progress:180",
        "cancelled",
        "failed:no-answer",
      ]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("that say nothing at all time out without waiting for a CANCEL", () => {
      const { invite, witness } = placed(services, {
        targets: [
          {
            address: services.parseTarget("sip:bob@example.com"),
            account: undefined,
            timeoutMs: 5000,
            headers: [],
          },
        ],
      });
      services.clock.advance(5000);
      assert.deepEqual(witness.plot, ["inviting", "failed:timeout"]);
      assert.equal(witness.last("failed").statusCode, 0);
      assert.deepEqual(invite.cancelled, []);
      // The phone was only slow: it must not ring for nobody, and a 200 is ended.
      invite.respond(200, { sdp: ANSWER });
      assert.deepEqual(services.log.slice(-3), ["← 200", "ACK →", "BYE →"]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("that answer as their time runs out are ended with BYE", () => {
      const { invite, witness } = placed(services);
      invite.respond(180);
      services.clock.advance(60_000);
      invite.respond(200, { sdp: ANSWER });
      assert.deepEqual(services.log.slice(-4), ["CANCEL →", "← 200", "ACK →", "BYE →"]);
      assert.equal(witness.plot.at(-1), "failed:no-answer");
      assert.deepEqual(services.leftovers(), []);
    });

    it("that the dial filter forbids are blocked", () => {
      services.blocked = (uri) => uri.toString().includes("premium");
      const { witness } = place(services, { uris: ["sip:premium@example.com"] });
      services.clock.advance(0);
      assert.deepEqual(services.log, []);
      assert.deepEqual(witness.plot, ["inviting", "failed:blocked"]);
    });

    it("lose the headers inside their URIs", () => {
      const { invite } = placed(services, { uris: ["sip:bob@example.com;method=BYE?Route=evil"] });
      assert.equal(invite.sent.uri, "sip:bob@example.com");
      assert.equal(invite.sent.headers.has("route"), false);
    });
  });

  describe("redirects", () => {
    it("are followed best q first, with the same Call-ID and the next CSeq", () => {
      const { invite, witness } = placed(services);
      invite.respond(302, {
        headers: [["Contact", "<sip:b@192.0.2.8>;q=0.1, <sip:a@192.0.2.8?Subject=x>;q=0.9"]],
      });
      const second = services.lastSent("INVITE");
      assert.equal(second.sent.uri, "sip:a@192.0.2.8");
      assert.equal(second.sent.callId, invite.sent.callId);
      assert.equal(second.sent.from.tag, invite.sent.from.tag);
      assert.equal(second.sent.to.toString(), "<sip:bob@example.com>");
      assert.equal(second.sent.cseq.sequence, 2);
      assert.deepEqual(witness.last("redirecting").uris, ["sip:a@192.0.2.8", "sip:b@192.0.2.8"]);
      second.respond(486);
      const third = services.lastSent("INVITE");
      assert.equal(third.sent.uri, "sip:b@192.0.2.8");
      third.respond(200, { sdp: ANSWER });
      assert.deepEqual(witness.plot, ["inviting", "redirecting:302", "answered:200", "confirmed"]);
    });

    it("are reported when none may be followed", () => {
      const { invite, witness } = placed(services, { redirects: 0 });
      invite.respond(302, { headers: [["Contact", '"B" <sip:b@192.0.2.8>;q=0.5']] });
      assert.deepEqual(witness.plot, ["inviting", "rejected:302", "failed:redirected"]);
      assert.deepEqual(witness.last("failed").contacts, [
        { uri: "sip:b@192.0.2.8", q: 0.5, displayName: "B" },
      ]);
    });

    it("in a circle come to an end", () => {
      const { witness } = placed(services);
      for (let i = 0; i < 20 && witness.plot.at(-1) !== "failed:redirected"; i++) {
        services.lastSent("INVITE").respond(302, {
          headers: [["Contact", `<sip:hop${i % 2}@192.0.2.8>`]],
        });
      }
      assert.equal(services.sent.length, 3);
      assert.equal(witness.plot.at(-1), "failed:redirected");
    });

    it("more than allowed come to an end", () => {
      const { witness } = placed(services);
      for (let i = 0; i < 4; i++) {
        services
          .lastSent("INVITE")
          .respond(302, { headers: [["Contact", `<sip:hop${i}@192.0.2.8>`]] });
      }
      assert.equal(services.sent.length, 4);
      assert.equal(witness.plot.at(-1), "failed:redirected");
    });

    for (const statusCode of [305, 380]) {
      it(`of status ${statusCode} are reported with their contacts, not followed`, () => {
        const { invite, witness } = placed(services);
        invite.respond(statusCode, { headers: [["Contact", "<sip:proxy@192.0.2.8;lr>"]] });
        assert.deepEqual(witness.plot, ["inviting", `rejected:${statusCode}`, "failed:redirected"]);
        assert.deepEqual(witness.last("failed").contacts, [{ uri: "sip:proxy@192.0.2.8;lr" }]);
      });
    }

    it("to a GRUU or a learnt contact are called as they are given, without headers", () => {
      const { invite } = placed(services);
      const contact = "sip:bob@192.0.2.8:5090;gr=urn:uuid:f81d;transport=tcp;ob";
      invite.respond(302, { headers: [["Contact", `<${contact}?Subject=x&Route=evil>`]] });
      const { sent } = services.lastSent("INVITE");
      assert.equal(sent.uri, contact);
      assert.equal(sent.headers.has("subject"), false);
      assert.equal(sent.headers.has("route"), false);
    });

    it("of somebody else to ourselves are not followed: that would ring us for ever", () => {
      const { invite, witness } = placed(services);
      invite.respond(302, { headers: [["Contact", "<sip:x@192.0.2.1>, <sip:b@192.0.2.8>;q=0.1"]] });
      const second = services.lastSent("INVITE");
      assert.equal(second.sent.uri, "sip:b@192.0.2.8");
      second.respond(302, { headers: [["Contact", "<sip:y@192.0.2.1:5060>"]] });
      assert.equal(services.sent.length, 2);
      assert.equal(witness.plot.at(-1), "failed:redirected");
    });

    it("to what may not be dialled are blocked or ignored", () => {
      services.blocked = (uri) => uri.toString().includes("premium");
      const blocked = placed(services);
      blocked.invite.respond(302, { headers: [["Contact", "<sip:premium@192.0.2.8>"]] });
      assert.equal(blocked.witness.plot.at(-1), "failed:blocked");
      const foreign = placed(services);
      foreign.invite.respond(302, { headers: [["Contact", "<http://192.0.2.8/>"]] });
      assert.equal(foreign.witness.plot.at(-1), "failed:redirected");
    });
  });

  describe("final responses", () => {
    const causes: [number, string][] = [
      [401, "unauthorized"],
      [404, "not-found"],
      [408, "no-answer"],
      [480, "unavailable"],
      [484, "address-incomplete"],
      [486, "busy"],
      [488, "incompatible-media"],
      [500, "rejected"],
      [503, "unavailable"],
      [600, "busy"],
      [603, "rejected"],
    ];
    for (const [statusCode, cause] of causes) {
      it(`${statusCode} means ${cause}`, () => {
        const { invite, witness } = placed(services);
        invite.respond(statusCode, { headers: [["Retry-After", "7"]] });
        assert.deepEqual(witness.plot, ["inviting", `rejected:${statusCode}`, `failed:${cause}`]);
        assert.equal(witness.last("failed").retryAfter, 7);
        assert.equal(witness.last("failed").snapshot.state, "terminated");
        assert.deepEqual(services.leftovers(), []);
      });
    }

    const failures: [string, Error & { code: string }, string][] = [
      ["nothing", new TransactionTimeoutError("Timer B"), "timeout"],
      ["no way", new TransportError("refused", "tcp:192.0.2.2"), "transport-error"],
      ["no name", new TransportError("ENOTFOUND", "nowhere", { code: "E_DNS" }), "dns-error"],
    ];
    for (const [what, error, cause] of failures) {
      it(`${what} means ${cause}`, () => {
        const { invite, witness } = placed(services);
        invite.fail(error as TransportError);
        assert.deepEqual(witness.plot, ["inviting", `failed:${cause}`]);
        assert.equal(witness.last("failed").statusCode, 0);
        assert.deepEqual(services.leftovers(), []);
      });
    }
  });

  describe("offer and answer", () => {
    it("plays the early media of the first fork that has some, then the winner's", () => {
      const { invite, witness } = placed(services);
      invite.respond(183, { toTag: "desk", sdp: "v=0 early desk" });
      invite.respond(183, { toTag: "desk", sdp: "v=0 early desk" });
      invite.respond(183, { toTag: "mobile", sdp: "v=0 early mobile" });
      assert.equal(services.media.last.starts, 1);
      assert.equal(witness.last("progress").snapshot.signaling, "have-local-offer");
      invite.respond(200, { toTag: "mobile", sdp: ANSWER });
      assert.deepEqual(services.media.last.log, [
        "offer",
        "early(v=0 early desk)",
        `final(${ANSWER})`,
      ]);
    });

    it("ignores early media when told so", () => {
      const { invite } = placed(services, { earlyMedia: false });
      invite.respond(183, { sdp: "v=0 early" });
      assert.deepEqual(services.media.last.log, ["offer"]);
    });

    it("goes on ringing when early media does not fit", () => {
      const { invite, witness } = placed(services);
      invite.respond(183, { sdp: "v=0 bad" });
      invite.respond(200, { sdp: ANSWER });
      assert.deepEqual(witness.plot.slice(1), ["progress:183", "answered:200", "confirmed"]);
    });

    it("takes the SDP of the 183 when the 200 has none", () => {
      const { invite, witness } = placed(services);
      invite.respond(183, { sdp: ANSWER });
      invite.respond(200);
      assert.equal(witness.plot.at(-1), "confirmed");
    });

    const spoilt: [string, string | undefined, string][] = [
      ["missing", undefined, "bad-media"],
      ["malformed", "v=0 broken", "bad-media"],
      ["of other codecs", "v=0 bad", "incompatible-media"],
    ];
    for (const [what, sdp, cause] of spoilt) {
      it(`ends with ACK and BYE when the answer is ${what}`, () => {
        const { invite, witness } = placed(services);
        invite.respond(200, sdp === undefined ? {} : { sdp });
        assert.deepEqual(services.log.slice(-3), ["← 200", "ACK →", "BYE →"]);
        services.lastSent("BYE").respond(200);
        assert.deepEqual(witness.plot, ["inviting", "bye", `failed:${cause}`]);
        assert.equal(witness.last("failed").statusCode, 200);
        assert.deepEqual(services.leftovers(), []);
      });
    }

    it("answers the offer of the 200 in the ACK when its own was delayed", () => {
      const { session, invite, witness } = placed(services, { delayedOffer: true });
      assert.equal(invite.sent.body.length, 0);
      assert.equal(services.media.sessions.length, 0);
      services.media.deferred = true;
      invite.respond(200, { sdp: "v=0 their offer" });
      invite.respond(200, { sdp: "v=0 their offer" });
      assert.deepEqual(services.acks, []);
      assert.equal(session.signaling, "have-remote-offer");
      services.media.settle();
      return Promise.resolve().then(async () => {
        await outcomeOf(Promise.resolve());
        assert.equal(services.acks[0]?.text, "v=0 answer to v=0 their offer");
        assert.deepEqual(witness.plot, ["inviting", "answered:200", "confirmed"]);
        assert.equal(witness.last("answered").localSdp, "v=0 answer to v=0 their offer");
      });
    });

    it("acknowledges and ends a delayed offer that is missing or fits nothing", () => {
      for (const sdp of [undefined, "v=0 bad"]) {
        const { invite, witness } = placed(services, { delayedOffer: true });
        invite.respond(200, sdp === undefined ? {} : { sdp });
        services.lastSent("BYE").respond(200);
        assert.match(witness.plot.at(-1) ?? "", /failed:(bad|incompatible)-media/);
      }
      assert.deepEqual(services.leftovers(), []);
    });

    it("uses the application's SDP instead of the media handler", () => {
      const { session, invite } = placed(services, { sdp: "v=0 mine" });
      assert.equal(invite.sent.text, "v=0 mine");
      invite.respond(200, { sdp: ANSWER });
      assert.equal(services.media.sessions.length, 0);
      assert.equal(session.signaling, "stable");
    });

    it("refuses to start without any SDP", () => {
      services.mediaHandler = undefined;
      assert.throws(
        () => place(services),
        (error) => error instanceof InvalidArgumentError && error.rule === "no-sdp",
      );
      assert.doesNotThrow(() => place(services, { delayedOffer: true }));
    });

    it("fails when no media can be had", () => {
      services.media.failure = new MediaError("No free port", { statusHint: 503 });
      const { witness } = place(services);
      services.clock.advance(0);
      assert.deepEqual(witness.plot, ["inviting", "failed:incompatible-media"]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("sends nothing when the attempt ends while the offer is being made", async () => {
      services.media.deferred = true;
      const { session, witness } = place(services);
      services.clock.advance(0);
      assert.deepEqual(services.log, []);
      const ended = session.end();
      session.forceClose("cancelled");
      services.media.settle();
      await ended;
      await outcomeOf(Promise.resolve());
      assert.deepEqual(services.log, ["CANCEL →"]);
      assert.equal(witness.plot.at(-1), "failed:cancelled");
      assert.deepEqual(services.leftovers(), []);
    });

    it("puts a further body beside the SDP", () => {
      const { invite } = placed(services, { contentType: "text/plain", body: "hello" });
      assert.match(invite.sent.headers.get("content-type") ?? "", /^multipart\/mixed;boundary=/);
      assert.match(
        invite.sent.text,
        /application\/sdp\r\n\r\nv=0 offer 1[^]*text\/plain\r\n\r\nhello/,
      );
    });
  });

  it("hides the caller when anonymous (RFC 3323)", () => {
    const { invite } = placed(services, { anonymous: true });
    assert.equal(invite.sent.from.uri.toString(), "sip:anonymous@anonymous.invalid");
    assert.equal(invite.sent.headers.get("privacy"), "id");
  });

  it("lets the application's headers win over the stack's", () => {
    const { invite } = placed(services, {
      headers: [
        ["user-agent", "mine"],
        ["X-Door", "3"],
      ],
    });
    assert.deepEqual(invite.sent.headers.getAll("user-agent"), ["mine"]);
    assert.equal(invite.sent.headers.get("x-door"), "3");
  });

  it("reports events in order although a listener hangs up in the middle", () => {
    const { session, invite, witness } = placed(services);
    session.on("event", ({ name }) => {
      if (name === "answered") void session.end();
    });
    invite.respond(200, { sdp: ANSWER });
    services.lastSent("BYE").respond(200);
    assert.deepEqual(witness.plot, [
      "inviting",
      "answered:200",
      "confirmed",
      "bye",
      "ended:local-bye",
    ]);
  });

  it("survives a listener that throws", () => {
    const { session, invite, witness } = placed(services);
    session.on("event", () => {
      throw new Error("a flow's mistake");
    });
    invite.respond(486);
    assert.equal(witness.plot.at(-1), "failed:busy");
    assert.equal(services.problems.length > 0, true);
  });

  it("closes at once when the user agent has no more time", () => {
    const { session, invite, witness } = placed(services);
    invite.respond(180);
    session.forceClose("shutdown");
    assert.equal(invite.abandoned, true);
    assert.equal(witness.plot.at(-1), "failed:shutdown");
    session.forceClose("shutdown");
    assert.deepEqual(services.leftovers(), []);
  });

  it("reports responses to those who listen to them", () => {
    services.observesMessages = true;
    const { invite, witness } = placed(services);
    invite.respond(100);
    invite.respond(200, { sdp: ANSWER });
    assert.deepEqual(
      witness.plot.filter((word) => word.startsWith("response")),
      ["response:100", "response:200"],
    );
  });
});
