/**
 * Retransmissions as lists of times (RFC 3261 §17; all in milliseconds after the first message).
 * 1 A: INVITE until B. 2 E: other requests until F, at T2 once a 1xx came. 3 G: a final response to INVITE until ACK or H.
 * 4 D, K: how long repeated responses are absorbed. 5 I, J, L: how long repeated requests are. 6 M: how long 2xx are passed.
 * 7 Nothing is repeated over TCP. 8 100 at once for INVITE, after 3.5 s for others (RFC 4320). 9 No timer is left.
 */
import assert from "node:assert/strict";
import {
  ClientRecorder,
  incoming,
  reply,
  ServerRecorder,
  TransactionBench,
} from "../../support/transaction-bench.js";

const FOREVER = 200_000;

/** Lets everything end, and sees that nothing waits any more. */
function finish(bench: TransactionBench): void {
  bench.clock.advance(FOREVER);
  assert.equal(bench.clock.pendingTimers(), 0);
  const { clientTransactions, serverTransactions, lingering } = bench.layer.counters();
  assert.deepEqual(
    { clientTransactions, serverTransactions, lingering },
    {
      clientTransactions: 0,
      serverTransactions: 0,
      lingering: 0,
    },
  );
  assert.deepEqual(bench.logger.errors, []);
}

describe("Client schedules", () => {
  it("repeat an INVITE at A = 500 doubling, and give up at B = 32 s", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    bench.send("INVITE", user);
    bench.clock.advance(31_999);
    assert.deepEqual(user.log, []);
    bench.clock.advance(1);
    assert.deepEqual(user.log, ["failure E_TIMEOUT", "terminated"]);
    assert.deepEqual(bench.flow.times("INVITE"), [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    finish(bench);
  });

  it("repeat other requests at E up to T2, and give up at F = 32 s", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    bench.send("OPTIONS", user);
    bench.clock.advance(32_000);
    assert.deepEqual(user.log, ["failure E_TIMEOUT", "terminated"]);
    const times = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert.deepEqual(bench.flow.times("OPTIONS"), times);
    finish(bench);
  });

  it("repeat other requests every T2 after a provisional response, and still give up at F", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    bench.send("OPTIONS", user);
    bench.clock.advance(600);
    bench.respond(100, "OPTIONS");
    bench.clock.advance(32_000);
    const times = [0, 500, 1500, 5500, 9500, 13_500, 17_500, 21_500, 25_500, 29_500];
    assert.deepEqual(bench.flow.times("OPTIONS"), times);
    assert.deepEqual(user.log, ["100", "failure E_TIMEOUT", "terminated"]);
    finish(bench);
  });

  it("stop repeating an INVITE at the first provisional response and wait without end", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    const transaction = bench.send("INVITE", user);
    bench.clock.advance(700);
    bench.respond(100, "INVITE");
    bench.clock.advance(10 * 60_000);
    assert.deepEqual(bench.flow.times("INVITE"), [0, 500]);
    assert.equal(transaction.state, "proceeding");
    assert.equal(bench.clock.pendingTimers(), 0);
    bench.respond(200, "INVITE");
    finish(bench);
    assert.deepEqual(user.log, ["100", "200", "terminated"]);
  });

  it("absorb repeated final responses of INVITE for D = 32 s, each with an ACK", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    bench.send("INVITE", user);
    bench.respond(486, "INVITE");
    bench.clock.advance(500);
    bench.respond(486, "INVITE");
    bench.clock.advance(31_499);
    bench.respond(486, "INVITE");
    bench.clock.advance(1);
    assert.deepEqual(bench.flow.times("ACK"), [0, 500, 31_999]);
    bench.respond(486, "INVITE");
    assert.deepEqual(bench.flow.times("ACK"), [0, 500, 31_999]);
    assert.deepEqual(user.log, ["486", "terminated"]);
    assert.equal(bench.layer.counters().strayResponses, 1);
    finish(bench);
  });

  it("absorb repeated final responses of other requests for K = 5 s", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    bench.send("OPTIONS", user);
    bench.respond(200, "OPTIONS");
    bench.clock.advance(4999);
    bench.respond(200, "OPTIONS");
    assert.deepEqual(user.log, ["200"]);
    bench.clock.advance(1);
    assert.deepEqual(user.log, ["200", "terminated"]);
    finish(bench);
  });

  it("pass every 2xx of an INVITE, of each fork, while M = 32 s runs; later ones are strays (RFC 6026)", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    bench.send("INVITE", user);
    bench.respond(180, "INVITE", "a");
    bench.respond(200, "INVITE", "a");
    bench.clock.advance(500);
    bench.respond(200, "INVITE", "b");
    bench.respond(180, "INVITE", "c");
    bench.respond(486, "INVITE", "c");
    bench.clock.advance(31_000);
    bench.respond(200, "INVITE", "a");
    assert.deepEqual(
      user.responses.map(({ statusCode, to }) => `${statusCode} ${to.tag}`),
      ["180 a", "200 a", "200 b", "200 a"],
    );
    bench.clock.advance(500);
    assert.equal(user.log.at(-1), "terminated");
    bench.respond(200, "INVITE", "d");
    assert.deepEqual(
      bench.strays.map(({ to }) => to.tag),
      ["d"],
    );
    // An ACK for a 2xx is the user's.
    assert.deepEqual(bench.flow.times("ACK"), []);
    finish(bench);
  });

  it("send everything once over TCP, and give up at B and F all the same", () => {
    for (const method of ["INVITE", "OPTIONS"]) {
      const bench = new TransactionBench("tcp");
      const user = new ClientRecorder();
      bench.send(method, user);
      bench.clock.advance(31_999);
      assert.deepEqual(user.log, []);
      bench.clock.advance(1);
      assert.deepEqual(user.log, ["failure E_TIMEOUT", "terminated"]);
      assert.deepEqual(bench.flow.times(method), [0]);
      finish(bench);
    }
  });

  it("follow other values of T1, T2 and T4", () => {
    const bench = new TransactionBench("udp", { timers: { t1: 100, t2: 300, t4: 700 } });
    const user = new ClientRecorder();
    bench.send("OPTIONS", user);
    bench.clock.advance(1000);
    assert.deepEqual(bench.flow.times("OPTIONS"), [0, 100, 300, 600, 900]);
    bench.respond(200, "OPTIONS");
    bench.clock.advance(700);
    assert.deepEqual(user.log, ["200", "terminated"]);
    finish(bench);
  });
});

describe("Server schedules", () => {
  it("repeat a final response ≥ 300 to INVITE at G up to T2, and report the missing ACK at H = 32 s", () => {
    const bench = new TransactionBench();
    const user = new ServerRecorder();
    bench.answer = (transaction) => {
      transaction.user = user;
      reply(transaction, 486);
    };
    bench.receive(incoming("INVITE"));
    bench.clock.advance(32_000);
    const times = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert.deepEqual(bench.flow.times("486"), times);
    assert.deepEqual(user.log, ["failure E_TIMEOUT", "terminated"]);
    finish(bench);
  });

  it("stop repeating it at the ACK and absorb further ACKs for I = 5 s", () => {
    const bench = new TransactionBench();
    const user = new ServerRecorder();
    bench.answer = (transaction) => {
      transaction.user = user;
      reply(transaction, 486);
    };
    bench.receive(incoming("INVITE"));
    bench.clock.advance(600);
    for (let i = 0; i < 3; i++) bench.receive(incoming("ACK"));
    bench.clock.advance(4999);
    bench.receive(incoming("ACK"));
    assert.deepEqual(user.log, ["ACK"]);
    bench.clock.advance(1);
    assert.deepEqual(user.log, ["ACK", "terminated"]);
    assert.deepEqual(bench.flow.times("486"), [0, 500]);
    assert.deepEqual(bench.acks, []);
    finish(bench);
  });

  it("do not repeat it over TCP, but wait for the ACK until H", () => {
    const bench = new TransactionBench("tcp");
    const user = new ServerRecorder();
    bench.answer = (transaction) => {
      transaction.user = user;
      reply(transaction, 486);
    };
    bench.receive(incoming("INVITE"));
    bench.clock.advance(32_000);
    assert.deepEqual(bench.flow.times("486"), [0]);
    assert.deepEqual(user.log, ["failure E_TIMEOUT", "terminated"]);
    finish(bench);
  });

  it("absorb a repeated INVITE after 2xx for L = 32 s, and let the user repeat its 2xx (RFC 6026)", () => {
    const bench = new TransactionBench();
    const user = new ServerRecorder();
    bench.answer = (transaction) => {
      transaction.user = user;
      reply(transaction, 200);
    };
    bench.receive(incoming("INVITE"));
    bench.clock.advance(500);
    reply(bench.transaction, 200);
    bench.receive(incoming("INVITE"));
    bench.clock.advance(31_499);
    bench.receive(incoming("INVITE"));
    assert.deepEqual(bench.flow.times("200"), [0, 500]);
    assert.equal(bench.transactions.length, 1);
    bench.clock.advance(1);
    assert.deepEqual(user.log, ["terminated"]);
    finish(bench);
  });

  it("answer repeated requests from the stored response for J = 32 s", () => {
    const bench = new TransactionBench();
    bench.answer = (transaction) => reply(transaction, 200);
    bench.receive(incoming("BYE"));
    for (const wait of [500, 1000, 30_499]) {
      bench.clock.advance(wait);
      bench.receive(incoming("BYE"));
    }
    assert.deepEqual(bench.flow.times("200"), [0, 500, 1500, 31_999]);
    assert.equal(bench.transactions.length, 1);
    assert.equal(bench.layer.counters().repeatedRequests, 3);
    bench.clock.advance(1);
    bench.receive(incoming("BYE"));
    assert.equal(bench.transactions.length, 2);
    finish(bench);
  });

  it("send 100 for INVITE at once, unless the user has answered", () => {
    const quiet = new TransactionBench();
    quiet.receive(incoming("INVITE"));
    quiet.receive(incoming("INVITE"));
    assert.deepEqual(quiet.flow.log, ["100", "100"]);
    assert.equal(quiet.flow.last.to.tag, undefined);
    reply(quiet.transaction, 180);
    quiet.receive(incoming("INVITE"));
    assert.deepEqual(quiet.flow.log, ["100", "100", "180", "180"]);
    quiet.layer.close();
    for (const statusCode of [180, 200, 486]) {
      const bench = new TransactionBench();
      bench.answer = (transaction) => reply(transaction, statusCode);
      bench.receive(incoming("INVITE"));
      assert.deepEqual(bench.flow.log, [String(statusCode)]);
      bench.layer.close();
      finish(bench);
    }
  });

  it("send 100 for other requests when the client's E has reached T2 (RFC 4320 §4.1)", () => {
    const bench = new TransactionBench();
    bench.receive(incoming("MESSAGE"));
    bench.clock.advance(3499);
    bench.receive(incoming("MESSAGE"));
    assert.deepEqual(bench.flow.log, []);
    bench.clock.advance(1);
    bench.receive(incoming("MESSAGE"));
    assert.deepEqual(bench.flow.log, ["100", "100"]);
    reply(bench.transaction, 202);
    finish(bench);
    assert.deepEqual(bench.flow.log, ["100", "100", "202"]);
  });

  it("give up other requests without 408 when the client has done so (RFC 4320 §4.2)", () => {
    const bench = new TransactionBench();
    const user = new ServerRecorder();
    bench.answer = (transaction) => (transaction.user = user);
    bench.receive(incoming("MESSAGE"));
    bench.clock.advance(32_000);
    assert.deepEqual(user.log, ["failure E_TIMEOUT", "terminated"]);
    reply(bench.transaction, 200);
    assert.deepEqual(bench.flow.log, ["100"]);
    finish(bench);
  });

  it("give them up after a provisional response of the user as well", () => {
    const bench = new TransactionBench("tcp");
    const user = new ServerRecorder();
    bench.answer = (transaction) => {
      transaction.user = user;
      reply(transaction, 100);
    };
    bench.receive(incoming("MESSAGE"));
    bench.clock.advance(32_000);
    assert.deepEqual(user.log, ["failure E_TIMEOUT", "terminated"]);
    finish(bench);
  });
});
