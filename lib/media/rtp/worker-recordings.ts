/** The recordings of one worker: begins, steers and ends them, and reports what came of each. */
import type { MediaError } from "../../foundation/index.js";
import type { RecordingEnd } from "../../session/media-handler.js";
import { Recorder } from "../audio/recorder.js";
import { openWavFile, wavInMemory } from "../audio/wav-writer.js";
import type { RtpSession } from "./rtp-session.js";
import type { FromWorker, ToWorker } from "./worker-protocol.js";

interface ActiveRecording {
  readonly recorder: Recorder;
  readonly end: (reason: RecordingEnd) => Promise<void>;
}

type RecordMessage = Extract<ToWorker, { type: "record" }>;
type ControlMessage = Extract<ToWorker, { type: "controlRecording" }>;

/** Bytes of a recording in memory: an hour of mono at 8 kHz. */
const LARGEST_IN_MEMORY = 64 * 1024 * 1024;

export class WorkerRecordings {
  readonly #send: (message: FromWorker) => void;
  /** By session and by the number of the record request. */
  readonly #active = new Map<number, Map<number, ActiveRecording>>();

  /** @param send - To the main thread. */
  constructor(send: (message: FromWorker) => void) {
    this.#send = send;
  }

  /**
   * @param find - The session, as long as it is there.
   * @throws (rejects with) MediaError, rule `record-failed`, when the file cannot be made.
   */
  async start(message: RecordMessage, find: () => RtpSession | undefined): Promise<void> {
    const { session, id, options } = message;
    const sampleRate = find()?.lineRate ?? 8000;
    const format = { channels: options.channels === "stereo" ? 2 : 1, sampleRate } as const;
    const target =
      options.path === undefined
        ? wavInMemory(format, LARGEST_IN_MEMORY)
        : await openWavFile(options.path, format);
    const recorder = new Recorder({
      channels: options.channels,
      sampleRate,
      maxDuration: options.maxDuration,
      silence: options.silence,
      target,
      onEnd: (reason) => void end(reason),
    });
    // The call may have ended while the file was opened.
    const rtp = find();
    const unlisten = rtp?.listen(recorder) ?? (() => undefined);
    let ending: Promise<void> | undefined;
    const end = (reason: RecordingEnd): Promise<void> => {
      ending ??= this.#finish(session, id, recorder, reason, unlisten);
      return ending;
    };
    const recordings = this.#active.get(session) ?? new Map<number, ActiveRecording>();
    this.#active.set(session, recordings);
    recordings.set(id, { recorder, end });
    if (rtp === undefined) void end("hangup");
  }

  control(message: ControlMessage): void {
    const active = this.#active.get(message.session)?.get(message.recording);
    if (active === undefined) return;
    if (message.action === "pause" || message.action === "resume") {
      active.recorder.paused = message.action === "pause";
    } else void active.end(message.action);
  }

  /** The call has ended. Resolves when all its recordings are written and reported. */
  async close(session: number): Promise<void> {
    const recordings = [...(this.#active.get(session)?.values() ?? [])];
    await Promise.all(recordings.map((active) => active.end("hangup")));
  }

  async #finish(
    session: number,
    id: number,
    recorder: Recorder,
    reason: RecordingEnd,
    unlisten: () => void,
  ): Promise<void> {
    unlisten();
    const summary = await recorder.finish(reason);
    const recordings = this.#active.get(session);
    recordings?.delete(id);
    if (recordings?.size === 0) this.#active.delete(session);
    const { seconds, bytes, data, error } = summary;
    this.#send({
      type: "recordingDone",
      session,
      recording: id,
      result: { reason: summary.reason, seconds, bytes, data, error: error && transferred(error) },
    });
  }
}

function transferred({ message, rule, statusHint }: MediaError): {
  readonly message: string;
  readonly rule: string | undefined;
  readonly statusHint: number;
} {
  return { message, rule, statusHint };
}
