/** What was negotiated, in the words of the media port. */
import { randomInteger } from "../foundation/index.js";
import type { RandomSource } from "../foundation/index.js";
import type { NegotiatedStream } from "../sdp/index.js";
import type { HoldState, MediaDescription } from "../session/media-handler.js";

const NO_MEDIA: readonly MediaDescription[] = [];

/** The streams of a session as a flow sees them. */
export function mediaDescriptions(
  stream: NegotiatedStream | undefined,
): readonly MediaDescription[] {
  if (stream === undefined) return NO_MEDIA;
  return [
    {
      kind: stream.kind,
      codec: stream.codec.name,
      clockRate: stream.codec.clockRate,
      direction: stream.direction,
      address: stream.address,
      port: stream.port,
      dtmf: stream.telephoneEvent ? "rfc4733" : "none",
    },
  ];
}

export function holdStateOf(hold: {
  readonly local: boolean;
  readonly remote: boolean;
}): HoldState {
  if (hold.local) return hold.remote ? "both" : "local";
  return hold.remote ? "remote" : "none";
}

/** A numeric session id for the origin line (RFC 8866 §5.2), unguessable enough not to meet another. */
export function originSessionId(random: RandomSource): string {
  return String(randomInteger(random, 0x8000_0000) * 0x10_0000 + randomInteger(random, 0x10_0000));
}
