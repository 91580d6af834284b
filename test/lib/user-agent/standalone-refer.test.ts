/** A REFER outside of any call that the application takes (RFC 3515 §2.4): followed, or reported by the application. */
import assert from "node:assert/strict";
import type { PendingRequest } from "../../../lib/session/index.js";
import { endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

async function setUp(options: PersonOptions = {}) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const bob = new Person("bob", "10.0.0.2", network, clock, options);
  const carol = new Person("carol", "10.0.0.3", network, clock);
  const peer = await new ScriptedPeer(network, { name: "peer", address: "10.0.0.9" }).start();
  peer.onRequest = (request) => peer.reply(request, 200);
  bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 1_000 });
  await bob.userAgent.start();
  await carol.userAgent.start();
  const refer = async (
    to = "<sip:carol@10.0.0.3>",
    more: readonly string[] = [],
  ): Promise<PendingRequest> => {
    peer.send(
      requestText({
        method: "REFER",
        headers: [
          "Contact: <sip:peer@10.0.0.9>",
          `Refer-To: ${to}`,
          "Referred-By: <sip:peer@10.0.0.9>",
          ...more,
        ],
      }),
      "10.0.0.2",
    );
    await clock.advanceAsync(10);
    const pending = bob.stackEvents.findLast(({ name }) => name === "refer")?.pending;
    assert.ok(pending);
    return pending;
  };
  const told = () =>
    peer.requests
      .filter(({ method }) => method === "NOTIFY")
      .map(
        (notify) =>
          `${notify.text.split("\r\n")[0]} ${notify.headers.get("subscription-state")?.split(";")[0]}`,
      );
  return { clock, bob, carol, peer, refer, told, end: () => endAll(clock, [bob, carol]) };
}

describe("REFER outside of a call", () => {
  it("is followed, with a NOTIFY for each step in one dialog", async () => {
    const { clock, bob, carol, peer, refer, told, end } = await setUp();
    carol.takeCalls((session) => {
      void session.progress();
      void session.accept();
    });
    const outcome = (await refer()).accept({ follow: true });
    await clock.advanceAsync(200);
    const result = await outcome;
    assert.ok(result.ok);
    assert.ok(result.newSession && bob.userAgent.sessions.has(result.newSession.id));
    assert.equal(peer.statuses()[0], 202);
    assert.deepEqual(told(), [
      "SIP/2.0 100 Trying active",
      "SIP/2.0 180 Ringing active",
      "SIP/2.0 200 OK terminated",
    ]);
    const notifies = peer.requests.filter(({ method }) => method === "NOTIFY");
    assert.equal(new Set(notifies.map(({ callId }) => callId)).size, 1);
    assert.ok(notifies.every(({ uri }) => uri === "sip:peer@10.0.0.9"));
    const invite = carol.events.find(([, event]) => event.name === "incoming")?.[1].message;
    assert.equal(invite?.headers.get("referred-by"), "<sip:peer@10.0.0.9>");
    assert.equal(bob.userAgent.counters()["referrals"], 0);
    await end();
  });

  it("tells the refusal of the new call", async () => {
    const { clock, carol, refer, told, end } = await setUp();
    carol.takeCalls((session) => void session.reject({ statusCode: 486 }));
    const outcome = (await refer()).accept({ follow: true });
    await clock.advanceAsync(200);
    const result = await outcome;
    assert.ok(!result.ok && result.cause === "busy");
    assert.equal(told().at(-1), "SIP/2.0 486 Busy Here terminated");
    await end();
  });

  it("is followed without a word when no NOTIFY is wanted (RFC 4488)", async () => {
    const { clock, bob, carol, peer, refer, told, end } = await setUp();
    carol.takeCalls((session) => void session.accept());
    const outcome = (await refer(undefined, ["Refer-Sub: false"])).accept({ follow: true });
    await clock.advanceAsync(200);
    assert.equal((await outcome).ok, true);
    assert.deepEqual(told(), []);
    assert.equal(peer.statuses()[0], 202);
    const plain = await (await refer(undefined, ["Refer-Sub: false"])).accept();
    assert.ok(plain.ok && plain.subscription === undefined);
    assert.equal(bob.userAgent.counters()["referrals"], 0);
    await end();
  });

  it("hands the Replaces of its target to the new call, and tells that it was in vain", async () => {
    const { clock, carol, refer, told, end } = await setUp();
    const to = "<sip:carol@10.0.0.3?Replaces=gone%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=x>";
    const outcome = (await refer(to)).accept({ follow: true });
    await clock.advanceAsync(200);
    const result = await outcome;
    assert.ok(!result.ok && result.statusCode === 481);
    assert.equal(carol.calls.length, 0);
    assert.match(told().at(-1) ?? "", /^SIP\/2.0 481 .* terminated$/);
    await end();
  });

  it("is refused where the dial filter forbids the call", async () => {
    const { clock, peer, refer, end } = await setUp({ dial: ["sip:*@10.0.0.77"] });
    const result = await (await refer()).accept({ follow: true });
    assert.ok(!result.ok && result.cause === "blocked");
    await clock.advanceAsync(10);
    assert.deepEqual(peer.statuses(), [403]);
    await end();
  });

  it("lets the application call and report by itself", async () => {
    const { clock, bob, refer, told, end } = await setUp();
    const result = await (await refer()).accept();
    assert.ok(result.ok && result.subscription);
    await clock.advanceAsync(100);
    assert.equal(bob.userAgent.subscriberFacts(result.subscription)?.eventPackage, "refer");
    const answer = bob.userAgent.notifyReferrer(result.subscription, 200, "OK");
    await clock.advanceAsync(100);
    assert.equal((await answer).statusCode, 200);
    assert.deepEqual(told(), ["SIP/2.0 100 Trying active", "SIP/2.0 200 OK terminated"]);
    assert.equal((await bob.userAgent.notifyReferrer(result.subscription, 200)).ok, false);
    const ended = bob.stackEvents.find(({ name }) => name === "subscription-ended");
    assert.equal(ended?.subscription?.handle, result.subscription);
    await end();
  });

  it("ends its subscription when a NOTIFY is refused, and after three minutes at the latest", async () => {
    for (const status of [481, 200]) {
      const { clock, bob, peer, refer, end } = await setUp();
      peer.onRequest = (request) => peer.reply(request, status);
      const result = await (await refer()).accept();
      assert.ok(result.ok && result.subscription);
      await clock.advanceAsync(status === 481 ? 100 : 181_000);
      assert.equal((await bob.userAgent.notifyReferrer(result.subscription, 200)).ok, false);
      assert.equal(bob.userAgent.counters()["dialogs"], 0);
      await end();
    }
  });

  it("prolongs its subscription when the peer asks, and ends it with Expires 0", async () => {
    const { clock, bob, peer, refer, told, end } = await setUp();
    const result = await (await refer()).accept();
    assert.ok(result.ok && result.subscription);
    await clock.advanceAsync(100);
    const { from, to, callId } = peer.responses[0];
    const subscribe = async (event: string, expires: number, sequence: number): Promise<void> => {
      const text = requestText({
        method: "SUBSCRIBE",
        callId,
        to: to.toString(),
        sequence,
        headers: ["Contact: <sip:peer@10.0.0.9>", `Event: ${event}`, `Expires: ${expires}`],
      });
      peer.send(text.replace(/^(From: .*;tag=)\S+/m, `$1${from.tag}`), "10.0.0.2");
      await clock.advanceAsync(100);
    };
    await subscribe("refer", 600, 2);
    await clock.advanceAsync(300_000);
    assert.equal(bob.userAgent.subscriberFacts(result.subscription)?.eventPackage, "refer");
    await subscribe("refer;id=99", 600, 3);
    await subscribe("refer;id=1", 0, 4);
    assert.deepEqual(peer.statuses(), [202, 200, 489, 200]);
    assert.deepEqual(told(), [
      "SIP/2.0 100 Trying active",
      "SIP/2.0 100 Trying active",
      "SIP/2.0 100 Trying terminated",
    ]);
    assert.equal(bob.userAgent.counters()["referrals"], 0);
    await end();
  });

  for (const [text, to] of [
    ["malformed", "<<sip:carol@"],
    ["a web address", "<http://10.0.0.3>"],
  ] as const) {
    it(`never calls a Refer-To that is ${text}`, async () => {
      const { clock, bob, peer, end } = await setUp();
      peer.send(requestText({ method: "REFER", headers: [`Refer-To: ${to}`] }), "10.0.0.2");
      await clock.advanceAsync(10);
      const pending = bob.stackEvents.findLast(({ name }) => name === "refer")?.pending;
      const result = await pending?.accept({ follow: true });
      assert.notEqual(result?.ok, true);
      await clock.advanceAsync(100);
      assert.ok((peer.statuses()[0] ?? 0) >= 400);
      assert.equal(bob.userAgent.sessions.size, 0);
      await end();
    });
  }

  it("sent by us asks for no NOTIFY, because nobody would follow it", async () => {
    const { clock, bob, peer, end } = await setUp();
    const request = (headers: [string, string][]) =>
      bob.userAgent.request({
        method: "REFER",
        to: "sip:peer@10.0.0.9",
        headers: [["Refer-To", "<sip:carol@10.0.0.3>"], ...headers],
      });
    void request([]);
    void request([["Refer-Sub", "true"]]);
    await clock.advanceAsync(100);
    assert.deepEqual(
      peer.requests.map(({ headers }) => headers.getAll("refer-sub")),
      [["false"], ["true"]],
    );
    await end();
  });
});
