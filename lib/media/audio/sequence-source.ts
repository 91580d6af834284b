/** Several sources, one after the other without a gap: while one is heard, the next is opened. */
import type { SampleSource } from "./audio-source.js";

export type SourceOpener = () => Promise<SampleSource>;

export class SequenceSource implements SampleSource {
  readonly sampleRate: number;
  readonly #openers: readonly SourceOpener[];
  #rounds: number;
  /** Of the source that is opened next. */
  #index = 0;
  #current: SampleSource | undefined;
  #next: SampleSource | undefined;
  #opening = false;
  /** Sources that gave no sample, one after the other. */
  #empty = 0;
  #currentHeard = false;
  /** The next source could not be opened: the end comes when the current one is over. */
  #broken = false;
  #failed = false;
  #closed = false;

  private constructor(openers: readonly SourceOpener[], rounds: number, sampleRate: number) {
    this.#openers = openers;
    this.#rounds = rounds;
    this.sampleRate = sampleRate;
  }

  /**
   * @param openers - Each is called once a round.
   * @param rounds - How often all are played; Infinity = for ever.
   * @param sampleRate - Hz of every source.
   * @throws (rejects) as the first opener does; what goes wrong later ends the source as failed.
   */
  static async open(
    openers: readonly SourceOpener[],
    rounds: number,
    sampleRate: number,
  ): Promise<SequenceSource> {
    const sequence = new SequenceSource(openers, openers.length === 0 ? 0 : rounds, sampleRate);
    if (openers.length > 0) sequence.#current = await sequence.#takeOpener()();
    void sequence.#openNext();
    return sequence;
  }

  get ended(): boolean {
    if (this.#closed || this.#failed) return true;
    if (this.#current?.ended === false) return false;
    if (this.#current?.failed === true) return true;
    return this.#next === undefined && !this.#opening && (this.#broken || this.#rounds <= 0);
  }

  get failed(): boolean {
    return this.#failed || this.#current?.failed === true || (this.#broken && this.ended);
  }

  read(target: Int16Array, count: number): number {
    let filled = 0;
    while (filled < count && this.#current && !this.#closed) {
      const rest = filled === 0 ? target : target.subarray(filled);
      const given = this.#current.read(rest, count - filled);
      filled += given;
      if (given > 0) this.#currentHeard = true;
      if (!this.#current.ended) {
        // Its data are late.
        if (given === 0) break;
        continue;
      }
      if (this.#current.failed) {
        this.#failed = true;
        break;
      }
      if (this.#next === undefined) {
        void this.#openNext();
        break;
      }
      this.#empty = this.#currentHeard ? 0 : this.#empty + 1;
      this.#currentHeard = false;
      // Nothing, however often repeated, is nothing.
      if (this.#empty >= this.#openers.length) this.#rounds = 0;
      this.#current.close();
      this.#current = this.#next;
      this.#next = undefined;
      void this.#openNext();
    }
    return filled;
  }

  close(): void {
    this.#failed = this.failed;
    this.#closed = true;
    this.#current?.close();
    this.#next?.close();
    this.#current = undefined;
    this.#next = undefined;
  }

  /** Never rejects. */
  async #openNext(): Promise<void> {
    if (this.#opening || this.#next || this.#rounds <= 0 || this.#broken || this.#closed) return;
    this.#opening = true;
    try {
      const source = await this.#takeOpener()();
      if (this.#isClosed()) source.close();
      else this.#next = source;
    } catch {
      // A file that went away meanwhile: the session hears silence, the flow `failed`.
      this.#broken = true;
    }
    this.#opening = false;
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  #takeOpener(): SourceOpener {
    const opener = this.#openers[this.#index];
    this.#index += 1;
    if (this.#index === this.#openers.length) {
      this.#index = 0;
      this.#rounds -= 1;
    }
    return opener;
  }
}
