/**
 * One direction of an encrypted stream (RFC 3711 §3.2): the keys, and for each source its packet numbers. A source
 * comes into being only by a packet whose tag is right.
 */
import type { SrtpSuite } from "../../sdp/index.js";
import { SRTP_SUITES } from "../../sdp/index.js";
import { RTP_HEADER_LENGTH } from "../rtp/rtp-packet.js";
import { AesCmTransform } from "./aes-cm-transform.js";
import { AesGcmTransform } from "./aes-gcm-transform.js";
import { derivePacketKeys } from "./key-derivation.js";
import { packetIndex } from "./packet-index.js";
import { ReplayWindow } from "./replay-window.js";
import type { PacketTransform } from "./transform.js";
import { ENCRYPTED_FLAG, RTCP_CLEAR_LENGTH } from "./transform.js";

/** Sources that are remembered; the one that came first is forgotten first. */
const MOST_SOURCES = 32;
const CYCLE = 0x1_0000;
/** A sender that begins to wrap so soon after its start may have wrapped before its first packet came. */
const EARLY = CYCLE / 2;
const RTCP_INDEX_LENGTH = 4;

/** The highest RTP packet number of each source. */
export type SourcePositions = Map<number, number>;

export function createTransform(suite: SrtpSuite, key: string): PacketTransform {
  const keys = derivePacketKeys(suite, key);
  const { rtpTag, rtcpTag } = SRTP_SUITES[suite];
  return suite.startsWith("AEAD_")
    ? new AesGcmTransform(keys)
    : new AesCmTransform({ ...keys, rtpTagLength: rtpTag, rtcpTagLength: rtcpTag });
}

/** Where the encrypted part of an RTP packet begins: after contributing sources and extension. Undefined = no RTP. */
export function rtpPayloadStart(packet: Buffer, end: number): number | undefined {
  if (end < RTP_HEADER_LENGTH || packet[0] >> 6 !== 2) return undefined;
  let start = RTP_HEADER_LENGTH + (packet[0] & 0x0f) * 4;
  if ((packet[0] & 0x10) !== 0) {
    if (start + 4 > end) return undefined;
    start += 4 + packet.readUInt16BE(start + 2) * 4;
  }
  return start <= end ? start : undefined;
}

/** What we send. Numbers go on when the key changes (RFC 3711 §3.3.1), so no number is used twice with one key. */
export class OutgoingContext {
  readonly #positions: SourcePositions = new Map();
  #transform: PacketTransform;
  #rtcpIndex = 0;

  constructor(transform: PacketTransform) {
    this.#transform = transform;
  }

  changeKey(transform: PacketTransform): void {
    this.#transform = transform;
  }

  protectRtp(packet: Buffer): Buffer {
    const length = packet.length;
    const start = rtpPayloadStart(packet, length) ?? length;
    const ssrc = packet.readUInt32BE(8);
    const sequenceNumber = packet.readUInt16BE(2);
    const highest = this.#positions.get(ssrc);
    const index = highest === undefined ? sequenceNumber : packetIndex(highest, sequenceNumber);
    if (highest === undefined) remember(this.#positions, ssrc, index);
    else if (index > highest) this.#positions.set(ssrc, index);
    const sealed = Buffer.allocUnsafe(length + this.#transform.rtpTagLength);
    packet.copy(sealed);
    this.#transform.sealRtp(sealed, start, length, ssrc, index);
    return sealed;
  }

  protectRtcp(packet: Buffer): Buffer {
    const { rtcpTagLength, isAead } = this.#transform;
    const length = packet.length;
    const sealed = Buffer.allocUnsafe(length + rtcpTagLength + RTCP_INDEX_LENGTH);
    packet.copy(sealed);
    const trailer = this.#rtcpIndex + ENCRYPTED_FLAG;
    this.#rtcpIndex = (this.#rtcpIndex + 1) % ENCRYPTED_FLAG;
    const tagStart = isAead ? length : length + RTCP_INDEX_LENGTH;
    sealed.writeUInt32BE(trailer, isAead ? length + rtcpTagLength : length);
    this.#transform.sealRtcp(sealed, length, tagStart, packet.readUInt32BE(4), trailer);
    return sealed;
  }
}

/** What the peer sends with one of its keys. */
export class IncomingContext {
  readonly #transform: PacketTransform;
  readonly #keyIdentifier: Buffer;
  /** Where the sources were with the key before: some go on there, some begin anew. */
  readonly #before: ReadonlyMap<number, number>;
  readonly #rtp = new Map<number, ReplayWindow>();
  readonly #rtcp = new Map<number, ReplayWindow>();

  /** @param keyIdentifier - Hexadecimal, what each packet carries before its tag; empty = nothing. */
  constructor(
    transform: PacketTransform,
    keyIdentifier = "",
    before: ReadonlyMap<number, number> = new Map(),
  ) {
    this.#transform = transform;
    this.#keyIdentifier = Buffer.from(keyIdentifier, "hex");
    this.#before = before;
  }

  get positions(): SourcePositions {
    const positions: SourcePositions = new Map(this.#before);
    for (const [ssrc, window] of this.#rtp) positions.set(ssrc, window.highest);
    return positions;
  }

  unprotectRtp(packet: Buffer): Buffer | undefined {
    const { rtpTagLength, isAead } = this.#transform;
    const end = packet.length - rtpTagLength - this.#keyIdentifier.length;
    const start = rtpPayloadStart(packet, end);
    const tagStart = isAead ? end : packet.length - rtpTagLength;
    const identifierStart = isAead ? end + rtpTagLength : end;
    if (start === undefined || !this.#hasIdentifier(packet, identifierStart)) return undefined;
    const ssrc = packet.readUInt32BE(8);
    const window = this.#rtp.get(ssrc);
    for (const index of this.#candidates(ssrc, window, packet.readUInt16BE(2))) {
      if (index < 0 || window?.allows(index) === false) continue;
      if (!this.#transform.openRtp(packet, start, end, tagStart, ssrc, index)) continue;
      this.#take(this.#rtp, ssrc, window, index);
      return packet.subarray(0, end);
    }
    return undefined;
  }

  unprotectRtcp(packet: Buffer): Buffer | undefined {
    const { rtcpTagLength, isAead } = this.#transform;
    const identifierLength = this.#keyIdentifier.length;
    const end = packet.length - rtcpTagLength - RTCP_INDEX_LENGTH - identifierLength;
    if (end < RTCP_CLEAR_LENGTH || packet[0] >> 6 !== 2) return undefined;
    // RFC 3711 §3.4: number, identifier, tag; RFC 7714 §9.2: tag, number, identifier.
    const tagStart = isAead ? end : end + RTCP_INDEX_LENGTH + identifierLength;
    const trailerStart = isAead ? end + rtcpTagLength : end;
    if (!this.#hasIdentifier(packet, trailerStart + RTCP_INDEX_LENGTH)) return undefined;
    const trailer = packet.readUInt32BE(trailerStart);
    const ssrc = packet.readUInt32BE(4);
    const index = trailer % ENCRYPTED_FLAG;
    const window = this.#rtcp.get(ssrc);
    if (window?.allows(index) === false) return undefined;
    if (!this.#transform.openRtcp(packet, end, tagStart, ssrc, trailer)) return undefined;
    this.#take(this.#rtcp, ssrc, window, index);
    return packet.subarray(0, end);
  }

  /** The packet numbers that a sequence number can mean, the likeliest first. */
  #candidates(ssrc: number, window: ReplayWindow | undefined, sequenceNumber: number): number[] {
    if (window) return [packetIndex(window.highest, sequenceNumber)];
    const before = this.#before.get(ssrc);
    const candidates = before === undefined ? [] : [packetIndex(before, sequenceNumber)];
    if (candidates[0] !== sequenceNumber) candidates.push(sequenceNumber);
    // Its first packets were lost and the number has wrapped since.
    if (sequenceNumber < EARLY && candidates[0] !== CYCLE + sequenceNumber) {
      candidates.push(CYCLE + sequenceNumber);
    }
    return candidates;
  }

  #take(
    windows: Map<number, ReplayWindow>,
    ssrc: number,
    known: ReplayWindow | undefined,
    index: number,
  ): void {
    const window = known ?? new ReplayWindow();
    window.take(index);
    if (known === undefined) remember(windows, ssrc, window);
  }

  #hasIdentifier(packet: Buffer, start: number): boolean {
    const { length } = this.#keyIdentifier;
    return length === 0 || this.#keyIdentifier.equals(packet.subarray(start, start + length));
  }
}

function remember<T>(sources: Map<number, T>, ssrc: number, value: T): void {
  sources.set(ssrc, value);
  if (sources.size <= MOST_SOURCES) return;
  const [oldest] = sources.keys();
  if (oldest !== undefined) sources.delete(oldest);
}
