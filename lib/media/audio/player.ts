/**
 * What a session plays: a foreground source, else what the bridge brings, else a background source. What is covered
 * goes on underneath; a newer source ends the older of its kind.
 */
import type { SampleSource } from "./audio-source.js";
import { atRate } from "./rate-converter.js";

export type PlaybackResult = "completed" | "stopped" | "failed";

export interface PlayRequest {
  /** Grows with each request. */
  readonly id: number;
  readonly source: SampleSource;
  readonly background: boolean;
  /** Milliseconds of silence first. */
  readonly settle: number;
}

interface Item {
  readonly id: number;
  /** At the rate of the line. */
  source: SampleSource;
  /** Milliseconds of silence left. */
  settle: number;
  paused: boolean;
}

/** Until a codec is known. */
const FIRST_LINE_RATE = 8000;

export class Player {
  readonly #onDone: (id: number, result: PlaybackResult) => void;
  #foreground: Item | undefined;
  #background: Item | undefined;
  #bridge: SampleSource | undefined;
  #covered = new Int16Array(0);
  #lineRate = FIRST_LINE_RATE;
  /** The newest request of each kind: a file that opened late must not displace what was asked for after it. */
  #newestForeground = 0;
  #newestBackground = 0;

  constructor(onDone: (id: number, result: PlaybackResult) => void) {
    this.#onDone = onDone;
  }

  /** Hz of what `read` gives. */
  get lineRate(): number {
    return this.#lineRate;
  }

  /** Another codec: what plays goes on at its rate. */
  setLineRate(sampleRate: number): void {
    if (sampleRate === this.#lineRate) return;
    this.#lineRate = sampleRate;
    for (const item of [this.#foreground, this.#background]) {
      if (item) item.source = atRate(item.source, sampleRate);
    }
    if (this.#bridge) this.#bridge = atRate(this.#bridge, sampleRate);
  }

  /** Whatever another leg brings, heard while nothing plays in the foreground; undefined ends it. */
  setBridge(source: SampleSource | undefined): void {
    this.#bridge?.close();
    this.#bridge = source && atRate(source, this.#lineRate);
  }

  /** A source in the foreground covers the bridge now. */
  get coversBridge(): boolean {
    return this.#speaking !== undefined;
  }

  /** Something plays, heard or covered. */
  get plays(): boolean {
    return this.#foreground !== undefined || this.#background !== undefined;
  }

  play(request: PlayRequest): void {
    const item: Item = {
      id: request.id,
      source: atRate(request.source, this.#lineRate),
      settle: Math.max(0, request.settle),
      paused: false,
    };
    if (request.id < (request.background ? this.#newestBackground : this.#newestForeground)) {
      this.#finish(item, "stopped");
      return;
    }
    if (request.background) this.#newestBackground = request.id;
    else this.#newestForeground = request.id;
    const older = request.background ? this.#background : this.#foreground;
    if (request.background) this.#background = item;
    else this.#foreground = item;
    if (older) this.#finish(older, "stopped");
  }

  stop(id: number): void {
    const item = this.#take(id);
    if (item) this.#finish(item, "stopped");
  }

  pause(id: number, paused: boolean): void {
    for (const item of [this.#foreground, this.#background]) {
      if (item?.id === id) item.paused = paused;
    }
  }

  /** @param request - Those with a lower number that come later end at once, too. */
  stopAll(request = 0): void {
    this.#newestForeground = Math.max(this.#newestForeground, request);
    this.#newestBackground = Math.max(this.#newestBackground, request);
    const items = [this.#foreground, this.#background];
    this.#foreground = undefined;
    this.#background = undefined;
    for (const item of items) if (item) this.#finish(item, "stopped");
  }

  /** The next `count` samples. @returns false when there is nothing to hear; `target` is then left alone. */
  read(target: Int16Array, count: number): boolean {
    const foreground = this.#speaking;
    const bridge = this.#bridge;
    const background = this.#background;
    const covers = foreground !== undefined || bridge !== undefined;
    if (background && covers)
      this.#cover((covered) => this.#readItem(background, covered, count), count);
    if (bridge && foreground) this.#cover((covered) => bridge.read(covered, count), count);
    if (foreground) return this.#readItem(foreground, target, count);
    if (bridge) {
      const filled = bridge.read(target, count);
      target.fill(0, filled, count);
      return filled > 0;
    }
    return background !== undefined && this.#readItem(background, target, count);
  }

  /** What was read last is on its way: sources that have nothing more are done. */
  sent(): void {
    const foreground = this.#foreground;
    if (foreground?.source.ended === true) this.#end(foreground);
    const background = this.#background;
    if (background?.source.ended === true) this.#end(background);
  }

  /** The foreground, unless it is a stream that has nothing to say. */
  get #speaking(): Item | undefined {
    return this.#foreground?.source.idle === true ? undefined : this.#foreground;
  }

  #end(item: Item): void {
    // An empty source still keeps its silence.
    if (item.settle > 0 && !item.source.failed) return;
    this.#take(item.id);
    this.#finish(item, item.source.failed ? "failed" : "completed");
  }

  #take(id: number): Item | undefined {
    let item: Item | undefined;
    if (this.#foreground?.id === id) {
      item = this.#foreground;
      this.#foreground = undefined;
    } else if (this.#background?.id === id) {
      item = this.#background;
      this.#background = undefined;
    }
    return item;
  }

  #finish(item: Item, result: PlaybackResult): void {
    item.source.close();
    this.#onDone(item.id, result);
  }

  /** What is covered goes on unheard. */
  #cover(read: (covered: Int16Array) => unknown, count: number): void {
    if (this.#covered.length < count) this.#covered = new Int16Array(count);
    read(this.#covered);
  }

  #readItem(item: Item, target: Int16Array, count: number): boolean {
    if (item.paused) return false;
    let filled = 0;
    if (item.settle > 0) {
      const perMs = this.#lineRate / 1000;
      filled = Math.min(Math.round(item.settle * perMs), count);
      item.settle = Math.max(0, item.settle - count / perMs);
      if (filled === count) return false;
      target.fill(0, 0, filled);
    }
    if (filled === 0) filled = item.source.read(target, count);
    else {
      const rest = target.subarray(filled, count);
      filled += item.source.read(rest, rest.length);
    }
    // The end of the source, or data that are late: silence.
    target.fill(0, filled, count);
    return filled > 0;
  }
}
