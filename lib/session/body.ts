/** Which part of a message is its session description, and how bodies of ours are put together (RFC 3261 §7.4, §13). */
import { randomToken, type RandomSource } from "../foundation/index.js";
import { findPart, type SipMessage } from "../message/index.js";

const SDP = "application/sdp";

/** The session description of a message, alone or in a multipart body. @returns undefined when there is none. */
export function sdpOf(message: SipMessage): string | undefined {
  const part = findPart(message, SDP);
  return part === undefined || part.body.length === 0 ? undefined : part.body.toString("utf8");
}

export interface BodyFields {
  readonly contentType?: string | undefined;
  readonly body?: string | Buffer | undefined;
}

/** A description and a further body in one message: alone as they are, together as multipart/mixed (RFC 5621 §3). */
export function bodyFields(
  sdp: string | undefined,
  extra: BodyFields,
  random: RandomSource,
): BodyFields {
  const hasExtra = extra.body !== undefined && extra.body.length > 0;
  if (sdp === undefined) return hasExtra ? extra : {};
  if (!hasExtra || extra.contentType === undefined) return { contentType: SDP, body: sdp };
  const boundary = randomToken(random, 24);
  const body = Buffer.concat([
    Buffer.from(`--${boundary}\r\nContent-Type: ${SDP}\r\n\r\n${sdp}\r\n`),
    Buffer.from(`--${boundary}\r\nContent-Type: ${extra.contentType}\r\n\r\n`),
    Buffer.from(extra.body),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
  return { contentType: `multipart/mixed;boundary=${boundary}`, body };
}
