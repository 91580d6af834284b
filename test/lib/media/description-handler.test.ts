import assert from "node:assert/strict";
import { MediaError } from "../../../lib/foundation/index.js";
import { DescriptionMediaHandler } from "../../../lib/media/index.js";
import type { DescriptionMediaSession } from "../../../lib/media/index.js";
import { SeededRandom } from "../../support/seeded-random.js";

const OFFER =
  "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

function session(handler: DescriptionMediaHandler): DescriptionMediaSession {
  return handler.createSession({
    sessionId: "s",
    localAddress: "198.51.100.1",
    remoteAddress: "192.0.2.1",
    events: {
      onDigit: () => undefined,
      onMediaTimeout: () => undefined,
      onError: () => undefined,
    },
  });
}

describe("DescriptionMediaHandler", () => {
  it("answers at once with the address of the signalling", () => {
    const media = session(new DescriptionMediaHandler({ random: new SeededRandom(1) }));
    const answer = media.answer(OFFER);
    assert.match(answer, /c=IN IP4 198\.51\.100\.1\r\n/);
    assert.match(answer, /m=audio 9 RTP\/AVP 0 101\r\n/);
    media.start();
    assert.deepEqual(media.media, [
      {
        kind: "audio",
        codec: "PCMU",
        clockRate: 8000,
        direction: "sendrecv",
        address: "192.0.2.1",
        port: 4000,
        dtmf: "rfc4733",
      },
    ]);
    assert.equal(media.hold, "none");
    assert.equal(media.localSdp, answer);
    assert.equal(media.remoteSdp, OFFER);
    assert.equal(media.audio, undefined);
    assert.equal(media.close(), undefined);
  });

  it("takes address, port and codecs from its options, and its origin from the random source", () => {
    const handler = new DescriptionMediaHandler({
      address: "203.0.113.1",
      port: 7000,
      codecs: ["PCMA"],
      random: new SeededRandom(1),
    });
    const first = session(handler).offer();
    const second = session(handler).offer();
    assert.match(first, /c=IN IP4 203\.0\.113\.1\r\n/);
    assert.match(first, /m=audio 7000 RTP\/AVP 8 101\r\n/);
    assert.match(first, /^v=0\r\no=- \d{5,} 1 IN IP4 /);
    assert.notEqual(first, second);
  });

  it("goes through a hold of both sides and back", () => {
    const media = session(new DescriptionMediaHandler());
    media.offer();
    media.acceptAnswer(OFFER);
    media.start();
    media.offer({ direction: "sendonly" });
    assert.equal(media.hold, "none");
    media.acceptAnswer(`${OFFER}a=recvonly\r\n`);
    assert.equal(media.hold, "local");
    media.answer(`${OFFER}a=sendonly\r\n`);
    assert.equal(media.hold, "both");
    media.rollback();
    assert.equal(media.hold, "local");
    media.offer({ direction: "sendrecv" });
    media.acceptAnswer(`${OFFER}a=sendonly\r\n`);
    assert.equal(media.hold, "remote");
    assert.equal(media.media[0].direction, "recvonly");
  });

  it("has no media before the first answer and refuses what does not fit with 488", () => {
    const media = session(new DescriptionMediaHandler());
    assert.deepEqual(media.media, []);
    assert.throws(
      () => media.answer(OFFER.replace("RTP/AVP", "RTP/SAVP")),
      (error) => error instanceof MediaError && error.statusHint === 488,
    );
    media.offer();
    assert.deepEqual(media.media, []);
    assert.throws(() => media.acceptAnswer(OFFER.replace("4000", "0")), MediaError);
  });

  it("closes without anything to free", () => {
    new DescriptionMediaHandler().close();
  });
});
