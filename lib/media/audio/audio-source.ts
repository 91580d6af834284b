/** What can be heard: something that gives 8 kHz samples when asked. */

/** Hz of everything between sources and the codec. */
export const LINE_RATE = 8000;

export interface SampleSource {
  /**
   * Writes the next samples to the start of `target`.
   *
   * @returns how many: `count`, fewer at the end or while data are still on their way.
   */
  read(target: Int16Array, count: number): number;
  /** True when nothing follows. */
  readonly ended: boolean;
  /** True when the source could not be read to its end. */
  readonly failed: boolean;
  /** Frees what it holds. Idempotent. */
  close(): void;
}
