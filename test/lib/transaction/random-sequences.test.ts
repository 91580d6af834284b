/**
 * Random sequences of messages of one peer, answers of a careless user, lost connections and time (seeded, so that a
 * failure can be repeated). Whatever comes: nothing is thrown, a user hears `terminated` once and last, and when all
 * is answered nothing is left after 64·T1.
 */
import assert from "node:assert/strict";
import { SipError, type SipError as Failure } from "../../../lib/foundation/index.js";
import { createResponse, SipRequest, type SipResponse } from "../../../lib/message/index.js";
import type { ServerTransaction } from "../../../lib/transaction/index.js";
import { SeededRandom } from "../../support/seeded-random.js";
import { incoming, outgoing, reply, TransactionBench } from "../../support/transaction-bench.js";

const METHODS = ["INVITE", "INVITE", "ACK", "CANCEL", "BYE", "MESSAGE", "__proto__"];
const BRANCHES = ["z9hG4bKa", "z9hG4bKb", "z9hG4bK", "old", undefined, "__proto__"];
const STATUSES = [100, 180, 200, 202, 302, 401, 486, 603];

class Sequence {
  readonly #random: SeededRandom;
  readonly #bench: TransactionBench;
  readonly #open: ServerTransaction[] = [];
  readonly #lives: string[][] = [];

  constructor(seed: number) {
    this.#random = new SeededRandom(seed * 7919);
    this.#bench = new TransactionBench(seed % 2 === 0 ? "udp" : "tcp", {
      maxServerTransactions: 8,
      maxLingering: 6,
    });
    this.#bench.answer = (transaction) => this.#take(transaction);
  }

  run(): void {
    for (let i = 0; i < 60; i++) this.#step();
    for (const transaction of this.#open) if (!transaction.answered) reply(transaction, 480);
    this.#bench.clock.advance(200_000);
    const counters = this.#bench.layer.counters();
    assert.equal(counters.serverTransactions, 0);
    assert.equal(counters.lingering, 0);
    // An INVITE of ours that rings has no timer (§17.1.1.2); its user ends it.
    this.#bench.layer.close();
    assert.equal(this.#bench.clock.pendingTimers(), 0);
    assert.equal(this.#bench.flow.listeners, 0);
    assert.deepEqual(this.#bench.logger.errors, []);
    for (const life of this.#lives) {
      const ends = life.filter((entry) => entry === "terminated").length;
      assert.ok(ends <= 1, life.join());
      if (ends === 1) assert.equal(life.at(-1), "terminated", life.join());
    }
  }

  #step(): void {
    const bench = this.#bench;
    const choice = this.#random.next();
    if (choice < 0.5) bench.layer.receive(this.#request(), bench.flow);
    else if (choice < 0.6) this.#answerSome();
    else if (choice < 0.7) bench.clock.advance(this.#pick([0, 100, 500, 4000, 33_000]));
    else if (choice < 0.8) this.#send();
    else if (choice < 0.95) this.#receiveResponse();
    else bench.flow.failures = this.#pick([0, 1, 3]);
  }

  #request(): SipRequest {
    return incoming(this.#pick(METHODS), {
      branch: this.#pick(BRANCHES),
      toTag: this.#pick([undefined, undefined, "x"]),
      fromTag: this.#pick(["a", "__proto__"]),
      callId: this.#pick(["1", "constructor"]),
      sequence: this.#pick([1, 2]),
    });
  }

  #take(transaction: ServerTransaction): void {
    this.#open.push(transaction);
    const life: string[] = [];
    this.#lives.push(life);
    transaction.user = {
      onCancel: () => reply(transaction, 487),
      onAck: () => life.push("ACK"),
      onFailure: () => life.push("failure"),
      onTerminated: () => life.push("terminated"),
    };
    if (this.#random.next() < 0.5) this.#answer(transaction);
  }

  #answerSome(): void {
    if (this.#open.length > 0) this.#answer(this.#pick(this.#open));
  }

  #answer(transaction: ServerTransaction): void {
    try {
      reply(transaction, this.#pick(STATUSES));
    } catch (error) {
      assert.ok(error instanceof SipError && error.code === "E_STATE");
    }
  }

  #send(): void {
    const life: string[] = [];
    this.#lives.push(life);
    const method = this.#pick(["INVITE", "OPTIONS"]);
    const transaction = this.#bench.layer.request(outgoing(method), this.#bench.flow, {
      onResponse: ({ statusCode }: SipResponse) => {
        life.push(String(statusCode));
        if (statusCode === 180 && method === "INVITE") this.#bench.layer.cancel(transaction);
        if (statusCode === 603) transaction.close();
      },
      onFailure: (error: Failure) => life.push(error.code),
      onTerminated: () => life.push("terminated"),
    });
  }

  #receiveResponse(): void {
    const requests = this.#bench.flow.sent.filter(({ message }) => message instanceof SipRequest);
    if (requests.length === 0) return;
    const request = this.#pick(requests).message as SipRequest;
    const response = createResponse(request, {
      statusCode: this.#pick(STATUSES),
      toTag: this.#pick(["p", "q", "__proto__"]),
    });
    this.#bench.layer.receive(response, this.#bench.flow);
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random.next() * list.length)];
  }
}

describe("Random sequences of messages", () => {
  for (const hundred of [0, 1, 2, 3, 4]) {
    it(`leave nothing behind, seeds ${hundred * 100} to ${hundred * 100 + 99}`, () => {
      for (let seed = hundred * 100; seed < hundred * 100 + 100; seed++) {
        try {
          new Sequence(seed + 1).run();
        } catch (error) {
          throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
        }
      }
    });
  }
});
