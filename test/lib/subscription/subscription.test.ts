/**
 * Subscriptions of ours, between a real user agent and a notifier that the test plays.
 * 1 first NOTIFY before and after the 2xx · 2 refreshes · 3 423 · 4 losses and what follows · 5 unsubscribing · 6 NOTIFYs
 * that belong to nobody, are late, forked or wrong · 7 loss of packets · 8 the end of the stack.
 */
import assert from "node:assert/strict";
import { subscriberMachine } from "../../../lib/subscription/index.js";
import { NOTIFIER, SubscriptionBench, type NotifyText } from "../../support/subscription-bench.js";

describe("Subscription", () => {
  let bench: SubscriptionBench;
  beforeEach(async () => {
    bench = await new SubscriptionBench().start();
  });
  afterEach(() => bench.end());

  it("is made by SUBSCRIBE, 200 and NOTIFY (RFC 6665 §4.1.2.1)", async () => {
    bench.serve(600);
    const subscription = bench.subscribe({ expires: 600 });
    await bench.pass(50);
    const [subscribe] = bench.subscribes();
    assert.equal(subscribe.headers.get("event"), "presence");
    assert.equal(subscribe.headers.get("expires"), "600");
    assert.equal(subscribe.headers.get("accept"), "application/pidf+xml");
    assert.match(subscribe.headers.get("contact") ?? "", /10\.0\.0\.1/);
    assert.equal(subscription.state, "active");
    assert.equal(bench.notified.length, 1);
    assert.deepEqual(bench.answers(), [200]);
    assert.equal(subscription.expires, 600);
  });

  it("is made by a NOTIFY that overtakes the 200", async () => {
    const subscription = bench.subscribe();
    bench.notifier.onRequest = (request) => {
      if (request.method === "SUBSCRIBE" && bench.sequence === 0) bench.notify(request);
      else if (request.method === "SUBSCRIBE") bench.accept(request, 600);
    };
    await bench.pass(5);
    assert.equal(subscription.state, "active");
    await bench.pass(2_000);
    assert.equal(subscription.state, "active");
    bench.serve(600);
  });

  it("takes 202 as 200 and a 200 without Expires", async () => {
    bench.notifier.onRequest = (request) => {
      bench.notifier.reply(request, 202, { toTag: "n1", contact: `<sip:bob@${NOTIFIER}>` });
      bench.notify(request, { state: "pending" });
    };
    const subscription = bench.subscribe({ expires: 100 });
    await bench.pass(50);
    assert.equal(subscription.state, "pending");
    assert.equal(subscription.subscriptionState, "pending");
    assert.equal(subscription.expires, 100);
    bench.serve(100);
  });

  it("refreshes in the dialog at 80 to 90 % of the smaller time", async () => {
    bench.serve(600, { state: "active;expires=100" });
    bench.subscribe({ expires: 600 });
    await bench.pass(79_000);
    assert.equal(bench.subscribes().length, 1);
    await bench.pass(12_000);
    const [first, second] = bench.subscribes();
    assert.equal(second.callId, first.callId);
    assert.equal(second.to.tag, "n1");
    assert.ok(second.cseq.sequence > first.cseq.sequence);
    assert.equal(bench.notified.length, 2);
  });

  it("asks again with what a 423 demands", async () => {
    bench.notifier.onRequest = (request) => {
      if (request.headers.get("expires") !== "300") {
        bench.notifier.reply(request, 423, { headers: [["Min-Expires", "300"]] });
      } else {
        bench.serve(300);
        bench.notifier.onRequest(request);
      }
    };
    const subscription = bench.subscribe({ expires: 60 });
    await bench.pass(50);
    assert.equal(subscription.state, "active");
    assert.equal(bench.subscribes().length, 2);
  });

  it("gives up at a notifier that raises its minimum for ever", async () => {
    bench.notifier.onRequest = (request) => {
      const least = Number(request.headers.get("expires")) * 2;
      bench.notifier.reply(request, 423, { headers: [["Min-Expires", String(least)]] });
    };
    bench.subscribe({ expires: 60 });
    await bench.pass(100);
    assert.equal(bench.subscribes().length, 3);
    assert.equal(bench.ended[0]?.statusCode, 423);
  });

  it("reports the refusal of the first SUBSCRIBE and is over", async () => {
    bench.notifier.onRequest = (request) => bench.notifier.reply(request, 404);
    const subscription = bench.subscribe();
    await bench.pass(50);
    assert.equal(subscription.state, "terminated");
    const [end] = bench.ended;
    assert.deepEqual(
      [end.statusCode, end.reason, end.cause, end.retryAfter],
      [404, "Not Found", "not-found", undefined],
    );
    assert.deepEqual(bench.alice.heardOfStack(), ["subscription-ended"]);
  });

  it("reports the 481 that ended a refresh, and subscribes anew", async () => {
    bench.serve(100);
    const subscription = bench.subscribe({ expires: 100 });
    await bench.pass(50);
    bench.notifier.onRequest = (request) => bench.notifier.reply(request, 481);
    await bench.pass(91_000);
    const [end] = bench.ended;
    assert.equal(end.statusCode, 481);
    assert.equal(end.cause, "dialog-error");
    assert.ok(end.retryAfter !== undefined && end.retryAfter <= 2);
    bench.serve(100);
    await bench.pass(10_000);
    assert.equal(subscription.state, "active");
    const all = bench.subscribes();
    assert.notEqual(all.at(-1)?.callId, all[0].callId);
    assert.equal(all.at(-1)?.to.tag, undefined);
  });

  it("is over after a 481 when resubscribing is not wanted", async () => {
    bench.serve(100);
    const subscription = bench.subscribe({ expires: 100, resubscribe: false });
    await bench.pass(50);
    bench.notifier.onRequest = (request) => bench.notifier.reply(request, 481);
    await bench.pass(91_000);
    assert.equal(subscription.state, "terminated");
    assert.equal(bench.ended[0]?.retryAfter, undefined);
  });

  it("ends when nobody answers, and tries again ever more rarely", async () => {
    const subscription = bench.subscribe();
    await bench.pass(32_500);
    assert.equal(bench.ended[0]?.reason, "timeout");
    assert.equal(bench.ended[0]?.statusCode, 0);
    await bench.pass(600_000);
    assert.equal(subscription.state !== "terminated", true);
    assert.ok(bench.ended.length < 12, String(bench.ended.length));
    await Promise.all([subscription.unsubscribe(), bench.pass(40_000)]);
  });

  it("ends when the 200 is followed by no NOTIFY (Timer N)", async () => {
    bench.notifier.onRequest = (request) => bench.accept(request, 600);
    bench.subscribe({ resubscribe: false });
    await bench.pass(31_900);
    assert.equal(bench.ended.length, 0);
    await bench.pass(200);
    assert.equal(bench.ended[0]?.reason, "timeout");
  });

  for (const [reason, comesBack] of [
    ["deactivated", true],
    ["probation", true],
    ["timeout", true],
    ["giveup", true],
    ["rejected", false],
    ["noresource", false],
    ["invariant", false],
  ] as const) {
    it(`${comesBack ? "subscribes anew" : "stays away"} after ${reason} (RFC 6665 §4.1.3)`, async () => {
      bench.serve(600);
      const subscription = bench.subscribe();
      await bench.pass(50);
      bench.notify(bench.subscribes()[0], { state: `terminated;reason=${reason}` });
      await bench.pass(50);
      assert.equal(bench.ended[0]?.reason, reason);
      assert.equal(bench.ended[0]?.retryAfter !== undefined, comesBack);
      await bench.pass(5_000);
      assert.equal(subscription.state, comesBack ? "active" : "terminated");
      assert.equal(bench.subscribes().length, comesBack ? 2 : 1);
    });
  }

  it("waits as long as retry-after says", async () => {
    bench.serve(600);
    bench.subscribe();
    await bench.pass(50);
    bench.notify(bench.subscribes()[0], { state: "terminated;reason=probation;retry-after=120" });
    await bench.pass(119_000);
    assert.equal(bench.subscribes().length, 1);
    await bench.pass(4_000);
    assert.equal(bench.subscribes().length, 2);
  });

  it("makes no storm with a notifier that deactivates at once, again and again", async () => {
    bench.serve(600, { state: "terminated;reason=deactivated" });
    bench.subscribe();
    await bench.pass(600_000);
    assert.ok(bench.subscribes().length < 14, String(bench.subscribes().length));
  });

  it("unsubscribes with Expires 0 and takes the last NOTIFY", async () => {
    bench.serve(600);
    const subscription = bench.subscribe();
    await bench.pass(50);
    await Promise.all([subscription.unsubscribe(), bench.pass(50)]);
    assert.equal(bench.subscribes().at(-1)?.headers.get("expires"), "0");
    assert.equal(bench.ended[0]?.reason, "unsubscribed");
    assert.deepEqual(bench.answers(), [200, 200]);
    assert.equal(subscription.state, "terminated");
  });

  it("unsubscribes as soon as there is a dialog when it was asked before", async () => {
    bench.serve(600);
    const subscription = bench.subscribe();
    await bench.pass(1);
    const over = subscription.unsubscribe();
    await Promise.all([over, bench.pass(100)]);
    assert.deepEqual(
      bench.subscribes().map((request) => request.headers.get("expires")),
      ["3600", "0"],
    );
  });

  it("gives up waiting for the last NOTIFY after Timer N", async () => {
    bench.serve(600);
    const subscription = bench.subscribe();
    await bench.pass(50);
    bench.notifier.onRequest = (request) => bench.accept(request, 0);
    await Promise.all([subscription.unsubscribe(), bench.pass(32_100)]);
    assert.equal(bench.ended[0]?.reason, "unsubscribed");
  });

  it("asks for the state once with Expires 0", async () => {
    bench.serve(600);
    bench.notifier.onRequest = (request) => {
      bench.accept(request, 0);
      bench.notify(request, { state: "terminated;reason=timeout", body: PIDF });
    };
    bench.subscribe({ expires: 0 });
    await bench.pass(50);
    assert.equal(bench.notified.length, 1);
    assert.equal(bench.ended.length, 1);
    assert.equal(bench.ended[0]?.retryAfter, undefined);
    assert.equal(bench.subscribes().length, 1);
  });

  it("refuses the NOTIFYs of further forks of a package for one dialog with 481, and late ones", async () => {
    bench.serve(600);
    const subscription = bench.subscribe();
    await bench.pass(50);
    const [subscribe] = bench.subscribes();
    bench.notify(subscribe, { tag: "other" });
    await bench.pass(50);
    assert.deepEqual(bench.answers(), [200, 481]);
    await Promise.all([subscription.unsubscribe(), bench.pass(50)]);
    bench.notify(subscribe);
    await bench.pass(50);
    assert.deepEqual(bench.answers(), [200, 481, 200, 481]);
    assert.equal(bench.notified.length, 1);
  });

  it("refuses NOTIFYs of another package, without state, and out of order", async () => {
    bench.serve(600);
    bench.subscribe();
    await bench.pass(50);
    const [subscribe] = bench.subscribes();
    bench.notify(subscribe, { event: "dialog" });
    await bench.pass(20);
    bench.notify(subscribe, { event: "" });
    await bench.pass(20);
    bench.notify(subscribe, { state: "" });
    await bench.pass(20);
    bench.notify(subscribe, { sequence: 1 });
    await bench.pass(20);
    assert.deepEqual(bench.answers(), [200, 489, 489, 400, 500]);
    assert.equal(bench.notified.length, 1);
  });

  it("follows the notifier to a new Contact", async () => {
    bench.serve(600);
    const subscription = bench.subscribe();
    await bench.pass(50);
    const [subscribe] = bench.subscribes();
    bench.notify(subscribe, { contact: `<sip:moved@${NOTIFIER}>` });
    await bench.pass(50);
    subscription.refresh();
    await bench.pass(50);
    assert.equal(bench.subscribes().at(-1)?.uri, `sip:moved@${NOTIFIER}`);
  });

  it("is not woken twice by a repeated NOTIFY", async () => {
    bench.serve(600);
    bench.subscribe();
    bench.network.rule((packet) => (packet.label === "NOTIFY" ? "duplicate" : undefined));
    await bench.pass(100);
    assert.equal(bench.notified.length, 1);
  });

  it("asks for the full state when a partial dialog-info was missed, but not at any pace", async () => {
    const partial = (version: number): NotifyText => ({
      event: "dialog",
      contentType: "application/dialog-info+xml",
      body: `<dialog-info version="${version}" state="partial" entity="sip:b@x"><dialog id="${version}"><state>early</state></dialog></dialog-info>`,
    });
    bench.notifier.onRequest = (request) => {
      bench.accept(request, 600);
      bench.sequence++;
      bench.notify(request, partial(bench.sequence * 5));
    };
    bench.subscribe({ eventPackage: "dialog", expires: 600 });
    await bench.pass(60_000);
    const count = bench.subscribes().length;
    assert.ok(count > 1 && count < 9, String(count));
    bench.notifier.onRequest = (request) => bench.notifier.reply(request, 481);
  });

  it("gives no subscription for nonsense", () => {
    const { userAgent } = bench.alice;
    const to = `sip:bob@${NOTIFIER}`;
    assert.throws(() => userAgent.subscribe({ to, eventPackage: "" }), /event package/);
    assert.throws(() => userAgent.subscribe({ to, eventPackage: "a\r\nb" }), /event package/);
    assert.throws(() => userAgent.subscribe({ to: "bob", eventPackage: "presence" }));
    assert.throws(() => userAgent.subscribe({ to, eventPackage: "presence", expires: -1 }));
    assert.throws(() => userAgent.subscribe({ to, eventPackage: "presence", account: "none" }));
  });

  it("is told to be over when the stack stops", async () => {
    bench.serve(600);
    bench.subscribe();
    await bench.pass(50);
    await bench.end();
    assert.equal(bench.ended[0]?.reason, "unsubscribed");
    assert.equal(bench.subscribes().at(-1)?.headers.get("expires"), "0");
  });

  for (let n = 1; n <= 8; n++) {
    it(`survives the loss of packet ${n}`, async () => {
      bench.serve(100, { body: PIDF });
      const subscription = bench.subscribe({ expires: 100 });
      bench.network.onPacket(n, "drop");
      await bench.pass(150_000);
      assert.ok(["active", "waiting", "notifyWait"].includes(subscription.state));
      await bench.pass(60_000);
      assert.equal(subscription.state, "active");
      assert.equal((bench.notified[0]?.parsed as { status: string }).status, "open");
    });
  }
});

const PIDF = `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@x"><tuple id="1"><status><basic>open</basic></status></tuple></presence>`;

describe("Subscriber machine", () => {
  it("has exactly the rows of its table", () => {
    const rows = Object.entries(subscriberMachine.table).map(
      ([state, row]) =>
        `${state}: ${Object.entries(row)
          .map(([input, cell]) => `${input}→${cell.next}`)
          .join(" ")}`,
    );
    assert.deepEqual(rows, [
      "init: start→notifyWait notifyPending→pending notifyActive→active unsubscribe→terminated close→terminated",
      "notifyWait: accepted→notifyWait tooBrief→notifyWait notifyPending→pending notifyActive→active lost→waiting over→terminated unsubscribe→leaving close→terminated",
      "pending: accepted→pending tooBrief→pending notifyPending→pending notifyActive→active lost→waiting over→terminated refreshDue→pending unsubscribe→unsubscribing close→terminated",
      "active: accepted→active tooBrief→active notifyPending→pending notifyActive→active lost→waiting over→terminated refreshDue→active unsubscribe→unsubscribing close→terminated",
      "leaving: notifyPending→unsubscribing notifyActive→unsubscribing over→terminated close→terminated",
      "unsubscribing: notifyPending→unsubscribing notifyActive→unsubscribing over→terminated close→terminated",
      "waiting: retryDue→notifyWait start→notifyWait unsubscribe→terminated close→terminated",
      "terminated: ",
    ]);
  });
});
