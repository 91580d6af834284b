/** Live streams of one session on the main thread: hands sound and words of control to the worker, and frames on. */
import { InvalidArgumentError } from "../foundation/index.js";
import type { AudioStream, AudioStreamListener, StreamOptions } from "../session/media-handler.js";
import { LONGEST_QUEUE_S } from "./audio/stream-source.js";
import type { StreamFrameMessage } from "./rtp/worker-protocol.js";
import type { WorkerClient } from "./worker-client.js";

/** Hz that a stream may have. */
export const STREAM_RATES: readonly number[] = [8000, 16_000, 24_000, 48_000];
const FORMATS: readonly string[] = ["pcm16", "mulaw"];
const SHORTEST_FRAME_MS = 10;
const LONGEST_FRAME_MS = 1000;

export class EmbeddedStreams {
  readonly #worker: WorkerClient;
  readonly #session: number;
  /** By the number of the stream request. */
  readonly #streams = new Map<number, EmbeddedStream>();

  constructor(worker: WorkerClient, session: number) {
    this.#worker = worker;
    this.#session = session;
  }

  /** @throws (rejects with) InvalidArgumentError for options that are none, MediaError when the call is over. */
  async open(options: StreamOptions, listener: AudioStreamListener): Promise<AudioStream> {
    checkOptions(options);
    const id = this.#worker.nextNumber();
    const { format, sampleRate, frame } = options;
    const plain = { format, sampleRate, frame };
    const stream = new EmbeddedStream({
      worker: this.#worker,
      session: this.#session,
      id,
      format: plain,
      listener,
    });
    this.#streams.set(id, stream);
    try {
      await this.#worker.request(
        {
          type: "stream",
          session: this.#session,
          options: plain,
          fetched: stream.fetched,
        },
        { id },
      );
    } catch (error) {
      this.#streams.delete(id);
      throw error;
    }
    return stream;
  }

  /** What the peer said. */
  frame(message: StreamFrameMessage): void {
    this.#streams.get(message.stream)?.frame(message);
  }

  marked(stream: number, mark: number, milliseconds: number): void {
    this.#streams.get(stream)?.marked(mark, milliseconds);
  }

  /** Nothing happens when `id` is no stream. */
  ended(id: number, result: "stopped" | "failed"): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.end(result);
  }

  endAll(result: "stopped" | "failed"): void {
    for (const id of [...this.#streams.keys()]) this.ended(id, result);
  }
}

interface EmbeddedStreamOptions {
  readonly worker: WorkerClient;
  readonly session: number;
  readonly id: number;
  readonly format: StreamOptions;
  readonly listener: AudioStreamListener;
}

class EmbeddedStream implements AudioStream {
  readonly done: Promise<"stopped" | "failed">;
  /** Shared with the worker, which stops to send frames when too many wait here. */
  readonly fetched = new SharedArrayBuffer(4);
  readonly #options: EmbeddedStreamOptions;
  readonly #fetched = new Int32Array(this.fetched);
  readonly #marks = new Map<number, (milliseconds: number) => void>();
  /** Milliseconds heard at the last mark. */
  #heard = 0;
  #over = false;
  #resolve: (result: "stopped" | "failed") => void = () => undefined;

  constructor(options: EmbeddedStreamOptions) {
    this.#options = options;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  send(audio: Uint8Array): void {
    if (this.#over || audio.length === 0) return;
    // A Buffer shares its memory with others, so what crosses is a copy; of an hour only the end would be kept anyway.
    const data = new Uint8Array(audio.subarray(this.#superfluous(audio.length)));
    const { worker, session, id: stream } = this.#options;
    worker.post({ type: "streamAudio", session, stream, data }, [data.buffer]);
  }

  clear(): void {
    if (this.#over) return;
    const { worker, session, id: stream } = this.#options;
    worker.post({ type: "streamClear", session, stream });
  }

  mark(): Promise<number> {
    if (this.#over) return Promise.resolve(this.#heard);
    const { worker, session, id: stream } = this.#options;
    const mark = worker.nextNumber();
    return new Promise((resolve) => {
      this.#marks.set(mark, resolve);
      worker.post({ type: "streamMark", session, stream, mark });
    });
  }

  stop(): void {
    if (this.#over) return;
    const { worker, session, id: playback } = this.#options;
    worker.post({ type: "control", session, playback, action: "stop" });
  }

  frame({ sequence, data }: StreamFrameMessage): void {
    Atomics.add(this.#fetched, 0, 1);
    if (this.#over) return;
    const { listener, format } = this.#options;
    listener.onFrame({
      data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
      sequence,
      timestamp: sequence * format.frame,
    });
  }

  marked(mark: number, milliseconds: number): void {
    this.#heard = milliseconds;
    this.#marks.get(mark)?.(milliseconds);
    this.#marks.delete(mark);
  }

  end(result: "stopped" | "failed"): void {
    this.#over = true;
    for (const mark of [...this.#marks.keys()]) this.marked(mark, this.#heard);
    this.#resolve(result);
  }

  /** Bytes at the beginning that would be dropped at once, an even number so that samples stay whole. */
  #superfluous(length: number): number {
    const { format, sampleRate } = this.#options.format;
    const most = LONGEST_QUEUE_S * sampleRate * (format === "pcm16" ? 2 : 1);
    return Math.max(0, (length - most) & ~1);
  }
}

/** @throws InvalidArgumentError */
function checkOptions({ format, sampleRate, frame }: StreamOptions): void {
  if (!FORMATS.includes(format)) {
    throw new InvalidArgumentError(`A stream has no format "${format}"; pcm16 and mulaw there are`);
  }
  if (!STREAM_RATES.includes(sampleRate)) {
    throw new InvalidArgumentError(`A stream has ${STREAM_RATES.join(", ")} Hz`);
  }
  const samples = (frame * sampleRate) / 1000;
  if (!(frame >= SHORTEST_FRAME_MS && frame <= LONGEST_FRAME_MS) || !Number.isInteger(samples)) {
    throw new InvalidArgumentError(
      `A frame of ${frame} ms is none; ${SHORTEST_FRAME_MS} to ${LONGEST_FRAME_MS} ms, whole samples, are`,
    );
  }
}
