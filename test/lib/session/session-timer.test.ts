/**
 * Session timers (RFC 4028). Requirements:
 *  1. The INVITE asks (§7.1), a 422 is obeyed with the same Call-ID and tag, a higher CSeq, and not for ever (§7.3).
 *  2. The 2xx decides who refreshes (§7.2); without Session-Expires there is no timer.
 *  3. As UAS: 422 with Min-SE for too little, else Session-Expires with refresher, Require as table 2 wants (§9).
 *  4. The refresher sends UPDATE at half the interval, else tells the flow and re-INVITEs (§7.4, contract §4.5).
 *  5. Refusals are tried again, not continuously; 481 ends the call, silence ends it.
 *  6. The other side hangs up before the session expires; every refresh of either side begins the interval anew (§10).
 *  7. A BYE that crosses leaves nothing behind.
 */
import assert from "node:assert/strict";
import { TransactionTimeoutError } from "../../../lib/foundation/index.js";
import {
  IncomingSession,
  OutgoingSession,
  type OutgoingSessionOptions,
} from "../../../lib/session/index.js";
import {
  ALICE,
  FakeServices,
  Witness,
  outcomeOf,
  type FakeRequest,
} from "../../support/fake-services.js";

const ANSWER = "v=0 answer";
const UPDATE: readonly [string, string] = ["Allow", "INVITE, ACK, BYE, UPDATE"];

function place(services: FakeServices, change: Partial<OutgoingSessionOptions> = {}) {
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
    ...change,
  });
  const witness = new Witness(session);
  session.begin();
  services.clock.advance(0);
  return { session, witness, invite: services.lastSent("INVITE") };
}

/** A call of ours that is up. @param expires - Session-Expires of the 2xx. */
function established(services: FakeServices, expires: string | undefined, allow = UPDATE) {
  const call = place(services);
  call.invite.respond(200, {
    sdp: ANSWER,
    headers: expires === undefined ? [allow] : [allow, ["Session-Expires", expires]],
  });
  assert.equal(call.session.state, "established");
  call.witness.events.length = 0;
  services.log.length = 0;
  return { ...call, dialog: services.dialogOf(call.session) };
}

/** A call of the peer that is up. */
async function taken(services: FakeServices, headers: readonly (readonly [string, string])[]) {
  const transaction = services.invite({ sdp: "v=0 first", headers });
  const session = new IncomingSession(services, transaction, { account: ALICE });
  const witness = new Witness(session);
  assert.equal(session.begin(), true);
  const accepted = session.accept();
  await outcomeOf(accepted);
  const dialog = services.dialogOf(session);
  services.ack(transaction.request, dialog);
  await accepted;
  witness.events.length = 0;
  services.log.length = 0;
  return { session, witness, dialog, response: transaction.last };
}

function header(request: FakeRequest, name: string): string | undefined {
  return request.sent.headers.get(name);
}

describe("SessionTimer", () => {
  let services: FakeServices;

  beforeEach(() => {
    services = new FakeServices();
    services.sessionTimer = { sessionExpires: 1800, minSE: 90 };
  });

  const seconds = (count: number): void => services.clock.advance(count * 1000);

  async function hungUp(session: OutgoingSession | IncomingSession): Promise<void> {
    const ended = session.end();
    services.lastSent("BYE").respond(200);
    await ended;
    assert.deepEqual(services.leftovers(), []);
  }

  describe("in an INVITE of ours", () => {
    it("asks for the interval of the stack, and tells a minimum only above 90", async () => {
      const { invite } = place(services);
      assert.equal(header(invite, "session-expires"), "1800");
      assert.equal(header(invite, "min-se"), undefined);
      services.sessionTimer = { sessionExpires: 60, minSE: 120 };
      const second = place(services).invite;
      assert.equal(header(second, "session-expires"), "120");
      assert.equal(header(second, "min-se"), "120");
    });

    it("asks for the call's own interval, never below 90, and for none with 0", () => {
      assert.equal(
        header(place(services, { sessionExpires: 600 }).invite, "session-expires"),
        "600",
      );
      assert.equal(header(place(services, { sessionExpires: 5 }).invite, "session-expires"), "90");
      assert.equal(
        header(place(services, { sessionExpires: 0 }).invite, "session-expires"),
        undefined,
      );
    });

    it("says nothing when timers are off, and obeys no timer of the peer", async () => {
      services.sessionTimer = { sessionExpires: 0, minSE: 90 };
      const { session, invite } = place(services);
      assert.equal(header(invite, "session-expires"), undefined);
      invite.respond(200, { sdp: ANSWER, headers: [["Session-Expires", "90;refresher=uac"]] });
      seconds(600);
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("obeys a 422 with the same Call-ID and tag and a higher CSeq (§7.3)", async () => {
      const { session, invite } = place(services);
      invite.respond(422, { headers: [["Min-SE", "3600"]] });
      const again = services.lastSent("INVITE");
      assert.notEqual(again, invite);
      assert.equal(again.sent.callId, invite.sent.callId);
      assert.equal(again.sent.from.tag, invite.sent.from.tag);
      assert.equal(again.sent.to.tag, undefined);
      assert.equal(again.sent.cseq.sequence, invite.sent.cseq.sequence + 1);
      assert.equal(header(again, "session-expires"), "3600");
      assert.equal(header(again, "min-se"), "3600");
      again.respond(200, { sdp: ANSWER, toTag: "b" });
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("does not obey a 422 that asks for what was offered, or for nothing", () => {
      for (const headers of [[["Min-SE", "1800"]], [], [["Min-SE", "1e9"]]] as [
        string,
        string,
      ][][]) {
        const { witness, invite } = place(services);
        invite.respond(422, { headers });
        assert.deepEqual(witness.plot, ["inviting", "rejected:422", "failed:rejected"]);
      }
      assert.deepEqual(services.leftovers(), []);
    });

    it("gives up when every 422 wants more than the last", () => {
      const { witness } = place(services);
      for (let count = 1; count <= 5; count++) {
        services.lastSent("INVITE").respond(422, { headers: [["Min-SE", String(2000 * count)]] });
      }
      assert.equal(services.sent.length, 5);
      assert.equal(witness.plot.at(-1), "failed:rejected");
      assert.deepEqual(services.leftovers(), []);
    });
  });

  describe("as the refresher", () => {
    it("refreshes by UPDATE at half the interval, three times", async () => {
      const { session, witness } = established(services, "90;refresher=uac");
      for (let round = 1; round <= 3; round++) {
        seconds(44.9);
        assert.equal(services.sent.length, round);
        seconds(0.1);
        const update = services.lastSent("UPDATE");
        assert.equal(services.sent.length, round + 1);
        assert.equal(header(update, "session-expires"), "90;refresher=uac");
        assert.equal(update.sent.headers.get("contact"), "<sip:alice@192.0.2.1:5060>");
        assert.equal(update.sent.body.length, 0);
        update.respond(200, { headers: [["Session-Expires", "90;refresher=uac"]] });
      }
      assert.deepEqual(witness.plot, []);
      await hungUp(session);
    });

    it("refreshes when a 2xx has forgotten to say who does", async () => {
      const { session } = established(services, "200");
      seconds(100);
      assert.equal(services.lastSent("UPDATE").method, "UPDATE");
      services.lastSent("UPDATE").respond(200);
      seconds(2000);
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("hangs up before the session expires when the refresh is not answered", async () => {
      const { session, witness } = established(services, "90;refresher=uac");
      seconds(59.9);
      assert.equal(session.state, "established");
      seconds(0.1);
      services.lastSent("BYE").respond(200);
      assert.deepEqual(witness.plot, ["bye", "ended:session-expired"]);
      assert.equal(services.lastSent("UPDATE").abandoned, true);
      assert.deepEqual(services.leftovers(), []);
    });

    it("hangs up when the refresh times out, and at once on 408", () => {
      for (const silent of [true, false]) {
        const { witness } = established(services, "1800;refresher=uac");
        seconds(900);
        const update = services.lastSent("UPDATE");
        if (silent) update.fail(new TransactionTimeoutError("no answer"));
        else update.respond(408);
        services.lastSent("BYE").respond(200);
        assert.deepEqual(witness.plot, ["bye", "ended:timeout"]);
      }
      assert.deepEqual(services.leftovers(), []);
    });

    it("ends the call without BYE when the peer has lost the dialog", () => {
      const { witness } = established(services, "90;refresher=uac");
      seconds(45);
      services.lastSent("UPDATE").respond(481);
      assert.deepEqual(witness.plot, ["ended:dialog-error"]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("waits after 491 as long as the owner of the Call-ID has to, then tries again", async () => {
      const { session } = established(services, "90;refresher=uac");
      seconds(45);
      const update = services.lastSent("UPDATE");
      update.respond(491);
      seconds(2);
      assert.equal(services.lastSent("UPDATE"), update);
      seconds(2);
      assert.notEqual(services.lastSent("UPDATE"), update);
      services
        .lastSent("UPDATE")
        .respond(200, { headers: [["Session-Expires", "90;refresher=uac"]] });
      seconds(40);
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("obeys a 422 and Retry-After of a refresh", async () => {
      const { session } = established(services, "90;refresher=uac");
      seconds(45);
      services.lastSent("UPDATE").respond(422, { headers: [["Min-SE", "200"]] });
      seconds(1);
      const longer = services.lastSent("UPDATE");
      assert.equal(header(longer, "session-expires"), "200;refresher=uac");
      assert.equal(header(longer, "min-se"), "200");
      longer.respond(500, { headers: [["Retry-After", "3"]] });
      seconds(2.9);
      assert.equal(services.lastSent("UPDATE"), longer);
      seconds(0.1);
      services
        .lastSent("UPDATE")
        .respond(200, { headers: [["Session-Expires", "200;refresher=uac"]] });
      seconds(99);
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("does not ask continuously when it is refused, and hangs up in time (§7.3)", () => {
      const { witness } = established(services, "1800;refresher=uac");
      for (let left = 20; left > 0 && witness.plot.length === 0; left--) {
        seconds(100);
        const last = services.lastSent(services.sent.at(-1)?.method ?? "");
        if (last.method === "UPDATE" && !services.log.at(-1)?.startsWith("←")) last.respond(488);
      }
      const updates = services.sent.filter(({ method }) => method === "UPDATE");
      assert.ok(updates.length >= 2 && updates.length <= 5, String(updates.length));
      assert.equal(services.sent.at(-1)?.method, "BYE");
      services.lastSent("BYE").respond(200);
      assert.deepEqual(witness.plot, ["bye", "ended:session-expired"]);
      assert.deepEqual(services.leftovers(), []);
    });

    it("sends nothing faster than every two seconds, whatever is granted", async () => {
      const { session } = established(services, "0;refresher=uac");
      seconds(1.9);
      assert.equal(services.sent.length, 1);
      seconds(0.1);
      assert.equal(services.sent.length, 2);
      await hungUp(session);
    });

    it("lives with an interval longer than any timer", async () => {
      const { session } = established(services, "4294967295;refresher=uac");
      seconds(10 * 24 * 3600);
      assert.equal(services.sent.length, 1);
      await hungUp(session);
    });

    it("leaves nothing behind when its refresh crosses a BYE", () => {
      const { witness, dialog } = established(services, "90;refresher=uac");
      seconds(45);
      const update = services.lastSent("UPDATE");
      services.request(dialog, "BYE");
      assert.deepEqual(witness.plot, ["bye", "ended:remote-bye"]);
      assert.equal(update.abandoned, true);
      update.respond(200, { headers: [["Session-Expires", "90;refresher=uac"]] });
      assert.deepEqual(services.leftovers(), []);
    });

    it("does not refresh any more when our BYE is on its way", async () => {
      const { session } = established(services, "90;refresher=uac");
      seconds(44);
      const ended = session.end();
      seconds(30);
      assert.equal(services.sent.at(-1)?.method, "BYE");
      services.lastSent("BYE").respond(200);
      await ended;
      assert.deepEqual(services.leftovers(), []);
    });

    it("tells the flow first where the peer takes no UPDATE", async () => {
      const { session, witness } = established(services, "90;refresher=uac", [
        "Allow",
        "INVITE, BYE",
      ]);
      seconds(37);
      assert.deepEqual(witness.plot, ["refresh-needed"]);
      assert.equal(services.sent.length, 1);
      await hungUp(session);
    });

    it("re-INVITEs with its last description when the flow does nothing for 5 s", async () => {
      const call = established(services, "90;refresher=uac", ["Allow", "INVITE, BYE"]);
      for (let round = 1; round <= 3; round++) {
        seconds(40.9);
        assert.equal(services.lastSent("INVITE").sent.cseq.sequence, round);
        seconds(0.1);
        await outcomeOf(Promise.resolve());
        const reinvite = services.lastSent("INVITE");
        assert.equal(reinvite.sent.cseq.sequence, round + 1);
        assert.equal(reinvite.sent.text, call.invite.sent.text);
        assert.equal(header(reinvite, "session-expires"), "90;refresher=uac");
        reinvite.respond(200, { sdp: ANSWER, headers: [["Session-Expires", "90;refresher=uac"]] });
        await outcomeOf(Promise.resolve());
        assert.equal(services.acks.length, round + 1);
      }
      await hungUp(call.session);
    });

    it("takes a re-INVITE of the flow for the refresh, and sends no other", async () => {
      const { session, witness } = established(services, "90;refresher=uac", ["Allow", "INVITE"]);
      seconds(36);
      assert.deepEqual(witness.plot, ["refresh-needed"]);
      const done = session.reinvite({ action: "renegotiate" });
      await outcomeOf(done);
      const reinvite = services.lastSent("INVITE");
      assert.equal(header(reinvite, "session-expires"), "90;refresher=uac");
      seconds(8);
      assert.equal(services.lastSent("INVITE"), reinvite);
      reinvite.respond(200, { sdp: ANSWER, headers: [["Session-Expires", "90;refresher=uac"]] });
      assert.equal((await done).ok, true);
      seconds(35);
      assert.equal(services.lastSent("INVITE"), reinvite);
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("falls back to re-INVITE when UPDATE is unknown after all", async () => {
      const { session } = established(services, "90;refresher=uac");
      seconds(45);
      services.lastSent("UPDATE").respond(501);
      await outcomeOf(Promise.resolve());
      const reinvite = services.lastSent("INVITE");
      assert.equal(header(reinvite, "session-expires"), "90;refresher=uac");
      reinvite.respond(200, { sdp: ANSWER, headers: [["Session-Expires", "90;refresher=uac"]] });
      await outcomeOf(Promise.resolve());
      seconds(59);
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("keeps the timer when a hold of the flow is refused", async () => {
      const { session } = established(services, "90;refresher=uac");
      const held = session.reinvite({ action: "hold" });
      await outcomeOf(held);
      services.lastSent("INVITE").respond(488);
      assert.equal((await held).ok, false);
      seconds(31);
      services
        .lastSent("UPDATE")
        .respond(200, { headers: [["Session-Expires", "90;refresher=uac"]] });
      seconds(44);
      assert.equal(session.state, "established");
      await hungUp(session);
    });
  });

  describe("with the peer as the refresher", () => {
    it("hangs up 32 s or a third before the session expires", () => {
      for (const [interval, at] of [
        ["1800;refresher=uas", 1768],
        ["90;refresher=uas", 60],
      ] as const) {
        const { witness } = established(services, interval);
        seconds(at - 0.1);
        assert.deepEqual(witness.plot, []);
        seconds(0.1);
        services.lastSent("BYE").respond(200);
        assert.deepEqual(witness.plot, ["bye", "ended:session-expired"]);
      }
      assert.deepEqual(services.leftovers(), []);
    });

    it("begins anew with every re-INVITE of the peer, in whose answer the timer goes on", async () => {
      const { session, dialog } = established(services, "90;refresher=uas");
      for (let round = 0; round < 3; round++) {
        seconds(45);
        const reinvite = services.request(dialog, "INVITE", {
          sdp: "v=0 again",
          headers: [
            ["Supported", "timer"],
            ["Session-Expires", "90;refresher=uac"],
          ],
        });
        await outcomeOf(Promise.resolve());
        assert.equal(reinvite.status, 200);
        assert.equal(reinvite.last.headers.get("session-expires"), "90;refresher=uac");
        assert.equal(reinvite.last.headers.get("require"), "timer");
        services.ack(reinvite.request, dialog);
      }
      seconds(59);
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("gives the timer up when a refresh of the peer has none, and knows no timer", async () => {
      const { session, dialog } = established(services, "90;refresher=uas");
      const reinvite = services.request(dialog, "INVITE", { sdp: "v=0 again" });
      await outcomeOf(Promise.resolve());
      assert.equal(reinvite.last.headers.get("session-expires"), undefined);
      services.ack(reinvite.request, dialog);
      seconds(4000);
      assert.equal(session.state, "established");
      await hungUp(session);
    });

    it("refuses a re-INVITE with too short an interval and keeps the old one", async () => {
      const { session, dialog } = established(services, "1800;refresher=uas");
      const reinvite = services.request(dialog, "INVITE", {
        sdp: "v=0 again",
        headers: [
          ["Supported", "timer"],
          ["Session-Expires", "20"],
        ],
      });
      assert.equal(reinvite.status, 422);
      assert.equal(reinvite.last.headers.get("min-se"), "90");
      seconds(1700);
      assert.equal(session.state, "established");
      await hungUp(session);
    });
  });

  describe("in our 2xx", () => {
    const timer: readonly [string, string] = ["Supported", "replaces, Timer"];

    for (const [title, headers, expected, require] of [
      [
        "the caller refreshes where it says so",
        [timer, ["Session-Expires", "120;refresher=uac"]],
        "120;refresher=uac",
        "timer",
      ],
      [
        "the caller refreshes where it leaves that open",
        [timer, ["x", "120"]],
        "120;refresher=uac",
        "timer",
      ],
      [
        "we refresh where the caller wants that",
        [timer, ["Session-Expires", "120 ; refresher=uas"]],
        "120;refresher=uas",
        "timer",
      ],
      [
        "we refresh where a proxy asks and the caller cannot",
        [["Session-Expires", "120;refresher=uac"]],
        "120;refresher=uas",
        undefined,
      ],
      [
        "too long an interval is shortened to ours",
        [timer, ["Session-Expires", "7200"]],
        "1800;refresher=uac",
        "timer",
      ],
      [
        "it is not shortened below the caller's Min-SE",
        [timer, ["Session-Expires", "7200"], ["Min-SE", "3600"]],
        "3600;refresher=uac",
        "timer",
      ],
      ["we ask where the caller only supports it", [timer], "1800;refresher=uac", "timer"],
      [
        "too short an interval is taken from who does not know 422",
        [["Session-Expires", "60"]],
        "60;refresher=uas",
        undefined,
      ],
      ["there is no timer for who knows none", [], undefined, undefined],
      ["a malformed interval counts as none", [["Session-Expires", "soon"]], undefined, undefined],
    ] as [string, [string, string][], string | undefined, string | undefined][]) {
      it(`says that ${title} (§9)`, async () => {
        const { session, response } = await taken(services, headers);
        assert.equal(response.headers.get("session-expires"), expected);
        assert.equal(response.headers.get("require"), require);
        await hungUp(session);
      });
    }

    it("is a 422 with Min-SE when the interval is too short, and nobody hears of a call", () => {
      const transaction = services.invite({
        sdp: "v=0 first",
        headers: [timer, ["Session-Expires", "89"]],
      });
      const session = new IncomingSession(services, transaction, { account: ALICE });
      const witness = new Witness(session);
      assert.equal(session.begin(), false);
      assert.equal(transaction.status, 422);
      assert.equal(transaction.last.headers.get("min-se"), "90");
      assert.deepEqual(witness.events, []);
      assert.deepEqual(services.leftovers(), []);
    });

    it("takes every interval with a minimum of 0", async () => {
      services.sessionTimer = { sessionExpires: 1800, minSE: 0 };
      const { session, response } = await taken(services, [timer, ["Session-Expires", "10"]]);
      assert.equal(response.headers.get("session-expires"), "10;refresher=uac");
      await hungUp(session);
    });

    it("makes us refresh and hang up like the caller would", async () => {
      const { witness } = await taken(services, [
        timer,
        UPDATE,
        ["Session-Expires", "90;refresher=uas"],
      ]);
      seconds(45);
      assert.equal(header(services.lastSent("UPDATE"), "session-expires"), "90;refresher=uac");
      services
        .lastSent("UPDATE")
        .respond(200, { headers: [["Session-Expires", "90;refresher=uas"]] });
      seconds(60);
      services.lastSent("BYE").respond(200);
      assert.deepEqual(witness.plot, ["bye", "ended:session-expired"]);
      assert.deepEqual(services.leftovers(), []);
    });
  });
});
