/**
 * The transaction layer around its machines.
 * 1 Requests leave with a Via of their own; the ACK repeats the INVITE's. 2 Limits. 3 Failures. 4 close. 5 Users that throw.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { InvalidArgumentError, InvalidStateError } from "../../../lib/foundation/index.js";
import { createResponse, SipRequest } from "../../../lib/message/index.js";
import {
  ClientRecorder,
  incoming,
  outgoing,
  reply,
  ServerRecorder,
  TransactionBench,
} from "../../support/transaction-bench.js";

function idle(bench: TransactionBench): void {
  bench.layer.close();
  assert.equal(bench.clock.pendingTimers(), 0);
  assert.equal(bench.flow.listeners, 0);
}

function header(bench: TransactionBench, index: number, name: string): string | undefined {
  return bench.flow.sent[index]?.message.headers.get(name);
}

describe("TransactionLayer.request", () => {
  it("puts a Via of the flow with a fresh branch and rport on top (RFC 3261 §8.1.1.7, RFC 3581)", () => {
    const bench = new TransactionBench("tls");
    const request = outgoing("OPTIONS");
    bench.layer.request(request, bench.flow, new ClientRecorder());
    bench.layer.request(request, bench.flow, new ClientRecorder());
    const vias = bench.flow.sent.map(({ message }) => message.headers.getAll("via"));
    for (const lines of vias) {
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", /^SIP\/2\.0\/TLS 192\.0\.2\.1:5060;branch=z9hG4bK\w{20};rport$/);
    }
    assert.notDeepEqual(vias[0], vias[1]);
    idle(bench);
  });

  it("acknowledges a final response ≥ 300 on the INVITE's branch with the response's To tag (§17.1.1.3)", () => {
    const bench = new TransactionBench();
    const user = new ClientRecorder();
    bench.send("INVITE", user);
    bench.respond(404, "INVITE", "theirs");
    const ack = bench.flow.last;
    assert.ok(ack instanceof SipRequest);
    assert.equal(ack.method, "ACK");
    assert.equal(ack.headers.get("via"), header(bench, 0, "via"));
    assert.equal(ack.to.tag, "theirs");
    assert.deepEqual(ack.cseq, { sequence: 1, method: "ACK" });
    idle(bench);
  });

  it("throws before anything is sent when the request cannot be written", () => {
    const bench = new TransactionBench();
    const request = outgoing("OPTIONS");
    request.uri = "sip:bob@example.org\r\nX: y";
    assert.throws(
      () => bench.layer.request(request, bench.flow, new ClientRecorder()),
      InvalidArgumentError,
    );
    assert.equal(bench.layer.counters().clientTransactions, 0);
    assert.equal(bench.clock.pendingTimers(), 0);
  });

  it("reports a send failure in a later turn, then ends", () => {
    for (const method of ["INVITE", "OPTIONS"]) {
      for (const protocol of ["udp", "tcp"] as const) {
        const bench = new TransactionBench(protocol);
        bench.flow.failures = 1;
        const user = new ClientRecorder();
        const transaction = bench.send(method, user);
        assert.deepEqual(user.log, []);
        bench.clock.advance(0);
        assert.deepEqual(user.log, ["failure E_TRANSPORT", "terminated"]);
        assert.equal(transaction.state, "terminated");
        idle(bench);
      }
    }
  });

  it("gives addVia to requests without transaction", () => {
    const bench = new TransactionBench();
    const ack = outgoing("ACK");
    const branch = bench.layer.addVia(ack, bench.flow);
    assert.equal(ack.topVia.branch, branch);
    assert.equal(bench.layer.counters().clientTransactions, 0);
  });
});

describe("Limits", () => {
  it("refuse with 503 and Retry-After when too many requests wait for an answer, without any state", () => {
    const bench = new TransactionBench("udp", { maxServerTransactions: 3 });
    for (let i = 0; i < 5; i++) {
      bench.receive(incoming("MESSAGE", { branch: `z9hG4bK${i}a`, callId: `c${i}` }));
    }
    assert.deepEqual(bench.flow.log, ["503", "503"]);
    assert.equal(bench.flow.last.headers.get("retry-after"), "5");
    assert.equal(bench.layer.counters().serverTransactions, 3);
    assert.equal(bench.layer.counters().refusedRequests, 2);
    reply(bench.transactions[0] ?? bench.transaction, 200);
    bench.receive(incoming("MESSAGE", { branch: "z9hG4bK9a", callId: "c9" }));
    assert.equal(bench.transactions.length, 4);
    idle(bench);
  });

  it("let the oldest answered transactions go early, each with its last call", () => {
    const bench = new TransactionBench("udp", { maxLingering: 2 });
    const users: ServerRecorder[] = [];
    bench.answer = (transaction) => {
      transaction.user = users[users.push(new ServerRecorder()) - 1];
      reply(transaction, transaction.request.method === "INVITE" ? 486 : 200);
    };
    for (const [i, method] of ["INVITE", "MESSAGE", "MESSAGE", "INVITE", "INVITE"].entries()) {
      bench.receive(incoming(method, { branch: `z9hG4bK${i}a`, callId: `c${i}` }));
    }
    assert.equal(bench.layer.counters().lingering, 2);
    assert.deepEqual(
      users.map(({ log }) => log.join(" ")),
      ["failure E_TIMEOUT terminated", "terminated", "terminated", "", ""],
    );
    idle(bench);
  });

  it("keep neither request nor response of a transaction that only lingers", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const bench = new TransactionBench();
    const messages: WeakRef<object>[] = [];
    bench.answer = ({ request, localTag }) => {
      const response = createResponse(request, { statusCode: 486, toTag: localTag });
      messages.push(new WeakRef(request), new WeakRef(response));
      bench.transaction.respond(response);
    };
    for (const method of ["INVITE", "MESSAGE"]) bench.receive(incoming(method));
    bench.transactions.length = 0;
    // What was read in this turn is only given up in a later one.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    assert.deepEqual(
      messages.map((message) => message.deref()),
      [undefined, undefined, undefined, undefined],
    );
    assert.equal(bench.layer.counters().lingering, 2);
    idle(bench);
  });
});

describe("Failures of server transactions", () => {
  it("are reported in a later turn and end other requests than INVITE (§17.2.2)", () => {
    const bench = new TransactionBench();
    const user = new ServerRecorder();
    bench.flow.failures = 1;
    bench.answer = (transaction) => {
      transaction.user = user;
      reply(transaction, 200);
    };
    bench.receive(incoming("MESSAGE"));
    assert.deepEqual(user.log, []);
    bench.clock.advance(0);
    assert.deepEqual(user.log, ["failure E_TRANSPORT", "terminated"]);
    reply(bench.transaction, 200);
    idle(bench);
  });

  it("leave INVITE alive, so that the next repetition may get through (RFC 6026)", () => {
    const bench = new TransactionBench();
    const user = new ServerRecorder();
    bench.flow.failures = 1;
    bench.answer = (transaction) => {
      transaction.user = user;
      reply(transaction, 200);
    };
    bench.receive(incoming("INVITE"));
    bench.clock.advance(500);
    reply(bench.transaction, 200);
    assert.deepEqual(bench.flow.times("200"), [500]);
    assert.deepEqual(user.log, ["failure E_TRANSPORT"]);
    idle(bench);
  });

  it("are mistakes of the user when a response follows a final one", () => {
    const bench = new TransactionBench();
    bench.answer = (transaction) => reply(transaction, 486);
    bench.receive(incoming("INVITE"));
    for (const statusCode of [180, 200, 486]) {
      assert.throws(() => reply(bench.transaction, statusCode), InvalidStateError);
    }
    const other = new TransactionBench();
    other.answer = (transaction) => reply(transaction, 200);
    other.receive(incoming("INVITE"));
    reply(other.transaction, 200);
    assert.throws(() => reply(other.transaction, 486), InvalidStateError);
    assert.throws(() => reply(other.transaction, 180), InvalidStateError);
    idle(bench);
    idle(other);
  });
});

describe("TransactionLayer.close", () => {
  it("silences everything: no message, no call, no timer", () => {
    const bench = new TransactionBench("tcp");
    const clientUser = new ClientRecorder();
    const serverUser = new ServerRecorder();
    const client = bench.send("INVITE", clientUser);
    bench.answer = (transaction) => (transaction.user = serverUser);
    bench.receive(incoming("INVITE"));
    const sent = bench.flow.log.length;
    bench.layer.close();
    bench.layer.close();
    reply(bench.transaction, 200);
    bench.respond(200, "INVITE");
    bench.receive(incoming("OPTIONS"));
    bench.layer.request(outgoing("OPTIONS"), bench.flow, clientUser);
    bench.layer.respondStateless(incoming("OPTIONS"), bench.flow, { statusCode: 200 });
    bench.flow.close();
    bench.clock.advance(100_000);
    assert.equal(bench.flow.log.length, sent);
    assert.deepEqual([...clientUser.log, ...serverUser.log], []);
    assert.equal(client.state, "terminated");
    assert.equal(bench.transaction.state, "terminated");
    assert.equal(bench.clock.pendingTimers(), 0);
    assert.equal(bench.flow.listeners, 0);
  });

  it("of one transaction from within its own callback stops what would have followed", () => {
    const bench = new TransactionBench();
    const log: string[] = [];
    const transaction = bench.layer.request(outgoing("INVITE"), bench.flow, {
      onResponse: ({ statusCode }) => {
        log.push(String(statusCode));
        transaction.close();
      },
      onFailure: () => log.push("failure"),
      onTerminated: () => log.push("terminated"),
    });
    bench.respond(486, "INVITE");
    bench.clock.advance(100_000);
    assert.deepEqual(log, ["486"]);
    assert.equal(bench.clock.pendingTimers(), 0);
  });
});

describe("A transaction user that throws", () => {
  it("gets its error logged, and the request is answered with 500", () => {
    const bench = new TransactionBench();
    bench.answer = () => {
      throw new Error("broken flow");
    };
    bench.receive(incoming("INVITE"));
    assert.deepEqual(bench.flow.log, ["500"]);
    assert.match(bench.logger.errors.join(), /broken flow/);
    idle(bench);
  });

  it("does not keep the machine from its end", () => {
    const bench = new TransactionBench();
    bench.layer.request(outgoing("OPTIONS"), bench.flow, {
      onResponse: () => {
        throw new Error("first");
      },
      onFailure: () => undefined,
      onTerminated: () => {
        throw new Error("second");
      },
    });
    bench.respond(200, "OPTIONS");
    bench.clock.advance(5000);
    assert.equal(bench.logger.errors.length, 2);
    assert.equal(bench.layer.counters().clientTransactions, 0);
    assert.equal(bench.clock.pendingTimers(), 0);
  });
});

describe("TransactionLayer options", () => {
  it("refuse timers that are not above 0", () => {
    const timers = { t1: 0, t2: 4000, t4: 5000 };
    assert.throws(() => new TransactionBench("udp", { timers }), InvalidArgumentError);
  });
});
