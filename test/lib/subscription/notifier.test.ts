/**
 * Subscriptions that peers have with us.
 * 1 acceptance, the empty NOTIFY · 2 refreshes and the end by the peer · 3 the end by the flow and by the clock · 4 refused
 * NOTIFYs · 5 limits, short times, wrong packages · 6 two user agents, with loss · 7 the table.
 */
import assert from "node:assert/strict";
import type { ActionOutcome } from "../../../lib/session/index.js";
import { notifierMachine } from "../../../lib/subscription/index.js";
import { aliceAndBob, type AliceAndBob, type Person } from "../../support/alice-and-bob.js";
import { requestText, ScriptedPeer, type SipRequest } from "../../support/scripted-peer.js";

const BODY = "Messages-Waiting: yes\r\n";
const TYPE = "application/simple-message-summary";

describe("Notifier", () => {
  let world: AliceAndBob;
  let bob: Person;
  let peer: ScriptedPeer;
  let outcomes: ActionOutcome[];
  let notifyStatus: number;

  beforeEach(async () => {
    world = await aliceAndBob();
    bob = world.bob;
    peer = await new ScriptedPeer(world.network, { name: "peer", address: "10.0.0.9" }).start();
    outcomes = [];
    notifyStatus = 200;
    peer.onRequest = (request) => peer.reply(request, notifyStatus, { toTag: "f" });
    take();
  });
  afterEach(() => world.end());

  function take(options: { expires?: number } = {}): void {
    bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 500 });
    bob.userAgent.on("stackEvent", ({ name, pending }) => {
      if (name !== "subscribe" || pending?.pending !== true) return;
      void pending.accept(options).then((outcome) => outcomes.push(outcome));
    });
  }

  const handle = (): string => {
    const [outcome] = outcomes;
    assert.ok(outcome.ok && outcome.subscription !== undefined);
    return outcome.subscription;
  };

  function ask(
    expires: number | undefined,
    more: { event?: string; to?: string; callId?: string; sequence?: number } = {},
  ): void {
    peer.send(
      requestText({
        method: "SUBSCRIBE",
        callId: more.callId ?? "sub-1",
        sequence: more.sequence ?? 1,
        to: more.to,
        headers: [
          "Contact: <sip:peer@10.0.0.9>",
          ...(more.event === "" ? [] : [`Event: ${more.event ?? "message-summary"}`]),
          ...(expires === undefined ? [] : [`Expires: ${expires}`]),
        ],
      }).replace(/^(From: .*;tag=)\S+/m, "$1f"),
      "10.0.0.2",
    );
  }
  const notifies = (): SipRequest[] => peer.requests.filter(({ method }) => method === "NOTIFY");
  const states = (): (string | undefined)[] =>
    notifies().map((request) => request.headers.get("subscription-state"));
  const inDialog = (): string => {
    const tag = peer.responses.find(({ cseq }) => cseq.method === "SUBSCRIBE")?.to.tag;
    return `<sip:bob@10.0.0.2>;tag=${tag}`;
  };

  it("answers 200 with Expires and Contact, and sends an empty NOTIFY after 500 ms", async () => {
    ask(600);
    await world.pass(400);
    const [answer] = peer.responses;
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers.get("expires"), "600");
    assert.match(answer.headers.get("contact") ?? "", /10\.0\.0\.2/);
    assert.equal(notifies().length, 0);
    await world.pass(200);
    assert.deepEqual(states(), ["active;expires=600"]);
    assert.equal(notifies()[0].headers.get("event"), "message-summary");
    assert.equal(notifies()[0].hasBody, false);
  });

  it("sends what the flow says at once, and repeats it to a refresh", async () => {
    ask(600);
    await world.pass(10);
    const told = bob.userAgent.notify(handle(), { contentType: TYPE, body: BODY });
    await world.pass(1_000);
    assert.equal((await told).statusCode, 200);
    assert.equal(notifies().length, 1);
    ask(300, { to: inDialog(), sequence: 2 });
    await world.pass(50);
    assert.equal(notifies().length, 2);
    assert.equal(notifies()[1].text, BODY);
    assert.equal(states()[1], "active;expires=300");
    assert.ok(notifies()[1].cseq.sequence > notifies()[0].cseq.sequence);
  });

  it("ends with a last NOTIFY when the peer unsubscribes", async () => {
    ask(600);
    await world.pass(600);
    ask(0, { to: inDialog(), sequence: 2 });
    await world.pass(50);
    assert.equal(states().at(-1), "terminated;reason=timeout");
    const ended = bob.stackEvents.find(({ name }) => name === "subscription-ended");
    assert.equal(ended?.reason, "unsubscribed");
    assert.equal(ended.subscription?.handle, handle());
    assert.equal((await bob.userAgent.notify(handle(), {})).ok, false);
    ask(600, { to: inDialog(), sequence: 3 });
    await world.pass(50);
    assert.equal(peer.statuses().at(-1), 481);
  });

  it("answers a question for the state with one NOTIFY that is the last", async () => {
    ask(0);
    await world.pass(10);
    void bob.userAgent.notify(handle(), { contentType: TYPE, body: BODY });
    await world.pass(1_000);
    assert.deepEqual(states(), ["terminated;reason=timeout"]);
    assert.equal(bob.userAgent.counters()["subscribers"], 0);
  });

  it("ends when its time is over", async () => {
    ask(60);
    await world.pass(61_000);
    assert.deepEqual(states(), ["active;expires=60", "terminated;reason=timeout"]);
    assert.equal(bob.stackEvents.at(-1)?.reason, "timeout");
  });

  it("ends when the flow says so", async () => {
    ask(600);
    await world.pass(10);
    const state = { state: "terminated", expires: undefined, reason: "rejected" };
    void bob.userAgent.notify(handle(), { state });
    await world.pass(50);
    assert.deepEqual(states(), ["terminated;reason=rejected"]);
    assert.equal(bob.stackEvents.at(-1)?.reason, "rejected");
  });

  it("tells pending until the flow says active", async () => {
    ask(600);
    await world.pass(10);
    const pending = { state: "pending", expires: undefined, reason: undefined };
    void bob.userAgent.notify(handle(), { state: pending });
    await world.pass(1_000);
    assert.deepEqual(states(), ["pending;expires=600"]);
    assert.equal(bob.userAgent.subscriberFacts(handle())?.subscriptionState, "pending");
  });

  it("is over when the peer refuses a NOTIFY with 481", async () => {
    notifyStatus = 481;
    ask(600);
    await world.pass(600);
    const event = bob.stackEvents.at(-1);
    assert.equal(event?.name, "subscription-ended");
    assert.equal(event.statusCode, 481);
    assert.equal(bob.userAgent.counters()["subscribers"], 0);
  });

  it("lives on when the peer is only busy", async () => {
    notifyStatus = 500;
    ask(600);
    await world.pass(600);
    assert.equal(bob.userAgent.counters()["subscribers"], 1);
  });

  it("is over when nobody answers the NOTIFY", async () => {
    peer.onRequest = () => undefined;
    ask(600);
    await world.pass(40_000);
    assert.equal(bob.stackEvents.at(-1)?.reason, "timeout");
    assert.equal(bob.userAgent.counters()["subscribers"], 0);
  });

  it("has one NOTIFY under way, in order, and a bounded queue", async () => {
    const held: SipRequest[] = [];
    peer.onRequest = (request) => void held.push(request);
    ask(600);
    await world.pass(10);
    const all = Array.from({ length: 40 }, (_, n) =>
      bob.userAgent.notify(handle(), { contentType: "text/plain", body: String(n) }),
    );
    await world.pass(10);
    assert.equal(new Set(held.map(({ cseq }) => cseq.sequence)).size, 1);
    for (const request of held) peer.reply(request, 200, { toTag: "f" });
    peer.onRequest = (request) => peer.reply(request, 200, { toTag: "f" });
    await world.pass(500);
    assert.deepEqual(
      notifies().map(({ text }) => text),
      Array.from({ length: 33 }, (_, n) => String(n)),
    );
    const results = await Promise.all(all);
    assert.equal(results.filter(({ ok }) => ok).length, 33);
    assert.equal(results.at(-1)?.ok, false);
  });

  it("demands at least 60 s, and grants what the flow allows", async () => {
    ask(10);
    await world.pass(50);
    assert.equal(peer.responses[0].statusCode, 423);
    assert.equal(peer.responses[0].headers.get("min-expires"), "60");
    assert.deepEqual(outcomes[0], { ok: false, cause: "rejected", statusCode: 423 });
    ask(100_000, { callId: "sub-2" });
    await world.pass(50);
    assert.equal(peer.responses[1].headers.get("expires"), "3600");
  });

  it("refuses what names no package, and another package in the dialog", async () => {
    ask(600, { event: "" });
    await world.pass(50);
    assert.equal(peer.responses[0].statusCode, 489);
    assert.ok(peer.responses[0].headers.has("allow-events"));
    ask(600, { callId: "sub-2" });
    await world.pass(50);
    ask(600, {
      callId: "sub-2",
      to: `<sip:bob@10.0.0.2>;tag=${peer.responses[1].to.tag}`,
      sequence: 2,
      event: "presence",
    });
    await world.pass(50);
    assert.equal(peer.statuses().at(-1), 489);
  });

  it("has a limit per peer", async () => {
    for (let n = 0; n < 201; n++) {
      ask(600, { callId: `many-${n}` });
      await world.pass(5);
    }
    assert.equal(peer.statuses().filter((status) => status === 200).length, 200);
    assert.equal(peer.statuses().at(-1), 503);
    assert.equal(bob.userAgent.counters()["subscribers"], 200);
  });

  it("tells its subscribers when the stack stops", async () => {
    ask(600);
    await world.pass(600);
    await world.end();
    assert.equal(states().at(-1), "terminated;reason=probation;retry-after=30");
  });

  for (let n = 1; n <= 6; n++) {
    it(`tells a subscriber of ours in spite of the loss of packet ${n}`, async () => {
      world.network.onPacket(n, "drop");
      const subscription = world.alice.userAgent.subscribe({
        to: bob.uri,
        eventPackage: "message-summary",
        expires: 100,
      });
      const heard: unknown[] = [];
      subscription.on("notify", ({ parsed }) => heard.push(parsed));
      await world.pass(5_000);
      void bob.userAgent.notify(handle(), { contentType: TYPE, body: BODY });
      await world.pass(200_000);
      assert.equal(subscription.state, "active");
      assert.equal((heard.at(-1) as { waiting: boolean }).waiting, true);
      await Promise.all([subscription.unsubscribe(), world.pass(1_000)]);
      assert.equal(bob.userAgent.counters()["subscribers"], 0);
    });
  }

  it("has exactly the rows of its table", () => {
    const rows = Object.entries(notifierMachine.table).map(
      ([state, row]) =>
        `${state}: ${Object.entries(row)
          .map(([input, cell]) => `${input}→${cell.next}`)
          .join(" ")}`,
    );
    assert.deepEqual(rows, [
      "accepted: notify→notifying notifyFinal→closing close→ended",
      "idle: notify→notifying notifyFinal→closing close→ended",
      "notifying: delivered→idle refused→ended close→ended",
      "closing: delivered→ended refused→ended close→ended",
      "ended: ",
    ]);
  });
});
