/** AES in Galois/counter mode (RFC 7714): one pass encrypts and authenticates. */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { CipherGCMTypes } from "node:crypto";
import type { PacketKeys } from "./key-derivation.js";
import { ENCRYPTED_FLAG, RTCP_CLEAR_LENGTH } from "./transform.js";
import type { PacketTransform } from "./transform.js";

const TAG_LENGTH = 16;
const NONCE_LENGTH = 12;
const NOTHING = Buffer.alloc(0);

export class AesGcmTransform implements PacketTransform {
  readonly rtpTagLength = TAG_LENGTH;
  readonly rtcpTagLength = TAG_LENGTH;
  readonly isAead = true;
  readonly #algorithm: CipherGCMTypes;
  readonly #rtp: PacketKeys;
  readonly #rtcp: PacketKeys;

  constructor(keys: { readonly rtp: PacketKeys; readonly rtcp: PacketKeys }) {
    this.#algorithm = keys.rtp.encryption.length === 32 ? "aes-256-gcm" : "aes-128-gcm";
    this.#rtp = keys.rtp;
    this.#rtcp = keys.rtcp;
  }

  sealRtp(packet: Buffer, payloadStart: number, end: number, ssrc: number, index: number): void {
    const nonce = rtpNonce(this.#rtp.salt, ssrc, index);
    const clear = packet.subarray(0, payloadStart);
    this.#seal(this.#rtp, nonce, clear, packet, payloadStart, end, end);
  }

  openRtp(
    packet: Buffer,
    payloadStart: number,
    end: number,
    tagStart: number,
    ssrc: number,
    index: number,
  ): boolean {
    const nonce = rtpNonce(this.#rtp.salt, ssrc, index);
    const clear = packet.subarray(0, payloadStart);
    return this.#open(this.#rtp, nonce, clear, packet, payloadStart, end, tagStart);
  }

  sealRtcp(packet: Buffer, end: number, tagStart: number, ssrc: number, trailer: number): void {
    const nonce = rtcpNonce(this.#rtcp.salt, ssrc, trailer);
    const clear = rtcpClear(packet, RTCP_CLEAR_LENGTH, trailer);
    this.#seal(this.#rtcp, nonce, clear, packet, RTCP_CLEAR_LENGTH, end, tagStart);
  }

  openRtcp(packet: Buffer, end: number, tagStart: number, ssrc: number, trailer: number): boolean {
    // RFC 7714 §9.3: what is not encrypted is all authenticated data.
    const start = trailer >= ENCRYPTED_FLAG ? RTCP_CLEAR_LENGTH : end;
    const nonce = rtcpNonce(this.#rtcp.salt, ssrc, trailer);
    const clear = rtcpClear(packet, start, trailer);
    return this.#open(this.#rtcp, nonce, clear, packet, start, end, tagStart);
  }

  #seal(
    keys: PacketKeys,
    nonce: Buffer,
    clear: Buffer,
    packet: Buffer,
    start: number,
    end: number,
    tagStart: number,
  ): void {
    const cipher = createCipheriv(this.#algorithm, keys.encryption, nonce);
    cipher.setAAD(clear);
    cipher.update(packet.subarray(start, end)).copy(packet, start);
    cipher.final();
    cipher.getAuthTag().copy(packet, tagStart);
  }

  #open(
    keys: PacketKeys,
    nonce: Buffer,
    clear: Buffer,
    packet: Buffer,
    start: number,
    end: number,
    tagStart: number,
  ): boolean {
    const decipher = createDecipheriv(this.#algorithm, keys.encryption, nonce, {
      authTagLength: TAG_LENGTH,
    });
    decipher.setAAD(clear);
    decipher.setAuthTag(packet.subarray(tagStart, tagStart + TAG_LENGTH));
    const plain = start < end ? decipher.update(packet.subarray(start, end)) : NOTHING;
    try {
      decipher.final();
    } catch {
      // The way in which node:crypto says that the tag is wrong.
      return false;
    }
    plain.copy(packet, start);
    return true;
  }
}

/** RFC 7714 §8.1: two zero bytes, source, count of wraps, sequence number, all with the salt. */
function rtpNonce(salt: Buffer, ssrc: number, index: number): Buffer {
  const nonce = Buffer.alloc(NONCE_LENGTH);
  nonce.writeUInt32BE(ssrc, 2);
  nonce.writeUIntBE(index, 6, 6);
  return mixed(nonce, salt);
}

/** RFC 7714 §9.1: two zero bytes, source, two zero bytes, number without flag, all with the salt. */
function rtcpNonce(salt: Buffer, ssrc: number, trailer: number): Buffer {
  const nonce = Buffer.alloc(NONCE_LENGTH);
  nonce.writeUInt32BE(ssrc, 2);
  nonce.writeUInt32BE(trailer % ENCRYPTED_FLAG, 8);
  return mixed(nonce, salt);
}

/** RFC 7714 §9.2: what is authenticated and not encrypted, the number with its flag at the end. */
function rtcpClear(packet: Buffer, length: number, trailer: number): Buffer {
  const clear = Buffer.allocUnsafe(length + 4);
  packet.copy(clear, 0, 0, length);
  clear.writeUInt32BE(trailer, length);
  return clear;
}

function mixed(nonce: Buffer, salt: Buffer): Buffer {
  for (let i = 0; i < NONCE_LENGTH; i++) nonce[i] ^= salt[i];
  return nonce;
}
