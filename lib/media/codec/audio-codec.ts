/** What the RTP endpoint needs of a codec: one encoder and one decoder per stream, mono 16-bit samples on the inside. */

export interface AudioEncoder {
  /**
   * Encodes the samples of one packet into `target` from `offset` on, where `maximumBytes` of the codec are free.
   *
   * @returns bytes written. Never throws.
   */
  encode(samples: Int16Array, count: number, target: Uint8Array, offset: number): number;
  /** The same for `count` samples of silence, with less work. */
  encodeSilence(count: number, target: Uint8Array, offset: number): number;
  /** Frees what it holds. Idempotent. */
  close(): void;
}

export interface AudioDecoder {
  /**
   * Decodes the payload `source[start…end)` into the beginning of `target`, which has room for `LONGEST_PACKET_MS`.
   *
   * @returns samples written; 0 for a payload that cannot be decoded. Never throws, whatever a peer sends.
   */
  decode(source: Uint8Array, start: number, end: number, target: Int16Array): number;
  /** Fills `count` samples of a packet that is missing: what is likely to have been said, fading to silence. */
  conceal(target: Int16Array, count: number): void;
  /**
   * Fills `count` samples that were lost right before the payload `source[start…end)` with what that payload repeats
   * of them. Absent = payloads repeat nothing.
   *
   * @returns false when it cannot; `conceal` is to be used then.
   */
  recover?(
    source: Uint8Array,
    start: number,
    end: number,
    target: Int16Array,
    count: number,
  ): boolean;
  /** Frees what it holds. Idempotent. */
  close(): void;
}

export interface AudioCodec {
  /** As in SDP, upper case. */
  readonly name: string;
  /** Hz of the samples. */
  readonly sampleRate: number;
  /** Hz of RTP timestamps, not always the same (G.722, RFC 3551 §4.5.2). */
  readonly clockRate: number;
  /** Bytes of the longest packet of so many milliseconds. */
  maximumBytes(milliseconds: number): number;
  /** Length of a payload in units of `clockRate`, without decoding it; 0 when it cannot be told. */
  duration(source: Uint8Array, start: number, end: number): number;
  /** @param parameters - Of the peer's `a=fmtp` line: what it wants to receive. */
  createEncoder(parameters?: string): AudioEncoder;
  createDecoder(): AudioDecoder;
  /** Loads what the codec needs before the first stream, once per thread. Absent = ready at once. */
  load?(): Promise<void>;
}

/** Packets that play longer are cut. */
export const LONGEST_PACKET_MS = 200;
