/** Reading the keys of a peer: what is understood, and what has to be passed over (RFC 4568 §5.1.2, §6, §9). */
import assert from "node:assert/strict";
import {
  parseCryptoAttribute,
  SRTP_SUITES,
  withoutKeys,
  writeCryptoAttribute,
} from "../../../lib/sdp/index.js";
import type { SrtpSuite } from "../../../lib/sdp/index.js";

const KEY = Buffer.alloc(30, 7).toString("base64");
const GCM_KEY = Buffer.alloc(44, 7).toString("base64");
const CM = "AES_CM_128_HMAC_SHA1_80";

describe("a=crypto", () => {
  for (const suite of Object.keys(SRTP_SUITES) as SrtpSuite[]) {
    it(`what is written for ${suite} is read again`, () => {
      const { masterKey, masterSalt } = SRTP_SUITES[suite];
      const key = Buffer.alloc(masterKey + masterSalt, 0xf3).toString("base64");
      assert.deepEqual(parseCryptoAttribute(writeCryptoAttribute(3, suite, key)), {
        tag: 3,
        suite,
        key,
        keyIdentifier: undefined,
      });
    });
  }

  const understood: [string, string, string | undefined][] = [
    ["a lifetime as power", `1 ${CM} inline:${KEY}|2^31`, undefined],
    ["a lifetime as number", `1 ${CM} inline:${KEY}|1048576`, undefined],
    ["a key identifier", `1 ${CM} inline:${KEY}|1:4`, "00000001"],
    ["lifetime and identifier", `1 ${CM} inline:${KEY}|2^20|300:2`, "012c"],
    ["a hint about the window", `1 ${CM} inline:${KEY} WSH=128`, undefined],
    ["an optional parameter that is unknown", `1 ${CM} inline:${KEY} -x-thing=1`, undefined],
    [
      "a key without its padding",
      `1 AEAD_AES_256_GCM inline:${GCM_KEY.replace(/=+$/, "")}`,
      undefined,
    ],
    ["wide spaces", `1  ${CM}  inline:${KEY}  `, undefined],
  ];
  for (const [name, line, identifier] of understood) {
    it(`takes ${name}`, () => {
      const read = parseCryptoAttribute(line);
      assert.equal(read?.tag, 1);
      assert.equal(read.keyIdentifier?.value, identifier);
    });
  }

  const passedOver: [string, string][] = [
    ["an unknown suite", `1 AES_CM_192_HMAC_SHA1_80 inline:${KEY}`],
    ["a suite named like a member of every object", `1 constructor inline:${KEY}`],
    ["a key that is too short", `1 ${CM} inline:${KEY.slice(4)}`],
    ["a key that is too long", `1 ${CM} inline:${GCM_KEY}`],
    ["a key that is no base64", `1 ${CM} inline:${KEY.slice(1)}*`],
    ["a key by another method", `1 ${CM} uri:${KEY}`],
    ["several keys", `1 ${CM} inline:${KEY}|2^20|1:4;inline:${KEY}|2^20|2:4`],
    ["RTP without encryption", `1 ${CM} inline:${KEY} UNENCRYPTED_SRTP`],
    ["RTCP without encryption, named second", `1 ${CM} inline:${KEY} WSH=64 UNENCRYPTED_SRTCP`],
    ["RTP without tag", `1 ${CM} inline:${KEY} UNAUTHENTICATED_SRTP`],
    ["a rate of key derivation", `1 ${CM} inline:${KEY} KDR=4`],
    ["an unknown parameter", `1 ${CM} inline:${KEY} X=1`],
    ["an identifier that does not fit its length", `1 ${CM} inline:${KEY}|256:1`],
    ["an identifier of length 0", `1 ${CM} inline:${KEY}|1:0`],
    ["an identifier longer than RFC 4568 allows", `1 ${CM} inline:${KEY}|1:129`],
    ["a third field", `1 ${CM} inline:${KEY}|2^20|1:4|5`],
    ["a tag of ten digits", `1234567890 ${CM} inline:${KEY}`],
    ["no tag", `${CM} inline:${KEY}`],
    ["nothing", ""],
  ];
  for (const [name, line] of passedOver) {
    it(`passes over ${name}`, () => assert.equal(parseCryptoAttribute(line), undefined));
  }

  it("long nonsense costs no more than its length", () => {
    const started = performance.now();
    parseCryptoAttribute(`1 ${"! ".repeat(4000)}`);
    parseCryptoAttribute(`1 ${CM} inline:${KEY} ${"- ".repeat(4000)}\u0001`);
    assert.ok(performance.now() - started < 200);
  });

  it("a description that is shown has no keys, and is else the same", () => {
    const text = `m=audio 4000 RTP/SAVP 0\r\na=crypto:1 ${CM} inline:${KEY}|2^20|1:4 WSH=64\r\na=crypto:2 ${CM} INLINE:${KEY}\r\n`;
    const shown = withoutKeys(text);
    assert.ok(!shown.includes(KEY));
    assert.equal(
      shown,
      `m=audio 4000 RTP/SAVP 0\r\na=crypto:1 ${CM} inline:***|2^20|1:4 WSH=64\r\na=crypto:2 ${CM} INLINE:***\r\n`,
    );
    assert.equal(withoutKeys("m=audio 4000 RTP/AVP 0"), "m=audio 4000 RTP/AVP 0");
  });
});
