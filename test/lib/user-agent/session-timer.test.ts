/** Session timers between two whole user agents (RFC 4028): who refreshes, for how long, and what silence leads to. */
import assert from "node:assert/strict";
import { aliceAndBob, type PersonOptions } from "../../support/alice-and-bob.js";

async function callUp(people: { readonly alice?: PersonOptions; readonly bob?: PersonOptions }) {
  const world = await aliceAndBob(people);
  world.bob.takeCalls((session) => void session.accept());
  const call = world.alice.userAgent.invite({ targets: [world.bob.uri] });
  await world.pass(100);
  assert.equal(call.state, "established");
  return { ...world, call, minutes: (count: number) => world.pass(count * 60_000) };
}

/** Requests and responses in which a session interval was spoken of. */
const refreshes = (ladder: readonly string[]): number =>
  ladder.filter((line) => /^(INVITE|UPDATE) /.test(line)).length - 1;

describe("session timers between two user agents", () => {
  it("keep a call alive over many intervals, refreshed by the caller", async () => {
    const { network, call, minutes, end } = await callUp({});
    await minutes(100);
    assert.equal(call.state, "established");
    const count = refreshes(network.ladder());
    assert.ok(count >= 5 && count <= 7, String(count));
    assert.ok(network.ladder().every((line) => !/^(INVITE|UPDATE) bob/.test(line)));
    void call.end();
    await end();
  });

  it("repeat the description of a flow that has given its own", async () => {
    const { alice, bob, network, pass, end } = await aliceAndBob({ alice: { media: false } });
    bob.takeCalls((session) => void session.accept());
    const call = alice.userAgent.invite({ targets: [bob.uri], sdp: SDP });
    await pass(2_000_000);
    assert.equal(call.state, "established", alice.heard().join(", "));
    assert.ok(refreshes(network.ladder()) >= 2);
    void call.end();
    await end();
  });

  it("end the call on both sides when the network is gone", async () => {
    const { alice, bob, network, call, minutes, end } = await callUp({});
    network.drop(() => true);
    await minutes(40);
    assert.equal(call.state, "terminated");
    assert.ok(["timeout", "session-expired"].includes(String(alice.last("ended").snapshot.cause)));
    assert.equal(bob.last("ended").snapshot.cause, "session-expired");
    await end();
  });

  it("settle on the longer minimum of the called side by 422", async () => {
    const { alice, network, call, end } = await callUp({
      bob: { minSE: 3600, sessionExpires: 3600 },
    });
    assert.equal(network.ladder().filter((line) => line.startsWith("422")).length, 1);
    assert.deepEqual(alice.heard(call), ["inviting", "answered", "confirmed"]);
    void call.end();
    await end();
  });

  it("are not offered with sessionExpires 0, and Require: timer is refused", async () => {
    const { alice, bob, network, call, minutes, pass, end } = await callUp({
      bob: { sessionExpires: 0 },
    });
    await minutes(120);
    assert.equal(refreshes(network.ladder()), 0);
    const refused = alice.userAgent.invite({ targets: [bob.uri], headers: [["Require", "timer"]] });
    await pass(100);
    assert.equal(refused.state, "terminated");
    assert.equal(alice.last("failed").statusCode, 420);
    void call.end();
    await end();
  });

  it("refuse values that are no seconds", async () => {
    await assert.rejects(aliceAndBob({ alice: { sessionExpires: -1 } }), /sessionExpires/);
    const { alice, bob, end } = await aliceAndBob();
    assert.throws(
      () => alice.userAgent.invite({ targets: [bob.uri], sessionExpires: Number.NaN }),
      /sessionExpires/,
    );
    await end();
  });
});

const SDP = [
  "v=0",
  "o=- 1 1 IN IP4 10.0.0.7",
  "s=-",
  "c=IN IP4 10.0.0.7",
  "t=0 0",
  "m=audio 4000 RTP/AVP 0",
  "a=rtpmap:0 PCMU/8000",
  "",
].join("\r\n");
