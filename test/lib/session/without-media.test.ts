/**
 * Calls whose descriptions come from the application (`media: none`). Requirements:
 *  1. An offer that changes nothing is answered with our last description, re-INVITE and UPDATE; so is a re-INVITE without SDP.
 *     Whatever differs, or what our last description would be no answer to, is the application's: else 488.
 *  2. `hold`, `resume`, `msg.sip.hold` and `msg.sip.media` are read from both texts, whoever offered.
 *  3. The offer that our re-INVITE without SDP brings comes as `offer`; the answer travels in the ACK. No answer, a refusal
 *     and the end of the call give a valid refusing answer; there is one ACK for each 2xx, and none before the answer.
 */
import assert from "node:assert/strict";
import { OutgoingSession } from "../../../lib/session/index.js";
import { answersAgain, readExchange } from "../../../lib/session/supplied-description.js";
import type { HoldState } from "../../../lib/session/media-handler.js";
import { establishedCall, hungUp, type Call } from "../../support/established-call.js";
import { ALICE, FakeServices, Witness, outcomeOf } from "../../support/fake-services.js";

interface Text {
  readonly version?: number;
  readonly direction?: string;
  readonly address?: string;
  readonly port?: number;
  readonly formats?: string;
}

function sdp(owner: string, text: Text = {}): string {
  const { version = 1, direction = "sendrecv", address = "192.0.2.9", port = 4000 } = text;
  const { formats = "0 101" } = text;
  return [
    "v=0",
    `o=${owner} 7 ${version} IN IP4 ${address}`,
    "s=-",
    `c=IN IP4 ${address}`,
    "t=0 0",
    `m=audio ${port} RTP/AVP ${formats}`,
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
    `a=${direction}`,
    "",
  ].join("\r\n");
}

const THEIRS = sdp("peer");
const OURS = sdp("we", { port: 5000 });
const REFUSAL = /^v=0\r\n[^]*m=audio 0 RTP\/AVP 0 101\r\n$/;

/** We have called, with our offer. */
async function calling(theirs = THEIRS, ours = OURS): Promise<Call> {
  const services = new FakeServices();
  services.mediaHandler = undefined;
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
    sdp: ours,
  });
  const witness = new Witness(session);
  session.begin();
  services.clock.advance(0);
  services.lastSent("INVITE").respond(200, { sdp: theirs });
  await outcomeOf(Promise.resolve());
  services.log.length = 0;
  const dialog = services.dialogOf(session);
  const call = { services, session, witness, dialog };
  return call as unknown as Call;
}

/** The peer has called, and our answer was `ours`. */
async function called(ours = OURS): Promise<Call> {
  const call = await establishedCall((services) => (services.mediaHandler = undefined));
  const reInvite = request(call, "INVITE", THEIRS, "reinvite");
  await call.witness.last("reinvite").pending?.accept({ sdp: ours });
  call.services.ack(reInvite.request, call.dialog);
  call.services.held.clear();
  call.witness.events.length = 0;
  return call;
}

function request(call: Call, method: string, offer: string | undefined, held?: string) {
  if (held !== undefined) call.services.held.add(held);
  return call.services.request(call.dialog, method, offer === undefined ? {} : { sdp: offer });
}

describe("without a media handler", () => {
  describe("an offer that changes nothing", () => {
    for (const method of ["INVITE", "UPDATE"]) {
      for (const [who, make] of [
        ["the peer's", called],
        ["ours", calling],
      ] as const) {
        it(`is answered as before by ${method}, when the first offer was ${who}`, async () => {
          const call = await make();
          call.witness.events.length = 0;
          for (let turn = 0; turn < 2; turn++) {
            const refresh = request(call, method, THEIRS);
            assert.equal(refresh.status, 200);
            assert.equal(refresh.last.text, OURS);
            if (method === "INVITE") call.services.ack(refresh.request, call.dialog);
          }
          assert.equal(call.session.signaling, "stable");
          assert.equal(call.witness.plot.includes("hold"), false);
          await hungUp(call);
        });
      }
    }

    it("may still be answered otherwise by a flow that listens", async () => {
      const call = await called();
      const reInvite = request(call, "INVITE", THEIRS, "reinvite");
      assert.equal(reInvite.status, undefined);
      const mine = sdp("we", { port: 5000, version: 2, direction: "sendonly" });
      assert.equal((await call.witness.last("reinvite").pending?.accept({ sdp: mine }))?.ok, true);
      assert.equal(reInvite.last.text, mine);
      call.services.ack(reInvite.request, call.dialog);
      const again = request(call, "INVITE", THEIRS);
      assert.equal((await call.witness.last("reinvite").pending?.accept())?.ok, true);
      assert.equal(again.last.text, mine, "an acceptance without SDP repeats it");
      call.services.ack(again.request, call.dialog);
      assert.equal(call.session.snapshot().hold, "local");
      await hungUp(call);
    });

    it("is ours to make when a re-INVITE has no SDP", async () => {
      const call = await called();
      const reInvite = request(call, "INVITE", undefined);
      assert.equal(reInvite.status, 200);
      assert.equal(reInvite.last.text, OURS);
      call.services.ack(reInvite.request, call.dialog, {
        sdp: sdp("peer", { version: 2, direction: "sendonly" }),
      });
      assert.deepEqual(call.witness.plot, ["reinvite", "hold", "updated"]);
      assert.equal(call.session.snapshot().hold, "remote");
      await hungUp(call);
    });

    it("is anything else when it differs, if only in its version or direction", async () => {
      const call = await called();
      for (const offer of [
        sdp("peer", { version: 2 }),
        sdp("peer", { direction: "sendonly" }),
        sdp("peer", { port: 4002 }),
      ]) {
        assert.equal(request(call, "INVITE", offer).status, 488);
      }
      await hungUp(call);
    });

    it("is the application's when our offer of before would be no answer to it", async () => {
      const held = sdp("peer", { direction: "sendonly" });
      const call = await calling(held);
      assert.equal(call.session.snapshot().hold, "remote");
      assert.equal(request(call, "INVITE", held).status, 488);
      await hungUp(call);
    });
  });

  describe("hold", () => {
    it("and resume are told from the peer's offers", async () => {
      const call = await called();
      const change = async (text: Text, ours: Text): Promise<void> => {
        const reInvite = request(call, "INVITE", sdp("peer", text), "reinvite");
        const mine = sdp("we", { port: 5000, ...ours });
        await call.witness.last("reinvite").pending?.accept({ sdp: mine });
        call.services.ack(reInvite.request, call.dialog);
      };
      await change({ version: 2, direction: "sendonly" }, { direction: "recvonly" });
      assert.equal(call.witness.last("hold").snapshot.hold, "remote");
      assert.equal(call.witness.last("media").snapshot.media?.[0].direction, "recvonly");
      await change({ version: 3 }, {});
      assert.equal(call.witness.last("resume").snapshot.hold, "none");
      await change({ version: 4, address: "0.0.0.0" }, { direction: "recvonly" });
      assert.equal(call.session.snapshot().hold, "remote", "RFC 3264 §8.4");
      await hungUp(call);
      assert.equal(call.witness.last("ended").snapshot.hold, "remote");
      assert.equal(call.witness.last("ended").snapshot.media?.[0].codec, "PCMU");
    });

    it("of ours is told from our offer", async () => {
      const call = await calling();
      const hold = call.session.reinvite({
        action: "hold",
        sdp: sdp("we", { port: 5000, version: 2, direction: "sendonly" }),
      });
      call.services
        .lastSent("INVITE")
        .respond(200, { sdp: sdp("peer", { version: 2, direction: "recvonly" }) });
      assert.equal((await hold).ok, true);
      assert.equal(call.session.snapshot().hold, "local");
      await hungUp(call);
    });

    it("stays as it was when a change is refused", async () => {
      const call = await calling();
      const hold = call.session.reinvite({
        action: "hold",
        sdp: sdp("we", { version: 2, direction: "sendonly" }),
      });
      call.services.lastSent("INVITE").respond(488);
      assert.equal((await hold).ok, false);
      assert.equal(call.session.snapshot().hold, "none");
      await hungUp(call);
    });

    const table: [
      offeredByUs: boolean,
      offer: string,
      answer: string,
      before: HoldState,
      after: HoldState,
    ][] = [
      [true, "sendrecv", "sendrecv", "both", "none"],
      [true, "sendrecv", "sendonly", "none", "remote"],
      [true, "sendrecv", "inactive", "none", "remote"],
      [true, "sendonly", "recvonly", "none", "local"],
      [true, "sendonly", "inactive", "none", "both"],
      [true, "inactive", "inactive", "remote", "both"],
      [true, "recvonly", "sendonly", "both", "remote"],
      [false, "sendrecv", "sendrecv", "both", "none"],
      [false, "sendonly", "recvonly", "none", "remote"],
      [false, "sendonly", "inactive", "none", "both"],
      [false, "inactive", "inactive", "local", "both"],
      [false, "recvonly", "sendonly", "both", "local"],
      [false, "sendrecv", "sendonly", "remote", "local"],
    ];
    for (const [offeredByUs, offer, answer, before, after] of table) {
      it(`is ${after} when ${offeredByUs ? "we offer" : "the peer offers"} ${offer} and the answer is ${answer}, after ${before}`, () => {
        const ours = sdp("we", { direction: offeredByUs ? offer : answer });
        const theirs = sdp("peer", { direction: offeredByUs ? answer : offer });
        const exchange = { local: ours, remote: theirs, offeredByUs };
        assert.equal(readExchange(exchange, before).hold, after);
      });
    }
  });

  describe("media", () => {
    it("are the streams that both have taken", () => {
      const exchange = {
        local: sdp("we", { formats: "8 0 101" }),
        remote: sdp("peer", { formats: "0 101", direction: "sendonly", port: 4010 }),
        offeredByUs: true,
      };
      const [audio] = readExchange(exchange, "none").media;
      assert.deepEqual(audio, {
        kind: "audio",
        codec: "PCMU",
        clockRate: 8000,
        direction: "recvonly",
        address: "192.0.2.9",
        port: 4010,
        dtmf: "rfc4733",
      });
      const refused = { local: sdp("we"), remote: sdp("peer", { port: 0 }), offeredByUs: true };
      assert.deepEqual(readExchange(refused, "none").media, []);
    });

    it("are none when a text cannot be read, and hold is as before", () => {
      for (const remote of ["", "nonsense", "v=0\r\nm=audio 99999999 x\r\n", "\0"]) {
        const exchange = { local: OURS, remote, offeredByUs: false };
        assert.deepEqual(readExchange(exchange, "none").media, []);
        assert.equal(readExchange(exchange, "local").hold, "local");
        assert.equal(answersAgain({ ...exchange, offeredByUs: true }, remote), false);
      }
    });
  });

  describe("re-INVITE of ours without SDP", () => {
    async function offered() {
      const call = await calling();
      const outcome = call.session.reinvite({ action: "renegotiate", delayedOffer: true });
      const invite = call.services.lastSent("INVITE");
      assert.equal(invite.sent.text, "");
      const offer = sdp("peer", { version: 2, port: 4008 });
      const acksBefore = call.services.acks.length;
      invite.respond(200, { sdp: offer });
      const { pending, remoteSdp, statusCode } = call.witness.last("offer");
      assert.ok(pending);
      assert.deepEqual([remoteSdp, statusCode], [offer, 200]);
      assert.equal(call.session.signaling, "have-remote-offer");
      const acks = () => call.services.acks.slice(acksBefore);
      return { ...call, call, outcome, invite, offer, pending, acks };
    }

    it("brings an offer that the application answers in the ACK", async () => {
      const { call, outcome, invite, offer, pending, acks } = await offered();
      invite.respond(200, { sdp: offer });
      assert.equal(acks().length, 0, "no ACK before the answer");
      await assert.rejects(pending.accept());
      assert.equal(pending.pending, true);
      const mine = sdp("we", { version: 2, port: 5002 });
      assert.equal((await pending.accept({ sdp: mine })).ok, true);
      assert.deepEqual(
        acks().map(({ text, cseq }) => [text, cseq.sequence]),
        [[mine, invite.sent.cseq.sequence]],
      );
      const result = await outcome;
      assert.deepEqual(
        [result.ok, result.ok && result.remoteSdp, result.ok && result.localSdp],
        [true, offer, mine],
      );
      invite.respond(200, { sdp: offer });
      assert.equal(acks().length, 2);
      assert.equal(acks()[1].text, mine);
      assert.equal(call.session.signaling, "stable");
      assert.equal(call.witness.last("updated").snapshot.media?.[0].port, 4008);
      await hungUp(call);
    });

    for (const how of ["rejects it", "says nothing"]) {
      it(`gets a valid refusing answer, then BYE, when the application ${how}`, async () => {
        const { call, outcome, pending, acks, services } = await offered();
        if (how === "rejects it") await pending.reject({ reason: "No thanks" });
        else services.pending.at(-1)?.expire();
        assert.equal(acks().length, 1);
        assert.match(acks()[0].text, REFUSAL);
        assert.deepEqual(services.log.slice(-2), ["ACK →", "BYE →"]);
        const result = await outcome;
        assert.equal(result.ok === false && result.cause, "incompatible-media");
        services.lastSent("BYE").respond(200);
        assert.equal(call.witness.plot.at(-1), "ended:incompatible-media");
        assert.deepEqual(services.leftovers(), []);
      });
    }

    for (const who of ["the peer hangs up", "we hang up", "the stack stops"]) {
      it(`is refused in the ACK when ${who} meanwhile`, async () => {
        const { session, dialog, outcome, invite, offer, pending, acks, services } =
          await offered();
        if (who === "the peer hangs up") services.request(dialog, "BYE");
        else if (who === "we hang up") void session.end();
        else session.forceClose("shutdown");
        assert.match(acks()[0].text, REFUSAL);
        const late = await pending.accept({ sdp: OURS });
        assert.equal(late.ok, false);
        if (who === "we hang up") {
          assert.deepEqual(services.log.slice(-2), ["ACK →", "BYE →"]);
          services.lastSent("BYE").respond(200);
        }
        assert.equal((await outcome).ok, false);
        invite.respond(200, { sdp: offer });
        for (const ack of acks()) assert.match(ack.text, REFUSAL);
        assert.deepEqual(services.leftovers(), []);
      });
    }

    it("whose 2xx comes after the end is refused in its ACK", async () => {
      const call = await calling();
      const outcome = call.session.reinvite({ action: "renegotiate", delayedOffer: true });
      const invite = call.services.lastSent("INVITE");
      call.services.request(call.dialog, "BYE");
      assert.equal((await outcome).ok, false);
      invite.respond(200, { sdp: THEIRS });
      assert.match(call.services.acks.at(-1)?.text ?? "", REFUSAL);
      assert.deepEqual(call.services.leftovers(), []);
    });

    it("keeps an offer of the peer away until it is answered", async () => {
      const { call, pending, dialog, services } = await offered();
      assert.equal(services.request(dialog, "INVITE", { sdp: THEIRS }).status, 491);
      assert.equal(services.request(dialog, "UPDATE", { sdp: THEIRS }).status, 491);
      assert.equal(services.request(dialog, "UPDATE").status, 200);
      await pending.accept({ sdp: OURS });
      await hungUp(call);
    });
  });
});
