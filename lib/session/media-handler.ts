/**
 * The media port: the session room asks it for descriptions and hands it the peer's; lib/media implements it.
 * A stack with `media: none` has no handler, and the flow supplies the SDP.
 */

/** A value now or later. A handler that can answer at once does, so that a call needs no extra turn. */
export type MaybePromise<T> = T | Promise<T>;

export type MediaDirection = "sendrecv" | "sendonly" | "recvonly" | "inactive";
export type HoldState = "none" | "local" | "remote" | "both";

/** One negotiated stream as the flow sees it (`msg.sip.media`). */
export interface MediaDescription {
  readonly kind: string;
  readonly codec: string;
  readonly clockRate: number;
  /** From our side. */
  readonly direction: MediaDirection;
  /** The peer's address and port. */
  readonly address: string;
  readonly port: number;
  /** How digits can be sent. */
  readonly dtmf: "rfc4733" | "none";
  /** The cipher suite of SRTP; absent = the stream is not encrypted. */
  readonly srtp?: string | undefined;
}

export interface DigitEvent {
  readonly digit: string;
  readonly method: "rfc4733" | "info-relay" | "info-dtmf" | "inband";
  /** Milliseconds, 0 when unknown. */
  readonly duration: number;
}

/** The session as its listener; all called from the main thread, in a turn of their own. */
export interface MediaSessionEvents {
  onDigit(event: DigitEvent): void;
  /** Nothing was received for the configured time although the peer should send. */
  onMediaTimeout(): void;
  onError(error: Error): void;
}

export interface MediaSessionContext {
  /** Session handle, for logs and metrics. */
  readonly sessionId: string;
  /** Handle of the session that this one is likely to be joined with, so that both can be kept in one place. */
  readonly near?: string | undefined;
  /** Local address of the signalling flow, the default for the RTP address. */
  readonly localAddress: string;
  /** Address of the peer's signalling, hint for the first packets. */
  readonly remoteAddress: string;
  readonly events: MediaSessionEvents;
}

export interface MediaHandler {
  createSession(context: MediaSessionContext): MediaSession;
  /** Types that it takes as a body, for Accept and 415. */
  readonly contentType: string;
  start?(): MaybePromise<void>;
  /** Frees everything; sessions still open are closed. */
  close(): MaybePromise<void>;
}

/**
 * The media of one session. Negotiation follows RFC 3264; one exchange at a time, in order:
 * offer→acceptAnswer, or answer. A refused exchange is rolled back.
 */
export interface MediaSession {
  /**
   * Our offer (SDP text). A later offer keeps what is negotiated, with `direction` changed if given: what our side
   * wants from now on; where the peer holds, less may be offered. `repeat`: nothing is to change, so the last
   * description is offered as it was, version included (RFC 3264 §8).
   */
  offer(options?: {
    readonly direction?: MediaDirection;
    readonly repeat?: boolean;
  }): MaybePromise<string>;
  /**
   * The peer's offer → our answer. Rejects or throws MediaError with `statusHint` 488 when nothing fits; then
   * nothing has changed. Until `commit` a later `rollback` restores the previous state. With the rule `declined` the
   * application is asked for the answer, where the protocol gives it the time. `direction` as in `offer`.
   */
  answer(offer: string, options?: { readonly direction?: MediaDirection }): MaybePromise<string>;
  /**
   * The peer's answer to our last offer. Called again with another answer when a forked branch answers: the last
   * call wins. Throws MediaError when the answer does not fit the offer (RFC 3264 §6).
   */
  acceptAnswer(answer: string, options?: { readonly early?: boolean }): MaybePromise<void>;
  /** The exchange in progress was refused: back to the previous negotiated state. */
  rollback(): void;
  /** Sound may flow: after the 200/183 with SDP went out or came in. Idempotent. */
  start(): void;
  /**
   * The media flows past us (RFC 3725), by descriptions that others have made: nothing is sent, heard or answered
   * until it comes back. Absent = the handler cannot tell.
   */
  suspend?(suspended: boolean): void;
  /** Negotiated streams; empty before the first answer. */
  readonly media: readonly MediaDescription[];
  readonly hold: HoldState;
  readonly localSdp: string | undefined;
  readonly remoteSdp: string | undefined;
  /** Sound; undefined in handlers that carry none. */
  readonly audio: AudioControl | undefined;
  /** What was counted so far. Absent = the handler tells only at the end; undefined = there is nothing to count. */
  readStatistics?(): MaybePromise<MediaStatistics | undefined>;
  close(): MaybePromise<MediaStatistics | undefined>;
}

export interface MediaStatistics {
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  /** Milliseconds. */
  readonly jitter: number;
  /** Milliseconds, undefined when no report came. */
  readonly roundTrip?: number | undefined;
  /** Milliseconds of sound that were made up for what was lost or late; 0 where nobody had to hear the peer. */
  readonly concealed?: number | undefined;
  /** With SRTP: packets that were not authentic, or came twice, or from elsewhere. */
  readonly packetsRejected?: number | undefined;
}

export type AudioSource =
  | SingleAudioSource
  /** One after the other without a gap; `loop` repeats them all. */
  | { readonly kind: "list"; readonly sources: readonly SingleAudioSource[] };

export type SingleAudioSource =
  | { readonly kind: "file"; readonly path: string }
  | {
      readonly kind: "buffer";
      readonly data: Buffer;
      /** Without them the data is a file: WAV, MP3 or Ogg Opus; with them raw samples. */
      readonly format?: "pcm16" | "mulaw" | "alaw" | undefined;
      readonly sampleRate?: number | undefined;
    }
  /** `ring` `busy` `beep` `silence` `dial` …, by country `ring/uk`, so many milliseconds `silence/500`. */
  | { readonly kind: "tone"; readonly name: string };

export interface PlayOptions {
  /** true = for ever, a number = that many times. Default false = once. */
  readonly loop?: boolean | number | undefined;
  /** One foreground and one background source at a time; a newer one stops the older of its kind. */
  readonly background?: boolean | undefined;
  /** Milliseconds of silence before the first sample. */
  readonly settle?: number | undefined;
}

export interface Playback {
  /** Resolves once, never rejects after `play` has succeeded. `completed` = after the last packet was sent. */
  readonly done: Promise<"completed" | "stopped" | "failed">;
  stop(): void;
  pause(): void;
  resume(): void;
}

export interface RecordOptions {
  /** Absolute path of a WAV file, overwritten; its folder is made. Undefined = the recording is given as a Buffer. */
  readonly path?: string | undefined;
  /** `stereo`: left what the peer said, right what it heard. */
  readonly channels: "remote" | "mixed" | "stereo";
  /** Milliseconds that end it; 0 = no limit. */
  readonly maxDuration: number;
  /** Milliseconds of silence of the peer that end it; 0 = none do. */
  readonly silence: number;
}

/** `hangup` = the call ended; `failed` = it could not be written on, the part before is kept. */
export type RecordingEnd = "stopped" | "silence" | "digit" | "max" | "hangup" | "failed";

export interface RecordingResult {
  readonly reason: RecordingEnd;
  readonly seconds: number;
  /** Of the whole WAV. */
  readonly bytes: number;
  /** The WAV, when no path was given. */
  readonly data?: Buffer | undefined;
  readonly error?: Error | undefined;
}

export interface Recording {
  /** Resolves once, when all is written; never rejects. */
  readonly done: Promise<RecordingResult>;
  stop(reason?: "stopped" | "digit"): void;
  pause(): void;
  resume(): void;
}

/**
 * `stopped` by its own `stop`, `replaced`: a leg was joined to another, `closed`: the sound of a leg has ended, `failed`: it
 * was lost.
 */
export type AudioBridgeEnd = "stopped" | "replaced" | "closed" | "failed";

/** Two calls whose peers hear each other. */
export interface AudioBridge {
  /** Resolves once, never rejects. */
  readonly done: Promise<AudioBridgeEnd>;
  stop(): void;
}

export type StreamFormat = "pcm16" | "mulaw";

export interface StreamOptions {
  /** Both ways: mono, `pcm16` little endian. */
  readonly format: StreamFormat;
  /** Hz: 8000, 16000, 24000 or 48000. */
  readonly sampleRate: number;
  /** Milliseconds of each frame that comes, 10 to 1000, a whole number of samples. */
  readonly frame: number;
}

/** So much of what the peer says, silence included. */
export interface StreamFrame {
  /** In memory of its own. */
  readonly data: Buffer;
  /** Counts from 0; numbers are missing where this thread was busy for more than ten seconds. */
  readonly sequence: number;
  /** Milliseconds from the first frame of the stream to the beginning of this one. */
  readonly timestamp: number;
}

/** Called in turns of their own. */
export interface AudioStreamListener {
  onFrame(frame: StreamFrame): void;
}

/** Live sound both ways. Calls to a stream that is over do nothing. */
export interface AudioStream {
  /** Resolves once, never rejects: `stopped` by `stop`, a newer source, a bridge or the end of the call. */
  readonly done: Promise<"stopped" | "failed">;
  /**
   * To be said after what waits already; bytes of any number. At most 60 s wait, the oldest is dropped. The bytes may
   * be changed afterwards.
   */
  send(audio: Uint8Array): void;
  /** What was not said yet is forgotten, within one packet. */
  clear(): void;
  /**
   * Resolves when all that was sent before is on its way, was dropped or cleared, or the stream ended: with the
   * milliseconds of the stream that had been heard by then. Never rejects.
   */
  mark(): Promise<number>;
  stop(): void;
}

export interface BridgeListener {
  /** A key of the one peer goes out to the other, as a telephone event. @param to - the call that it goes out in. */
  onKey(to: AudioControl, digit: string): void;
}

export interface AudioControl {
  /** True once SDP was negotiated and sound can be sent. */
  readonly ready: boolean;
  /**
   * Rejects with MediaError, `rule` `no-media` (nothing negotiated yet), `unsupported-audio` (not decodable) or
   * `no-file` (missing, named in the text).
   */
  play(source: AudioSource, options?: PlayOptions): Promise<Playback>;
  /** RFC 4733 events or tones; resolves after the last one was sent, rejects with MediaError when impossible. */
  sendDigits(
    digits: string,
    options: {
      readonly method: "rfc4733" | "inband";
      /** Milliseconds per digit. */
      readonly duration: number;
      /** Milliseconds between digits. */
      readonly gap: number;
    },
  ): Promise<void>;
  /**
   * Records the call from now on; any number at once. Rejects with MediaError, `rule` `no-media` (nothing negotiated
   * yet) or `record-failed` (the file cannot be made).
   */
  record(options: RecordOptions): Promise<Recording>;
  /**
   * Joins this call to another of the same kind of handler: each peer hears the other wherever nothing is played to
   * it, and the keys that it presses as telephone events. What plays in either ends, and so does a bridge that either is
   * in. Rejects with MediaError, `rule` `no-media` (nothing negotiated yet), `no-bridge` (nothing that can be joined).
   */
  bridge(other: AudioControl, listener?: BridgeListener): Promise<AudioBridge>;
  /**
   * Live sound to and from the call, as its foreground source from now on; while nothing waits to be said, what it
   * covers is heard. Rejects with MediaError `no-media` (nothing negotiated yet), InvalidArgumentError for options
   * that are none.
   */
  stream(options: StreamOptions, listener: AudioStreamListener): Promise<AudioStream>;
}
