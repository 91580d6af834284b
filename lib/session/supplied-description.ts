/**
 * What two descriptions agree on that no media handler has made: streams, directions and hold, read from their texts
 * (RFC 3264 §5.1, §6.1, §8.4). What cannot be read says nothing.
 */
import {
  allowed,
  isRtpProtocol,
  mayReceive,
  maySend,
  mirrored,
  parseSdp,
  peerDirection,
  SdpCache,
  type SdpMedia,
} from "../sdp/index.js";
import type { HoldState, MediaDescription } from "./media-handler.js";

/** A complete exchange. */
export interface SuppliedExchange {
  readonly local: string;
  readonly remote: string;
  /** Did the offer come from our side? */
  readonly offeredByUs: boolean;
}

/** Flows give the same description again and again, and so do servers but for the origin line. */
const known = new SdpCache();

interface StreamPair {
  readonly ours: SdpMedia;
  readonly theirs: SdpMedia;
}

/** What a complete exchange means. @param before - who held until then */
export function readExchange(
  exchange: SuppliedExchange,
  before: HoldState,
): { readonly media: readonly MediaDescription[]; readonly hold: HoldState } {
  const pairs = pairsOf(exchange.local, exchange.remote);
  return { media: mediaOf(pairs), hold: holdOf(pairs.at(0), exchange.offeredByUs, before) };
}

/** The streams that both sides have taken, as `msg.sip.media` tells them. */
function mediaOf(pairs: readonly StreamPair[]): readonly MediaDescription[] {
  return pairs.flatMap(({ ours, theirs }) => {
    const isEvent = (name: string): boolean => name.toLowerCase() === "telephone-event";
    const both = theirs.codecs.filter((codec) =>
      ours.codecs.some(
        ({ name, clockRate }) =>
          name.toLowerCase() === codec.name.toLowerCase() && clockRate === codec.clockRate,
      ),
    );
    const codec = both.find(({ name }) => !isEvent(name)) ?? theirs.codecs[0];
    if (codec === undefined && isRtpProtocol(theirs.protocol)) return [];
    return [
      {
        kind: theirs.kind,
        codec: codec?.name ?? theirs.formats[0] ?? "",
        clockRate: codec?.clockRate ?? 0,
        direction: allowed(mirrored(peerDirection(theirs)), peerDirection(ours)),
        address: theirs.address,
        port: theirs.port,
        dtmf: both.some(({ name }) => isEvent(name)) ? "rfc4733" : "none",
      },
    ];
  });
}

/** Who holds after an exchange: whoever does not want to hear the other. An answer tells only what its offer asked. */
function holdOf(
  stream: StreamPair | undefined,
  offeredByUs: boolean,
  before: HoldState,
): HoldState {
  if (stream === undefined) return before;
  const ours = peerDirection(stream.ours);
  const theirs = peerDirection(stream.theirs);
  let local = before === "local" || before === "both";
  let remote = before === "remote" || before === "both";
  if (offeredByUs) {
    local = !mayReceive(ours);
    if (maySend(ours)) remote = !mayReceive(theirs);
  } else {
    remote = !mayReceive(theirs);
    if (maySend(theirs)) local = !mayReceive(ours);
  }
  if (local) return remote ? "both" : "local";
  return remote ? "remote" : "none";
}

/**
 * Is our description of `last` a valid answer to the peer's offer, because that is what it was before (RFC 3264 §8)?
 * Our own offer of before may say more than an answer may.
 */
export function answersAgain(last: SuppliedExchange, offer: string): boolean {
  if (plain(offer) !== plain(last.remote)) return false;
  if (!last.offeredByUs) return true;
  const ours = parseSdp(last.local);
  const theirs = parseSdp(offer);
  if (!ours.ok || !theirs.ok || ours.sdp.media.length !== theirs.sdp.media.length) return false;
  return theirs.sdp.media.every((line, index) => {
    const own = ours.sdp.media[index];
    if (own === undefined || (line.port === 0) !== (own.port === 0)) return false;
    const direction = peerDirection(own);
    return line.port === 0 || allowed(mirrored(peerDirection(line)), direction) === direction;
  });
}

/** Lines as they are, whatever ends them. */
function plain(sdp: string): string {
  return sdp.replace(/\r\n/g, "\n").trimEnd();
}

/** Streams in use, audio first. */
function pairsOf(local: string, remote: string): StreamPair[] {
  const ours = known.read(local).parsed;
  const theirs = known.read(remote).parsed;
  if (!ours.ok || !theirs.ok) return [];
  const pairs = ours.sdp.media.flatMap((line, index) => {
    const other = theirs.sdp.media[index];
    const isUsed = other !== undefined && line.port !== 0 && other.port !== 0;
    return isUsed ? [{ ours: line, theirs: other }] : [];
  });
  const rank = ({ ours: { kind } }: StreamPair): number => (kind === "audio" ? 0 : 1);
  return pairs.sort((a, b) => rank(a) - rank(b));
}
