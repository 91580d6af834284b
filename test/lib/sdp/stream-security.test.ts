/**
 * Which calls are encrypted: every setting of ours against every offer and answer of a peer; then whole exchanges:
 * holds, re-offers, forks that answer with keys of their own, exchanges taken back, keys that no other session has.
 */
import assert from "node:assert/strict";
import { MediaError } from "../../../lib/foundation/index.js";
import {
  acceptSecurity,
  answerSecurity,
  capabilitiesOf,
  Negotiator,
  offeredCrypto,
  offeredProfile,
  SdpCache,
  SRTP_SUITES,
} from "../../../lib/sdp/index.js";
import type { SrtpMode, SrtpSuite, StreamSecurity } from "../../../lib/sdp/index.js";

const CM80 = "AES_CM_128_HMAC_SHA1_80";
const CM32 = "AES_CM_128_HMAC_SHA1_32";
const GCM = "AEAD_AES_256_GCM";

function key(suite: SrtpSuite, fill: number): string {
  const { masterKey, masterSalt } = SRTP_SUITES[suite];
  return Buffer.alloc(masterKey + masterSalt, fill).toString("base64");
}

const ours = (suite: SrtpSuite): string => key(suite, 1);
const theirs = (suite: SrtpSuite): string => key(suite, 2);
const line = (tag: number, suite: SrtpSuite, value = theirs(suite)): string =>
  `${tag} ${suite} inline:${value}`;

function security(mode: SrtpMode, keyOf = ours): StreamSecurity {
  return { mode, keyOf };
}

describe("an offer of the peer", () => {
  const good = [line(1, CM80)];
  const useless = ["1 AES_CM_192_HMAC_SHA1_80 inline:abc"];
  type Outcome = "clear" | "encrypted" | "refused";
  const table: [string, readonly string[], Record<SrtpMode, Outcome>][] = [
    ["RTP/AVP", [], { off: "clear", optional: "clear", required: "refused" }],
    ["RTP/AVPF", [], { off: "clear", optional: "clear", required: "refused" }],
    ["RTP/AVP", good, { off: "clear", optional: "encrypted", required: "encrypted" }],
    ["RTP/AVP", useless, { off: "clear", optional: "clear", required: "refused" }],
    ["RTP/SAVP", good, { off: "refused", optional: "encrypted", required: "encrypted" }],
    ["RTP/SAVPF", good, { off: "refused", optional: "encrypted", required: "encrypted" }],
    ["RTP/SAVP", [], { off: "refused", optional: "refused", required: "refused" }],
    ["RTP/SAVP", useless, { off: "refused", optional: "refused", required: "refused" }],
    ["UDP/TLS/RTP/SAVP", good, { off: "refused", optional: "refused", required: "refused" }],
  ];
  for (const [protocol, crypto, outcomes] of table) {
    for (const mode of ["off", "optional", "required"] as const) {
      const what =
        crypto === good ? "with a key" : crypto === useless ? "with no usable key" : "without key";
      it(`${protocol} ${what}, srtp ${mode}: ${outcomes[mode]}`, () => {
        const result = answerSecurity({ protocol, crypto }, security(mode));
        const outcome = !result.ok ? "refused" : result.srtp ? "encrypted" : "clear";
        assert.equal(outcome, outcomes[mode]);
        if (outcome === "encrypted" && result.ok) {
          assert.deepEqual(result.crypto, [line(1, CM80, ours(CM80))]);
          assert.equal(result.srtp?.localKey, ours(CM80));
          assert.equal(result.srtp.remoteKey, theirs(CM80));
        } else if (result.ok) assert.deepEqual(result.crypto, []);
      });
    }
  }

  it("is answered with its first line that we understand, and its tag", () => {
    const offered = { protocol: "RTP/SAVP", crypto: [...useless, line(7, CM32), line(8, GCM)] };
    const result = answerSecurity(offered, security("optional"));
    assert.ok(result.ok);
    assert.deepEqual(result.crypto, [line(7, CM32, ours(CM32))]);
  });
});

describe("an answer of the peer", () => {
  const offers: Record<SrtpMode, { protocol: string; crypto: readonly string[] }> = {
    off: { protocol: "RTP/AVP", crypto: [] },
    optional: { protocol: "RTP/AVP", crypto: offeredCrypto(security("optional"), undefined) },
    required: { protocol: "RTP/SAVP", crypto: offeredCrypto(security("required"), undefined) },
  };
  const cases: [string, SrtpMode, readonly string[], string | undefined][] = [
    ["without key to an offer in clear", "off", [], "clear"],
    ["with a key that nobody asked for", "off", [line(1, CM80)], "clear"],
    ["without key to an optional offer", "optional", [], "clear"],
    ["with a key to an optional offer", "optional", [line(2, CM80)], CM80],
    ["with the tag of another suite", "optional", [line(1, CM80)], undefined],
    ["with a tag that was not offered", "optional", [line(9, CM80)], undefined],
    ["with two keys", "required", [line(1, GCM), line(2, CM80)], undefined],
    ["with a broken key", "required", [`2 ${CM80} inline:abc`], undefined],
    ["without key to a required offer", "required", [], undefined],
    ["with the first suite", "required", [line(1, GCM)], GCM],
    ["with the last suite", "required", [line(3, CM32)], CM32],
  ];
  for (const [name, mode, crypto, expected] of cases) {
    it(`${name}: ${expected ?? "is no answer"}`, () => {
      const result = acceptSecurity(
        offers[mode],
        { protocol: offers[mode].protocol, crypto },
        mode,
      );
      assert.equal(result.ok ? (result.srtp?.suite ?? "clear") : undefined, expected);
      if (result.ok && result.srtp) {
        assert.equal(result.srtp.localKey, ours(result.srtp.suite));
        assert.equal(result.srtp.remoteKey, theirs(result.srtp.suite));
      }
    });
  }
});

describe("our offer", () => {
  it("has the profile that the setting wants, or the one in use", () => {
    assert.equal(offeredProfile("off", undefined), "RTP/AVP");
    assert.equal(offeredProfile("optional", undefined), "RTP/AVP");
    assert.equal(offeredProfile("required", undefined), "RTP/SAVP");
    assert.equal(offeredProfile("required", "RTP/SAVPF"), "RTP/SAVPF");
    assert.equal(offeredProfile("required", "RTP/AVP"), "RTP/SAVP");
    assert.equal(offeredProfile("optional", "RTP/SAVP"), "RTP/SAVP");
    assert.equal(offeredProfile("off", "RTP/AVPF"), "RTP/AVPF");
    assert.equal(offeredProfile("off", "RTP/SAVP"), "RTP/AVP");
  });

  it("names the suite in use first, also one that is not offered at first", () => {
    const suites = (inUse: SrtpSuite | undefined): string[] =>
      offeredCrypto(security("optional"), inUse).map((value) => value.split(" ")[1]);
    assert.deepEqual(suites(undefined), [GCM, CM80, CM32]);
    assert.deepEqual(suites(CM32), [CM32, GCM, CM80]);
    assert.deepEqual(suites("AEAD_AES_128_GCM"), ["AEAD_AES_128_GCM", GCM, CM80, CM32]);
    assert.deepEqual(offeredCrypto(security("off"), undefined), []);
    assert.deepEqual(offeredCrypto(undefined, undefined), []);
  });
});

describe("encrypted exchanges", () => {
  function negotiator(mode: SrtpMode, fill = 1, cache = new SdpCache()): Negotiator {
    return new Negotiator({
      capabilities: capabilitiesOf(["PCMU"]),
      cache,
      sessionId: "77",
      address: "198.51.100.1",
      port: 10_000,
      security: security(mode, (suite) => key(suite, fill)),
    });
  }

  function sdp(protocol: string, crypto: readonly string[], extra = ""): string {
    return [
      "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0",
      `m=audio 4000 ${protocol} 0`,
      ...crypto.map((value) => `a=crypto:${value}`),
      extra,
      "",
    ].join("\r\n");
  }

  const cryptoOf = (text: string): string[] =>
    [...text.matchAll(/^a=crypto:(.*)$/gm)].map((match) => match[1].trimEnd());
  const profileOf = (text: string): string => /^m=audio \d+ (\S+)/m.exec(text)?.[1] ?? "";

  it("an offer of RTP/SAVP is answered in kind, a hold afterwards repeats profile and keys", () => {
    const side = negotiator("optional");
    const answer = side.answer(sdp("RTP/SAVP", [line(5, CM80)]));
    side.commit();
    assert.equal(profileOf(answer), "RTP/SAVP");
    assert.deepEqual(cryptoOf(answer), [line(5, CM80, ours(CM80))]);
    const hold = side.createOffer("sendonly");
    assert.equal(profileOf(hold), "RTP/SAVP");
    assert.equal(cryptoOf(hold)[0], line(1, CM80, ours(CM80)));
    side.accept(sdp("RTP/SAVP", [line(1, CM80)], "a=recvonly"));
    assert.equal(side.stream?.srtp?.remoteKey, theirs(CM80));
  });

  it("our optional offer ends encrypted or in clear as the peer answers", () => {
    const side = negotiator("optional");
    const keys = () => side.stream?.srtp;
    const offer = side.createOffer();
    assert.equal(profileOf(offer), "RTP/AVP");
    side.accept(sdp("RTP/AVP", []), true);
    assert.equal(keys(), undefined);
    // A fork answers with a key, another one with another.
    side.accept(sdp("RTP/AVP", [line(2, CM80)]), true);
    assert.equal(keys()?.remoteKey, theirs(CM80));
    side.accept(sdp("RTP/AVP", [line(1, GCM, key(GCM, 9))]));
    assert.equal(keys()?.suite, GCM);
    assert.equal(keys()?.remoteKey, key(GCM, 9));
  });

  it("a required offer that is answered without key is no agreement, and nothing changes", () => {
    const side = negotiator("required");
    assert.equal(profileOf(side.createOffer()), "RTP/SAVP");
    assert.throws(() => side.accept(sdp("RTP/SAVP", [])), MediaError);
    assert.throws(() => side.accept(sdp("RTP/AVP", [])), MediaError);
    assert.equal(side.stream, undefined);
  });

  it("a refusal says that encryption is the reason", () => {
    const text = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        assert.ok(error instanceof MediaError);
        assert.equal(error.statusHint, 488);
        return error.message;
      }
      return "";
    };
    assert.match(
      text(() => negotiator("off").answer(sdp("RTP/SAVP", [line(1, CM80)]))),
      /switched off/,
    );
    assert.match(
      text(() => negotiator("required").answer(sdp("RTP/AVP", []))),
      /required/,
    );
    assert.ok(
      !text(() => negotiator("off").answer(sdp("RTP/SAVP", [line(1, CM80)]))).includes(
        theirs(CM80),
      ),
    );
  });

  it("of two streams the encrypted one is taken, also when it comes second", () => {
    const side = negotiator("optional");
    const offer = `${sdp("RTP/AVP", []).trimEnd()}\r\nm=audio 4002 RTP/SAVP 0\r\na=crypto:${line(1, CM80)}\r\n`;
    const answer = side.answer(offer);
    assert.match(answer, /^m=audio 0 RTP\/AVP/m);
    assert.match(answer, /^m=audio 10000 RTP\/SAVP/m);
    assert.equal(side.stream?.index, 1);
  });

  it("an exchange that is taken back leaves the keys of before", () => {
    const side = negotiator("optional");
    side.answer(sdp("RTP/AVP", [line(1, CM80)]));
    side.commit();
    side.answer(sdp("RTP/AVP", [line(1, CM80, key(CM80, 9))]));
    assert.equal(side.stream?.srtp?.remoteKey, key(CM80, 9));
    side.rollback();
    assert.equal(side.stream?.srtp?.remoteKey, theirs(CM80));
  });

  it("sessions that share a cache do not share keys", () => {
    const cache = new SdpCache();
    const [first, second] = [negotiator("optional", 3, cache), negotiator("optional", 4, cache)];
    assert.notDeepEqual(cryptoOf(first.createOffer()), cryptoOf(second.createOffer()));
    const offer = sdp("RTP/SAVP", [line(1, CM80)]);
    const [third, fourth] = [negotiator("optional", 5, cache), negotiator("optional", 6, cache)];
    assert.notDeepEqual(cryptoOf(third.answer(offer)), cryptoOf(fourth.answer(offer)));
  });

  it("RTP and RTCP share a port only where both sides say so", () => {
    const side = negotiator("off");
    assert.match(side.createOffer(), /^a=rtcp-mux\r$/m);
    side.accept(sdp("RTP/AVP", []));
    assert.equal(side.stream?.rtcpMux, false);
    assert.match(side.answer(sdp("RTP/AVP", [], "a=rtcp-mux")), /^a=rtcp-mux\r$/m);
    assert.equal(side.stream?.rtcpMux, true);
    side.commit();
    assert.doesNotMatch(side.answer(sdp("RTP/AVP", [])), /rtcp-mux/);
  });
});
