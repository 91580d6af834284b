/**
 * A SUBSCRIBE that a proxy has forked: NOTIFYs with other From tags (RFC 6665 §4.1.4).
 * 1 packages that allow it, and how the states are merged · 2 refresh and end of each dialog · 3 the first dialog is lost ·
 * 4 limits, late ones, ended ones, wrong ones.
 */
import assert from "node:assert/strict";
import { type NotifyText, SubscriptionBench } from "../../support/subscription-bench.js";
import type { SipRequest } from "../../support/scripted-peer.js";

const TERMINATED = "terminated;reason=timeout";

describe("Forked subscription", () => {
  let bench: SubscriptionBench;
  beforeEach(async () => {
    bench = await new SubscriptionBench().start();
  });
  afterEach(() => bench.end());

  /** What a phone with this tag says: one call in that state. */
  const phone = (tag: string, state: string, more: NotifyText = {}): NotifyText => ({
    event: "dialog",
    tag,
    contact: `<sip:${tag}@10.0.0.9>`,
    contentType: "application/dialog-info+xml",
    body: `<dialog-info version="0" state="full" entity="sip:b@x"><dialog id="${tag}"><state>${state}</state></dialog></dialog-info>`,
    ...more,
  });
  const notify = async (text: NotifyText, subscribe = bench.subscribes()[0]): Promise<void> => {
    bench.notify(subscribe, text);
    await bench.pass(20);
  };
  /** Each phone answers what is sent to its own Contact. */
  const phonesAnswer = (state = "confirmed", expires = 600): void => {
    bench.notifier.onRequest = (request: SipRequest) => {
      if (request.method !== "SUBSCRIBE") return;
      const isEnd = request.headers.get("expires") === "0";
      bench.accept(request, isEnd ? 0 : expires);
      const user = /^sip:(\w+)@/.exec(request.uri)?.[1] ?? "";
      if (user === "bob") return;
      bench.notify(
        request,
        phone(user, state, isEnd ? { state: TERMINATED, body: undefined } : {}),
      );
    };
  };
  const status = (): unknown => (bench.notified.at(-1)?.parsed as { status: string }).status;
  const sentTo = (user: string): SipRequest[] =>
    bench.subscribes().filter(({ uri }) => uri.startsWith(`sip:${user}@`));

  async function forked(more: { expires?: number; resubscribe?: boolean } = {}) {
    phonesAnswer();
    const subscription = bench.subscribe({ eventPackage: "dialog", expires: 600, ...more });
    await bench.pass(50);
    await notify(phone("one", "terminated"));
    await notify(phone("two", "early"));
    assert.deepEqual(bench.answers(), [200, 200]);
    return subscription;
  }

  it("shows the busiest of all phones that answer", async () => {
    await forked();
    assert.equal(status(), "ringing");
    await notify(phone("one", "confirmed"));
    assert.equal(status(), "busy");
    await notify(phone("two", "terminated"));
    assert.equal(status(), "busy");
    await notify(phone("one", "terminated"));
    assert.equal(status(), "idle");
    assert.deepEqual(new Set(bench.answers()), new Set([200]));
    assert.equal(bench.ended.length, 0);
  });

  it("adds up the messages of all that keep some", async () => {
    const box = (tag: string, text: string): NotifyText => ({
      event: "message-summary",
      tag,
      contentType: "application/simple-message-summary",
      body: text.replaceAll("|", "\r\n"),
    });
    bench.notifier.onRequest = (request) => bench.accept(request, 600);
    bench.subscribe({ eventPackage: "message-summary", expires: 600 });
    await bench.pass(50);
    await notify(box("one", "Messages-Waiting: no|Voice-Message: 0/3"));
    await notify(
      box("two", "Messages-Waiting: yes|Message-Account: sip:b@x|Voice-Message: 2/1 (1/0)"),
    );
    assert.deepEqual(bench.notified.at(-1)?.parsed, {
      waiting: true,
      account: "sip:b@x",
      voice: { new: 2, old: 4, urgentNew: 1, urgentOld: 0 },
    });
    bench.notifier.onRequest = (request) => bench.notifier.reply(request, 481);
  });

  it("keeps one dialog of presence, and of packages that it does not know (RFC 3856 §6.9)", async () => {
    for (const eventPackage of ["presence", "reg"]) {
      bench.serve(600, { event: eventPackage });
      bench.subscribe({ eventPackage, expires: 600 });
      await bench.pass(50);
      await notify({ event: eventPackage, tag: "two" }, bench.subscribes().at(-1));
    }
    assert.deepEqual(bench.answers(), [200, 481, 200, 481]);
    bench.notifier.onRequest = (request) => bench.notifier.reply(request, 481);
  });

  it("is refreshed in each dialog", async () => {
    const subscription = await forked();
    await bench.pass(545_000);
    assert.equal(sentTo("one").length, 1);
    assert.equal(sentTo("two").length, 1);
    assert.equal(sentTo("two")[0].to.tag, "two");
    subscription.refresh();
    await bench.pass(50);
    assert.equal(sentTo("one").length, 2);
    assert.equal(sentTo("two").length, 2);
  });

  it("is ended in each dialog", async () => {
    const subscription = await forked();
    await Promise.all([subscription.unsubscribe(), bench.pass(100)]);
    for (const user of ["one", "two"]) {
      assert.equal(sentTo(user).at(-1)?.headers.get("expires"), "0");
    }
    assert.deepEqual(bench.answers(), [200, 200, 200, 200]);
    assert.deepEqual(
      bench.ended.map(({ reason }) => reason),
      ["unsubscribed"],
    );
    assert.equal(bench.alice.userAgent.subscriptions.size, 0);
  });

  it("forgets a phone that ends, and tells it", async () => {
    await forked();
    await notify(phone("two", "", { state: "terminated;reason=noresource", body: undefined }));
    assert.equal(status(), "idle");
    assert.equal(bench.ended.length, 0);
    await notify(phone("two", "early"));
    assert.equal(bench.answers().at(-1), 481);
    assert.equal(status(), "idle");
  });

  it("forgets a phone that does not answer a refresh any more", async () => {
    const subscription = await forked();
    bench.notifier.onRequest = (request) => {
      if (request.uri.startsWith("sip:two@")) bench.notifier.reply(request, 481);
      else {
        phonesAnswer("terminated");
        bench.notifier.onRequest(request);
      }
    };
    await bench.pass(545_000);
    assert.equal(status(), "idle");
    assert.equal(subscription.state, "active");
    phonesAnswer();
  });

  it("comes back to the others when the first phone is gone for good", async () => {
    const subscription = await forked();
    const end = { state: "terminated;reason=noresource", body: undefined };
    await notify(phone("one", "", end));
    assert.equal(bench.ended[0].reason, "noresource");
    assert.ok(bench.ended[0].retryAfter !== undefined);
    // The old dialog of the second is ended, a new one begins.
    assert.equal(sentTo("two").at(-1)?.headers.get("expires"), "0");
    await bench.pass(3_000);
    const fresh = bench.subscribes().at(-1);
    assert.ok(fresh);
    assert.notEqual(fresh.callId, bench.subscribes()[0].callId);
    await notify(phone("two", "early"), fresh);
    assert.equal(subscription.state, "active");
    assert.equal(status(), "ringing");
  });

  it("takes up to eight further phones", async () => {
    await forked();
    for (let n = 3; n < 13; n++) await notify(phone(`p${n}`, "terminated"));
    const answers = bench.answers();
    assert.equal(answers.filter((code) => code === 200).length, 9);
    assert.equal(answers.filter((code) => code === 481).length, 3);
    assert.equal(bench.alice.userAgent.subscriptions.size, 1);
  });

  it("takes a new phone only as long as Timer N would run", async () => {
    phonesAnswer();
    bench.subscribe({ eventPackage: "dialog", expires: 600 });
    await bench.pass(50);
    await notify(phone("one", "early"));
    await bench.pass(33_000);
    await notify(phone("two", "confirmed"));
    assert.deepEqual(bench.answers(), [200, 481]);
  });

  it("takes none while it is being ended", async () => {
    const subscription = await forked();
    bench.notifier.onRequest = (request) => bench.accept(request, 0);
    void subscription.unsubscribe();
    await bench.pass(20);
    await notify(phone("three", "early"));
    assert.equal(bench.answers().at(-1), 481);
  });

  it("refuses a first NOTIFY of a further phone that is wrong, and takes the right one after it", async () => {
    await forked();
    await notify(phone("three", "early", { event: "presence" }));
    await notify(phone("three", "early", { state: "" }));
    await notify(phone("three", "confirmed"));
    assert.deepEqual(bench.answers().slice(2), [489, 400, 200]);
    assert.equal(status(), "busy");
  });

  it("takes the word of a phone that ends with its first NOTIFY", async () => {
    await forked();
    await notify(phone("three", "", { state: "terminated;reason=rejected", body: undefined }));
    assert.equal(bench.answers().at(-1), 200);
    assert.equal(status(), "ringing");
    assert.equal(bench.ended.length, 0);
  });

  it("takes a phone that is pending", async () => {
    await forked();
    await notify(phone("three", "", { state: "pending;expires=600", body: undefined }));
    await notify(phone("three", "confirmed"));
    assert.deepEqual(bench.answers().slice(2), [200, 200]);
    assert.equal(status(), "busy");
  });

  it("leaves nothing behind when the stack stops and no phone answers", async () => {
    await forked();
    bench.notifier.onRequest = () => undefined;
    await bench.end();
    assert.deepEqual(
      bench.ended.map(({ reason }) => reason),
      ["shutdown"],
    );
  });
});
