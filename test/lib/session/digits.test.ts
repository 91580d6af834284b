/**
 * Digits that we send. Requirements: the method fits what was negotiated; `,` pauses; one sequence after the other;
 * other characters are refused; the end of the call ends them.
 */
import assert from "node:assert/strict";
import { InvalidArgumentError, MediaError } from "../../../lib/foundation/index.js";
import { establishedCall, hungUp, type Call } from "../../support/established-call.js";
import { outcomeOf } from "../../support/fake-services.js";
import { settle } from "../../support/manual-clock.js";

const SENT = { ok: true, statusCode: 200 };
const OVER = { ok: false, cause: "no-session", statusCode: 0 };

function infos(call: Call): string[] {
  return call.services.sent.map(({ sent }) => sent.text.replace(/\r\n/g, " ").trim());
}

describe("sendDigits", () => {
  it("uses telephone events where they are negotiated, with pauses", async () => {
    const call = await establishedCall();
    const sent = call.session.sendDigits({ digits: "1a,,*#" });
    await settle();
    const { digits } = call.services.media.last.audio ?? { digits: [] };
    assert.deepEqual(digits, ["rfc4733:1A"]);
    await call.services.clock.advanceAsync(999);
    assert.equal(digits.length, 1);
    await call.services.clock.advanceAsync(1);
    assert.deepEqual(digits, ["rfc4733:1A", "rfc4733:*#"]);
    assert.deepEqual(await sent, SENT);
    await hungUp(call);
  });

  it("uses INFO where the peer allows it, then tones", async () => {
    const noEvents = async (allow: string): Promise<Call> => {
      const call = await establishedCall(() => undefined, allow);
      const reInvite = call.services.request(call.dialog, "INVITE", { sdp: "v=0 no-events" });
      call.services.ack(reInvite.request, call.dialog);
      return call;
    };
    const withInfo = await noEvents("INVITE, INFO");
    void withInfo.session.sendDigits({ digits: "5", duration: 160 });
    await settle();
    assert.deepEqual(infos(withInfo), ["Signal=5 Duration=160"]);
    await hungUp(withInfo);
    const without = await noEvents("");
    assert.deepEqual(await without.session.sendDigits({ digits: "5" }), SENT);
    assert.deepEqual(without.services.media.last.audio?.digits, ["inband:5"]);
    await hungUp(without);
  });

  it("sends each INFO after the answer to the one before and its time", async () => {
    const call = await establishedCall();
    const sent = call.session.sendDigits({ digits: "12", method: "info-relay", gap: 50 });
    await settle();
    assert.deepEqual(infos(call), ["Signal=1 Duration=100"]);
    await call.services.clock.advanceAsync(400);
    assert.equal(infos(call).length, 1);
    call.services.lastSent("INFO").respond(200);
    await call.services.clock.advanceAsync(0);
    assert.equal(infos(call).length, 2);
    assert.equal(call.services.lastSent("INFO").sent.contentType, "application/dtmf-relay");
    call.services.lastSent("INFO").respond(200);
    assert.deepEqual(await sent, SENT);
    const plain = call.session.sendDigits({ digits: "#", method: "info-dtmf" });
    await settle();
    assert.equal(infos(call).at(-1), "#");
    assert.equal(call.services.lastSent("INFO").sent.contentType, "application/dtmf");
    call.services.lastSent("INFO").respond(415);
    const refused = await plain;
    assert.deepEqual([refused.ok, refused.statusCode], [false, 415]);
    await hungUp(call);
  });

  it("sends one sequence after the other", async () => {
    const call = await establishedCall();
    const audio = call.services.media.last.audio;
    assert.ok(audio);
    audio.deferred = true;
    const first = call.session.sendDigits({ digits: "1" });
    const second = call.session.sendDigits({ digits: "2" });
    await settle();
    assert.deepEqual(audio.digits, ["rfc4733:1"]);
    audio.release?.();
    assert.deepEqual(await first, SENT);
    await settle();
    assert.deepEqual(audio.digits, ["rfc4733:1", "rfc4733:2"]);
    audio.release?.();
    assert.deepEqual(await second, SENT);
    await hungUp(call);
  });

  for (const method of ["rfc4733", "info-relay"] as const) {
    it(`by ${method} ends with the call`, async () => {
      const call = await establishedCall();
      const audio = call.services.media.last.audio;
      assert.ok(audio);
      audio.deferred = true;
      const first = call.session.sendDigits({ digits: "12,3", method });
      const second = call.session.sendDigits({ digits: "4", method });
      await settle();
      await hungUp(call);
      assert.deepEqual(await first, OVER);
      assert.deepEqual(await second, OVER);
      assert.deepEqual(await call.session.sendDigits({ digits: "1" }), OVER);
    });
  }

  it("ends with the call also in the middle of a pause", async () => {
    const call = await establishedCall();
    const paused = call.session.sendDigits({ digits: ",1" });
    const between = call.session.sendDigits({ digits: "12", method: "info-dtmf" });
    await settle();
    await call.services.clock.advanceAsync(500);
    call.services.lastSent("INFO").respond(200);
    await settle();
    assert.deepEqual(await paused, SENT);
    await hungUp(call);
    assert.deepEqual(await between, OVER);
  });

  it("ends the call and itself when the peer has lost the dialog", async () => {
    const call = await establishedCall();
    const sent = call.session.sendDigits({ digits: "12", method: "info-relay" });
    await settle();
    call.services.lastSent("INFO").respond(481);
    assert.equal((await outcomeOf(sent)) !== "pending" && (await sent).ok, false);
    assert.equal(call.session.state, "terminated");
    assert.deepEqual(call.services.leftovers(), []);
  });

  it("refuses other characters, and sound where none is negotiated", async () => {
    const call = await establishedCall((services) => (services.mediaHandler = undefined));
    for (const digits of ["", "12x", "1 2", "1\r\n"]) {
      await assert.rejects(call.session.sendDigits({ digits }), InvalidArgumentError);
    }
    await assert.rejects(
      call.session.sendDigits({ digits: "1", method: "inband" }),
      (error) => error instanceof MediaError && error.rule === "no-media",
    );
    await hungUp(call);
  });
});
