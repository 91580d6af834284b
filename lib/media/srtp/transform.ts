/** What a cipher suite does with one packet; numbers, replays and sources are not its business. */

export interface PacketTransform {
  /** Bytes that an RTP packet grows by. */
  readonly rtpTagLength: number;
  /** Bytes of the tag of an RTCP packet; its number takes four more. */
  readonly rtcpTagLength: number;
  /**
   * True for GCM, whose tag is a part of the ciphertext: key identifier and RTCP number stand behind it (RFC 7714 §8, §9),
   * not before it (RFC 3711 §3.1, §3.4).
   */
  readonly isAead: boolean;

  /**
   * Encrypts the payload of `packet`, from `payloadStart` to `end`, in place, and writes the tag from `end` on.
   *
   * @param ssrc - Of the packet.
   * @param index - 48 bits.
   */
  sealRtp(packet: Buffer, payloadStart: number, end: number, ssrc: number, index: number): void;
  /**
   * Checks the tag that stands at `tagStart` and decrypts up to `end`, in place. Between both may stand a key identifier.
   *
   * @returns false when the tag is wrong; nothing has changed then.
   */
  openRtp(
    packet: Buffer,
    payloadStart: number,
    end: number,
    tagStart: number,
    ssrc: number,
    index: number,
  ): boolean;
  /** As `sealRtp`, for RTCP: the number with its E flag is `trailer`, 32 bits. */
  sealRtcp(packet: Buffer, end: number, tagStart: number, ssrc: number, trailer: number): void;
  /** As `openRtp`. Without the E flag in `trailer` only the tag is checked. */
  openRtcp(packet: Buffer, end: number, tagStart: number, ssrc: number, trailer: number): boolean;
}

/** In the number of an RTCP packet: the packet is encrypted (RFC 3711 §3.4). */
export const ENCRYPTED_FLAG = 0x8000_0000;
/** Bytes of an RTCP compound that are never encrypted. */
export const RTCP_CLEAR_LENGTH = 8;
