/**
 * Which challenges get credentials (RFC 3261 §22; reliability plan "digest as client").
 * 1 401 and 407 of the own server, MD5, SHA-256, unknown algorithm  2 CSeq, Call-ID, From tag of the retry
 * 3 wrong password  4 stale  5 foreign servers, foreign realms, the called peer in a dialog  6 nonce reuse  7 downgrade
 */
import assert from "node:assert/strict";
import { parseCredentials, type SipRequest } from "../../../lib/message/index.js";
import { digestResponse, type DigestAlgorithm } from "../../../lib/auth/index.js";
import type { AccountOptions } from "../../../lib/user-agent/index.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { ScriptedPeer } from "../../support/scripted-peer.js";

const PASSWORD = "open sesame";

async function setUp(account: Partial<AccountOptions> = {}) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock);
  const server = await new ScriptedPeer(network, { name: "server", address: "10.0.0.5" }).start();
  const stranger = await new ScriptedPeer(network, {
    name: "stranger",
    address: "10.0.0.6",
  }).start();
  await alice.userAgent.start();
  alice.userAgent.addAccount({
    id: "a",
    uri: "sip:alice@10.0.0.5",
    password: PASSWORD,
    register: false,
    ...account,
  });
  const end = async () => {
    for (const peer of [server, stranger]) {
      peer.onRequest = (request) => request.method !== "ACK" && peer.reply(request, 200);
    }
    await endAll(clock, [alice]);
  };
  return { clock, network, alice, server, stranger, end };
}

function authorizationOf(request: SipRequest): ReadonlyMap<string, string> | undefined {
  const line = request.headers.get("authorization") ?? request.headers.get("proxy-authorization");
  return line === undefined ? undefined : parseCredentials(line);
}

/** What a server does: computes the response again. */
function isRight(request: SipRequest, user = "alice"): boolean {
  const given = authorizationOf(request);
  if (given === undefined) return false;
  const qop = given.get("qop");
  return (
    given.get("response") ===
    digestResponse({
      algorithm: (given.get("algorithm") ?? "MD5") as DigestAlgorithm,
      user,
      password: PASSWORD,
      realm: given.get("realm") ?? "",
      nonce: given.get("nonce") ?? "",
      method: request.method,
      uri: request.uri,
      qop: qop === undefined ? undefined : "auth",
      nonceCount: given.get("nc") ?? "",
      clientNonce: given.get("cnonce") ?? "",
      body: request.body,
    })
  );
}

describe("credentials", () => {
  const challenges: [
    text: string,
    statusCode: number,
    headers: [string, string][],
    header: string,
    algorithm: string | undefined,
  ][] = [
    [
      "401 with MD5",
      401,
      [["WWW-Authenticate", 'Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"']],
      "authorization",
      "MD5",
    ],
    [
      "407 with MD5",
      407,
      [["Proxy-Authenticate", 'Digest realm="r", nonce="n1", qop="auth,auth-int"']],
      "proxy-authorization",
      undefined,
    ],
    [
      "401 without qop",
      401,
      [["WWW-Authenticate", 'Digest realm="r", nonce="n1"']],
      "authorization",
      undefined,
    ],
    [
      "401 with SHA-256 and MD5",
      401,
      [
        ["WWW-Authenticate", 'Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"'],
        ["WWW-Authenticate", 'Digest realm="r", nonce="n2", algorithm=SHA-256, qop="auth"'],
      ],
      "authorization",
      "SHA-256",
    ],
    [
      "401 with an unknown algorithm and MD5",
      401,
      [
        ["WWW-Authenticate", 'Digest realm="r", nonce="n1", algorithm=SHA3-999'],
        ["WWW-Authenticate", 'Digest realm="r", nonce="n2", algorithm=MD5'],
      ],
      "authorization",
      "MD5",
    ],
    [
      "401 with Basic and Digest",
      401,
      [
        ["WWW-Authenticate", 'Basic realm="r"'],
        ["WWW-Authenticate", 'Digest realm="r", nonce="n2"'],
      ],
      "authorization",
      undefined,
    ],
  ];
  for (const [text, statusCode, headers, header, algorithm] of challenges) {
    it(`answers ${text} of its own server`, async () => {
      const { clock, alice, server, end } = await setUp();
      server.onRequest = (request) => {
        if (authorizationOf(request) === undefined) server.reply(request, statusCode, { headers });
        else server.reply(request, isRight(request) ? 200 : 403);
      };
      const outcome = alice.userAgent.request({
        method: "MESSAGE",
        to: "sip:bob@10.0.0.5",
        account: "a",
        contentType: "text/plain",
        body: "hello",
      });
      await clock.advanceAsync(1_000);
      assert.equal((await outcome).ok, true);
      const [first, second] = server.requests as [SipRequest, SipRequest];
      assert.equal(server.requests.length, 2);
      assert.ok(second.headers.has(header));
      assert.equal(authorizationOf(second)?.get("algorithm"), algorithm);
      assert.equal(second.callId, first.callId);
      assert.equal(second.from.tag, first.from.tag);
      assert.equal(second.cseq.sequence, first.cseq.sequence + 1);
      assert.notEqual(second.topVia.branch, first.topVia.branch);
      assert.equal(second.vias.length, 1);
      await end();
    });
  }

  it("uses authUser and tells the stack event challenge when no algorithm can be answered", async () => {
    const { clock, alice, server, end } = await setUp({ authUser: "4711" });
    server.onRequest = (request) => {
      const user = authorizationOf(request)?.get("username");
      if (user === undefined)
        server.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n"']],
        });
      else server.reply(request, user === "4711" && isRight(request, "4711") ? 202 : 403);
    };
    const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).statusCode, 202);
    server.onRequest = (request) =>
      server.reply(request, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n", algorithm=ROT13']],
      });
    const refused = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    const failure = await refused;
    assert.ok(!failure.ok && failure.cause === "unauthorized");
    assert.deepEqual(alice.heardOfStack(), ["challenge"]);
    await end();
  });

  it("gives up after two answers when the password is wrong", async () => {
    const { clock, alice, server, end } = await setUp();
    let nonce = 0;
    server.onRequest = (request) =>
      server.reply(request, 401, {
        headers: [["WWW-Authenticate", `Digest realm="r", nonce="n${++nonce}", qop="auth"`]],
      });
    const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    const failure = await outcome;
    assert.ok(!failure.ok);
    assert.equal(failure.statusCode, 401);
    assert.equal(failure.cause, "unauthorized");
    assert.equal(server.requests.length, 3);
    await end();
  });

  it("sends at most two requests with credentials, even with an old nonce at hand", async () => {
    const { clock, alice, server, end } = await setUp();
    server.onRequest = (request) => {
      if (authorizationOf(request) !== undefined) server.reply(request, 200);
      else
        server.reply(request, 407, {
          headers: [["Proxy-Authenticate", 'Digest realm="r", nonce="good"']],
        });
    };
    void alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    server.requests.length = 0;
    let nonce = 0;
    server.onRequest = (request) =>
      server.reply(request, 407, {
        headers: [["Proxy-Authenticate", `Digest realm="r", nonce="bad${++nonce}"`]],
      });
    void alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal(server.requests.filter((request) => authorizationOf(request)).length, 2);
    await end();
  });

  it("answers a stale nonce once more", async () => {
    const { clock, alice, server, end } = await setUp();
    server.onRequest = (request) => {
      const nonce = authorizationOf(request)?.get("nonce");
      if (nonce === "n3" && isRight(request)) server.reply(request, 200);
      else if (nonce === undefined)
        server.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n2", qop="auth"']],
        });
      else
        server.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n3", qop="auth", stale=true']],
        });
    };
    const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, true);
    assert.equal(server.requests.length, 3);
    await end();
  });

  it("does not follow a nonce that is stale for ever", async () => {
    const { clock, alice, server, end } = await setUp();
    let n = 0;
    server.onRequest = (request) =>
      server.reply(request, 401, {
        headers: [["WWW-Authenticate", `Digest realm="r", nonce="s${++n}", stale=true`]],
      });
    const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, false);
    assert.ok(server.requests.length <= 3);
    await end();
  });

  it("answers a proxy and then the server behind it, each in its header", async () => {
    const { clock, alice, server, end } = await setUp();
    server.onRequest = (request) => {
      const hasProxy = request.headers.has("proxy-authorization");
      const hasServer = request.headers.has("authorization");
      if (hasProxy && hasServer) server.reply(request, 200);
      else if (hasProxy)
        server.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="r", nonce="w"']],
        });
      else
        server.reply(request, 407, {
          headers: [["Proxy-Authenticate", 'Digest realm="r", nonce="p"']],
        });
    };
    const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, true);
    assert.equal(server.requests.length, 3);
    await end();
  });

  it("uses a nonce again for the next request, counted up", async () => {
    const { clock, alice, server, end } = await setUp();
    server.onRequest = (request) => {
      if (authorizationOf(request) === undefined)
        server.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth", opaque="o"']],
        });
      else server.reply(request, isRight(request) ? 200 : 403);
    };
    for (let i = 0; i < 3; i++) {
      const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
      await clock.advanceAsync(1_000);
      assert.equal((await outcome).ok, true);
    }
    assert.equal(server.requests.length, 4);
    const given = server.requests.slice(1).map((request) => authorizationOf(request));
    assert.deepEqual(
      given.map((parameters) => parameters?.get("nc")),
      ["00000001", "00000002", "00000003"],
    );
    assert.equal(given[0]?.get("opaque"), "o");
    await end();
  });

  it("counts from one again when a server asks anew with a nonce that it took before", async () => {
    const { clock, alice, server, end } = await setUp();
    server.onRequest = (request) => {
      if (authorizationOf(request)?.get("nc") !== "00000001")
        server.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"']],
        });
      else server.reply(request, isRight(request) ? 200 : 403);
    };
    for (let i = 0; i < 3; i++) {
      const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
      await clock.advanceAsync(1_000);
      assert.equal((await outcome).ok, true);
    }
    assert.deepEqual(
      server.requests.map((request) => authorizationOf(request)?.get("nc")),
      [undefined, "00000001", "00000002", "00000001", "00000002", "00000001"],
    );
    await end();
  });

  it("does not fall back to MD5 at a server that asked for SHA-256 before", async () => {
    const { clock, alice, server, end } = await setUp();
    let algorithm = "SHA-256";
    server.onRequest = (request) => {
      if (authorizationOf(request) !== undefined && algorithm === "SHA-256")
        server.reply(request, 200);
      else
        server.reply(request, 401, {
          headers: [
            ["WWW-Authenticate", `Digest realm="r", nonce="${algorithm}", algorithm=${algorithm}`],
          ],
        });
    };
    void alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    algorithm = "MD5";
    const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal((await outcome).ok, false);
    assert.ok(
      server.requests.every((request) => authorizationOf(request)?.get("algorithm") !== "MD5"),
    );
    await end();
  });

  it("gives nothing to a server that is not the account's", async () => {
    const { clock, alice, stranger, end } = await setUp();
    stranger.onRequest = (request) =>
      stranger.reply(request, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="10.0.0.5", nonce="n"']],
      });
    const outcome = alice.userAgent.request({
      method: "MESSAGE",
      to: "sip:bob@10.0.0.6",
      account: "a",
    });
    await clock.advanceAsync(1_000);
    const failure = await outcome;
    assert.ok(!failure.ok && failure.cause === "unauthorized");
    assert.equal(stranger.requests.length, 1);
    await end();
  });

  it("gives nothing on another port of the server's machine", async () => {
    const { clock, network, alice, end } = await setUp();
    const neighbour = await new ScriptedPeer(network, {
      name: "neighbour",
      address: "10.0.0.5",
      port: 5080,
    }).start();
    neighbour.onRequest = (request) =>
      neighbour.reply(request, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="10.0.0.5", nonce="n"']],
      });
    void alice.userAgent.request({ method: "MESSAGE", to: "sip:bob@10.0.0.5:5080", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal(neighbour.requests.length, 1);
    await end();
  });

  it("gives nothing without account or password", async () => {
    const { clock, alice, server, end } = await setUp({ password: undefined });
    server.onRequest = (request) =>
      server.reply(request, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n"']],
      });
    void alice.userAgent.request({ method: "MESSAGE", to: "sip:bob@10.0.0.5", account: "a" });
    void alice.userAgent.request({ method: "MESSAGE", to: "sip:bob@10.0.0.5" });
    await clock.advanceAsync(1_000);
    assert.equal(server.requests.length, 2);
    await end();
  });

  it("gives nothing to a realm that its server has never used", async () => {
    const { clock, alice, server, end } = await setUp();
    let realm = "home";
    server.onRequest = (request) => {
      if (authorizationOf(request)?.get("realm") === realm) server.reply(request, 200);
      else
        server.reply(request, 407, {
          headers: [["Proxy-Authenticate", `Digest realm="${realm}", nonce="n"`]],
        });
    };
    const first = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal((await first).ok, true);
    realm = "evil";
    const second = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    assert.equal((await second).ok, false);
    await end();
  });

  it("gives nothing to the called peer that challenges our BYE, directly or through the proxy", async () => {
    for (const route of [[], ["<sip:10.0.0.5;lr>"]]) {
      const { clock, alice, server, stranger, end } = await setUp({
        outboundProxy: "sip:10.0.0.5",
      });
      const challenge = (nonce: string): [string, string][] => [
        ["Proxy-Authenticate", `Digest realm="home", nonce="${nonce}"`],
      ];
      const answer = (peer: ScriptedPeer) => (request: SipRequest) => {
        if (request.method === "ACK") return;
        if (request.method === "BYE") peer.reply(request, 407, { headers: challenge("evil") });
        else if (authorizationOf(request) === undefined)
          peer.reply(request, 407, { headers: challenge("good") });
        else
          peer.reply(request, 200, {
            toTag: "callee",
            contact: "<sip:bob@10.0.0.6>",
            headers: route.map((value) => ["Record-Route", value] as const),
            contentType: "application/sdp",
            body: ANSWER,
          });
      };
      server.onRequest = answer(server);
      stranger.onRequest = answer(stranger);
      const call = alice.userAgent.invite({ targets: ["sip:bob@10.0.0.6"], account: "a" });
      await clock.advanceAsync(500);
      assert.equal(call.state, "established");
      void call.end();
      await clock.advanceAsync(500);
      const byes = [...server.requests, ...stranger.requests].filter(
        ({ method }) => method === "BYE",
      );
      assert.equal(byes.length, 1, "the BYE is not repeated with credentials");
      assert.equal(authorizationOf(byes[0]), undefined);
      assert.equal(call.state, "terminated");
      await end();
    }
  });

  it("answers a challenge within a call when the other end is the account's own server", async () => {
    const { clock, alice, server, end } = await setUp();
    server.onRequest = (request) => {
      if (request.method === "ACK") return;
      if (authorizationOf(request) === undefined)
        server.reply(request, 401, {
          headers: [["WWW-Authenticate", 'Digest realm="pbx", nonce="n"']],
        });
      else if (request.method === "INVITE")
        server.reply(request, 200, {
          toTag: "pbx",
          contact: "<sip:bob@10.0.0.5>",
          contentType: "application/sdp",
          body: ANSWER,
        });
      else server.reply(request, 200);
    };
    const call = alice.userAgent.invite({ targets: ["bob"], account: "a" });
    await clock.advanceAsync(500);
    void call.end();
    await clock.advanceAsync(500);
    assert.deepEqual(server.methods(), ["INVITE", "ACK", "INVITE", "ACK", "BYE", "BYE"]);
    assert.equal(call.state, "terminated");
    await end();
  });

  it("shows no password and no credentials in events, outcomes and errors", async () => {
    const { clock, alice, server, end } = await setUp();
    server.onRequest = (request) =>
      server.reply(request, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="r", nonce="n"']],
      });
    const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
    await clock.advanceAsync(1_000);
    const shown = JSON.stringify([await outcome, alice.stackEvents, [...alice.userAgent.accounts]]);
    assert.equal(shown.includes(PASSWORD), false);
    await end();
  });
});

const ANSWER = [
  "v=0",
  "o=bob 1 1 IN IP4 10.0.0.6",
  "s=-",
  "c=IN IP4 10.0.0.6",
  "t=0 0",
  "m=audio 4000 RTP/AVP 0",
  "a=rtpmap:0 PCMU/8000",
  "",
].join("\r\n");
