/**
 * 494 Security Agreement Required (RFC 3329). Requirements: the best mechanism that we have, the server's list back
 * unchanged, once; no agreement on what is not in use, and none with lists that cannot be read.
 */
import assert from "node:assert/strict";
import { agreeOnSecurity, SecurityAgreements } from "../../../lib/user-agent/security-agreement.js";
import { createResponse, parseMessage, type SipRequest } from "../../../lib/message/index.js";
import { endAll, Person } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

function agreed(protocol: "udp" | "tls", ...lines: string[]): string | undefined {
  const parsed = parseMessage(Buffer.from(requestText({ method: "MESSAGE" })));
  assert.ok(parsed.ok);
  const response = createResponse(parsed.message as SipRequest, {
    statusCode: 494,
    headers: lines.map((line) => ["Security-Server", line] as const),
  });
  const headers = agreeOnSecurity(response, protocol);
  return headers
    ?.map(([, value]) => value)
    .slice(2)
    .join(" | ");
}

describe("the choice of a security mechanism", () => {
  const cases: readonly (readonly ["udp" | "tls", readonly string[], string | undefined])[] = [
    ["udp", ["digest;q=0.1"], "digest | digest;q=0.1"],
    ["udp", ["tls;q=0.9, digest;q=0.1"], "digest | tls;q=0.9, digest;q=0.1"],
    ["tls", ["tls;q=0.9", "digest;q=0.1"], "tls | tls;q=0.9, digest;q=0.1"],
    ["tls", ["tls;q=0.1, digest;q=0.9"], "digest | tls;q=0.1, digest;q=0.9"],
    ["udp", ['digest;d-alg="a,b"'], 'digest | digest;d-alg="a,b"'],
    ["udp", ["ipsec-ike;q=0.9"], undefined],
    ["udp", ["tls"], undefined],
    ["udp", [], undefined],
    ["udp", ["@@@"], undefined],
    ["udp", ["digest,".repeat(40)], undefined],
  ];
  for (const [protocol, lines, expected] of cases) {
    it(`over ${protocol} of ${JSON.stringify(lines).slice(0, 60)}`, () => {
      assert.equal(agreed(protocol, ...lines), expected);
    });
  }
});

describe("a server that asks for an agreement", () => {
  for (const content of [true, false]) {
    it(content ? "gets it with the credentials" : "and is not content is asked once", async () => {
      const clock = new ManualClock();
      const network = new LoopNetwork(clock);
      const alice = new Person("alice", "10.0.0.1", network, clock);
      const server = await new ScriptedPeer(network, {
        name: "server",
        address: "10.0.0.5",
      }).start();
      await alice.userAgent.start();
      const options = { id: "a", uri: "sip:alice@10.0.0.5", password: "x", register: false };
      alice.userAgent.addAccount(options);
      server.onRequest = (request) => {
        const isGood =
          request.headers.get("security-verify") === "tls;q=0.9, digest;q=0.5" &&
          request.headers.get("require") === "sec-agree" &&
          request.headers.has("proxy-authorization");
        if (isGood && content) server.reply(request, 200);
        else
          server.reply(request, 494, {
            headers: [
              ["Security-Server", "tls;q=0.9, digest;q=0.5"],
              ["Proxy-Authenticate", 'Digest realm="r", nonce="n"'],
            ],
          });
      };
      const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
      await clock.advanceAsync(1_000);
      const result = await outcome;
      assert.equal(result.statusCode, content ? 200 : 494);
      assert.equal(server.requests.length, 2);
      await endAll(clock, [alice]);
    });
  }
});

describe("an agreement that was made", () => {
  it("goes with the next requests to the same server, until that asks for another", async () => {
    const clock = new ManualClock();
    const network = new LoopNetwork(clock);
    const alice = new Person("alice", "10.0.0.1", network, clock);
    const server = await new ScriptedPeer(network, { name: "server", address: "10.0.0.5" }).start();
    await alice.userAgent.start();
    alice.userAgent.addAccount({ id: "a", uri: "sip:alice@10.0.0.5", register: false });
    let wanted = "digest;q=0.5";
    server.onRequest = (request) => {
      const isGood = request.headers.get("security-verify") === wanted;
      const headers = [["Security-Server", wanted]] as const;
      server.reply(request, isGood ? 200 : 494, isGood ? {} : { headers });
    };
    const send = async (): Promise<number> => {
      const outcome = alice.userAgent.request({ method: "MESSAGE", to: "bob", account: "a" });
      await clock.advanceAsync(500);
      return (await outcome).statusCode;
    };
    assert.deepEqual([await send(), await send()], [200, 200]);
    assert.equal(server.requests.length, 3);
    wanted = "tls, digest;q=0.9";
    assert.deepEqual([await send(), await send()], [200, 200]);
    assert.equal(server.requests.length, 6);
    for (const name of ["security-verify", "security-client", "require"]) {
      assert.equal(server.requests.at(-1)?.headers.getAll(name).length, 1, name);
    }
    wanted = "ipsec-ike";
    assert.equal(await send(), 494);
    assert.equal(await send(), 494);
    assert.equal(server.requests.at(-1)?.headers.has("security-verify"), false);
    await endAll(clock, [alice]);
  });

  it("is remembered for a limited number of servers", () => {
    const agreements = new SecurityAgreements();
    const target = (port: number) => ({ protocol: "udp", address: "10.0.0.5", port }) as const;
    for (let port = 1; port <= 65; port++) agreements.remember(target(port), [["A", String(port)]]);
    assert.equal(agreements.of(target(1)), undefined);
    assert.ok(agreements.of(target(65)));
  });
});
