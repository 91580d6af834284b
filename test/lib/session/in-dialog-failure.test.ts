/**
 * What failure responses inside a call destroy (RFC 5057 §5). Requirements:
 *  1. Codes that say that the dialog is gone end the call at once; those that say that the call is gone end it by BYE;
 *     all others leave it alone. The last event says which response it was.
 *  2. Requests of subscriptions, and a REFER whose target does not exist, never harm the call.
 */
import assert from "node:assert/strict";
import { destroyedBy, consequences } from "../../../lib/session/in-dialog-failure.js";
import { establishedCall, hungUp } from "../../support/established-call.js";

const GONE = [404, 410, 416, 481, 482, 483, 484, 485, 502, 604];
const ENDED = [405, 480, 501];
const HARMLESS = [
  400, 401, 402, 403, 406, 407, 412, 413, 414, 415, 417, 420, 421, 423, 428, 429, 436, 437, 438,
  486, 487, 488, 489, 493, 494, 499, 503, 504, 505, 513, 580, 599, 600, 603, 606, 699,
];

describe("A failure response inside a call (RFC 5057 §5.1)", () => {
  for (const statusCode of GONE) {
    it(`${statusCode} to a re-INVITE means that the dialog is gone: the call ends without BYE`, async () => {
      const { services, session, witness } = await establishedCall();
      const outcome = session.reinvite({ action: "hold" });
      services.lastSent("INVITE").respond(statusCode);
      assert.equal((await outcome).statusCode, statusCode);
      assert.deepEqual(witness.plot, ["ended:dialog-error"]);
      assert.equal(witness.last("ended").statusCode, statusCode);
      assert.deepEqual(services.leftovers(), []);
    });
  }

  for (const statusCode of ENDED) {
    it(`${statusCode} to a re-INVITE means that the call is gone: it ends by BYE, and the last event says why`, async () => {
      const { services, session, witness } = await establishedCall();
      const outcome = session.reinvite({ action: "hold" });
      services.lastSent("INVITE").respond(statusCode, { reason: "Gone fishing" });
      assert.equal((await outcome).statusCode, statusCode);
      services.lastSent("BYE").respond(200);
      assert.deepEqual(witness.plot, ["bye", "ended:dialog-error"]);
      const { statusCode: told, reason } = witness.last("ended");
      assert.deepEqual([told, reason], [statusCode, "Gone fishing"]);
      assert.deepEqual(services.leftovers(), []);
    });
  }

  it("any other leaves the call as it was", async () => {
    const call = await establishedCall();
    for (const statusCode of HARMLESS) {
      const outcome = call.session.request({ method: "INFO" });
      call.services.lastSent("INFO").respond(statusCode);
      assert.equal((await outcome).statusCode, statusCode);
      assert.equal(call.session.state, "established", String(statusCode));
      assert.equal(destroyedBy("INVITE", statusCode), "transaction");
    }
    assert.deepEqual(call.witness.plot, []);
    await hungUp(call);
  });

  it("an unknown method is refused without harm, though a call without INVITE is none (405, 501, 480)", async () => {
    const call = await establishedCall();
    for (const statusCode of ENDED) {
      for (const method of ["INFO", "MESSAGE", "OPTIONS", "PUBLISH"]) {
        const outcome = call.session.request({ method });
        call.services.lastSent(method).respond(statusCode);
        assert.equal((await outcome).ok, false);
      }
    }
    assert.equal(call.session.state, "established");
    await hungUp(call);
  });

  it("INFO hears that the dialog is gone, too", async () => {
    const { services, session, witness } = await establishedCall();
    void session.request({ method: "INFO" });
    services.lastSent("INFO").respond(404);
    assert.deepEqual(witness.plot, ["ended:dialog-error"]);
    assert.deepEqual(services.leftovers(), []);
  });

  it("a transfer to an address that does not exist leaves the call as it was; 481 does not", async () => {
    const call = await establishedCall();
    for (const statusCode of [404, 480, 484, 604]) {
      const outcome = call.session.refer({ to: "sip:nobody@example.com" });
      call.services.lastSent("REFER").respond(statusCode);
      assert.equal((await outcome).statusCode, statusCode);
      assert.equal(call.session.state, "established");
    }
    void call.session.refer({ to: "sip:nobody@example.com" });
    call.services.lastSent("REFER").respond(481);
    assert.deepEqual(call.witness.plot, ["ended:dialog-error"]);
    assert.deepEqual(call.services.leftovers(), []);
  });

  it("a subscription beside the call ends alone, whatever its response is", () => {
    for (const statusCode of consequences.keys()) {
      for (const method of ["NOTIFY", "SUBSCRIBE", "BYE"]) {
        assert.equal(destroyedBy(method, statusCode), "transaction");
      }
    }
  });

  it("that crosses our BYE changes nothing of why we hung up", async () => {
    const { services, session, witness } = await establishedCall();
    void session.request({ method: "INFO" });
    const info = services.lastSent("INFO");
    void session.end();
    info.respond(480);
    services.lastSent("BYE").respond(200);
    assert.equal(witness.plot.at(-1), "ended:local-bye");
    assert.deepEqual(services.leftovers(), []);
  });
});
