/** Playing, recording and digits of one session: asks the worker and keeps the promises of what runs there. */
import { InvalidArgumentError, MediaError } from "../foundation/index.js";
import { maySend } from "../sdp/index.js";
import type { NegotiatedStream } from "../sdp/index.js";
import type {
  AudioBridge,
  AudioBridgeEnd,
  AudioControl,
  BridgeListener,
  AudioSource,
  AudioStream,
  AudioStreamListener,
  Playback,
  PlayOptions,
  Recording,
  RecordingResult,
  RecordOptions,
  SingleAudioSource,
  StreamOptions,
} from "../session/media-handler.js";
import type { PlaybackResult } from "./audio/player.js";
import { digitFrequencies } from "./audio/tones.js";
import { joinLegs } from "./embedded-bridge.js";
import type { BridgeLeg } from "./embedded-bridge.js";
import { EmbeddedStreams } from "./embedded-streams.js";
import type {
  TransferredOne,
  TransferredRecording,
  TransferredSource,
} from "./rtp/worker-protocol.js";
import type { WorkerClient } from "./worker-client.js";

export interface EmbeddedAudioOptions {
  readonly worker: WorkerClient;
  /** Number of the session. */
  readonly session: number;
  /** What is negotiated now; undefined = nothing, or the session is closed. */
  readonly stream: () => NegotiatedStream | undefined;
}

/** Bytes of a buffer that is copied to the worker. */
const LARGEST_BUFFER = 100 * 1024 * 1024;
/** Digits of one request. */
const MOST_DIGITS = 256;

export class EmbeddedAudio implements AudioControl {
  readonly #worker: WorkerClient;
  readonly #session: number;
  readonly #stream: () => NegotiatedStream | undefined;
  /** By the number of the play request. */
  readonly #playbacks = new Map<number, (result: PlaybackResult) => void>();
  /** By the number of the record request. */
  readonly #recordings = new Map<number, (result: RecordingResult) => void>();
  readonly #leg: BridgeLeg;
  /** For the session, which gets the worker's messages about them. */
  readonly streams: EmbeddedStreams;

  constructor(options: EmbeddedAudioOptions) {
    this.#worker = options.worker;
    this.#session = options.session;
    this.#leg = {
      worker: options.worker,
      session: options.session,
      bridges: new Map(),
      onKey: undefined,
    };
    this.#stream = options.stream;
    this.streams = new EmbeddedStreams(options.worker, options.session);
  }

  get ready(): boolean {
    return this.#stream() !== undefined;
  }

  async play(source: AudioSource, options: PlayOptions = {}): Promise<Playback> {
    this.#negotiated();
    const transferred = transferable(source);
    const id = this.#worker.nextNumber();
    const done = new Promise<PlaybackResult>((resolve) => this.#playbacks.set(id, resolve));
    const { loop, background, settle } = options;
    try {
      await this.#worker.request(
        {
          type: "play",
          session: this.#session,
          source: transferred,
          options: { loop, background, settle },
        },
        { id, transfer: memoryOf(transferred) },
      );
    } catch (error) {
      this.#playbacks.delete(id);
      throw error;
    }
    const control = (action: "stop" | "pause" | "resume"): void =>
      this.#worker.post({ type: "control", session: this.#session, playback: id, action });
    return {
      done,
      stop: () => control("stop"),
      pause: () => control("pause"),
      resume: () => control("resume"),
    };
  }

  async sendDigits(
    digits: string,
    options: {
      readonly method: "rfc4733" | "inband";
      readonly duration: number;
      readonly gap: number;
    },
  ): Promise<void> {
    checkDigits(digits);
    const stream = this.#negotiated();
    if (!maySend(stream.direction)) {
      throw new MediaError("Digits cannot be sent while the call is on hold", { rule: "on-hold" });
    }
    if (options.method === "rfc4733" && stream.telephoneEvent === undefined) {
      throw new MediaError("The peer takes no digits as telephone events (RFC 4733)", {
        rule: "no-telephone-event",
      });
    }
    if (digits.length === 0) return;
    await this.#worker.request({
      type: "digits",
      session: this.#session,
      digits,
      method: options.method,
      duration: options.duration,
      gap: options.gap,
    });
  }

  async record(options: RecordOptions): Promise<Recording> {
    this.#negotiated();
    const id = this.#worker.nextNumber();
    const session = this.#session;
    const done = new Promise<RecordingResult>((resolve) => this.#recordings.set(id, resolve));
    const { path, channels, maxDuration, silence } = options;
    try {
      await this.#worker.request(
        { type: "record", session, options: { path, channels, maxDuration, silence } },
        { id },
      );
    } catch (error) {
      this.#recordings.delete(id);
      throw error;
    }
    const control = (action: "stopped" | "digit" | "pause" | "resume"): void =>
      this.#worker.post({ type: "controlRecording", session, recording: id, action });
    return {
      done,
      stop: (reason = "stopped") => control(reason),
      pause: () => control("pause"),
      resume: () => control("resume"),
    };
  }

  async bridge(other: AudioControl, listener?: BridgeListener): Promise<AudioBridge> {
    if (!(other instanceof EmbeddedAudio)) {
      throw new MediaError("The sound of these two calls is not in the same hands", {
        rule: "no-bridge",
      });
    }
    if (other === this) {
      throw new MediaError("A call cannot be joined to itself", { rule: "no-bridge" });
    }
    this.#negotiated();
    other.#negotiated();
    return joinLegs(this.#leg, other.#leg, {
      toFirst: (digit) => listener?.onKey(this, digit),
      toSecond: (digit) => listener?.onKey(other, digit),
    });
  }

  keyPassed(digit: string): void {
    this.#leg.onKey?.(digit);
  }

  bridgeEnded(id: number, reason: AudioBridgeEnd): void {
    this.#leg.bridges.get(id)?.(reason);
  }

  async stream(options: StreamOptions, listener: AudioStreamListener): Promise<AudioStream> {
    this.#negotiated();
    return this.streams.open(options, listener);
  }

  recordingDone(id: number, result: TransferredRecording): void {
    const resolve = this.#recordings.get(id);
    this.#recordings.delete(id);
    const { data, error } = result;
    resolve?.({
      reason: result.reason,
      seconds: result.seconds,
      bytes: result.bytes,
      data: data && Buffer.from(data.buffer, data.byteOffset, data.byteLength),
      error:
        error && new MediaError(error.message, { rule: error.rule, statusHint: error.statusHint }),
    });
  }

  playbackDone(id: number, result: PlaybackResult): void {
    const resolve = this.#playbacks.get(id);
    this.#playbacks.delete(id);
    resolve?.(result);
    this.streams.ended(id, result === "failed" ? "failed" : "stopped");
  }

  /** Everything that still runs ends with `result`. */
  end(result: PlaybackResult): void {
    for (const id of [...this.#playbacks.keys()]) this.playbackDone(id, result);
    for (const id of [...this.#leg.bridges.keys()]) {
      this.bridgeEnded(id, result === "failed" ? "failed" : "closed");
    }
    this.streams.endAll(result === "failed" ? "failed" : "stopped");
    // Only a worker that was lost leaves recordings open here.
    const error = { message: "The recording was lost", rule: "record-failed", statusHint: 500 };
    for (const id of [...this.#recordings.keys()]) {
      this.recordingDone(id, { reason: "failed", seconds: 0, bytes: 0, data: undefined, error });
    }
  }

  #negotiated(): NegotiatedStream {
    const stream = this.#stream();
    if (stream) return stream;
    throw new MediaError("No sound is possible: nothing is negotiated yet, or the call has ended", {
      rule: "no-media",
    });
  }
}

/** A copy that can be moved: a Buffer shares its memory with others. */
function transferable(source: AudioSource): TransferredSource {
  if (source.kind !== "list") return transferableOne(source);
  return { kind: "list", sources: source.sources.map(transferableOne) };
}

function transferableOne(source: SingleAudioSource): TransferredOne {
  if (source.kind !== "buffer") return source;
  if (source.data.length > LARGEST_BUFFER) {
    throw new MediaError(`A buffer of ${source.data.length} bytes is too large to be played`, {
      rule: "unsupported-audio",
    });
  }
  return { ...source, data: new Uint8Array(source.data) };
}

/** The memory that moves with it. */
function memoryOf(source: TransferredSource): ArrayBuffer[] {
  const sources = source.kind === "list" ? source.sources : [source];
  return sources.flatMap((one) => (one.kind === "buffer" ? [one.data.buffer as ArrayBuffer] : []));
}

function checkDigits(digits: string): void {
  if (digits.length > MOST_DIGITS) {
    throw new InvalidArgumentError(`More than ${MOST_DIGITS} digits at once`);
  }
  for (const digit of digits) {
    if (digit !== "," && digitFrequencies(digit) === undefined) {
      throw new InvalidArgumentError(
        `"${digit}" is no digit; 0 to 9, A to D, *, # and the comma for a pause are`,
      );
    }
  }
}
