/**
 * Who the peer is (RFC 3325 §9.1, RFC 4916, contract §2 and §3.1). Requirements:
 *  1. P-Asserted-Identity, then Remote-Party-ID, from trusted sources only, else From; broken ones count as absent.
 *  2. Who answers may be told by the response; a change is the event `participant`, once.
 *  3. A request in the dialog may change it: asserted by a trusted source, else by its From.
 *  4. An anonymous caller tells only its account's own server who it is.
 */
import assert from "node:assert/strict";
import { parseMessage, type SipRequest } from "../../../lib/message/index.js";
import { assertedIdentity } from "../../../lib/user-agent/remote-identity.js";
import { endAll, Person, type PersonOptions } from "../../support/alice-and-bob.js";
import { LoopNetwork } from "../../support/loop-network.js";
import { ManualClock } from "../../support/manual-clock.js";
import { requestText, ScriptedPeer } from "../../support/scripted-peer.js";

const SDP =
  "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

function invite(...headers: string[]): SipRequest {
  const text = requestText({
    method: "INVITE",
    headers: ["Contact: <sip:s@10.0.0.9>", ...headers],
  });
  const result = parseMessage(Buffer.from(text));
  assert.ok(result.ok);
  return result.message as SipRequest;
}

describe("the identity of a caller", () => {
  const from = "sip:stranger@10.0.0.9 from";
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["nothing but From", [], from],
    ["an asserted identity", ["P-Asserted-Identity: <sip:a@x.example>"], "sip:a@x.example pai"],
    ["a tel identity", ["P-Asserted-Identity: <tel:+4930>"], "tel:+4930 pai"],
    [
      "tel and sip in one line",
      ["P-Asserted-Identity: <tel:+4930>, <sip:a@x.example>"],
      "sip:a@x.example pai",
    ],
    [
      "tel and sip in two lines",
      ["P-Asserted-Identity: <tel:+4930>", "P-Asserted-Identity: <sip:a@x.example>"],
      "sip:a@x.example pai",
    ],
    ["a broken identity", ["P-Asserted-Identity: <sip:"], from],
    ["an empty identity", ["P-Asserted-Identity: "], from],
    [
      "a broken identity and Remote-Party-ID",
      ["P-Asserted-Identity: ,,,", "Remote-Party-ID: <sip:r@x.example>;screen=yes"],
      "sip:r@x.example rpid",
    ],
    [
      "Remote-Party-ID of the calling party",
      [
        "Remote-Party-ID: <sip:c@x.example>;party=called",
        "Remote-Party-ID: <sip:r@x.example>;party=calling;privacy=off",
      ],
      "sip:r@x.example rpid",
    ],
    ["only the called party", ["Remote-Party-ID: <sip:c@x.example>;party=called"], from],
    [
      "both headers",
      ["Remote-Party-ID: <sip:r@x.example>", "P-Asserted-Identity: <sip:a@x.example>"],
      "sip:a@x.example pai",
    ],
    ["only a preferred identity", ["P-Preferred-Identity: <sip:a@x.example>"], from],
  ];
  for (const [what, headers, expected] of cases) {
    it(`as a trusted source tells it is taken from ${what}`, () => {
      const { from } = invite(...headers);
      const { uri, identity } = assertedIdentity(invite(...headers)) ?? {
        uri: from.uri.toString(),
        identity: "from",
      };
      assert.equal(`${uri} ${String(identity)}`, expected);
    });
  }

  it("shows names beyond ASCII and keys of no object", () => {
    const named = assertedIdentity(
      invite('P-Asserted-Identity: "Zoë \\"Z\\"" <sip:__proto__@x.example>'),
    );
    assert.equal(named?.displayName, 'Zoë "Z"');
    assert.equal(named.user, "__proto__");
  });
});

async function setUp(options: PersonOptions = {}) {
  const clock = new ManualClock();
  const network = new LoopNetwork(clock);
  const alice = new Person("alice", "10.0.0.1", network, clock, options);
  const server = await new ScriptedPeer(network, { name: "server", address: "10.0.0.5" }).start();
  await alice.userAgent.start();
  alice.userAgent.addAccount({ id: "a", uri: "sip:alice@10.0.0.5", register: false });
  const headers = new Map<number, [string, string][]>();
  server.onRequest = (request) => {
    if (request.method === "ACK") return;
    if (request.method === "INVITE") {
      server.reply(request, 180, { toTag: "b", headers: headers.get(180) ?? [] });
      server.reply(request, 200, {
        toTag: "b",
        contact: "<sip:bob@10.0.0.5>",
        contentType: "application/sdp",
        body: SDP,
        headers: headers.get(200) ?? [],
      });
    } else server.reply(request, 200);
  };
  return { clock, alice, server, headers, end: () => endAll(clock, [alice]) };
}

describe("the identity of who answers", () => {
  const pai = (uri: string): [string, string][] => [["P-Asserted-Identity", `"C" <${uri}>`]];

  it("is told by a trusted response, as an event when it changed", async () => {
    const { clock, alice, headers, end } = await setUp({ trusted: ["10.0.0.5/32"] });
    headers.set(180, pai("sip:carol@10.0.0.5"));
    headers.set(200, pai("sip:carol@10.0.0.5"));
    const call = alice.userAgent.invite({ targets: ["sip:bob@10.0.0.5"], account: "a" });
    await clock.advanceAsync(200);
    assert.deepEqual(alice.heard(call), [
      "inviting",
      "participant",
      "progress",
      "answered",
      "confirmed",
    ]);
    const { remote } = alice.last("answered").snapshot;
    assert.equal(remote.uri, "sip:carol@10.0.0.5");
    assert.equal(remote.identity, "pai");
    assert.equal(remote.contact, "sip:bob@10.0.0.5");
    assert.equal(alice.last("progress").snapshot.remote.displayName, "C");
    await end();
  });

  it("is not believed when it comes from elsewhere", async () => {
    const { clock, alice, headers, end } = await setUp({ trusted: ["10.9.9.9/32"] });
    headers.set(180, pai("sip:carol@10.0.0.5"));
    headers.set(200, pai("sip:carol@10.0.0.5"));
    const call = alice.userAgent.invite({ targets: ["sip:bob@10.0.0.5"], account: "a" });
    await clock.advanceAsync(200);
    assert.equal(call.snapshot().remote.uri, "sip:bob@10.0.0.5");
    assert.equal(alice.heard(call).includes("participant"), false);
    await end();
  });

  for (const [what, trusted, line, expected] of [
    [
      "asserted by a trusted proxy",
      "10.0.0.5/32",
      "P-Asserted-Identity: <sip:dave@10.0.0.5>",
      "pai",
    ],
    ["by its From (RFC 4916)", "10.9.9.9/32", "X-Nothing: 1", "from"],
  ] as const) {
    it(`changes with a re-INVITE, ${what}`, async () => {
      const { clock, alice, server, end } = await setUp({ trusted: [trusted] });
      const call = alice.userAgent.invite({ targets: ["sip:bob@10.0.0.5"], account: "a" });
      await clock.advanceAsync(200);
      const { callId, localTag } = call.snapshot();
      const from = expected === "from" ? "<sip:dave@10.0.0.5>" : "<sip:bob@10.0.0.5>";
      for (const sequence of [7, 8]) {
        const text = requestText({
          method: "INVITE",
          uri: "sip:alice@10.0.0.1",
          via: `Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKre${sequence};rport`,
          from,
          to: `<sip:alice@10.0.0.5>;tag=${localTag}`,
          callId,
          sequence,
          headers: ["Contact: <sip:bob@10.0.0.5>", "Content-Type: application/sdp", line],
          body: SDP,
        }).replace(/;tag=f\d+/, ";tag=b");
        server.send(text, "10.0.0.1");
        await clock.advanceAsync(100);
        const ack = text
          .replace(/^INVITE/, "ACK")
          .replace(/CSeq: (\d+) INVITE/, "CSeq: $1 ACK")
          .replace(/z9hG4bKre/, "z9hG4bKack");
        server.send(ack, "10.0.0.1");
        await clock.advanceAsync(100);
      }
      const { remote } = call.snapshot();
      assert.equal(remote.uri, "sip:dave@10.0.0.5");
      assert.equal(remote.identity, expected);
      assert.equal(alice.heard(call).filter((name) => name === "participant").length, 1);
      await end();
    });
  }

  it("of an anonymous caller is told to its own server only", async () => {
    const { clock, alice, server, end } = await setUp();
    alice.userAgent.invite({ targets: ["bob"], account: "a", anonymous: true });
    await clock.advanceAsync(200);
    const own = server.last("INVITE");
    assert.equal(own.from.uri.toString(), "sip:anonymous@anonymous.invalid");
    assert.equal(own.headers.get("privacy"), "id");
    assert.equal(own.headers.get("p-preferred-identity"), "<sip:alice@10.0.0.5>");
    alice.userAgent.invite({ targets: ["sip:bob@10.0.0.5"], anonymous: true });
    await clock.advanceAsync(200);
    assert.equal(server.last("INVITE").headers.has("p-preferred-identity"), false);
    await end();
  });
});
