/**
 * AES in counter mode with HMAC-SHA1 (RFC 3711 §4.1.1, §4.2.1). The key stream comes from one block cipher that lives
 * as long as the key: making a cipher for each packet costs five times as much as encrypting it.
 */
import { createCipheriv, createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import type { Cipher, KeyObject } from "node:crypto";
import type { PacketKeys } from "./key-derivation.js";
import { rolloverCounter } from "./packet-index.js";
import { ENCRYPTED_FLAG, RTCP_CLEAR_LENGTH } from "./transform.js";
import type { PacketTransform } from "./transform.js";

const BLOCK = 16;

export interface AesCmOptions {
  readonly rtp: PacketKeys;
  readonly rtcp: PacketKeys;
  readonly rtpTagLength: number;
  readonly rtcpTagLength: number;
}

export class AesCmTransform implements PacketTransform {
  readonly rtpTagLength: number;
  readonly rtcpTagLength: number;
  readonly isAead = false;
  readonly #rtpStream: KeyStream;
  readonly #rtcpStream: KeyStream;
  readonly #rtpAuthentication: KeyObject;
  readonly #rtcpAuthentication: KeyObject;
  readonly #counter = Buffer.alloc(4);

  constructor(options: AesCmOptions) {
    this.rtpTagLength = options.rtpTagLength;
    this.rtcpTagLength = options.rtcpTagLength;
    this.#rtpStream = new KeyStream(options.rtp);
    this.#rtcpStream = new KeyStream(options.rtcp);
    this.#rtpAuthentication = createSecretKey(options.rtp.authentication);
    this.#rtcpAuthentication = createSecretKey(options.rtcp.authentication);
  }

  sealRtp(packet: Buffer, payloadStart: number, end: number, ssrc: number, index: number): void {
    this.#rtpStream.apply(packet, payloadStart, end, ssrc, index);
    this.#rtpTag(packet, end, index).copy(packet, end, 0, this.rtpTagLength);
  }

  openRtp(
    packet: Buffer,
    payloadStart: number,
    end: number,
    tagStart: number,
    ssrc: number,
    index: number,
  ): boolean {
    if (!sameTag(this.#rtpTag(packet, end, index), packet, tagStart, this.rtpTagLength))
      return false;
    this.#rtpStream.apply(packet, payloadStart, end, ssrc, index);
    return true;
  }

  sealRtcp(packet: Buffer, end: number, tagStart: number, ssrc: number, trailer: number): void {
    this.#rtcpStream.apply(packet, RTCP_CLEAR_LENGTH, end, ssrc, rtcpIndex(trailer));
    this.#rtcpTag(packet, end, trailer).copy(packet, tagStart, 0, this.rtcpTagLength);
  }

  openRtcp(packet: Buffer, end: number, tagStart: number, ssrc: number, trailer: number): boolean {
    const tag = this.#rtcpTag(packet, end, trailer);
    if (!sameTag(tag, packet, tagStart, this.rtcpTagLength)) return false;
    if (trailer >= ENCRYPTED_FLAG) {
      this.#rtcpStream.apply(packet, RTCP_CLEAR_LENGTH, end, ssrc, rtcpIndex(trailer));
    }
    return true;
  }

  /** Over header, payload and the count of wraps, which is not sent. */
  #rtpTag(packet: Buffer, end: number, index: number): Buffer {
    this.#counter.writeUInt32BE(rolloverCounter(index));
    return createHmac("sha1", this.#rtpAuthentication)
      .update(packet.subarray(0, end))
      .update(this.#counter)
      .digest();
  }

  #rtcpTag(packet: Buffer, end: number, trailer: number): Buffer {
    this.#counter.writeUInt32BE(trailer);
    return createHmac("sha1", this.#rtcpAuthentication)
      .update(packet.subarray(0, end))
      .update(this.#counter)
      .digest();
  }
}

function rtcpIndex(trailer: number): number {
  return trailer % ENCRYPTED_FLAG;
}

function sameTag(tag: Buffer, packet: Buffer, start: number, length: number): boolean {
  return timingSafeEqual(tag.subarray(0, length), packet.subarray(start, start + length));
}

/** The key stream of RFC 3711 §4.1.1: encrypted counters, begun at salt, source and packet number. */
class KeyStream {
  readonly #cipher: Cipher;
  readonly #salt: Buffer;
  /** Counters of as many blocks as the longest packet so far had. */
  #counters = Buffer.alloc(BLOCK * 16);

  constructor(keys: PacketKeys) {
    this.#cipher = createCipheriv(`aes-${keys.encryption.length * 8}-ecb`, keys.encryption, null);
    this.#cipher.setAutoPadding(false);
    this.#salt = keys.salt;
  }

  /** Encrypts or decrypts, which is the same. */
  apply(packet: Buffer, start: number, end: number, ssrc: number, index: number): void {
    const length = end - start;
    if (length <= 0) return;
    const size = Math.ceil(length / BLOCK) * BLOCK;
    if (size > this.#counters.length) this.#counters = Buffer.alloc(size);
    const counters = this.#counters;
    counters.fill(0, 0, BLOCK);
    this.#salt.copy(counters);
    xor32(counters, 4, ssrc);
    xor32(counters, 8, Math.floor(index / 0x1_0000));
    xor32(counters, 12, (index % 0x1_0000) * 0x1_0000);
    for (let block = BLOCK; block < size; block += BLOCK) {
      counters.copyWithin(block, 0, BLOCK);
      const number = block / BLOCK;
      // The low 16 bits of the first counter are zero (RFC 3711 §4.1.1).
      counters[block + 14] = number >> 8;
      counters[block + 15] = number & 0xff;
    }
    const stream = this.#cipher.update(counters.subarray(0, size));
    for (let i = 0; i < length; i++) packet[start + i] ^= stream[i];
  }
}

function xor32(target: Buffer, offset: number, value: number): void {
  target.writeUInt32BE((target.readUInt32BE(offset) ^ value) >>> 0, offset);
}
