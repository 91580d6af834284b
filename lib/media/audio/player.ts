/**
 * What a session plays: one foreground and one background source. The foreground covers the background, which
 * goes on underneath; a newer source ends the older of its kind.
 */
import type { SampleSource } from "./audio-source.js";
import { LINE_RATE } from "./audio-source.js";

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
  readonly source: SampleSource;
  /** Samples of silence left. */
  settle: number;
  paused: boolean;
}

export class Player {
  readonly #onDone: (id: number, result: PlaybackResult) => void;
  #foreground: Item | undefined;
  #background: Item | undefined;
  #covered = new Int16Array(0);
  /** The newest request of each kind: a file that opened late must not displace what was asked for after it. */
  #newestForeground = 0;
  #newestBackground = 0;

  constructor(onDone: (id: number, result: PlaybackResult) => void) {
    this.#onDone = onDone;
  }

  play(request: PlayRequest): void {
    const item: Item = {
      id: request.id,
      source: request.source,
      settle: Math.round((Math.max(0, request.settle) * LINE_RATE) / 1000),
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

  stopAll(): void {
    const items = [this.#foreground, this.#background];
    this.#foreground = undefined;
    this.#background = undefined;
    for (const item of items) if (item) this.#finish(item, "stopped");
  }

  /** The next `count` samples. @returns false when there is nothing to hear; `target` is then left alone. */
  read(target: Int16Array, count: number): boolean {
    const foreground = this.#foreground;
    const background = this.#background;
    if (foreground === undefined) {
      return background !== undefined && readItem(background, target, count);
    }
    if (background) {
      if (this.#covered.length < count) this.#covered = new Int16Array(count);
      readItem(background, this.#covered, count);
    }
    return readItem(foreground, target, count);
  }

  /** What was read last is on its way: sources that have nothing more are done. */
  sent(): void {
    const foreground = this.#foreground;
    if (foreground?.source.ended === true) this.#end(foreground);
    const background = this.#background;
    if (background?.source.ended === true) this.#end(background);
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
}

function readItem(item: Item, target: Int16Array, count: number): boolean {
  if (item.paused) return false;
  let filled = 0;
  if (item.settle > 0) {
    filled = Math.min(item.settle, count);
    item.settle -= filled;
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
