/**
 * The offer/answer model as pure functions on descriptions (RFC 3264): build an offer, answer one, check an
 * answer. One audio stream is negotiated; every other m-line is refused with port 0 in its place.
 */
import type { Capabilities, CodecCapability } from "./capabilities.js";
import {
  isTelephoneEvent,
  sameCodec,
  TELEPHONE_EVENT,
  telephoneEventsFor,
} from "./capabilities.js";
import type { SdpCodec, SdpDescription, SdpDirection, SdpMedia } from "./sdp.js";
import type { NegotiatedSrtp, SecurityResult, StreamSecurity } from "./stream-security.js";
import {
  acceptSecurity,
  answerSecurity,
  offeredCrypto,
  offeredProfile,
} from "./stream-security.js";

/** Where our side of the stream is, and what it wants. */
export interface LocalStream {
  readonly capabilities: Capabilities;
  readonly address: string;
  /** RTP port. */
  readonly port: number;
  /** What our side wants; the peer may allow less. */
  readonly direction: SdpDirection;
  /** Default: never encrypted. */
  readonly security?: StreamSecurity | undefined;
}

/** The stream that both sides agreed on. */
export interface NegotiatedStream {
  /** Place of its m-line. */
  readonly index: number;
  readonly kind: string;
  /** What we send: the peer's number, spelling and parameters. */
  readonly codec: SdpCodec;
  /** What may arrive. */
  readonly receiveCodecs: readonly SdpCodec[];
  /** RFC 4733 events, undefined when the peer takes none. */
  readonly telephoneEvent: TelephoneEvents | undefined;
  /** From our side. */
  readonly direction: SdpDirection;
  /** The peer's address; `0.0.0.0` and `::` are given as they are, and nothing must be sent there. */
  readonly address: string;
  readonly port: number;
  readonly rtcpAddress: string;
  readonly rtcpPort: number;
  /** RTP and RTCP share one port on both sides (RFC 5761). */
  readonly rtcpMux: boolean;
  /** Undefined = in clear. */
  readonly srtp: NegotiatedSrtp | undefined;
  /** Milliseconds per packet that we send, a multiple of 10 from 10 to 60. */
  readonly ptime: number;
}

export interface TelephoneEvents {
  /** To send with. Of the clock rate of the codec where the peer has that (RFC 4733 §2.5.1.1). */
  readonly payloadType: number;
  /** All that may arrive. */
  readonly receive: readonly number[];
  /** Hz of the durations, by payload number. */
  readonly clockRates: Readonly<Record<number, number>>;
}

/** Both descriptions of the last exchange as far as the next one must respect them. */
export interface PreviousExchange {
  readonly localMedia: readonly SdpMedia[];
  readonly stream: NegotiatedStream | undefined;
  /** Payload numbers in use since the session began; their meaning must not change (RFC 3264 §8.3.2). */
  readonly payloadTypes: ReadonlyMap<number, SdpCodec>;
}

export interface Mismatch {
  readonly ok: false;
  readonly reason: string;
}

export interface AnswerResult {
  readonly ok: true;
  readonly media: readonly SdpMedia[];
  /** Undefined when the offer disabled every stream. */
  readonly stream: NegotiatedStream | undefined;
}

export interface AcceptResult {
  readonly ok: true;
  readonly stream: NegotiatedStream;
}

const NO_CODECS: readonly SdpCodec[] = [];

/**
 * The m-lines of our offer. A re-offer keeps the order of m-lines and the meaning of payload types
 * (RFC 3264 §8) and names the codec in use first.
 */
export function createOffer(local: LocalStream, previous?: PreviousExchange): SdpMedia[] {
  const codecs = offeredCodecs(local.capabilities, previous);
  const place = previous === undefined ? 0 : placeOfStream(previous);
  const before = previous?.localMedia[place]?.protocol;
  const ours: SdpMedia = {
    kind: "audio",
    port: local.port,
    protocol: offeredProfile(local.security?.mode ?? "off", before),
    formats: codecs.map((codec) => String(codec.payloadType)),
    address: local.address,
    direction: local.direction,
    codecs,
    ptime: previous?.stream?.ptime ?? local.capabilities.ptime,
    rtcpMux: true,
    crypto: offeredCrypto(local.security, previous?.stream?.srtp?.suite),
  };
  if (previous === undefined) return [ours];
  const media = previous.localMedia.map(disabled);
  media[place] = ours;
  return media;
}

/**
 * The answer to an offer: one m-line per offered m-line in the same order (RFC 3264 §6). Our preference
 * chooses among the common codecs, and only the chosen one is listed, with telephone-event when the offer has it
 * at the same clock rate; so nobody needs a further exchange to settle on one codec.
 *
 * @returns a mismatch (488) when the offer has active streams and none can be taken.
 */
export function answerOffer(
  offer: SdpDescription,
  local: LocalStream,
  previous?: PreviousExchange,
): AnswerResult | Mismatch {
  let active = false;
  let chosen: Choice | undefined;
  let refused: string | undefined;
  for (const [index, line] of offer.media.entries()) {
    if (line.port === 0) continue;
    active = true;
    const codec = commonCodec(line, local.capabilities.codecs);
    if (codec === undefined) continue;
    const security = answerSecurity(line, local.security);
    if (!security.ok) {
      refused ??= security.reason;
    } else if (isBetter({ index, ...codec, security }, chosen, previous?.stream?.index)) {
      chosen = { index, ...codec, security };
    }
  }
  if (chosen === undefined) {
    if (active) return { ok: false, reason: describeMismatch(offer, refused) };
    if (previous === undefined) return { ok: false, reason: "the offer has no active stream" };
    return { ok: true, media: offer.media.map(disabled), stream: undefined };
  }
  const line = offer.media[chosen.index];
  const { mine, theirs } = chosen;
  const events = eventsFor(line, theirs);
  const peer = peerDirection(line);
  const ptime = packetTime(line, local.capabilities.ptime, mine);
  const codecs: SdpCodec[] = [{ ...theirs, parameters: mine.parameters }];
  if (events) codecs.push(ourEvents(events));
  const direction = allowed(mirrored(peer), local.direction);
  const rtcpMux = line.rtcpMux === true;
  const media = offer.media.map((offered, index) =>
    index === chosen.index
      ? {
          kind: offered.kind,
          port: local.port,
          protocol: offered.protocol,
          formats: codecs.map((codec) => String(codec.payloadType)),
          address: local.address,
          direction,
          codecs,
          ptime,
          rtcpMux,
          crypto: chosen.security.crypto,
        }
      : disabled(offered),
  );
  return {
    ok: true,
    media,
    stream: {
      index: chosen.index,
      kind: line.kind,
      codec: theirs,
      receiveCodecs: codecsInCommon(line, local.capabilities.codecs),
      telephoneEvent: events && telephoneEvents(events, line.codecs),
      direction,
      ...peerAddresses(line),
      rtcpMux,
      srtp: chosen.security.srtp,
      ptime,
    },
  };
}

/**
 * Checks the peer's answer to our offer (RFC 3264 §6, §7): same m-lines in the same order, our stream taken
 * with at least one of the offered codecs.
 */
export function acceptAnswer(
  offered: readonly SdpMedia[],
  answer: SdpDescription,
  local: LocalStream,
): AcceptResult | Mismatch {
  if (answer.media.length !== offered.length) {
    return {
      ok: false,
      reason: `the answer has ${answer.media.length} m-lines, the offer ${offered.length}`,
    };
  }
  for (const [index, ours] of offered.entries()) {
    const line = answer.media[index];
    if (line.kind !== ours.kind) {
      return { ok: false, reason: `m-line ${index + 1} of the answer is ${line.kind}` };
    }
    if (ours.port === 0 || line.port === 0) continue;
    if (line.protocol !== ours.protocol) {
      return { ok: false, reason: `the answer changes the protocol to ${line.protocol}` };
    }
    const codec = line.codecs.find(
      (theirs) => !isTelephoneEvent(theirs) && ours.codecs.some((mine) => sameCodec(mine, theirs)),
    );
    if (codec === undefined) {
      return { ok: false, reason: "the answer takes none of the offered codecs" };
    }
    const security = acceptSecurity(ours, line, local.security?.mode ?? "off");
    if (!security.ok) return security;
    const theirEvents = eventsFor(line, codec);
    const mine = local.capabilities.codecs.find((known) => sameCodec(known, codec));
    return {
      ok: true,
      stream: {
        index,
        kind: line.kind,
        codec,
        receiveCodecs: expectedCodecs(ours, codec),
        // Some peers send with their own number, some with ours.
        telephoneEvent: theirEvents && telephoneEvents(theirEvents, [...ours.codecs, theirEvents]),
        direction: allowed(mirrored(peerDirection(line)), ours.direction),
        ...peerAddresses(line),
        rtcpMux: ours.rtcpMux === true && line.rtcpMux === true,
        srtp: security.srtp,
        ptime: packetTime(line, local.capabilities.ptime, mine),
      },
    };
  }
  return { ok: false, reason: "the answer refuses every stream" };
}

/**
 * What the peer does, from its side. A connection address of zeros means that it does not want to receive
 * (RFC 3264 §8.4, the way of RFC 2543 to hold).
 */
export function peerDirection(line: SdpMedia): SdpDirection {
  if (!isUnspecified(line.address)) return line.direction;
  return allowed(line.direction, "sendonly");
}

/** True for `0.0.0.0` and `::`. */
export function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** The same stream seen from the other side. */
export function mirrored(direction: SdpDirection): SdpDirection {
  if (direction === "sendonly") return "recvonly";
  return direction === "recvonly" ? "sendonly" : direction;
}

/** What is left of `direction` when only `limit` is permitted. */
export function allowed(direction: SdpDirection, limit: SdpDirection): SdpDirection {
  const send = maySend(direction) && maySend(limit);
  const receive = mayReceive(direction) && mayReceive(limit);
  if (send) return receive ? "sendrecv" : "sendonly";
  return receive ? "recvonly" : "inactive";
}

export function maySend(direction: SdpDirection): boolean {
  return direction === "sendrecv" || direction === "sendonly";
}

export function mayReceive(direction: SdpDirection): boolean {
  return direction === "sendrecv" || direction === "recvonly";
}

/** A line of the offer that could be taken. */
interface Choice extends CommonCodec {
  readonly index: number;
  readonly security: SecurityResult & { readonly ok: true };
}

/** The stream in use keeps its place; else an encrypted one goes before one in clear, else the first is taken. */
function isBetter(choice: Choice, best: Choice | undefined, inUse: number | undefined): boolean {
  if (best === undefined || choice.index === inUse) return true;
  if (best.index === inUse) return false;
  return choice.security.srtp !== undefined && best.security.srtp === undefined;
}

function disabled(line: SdpMedia): SdpMedia {
  return {
    kind: line.kind,
    port: 0,
    protocol: line.protocol,
    // An m-line needs at least one format (RFC 8866 §9).
    formats: line.formats.length > 0 ? line.formats : ["0"],
    address: "",
    direction: "inactive",
    codecs: NO_CODECS,
  };
}

/** Which m-line a re-offer fills: the one in use, else an audio line of earlier, else a new one at the end. */
function placeOfStream(previous: PreviousExchange): number {
  if (previous.stream) return previous.stream.index;
  const audio = previous.localMedia.findIndex((line) => line.kind === "audio");
  return audio < 0 ? previous.localMedia.length : audio;
}

function offeredCodecs(
  capabilities: Capabilities,
  previous: PreviousExchange | undefined,
): SdpCodec[] {
  const inUse = previous?.stream?.codec;
  const wanted = [...capabilities.codecs, ...telephoneEventsFor(capabilities.codecs)];
  const current = inUse && wanted.findIndex((codec) => sameCodec(codec, inUse));
  if (current !== undefined && current > 0) wanted.unshift(...wanted.splice(current, 1));
  const taken = previous?.payloadTypes ?? new Map<number, SdpCodec>();
  const used = new Set(taken.keys());
  return wanted.map(({ name, clockRate, channels, parameters, payloadType: usual }) => {
    const codec = { name, clockRate, channels, parameters };
    for (const known of taken.values()) {
      if (sameCodec(known, codec)) return { ...codec, payloadType: known.payloadType };
    }
    let payloadType = usual;
    for (let free = 96; used.has(payloadType) && free < 128; free++) payloadType = free;
    used.add(payloadType);
    return { ...codec, payloadType };
  });
}

/** A codec that both sides have, as each describes it. */
interface CommonCodec {
  readonly mine: CodecCapability;
  readonly theirs: SdpCodec;
}

function commonCodec(line: SdpMedia, ours: readonly CodecCapability[]): CommonCodec | undefined {
  if (line.kind !== "audio") return undefined;
  for (const mine of ours) {
    const theirs = line.codecs.find((codec) => sameCodec(codec, mine));
    if (theirs) return { mine, theirs };
  }
  return undefined;
}

function codecsInCommon(line: SdpMedia, ours: readonly CodecCapability[]): SdpCodec[] {
  return line.codecs.filter((codec) => ours.some((mine) => sameCodec(mine, codec)));
}

/** What may arrive after an answer: what we offered, also under the number that the answer gives to its codec. */
function expectedCodecs(ours: SdpMedia, answered: SdpCodec): SdpCodec[] {
  const codecs = ours.codecs.filter((mine) => !isTelephoneEvent(mine));
  const taken = ours.codecs.some((mine) => mine.payloadType === answered.payloadType);
  return taken ? codecs : [...codecs, answered];
}

/**
 * RFC 4733 §2.5.1.1 wants the events to share the clock of the audio they replace. Many that speak Opus name them at
 * 8000 Hz only; better so than not at all.
 */
function eventsFor(line: SdpMedia, codec: SdpCodec): SdpCodec | undefined {
  const events = line.codecs.filter(isTelephoneEvent);
  return events.find((event) => event.clockRate === codec.clockRate) ?? events.find(inBasicClock);
}

function inBasicClock(event: SdpCodec): boolean {
  return event.clockRate === TELEPHONE_EVENT.clockRate;
}

/** @param all - Codecs among which are all events that may arrive, the first of a number counts. */
function telephoneEvents(sent: SdpCodec, all: readonly SdpCodec[]): TelephoneEvents {
  const clockRates: Record<number, number> = {};
  for (const codec of all) {
    if (isTelephoneEvent(codec)) clockRates[codec.payloadType] ??= codec.clockRate;
  }
  const receive = all.filter(isTelephoneEvent).map(({ payloadType }) => payloadType);
  return { payloadType: sent.payloadType, receive: [...new Set(receive)], clockRates };
}

/** We list the events that we understand, under the number that the peer chose. */
function ourEvents(offered: SdpCodec): SdpCodec {
  return { ...offered, parameters: TELEPHONE_EVENT.parameters };
}

/** What the peer asks for, kept to what a packet can hold and our tick can serve. */
function packetTime(line: SdpMedia, normal: number, codec: CodecCapability | undefined): number {
  const wanted = Math.min(line.ptime ?? normal, line.maxPtime ?? 60, 60);
  const possible = codec?.packetTimes;
  if (possible) return possible.findLast((time) => time <= wanted) ?? possible[0];
  return Math.max(10, Math.floor(wanted / 10) * 10);
}

function peerAddresses(
  line: SdpMedia,
): Pick<NegotiatedStream, "address" | "port" | "rtcpAddress" | "rtcpPort"> {
  return {
    address: line.address,
    port: line.port,
    rtcpAddress: line.rtcpAddress ?? line.address,
    rtcpPort: line.rtcpPort ?? Math.min(line.port + 1, 65_535),
  };
}

function describeMismatch(offer: SdpDescription, refused: string | undefined): string {
  const shown = offer.media
    .filter((line) => line.port !== 0)
    .slice(0, 4)
    .map((line) => {
      const names = line.codecs.slice(0, 8).map((codec) => codec.name);
      return `${line.kind} ${line.protocol} ${names.join("/") || line.formats.slice(0, 8).join("/")}`;
    });
  return `${refused ?? "no common codec"}; the peer offers ${shown.join(", ").slice(0, 200)}`;
}
