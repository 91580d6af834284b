/** The live stream that a node holds in a call: may still be opening, takes sound and words of control at once. */
import type { AudioStream, StreamFrame } from "../../lib/index.js";
import { deploys } from "./deploys.js";
import { misuse } from "./errors.js";
import { liveNode } from "./live-nodes.js";

/** Marks of one stream that wait. */
const MOST_MARKS = 1000;
/** Milliseconds of frames that wait for a busy runtime; what comes then is left out. */
const LONGEST_BACKLOG_MS = 10_000;

const active = new Set<ActiveStream>();

// Nobody hears or steers the stream of a node that is gone.
deploys.listen({
  started: () => {
    for (const stream of [...active]) if (liveNode(stream.nodeId) === undefined) stream.stop();
  },
});

export interface ActiveStreamOptions {
  readonly nodeId: string;
  /** Milliseconds of a frame. */
  readonly frame: number;
  /** Gets each frame and calls `delivered` when it is with the flow. */
  readonly onFrame: (frame: StreamFrame, delivered: () => void) => void;
  /** It takes no more orders: the next start is a new stream. */
  readonly onStop: (stream: ActiveStream) => void;
}

export class ActiveStream {
  readonly nodeId: string;
  readonly #options: ActiveStreamOptions;
  #stream: AudioStream | undefined;
  #opened: Promise<AudioStream | undefined> = Promise.resolve(undefined);
  #marks = 0;
  #backlog = 0;

  constructor(options: ActiveStreamOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
  }

  /**
   * @param open - Begins the stream; rejects when it cannot be.
   * @returns how it ended. Rejects as `open` does.
   */
  async run(
    open: (onFrame: (frame: StreamFrame) => void) => Promise<AudioStream>,
  ): Promise<"stopped" | "failed"> {
    active.add(this);
    try {
      const opening = open((frame) => this.#frame(frame));
      this.#opened = opening.then(
        (stream) => (this.#stream = stream),
        // Whoever waits for it here loses nothing: the start itself fails.
        () => undefined,
      );
      return await (
        await opening
      ).done;
    } finally {
      active.delete(this);
      this.#options.onStop(this);
    }
  }

  send(audio: Uint8Array): void {
    if (this.#stream) this.#stream.send(audio);
    else {
      // The flow may change it meanwhile.
      const copy = Buffer.from(audio);
      this.#whenOpen((stream) => stream.send(copy));
    }
  }

  clear(): void {
    this.#whenOpen((stream) => stream.clear());
  }

  stop(): void {
    this.#options.onStop(this);
    this.#whenOpen((stream) => stream.stop());
  }

  /**
   * @returns milliseconds heard when all before it was sent; see AudioStream.
   * @throws InvalidArgumentError `limit` when too many wait.
   */
  async mark(): Promise<number> {
    if (this.#marks >= MOST_MARKS) {
      throw misuse("limit", `more than ${MOST_MARKS} marks wait in this stream`);
    }
    this.#marks += 1;
    try {
      const stream = this.#stream ?? (await this.#opened);
      return stream === undefined ? 0 : await stream.mark();
    } finally {
      this.#marks -= 1;
    }
  }

  #whenOpen(act: (stream: AudioStream) => void): void {
    if (this.#stream) act(this.#stream);
    else void this.#opened.then((stream) => stream && act(stream));
  }

  #frame(frame: StreamFrame): void {
    if (this.#backlog * this.#options.frame >= LONGEST_BACKLOG_MS) return;
    this.#backlog += 1;
    this.#options.onFrame(frame, () => {
      this.#backlog -= 1;
    });
  }
}
