/** The live streams of one worker: between the flow on the main thread and the sound of its calls here. */
import type { AudioListener, RtpSession } from "./rtp-session.js";
import { StreamFrames } from "../audio/stream-frames.js";
import { StreamSource } from "../audio/stream-source.js";
import type { FromWorker, StreamFrameMessage, ToWorker } from "./worker-protocol.js";

type StartMessage = Extract<ToWorker, { type: "stream" }>;
type StreamMessage = Extract<ToWorker, { type: "streamAudio" | "streamClear" | "streamMark" }>;
/** What a stream needs of its session. */
export type StreamedSession = Pick<RtpSession, "listen" | "play">;

export class WorkerStreams {
  readonly #send: (message: FromWorker, transfer?: readonly ArrayBuffer[]) => void;
  /** By the number of the stream request. */
  readonly #active = new Map<number, StreamSource>();
  /** Frames of this turn, of all calls: they cross together. */
  #frames: StreamFrameMessage[] = [];

  /** @param send - To the main thread. */
  constructor(send: (message: FromWorker, transfer?: readonly ArrayBuffer[]) => void) {
    this.#send = send;
  }

  /** How many there are. */
  get size(): number {
    return this.#active.size;
  }

  /** A stream is the foreground source of its session, so it ends what played before, and is ended like any other. */
  start(message: StartMessage, rtp: StreamedSession): void {
    const { session, id: stream, options } = message;
    const fetched = new Int32Array(message.fetched);
    const frames = new StreamFrames({
      ...options,
      fetched: () => Atomics.load(fetched, 0),
      onFrame: (sequence, data) =>
        this.#collect({ type: "streamFrame", session, stream, sequence, data }),
    });
    const source = new StreamSource({
      format: options.format,
      sampleRate: options.sampleRate,
      onMark: (mark, milliseconds) =>
        this.#send({ type: "streamMark", session, stream, mark, milliseconds }),
      onClose: () => {
        this.#active.delete(stream);
        unlisten();
      },
    });
    const listener: AudioListener = {
      frame: (remote, _local, count, sampleRate) => {
        source.sent(sampleRate, count);
        frames.take(remote, count, sampleRate);
      },
    };
    const unlisten = rtp.listen(listener);
    this.#active.set(stream, source);
    rtp.play({ id: stream, source, background: false, settle: 0 });
  }

  /** Nothing happens when the stream is over. */
  receive(message: StreamMessage): void {
    const source = this.#active.get(message.stream);
    switch (message.type) {
      case "streamAudio":
        source?.push(message.data);
        break;
      case "streamClear":
        source?.clear();
        break;
      case "streamMark":
        source?.mark(message.mark);
        break;
    }
  }

  #collect(frame: StreamFrameMessage): void {
    this.#frames.push(frame);
    if (this.#frames.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const frames = this.#frames;
    this.#frames = [];
    const memory = frames.map(({ data }) => data.buffer as ArrayBuffer);
    this.#send({ type: "streamFrames", frames }, memory);
  }
}
