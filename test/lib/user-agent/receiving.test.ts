/**
 * What the user agent does with requests that start outside of a dialog: gate, limits, inspection (RFC 3261 §8.2),
 * pending requests (contract §4.6), accounts and identity of incoming calls.
 */
import assert from "node:assert/strict";
import type { AccountOptions, RequestPolicy } from "../../../lib/user-agent/index.js";
import { endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer, type RequestText } from "../../support/scripted-peer.js";

const BOB = "10.0.0.2";

async function setUp(options: PersonOptions = {}, address = "10.0.0.9") {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const bob = new Person("bob", BOB, network, clock, options);
  const peer = await new ScriptedPeer(network, { name: "peer", address }).start();
  await bob.userAgent.start();
  const send = async (request: RequestText | string) => {
    const before = peer.responses.length;
    peer.send(typeof request === "string" ? request : requestText(request), BOB);
    await clock.advanceAsync(50);
    return peer.responses.slice(before);
  };
  const end = async () => {
    peer.onRequest = (request) => request.method !== "ACK" && peer.reply(request, 200);
    await endAll(clock, [bob]);
  };
  return { clock, network, bob, peer, send, end };
}

const OFFER = [
  "v=0",
  "o=peer 1 1 IN IP4 10.0.0.9",
  "s=-",
  "c=IN IP4 10.0.0.9",
  "t=0 0",
  "m=audio 4000 RTP/AVP 0",
  "a=rtpmap:0 PCMU/8000",
  "",
].join("\r\n");

function invite(change: Partial<RequestText> = {}): RequestText {
  return {
    method: "INVITE",
    body: OFFER,
    ...change,
    headers: [
      "Contact: <sip:peer@10.0.0.9>",
      "Content-Type: application/sdp",
      ...(change.headers ?? []),
    ],
  };
}

const METHODS = [
  "INVITE",
  "BYE",
  "OPTIONS",
  "REGISTER",
  "MESSAGE",
  "INFO",
  "REFER",
  "NOTIFY",
  "SUBSCRIBE",
  "UPDATE",
  "PRACK",
  "PUBLISH",
  "CANCEL",
  "FOOBAR",
];

describe("gate", () => {
  for (const method of METHODS) {
    it(`refuses ${method} from an unknown peer with 403 and keeps no state`, async () => {
      const { bob, send, end } = await setUp({ allow: ["192.0.2.0/24"] });
      bob.takeCalls();
      bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 1_000 });
      const responses = await send(
        method === "INVITE"
          ? invite()
          : { method, headers: ["Refer-To: <sip:x@10.0.0.9>", "Event: x"] },
      );
      assert.deepEqual(
        responses.map(({ statusCode }) => statusCode),
        [403],
      );
      assert.ok(responses[0]?.to.tag);
      assert.deepEqual(bob.calls, []);
      assert.deepEqual(bob.heardOfStack(), []);
      assert.equal(bob.userAgent.counters()["serverTransactions"], 0);
      await end();
    });
  }

  it("drops ACK and responses of an unknown peer silently", async () => {
    const { send, end } = await setUp({ allow: ["192.0.2.0/24"] });
    assert.deepEqual(await send({ method: "ACK" }), []);
    await end();
  });

  it("falls silent towards a peer that does not stop", async () => {
    const { bob, send, end } = await setUp({ allow: ["192.0.2.0/24"] });
    let answers = 0;
    for (let i = 0; i < 100; i++) answers += (await send({ method: "OPTIONS" })).length;
    assert.ok(answers < 25, `${answers} answers`);
    assert.equal(bob.userAgent.counters()["refusedByGate"], 100);
    await end();
  });

  it("lets requests within a dialog pass, from wherever they come", async () => {
    const { clock, network, bob, peer, send, end } = await setUp({ allow: ["10.0.0.9"] });
    bob.takeCalls((session) => void session.accept());
    const [answer] = await send(invite({ callId: "roaming", from: "<sip:peer@10.0.0.9>" }));
    assert.equal(answer?.statusCode, 200);
    const elsewhere = await new ScriptedPeer(network, {
      name: "elsewhere",
      address: "198.51.100.1",
    }).start();
    const headers = [
      `From: ${answer.headers.get("from")}`,
      `To: ${answer.headers.get("to")}`,
      "Call-ID: roaming",
    ];
    const text = (method: string, sequence: number, tag = "") =>
      [
        `${method} sip:bob@${BOB} SIP/2.0`,
        `Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKe${method}${sequence}`,
        ...headers.map((line) => (tag === "" ? line : line.replace(/^(To:.*tag=).*/, `$1${tag}`))),
        `CSeq: ${sequence} ${method}`,
        "Content-Length: 0",
        "",
        "",
      ].join("\r\n");
    elsewhere.send(text("ACK", 1), BOB);
    elsewhere.send(text("INFO", 2, "guess"), BOB);
    elsewhere.send(text("BYE", 3), BOB);
    await clock.advanceAsync(100);
    assert.deepEqual(elsewhere.statuses(), [403, 200]);
    assert.equal(bob.last("ended").snapshot.cause, "remote-bye");
    assert.deepEqual(peer.methods(), []);
    await end();
  });

  it("lets the address of an account's registrar in by default", async () => {
    const { bob, send, end } = await setUp({}, "198.51.100.9");
    const via = "Via: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bKx1";
    assert.deepEqual(
      (await send({ method: "OPTIONS", via })).map((r) => r.statusCode),
      [403],
    );
    bob.userAgent.addAccount({ id: "a", uri: "sip:bob@198.51.100.9", register: false });
    const again = await send({ method: "OPTIONS", via: via.replace("x1", "x2") });
    assert.deepEqual(
      again.map((r) => r.statusCode),
      [200],
    );
    await end();
  });
});

describe("limits", () => {
  it("answers 503 with Retry-After above maxRequestsPerSecond, then nothing", async () => {
    const { clock, bob, peer, end } = await setUp({ maxRequestsPerSecond: 5 });
    for (let i = 0; i < 40; i++) peer.send(requestText({ method: "OPTIONS" }), BOB);
    await clock.advanceAsync(50);
    const statuses = peer.statuses();
    assert.equal(statuses.filter((status) => status === 200).length, 5);
    assert.equal(statuses.filter((status) => status === 503).length, 5);
    assert.equal(statuses.length, 10);
    assert.equal(peer.responses.find((r) => r.statusCode === 503)?.seconds("retry-after"), 2);
    assert.equal(bob.userAgent.counters()["serverTransactions"], 10);
    await clock.advanceAsync(1_000);
    peer.send(requestText({ method: "OPTIONS" }), BOB);
    await clock.advanceAsync(50);
    assert.equal(peer.statuses().at(-1), 200);
    await end();
  });

  it("counts no retransmissions and no requests within dialogs", async () => {
    const { bob, send, end } = await setUp({ maxRequestsPerSecond: 1 });
    bob.takeCalls((session) => void session.accept());
    const text = requestText({ method: "OPTIONS" });
    for (let i = 0; i < 10; i++)
      assert.deepEqual(
        (await send(text)).map((r) => r.statusCode),
        [200],
      );
    await end();
  });

  it("sends no 100 to an INVITE that is met with silence", async () => {
    const { clock, bob, peer, end } = await setUp({ maxRequestsPerSecond: 1 });
    bob.takeCalls();
    for (let i = 0; i < 10; i++) peer.send(requestText(invite()), BOB);
    await clock.advanceAsync(300);
    assert.equal(bob.calls.length, 1);
    assert.deepEqual(peer.statuses().sort(), [100, 503]);
    void bob.calls[0]?.end();
    await clock.advanceAsync(40_000);
    await end();
  });

  it("answers 503 to calls above maxSessions", async () => {
    const { bob, send, end } = await setUp({ maxSessions: 1 });
    bob.takeCalls();
    await send(invite());
    const second = (await send(invite())).at(-1);
    assert.equal(second?.statusCode, 503);
    assert.ok(second.seconds("retry-after"));
    assert.equal(bob.calls.length, 1);
    await end();
  });

  it("fails outgoing calls above maxSessions with limit", async () => {
    const { bob, send, clock, end } = await setUp({ maxSessions: 1 });
    bob.takeCalls();
    await send(invite());
    const call = bob.userAgent.invite({ targets: ["sip:peer@10.0.0.9"] });
    await clock.advanceAsync(10);
    assert.equal(bob.last("failed").snapshot.cause, "limit");
    assert.deepEqual(bob.heard(call), ["failed"]);
    await end();
  });
});

describe("inspection", () => {
  const table: [
    text: string,
    request: RequestText,
    statusCode: number,
    header?: string,
    value?: RegExp,
  ][] = [
    ["an unknown method", { method: "FOOBAR" }, 405, "allow", /INVITE.*OPTIONS/],
    ["REGISTER", { method: "REGISTER" }, 405, "allow", /INVITE/],
    ["PUBLISH", { method: "PUBLISH", headers: ["Event: presence"] }, 405, "allow", /INVITE/],
    [
      "a scheme that we do not have",
      invite({ uri: "nobodyKnowsThisScheme:totallyopaquecontent" }),
      416,
    ],
    [
      "an extension that is required",
      invite({ headers: ["Require: foo-bar-ext, path"] }),
      420,
      "unsupported",
      /^foo-bar-ext$/,
    ],
    [
      "several required extensions",
      {
        method: "OPTIONS",
        headers: ["Require: nothingSupportsThis", "Require: norThis, 100rel, nor-that"],
      },
      420,
      "unsupported",
      /nothingsupportsthis, northis, nor-that/i,
    ],
    [
      "a body that is unknown",
      {
        method: "INVITE",
        body: "x",
        headers: ["Contact: <sip:peer@10.0.0.9>", "Content-Type: application/x-made-up"],
      },
      415,
      "accept",
      /application\/sdp/,
    ],
    [
      "a body without type",
      { method: "INVITE", body: "x", headers: ["Contact: <sip:peer@10.0.0.9>"] },
      415,
      "accept",
      /application\/sdp/,
    ],
    [
      "an encoding that is unknown",
      invite({ headers: ["Content-Encoding: gzip"] }),
      415,
      "accept-encoding",
      /identity/,
    ],
    ["BYE without dialog", { method: "BYE" }, 481],
    ["BYE of an unknown dialog", { method: "BYE", to: "<sip:bob@10.0.0.2>;tag=no" }, 481],
    ["INFO without dialog", { method: "INFO" }, 481],
    ["INFO of an unknown dialog", { method: "INFO", to: "<sip:bob@10.0.0.2>;tag=no" }, 481],
    ["UPDATE of an unknown dialog", { method: "UPDATE", to: "<sip:bob@10.0.0.2>;tag=no" }, 481],
    ["PRACK without dialog", { method: "PRACK", headers: ["RAck: 1 1 INVITE"] }, 481],
    [
      "NOTIFY of an unknown dialog",
      {
        method: "NOTIFY",
        to: "<sip:bob@10.0.0.2>;tag=no",
        headers: ["Event: refer", "Subscription-State: active"],
      },
      481,
    ],
    [
      "NOTIFY without subscription",
      { method: "NOTIFY", headers: ["Event: refer", "Subscription-State: active"] },
      481,
    ],
    ["INVITE of an unknown dialog", invite({ to: "<sip:bob@10.0.0.2>;tag=no" }), 481],
    ["CANCEL of nothing", { method: "CANCEL" }, 481],
    [
      "SUBSCRIBE",
      { method: "SUBSCRIBE", headers: ["Event: made-up-event", "Contact: <sip:peer@10.0.0.9>"] },
      489,
      "allow-events",
      /refer/,
    ],
    [
      "REFER",
      { method: "REFER", headers: ["Refer-To: <sip:x@10.0.0.9>", "Contact: <sip:peer@10.0.0.9>"] },
      603,
    ],
    ["REFER without Refer-To", { method: "REFER", headers: ["Contact: <sip:peer@10.0.0.9>"] }, 400],
    [
      "MESSAGE that nobody listens to",
      { method: "MESSAGE", body: "hi", headers: ["Content-Type: text/plain"] },
      405,
      "allow",
      /^(?!.*MESSAGE)/,
    ],
    ["OPTIONS", { method: "OPTIONS" }, 200, "allow", /INVITE, ACK, CANCEL, BYE, PRACK, OPTIONS/],
    ["OPTIONS with Max-Forwards 0", { method: "OPTIONS" }, 200, "accept", /application\/sdp/],
    ["a call that nobody takes", invite(), 480],
    ["INVITE without Contact", { method: "INVITE" }, 400],
    [
      "an optional body that is unknown",
      {
        method: "INVITE",
        body: "x",
        headers: [
          "Contact: <sip:peer@10.0.0.9>",
          "Content-Type: application/x-made-up",
          "Content-Disposition: icon; handling=optional",
        ],
      },
      480,
    ],
  ];
  for (const [text, request, statusCode, header, value] of table) {
    it(`answers ${statusCode} to ${text}`, async () => {
      const { clock, peer, send, end } = await setUp();
      const responses = await send(
        text.includes("Max-Forwards 0")
          ? requestText(request).replace("Max-Forwards: 70", "Max-Forwards: 0")
          : request,
      );
      const final = responses.find((response) => response.statusCode >= 200);
      assert.equal(final?.statusCode, statusCode);
      assert.ok(final.to.tag);
      if (header !== undefined && value !== undefined) {
        assert.match(final.headers.getAll(header).join(", "), value);
      }
      assert.equal(
        peer.responses.filter((r) => r.statusCode >= 200 && r.statusCode !== statusCode).length,
        0,
      );
      await clock.advanceAsync(40_000);
      await end();
    });
  }

  it("answers OPTIONS with Allow, Accept and a Supported that is not empty", async () => {
    const { send, end } = await setUp();
    const [response] = await send({ method: "OPTIONS" });
    for (const name of ["allow", "accept", "supported"]) {
      assert.notEqual(response?.headers.get(name) ?? "", "", name);
    }
    await end();
  });

  it("answers 505 to another version and 400 to a malformed request, once and without state", async () => {
    const { bob, send, end } = await setUp();
    const version = await send(requestText({ method: "OPTIONS" }).replace(" SIP/2.0", " SIP/7.0"));
    assert.deepEqual(
      version.map((r) => r.statusCode),
      [505],
    );
    const malformed = await send(
      requestText({ method: "OPTIONS" }).replace("Content-Length: 0", "Content-Length: 99"),
    );
    assert.deepEqual(
      malformed.map((r) => r.statusCode),
      [400],
    );
    assert.equal(bob.userAgent.counters()["serverTransactions"], 0);
    let answers = 0;
    for (let i = 0; i < 100; i++) {
      answers += (await send(requestText({ method: "OPTIONS" }).replace(" SIP/2.0", " SIP/7.0")))
        .length;
    }
    assert.ok(answers < 60, `${answers} answers`);
    assert.deepEqual(
      (
        await send(
          requestText({ method: "ACK" }).replace("Content-Length: 0", "Content-Length: 99"),
        )
      ).length,
      0,
      "a malformed ACK is never answered",
    );
    await end();
  });

  it("answers 482 to its own call that a proxy sent back", async () => {
    const { clock, bob, peer, send, end } = await setUp();
    bob.takeCalls();
    bob.userAgent.invite({ targets: ["sip:bob@10.0.0.9"] });
    await clock.advanceAsync(10);
    const own = peer.last("INVITE");
    const responses = await send(
      invite({
        callId: own.callId,
        via: "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKproxy\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKown",
      }),
    );
    assert.equal(responses.at(-1)?.statusCode, 482);
    assert.equal(bob.calls.length, 0);
    peer.reply(own, 486, { toTag: "x" });
    await end();
  });
});

describe("pending requests", () => {
  const listening: RequestPolicy = () => ({ listened: true, holdMs: 500 });
  const message: RequestText = {
    method: "MESSAGE",
    body: "hi",
    headers: ["Content-Type: text/x-any"],
  };

  it("reports a MESSAGE and answers 200 to any type when it is listened to", async () => {
    const { bob, send, end } = await setUp();
    bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 0 });
    const [response] = await send(message);
    assert.equal(response?.statusCode, 200);
    assert.equal(response.headers.has("contact"), false);
    const event = bob.stackEvents.find(({ name }) => name === "message");
    assert.equal(event?.pending, undefined);
    assert.equal(event?.message?.text, "hi");
    await end();
  });

  it("holds a request for the application's answer", async () => {
    const { bob, peer, send, clock, end } = await setUp();
    bob.userAgent.requestPolicy = listening;
    assert.deepEqual(await send(message), []);
    const pending = bob.stackEvents.find(({ name }) => name === "message")?.pending;
    assert.ok(pending?.pending);
    assert.equal(bob.userAgent.pendingRequest(pending.handle), pending);
    const outcome = await pending.accept({ statusCode: 202, headers: [["X-Door", "open"]] });
    assert.deepEqual([outcome.ok, outcome.statusCode], [true, 202]);
    assert.equal(pending.pending, false);
    assert.equal(bob.userAgent.pendingRequest(pending.handle), undefined);
    const late = await pending.reject();
    assert.ok(!late.ok && late.cause === "no-request");
    await clock.advanceAsync(2_000);
    assert.deepEqual(peer.statuses(), [202]);
    assert.equal(peer.responses[0]?.headers.get("x-door"), "open");
    await end();
  });

  it("answers by itself when the time is over", async () => {
    const { bob, peer, send, clock, end } = await setUp();
    bob.userAgent.requestPolicy = listening;
    await send(message);
    await clock.advanceAsync(440);
    assert.deepEqual(peer.statuses(), []);
    await clock.advanceAsync(60);
    assert.deepEqual(peer.statuses(), [200]);
    await end();
  });

  const defaults: [request: RequestText, eventName: string, rejected: number, late: number][] = [
    [message, "message", 403, 200],
    [{ method: "REFER", headers: ["Refer-To: <sip:x@10.0.0.9>"] }, "refer", 603, 603],
    [{ method: "NOTIFY", headers: ["Event: x"] }, "notify", 403, 200],
    [{ method: "SUBSCRIBE", headers: ["Event: x"] }, "subscribe", 403, 489],
    [{ method: "OPTIONS" }, "options", 403, 200],
    [{ method: "FOOBAR" }, "request", 403, 405],
  ];
  for (const [request, eventName, rejected, late] of defaults) {
    it(`reports ${request.method} as ${eventName}, rejects it with ${rejected}, and answers ${late} in the end`, async () => {
      const { bob, peer, send, clock, end } = await setUp();
      const asked: string[] = [];
      bob.userAgent.requestPolicy = (name) => {
        asked.push(name);
        return { listened: true, holdMs: 500 };
      };
      await send(request);
      const pending = bob.stackEvents.find((event) => event.pending)?.pending;
      assert.ok(pending);
      assert.deepEqual(asked, [eventName]);
      assert.equal((await pending.reject()).statusCode, rejected);
      await send(request);
      await clock.advanceAsync(600);
      assert.deepEqual(peer.statuses(), [rejected, late]);
      await end();
    });
  }

  it("answers by default when the application misuses its turn", async () => {
    const { bob, peer, send, clock, end } = await setUp();
    bob.userAgent.requestPolicy = listening;
    await send(message);
    const pending = bob.stackEvents.find((event) => event.pending)?.pending;
    await assert.rejects(async () => pending?.reject({ statusCode: 200 }), /200 is no status/);
    await clock.advanceAsync(10);
    assert.deepEqual(peer.statuses(), [200]);
    await end();
  });

  it("survives a policy and a call handler that throw", async () => {
    const { bob, send, end } = await setUp();
    bob.userAgent.requestPolicy = () => {
      throw new Error("broken");
    };
    bob.userAgent.onIncomingCall = () => {
      throw new Error("broken");
    };
    assert.equal((await send(message)).at(-1)?.statusCode, 405);
    assert.equal((await send(invite())).at(-1)?.statusCode, 480);
    assert.equal(bob.errors.length, 2);
    bob.errors.length = 0;
    await end();
  });

  it("keeps a bounded number of requests", async () => {
    const { bob, peer, clock, end } = await setUp();
    bob.userAgent.requestPolicy = () => ({ listened: true, holdMs: 20_000 });
    for (let i = 0; i < 5_100; i++) peer.send(requestText(message), BOB);
    await clock.advanceAsync(50);
    assert.equal(bob.userAgent.counters()["pendingRequests"], 5_000);
    assert.equal(peer.statuses().length, 100);
    await end();
  });

  it("reports each request once as `request` beside its own event, and not its retransmissions", async () => {
    const { bob, send, end } = await setUp();
    const text = requestText(message);
    await send(text);
    await send(text);
    assert.deepEqual(
      bob.stackEvents.map(({ name }) => name),
      ["request", "message"],
    );
    bob.userAgent.observeMessages = false;
    await send(message);
    assert.deepEqual(
      bob.stackEvents.map(({ name }) => name),
      ["request", "message", "message"],
    );
    await end();
  });
});

describe("who is called, and by whom", () => {
  const account = (change: Partial<AccountOptions>): AccountOptions => ({
    id: "a",
    uri: "sip:bob@example.com",
    registrar: "sip:10.0.0.9",
    register: false,
    ...change,
  });

  async function incoming(
    accounts: AccountOptions[],
    request: RequestText,
    options: PersonOptions = {},
  ) {
    const tools = await setUp(options);
    for (const each of accounts) tools.bob.userAgent.addAccount(each);
    tools.bob.takeCalls();
    await tools.send(request);
    const session = tools.bob.calls[0];
    const snapshot = session.snapshot();
    await tools.end();
    return snapshot;
  }

  it("finds the account by the address-of-record in Request-URI or To", async () => {
    const two = [account({}), account({ id: "b", uri: "sip:200@example.org" })];
    assert.equal((await incoming(two, invite({ uri: "sip:200@example.org" }))).account, "b");
    assert.equal((await incoming(two, invite({ to: "<sip:bob@example.com>" }))).account, "a");
  });

  it("finds the account by its server: by user, or the only one there", async () => {
    const two = [account({}), account({ id: "b", uri: "sip:200@example.org" })];
    assert.equal((await incoming(two, invite({ uri: "sip:200@10.0.0.2" }))).account, "b");
    assert.equal((await incoming(two, invite({ uri: "sip:300@10.0.0.2" }))).account, undefined);
    assert.equal((await incoming([account({})], invite({ uri: "sip:300@10.0.0.2" }))).account, "a");
  });

  it("leaves a direct call without account", async () => {
    const other = [account({ registrar: "sip:10.0.0.77" })];
    assert.equal((await incoming(other, invite({ uri: "sip:x@10.0.0.2" }))).account, undefined);
  });

  it("recognises the Contact that it registered and names the called user by To", async () => {
    const { bob, peer, clock, send, end } = await setUp();
    peer.onRequest = (request) => {
      if (request.method === "REGISTER")
        peer.reply(request, 200, {
          headers: [["Contact", `${request.headers.get("contact")};expires=600`]],
        });
    };
    bob.userAgent.addAccount(account({}));
    bob.userAgent.addAccount(account({ id: "b", uri: "sip:bob@example.org" }));
    for (const each of bob.userAgent.accounts.values()) void each.register();
    await clock.advanceAsync(100);
    const contacts = peer.requests.map((request) => request.contacts[0]?.uri.toString() ?? "");
    assert.equal(contacts.length, 2);
    bob.takeCalls();
    await send(invite({ uri: contacts[1], to: "<sip:+4930555@example.org>" }));
    assert.equal(bob.calls[0]?.accountId, "b");
    const call = bob.events.find(([, event]) => event.name === "incoming")?.[1].message;
    assert.ok(call?.kind === "request");
    assert.equal(bob.userAgent.calledUser(call), "+4930555");
    await end();
  });

  const asserted = [
    'P-Asserted-Identity: "Boss" <sip:boss@example.com>, <tel:+4930777>',
    "Remote-Party-ID: <sip:party@example.com>;party=calling",
  ];

  it("believes P-Asserted-Identity, then Remote-Party-ID, of the accounts' servers only", async () => {
    const byPai = await incoming([account({})], invite({ headers: asserted }));
    assert.deepEqual([byPai.remote.uri, byPai.remote.identity], ["sip:boss@example.com", "pai"]);
    assert.equal(byPai.remote.displayName, "Boss");
    const byRpid = await incoming([account({})], invite({ headers: asserted.slice(1) }));
    assert.deepEqual(
      [byRpid.remote.uri, byRpid.remote.identity],
      ["sip:party@example.com", "rpid"],
    );
    const byFrom = await incoming([], invite({ headers: asserted }));
    assert.deepEqual(
      [byFrom.remote.uri, byFrom.remote.identity],
      ["sip:stranger@10.0.0.9", "from"],
    );
  });

  it("believes whom `trusted` names, and nobody else", async () => {
    const trusted = await incoming([], invite({ headers: asserted }), { trusted: ["10.0.0.0/24"] });
    assert.equal(trusted.remote.identity, "pai");
    const other = await incoming([account({})], invite({ headers: asserted }), {
      trusted: ["10.1.0.0/24"],
    });
    assert.equal(other.remote.identity, "from");
  });
});
