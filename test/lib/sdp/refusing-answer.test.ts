/**
 * The answer that takes nothing. Requirements: every m-line of the offer in its place with port 0 (RFC 3264 §6),
 * readable whatever the offer is, bounded.
 */
import assert from "node:assert/strict";
import { parseSdp, rejectAll } from "../../../lib/sdp/index.js";

function mediaOf(text: string): string[] {
  const parsed = parseSdp(text);
  assert.ok(parsed.ok, text);
  return parsed.sdp.media.map(({ kind, port, protocol }) => `${kind} ${port} ${protocol}`);
}

describe("rejectAll", () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    [
      "audio and video",
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=sendrecv\r\nm=video 4002/2 RTP/SAVPF 96\r\n",
      ["audio 0 RTP/AVP", "video 0 RTP/SAVPF"],
    ],
    ["a stream that is no RTP", "v=0\nm=image 6000 udptl t38\n", ["image 0 udptl"]],
    ["a refused stream", "v=0\r\nm=audio 0 RTP/AVP 0\r\n", ["audio 0 RTP/AVP"]],
    ["nothing", "", []],
    ["no description at all", "hello\r\nm=\r\nm=audio\r\n", []],
    ["m-lines that would not be ours", "v=0\r\nm=audio 99999999999 RTP/AVP 0\r\n", []],
  ];
  for (const [what, offer, expected] of cases) {
    it(`answers ${what}`, () => {
      assert.deepEqual(mediaOf(rejectAll(offer)), expected);
    });
  }

  it("repeats the formats and names our address", () => {
    const answer = rejectAll("v=0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n", "2001:db8::1");
    assert.match(answer, /^v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\n/);
    assert.match(answer, /\r\nm=audio 0 RTP\/AVP 0 8 101\r\n$/);
  });

  it("repeats nothing that is no payload type", () => {
    const answer = rejectAll(
      "v=0\r\nm=video 9 RTP/AVP 4294967296 96 9]8\r\nm=audio 9 RTP/AVP x\r\n",
    );
    assert.ok(parseSdp(answer).ok);
    assert.match(answer, /m=video 0 RTP\/AVP 96\r\nm=audio 0 RTP\/AVP 0\r\n$/);
  });

  it("is bounded and quick for hostile offers", () => {
    const many = `v=0\r\n${"m=audio 1 RTP/AVP 0\r\n".repeat(5_000)}`;
    assert.equal(mediaOf(rejectAll(many)).length, 32);
    const long = `v=0\r\nm=audio 1 RTP/AVP${" ".repeat(60_000)}x\r\n`;
    const started = Date.now();
    assert.deepEqual(mediaOf(rejectAll(long)), []);
    assert.ok(Date.now() - started < 500);
  });
});
