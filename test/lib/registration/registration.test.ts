/**
 * One registration against a registrar that the test plays.
 * 1 same Call-ID, growing CSeq  2 refresh from the granted time  3 423  4 clamping  5 sendExpires
 * 6 un-REGISTER  7 failures and waits  8 lost connection  9 Service-Route  10 races and close
 */
import assert from "node:assert/strict";
import {
  silentLogger,
  TransactionTimeoutError,
  TransportError,
  type SipError,
} from "../../../lib/foundation/index.js";
import {
  createResponse,
  NameAddr,
  parseNameAddr,
  SipUri,
  type SipRequest,
  type ResponseFields,
} from "../../../lib/message/index.js";
import {
  Registration,
  type RegisterExchange,
  type RegistrationOptions,
  type RegistrationResult,
} from "../../../lib/registration/index.js";
import type { Flow } from "../../../lib/transport/transport.js";
import { ManualClock, settle } from "../../support/manual-clock.js";
import { SeededRandom } from "../../support/seeded-random.js";

class FakeFlow {
  readonly protocol: Flow["protocol"];
  readonly #listeners = new Set<(reason: string) => void>();
  readonly localAddress = "10.0.0.1";
  readonly localPort = 5060;
  readonly remoteAddress = "10.0.0.5";
  readonly remotePort = 5060;
  readonly sentBy = "10.0.0.1:5060";
  readonly contactHost = "10.0.0.1:5060";
  isOpen = true;

  constructor(readonly reliable: boolean) {
    this.protocol = reliable ? "tcp" : "udp";
  }

  send(): void {
    throw new Error("a registration does not send by itself");
  }

  onClosed(listener: (reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  retained = 0;

  retain(): () => void {
    this.retained++;
    return () => void this.retained--;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  close(): void {
    this.isOpen = false;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener("closed by peer");
  }
}

function setUp(change: Partial<RegistrationOptions> = {}, reliable = false) {
  const clock = new ManualClock();
  const flow = new FakeFlow(reliable);
  const sent: {
    request: SipRequest;
    exchange: RegisterExchange;
    abandoned: boolean;
    at: number;
  }[] = [];
  const log: string[] = [];
  const registration = new Registration(
    {
      clock,
      random: new SeededRandom(3),
      logger: silentLogger,
      contact: () => parseNameAddr("<sip:alice@10.0.0.1:5060;line=abc>") as NameAddr,
      headers: () => [["Supported", "path"]],
      send: (exchange) => {
        const entry = {
          request: exchange.build(flow),
          exchange,
          abandoned: false,
          at: clock.now(),
        };
        sent.push(entry);
        return { abandon: () => (entry.abandoned = true) };
      },
    },
    {
      identity: new NameAddr(new SipUri("sip", "alice", "example.com"), "Alice"),
      registrar: "sip:example.com",
      expires: 3600,
      minExpires: 30,
      sendExpires: true,
      ...change,
    },
    {
      onRegistered: ({ expires }) => log.push(`registered ${expires}`),
      onUnregistered: ({ statusCode }) => log.push(`unregistered ${statusCode}`),
      onFailed: ({ statusCode, failure, retryIn }) =>
        log.push(`failed ${statusCode} ${failure} ${retryIn === undefined ? "never" : "again"}`),
    },
  );
  const last = () => {
    const entry = sent.at(-1);
    assert.ok(entry, "nothing was sent");
    return entry;
  };
  const answer = (statusCode: number, headers: ResponseFields["headers"] = []) => {
    const { request, exchange } = last();
    exchange.onFinalResponse(createResponse(request, { statusCode, headers, toTag: "r" }), flow);
  };
  const grant = (seconds: number) =>
    answer(200, [["Contact", `<sip:alice@10.0.0.1:5060;line=abc>;expires=${seconds}`]]);
  const fail = (error: SipError) => last().exchange.onFailure(error);
  const end = () => {
    registration.close();
    assert.equal(clock.pendingTimers(), 0);
    assert.equal(flow.listeners, 0);
    assert.equal(flow.retained, 0);
  };
  return { clock, flow, sent, log, registration, last, answer, grant, fail, end };
}

describe("registration", () => {
  it("sends a REGISTER as RFC 3261 §10.2 describes it", () => {
    const { registration, last, end } = setUp();
    void registration.register();
    const { request } = last();
    assert.equal(request.method, "REGISTER");
    assert.equal(request.uri, "sip:example.com");
    assert.equal(request.from.uri.toString(), "sip:alice@example.com");
    assert.equal(request.to.uri.toString(), "sip:alice@example.com");
    assert.equal(request.to.tag, undefined);
    assert.ok(request.from.tag);
    assert.equal(request.headers.get("expires"), "3600");
    assert.equal(request.headers.get("supported"), "path");
    assert.equal(request.contacts[0]?.uri.toString(), "sip:alice@10.0.0.1:5060;line=abc");
    end();
  });

  it("keeps Call-ID and From tag and counts CSeq up", () => {
    const { registration, sent, grant, clock, end } = setUp();
    void registration.register();
    grant(100);
    clock.advance(90_000);
    grant(100);
    clock.advance(90_000);
    const requests = sent.map(({ request }) => request);
    assert.equal(requests.length, 3);
    assert.equal(new Set(requests.map(({ callId }) => callId)).size, 1);
    assert.equal(new Set(requests.map(({ from }) => from.tag)).size, 1);
    assert.deepEqual(
      requests.map(({ cseq }) => cseq.sequence),
      [1, 2, 3],
    );
    end();
  });

  it("tells in how many seconds it will be renewed, while it is registered", () => {
    const { registration, grant, clock, end } = setUp();
    assert.equal(registration.refreshIn, undefined);
    void registration.register();
    assert.equal(registration.refreshIn, undefined);
    grant(100);
    const first = registration.refreshIn ?? 0;
    assert.ok(first >= 80 && first <= 90, String(first));
    clock.advance(10_000);
    assert.equal(registration.refreshIn, first - 10);
    end();
  });

  it("refreshes at 80 to 90 % of the granted time, each time anew", () => {
    const { registration, sent, grant, clock, log, end } = setUp();
    void registration.register();
    for (let i = 0; i < 20; i++) {
      grant(100);
      const before = clock.now();
      clock.advance(79_999);
      assert.equal(sent.length, i + 1, "not before 80 %");
      clock.advance(10_001);
      assert.equal(sent.length, i + 2, "not after 90 %");
      clock.advance(before + 100_000 - clock.now());
    }
    assert.equal(log.length, 20);
    end();
  });

  const grants: [text: string, headers: [string, string][], seconds: number][] = [
    [
      "our own Contact's expires",
      [
        ["Contact", "<sip:alice@10.0.0.1:5060;line=abc>;expires=200"],
        ["Expires", "900"],
      ],
      200,
    ],
    [
      "our Contact among others",
      [
        [
          "Contact",
          "<sip:alice@10.9.9.9>;expires=700, <sip:alice@10.0.0.1:5060;line=abc>;expires=300",
        ],
      ],
      300,
    ],
    [
      "our line on a rewritten address",
      [
        ["Contact", "<sip:alice@192.0.2.1:33333;line=abc>;expires=400"],
        ["Contact", "<sip:x@y>;expires=50"],
      ],
      400,
    ],
    [
      "the Expires header",
      [
        ["Contact", "<sip:alice@10.0.0.1:5060;line=abc>"],
        ["Expires", "500"],
      ],
      500,
    ],
    ["what we asked for when nothing is said", [], 3600],
    [
      "expires that is no number",
      [
        ["Contact", "<sip:alice@10.0.0.1:5060;line=abc>;expires=soon"],
        ["Expires", "600"],
      ],
      600,
    ],
    ["minExpires for less", [["Contact", "<sip:alice@10.0.0.1:5060;line=abc>;expires=5"]], 30],
    ["expires for more", [["Contact", "<sip:alice@10.0.0.1:5060;line=abc>;expires=99999"]], 3600],
    [
      "expires for a number beyond reason",
      [
        ["Contact", "<sip:alice@10.0.0.1:5060;line=abc>;expires=99999999999999999999"],
        ["Expires", "3600"],
      ],
      3600,
    ],
  ];
  for (const [text, headers, seconds] of grants) {
    it(`takes as granted ${text}`, () => {
      const { registration, answer, log, end } = setUp();
      void registration.register();
      answer(200, headers);
      assert.deepEqual(log, [`registered ${seconds}`]);
      end();
    });
  }

  it("obeys 423 and stays with the registrar's minimum", () => {
    const { registration, answer, grant, sent, log, clock, end } = setUp({ expires: 60 });
    void registration.register();
    answer(423, [["Min-Expires", "120"]]);
    assert.equal(sent.length, 2);
    assert.equal(sent[1]?.request.headers.get("expires"), "120");
    assert.equal(sent[1]?.request.cseq.sequence, 2);
    grant(120);
    assert.deepEqual(log, ["registered 120"]);
    clock.advance(108_000);
    assert.equal(sent[2]?.request.headers.get("expires"), "120");
    end();
  });

  it("gives up a registrar that raises its minimum for ever", () => {
    const { registration, answer, sent, log, end } = setUp({ expires: 60 });
    void registration.register();
    answer(423, [["Min-Expires", "120"]]);
    answer(423, [["Min-Expires", "240"]]);
    answer(423, [["Min-Expires", "480"]]);
    assert.equal(sent.length, 3);
    assert.deepEqual(log, ["failed 423 response again"]);
    end();
  });

  it("takes a 423 without Min-Expires as a refusal", () => {
    const { registration, answer, log, end } = setUp();
    void registration.register();
    answer(423);
    assert.deepEqual(log, ["failed 423 response again"]);
    end();
  });

  it("sends no expires with sendExpires off, but takes its binding away all the same", () => {
    const { registration, last, grant, end } = setUp({ sendExpires: false });
    void registration.register();
    assert.equal(last().request.headers.has("expires"), false);
    assert.equal(last().request.contacts[0]?.parameters.has("expires"), false);
    grant(100);
    void registration.unregister();
    assert.equal(last().request.headers.get("expires"), "0");
    end();
  });

  it("takes its own binding away and stays unregistered", async () => {
    const { registration, last, answer, grant, sent, log, clock, end } = setUp();
    void registration.register();
    grant(100);
    const result = registration.unregister();
    assert.equal(last().request.headers.get("expires"), "0");
    assert.equal(last().request.headers.get("contact"), "<sip:alice@10.0.0.1:5060;line=abc>");
    answer(200);
    assert.equal((await result).ok, true);
    clock.advance(10_000_000);
    assert.equal(sent.length, 2);
    assert.deepEqual(log, ["registered 100", "unregistered 200"]);
    assert.equal(registration.state, "unregistered");
    end();
  });

  it("is unregistered as well when the registrar refuses or is silent", () => {
    for (const how of ["403", "423", "silence"]) {
      const { registration, answer, grant, fail, log, end } = setUp();
      void registration.register();
      grant(100);
      void registration.unregister();
      if (how === "silence") fail(new TransactionTimeoutError("no answer"));
      else answer(Number(how), [["Min-Expires", "60"]]);
      assert.equal(registration.state, "unregistered");
      assert.equal(log.length, 2);
      end();
    }
  });

  it("tries again every few seconds while the server is away, and is registered soon after its return", () => {
    const { registration, sent, fail, grant, log, clock, end } = setUp();
    void registration.register();
    while (clock.now() < 50_000) {
      const tries = sent.length;
      fail(new TransportError("refused", "tcp:10.0.0.5:5060"));
      clock.advance(5_000);
      assert.equal(sent.length, tries + 1);
    }
    grant(100);
    assert.equal(log.at(-1), "registered 100");
    end();
  });

  it("backs off to at most 300 s while the server stays away", () => {
    const { registration, sent, fail, clock, end } = setUp();
    void registration.register();
    const gaps: number[] = [];
    for (let i = 0; i < 40; i++) {
      const tries = sent.length;
      const at = clock.now();
      fail(new TransactionTimeoutError("no answer"));
      clock.advance(300_000);
      assert.equal(sent.length, tries + 1);
      gaps.push((sent.at(-1)?.at ?? 0) - at);
    }
    assert.ok(
      gaps.slice(10).every((gap) => gap >= 15_000 && gap <= 300_000),
      gaps.join(),
    );
    assert.ok(Math.max(...gaps) > 150_000);
    end();
  });

  it("waits long after a wrong password and says when it tries again", async () => {
    const { registration, sent, answer, log, clock, end } = setUp();
    const result = registration.register();
    answer(401);
    assert.deepEqual(log, ["failed 401 response again"]);
    const outcome = await result;
    assert.ok(!outcome.ok && outcome.retryIn !== undefined && outcome.retryIn >= 150);
    assert.equal(registration.retryIn, outcome.retryIn);
    clock.advance(149_000);
    assert.equal(sent.length, 1);
    clock.advance(152_000);
    assert.equal(sent.length, 2);
    end();
  });

  it("obeys Retry-After", () => {
    const { registration, sent, answer, clock, end } = setUp();
    void registration.register();
    answer(503, [["Retry-After", "7"]]);
    clock.advance(6_999);
    assert.equal(sent.length, 1);
    clock.advance(2_001);
    assert.equal(sent.length, 2);
    end();
  });

  it("registers again soon after its connection was lost", () => {
    const { registration, flow, sent, grant, clock, log, end } = setUp({}, true);
    void registration.register();
    grant(3600);
    assert.deepEqual([flow.listeners, flow.retained], [1, 1]);
    flow.close();
    assert.equal(registration.state, "waiting");
    clock.advance(199);
    assert.equal(sent.length, 1);
    clock.advance(1_801);
    assert.equal(sent.length, 2);
    grant(3600);
    assert.deepEqual(log, ["registered 3600", "registered 3600"]);
    end();
  });

  it("opens connections later and later when the server closes each of them, and soon again after one that lasted", () => {
    const { registration, flow, sent, grant, clock, end } = setUp({}, true);
    void registration.register();
    const waits: number[] = [];
    const lose = (afterMs: number): void => {
      flow.isOpen = true;
      grant(3600);
      clock.advance(afterMs);
      const [at, tries] = [clock.now(), sent.length];
      flow.close();
      while (sent.length === tries) clock.advance(100);
      waits.push(clock.now() - at);
    };
    for (let i = 0; i < 12; i++) lose(50);
    assert.ok((waits[0] ?? 0) <= 2_000);
    for (let i = 1; i < 8; i++) assert.ok((waits[i] ?? 0) >= 2 ** i * 1_000, waits.join());
    assert.ok(Math.max(...waits) <= 300_000 && waits.slice(8).every((ms) => ms >= 150_000));
    lose(61_000);
    assert.ok((waits.at(-1) ?? 0) <= 2_000);
    end();
  });

  it("counts refusals and silences each for itself", () => {
    const { registration, sent, fail, answer, clock, end } = setUp();
    void registration.register();
    for (let i = 0; i < 10; i++) {
      fail(new TransportError("refused", "tcp:10.0.0.5:5060"));
      clock.advance(5_000);
    }
    // It is back, but still starting: not a minute's wait for what was refused once.
    answer(503);
    clock.advance(30_000);
    assert.equal(sent.length, 12);
    end();
  });

  it("opens a lost connection at once when it is told to register", () => {
    const { registration, flow, sent, grant, end } = setUp({}, true);
    void registration.register();
    grant(3600);
    flow.close();
    void registration.register();
    assert.equal(sent.length, 2);
    end();
  });

  it("keeps the Service-Route of the present registration only", () => {
    const { registration, answer, grant, clock, fail, end } = setUp();
    void registration.register();
    answer(200, [
      ["Service-Route", "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>"],
      ["Service-Route", "not a route"],
    ]);
    assert.deepEqual(
      registration.serviceRoute.map((route) => route.toString()),
      ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"],
    );
    clock.advance(3_600_000);
    grant(100);
    assert.deepEqual(registration.serviceRoute, []);
    clock.advance(90_000);
    fail(new TransactionTimeoutError("no answer"));
    assert.equal(registration.serviceRoute.length, 0);
    end();
  });

  it("lets everybody who asks meanwhile share one REGISTER", async () => {
    const { registration, sent, grant, end } = setUp();
    const both = [registration.register(), registration.register()];
    assert.equal(sent.length, 1);
    grant(100);
    assert.deepEqual(
      (await Promise.all(both)).map(({ ok }) => ok),
      [true, true],
    );
    end();
  });

  it("withdraws a REGISTER under way when it is told to unregister", async () => {
    const { registration, sent, answer, grant, end } = setUp();
    const first = registration.register();
    const second = registration.unregister();
    assert.equal(sent[0]?.abandoned, true);
    assert.equal(sent[1]?.request.headers.get("expires"), "0");
    const withdrawn = await first;
    assert.ok(!withdrawn.ok && withdrawn.failure === "closed");
    answer(200);
    assert.equal((await second).ok, true);
    sent[0]?.exchange.onFinalResponse(
      createResponse((sent[0] as { request: SipRequest }).request, {
        statusCode: 200,
        toTag: "late",
      }),
      undefined as unknown as Flow,
    );
    assert.equal(registration.state, "unregistered", "a late answer changes nothing");
    void registration.register();
    grant(60);
    assert.equal(registration.state, "registered");
    end();
  });

  it("settles everybody and stops its timers when it is closed, in any state", async () => {
    const results: Promise<RegistrationResult>[] = [];
    for (const state of ["registering", "registered", "refreshing", "waiting", "unregistering"]) {
      const { registration, grant, clock, fail, end } = setUp();
      if (state === "registering") results.push(registration.register());
      else void registration.register();
      if (state === "waiting") fail(new TransactionTimeoutError("no answer"));
      else if (state !== "registering") grant(100);
      if (state === "refreshing") results.push(registration.register());
      if (state === "unregistering") results.push(registration.unregister());
      assert.equal(registration.state, state);
      end();
      clock.advance(10_000_000);
      assert.equal(registration.state, "unregistered");
    }
    await settle();
    for (const result of await Promise.all(results)) {
      assert.ok(!result.ok && result.failure === "closed");
    }
  });
});
