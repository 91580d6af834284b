/** Calls between two whole user agents over a network in memory, as ladders. */
import assert from "node:assert/strict";
import { aliceAndBob } from "../../support/alice-and-bob.js";

describe("calls between two user agents", () => {
  it("places a call that is answered and hung up by the caller", async () => {
    const { alice, bob, network, pass, end } = await aliceAndBob();
    bob.takeCalls((session) => {
      void session.progress();
      void session.accept();
    });
    const call = alice.userAgent.invite({ targets: [bob.uri] });
    await pass(100);
    assert.equal(call.state, "established");
    void call.end();
    await pass(100);
    assert.deepEqual(network.ladder(), [
      "INVITE alice → bob",
      "180 bob → alice",
      "200 bob → alice",
      "PRACK alice → bob",
      "ACK alice → bob",
      "200 bob → alice",
      "BYE alice → bob",
      "200 bob → alice",
    ]);
    assert.deepEqual(alice.heard(), [
      "inviting",
      "progress",
      "answered",
      "confirmed",
      "bye",
      "ended",
    ]);
    assert.deepEqual(bob.heard(), [
      "incoming",
      "progress",
      "answered",
      "confirmed",
      "bye",
      "ended",
    ]);
    assert.equal(alice.last("ended").snapshot.cause, "local-bye");
    assert.equal(bob.last("ended").snapshot.cause, "remote-bye");
    await end();
  });
});
