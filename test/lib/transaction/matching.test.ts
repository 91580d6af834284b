/**
 * Which transaction a message belongs to.
 * 1 Responses find theirs by branch and method, INVITE and CANCEL apart (§17.1.3). 2 Stray 2xx of INVITE go up, others
 * are dropped. 3 Requests with the magic cookie, and by the rules of RFC 2543 (§17.2.3). 4 ACK goes to the transaction of
 * a response ≥ 300 and to the dialog of a 2xx. 5 Merged requests get 482 (§8.2.2.2).
 */
import assert from "node:assert/strict";
import { createResponse, type SipRequest, type SipResponse } from "../../../lib/message/index.js";
import {
  ClientRecorder,
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

function header(bench: TransactionBench, index: number, name: string): string | undefined {
  return bench.flow.sent[index]?.message.headers.get(name);
}

describe("Matching of responses (§17.1.3)", () => {
  it("tells the response to CANCEL from that to its INVITE, which share a branch", () => {
    const bench = new TransactionBench();
    const invite = new ClientRecorder();
    const cancel = new ClientRecorder();
    const transaction = bench.send("INVITE", invite);
    bench.respond(180, "INVITE");
    bench.layer.cancel(transaction, [["Reason", "SIP;cause=200"]], cancel);
    assert.equal(header(bench, 1, "via"), header(bench, 0, "via"));
    assert.equal(header(bench, 1, "reason"), "SIP;cause=200");
    bench.respond(200, "CANCEL");
    bench.respond(487, "INVITE");
    assert.deepEqual(invite.log, ["180", "487"]);
    assert.deepEqual(cancel.log, ["200"]);
    idle(bench);
  });

  it("cancels without anybody listening", () => {
    const bench = new TransactionBench();
    const transaction = bench.send("INVITE", new ClientRecorder());
    bench.respond(180, "INVITE");
    bench.layer.cancel(transaction);
    bench.clock.advance(33_000);
    assert.equal(bench.flow.times("CANCEL").length, 11);
    idle(bench);
  });

  it("ignores a response with our branch and another method", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    bench.send("OPTIONS", user);
    const response = createResponse(bench.flow.last as SipRequest, { statusCode: 200 });
    response.headers.set("CSeq", "1 INVITE");
    bench.layer.receive(response, bench.flow);
    assert.deepEqual(user.log, []);
    assert.equal(bench.strays.length, 1);
    idle(bench);
  });

  it("passes stray 2xx of INVITE up and drops other strays", () => {
    const bench = new TransactionBench();
    const stray = (method: string, statusCode: number): SipResponse =>
      createResponse(incoming(method, { branch: "z9hG4bKnobody" }), { statusCode, toTag: "x" });
    for (const [method, statusCode] of [
      ["INVITE", 100],
      ["INVITE", 180],
      ["INVITE", 200],
      ["INVITE", 486],
      ["BYE", 200],
    ] as const) {
      bench.layer.receive(stray(method, statusCode), bench.flow);
    }
    assert.deepEqual(
      bench.strays.map(({ statusCode }) => statusCode),
      [200],
    );
    assert.equal(bench.layer.counters().strayResponses, 5);
    const noBranch = createResponse(incoming("INVITE", { branch: undefined }), { statusCode: 200 });
    bench.layer.receive(noBranch, bench.flow);
    assert.equal(bench.strays.length, 2);
  });
});

describe("Matching of requests (§17.2.3)", () => {
  const cookie: IncomingFields = { branch: "z9hG4bKone" };
  const old: IncomingFields = { branch: undefined };
  const oldBranch: IncomingFields = { branch: "1" };

  for (const [what, first, second, same] of [
    ["the same branch, sent-by and method", cookie, {}, true],
    ["another branch", cookie, { branch: "z9hG4bKtwo", sequence: 2 }, false],
    ["another sent-by", cookie, { sentBy: "192.0.2.9", sequence: 2 }, false],
    ["the same branch, though Call-ID and tags differ", cookie, { callId: "other" }, true],
    [
      "nothing but the cookie as branch, another Call-ID",
      { branch: "z9hG4bK" },
      { callId: "other" },
      false,
    ],
    ["no branch, all else equal", old, {}, true],
    ["no branch, another Call-ID", old, { callId: "other" }, false],
    ["no branch, another CSeq", old, { sequence: 2 }, false],
    ["no branch, another From tag", old, { fromTag: "other" }, false],
    [
      "no branch, another Request-URI",
      { ...old, toTag: "dialog" },
      { uri: "sip:other@192.0.2.1" },
      false,
    ],
    ["no branch, another Via", old, { sentBy: "192.0.2.9", callId: "c2" }, false],
    ["a branch without cookie, all else equal", oldBranch, {}, true],
    ["a branch without cookie, another branch", oldBranch, { branch: "2", callId: "c2" }, false],
  ] as [string, IncomingFields, IncomingFields, boolean][]) {
    it(`takes a request with ${what} as ${same ? "a repetition" : "a new one"}`, () => {
      const bench = new TransactionBench();
      bench.answer = (transaction) => reply(transaction, 200);
      bench.receive(incoming("MESSAGE", first));
      bench.receive(incoming("MESSAGE", { ...first, ...second }));
      assert.equal(bench.transactions.length, same ? 1 : 2);
      assert.deepEqual(bench.flow.log, ["200", "200"]);
      idle(bench);
    });
  }

  it("takes the same branch with another method as a new request", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("MESSAGE"));
    bench.receive(incoming("OPTIONS"));
    assert.equal(bench.transactions.length, 2);
    idle(bench);
  });

  it("compares the To tag by the rules of RFC 2543", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("INFO", { ...old, toTag: "a" }));
    bench.receive(incoming("INFO", { ...old, toTag: "b" }));
    assert.equal(bench.transactions.length, 2);
    idle(bench);
  });

  for (const [what, fields] of [
    ["with the cookie", cookie],
    ["of RFC 2543, without branch", old],
  ] as const) {
    it(`hands the ACK for a 486 to the INVITE transaction, ${what}`, () => {
      const bench = new TransactionBench();
      const user = new ServerRecorder();
      bench.answer = (transaction) => {
        transaction.user = user;
        reply(transaction, 486);
      };
      bench.receive(incoming("INVITE", fields));
      const toTag = bench.flow.last.to.tag;
      bench.receive(incoming("ACK", { ...fields, toTag }));
      assert.deepEqual(user.log, ["ACK"]);
      assert.deepEqual(bench.acks, []);
      idle(bench);
    });
  }

  it("hands the ACK for a 2xx to the dialog, whether the peer is new or of RFC 2543", () => {
    for (const [fields, ackFields] of [
      [cookie, { branch: "z9hG4bKack" }],
      [cookie, cookie],
      [old, old],
    ]) {
      const bench = new TransactionBench();
      bench.answer = (transaction) => reply(transaction, 200);
      bench.receive(incoming("INVITE", fields));
      bench.receive(incoming("ACK", { ...ackFields, toTag: bench.flow.last.to.tag }));
      assert.equal(bench.acks.length, 1);
      idle(bench);
    }
  });

  it("hands an ACK of RFC 2543 with a foreign To tag to the dialog", () => {
    const bench = new TransactionBench();
    bench.answer = (transaction) => reply(transaction, 486);
    bench.receive(incoming("INVITE", old));
    bench.receive(incoming("ACK", { ...old, toTag: "foreign" }));
    assert.equal(bench.acks.length, 1);
    idle(bench);
  });

  it("passes an ACK up that matches nothing, and never answers it", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("ACK"));
    assert.equal(bench.acks.length, 1);
    assert.deepEqual(bench.flow.log, []);
  });
});

describe("Merged requests (§8.2.2.2)", () => {
  it("get 482 when a copy of the request came by another way", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("INVITE", { branch: "z9hG4bKa" }));
    bench.receive(incoming("INVITE", { branch: "z9hG4bKb" }));
    bench.receive(incoming("INVITE", { branch: "z9hG4bKb" }));
    assert.equal(bench.transactions.length, 1);
    assert.deepEqual(bench.flow.log, ["100", "482", "482"]);
    assert.equal(bench.flow.sent[1]?.message.to.tag, bench.flow.sent[2]?.message.to.tag);
    assert.equal(bench.layer.counters().mergedRequests, 2);
    idle(bench);
  });

  it("are not seen where the To tag, Call-ID, From tag, CSeq or method differs", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("INVITE", { branch: "z9hG4bKa" }));
    const others: IncomingFields[] = [
      { branch: "z9hG4bKb", toTag: "dialog" },
      { branch: "z9hG4bKc", callId: "other" },
      { branch: "z9hG4bKd", fromTag: "other" },
      { branch: "z9hG4bKe", sequence: 2 },
    ];
    for (const fields of others) bench.receive(incoming("INVITE", fields));
    bench.receive(incoming("MESSAGE", { branch: "z9hG4bKf" }));
    assert.equal(bench.transactions.length, 6);
    idle(bench);
  });

  it("are new requests again when the first has ended", () => {
    const bench = new TransactionBench();
    bench.answer = (transaction) => reply(transaction, 200);
    bench.receive(incoming("MESSAGE", { branch: "z9hG4bKa" }));
    bench.clock.advance(32_000);
    bench.receive(incoming("MESSAGE", { branch: "z9hG4bKb" }));
    assert.equal(bench.transactions.length, 2);
    idle(bench);
  });
});
