/** Session descriptions: offers that are answered, answers that are accepted, encrypted or not. */
import { MediaError } from "../../lib/foundation/index.js";
import { capabilitiesOf, Negotiator, parseSdp, rejectAll, SdpCache } from "../../lib/sdp/index.js";
import { type Layer, noted } from "./layer.js";

const HEAD = "v=0\r\no=x 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
const SEEDS = [
  `${HEAD}m=audio 4000 RTP/AVP 0 8 9 96 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\n`,
  `${HEAD}m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32\r\na=rtcp-mux\r\n`,
  `${HEAD}m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=rtpmap:111 opus/48000/2\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\na=fingerprint:sha-256 00:11\r\na=setup:actpass\r\n`,
  `${HEAD}m=video 9 RTP/AVP 96\r\nb=AS:1\r\na=rtpmap:96 H264/90000\r\nm=audio 0 RTP/AVP 0\r\nm=image 5 udptl t38\r\na=T38FaxVersion:0\r\n`,
  `v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 4000/2 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n`,
].map((text) => Buffer.from(text));

const CACHE = new SdpCache();

function negotiator(): Negotiator {
  return new Negotiator({
    capabilities: capabilitiesOf(["opus", "G722", "PCMU", "PCMA"]),
    cache: CACHE,
    sessionId: "1",
    address: "192.0.2.2",
    port: 4000,
  });
}

export const sdpLayer: Layer = {
  name: "sdp",
  share: 0.15,
  take(mutation) {
    const text = noted(mutation.of(mutation.pick(SEEDS), mutation.pick(SEEDS))).toString("utf8");
    parseSdp(text);
    const refusal = rejectAll(text);
    if (!parseSdp(refusal).ok) throw new Error(`our refusal cannot be read: ${refusal}`);
    const answering = negotiator();
    unlessRefused(() => {
      const answer = answering.answer(text);
      if (!parseSdp(answer).ok) throw new Error(`our answer cannot be read: ${answer}`);
      answering.commit();
    });
    const offering = negotiator();
    offering.createOffer();
    unlessRefused(() => offering.accept(text));
  },
};

/** What does not fit is refused in one way only. */
function unlessRefused(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof MediaError)) throw error;
  }
}
