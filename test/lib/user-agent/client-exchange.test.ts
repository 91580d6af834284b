/**
 * One outgoing request by itself, with the layers below played by the test.
 * 1 Abandoned or cancelled in every state: nothing is called back that should not be. 2 The way changes while the peer
 * already speaks: 503, 401 and a dead connection after a provisional response. 3 What cannot be built.
 */
import assert from "node:assert/strict";
import { InvalidStateError, TransportError, type SipError } from "../../../lib/foundation/index.js";
import {
  createRequest,
  createResponse,
  NameAddr,
  SipUri,
  type SipRequest,
  type SipResponse,
} from "../../../lib/message/index.js";
import {
  DEFAULT_TIMERS,
  type ClientTransaction,
  type ClientTransactionUser,
  type TransactionLayer,
} from "../../../lib/transaction/index.js";
import type { Flow, FlowCallback, FlowTarget } from "../../../lib/transport/transport.js";
import type { ClientEnvironment, Destination } from "../../../lib/user-agent/client-environment.js";
import { ClientExchange } from "../../../lib/user-agent/client-exchange.js";
import { SecurityAgreements } from "../../../lib/user-agent/security-agreement.js";
import { TargetHealth } from "../../../lib/user-agent/target-health.js";
import { FakeFlow } from "../../support/fake-flow.js";
import { ManualClock, settle } from "../../support/manual-clock.js";

const alice = new NameAddr(new SipUri("sip", "alice", "a.example"));
const bob = new NameAddr(new SipUri("sip", "bob", "b.example"));

function target(address: string): FlowTarget {
  return { protocol: "udp", address, port: 5060, mayUseTcp: false };
}

interface Sent {
  readonly request: SipRequest;
  readonly user: ClientTransactionUser;
  closed: boolean;
}

/** The world of one exchange, each step in the test's hand. */
class Bench {
  readonly clock = new ManualClock();
  readonly log: string[] = [];
  readonly sent: Sent[] = [];
  located:
    ((error: SipError | undefined, destination: Destination | undefined) => void) | undefined;
  connected: FlowCallback | undefined;
  built: ((request: SipRequest | Error) => void) | undefined;
  ended = 0;
  /** Answers challenges when set. */
  password = false;
  /** The application looks for credentials. */
  asks = false;
  decided: ((given: boolean) => void) | undefined;
  /** What the request waits for before it is sent. */
  preparation: Promise<void> | undefined;
  readonly exchange: ClientExchange;

  constructor(method = "INVITE", buildLater = false) {
    const transactions = {
      request: (request: SipRequest, flow: Flow, user: ClientTransactionUser) => {
        const sent: Sent = { request, user, closed: false };
        this.sent.push(sent);
        this.log.push(`→ ${request.method} ${request.cseq.sequence}`);
        const transaction: Partial<ClientTransaction> = {
          flow,
          close: () => (sent.closed = true),
        };
        return transaction;
      },
      cancel: () => this.log.push("→ CANCEL"),
    };
    const environment: ClientEnvironment = {
      clock: this.clock,
      timers: DEFAULT_TIMERS,
      transactions: transactions as unknown as TransactionLayer,
      health: new TargetHealth(this.clock),
      agreements: new SecurityAgreements(),
      credentials: {
        preauthorize: () => [],
        answer: () =>
          this.password
            ? {
                header: "Authorization",
                value: 'Digest realm="b", nonce="n"',
                realm: "b",
                stale: false,
              }
            : { refused: "no password" },
        forget: () => undefined,
      },
      contactPlaceholder: "<sip:contact.invalid>",
      contact: () => "<sip:alice@192.0.2.1>",
      locate: (_options, callback) => (this.located = callback),
      connect: (_target, callback) => (this.connected = callback),
      askForCredentials: (_question, decided) => {
        this.decided = decided;
        return this.asks ? () => this.log.push("question withdrawn") : undefined;
      },
      prepare: () => this.preparation,
      beforeSending: (request) => request,
      onReceived: () => undefined,
      ended: () => this.ended++,
    };
    this.exchange = new ClientExchange(environment, {
      nextHop: bob.uri,
      account: undefined,
      inDialog: false,
      build: () => {
        if (!buildLater) return this.#request(method);
        return new Promise((resolve, reject) => {
          this.built = (result) => {
            if (result instanceof Error) reject(result);
            else resolve(result);
          };
        });
      },
      onResponse: ({ statusCode }) => this.log.push(`← ${statusCode}`),
      onFailure: (error) => this.log.push(`✗ ${error.code}`),
    });
    this.exchange.start();
  }

  #request(method: string): SipRequest {
    return createRequest({
      method,
      uri: bob.uri.toString(),
      from: new NameAddr(alice.uri, undefined, new Map([["tag", "a"]])),
      to: bob,
      callId: "one",
      sequence: 1,
      contact: "<sip:contact.invalid>",
    });
  }

  locate(...addresses: string[]): this {
    const targets = addresses.map(target);
    this.located?.(undefined, { targets, routes: [], isOwnServer: true });
    return this;
  }

  connect(): this {
    this.connected?.(undefined, new FakeFlow(this.clock));
    return this;
  }

  /** To the state `calling`. */
  send(...addresses: string[]): this {
    return this.locate(...(addresses.length === 0 ? ["192.0.2.2"] : addresses)).connect();
  }

  receive(statusCode: number, sent = this.sent.at(-1)): this {
    assert.ok(sent);
    const response: SipResponse = createResponse(sent.request, { statusCode, toTag: "b" });
    sent.user.onResponse(response);
    return this;
  }

  /** The transaction's last word. */
  lose(sent = this.sent.at(-1)): this {
    sent?.user.onFailure(new TransportError("lost", "192.0.2.2"));
    return this;
  }
}

describe("An outgoing request", () => {
  it("that is abandoned while its server is looked up sends nothing and says nothing", async () => {
    const bench = new Bench();
    bench.exchange.abandon();
    bench.locate("192.0.2.2");
    await settle();
    assert.deepEqual(bench.log, []);
    assert.equal(bench.exchange.state, "ended");
    assert.ok(bench.ended > 0);
  });

  it("that is cancelled while its server is looked up fails once, unsent", async () => {
    const bench = new Bench();
    bench.exchange.cancel();
    bench.locate("192.0.2.2");
    bench.clock.advance(1);
    await settle();
    assert.deepEqual(bench.log, ["✗ E_STATE"]);
  });

  it("that is abandoned or cancelled while it connects does not send when the connection comes", async () => {
    for (const [act, log] of [
      ["abandon", []],
      ["cancel", ["✗ E_STATE"]],
    ] as const) {
      const bench = new Bench().locate("192.0.2.2");
      bench.exchange[act]();
      bench.connect();
      bench.clock.advance(1);
      await settle();
      assert.deepEqual(bench.log, log, act);
      assert.equal(bench.exchange.state, "ended", act);
    }
  });

  it("that is abandoned or cancelled while its body is made does not send when it is ready", async () => {
    for (const [act, log] of [
      ["abandon", []],
      ["cancel", ["✗ E_STATE"]],
    ] as const) {
      const bench = new Bench("INVITE", true).send();
      bench.exchange[act]();
      bench.built?.(
        createRequest({
          method: "INVITE",
          uri: "sip:b.example",
          from: alice,
          to: bob,
          callId: "one",
          sequence: 1,
        }),
      );
      await settle();
      bench.clock.advance(1);
      await settle();
      assert.deepEqual(bench.log, log, act);
    }
  });

  it("whose body cannot be made fails with the reason", async () => {
    const bench = new Bench("INVITE", true).send();
    bench.built?.(new InvalidStateError("no sound card"));
    await settle();
    assert.deepEqual(bench.log, ["✗ E_STATE"]);
    assert.ok(bench.ended > 0);
  });

  it("is not repeated elsewhere after the peer has rung and then fell silent", () => {
    const bench = new Bench().send("192.0.2.2", "192.0.2.3").receive(180).lose();
    assert.deepEqual(bench.log, ["→ INVITE 1", "← 180", "✗ E_TRANSPORT"]);
  });

  it("goes to the next server on a 503 after 100, but not after 180", () => {
    const trying = new Bench().send("192.0.2.2", "192.0.2.3").receive(100).receive(503).connect();
    assert.deepEqual(trying.log, ["→ INVITE 1", "← 100", "→ INVITE 1"]);
    const ringing = new Bench().send("192.0.2.2", "192.0.2.3").receive(180).receive(503);
    assert.deepEqual(ringing.log, ["→ INVITE 1", "← 180", "← 503"]);
  });

  it("answers a challenge that comes after a 180", () => {
    const bench = new Bench();
    bench.password = true;
    bench.send().receive(180).receive(401);
    assert.deepEqual(bench.log, ["→ INVITE 1", "← 180", "→ INVITE 2"]);
    assert.match(bench.sent[1]?.request.headers.get("authorization") ?? "", /^Digest /);
  });

  it("that is abandoned while it rings or is being cancelled hears nothing more", () => {
    const ringing = new Bench().send().receive(180);
    ringing.exchange.abandon();
    ringing.receive(200);
    assert.deepEqual(ringing.log, ["→ INVITE 1", "← 180"]);
    const cancelling = new Bench().send().receive(180);
    cancelling.exchange.cancel();
    cancelling.exchange.abandon();
    cancelling.clock.advance(64 * DEFAULT_TIMERS.t1);
    assert.deepEqual(cancelling.log, ["→ INVITE 1", "← 180", "→ CANCEL"]);
    assert.deepEqual(cancelling.clock.schedule(), []);
  });

  it("that nothing depends on any more ends 64·T1 after its last friend, or with its response", () => {
    const forgotten = new Bench().send().receive(100);
    forgotten.exchange.expire();
    forgotten.exchange.expire();
    forgotten.clock.advance(64 * DEFAULT_TIMERS.t1 - 1);
    assert.equal(forgotten.exchange.state, "proceeding");
    forgotten.clock.advance(1);
    assert.equal(forgotten.exchange.state, "ended");
    assert.deepEqual(forgotten.log, ["→ INVITE 1", "← 100"]);
    const answered = new Bench().send().receive(100);
    answered.exchange.expire();
    answered.receive(487);
    answered.exchange.expire();
    assert.deepEqual(answered.log, ["→ INVITE 1", "← 100", "← 487"]);
    for (const { clock, exchange } of [forgotten, answered]) {
      exchange.abandon();
      assert.deepEqual(clock.schedule(), []);
    }
  });

  it("still tells of a provisional response that crosses the CANCEL, and of a lost connection", () => {
    const bench = new Bench().send().receive(180);
    bench.exchange.cancel();
    bench.receive(183).lose();
    assert.deepEqual(bench.log, ["→ INVITE 1", "← 180", "→ CANCEL", "← 183", "✗ E_TRANSPORT"]);
    assert.deepEqual(bench.clock.schedule(), []);
  });

  it("that is cancelled before any response and then lost fails without a CANCEL", () => {
    const bench = new Bench().send();
    bench.exchange.cancel();
    bench.lose();
    assert.deepEqual(bench.log, ["→ INVITE 1", "✗ E_TRANSPORT"]);
  });

  it("is sent when it is prepared, and not at all when it is cancelled before", async () => {
    for (const end of ["send", "cancel", "abandon"]) {
      const bench = new Bench();
      let prepared: () => void = () => undefined;
      bench.preparation = new Promise((resolve) => (prepared = resolve));
      bench.send();
      assert.equal(bench.exchange.state, "building");
      assert.deepEqual(bench.log, []);
      if (end === "cancel") bench.exchange.cancel();
      else if (end === "abandon") bench.exchange.abandon();
      prepared();
      await settle();
      bench.clock.advance(0);
      const expected = { send: ["→ INVITE 1"], cancel: ["✗ E_STATE"], abandon: [] };
      assert.deepEqual(bench.log, expected[end as keyof typeof expected]);
    }
  });

  it("whose challenge the application looks at goes on with credentials", () => {
    const bench = new Bench().send();
    bench.asks = true;
    bench.receive(180).receive(401);
    assert.equal(bench.exchange.state, "asking");
    bench.password = true;
    bench.decided?.(true);
    assert.deepEqual(bench.log, ["→ INVITE 1", "← 180", "→ INVITE 2"]);
    bench.receive(200);
    assert.equal(bench.log.at(-1), "← 200");
  });

  it("whose challenge the application refuses, or that is cancelled meanwhile, fails with it", () => {
    for (const end of ["refuse", "cancel"]) {
      const bench = new Bench().send();
      bench.asks = true;
      bench.receive(401);
      if (end === "refuse") bench.decided?.(false);
      else bench.exchange.cancel();
      bench.decided?.(true);
      const withdrawn = end === "cancel" ? ["question withdrawn"] : [];
      assert.deepEqual(bench.log, ["→ INVITE 1", "← 401", ...withdrawn]);
      assert.equal(bench.exchange.state, "completed");
    }
  });

  it("that is abandoned while the application looks for credentials says nothing", () => {
    const bench = new Bench().send();
    bench.asks = true;
    bench.receive(401);
    bench.exchange.abandon();
    bench.decided?.(true);
    assert.deepEqual(bench.log, ["→ INVITE 1", "question withdrawn"]);
    assert.equal(bench.exchange.state, "ended");
  });
});
