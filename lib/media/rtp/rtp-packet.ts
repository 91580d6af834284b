/**
 * The RTP packet (RFC 3550 §5.1):
 *
 *      0                   1                   2                   3
 *     |V=2|P|X|  CC   |M|     PT      |        sequence number        |
 *     |                           timestamp                           |
 *     |           synchronization source (SSRC) identifier            |
 *     |            contributing sources, extension, payload …         |
 */

/** Bytes of a header without contributing sources and extension: all that we send. */
export const RTP_HEADER_LENGTH = 12;

export interface RtpHeader {
  marker: boolean;
  /** 0–127. */
  payloadType: number;
  /** 16 bits. */
  sequenceNumber: number;
  /** 32 bits, units of the clock rate. */
  timestamp: number;
  /** 32 bits. */
  ssrc: number;
  /** Where the payload lies in the datagram: from `payloadStart` up to, without, `payloadEnd`. */
  payloadStart: number;
  payloadEnd: number;
}

/** An empty header for `readRtpHeader` to fill. */
export function emptyRtpHeader(): RtpHeader {
  return {
    marker: false,
    payloadType: 0,
    sequenceNumber: 0,
    timestamp: 0,
    ssrc: 0,
    payloadStart: 0,
    payloadEnd: 0,
  };
}

/**
 * True when a datagram is an RTCP packet sent to the RTP port: RFC 5761 §4 keeps RTP payload types 64–95 free
 * of use, which are the second bytes 192–223.
 */
export function looksLikeRtcp(datagram: Uint8Array): boolean {
  const type = datagram[1] ?? 0;
  return type >= 192 && type <= 223;
}

/**
 * Reads a header into `header`, a reused object, because this runs for every packet.
 *
 * @returns false when the datagram is no RTP packet; `header` is then undefined in content.
 */
export function readRtpHeader(datagram: Buffer, header: RtpHeader): boolean {
  const length = datagram.length;
  if (length < RTP_HEADER_LENGTH) return false;
  const first = datagram[0];
  if (first >> 6 !== 2) return false;
  const second = datagram[1];
  let start = RTP_HEADER_LENGTH + (first & 0x0f) * 4;
  if ((first & 0x10) !== 0) {
    // RFC 3550 §5.3.1: 16 bits of profile, 16 bits of length in words.
    if (start + 4 > length) return false;
    start += 4 + datagram.readUInt16BE(start + 2) * 4;
  }
  let end = length;
  if ((first & 0x20) !== 0) {
    // The last byte counts the padding, itself included.
    const padding = datagram[length - 1];
    if (padding === 0) return false;
    end -= padding;
  }
  if (start > end) return false;
  header.marker = (second & 0x80) !== 0;
  header.payloadType = second & 0x7f;
  header.sequenceNumber = datagram.readUInt16BE(2);
  header.timestamp = datagram.readUInt32BE(4);
  header.ssrc = datagram.readUInt32BE(8);
  header.payloadStart = start;
  header.payloadEnd = end;
  return true;
}

/** Writes the twelve bytes of a header without extension into the start of `packet`. */
export function writeRtpHeader(
  packet: Buffer,
  header: Pick<RtpHeader, "marker" | "payloadType" | "sequenceNumber" | "timestamp" | "ssrc">,
): void {
  packet[0] = 0x80;
  packet[1] = (header.marker ? 0x80 : 0) | header.payloadType;
  // By hand, because this runs for every packet.
  const { sequenceNumber, timestamp, ssrc } = header;
  packet[2] = sequenceNumber >>> 8;
  packet[3] = sequenceNumber;
  packet[4] = timestamp >>> 24;
  packet[5] = timestamp >>> 16;
  packet[6] = timestamp >>> 8;
  packet[7] = timestamp;
  packet[8] = ssrc >>> 24;
  packet[9] = ssrc >>> 16;
  packet[10] = ssrc >>> 8;
  packet[11] = ssrc;
}

/** The distance from `b` to `a` on the circle of 32-bit timestamps, from −2^31 to 2^31 − 1. */
export function timestampDistance(a: number, b: number): number {
  return (a - b) | 0;
}
