/** One session of the embedded handler on the main thread: negotiation here, sound in the worker. */
import { MediaError } from "../foundation/index.js";
import type { Logger, RandomSource } from "../foundation/index.js";
import { Negotiator } from "../sdp/index.js";
import type { Capabilities, SdpCache, SrtpMode } from "../sdp/index.js";
import type {
  AudioControl,
  HoldState,
  MaybePromise,
  MediaDescription,
  MediaDirection,
  MediaSession,
  MediaSessionContext,
  MediaStatistics,
} from "../session/media-handler.js";
import { EmbeddedAudio } from "./embedded-audio.js";
import {
  holdStateOf,
  makeOffer,
  mediaDescriptions,
  originSessionId,
  streamSecurity,
  streamSettings,
  type OfferOptions,
} from "./negotiated-media.js";
import type { SessionMessage, WorkerClient } from "./worker-client.js";

export interface EmbeddedSessionOptions {
  readonly context: MediaSessionContext;
  readonly worker: WorkerClient;
  readonly capabilities: Capabilities;
  /** What is left of `capabilities` without the codecs of these names; the same object for the same names. */
  readonly usableCodecs: (unusable: readonly string[]) => Capabilities;
  readonly cache: SdpCache;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly bindAddress: string;
  readonly describedAddress: string;
  readonly portMin: number;
  readonly portMax: number;
  readonly mediaTimeout: number;
  readonly srtp: SrtpMode;
  readonly onClosed: (session: EmbeddedMediaSession) => void;
}

export class EmbeddedMediaSession implements MediaSession {
  readonly #options: EmbeddedSessionOptions;
  readonly #number: number;
  readonly #negotiator: Negotiator;
  readonly #audio: EmbeddedAudio;
  /** The worker's sockets: none, asked for, or there. */
  #opening: Promise<void> | undefined;
  #isOpen = false;
  #started = false;
  #suspended = false;
  #closing: Promise<MediaStatistics | undefined> | undefined;

  constructor(options: EmbeddedSessionOptions) {
    this.#options = options;
    this.#number = options.worker.nextNumber();
    this.#negotiator = new Negotiator({
      capabilities: options.capabilities,
      cache: options.cache,
      sessionId: originSessionId(options.random),
      address: options.describedAddress,
      port: 0,
      security: streamSecurity(options.srtp, options.random),
    });
    this.#audio = new EmbeddedAudio({
      worker: options.worker,
      session: this.#number,
      stream: () => (this.#closing || this.#suspended ? undefined : this.#negotiator.stream),
    });
  }

  offer(options: OfferOptions = {}): MaybePromise<string> {
    return this.#whenOpen(() => makeOffer(this.#negotiator, options));
  }

  answer(
    offer: string,
    options: { readonly direction?: MediaDirection } = {},
  ): MaybePromise<string> {
    return this.#whenOpen(() => {
      const answer = this.#negotiator.answer(offer, options.direction);
      this.#configure();
      return answer;
    });
  }

  acceptAnswer(answer: string, options?: { readonly early?: boolean }): MaybePromise<void> {
    this.#negotiator.accept(answer, options?.early ?? false);
    this.#configure();
  }

  rollback(): void {
    this.#negotiator.rollback();
    this.#configure();
  }

  start(): void {
    this.#negotiator.commit();
    if (this.#started) return;
    this.#started = true;
    this.#configure();
  }

  suspend(suspended: boolean): void {
    if (suspended === this.#suspended) return;
    this.#suspended = suspended;
    this.#configure();
  }

  get media(): readonly MediaDescription[] {
    return mediaDescriptions(this.#negotiator.stream);
  }

  get hold(): HoldState {
    return holdStateOf(this.#negotiator.hold);
  }

  get localSdp(): string | undefined {
    return this.#negotiator.localSdp;
  }

  get remoteSdp(): string | undefined {
    return this.#negotiator.remoteSdp;
  }

  get audio(): AudioControl {
    return this.#audio;
  }

  /** Rejects when the worker is lost. */
  async readStatistics(): Promise<MediaStatistics | undefined> {
    if (!this.#isOpen || this.#closing !== undefined) return undefined;
    const { worker } = this.#options;
    const reply = await worker.request({ type: "statistics", session: this.#number });
    return reply.statistics;
  }

  /** Idempotent: further calls get the result of the first. */
  close(): Promise<MediaStatistics | undefined> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<MediaStatistics | undefined> {
    this.#negotiator.close();
    const { worker } = this.#options;
    let statistics: MediaStatistics | undefined;
    try {
      await this.#opening;
      if (this.#isOpen) {
        const reply = await worker.request({ type: "close", session: this.#number });
        statistics = reply.statistics;
      }
    } catch {
      // Ports that could not be opened, or a worker that died, leave nothing to close.
    }
    worker.unlisten(this.#number);
    this.#audio.end("stopped");
    this.#options.onClosed(this);
    return statistics;
  }

  /** Runs `work` now when the ports are open, else as soon as they are. */
  #whenOpen<T>(work: () => T): MaybePromise<T> {
    if (this.#closing) throw closedError();
    if (this.#isOpen) return work();
    this.#opening ??= this.#open();
    return this.#opening.then(() => {
      if (this.#closing) throw closedError();
      return work();
    });
  }

  async #open(): Promise<void> {
    const { worker, bindAddress, describedAddress, portMin, portMax, mediaTimeout } = this.#options;
    worker.listen(this.#number, {
      onMessage: (message) => this.#receive(message),
      onLost: (error) => this.#lost(error),
    });
    try {
      const { port, unusable = [] } = await worker.request({
        type: "open",
        session: this.#number,
        address: bindAddress,
        portMin,
        portMax,
        codecs: this.#options.capabilities.codecs.map(({ name }) => name),
        mediaTimeout,
      });
      this.#negotiator.moveTo(describedAddress, port ?? 0);
      this.#negotiator.limitTo(this.#options.usableCodecs(unusable));
      this.#isOpen = true;
    } catch (error) {
      worker.unlisten(this.#number);
      // The next offer or answer tries again.
      this.#opening = undefined;
      throw error;
    }
  }

  #configure(): void {
    if (!this.#isOpen || this.#closing) return;
    const stream = this.#suspended ? undefined : this.#negotiator.stream;
    this.#options.worker.post({
      type: "configure",
      session: this.#number,
      settings: stream && streamSettings(stream, this.#options.context.remoteAddress),
      started: this.#started,
    });
  }

  #receive(message: SessionMessage): void {
    const { events } = this.#options.context;
    switch (message.type) {
      case "playbackDone":
        this.#audio.playbackDone(message.playback, message.result);
        break;
      case "keyPassed":
        this.#audio.keyPassed(message.digit);
        break;
      case "bridgeEnded":
        this.#audio.bridgeEnded(message.bridge, message.reason);
        break;
      case "recordingDone":
        this.#audio.recordingDone(message.recording, message.result);
        break;
      case "streamFrame":
        this.#tell(() => this.#audio.streams.frame(message));
        break;
      case "streamMark":
        this.#audio.streams.marked(message.stream, message.mark, message.milliseconds);
        break;
      case "digit":
        this.#tell(() =>
          events.onDigit({
            digit: message.digit,
            method: message.method,
            duration: message.duration,
          }),
        );
        break;
      case "mediaTimeout":
        this.#tell(() => events.onMediaTimeout());
        break;
      case "error":
        this.#tell(() => events.onError(new MediaError(message.text)));
        break;
    }
  }

  /** The call goes on without sound; its next offer or answer opens new ports. */
  #lost(error: MediaError): void {
    this.#isOpen = false;
    this.#opening = undefined;
    this.#audio.end("failed");
    if (!this.#closing) this.#tell(() => this.#options.context.events.onError(error));
  }

  /** A listener that throws must not reach the worker's other sessions. */
  #tell(call: () => void): void {
    if (this.#closing) return;
    try {
      call();
    } catch (error) {
      this.#options.logger.error(`A listener of media events failed: ${String(error)}`);
    }
  }
}

function closedError(): MediaError {
  return new MediaError("The media session is closed", { rule: "no-session", statusHint: 487 });
}
