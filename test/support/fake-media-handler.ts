/** Media for session tests: descriptions are words, answers come now or when the test says so, closes are counted. */
import { MediaError } from "../../lib/foundation/index.js";
import type {
  AudioControl,
  HoldState,
  MaybePromise,
  MediaDescription,
  MediaDirection,
  MediaHandler,
  MediaSession,
  MediaSessionContext,
  MediaStatistics,
} from "../../lib/session/index.js";

const STREAM: MediaDescription = {
  kind: "audio",
  codec: "PCMU",
  clockRate: 8000,
  direction: "sendrecv",
  address: "192.0.2.9",
  port: 4000,
  dtmf: "rfc4733",
};

export class FakeMediaHandler implements MediaHandler {
  readonly contentType = "application/sdp";
  readonly sessions: FakeMediaSession[] = [];
  /** Answers come only when `settle` is called. */
  deferred = false;
  /** What `createSession` throws. */
  failure: Error | undefined;
  /** What `answer` throws. */
  answerFailure: Error | undefined;
  withAudio = true;
  #waiting: (() => void)[] = [];

  createSession(context: MediaSessionContext): MediaSession {
    if (this.failure) throw this.failure;
    const session = new FakeMediaSession(this, context);
    this.sessions.push(session);
    return session;
  }

  close(): void {
    this.#waiting = [];
  }

  /** Lets everything that was asked for come. */
  settle(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const release of waiting) release();
  }

  get last(): FakeMediaSession {
    const last = this.sessions.at(-1);
    if (last === undefined) throw new Error("No media session was made");
    return last;
  }

  later<T>(make: () => T): MaybePromise<T> {
    if (!this.deferred) return make();
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(make());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }
}

/**
 * An SDP that holds the word `bad` is refused with 488, `broken` is refused as malformed; `sendonly` and `inactive`
 * mean that the peer holds.
 */
export class FakeMediaSession implements MediaSession {
  readonly log: string[] = [];
  readonly audio: FakeAudio | undefined;
  media: readonly MediaDescription[] = [];
  hold: HoldState = "none";
  localSdp: string | undefined;
  remoteSdp: string | undefined;
  closes = 0;
  starts = 0;
  /** What `close` gives. */
  statistics: MediaStatistics | undefined;
  /** What `close` fails with. */
  closeError: Error | undefined;
  #offers = 0;
  #wanted: MediaDirection = "sendrecv";
  #before: { media: readonly MediaDescription[]; hold: HoldState; wanted: MediaDirection } = {
    media: [],
    hold: "none",
    wanted: "sendrecv",
  };

  constructor(
    readonly handler: FakeMediaHandler,
    readonly context: MediaSessionContext,
  ) {
    this.audio = handler.withAudio ? new FakeAudio() : undefined;
  }

  offer(
    options: { readonly direction?: MediaDirection; readonly repeat?: boolean } = {},
  ): MaybePromise<string> {
    this.log.push(options.repeat === true ? "offer again" : "offer");
    return this.handler.later(() => {
      this.#keep();
      if (options.repeat === true) return this.localSdp ?? "";
      this.#wanted = options.direction ?? this.#wanted;
      this.localSdp = `v=0 offer ${++this.#offers} ${this.#wanted}`;
      return this.localSdp;
    });
  }

  answer(
    offer: string,
    options: { readonly direction?: MediaDirection } = {},
  ): MaybePromise<string> {
    this.log.push(`answer(${offer})`);
    if (this.handler.answerFailure) throw this.handler.answerFailure;
    return this.handler.later(() => {
      this.#keep();
      this.#wanted = options.direction ?? this.#wanted;
      this.#take(offer);
      this.localSdp = `v=0 answer to ${offer}`;
      return this.localSdp;
    });
  }

  acceptAnswer(answer: string, options?: { readonly early?: boolean }): MaybePromise<void> {
    this.log.push(`${options?.early === true ? "early" : "final"}(${answer})`);
    return this.handler.later(() => this.#take(answer));
  }

  rollback(): void {
    this.log.push("rollback");
    this.media = this.#before.media;
    this.hold = this.#before.hold;
    this.#wanted = this.#before.wanted;
  }

  start(): void {
    this.starts++;
    if (this.audio) this.audio.ready = true;
  }

  close(): MaybePromise<MediaStatistics | undefined> {
    this.closes++;
    this.log.push("close");
    return this.closeError === undefined ? this.statistics : Promise.reject(this.closeError);
  }

  #keep(): void {
    this.#before = { media: this.media, hold: this.hold, wanted: this.#wanted };
  }

  #take(sdp: string): void {
    if (sdp.includes("broken")) throw new MediaError("No SDP", { statusHint: 400 });
    if (sdp.includes("bad")) throw new MediaError("Nothing in common");
    this.remoteSdp = sdp;
    const held = sdp.includes("sendonly") || sdp.includes("inactive");
    if (this.#wanted === "sendrecv") this.hold = held ? "remote" : "none";
    else this.hold = held ? "both" : "local";
    this.media = [{ ...STREAM, dtmf: sdp.includes("no-events") ? "none" : "rfc4733" }];
  }
}

export class FakeAudio implements AudioControl {
  ready = false;
  readonly digits: string[] = [];
  /** Digits are sent when the test calls this. */
  release: (() => void) | undefined;
  deferred = false;

  play(): Promise<never> {
    return Promise.reject(new MediaError("Nothing to play with"));
  }

  record(): Promise<never> {
    return Promise.reject(new MediaError("Nothing to record with"));
  }

  bridge(): Promise<never> {
    return Promise.reject(new MediaError("Nothing to join"));
  }

  stream(): Promise<never> {
    return Promise.reject(new MediaError("Nothing to stream with"));
  }

  sendDigits(digits: string, options: { readonly method: string }): Promise<void> {
    this.digits.push(`${options.method}:${digits}`);
    if (!this.deferred) return Promise.resolve();
    return new Promise((resolve) => (this.release = resolve));
  }
}
