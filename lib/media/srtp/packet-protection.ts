/** The port between the RTP endpoint and encryption: whole packets in, whole packets out. */

export interface PacketProtection {
  /** @returns a new packet, encrypted and authenticated; `packet` is left as it is. */
  protectRtp(packet: Buffer): Buffer;
  protectRtcp(packet: Buffer): Buffer;
  /**
   * Decrypts in place, after the tag was found right. Never throws.
   *
   * @returns the part of `packet` that is the RTP packet; undefined = forged, repeated, too old or broken: to be
   *   dropped, nothing has changed.
   */
  unprotectRtp(packet: Buffer): Buffer | undefined;
  unprotectRtcp(packet: Buffer): Buffer | undefined;
}
