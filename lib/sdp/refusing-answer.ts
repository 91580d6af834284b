/**
 * The answer that takes nothing of an offer: every stream stands in its place with port 0 (RFC 3264 §6). For offers
 * that must be answered although no call comes of them, as the offer of a 2xx to an INVITE without SDP.
 */
import { composeSdp, decimal, isRtpProtocol, SDP_LIMITS } from "./sdp.js";

/** `m=<media> <port>[/<number>] <protocol> <formats>`, as little as an answer has to repeat. */
const MEDIA_LINE = /^m=([!-~]+) +\d{1,9}(?:\/\d{1,9})? +([!-~]+) +([!-~]+(?: +[!-~]+)*) *$/;

/**
 * @param offer - The peer's text, however broken: lines that are no m-lines are left out, at most 32 are answered.
 * @param address - Ours, for `o=` and `c=`; nothing is received there.
 */
export function rejectAll(offer: string, address = "0.0.0.0"): string {
  const lines: string[] = [];
  for (const line of offer.slice(0, SDP_LIMITS.length).split(/\r?\n/)) {
    if (line.length > SDP_LIMITS.lineLength || lines.length >= SDP_LIMITS.media) continue;
    const match = MEDIA_LINE.exec(line);
    if (match === null) continue;
    const [, kind = "", protocol = "", formats = ""] = match;
    lines.push(`m=${kind} 0 ${protocol} ${soundFormats(protocol, formats)}\r\n`);
  }
  const where = address === "" ? "0.0.0.0" : address;
  const version = where.includes(":") ? 6 : 4;
  return composeSdp(
    { sessionId: "1", version: 1, address: where },
    `s=-\r\nc=IN IP${version} ${where}\r\nt=0 0\r\n${lines.join("")}`,
  );
}

/** What a broken offer names in place of payload types is not repeated: our answer can be read. */
function soundFormats(protocol: string, formats: string): string {
  if (!isRtpProtocol(protocol)) return formats;
  const sound = formats.split(/ +/).filter((format) => (decimal(format) ?? 128) < 128);
  return sound.length > 0 ? sound.join(" ") : "0";
}
