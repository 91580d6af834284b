/** A subscription of a peer that is ended without a word, in each of its states, and the last NOTIFY that is lost. */
import assert from "node:assert/strict";
import { TransactionTimeoutError } from "../../../lib/foundation/index.js";
import { createRequest, NameAddr, SipUri } from "../../../lib/message/index.js";
import type { StackEvent } from "../../../lib/user-agent/index.js";
import { PeerSubscriptions } from "../../../lib/user-agent/peer-subscriptions.js";
import { FakeServerTransaction, FakeServices } from "../../support/fake-services.js";
import { settle } from "../../support/manual-clock.js";

describe("Notifier that is closed", () => {
  let services: FakeServices;
  let events: StackEvent[];
  let subscriptions: PeerSubscriptions;

  beforeEach(() => {
    services = new FakeServices();
    events = [];
    subscriptions = new PeerSubscriptions({ services, report: (event) => events.push(event) });
  });
  afterEach(() => {
    assert.deepEqual(services.leftovers(), []);
    assert.equal(subscriptions.size, 0);
  });

  function accepted(): string {
    const subscribe = createRequest({
      method: "SUBSCRIBE",
      uri: "sip:alice@192.0.2.1",
      from: new NameAddr(new SipUri("sip", "bob", "192.0.2.2"), undefined, new Map([["tag", "b"]])),
      to: new NameAddr(new SipUri("sip", "alice", "192.0.2.1")),
      callId: "s",
      sequence: 1,
      contact: "<sip:bob@192.0.2.2:5070>",
      headers: [["Event", "presence"]],
    });
    subscribe.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bKs");
    const transaction = new FakeServerTransaction(services, subscribe, services.flow);
    const handle = subscriptions.accepted(transaction, undefined, 600);
    assert.ok(handle !== undefined);
    return handle;
  }
  const stateOf = (handle: string): string | undefined => subscriptions.get(handle)?.state;
  const reasons = (): (string | undefined)[] => events.map(({ reason }) => reason);

  it("before its first NOTIFY", () => {
    const handle = accepted();
    assert.equal(stateOf(handle), "accepted");
    subscriptions.close();
    assert.deepEqual(reasons(), ["shutdown"]);
    assert.equal(services.sent.length, 0);
  });

  it("between two NOTIFYs", async () => {
    const handle = accepted();
    void subscriptions.notify(handle, {});
    services.lastSent("NOTIFY").respond(200);
    await settle();
    assert.equal(stateOf(handle), "idle");
    subscriptions.close();
    assert.deepEqual(reasons(), ["shutdown"]);
    assert.equal(services.sent.length, 1);
  });

  it("with one NOTIFY under way and one waiting: both are told to be lost", async () => {
    const handle = accepted();
    const told = [1, 2].map(async () => subscriptions.notify(handle, {}));
    assert.equal(stateOf(handle), "notifying");
    subscriptions.close();
    for (const outcome of await Promise.all(told)) {
      assert.equal(outcome?.ok === false && outcome.cause, "no-request");
    }
    assert.equal(services.lastSent("NOTIFY").abandoned, true);
  });

  it("with its last NOTIFY under way", async () => {
    const handle = accepted();
    const end = subscriptions.endAll();
    assert.equal(stateOf(handle), "closing");
    subscriptions.close();
    await end;
    assert.deepEqual(reasons(), ["shutdown"]);
  });

  it("is over when nobody answers its last NOTIFY", async () => {
    const handle = accepted();
    const state = { state: "terminated", expires: undefined, reason: "noresource" };
    const told = subscriptions.notify(handle, { state });
    services.lastSent("NOTIFY").fail(new TransactionTimeoutError("no answer"));
    const outcome = await told;
    assert.equal(outcome?.ok === false && outcome.cause, "timeout");
    assert.deepEqual(reasons(), ["noresource"]);
    assert.equal(stateOf(handle), undefined);
  });
});
