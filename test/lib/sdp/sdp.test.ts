import assert from "node:assert/strict";
import { composeSdp, parseSdp, SDP_LIMITS, writeSdpBody } from "../../../lib/sdp/index.js";
import type { SdpDescription } from "../../../lib/sdp/index.js";
import { SeededRandom } from "../../support/seeded-random.js";

function parsed(text: string): SdpDescription {
  const result = parseSdp(text);
  assert.ok(result.ok, result.ok ? "" : result.reason);
  return result.sdp;
}

function refused(text: string): string {
  const result = parseSdp(text);
  assert.equal(result.ok, false, "was accepted");
  return result.ok ? "" : result.reason;
}

const HEAD = "v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
const AUDIO = "m=audio 49170 RTP/AVP 0 8 97\r\na=rtpmap:97 iLBC/8000\r\n";

describe("parseSdp", () => {
  it("reads the m-line, its codecs in order, and static payload types without rtpmap", () => {
    const [audio] = parsed(HEAD + AUDIO).media;
    assert.equal(audio.kind, "audio");
    assert.equal(audio.port, 49170);
    assert.equal(audio.address, "192.0.2.1");
    assert.equal(audio.direction, "sendrecv");
    assert.deepEqual(
      audio.codecs.map(({ payloadType, name, clockRate }) => [payloadType, name, clockRate]),
      [
        [0, "PCMU", 8000],
        [8, "PCMA", 8000],
        [97, "iLBC", 8000],
      ],
    );
  });

  const LINE_ENDS: [string, string][] = [
    ["LF alone", (HEAD + AUDIO).replaceAll("\r\n", "\n")],
    ["no end after the last line", (HEAD + AUDIO).trimEnd()],
    ["empty lines at the end", `${HEAD + AUDIO}\r\n\r\n`],
  ];
  for (const [name, text] of LINE_ENDS) {
    it(`accepts ${name}`, () => assert.equal(parsed(text).media[0].codecs.length, 3));
  }

  it("lets a media-level line win over the session's", () => {
    const sdp = parsed(
      `${HEAD}a=sendonly\r\nm=audio 1 RTP/AVP 0\r\nm=audio 2 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\na=recvonly\r\n`,
    );
    assert.deepEqual(
      sdp.media.map(({ direction, address }) => [direction, address]),
      [
        ["sendonly", "192.0.2.1"],
        ["recvonly", "2001:db8::1"],
      ],
    );
  });

  it("reads ptime, maxptime, fmtp, rtcp and a port with a count", () => {
    const [audio] = parsed(
      `${HEAD}m=audio 5004/2 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:30\r\na=maxptime:60\r\na=rtcp:53020 IN IP4 192.0.2.9\r\n`,
    ).media;
    assert.equal(audio.port, 5004);
    assert.equal(audio.ptime, 30);
    assert.equal(audio.maxPtime, 60);
    assert.equal(audio.codecs[0].parameters, "0-16");
    assert.equal(audio.rtcpPort, 53020);
    assert.equal(audio.rtcpAddress, "192.0.2.9");
  });

  it("keeps formats of other protocols as they are", () => {
    const [, fax] = parsed(`${HEAD}${AUDIO}m=image 9 udptl t38\r\n`).media;
    assert.deepEqual(fax.formats, ["t38"]);
    assert.deepEqual(fax.codecs, []);
  });

  it("drops the TTL of a multicast address", () => {
    const text = `${HEAD}m=audio 1 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127/3\r\n`;
    assert.equal(parsed(text).media[0].address, "224.2.1.1");
  });

  const REFUSED: [string, string][] = [
    ["an empty text", ""],
    ["another version", "v=1\r\n"],
    ["something else", "<xml/>"],
    ["a NUL", `${HEAD}\0`],
    ["a line without type", `${HEAD}nonsense\r\n`],
    ["a carriage return inside a line", `${HEAD}i=a\rb\r\n`],
    ["a port above 65535", `${HEAD}m=audio 65536 RTP/AVP 0\r\n`],
    ["a port in scientific notation", `${HEAD}m=audio 1e4 RTP/AVP 0\r\n`],
    ["a negative port", `${HEAD}m=audio -1 RTP/AVP 0\r\n`],
    ["a payload type above 127", `${HEAD}m=audio 1 RTP/AVP 128\r\n`],
    ["the payload type 4294967296", `${HEAD}m=audio 1 RTP/AVP 4294967296\r\n`],
    ["a payload type that is no number", `${HEAD}m=audio 1 RTP/AVP x\r\n`],
    ["an m-line without protocol", `${HEAD}m=audio 1\r\n`],
    ["control bytes in an m-line", `${HEAD}m=au\u001bdio 1 RTP/AVP 0\r\n`],
    ["more m-lines than the limit", HEAD + "m=audio 1 RTP/AVP 0\r\n".repeat(33)],
    [
      "more attributes than the limit",
      `${HEAD}m=audio 1 RTP/AVP 0\r\n${"a=x\r\n".repeat(SDP_LIMITS.attributesPerMedia + 1)}`,
    ],
    ["a line that is too long", `${HEAD}i=${"x".repeat(SDP_LIMITS.lineLength)}\r\n`],
    ["a text that is too long", HEAD + "i=x\r\n".repeat(20_000)],
  ];
  for (const [name, text] of REFUSED) {
    it(`refuses ${name}`, () => {
      refused(text);
    });
  }

  it("accepts what stands just at the limits", () => {
    parsed(HEAD + "m=audio 1 RTP/AVP 0\r\n".repeat(SDP_LIMITS.media));
    parsed(`${HEAD}m=audio 1 RTP/AVP 0\r\n${"a=x\r\n".repeat(SDP_LIMITS.attributesPerMedia)}`);
  });

  it("does not let attribute names or codec names reach a prototype", () => {
    const sdp = parsed(
      `${HEAD}a=__proto__:x\r\na=constructor:y\r\nm=audio 1 RTP/AVP 96\r\na=rtpmap:96 __proto__/8000\r\na=fmtp:96 __proto__=1;constructor=2\r\n`,
    );
    assert.equal(sdp.media[0].codecs[0].name, "__proto__");
    assert.equal(Object.getPrototypeOf(sdp.media[0]), Object.prototype);
    assert.deepEqual(Object.keys(Object.prototype), []);
  });

  it("ignores clock rates, ptimes and rtcp ports out of range", () => {
    const [audio] = parsed(
      `${HEAD}m=audio 1 RTP/AVP 96 97 98\r\na=rtpmap:96 A/0\r\na=rtpmap:97 B\r\na=rtpmap:98 C/99999999999\r\na=ptime:0\r\na=maxptime:99999\r\na=rtcp:0\r\n`,
    ).media;
    assert.deepEqual(audio.codecs, []);
    assert.equal(audio.ptime, undefined);
    assert.equal(audio.maxPtime, undefined);
    assert.equal(audio.rtcpPort, undefined);
  });

  it("survives 20,000 mutated descriptions without throwing, a fraction of a millisecond each", () => {
    const random = new SeededRandom(4566);
    const seeds = [
      HEAD + AUDIO,
      `${HEAD}m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\na=imageattr:97 send [x=1] recv *\r\n`,
      `${HEAD}m=video 9 RTP/AVP 96\r\nb=AS:1\r\na=simulcast:send 1;2 recv 3\r\na=ssrc-group:FEC 1 2\r\n`,
    ];
    const pieces = ["__proto__", "\r\n", "m=", "a=rtpmap:", "4294967296", "-1", "/", " ", "\u00ff"];
    const start = process.cpuUsage();
    for (let round = 0; round < 20_000; round++) {
      let text = seeds[round % seeds.length];
      for (let change = 0; change < 4; change++) {
        const at = Math.floor(random.next() * text.length);
        const cut = Math.floor(random.next() * 6);
        const piece = pieces[Math.floor(random.next() * pieces.length)];
        text = text.slice(0, at) + (random.next() < 0.7 ? piece : "") + text.slice(at + cut);
      }
      parseSdp(text);
    }
    const { user } = process.cpuUsage(start);
    assert.ok(user < 20_000 * 250, `${user / 20_000} µs each`);
  });

  it("takes time in proportion to the length for nasty lines", () => {
    const nasty = [
      (n: number) => `a=imageattr:97 send ${"[".repeat(n)}`,
      (n: number) => `a=rtpmap:${" ".repeat(n)}`,
      (n: number) => `a=fmtp:97 ${"a=b;".repeat(n / 4)}`,
      (n: number) => `a=ptime:${"1.".repeat(n / 2)}`,
      (n: number) => `m=audio ${" ".repeat(n)}1 RTP/AVP 0`,
    ];
    for (const line of nasty) {
      const text = `${HEAD}m=audio 1 RTP/AVP 0\r\n${line(8_000)}\r\n`;
      const start = process.cpuUsage();
      for (let i = 0; i < 20; i++) parseSdp(text);
      assert.ok(process.cpuUsage(start).user < 500_000, line(40));
    }
  });
});

describe("writeSdpBody and composeSdp", () => {
  it("write a description that reads back the same", () => {
    const { media } = parsed(
      `${HEAD}${AUDIO}a=fmtp:97 mode=20\r\na=ptime:20\r\na=sendonly\r\nm=video 0 RTP/AVP 96\r\n`,
    );
    const text = composeSdp(
      { sessionId: "7", version: 3, address: "192.0.2.1" },
      writeSdpBody(media, "192.0.2.1"),
    );
    assert.ok(text.startsWith("v=0\r\no=- 7 3 IN IP4 192.0.2.1\r\ns=-\r\n"));
    assert.ok(text.endsWith("\r\n"));
    const again = parsed(text).media;
    assert.deepEqual(again[0], { ...media[0] });
    assert.equal(again[1].port, 0);
    assert.deepEqual(again[1].formats, ["96"]);
  });

  it("name the address family", () => {
    const body = writeSdpBody([], "2001:db8::1");
    assert.ok(body.includes("c=IN IP6 2001:db8::1\r\n"));
    const text = composeSdp({ sessionId: "1", version: 1, address: "2001:db8::1" }, body);
    assert.ok(text.includes("o=- 1 1 IN IP6 2001:db8::1\r\n"));
  });

  it("write channels only when there is more than one", () => {
    const body = writeSdpBody(
      [
        {
          kind: "audio",
          port: 4,
          protocol: "RTP/AVP",
          formats: ["111", "0"],
          address: "192.0.2.1",
          direction: "sendrecv",
          codecs: [
            { payloadType: 111, name: "opus", clockRate: 48000, channels: 2 },
            { payloadType: 0, name: "PCMU", clockRate: 8000, channels: 1 },
          ],
        },
      ],
      "192.0.2.1",
    );
    assert.ok(body.includes("a=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n"));
  });
});
