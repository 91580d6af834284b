/**
 * CANCEL as a server sees it (RFC 3261 §9.2): in every state of its INVITE, before it, repeated, crossing the answer, for
 * other methods, and for nothing at all.
 */
import assert from "node:assert/strict";
import { createResponse } from "../../../lib/message/index.js";
import {
  incoming,
  reply,
  ServerRecorder,
  TransactionBench,
  type IncomingFields,
} from "../../support/transaction-bench.js";

function idle(bench: TransactionBench): void {
  bench.layer.close();
  assert.equal(bench.clock.pendingTimers(), 0);
  assert.equal(bench.flow.listeners, 0);
}

describe("CANCEL (§9.2)", () => {
  it("gets 481 without any state when it matches nothing", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("CANCEL"));
    assert.deepEqual(bench.flow.log, ["481"]);
    assert.notEqual(bench.flow.last.to.tag, undefined);
    assert.equal(bench.layer.counters().serverTransactions, 0);
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("gets 481 before its INVITE, which then rings as if nothing had been", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("CANCEL"));
    bench.receive(incoming("INVITE"));
    assert.deepEqual(bench.flow.log, ["481", "100"]);
    idle(bench);
  });

  for (const [what, fields] of [
    ["with the cookie", {}],
    ["of RFC 2543", { branch: undefined }],
  ] as [string, IncomingFields][]) {
    it(`is answered with the To tag of the INVITE's responses and told to the user, ${what}`, () => {
      const bench = new TransactionBench();
      const user = new ServerRecorder();
      bench.answer = (transaction) => (transaction.user = user);
      bench.receive(incoming("INVITE", fields));
      bench.receive(incoming("CANCEL", fields));
      reply(bench.transaction, 487);
      assert.deepEqual(bench.flow.log, ["100", "200", "487"]);
      assert.deepEqual(user.log, ["CANCEL"]);
      const tags = bench.flow.sent.map(({ message }) => message.to.tag);
      assert.notEqual(tags[1], undefined);
      assert.equal(tags[1], tags[2]);
      assert.equal(bench.flow.sent[1]?.message.cseq.method, "CANCEL");
      idle(bench);
    });
  }

  it("takes the tag that the user has sent in a provisional response", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("INVITE"));
    const { transaction } = bench;
    transaction.user = new ServerRecorder();
    transaction.respond(createResponse(transaction.request, { statusCode: 180, toTag: "mine" }));
    bench.receive(incoming("CANCEL"));
    assert.equal(bench.flow.last.to.tag, "mine");
    assert.equal(transaction.localTag, "mine");
    idle(bench);
  });

  it("is told once, however often it is repeated", () => {
    const bench = new TransactionBench();
    const user = new ServerRecorder();
    bench.answer = (transaction) => (transaction.user = user);
    bench.receive(incoming("INVITE"));
    for (let i = 0; i < 3; i++) bench.receive(incoming("CANCEL"));
    assert.deepEqual(user.log, ["CANCEL"]);
    assert.deepEqual(bench.flow.log, ["100", "200", "200", "200"]);
    idle(bench);
  });

  for (const statusCode of [200, 486]) {
    it(`gets 200 and has no effect when it crosses our ${statusCode}`, () => {
      const bench = new TransactionBench();
      const user = new ServerRecorder();
      bench.answer = (transaction) => {
        transaction.user = user;
        reply(transaction, statusCode);
      };
      bench.receive(incoming("INVITE"));
      const tag = bench.flow.last.to.tag;
      bench.receive(incoming("CANCEL"));
      assert.deepEqual(bench.flow.log, [String(statusCode), "200"]);
      assert.equal(bench.flow.last.to.tag, tag);
      assert.deepEqual(user.log, []);
      idle(bench);
    });
  }

  it("ends an INVITE with 487 that nobody has taken up", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("INVITE"));
    bench.receive(incoming("CANCEL"));
    assert.deepEqual(bench.flow.log, ["100", "200", "487"]);
    assert.equal(bench.flow.sent[1]?.message.to.tag, bench.flow.sent[2]?.message.to.tag);
    idle(bench);
  });

  it("gets 200 for another request than INVITE, which goes on", () => {
    const bench = new TransactionBench();
    const user = new ServerRecorder();
    bench.answer = (transaction) => (transaction.user = user);
    bench.receive(incoming("MESSAGE"));
    bench.receive(incoming("CANCEL"));
    reply(bench.transaction, 202);
    assert.deepEqual(bench.flow.log, ["200", "202"]);
    assert.deepEqual(user.log, []);
    idle(bench);
  });

  it("does not match a CANCEL itself", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("INVITE"));
    bench.receive(incoming("CANCEL", { branch: "z9hG4bKother" }));
    assert.equal(bench.flow.log.at(-1), "481");
    idle(bench);
  });
});
