/**
 * The way of responses (RFC 3261 §18.2.2).
 * 1 UDP: the flow that the transport layer names, asked for once per transaction. 2 A connection: the one on which the
 * request came, without asking. 3 A lost connection is replaced, also for a later response. 4 While a flow is looked for,
 * the newest response wins. 5 No flow: the user hears of it in a later turn. 6 Nothing leaves after close.
 */
import assert from "node:assert/strict";
import { TransportError } from "../../../lib/foundation/index.js";
import type { ResponseFlowFinder } from "../../../lib/transaction/index.js";
import type { FlowCallback, TransportProtocol } from "../../../lib/transport/transport.js";
import { FakeFlow } from "../../support/fake-flow.js";
import {
  incoming,
  reply,
  ServerRecorder,
  TransactionBench,
} from "../../support/transaction-bench.js";

function setUp(protocol: TransportProtocol) {
  const searches: FlowCallback[] = [];
  const responseFlow: ResponseFlowFinder = (_request, _arrivedOn, callback) => {
    searches.push(callback);
  };
  const bench = new TransactionBench(protocol, { responseFlow });
  const user = new ServerRecorder();
  bench.answer = (transaction) => (transaction.user = user);
  const other = new FakeFlow(bench.clock, protocol, "192.0.2.77");
  const found = (index: number): void => searches[index]?.(undefined, other);
  return { bench, user, searches, other, found };
}

describe("The way of responses", () => {
  it("is asked for once over UDP and used for every response and repetition", () => {
    const { bench, searches, other, found } = setUp("udp");
    bench.receive(incoming("INVITE"));
    found(0);
    reply(bench.transaction, 180);
    bench.receive(incoming("INVITE"));
    reply(bench.transaction, 486);
    bench.clock.advance(500);
    assert.deepEqual(other.log, ["100", "180", "180", "486", "486"]);
    assert.deepEqual(bench.flow.log, []);
    assert.equal(searches.length, 1);
    bench.layer.close();
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("is the connection of the request as long as it is open", () => {
    const { bench, searches } = setUp("tcp");
    bench.receive(incoming("INVITE"));
    reply(bench.transaction, 200);
    assert.deepEqual(bench.flow.log, ["100", "200"]);
    assert.equal(searches.length, 0);
    bench.layer.close();
  });

  it("is opened again when the connection was lost before the answer", () => {
    const { bench, user, searches, other, found } = setUp("tcp");
    bench.receive(incoming("INVITE"));
    bench.flow.close();
    reply(bench.transaction, 200);
    found(0);
    assert.deepEqual(other.log, ["200"]);
    // The 2xx is repeated by the user; the new connection is lost as well.
    other.close();
    reply(bench.transaction, 200);
    assert.equal(searches.length, 2);
    assert.deepEqual(user.log, []);
    bench.layer.close();
  });

  it("carries the newest response when several came while it was looked for", () => {
    const { bench, searches, other, found } = setUp("udp");
    bench.receive(incoming("INVITE"));
    reply(bench.transaction, 180);
    reply(bench.transaction, 200);
    assert.equal(searches.length, 1);
    found(0);
    assert.deepEqual(other.log, ["200"]);
    found(0);
    assert.deepEqual(other.log, ["200"]);
    bench.layer.close();
  });

  it("is reported as missing in a later turn", () => {
    const { bench, user, searches } = setUp("udp");
    bench.receive(incoming("MESSAGE"));
    reply(bench.transaction, 200);
    searches[0]?.(new TransportError("No way back", "udp:192.0.2.2:5070"), undefined);
    assert.deepEqual(user.log, []);
    bench.clock.advance(0);
    assert.deepEqual(user.log, ["failure E_TRANSPORT", "terminated"]);
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("carries nothing when it is found after close", () => {
    const { bench, user, other, found } = setUp("udp");
    bench.receive(incoming("MESSAGE"));
    reply(bench.transaction, 200);
    bench.layer.close();
    found(0);
    assert.deepEqual(other.log, []);
    assert.deepEqual(user.log, []);
  });

  it("is looked for with the Via of the request also without a transaction", () => {
    const { bench, other, found } = setUp("udp");
    bench.receive(incoming("CANCEL"));
    found(0);
    assert.deepEqual(other.log, ["481"]);
  });
});
