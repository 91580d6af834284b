/** What the main thread and the RTP worker say to each other: plain data, one message per line of these unions. */
import type { MessagePort } from "node:worker_threads";
import type {
  MediaStatistics,
  PlayOptions,
  RecordingEnd,
  RecordOptions,
  SingleAudioSource,
  StreamOptions,
} from "../../session/media-handler.js";
import type { PlaybackResult } from "../audio/player.js";
import type { DigitRequest } from "./rtp-sender.js";
import type { StreamSettings } from "./stream-settings.js";

/** An audio source that can cross: a Buffer's bytes, moved and not copied again. */
export type TransferredOne =
  | Exclude<SingleAudioSource, { kind: "buffer" }>
  | (Omit<Extract<SingleAudioSource, { kind: "buffer" }>, "data"> & { readonly data: Uint8Array });
export type TransferredSource =
  TransferredOne | { readonly kind: "list"; readonly sources: readonly TransferredOne[] };

export interface OpenRequest {
  readonly type: "open";
  /** Number of the request; its reply carries the same. */
  readonly id: number;
  /** Number of the session. */
  readonly session: number;
  readonly address: string;
  readonly portMin: number;
  readonly portMax: number;
  /** Names of all that may be negotiated: loaded before anything is. */
  readonly codecs: readonly string[];
  /** Milliseconds without packets that are reported; 0 = never. */
  readonly mediaTimeout: number;
}

export type ToWorker =
  | OpenRequest
  /** Codecs that calls will need: loaded before the first is there. */
  | { readonly type: "load"; readonly codecs: readonly string[] }
  | {
      readonly type: "configure";
      readonly session: number;
      /** Undefined = nothing is sent or received. */
      readonly settings: StreamSettings | undefined;
      /** Sound may flow. */
      readonly started: boolean;
    }
  | {
      readonly type: "play";
      readonly id: number;
      readonly session: number;
      readonly source: TransferredSource;
      readonly options: PlayOptions;
    }
  | {
      readonly type: "control";
      readonly session: number;
      /** The `id` of the play request. */
      readonly playback: number;
      readonly action: "stop" | "pause" | "resume";
    }
  | ({ readonly type: "digits"; readonly session: number } & DigitRequest)
  | {
      readonly type: "record";
      readonly id: number;
      readonly session: number;
      readonly options: RecordOptions;
    }
  | {
      readonly type: "controlRecording";
      readonly session: number;
      /** The `id` of the record request. */
      readonly recording: number;
      readonly action: "stopped" | "digit" | "pause" | "resume";
    }
  /** Joins two sessions, in place of the bridges that they are in. */
  | {
      readonly type: "bridge";
      readonly id: number;
      readonly session: number;
      /** The other one, in the same worker; else `port` leads to it. */
      readonly other?: number | undefined;
      readonly port?: MessagePort | undefined;
    }
  | {
      readonly type: "unbridge";
      readonly session: number;
      /** The `id` of the bridge request. */
      readonly bridge: number;
    }
  | {
      readonly type: "stream";
      readonly id: number;
      readonly session: number;
      readonly options: StreamOptions;
      /** One 32-bit integer: how many frames the main thread has fetched. */
      readonly fetched: SharedArrayBuffer;
    }
  | {
      readonly type: "streamAudio";
      readonly session: number;
      /** The `id` of the stream request; a stream is stopped like a playback of that number. */
      readonly stream: number;
      readonly data: Uint8Array;
    }
  | { readonly type: "streamClear"; readonly session: number; readonly stream: number }
  | {
      readonly type: "streamMark";
      readonly session: number;
      readonly stream: number;
      readonly mark: number;
    }
  | { readonly type: "statistics"; readonly id: number; readonly session: number }
  | { readonly type: "close"; readonly id: number; readonly session: number }
  /** Closes all sessions; the worker ends by itself then. */
  | { readonly type: "shutdown" };

/** The fields of MediaError that cross. */
export interface TransferredError {
  readonly message: string;
  readonly rule: string | undefined;
  readonly statusHint: number;
}

/** RecordingResult as it crosses. */
export interface TransferredRecording {
  readonly reason: RecordingEnd;
  readonly seconds: number;
  readonly bytes: number;
  readonly data: Uint8Array | undefined;
  readonly error: TransferredError | undefined;
}

/** One frame of what a peer says. */
export interface StreamFrameMessage {
  readonly type: "streamFrame";
  readonly session: number;
  readonly stream: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "reply"; readonly id: number; readonly result: WorkerReply }
  | { readonly type: "failure"; readonly id: number; readonly error: TransferredError }
  | {
      readonly type: "playbackDone";
      readonly session: number;
      readonly playback: number;
      readonly result: PlaybackResult;
    }
  | {
      readonly type: "digit";
      readonly session: number;
      readonly digit: string;
      readonly duration: number;
      readonly method: "rfc4733" | "inband";
    }
  | {
      readonly type: "recordingDone";
      readonly session: number;
      readonly recording: number;
      readonly result: TransferredRecording;
    }
  /** A key of the leg that the session is joined to went out as an event. */
  | { readonly type: "keyPassed"; readonly session: number; readonly digit: string }
  | {
      readonly type: "bridgeEnded";
      readonly session: number;
      readonly bridge: number;
      readonly reason: "stopped" | "replaced" | "closed" | "failed";
    }
  /** Of all calls that had one in this turn. */
  | { readonly type: "streamFrames"; readonly frames: readonly StreamFrameMessage[] }
  | {
      readonly type: "streamMark";
      readonly session: number;
      readonly stream: number;
      readonly mark: number;
      readonly milliseconds: number;
    }
  | { readonly type: "mediaTimeout"; readonly session: number }
  | { readonly type: "error"; readonly session: number; readonly text: string }
  | { readonly type: "log"; readonly level: "debug" | "warn"; readonly text: string };

/** What a request gives: port and codecs of `open`, the statistics of `close` and `statistics`, nothing else. */
export interface WorkerReply {
  readonly port?: number | undefined;
  /** Codecs of the request that cannot be used here, and must not be negotiated. */
  readonly unusable?: readonly string[] | undefined;
  readonly statistics?: MediaStatistics | undefined;
}
