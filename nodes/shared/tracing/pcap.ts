/**
 * Traced messages as a classic pcap file that Wireshark and sngrep open: raw IP (LINKTYPE 101), UDP as it was; what came over a
 * connection as TCP segments with numbers that fit. TLS and WebSocket are written without their wrapping, as plain TCP.
 */
import { isIPv4, isIPv6 } from "../../../lib/index.js";
import type { KeptMessage, Place } from "./message-log.js";

export const PCAP_TYPE = "application/vnd.tcpdump.pcap";

/** Bytes of a message in one IP packet at most, so that its 16-bit length holds. */
const LONGEST_PAYLOAD = 65_000;
const LONGEST_SEGMENT = 32_000;
const UDP = 17;
const TCP = 6;
const PSH_ACK = 0x18;
const FILE_HEADER = 24;
const RAW_IP = 101;

/** @param messages - In the order of time. */
export function pcapOf(messages: readonly KeptMessage[]): Buffer {
  const header = Buffer.alloc(FILE_HEADER);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(0xffff, 16);
  header.writeUInt32LE(RAW_IP, 20);
  const parts: Buffer[] = [header];
  const sequences = new Map<string, number>();
  let last = 0;
  for (const message of messages) {
    // Two messages of one millisecond stay in their order.
    const micros = Math.max(message.time * 1000, last + 1);
    last = micros;
    for (const packet of packetsOf(message, sequences))
      parts.push(recordOf(packet, micros), packet);
  }
  return Buffer.concat(parts);
}

function recordOf(packet: Buffer, micros: number): Buffer {
  const record = Buffer.alloc(16);
  record.writeUInt32LE(Math.floor(micros / 1_000_000), 0);
  record.writeUInt32LE(micros % 1_000_000, 4);
  record.writeUInt32LE(packet.length, 8);
  record.writeUInt32LE(packet.length, 12);
  return record;
}

function packetsOf(message: KeptMessage, sequences: Map<string, number>): Buffer[] {
  const isSent = message.direction === "sent";
  const from = isSent ? message.local : message.remote;
  const to = isSent ? message.remote : message.local;
  const payload = Buffer.from(message.text, message.encoding);
  const isIPv4Packet = bothAre(isIPv4, from, to);
  const hosts = [hostBytes(from, isIPv4Packet), hostBytes(to, isIPv4Packet)] as const;
  if (message.protocol === "udp") {
    return [ipPacket(hosts, UDP, datagram(from, to, payload.subarray(0, LONGEST_PAYLOAD)))];
  }
  const way = `${from.address} ${from.port} ${to.address} ${to.port}`;
  const back = `${to.address} ${to.port} ${from.address} ${from.port}`;
  const packets: Buffer[] = [];
  for (let at = 0; at < payload.length; at += LONGEST_SEGMENT) {
    const part = payload.subarray(at, at + LONGEST_SEGMENT);
    const sequence = sequences.get(way) ?? 1;
    packets.push(ipPacket(hosts, TCP, segment(from, to, sequence, sequences.get(back) ?? 1, part)));
    sequences.set(way, (sequence + part.length) >>> 0);
  }
  return packets;
}

function datagram(from: Place, to: Place, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(to.port, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([header, payload]);
}

function segment(
  from: Place,
  to: Place,
  sequence: number,
  acknowledged: number,
  payload: Buffer,
): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(to.port, 2);
  header.writeUInt32BE(sequence, 4);
  header.writeUInt32BE(acknowledged, 8);
  header[12] = 5 << 4;
  header[13] = PSH_ACK;
  header.writeUInt16BE(0xffff, 14);
  return Buffer.concat([header, payload]);
}

type Hosts = readonly [Buffer, Buffer];

/** The IP header, and the checksum of what is inside (RFC 791, RFC 8200 §8.1). */
function ipPacket(hosts: Hosts, protocol: number, content: Buffer): Buffer {
  const [from, to] = hosts;
  const sumAt = protocol === UDP ? 6 : 16;
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(content.length, 0);
  pseudo[7] = protocol;
  const sum = checksum(Buffer.concat([from, to, pseudo, content]));
  // RFC 768: 0 would say that there is none.
  content.writeUInt16BE(sum === 0 && protocol === UDP ? 0xffff : sum, sumAt);
  return Buffer.concat([ipHeader(hosts, protocol, content.length), from, to, content]);
}

/** Up to the addresses. */
function ipHeader(hosts: Hosts, protocol: number, length: number): Buffer {
  if (hosts[0].length === 16) {
    const header = Buffer.alloc(8);
    header[0] = 0x60;
    header.writeUInt16BE(length, 4);
    header[6] = protocol;
    header[7] = 64;
    return header;
  }
  const header = Buffer.alloc(12);
  header[0] = 0x45;
  header.writeUInt16BE(20 + length, 2);
  header.writeUInt16BE(0x4000, 6);
  header[8] = 64;
  header[9] = protocol;
  header.writeUInt16BE(checksum(Buffer.concat([header, ...hosts])), 10);
  return header;
}

/** RFC 1071. */
function checksum(data: Buffer): number {
  let sum = 0;
  for (let i = 0; i + 1 < data.length; i += 2) sum += data.readUInt16BE(i);
  if (data.length % 2 === 1) sum += data[data.length - 1] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function bothAre(test: (address: string) => boolean, from: Place, to: Place): boolean {
  // A name in place of an address (`advertise`) goes with whatever the other one is.
  return test(from.address) || test(to.address) || !(isIPv6(from.address) || isIPv6(to.address));
}

/** Zeros where it is no address of the family. */
function hostBytes({ address }: Place, isFour: boolean): Buffer {
  if (isFour) {
    return isIPv4(address) ? Buffer.from(address.split(".").map(Number)) : Buffer.alloc(4);
  }
  return isIPv6(address) ? ipv6Bytes(address) : Buffer.alloc(16);
}

function ipv6Bytes(address: string): Buffer {
  const [plain = ""] = address.replace(/^\[|\]$/g, "").split("%");
  const [front = "", rear] = plain.split("::");
  const head = groups(front);
  const tail = rear === undefined ? [] : groups(rear);
  const bytes = Buffer.alloc(16);
  for (const [i, group] of head.slice(0, 8).entries()) bytes.writeUInt16BE(group, i * 2);
  const begin = 8 - Math.min(tail.length, 8);
  for (const [i, group] of tail.slice(0, 8).entries()) bytes.writeUInt16BE(group, (begin + i) * 2);
  return bytes;
}

/** Its last 32 bits may be written as IPv4. */
function groups(text: string): number[] {
  return text.split(":").flatMap((part) => {
    if (part === "") return [];
    if (!part.includes(".")) return [Number.parseInt(part, 16) & 0xffff];
    const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
