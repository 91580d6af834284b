/** What was negotiated, in the words of the media port. */
import { randomInteger } from "../foundation/index.js";
import type { RandomSource } from "../foundation/index.js";
import { mayReceive, maySend } from "../sdp/index.js";
import { SRTP_SUITES } from "../sdp/index.js";
import type {
  NegotiatedStream,
  Negotiator,
  SrtpMode,
  SrtpSuite,
  StreamSecurity,
} from "../sdp/index.js";
import type { HoldState, MediaDescription, MediaDirection } from "../session/media-handler.js";
import type { StreamSettings } from "./rtp/stream-settings.js";

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
      ...(stream.srtp === undefined ? {} : { srtp: stream.srtp.suite }),
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

/** Of `MediaSession.offer`. */
export interface OfferOptions {
  readonly direction?: MediaDirection;
  readonly repeat?: boolean;
}

export function makeOffer(negotiator: Negotiator, options: OfferOptions): string {
  return options.repeat === true
    ? negotiator.repeatOffer()
    : negotiator.createOffer(options.direction);
}

/** A numeric session id for the origin line (RFC 8866 §5.2), unguessable enough not to meet another. */
export function originSessionId(random: RandomSource): string {
  return String(randomInteger(random, 0x8000_0000) * 0x10_0000 + randomInteger(random, 0x10_0000));
}

/** The keys of one session: made when a suite is first named, and the same from then on. */
export function streamSecurity(mode: SrtpMode, random: RandomSource): StreamSecurity {
  const keys = new Map<SrtpSuite, string>();
  return {
    mode,
    keyOf: (suite) => {
      let key = keys.get(suite);
      if (key === undefined) {
        const { masterKey, masterSalt } = SRTP_SUITES[suite];
        key = Buffer.from(random.bytes(masterKey + masterSalt)).toString("base64");
        keys.set(suite, key);
      }
      return key;
    },
  };
}

/** The same for the RTP endpoint. */
export function streamSettings(
  stream: NegotiatedStream,
  signallingAddress: string,
): StreamSettings {
  return {
    address: stream.address,
    port: stream.port,
    rtcpAddress: stream.rtcpAddress,
    rtcpPort: stream.rtcpPort,
    rtcpMux: stream.rtcpMux,
    srtp: stream.srtp && {
      suite: stream.srtp.suite,
      localKey: stream.srtp.localKey,
      remoteKey: stream.srtp.remoteKey,
      remoteKeyIdentifier: stream.srtp.remoteKeyIdentifier?.value ?? "",
    },
    signallingAddress,
    send: {
      payloadType: stream.codec.payloadType,
      codec: stream.codec.name.toUpperCase(),
      parameters: stream.codec.parameters,
    },
    receive: stream.receiveCodecs.map(({ payloadType, name }) => ({
      payloadType,
      codec: name.toUpperCase(),
    })),
    eventPayloadType: stream.telephoneEvent?.payloadType,
    eventsReceived: stream.telephoneEvent?.receive ?? [],
    eventClockRates: stream.telephoneEvent?.clockRates,
    clockRate: stream.codec.clockRate,
    ptime: stream.ptime,
    maySend: maySend(stream.direction),
    mayReceive: mayReceive(stream.direction),
  };
}
