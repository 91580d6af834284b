/**
 * What happens to a subscription of ours in each of its states: NOTIFYs in any order, refusals, the wish to end it and
 * the end of everything.
 */
import assert from "node:assert/strict";
import { NOTIFIER, SubscriptionBench } from "../../support/subscription-bench.js";

describe("Subscription in each state", () => {
  let bench: SubscriptionBench;
  beforeEach(async () => {
    bench = await new SubscriptionBench().start();
  });
  afterEach(() => bench.end());

  const silent = (): void => {
    bench.notifier.onRequest = () => undefined;
  };
  const reasons = (): string[] => bench.ended.map(({ reason }) => reason);
  const expiresSent = (): (string | undefined)[] =>
    bench.subscribes().map((request) => request.headers.get("expires"));

  /** A subscription that is active, or pending. */
  async function up(state: "active" | "pending", more: { resubscribe?: boolean } = {}) {
    bench.serve(600, { state: `${state};expires=600` });
    const subscription = bench.subscribe({ expires: 600, ...more });
    await bench.pass(50);
    assert.equal(subscription.state, state);
    return subscription;
  }
  const told = async (state: string): Promise<void> => {
    bench.notify(bench.subscribes()[0], { state });
    await bench.pass(50);
  };
  /** The answer to a refresh whose time has come. */
  async function refreshed(statusCode: number, least = "900"): Promise<void> {
    let answered = false;
    bench.notifier.onRequest = (request) => {
      if (answered) {
        bench.serve(900);
        bench.notifier.onRequest(request);
        return;
      }
      answered = true;
      bench.notifier.reply(request, statusCode, { headers: [["Min-Expires", least]] });
    };
    await bench.pass(600_000);
  }

  describe("before its SUBSCRIBE is sent", () => {
    it("is over without a word when it is not wanted any more", async () => {
      const subscription = bench.subscribe();
      await subscription.unsubscribe();
      await bench.pass(100);
      assert.deepEqual(reasons(), ["unsubscribed"]);
      assert.equal(bench.subscribes().length, 0);
    });

    it("is over without a word when everything ends", async () => {
      bench.subscribe().close();
      await bench.pass(100);
      assert.deepEqual(reasons(), ["shutdown"]);
      assert.equal(bench.subscribes().length, 0);
    });
  });

  it("forgets a SUBSCRIBE that is not answered yet when everything ends", async () => {
    silent();
    const subscription = bench.subscribe();
    await bench.pass(100);
    subscription.close();
    await bench.pass(40_000);
    assert.deepEqual(reasons(), ["shutdown"]);
    // Repeats of the same one, no second.
    assert.equal(new Set(bench.subscribes().map(({ cseq }) => cseq.sequence)).size, 1);
  });

  it("waits for the last NOTIFY of a SUBSCRIBE that is not wanted any more, with 200 or pending", async () => {
    bench.notifier.onRequest = (request) => {
      if (request.headers.get("expires") === "0") {
        bench.accept(request, 0);
        bench.notify(request, { state: "terminated;reason=timeout" });
      } else {
        bench.accept(request, 600);
      }
    };
    const subscription = bench.subscribe();
    await bench.pass(100);
    const over = subscription.unsubscribe();
    assert.equal(subscription.state, "leaving");
    await told("pending;expires=600");
    await Promise.all([over, bench.pass(100)]);
    assert.deepEqual(expiresSent(), ["3600", "0"]);
    assert.deepEqual(reasons(), ["unsubscribed"]);
    assert.equal(bench.notified.length, 0);
  });

  it("is over as it was wished when its SUBSCRIBE is refused while it is not wanted any more", async () => {
    silent();
    const subscription = bench.subscribe();
    await bench.pass(10);
    const over = subscription.unsubscribe();
    bench.notifier.reply(bench.subscribes()[0], 503);
    await Promise.all([over, bench.pass(100)]);
    assert.deepEqual(reasons(), ["unsubscribed"]);
    assert.equal(bench.ended[0].retryAfter, undefined);
  });

  it("is over at once when everything ends while it is not wanted any more", async () => {
    silent();
    const subscription = bench.subscribe();
    await bench.pass(10);
    void subscription.unsubscribe();
    subscription.close();
    await bench.pass(40_000);
    assert.deepEqual(reasons(), ["shutdown"]);
  });

  for (const state of ["active", "pending"] as const) {
    describe(`when it is ${state}`, () => {
      it("becomes pending and active as the notifier says", async () => {
        const subscription = await up(state);
        for (const next of ["pending", "pending", "active", "active"]) {
          await told(`${next};expires=600`);
          assert.equal(subscription.state, next);
          assert.equal(subscription.subscriptionState, next);
        }
        assert.equal(bench.notified.length, 5);
      });

      it("is refreshed, by the clock and by the application", async () => {
        const subscription = await up(state);
        subscription.refresh();
        await bench.pass(50);
        assert.equal(bench.subscribes().length, 2);
        await bench.pass(545_000);
        assert.equal(bench.subscribes().length, 3);
        assert.equal(subscription.state, state);
      });

      it("takes a NOTIFY that overtakes the 200 of its refresh", async () => {
        const subscription = await up(state);
        bench.notifier.onRequest = (request) => {
          bench.notify(request, { state: `${state};expires=600` });
        };
        subscription.refresh();
        await bench.pass(20);
        bench.accept(bench.subscribes()[1], 300);
        await bench.pass(20);
        assert.equal(subscription.state, state);
        assert.equal(subscription.expires, 300);
        bench.serve(300);
      });

      it("asks for longer when a refresh is too brief", async () => {
        const subscription = await up(state);
        await refreshed(423);
        assert.deepEqual(expiresSent().slice(0, 3), ["600", "600", "900"]);
        assert.equal(subscription.state, "active");
        assert.equal(bench.ended.length, 0);
      });

      it("is made anew after it was lost", async () => {
        const subscription = await up(state);
        await told("terminated;reason=deactivated");
        assert.equal(subscription.state, "waiting");
        await bench.pass(5_000);
        assert.equal(subscription.state, state);
      });

      it("is over when the notifier rejects it", async () => {
        const subscription = await up(state);
        await told("terminated;reason=rejected");
        assert.equal(subscription.state, "terminated");
        assert.deepEqual(reasons(), ["rejected"]);
      });

      it("is unsubscribed", async () => {
        const subscription = await up(state);
        await Promise.all([subscription.unsubscribe(), bench.pass(50)]);
        assert.deepEqual(expiresSent(), ["600", "0"]);
      });

      it("is over without a word when everything ends", async () => {
        const subscription = await up(state);
        subscription.close();
        await bench.pass(1_000_000);
        assert.deepEqual(reasons(), ["shutdown"]);
        assert.equal(bench.subscribes().length, 1);
      });
    });
  }

  describe("when it is being unsubscribed", () => {
    it("ignores what the notifier had on its way", async () => {
      const subscription = await up("active");
      bench.notifier.onRequest = (request) => bench.accept(request, 0);
      const over = subscription.unsubscribe();
      await bench.pass(20);
      await told("active;expires=300");
      await told("pending;expires=300");
      assert.equal(subscription.state, "unsubscribing");
      await told("terminated;reason=timeout");
      await over;
      assert.equal(bench.notified.length, 1);
      assert.deepEqual(reasons(), ["unsubscribed"]);
      assert.deepEqual(bench.answers(), [200, 200, 200, 200]);
    });

    it("is over as it was wished when nobody answers", async () => {
      const subscription = await up("active");
      silent();
      await Promise.all([subscription.unsubscribe(), bench.pass(33_000)]);
      assert.deepEqual(reasons(), ["unsubscribed"]);
      assert.equal(bench.ended[0].retryAfter, undefined);
    });

    it("is over at once when everything ends", async () => {
      const subscription = await up("active");
      silent();
      void subscription.unsubscribe();
      await bench.pass(100);
      subscription.close();
      assert.equal(subscription.state, "terminated");
      assert.deepEqual(reasons(), ["shutdown"]);
    });
  });

  describe("when it waits to be made anew", () => {
    it("is made at once when the application asks for it", async () => {
      const subscription = await up("active");
      await told("terminated;reason=probation;retry-after=300");
      assert.equal(subscription.state, "waiting");
      subscription.refresh();
      await bench.pass(100);
      assert.equal(subscription.state, "active");
      const all = bench.subscribes();
      assert.notEqual(all[1].callId, all[0].callId);
      await bench.pass(400_000);
      assert.equal(bench.subscribes().length, 2);
    });

    it("is over without a word when everything ends", async () => {
      const subscription = await up("active");
      await told("terminated;reason=probation;retry-after=300");
      subscription.close();
      await bench.pass(400_000);
      assert.deepEqual(reasons(), ["probation", "shutdown"]);
      assert.equal(bench.subscribes().length, 1);
    });
  });

  it("is over at once when the stack stops and the notifier is gone", async () => {
    await up("active");
    silent();
    await bench.end();
    assert.deepEqual(reasons(), ["shutdown"]);
    assert.equal(bench.subscribes()[1]?.uri, `sip:bob@${NOTIFIER}`);
  });
});
