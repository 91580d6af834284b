/**
 * From challenge to credentials.
 * 1 The strongest supported challenge is answered (RFC 8760 §2.4). 2 Unknown schemes, algorithms, qop are skipped.
 * 3 401 → Authorization, 407 → Proxy-Authorization. 4 opaque and algorithm return as they came; qop auth before auth-int.
 * 5 The nonce count grows per nonce; a new nonce begins at 1. 6 stale is reported. 7 No step down to MD5 once SHA-2 was
 * seen. 8 Only the wanted realm. 9 What was learnt stays with its server and user. 10 The cache is bounded.
 * 11 Hostile challenges neither throw nor touch prototypes.
 */
import assert from "node:assert/strict";
import {
  answerChallenge,
  challengesOf,
  CredentialCache,
  digestResponse,
  preauthorize,
  type AnswerOptions,
  type Challenge,
  type DigestAuthorization,
} from "../../../lib/auth/index.js";
import {
  HeaderMap,
  parseChallenges,
  parseCredentials,
  SipResponse,
} from "../../../lib/message/index.js";
import { SeededRandom } from "../../support/seeded-random.js";

const CREDENTIALS = { user: "alice", password: "secret" };

function setUp() {
  const cache = new CredentialCache();
  const random = new SeededRandom(7);
  const answer = (lines: string[], change: Partial<AnswerOptions> = {}) =>
    answerChallenge({
      challenges: parseChallenges(lines).map((parameters): Challenge => {
        return { header: "Authorization", parameters };
      }),
      credentials: CREDENTIALS,
      method: "REGISTER",
      uri: "sip:example.org",
      body: "",
      random,
      cache,
      serverKey: "example.org",
      ...change,
    });
  const next = (change: Partial<AnswerOptions> = {}) =>
    preauthorize({
      credentials: CREDENTIALS,
      method: "INVITE",
      uri: "sip:bob@example.org",
      body: "",
      random,
      cache,
      serverKey: "example.org",
      ...change,
    });
  return { cache, answer, next };
}

function given(result: ReturnType<typeof answerChallenge>): DigestAuthorization {
  assert.ok("header" in result, "refused" in result ? result.refused : "");
  return result;
}

function parametersOf(result: ReturnType<typeof answerChallenge>): Map<string, string> {
  return new Map(parseCredentials(given(result).value));
}

function challenge(rest = "", nonce = "n1", realm = "example.org"): string {
  return `Digest realm="${realm}", nonce="${nonce}"${rest}`;
}

describe("answerChallenge", () => {
  it("answers with parameters whose response can be recomputed", () => {
    const { answer } = setUp();
    const sent = parametersOf(answer([challenge(', qop="auth", opaque="xyz", algorithm=MD5')]));
    assert.equal(sent.get("username"), "alice");
    assert.equal(sent.get("realm"), "example.org");
    assert.equal(sent.get("uri"), "sip:example.org");
    assert.equal(sent.get("opaque"), "xyz");
    assert.equal(sent.get("algorithm"), "MD5");
    assert.equal(sent.get("qop"), "auth");
    assert.equal(sent.get("nc"), "00000001");
    const expected = digestResponse({
      algorithm: "MD5",
      ...CREDENTIALS,
      realm: "example.org",
      nonce: "n1",
      method: "REGISTER",
      uri: "sip:example.org",
      qop: "auth",
      nonceCount: "00000001",
      clientNonce: sent.get("cnonce") ?? "",
      body: "",
    });
    assert.equal(sent.get("response"), expected);
  });

  it("names no algorithm, qop, nc or cnonce when the server names none (RFC 2069)", () => {
    const { answer } = setUp();
    const sent = parametersOf(answer([challenge()]));
    for (const name of ["algorithm", "qop", "nc", "cnonce", "opaque"]) {
      assert.equal(sent.has(name), false, name);
    }
  });

  for (const [order, lines, expected] of [
    ["MD5 first", ["MD5", "SHA-256", "SHA-512-256"], "SHA-512-256"],
    ["strongest first", ["SHA-512-256", "SHA-256", "MD5"], "SHA-512-256"],
    ["SHA-256 between unknown ones", ["AKAv1-MD5", "SHA-256", "SHA-1"], "SHA-256"],
    ["two of equal strength", ["SHA-256-sess", "SHA-256"], "SHA-256-sess"],
    ["MD5 alone", ["MD5"], "MD5"],
  ] as const) {
    it(`chooses the strongest algorithm: ${order} (RFC 8760 §2.4)`, () => {
      const { answer } = setUp();
      const offered = lines.map((name) => challenge(`, algorithm=${name}, qop="auth"`));
      assert.equal(given(answer(offered)).algorithm, expected);
    });
  }

  it("skips other schemes in the same header", () => {
    const { answer } = setUp();
    const result = given(answer(['Basic realm="b"', `Bearer x="y", ${challenge()}`]));
    assert.equal(result.realm, "example.org");
  });

  for (const [what, lines] of [
    ["only unknown algorithms", [challenge(", algorithm=SHA-1")]],
    ["only an unknown qop", [challenge(', qop="privacy"')]],
    ["no nonce", ['Digest realm="example.org"']],
    ["no realm", ['Digest nonce="x"']],
    ["no Digest at all", ['Basic realm="b"']],
    ["nothing", []],
  ] as const) {
    it(`refuses in words when there is ${what}`, () => {
      const { answer } = setUp();
      const result = answer([...lines]);
      assert.ok("refused" in result);
      assert.match(result.refused, /no Digest algorithm/);
    });
  }

  it("prefers auth, and uses auth-int over the body when nothing else is offered", () => {
    const { answer } = setUp();
    assert.equal(parametersOf(answer([challenge(', qop="auth-int,auth"')])).get("qop"), "auth");
    const body = Buffer.from("v=0\r\n");
    const sent = parametersOf(answer([challenge(', qop="auth-int"', "n2")], { body }));
    assert.equal(sent.get("qop"), "auth-int");
    const expected = digestResponse({
      algorithm: "MD5",
      ...CREDENTIALS,
      realm: "example.org",
      nonce: "n2",
      method: "REGISTER",
      uri: "sip:example.org",
      qop: "auth-int",
      nonceCount: "00000001",
      clientNonce: sent.get("cnonce") ?? "",
      body,
    });
    assert.equal(sent.get("response"), expected);
  });

  it("counts up while the server repeats its nonce and begins at 1 with a new one", () => {
    const { answer } = setUp();
    const count = (nonce: string) =>
      parametersOf(answer([challenge(', qop="auth"', nonce)])).get("nc");
    assert.deepEqual(
      [count("n1"), count("n1"), count("n2"), count("n2")],
      ["00000001", "00000002", "00000001", "00000002"],
    );
  });

  it("says when only the nonce was stale", () => {
    const { answer } = setUp();
    assert.equal(given(answer([challenge(", stale=FALSE")])).stale, false);
    assert.equal(given(answer([challenge(", stale=TRUE", "n2")])).stale, true);
    assert.equal(given(answer([challenge(', stale="true"', "n3")])).stale, true);
  });

  it("refuses MD5 once this server has used SHA-256 for the realm", () => {
    const { answer } = setUp();
    given(answer([challenge(", algorithm=SHA-256")]));
    const result = answer([challenge(", algorithm=MD5", "n2")]);
    assert.ok("refused" in result);
    assert.match(result.refused, /only MD5/);
    // Another realm or another server is not concerned.
    given(answer([challenge(", algorithm=MD5", "n3", "other.org")]));
    given(answer([challenge(", algorithm=MD5", "n3")], { serverKey: "other.org" }));
  });

  it("still refuses MD5 after the credentials were forgotten", () => {
    const { answer, cache } = setUp();
    given(answer([challenge(", algorithm=SHA-512-256")]));
    cache.forget("example.org", "alice");
    assert.ok("refused" in answer([challenge("", "n2")]));
  });

  it("does not forget the stronger algorithm when the server names many realms", () => {
    const { answer } = setUp();
    given(answer([challenge(", algorithm=SHA-256")]));
    for (let i = 0; i < 50; i++) {
      given(answer([challenge(", algorithm=SHA-256", `n${i}`, `realm${i}`)]));
    }
    assert.ok("refused" in answer([challenge("", "m")]));
  });

  it("answers only the wanted realm", () => {
    const { answer } = setUp();
    const credentials = { ...CREDENTIALS, realm: "mine" };
    const refused = answer([challenge()], { credentials });
    assert.ok("refused" in refused);
    assert.match(refused.refused, /another realm/);
    const lines = [challenge(", algorithm=SHA-256"), challenge("", "n2", "mine")];
    assert.equal(given(answer(lines, { credentials })).realm, "mine");
  });

  it("neither throws nor leaks the password when the user name cannot stand in a header", () => {
    const { answer } = setUp();
    const result = answer([challenge()], {
      credentials: { user: "a\r\nX: y", password: "top-secret" },
    });
    assert.ok("refused" in result);
    assert.doesNotMatch(result.refused, /top-secret/);
  });

  it("quotes what the server sent with quotes and backslashes", () => {
    const { answer } = setUp();
    const sent = parametersOf(answer(['Digest realm="a\\"b\\\\c", nonce="n"']));
    assert.equal(sent.get("realm"), 'a"b\\c');
  });

  it("survives names of Object.prototype as parameters, realms and servers", () => {
    const { answer, next } = setUp();
    const line = 'Digest __proto__="x", constructor="y", realm="__proto__", nonce="toString"';
    assert.equal(given(answer([line], { serverKey: "__proto__" })).realm, "__proto__");
    assert.equal(next({ serverKey: "__proto__" }).length, 1);
    assert.equal(next({ serverKey: "constructor" }).length, 0);
    assert.equal(({} as Record<string, unknown>)["x"], undefined);
  });
});

describe("preauthorize", () => {
  it("gives nothing before the first challenge", () => {
    assert.deepEqual(setUp().next(), []);
  });

  it("continues the nonce count with another method and URI (RFC 3261 §22.2)", () => {
    const { answer, next } = setUp();
    given(answer([challenge(', qop="auth", algorithm=SHA-256')]));
    const [authorization, ...others] = next();
    assert.ok(authorization);
    assert.equal(others.length, 0);
    const sent = new Map(parseCredentials(authorization.value));
    assert.equal(sent.get("nc"), "00000002");
    assert.equal(sent.get("uri"), "sip:bob@example.org");
    assert.equal(authorization.algorithm, "SHA-256");
  });

  it("keeps the cnonce for -sess and takes a fresh one otherwise", () => {
    for (const [algorithm, same] of [
      ["MD5-sess", true],
      ["MD5", false],
    ] as const) {
      const { answer, next } = setUp();
      const first = parametersOf(answer([challenge(`, qop="auth", algorithm=${algorithm}`)]));
      const second = new Map(parseCredentials(next()[0]?.value ?? ""));
      assert.equal(first.get("cnonce") === second.get("cnonce"), same, algorithm);
    }
  });

  it("gives one line per realm and header, of the newest nonce", () => {
    const { answer, next } = setUp();
    given(answer([challenge("", "n1")]));
    given(answer([challenge("", "n2")]));
    given(answer([challenge("", "n3", "proxy.example.org")]));
    const nonces = next().map(({ value }) => parseCredentials(value)?.get("nonce"));
    assert.deepEqual(nonces, ["n2", "n3"]);
    const wanted = next({ credentials: { ...CREDENTIALS, realm: "proxy.example.org" } });
    assert.deepEqual(
      wanted.map(({ realm }) => realm),
      ["proxy.example.org"],
    );
  });

  it("uses nothing of another server or user, and nothing that was forgotten", () => {
    const { answer, next, cache } = setUp();
    given(answer([challenge()]));
    assert.equal(next({ serverKey: "evil.example" }).length, 0);
    assert.equal(next({ credentials: { user: "bob", password: "x" } }).length, 0);
    assert.equal(next().length, 1);
    cache.forget("example.org", "alice");
    assert.equal(next().length, 0);
  });
});

describe("CredentialCache", () => {
  it("holds a bounded number of servers and drops the least recently challenged", () => {
    const cache = new CredentialCache({ limit: 3 });
    const { answer, next } = setUp();
    for (const serverKey of ["a", "b", "c", "a", "d"]) {
      given(answer([challenge("", `${serverKey}${cache.size}`)], { serverKey, cache }));
    }
    assert.equal(cache.size, 3);
    const kept = ["a", "b", "c", "d"].filter((serverKey) => next({ serverKey, cache }).length > 0);
    assert.deepEqual(kept, ["a", "c", "d"]);
    cache.clear();
    assert.equal(cache.size, 0);
  });

  it("holds a bounded number of realms per server", () => {
    const { answer, next } = setUp();
    for (let i = 0; i < 100; i++) given(answer([challenge("", `n${i}`, `realm${i}`)]));
    assert.equal(next().length, 8);
  });
});

describe("challengesOf", () => {
  it("tells server and proxy challenges apart", () => {
    const headers = new HeaderMap();
    headers.add("Proxy-Authenticate", 'Digest realm="p", nonce="1"');
    headers.add("WWW-Authenticate", 'Digest realm="s", nonce="2", Digest realm="t", nonce="3"');
    const found = challengesOf(new SipResponse(401, "Unauthorized", headers, Buffer.alloc(0)));
    assert.deepEqual(
      found.map(({ header, parameters }) => `${header} ${parameters.get("realm")}`),
      ["Authorization s", "Authorization t", "Proxy-Authorization p"],
    );
  });
});
