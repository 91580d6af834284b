/** What can be heard: something that gives samples when asked. */

export interface SampleSource {
  /** Hz of what `read` gives; never changes. */
  readonly sampleRate: number;
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
  /** True while it has nothing to say but may go on: what it covers is heard meanwhile. */
  readonly idle?: boolean;
  /** Frees what it holds. Idempotent. */
  close(): void;
}
