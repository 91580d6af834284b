/** What reads stored audio of one format: mono samples in short pieces, from the beginning, as often as asked. */

/** About so long is a piece: short enough that decoding one holds up no packet of another stream. Milliseconds. */
export const PIECE_MS = 200;

export interface SoundDecoder {
  /** Hz of what `next` gives. */
  readonly sampleRate: number;
  /**
   * The next piece, valid until the next call: from −1 to 1, or samples of 16 bits where they are stored so; undefined
   * at the end. One call at a time.
   *
   * @throws (rejects) when the data cannot be read or decoded.
   */
  next(): Promise<Float32Array | Int16Array | undefined>;
  /** Goes back to the beginning. */
  rewind(): Promise<void>;
  /** Frees what it holds, the access to the data too. Called once. */
  close(): Promise<void>;
}
