/**
 * RTCP packets (RFC 3550 §6.4): sender and receiver reports, source description, BYE; written as compounds, read
 * with every length checked.
 */

/** What one side says about the packets of another (RFC 3550 §6.4.1). */
export interface ReportBlock {
  /** The source that the block is about. */
  readonly ssrc: number;
  /** Share of packets lost since the last report, 0–255 of 256. */
  readonly fractionLost: number;
  /** Since the beginning; may be negative when packets were doubled. */
  readonly cumulativeLost: number;
  readonly highestSequence: number;
  /** Units of the clock rate. */
  readonly jitter: number;
  /** Middle 32 bits of the NTP time of the last sender report that was received; 0 = none. */
  readonly lastSenderReport: number;
  /** Since then, in 1/65536 s. */
  readonly delaySinceLastSenderReport: number;
}

export interface SenderInfo {
  /** Seconds since 1900. */
  readonly ntpSeconds: number;
  /** 2^-32 s. */
  readonly ntpFraction: number;
  readonly rtpTimestamp: number;
  readonly packetCount: number;
  readonly octetCount: number;
}

export type RtcpPacket =
  | {
      readonly type: "report";
      readonly ssrc: number;
      /** Absent in a receiver report. */
      readonly sender: SenderInfo | undefined;
      readonly blocks: readonly ReportBlock[];
    }
  | { readonly type: "bye"; readonly sources: readonly number[] };

const SENDER_REPORT = 200;
const RECEIVER_REPORT = 201;
const SOURCE_DESCRIPTION = 202;
const BYE = 203;
const BLOCK_LENGTH = 24;
/** Seconds from 1900 to 1970. */
const NTP_EPOCH_OFFSET = 2_208_988_800;

/** NTP time (RFC 3550 §4) of a time of day in milliseconds since 1970. */
export function ntpTime(wallTimeMs: number): { seconds: number; fraction: number } {
  const seconds = Math.floor(wallTimeMs / 1000);
  const fraction = Math.floor(((wallTimeMs - seconds * 1000) / 1000) * 0x1_0000_0000);
  return { seconds: (seconds + NTP_EPOCH_OFFSET) >>> 0, fraction: fraction >>> 0 };
}

/** The middle 32 bits of an NTP time, the unit of round trip reckoning (RFC 3550 §6.4.1). */
export function compactNtp(time: { seconds: number; fraction: number }): number {
  return (((time.seconds & 0xffff) << 16) | (time.fraction >>> 16)) >>> 0;
}

/**
 * Reads a compound. Unknown types are skipped; a broken length ends the reading with what was read before.
 *
 * @returns undefined when the datagram is no RTCP compound at all (RFC 3550 appendix A.2).
 */
export function readRtcp(datagram: Buffer): RtcpPacket[] | undefined {
  const packets: RtcpPacket[] = [];
  let position = 0;
  while (position + 4 <= datagram.length) {
    const first = datagram[position];
    const type = datagram[position + 1];
    const end = position + 4 + datagram.readUInt16BE(position + 2) * 4;
    if (first >> 6 !== 2 || end > datagram.length) break;
    if (position === 0 && type !== SENDER_REPORT && type !== RECEIVER_REPORT) return undefined;
    const count = first & 0x1f;
    if (type === SENDER_REPORT || type === RECEIVER_REPORT) {
      const report = readReport(datagram, position + 4, end, type === SENDER_REPORT, count);
      if (report) packets.push(report);
    } else if (type === BYE) {
      packets.push(readBye(datagram, position + 4, end, count));
    }
    position = end;
  }
  return position === 0 ? undefined : packets;
}

/** What a report of ours says. */
export interface ReportOptions {
  readonly ssrc: number;
  /** Absent when nothing was sent since the last report but one: a receiver report then. */
  readonly sender: SenderInfo | undefined;
  readonly blocks: readonly ReportBlock[];
  /** RFC 7022; at most 255 bytes. */
  readonly canonicalName: string;
  /** Ends the session. */
  readonly bye?: boolean | undefined;
}

/** Writes a compound of a report, the canonical name and, when asked, BYE (RFC 3550 §6.1). */
export function writeRtcp(options: ReportOptions): Buffer {
  const name = Buffer.from(options.canonicalName, "utf8").subarray(0, 255);
  // Item type, length, text, at least one null byte, filled up to a word.
  const chunkLength = 4 + Math.ceil((2 + name.length + 1) / 4) * 4;
  const blocks = options.blocks.slice(0, 31);
  const reportLength = 8 + (options.sender ? 20 : 0) + blocks.length * BLOCK_LENGTH;
  const byeLength = options.bye ? 8 : 0;
  const packet = Buffer.alloc(reportLength + 4 + chunkLength + byeLength);
  writeHeader(
    packet,
    0,
    blocks.length,
    options.sender ? SENDER_REPORT : RECEIVER_REPORT,
    reportLength,
  );
  packet.writeUInt32BE(options.ssrc, 4);
  let position = 8;
  if (options.sender) {
    packet.writeUInt32BE(options.sender.ntpSeconds, position);
    packet.writeUInt32BE(options.sender.ntpFraction, position + 4);
    packet.writeUInt32BE(options.sender.rtpTimestamp >>> 0, position + 8);
    packet.writeUInt32BE(options.sender.packetCount >>> 0, position + 12);
    packet.writeUInt32BE(options.sender.octetCount >>> 0, position + 16);
    position += 20;
  }
  for (const block of blocks) {
    writeBlock(packet, position, block);
    position += BLOCK_LENGTH;
  }
  writeHeader(packet, position, 1, SOURCE_DESCRIPTION, 4 + chunkLength);
  packet.writeUInt32BE(options.ssrc, position + 4);
  packet[position + 8] = 1;
  packet[position + 9] = name.length;
  name.copy(packet, position + 10);
  position += 4 + chunkLength;
  if (options.bye) {
    writeHeader(packet, position, 1, BYE, byeLength);
    packet.writeUInt32BE(options.ssrc, position + 4);
  }
  return packet;
}

function readReport(
  datagram: Buffer,
  start: number,
  end: number,
  isSender: boolean,
  count: number,
): RtcpPacket | undefined {
  let position = start + 4 + (isSender ? 20 : 0);
  if (position > end) return undefined;
  const blocks: ReportBlock[] = [];
  for (let i = 0; i < count && position + BLOCK_LENGTH <= end; i++) {
    blocks.push({
      ssrc: datagram.readUInt32BE(position),
      fractionLost: datagram[position + 4],
      cumulativeLost: datagram.readIntBE(position + 5, 3),
      highestSequence: datagram.readUInt32BE(position + 8),
      jitter: datagram.readUInt32BE(position + 12),
      lastSenderReport: datagram.readUInt32BE(position + 16),
      delaySinceLastSenderReport: datagram.readUInt32BE(position + 20),
    });
    position += BLOCK_LENGTH;
  }
  return {
    type: "report",
    ssrc: datagram.readUInt32BE(start),
    sender: isSender
      ? {
          ntpSeconds: datagram.readUInt32BE(start + 4),
          ntpFraction: datagram.readUInt32BE(start + 8),
          rtpTimestamp: datagram.readUInt32BE(start + 12),
          packetCount: datagram.readUInt32BE(start + 16),
          octetCount: datagram.readUInt32BE(start + 20),
        }
      : undefined,
    blocks,
  };
}

function readBye(datagram: Buffer, start: number, end: number, count: number): RtcpPacket {
  const sources: number[] = [];
  for (let i = 0; i < count && start + i * 4 + 4 <= end; i++) {
    sources.push(datagram.readUInt32BE(start + i * 4));
  }
  return { type: "bye", sources };
}

function writeHeader(
  packet: Buffer,
  position: number,
  count: number,
  type: number,
  length: number,
): void {
  packet[position] = 0x80 | count;
  packet[position + 1] = type;
  packet.writeUInt16BE(length / 4 - 1, position + 2);
}

function writeBlock(packet: Buffer, position: number, block: ReportBlock): void {
  packet.writeUInt32BE(block.ssrc >>> 0, position);
  packet[position + 4] = block.fractionLost & 0xff;
  packet.writeIntBE(clamp24(block.cumulativeLost), position + 5, 3);
  packet.writeUInt32BE(block.highestSequence >>> 0, position + 8);
  packet.writeUInt32BE(block.jitter >>> 0, position + 12);
  packet.writeUInt32BE(block.lastSenderReport >>> 0, position + 16);
  packet.writeUInt32BE(block.delaySinceLastSenderReport >>> 0, position + 20);
}

function clamp24(value: number): number {
  return Math.max(-0x80_0000, Math.min(0x7f_ffff, value));
}
