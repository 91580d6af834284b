/** The sessions of one worker: carries out the main thread's messages and reports back. */
import { errorText, MediaError } from "../../foundation/index.js";
import type { Clock, RandomSource } from "../../foundation/index.js";
import { openSource } from "../audio/open-source.js";
import { loadCodecs } from "../codec/codecs.js";
import { PacketTicker } from "./packet-ticker.js";
import { PortAllocator } from "./port-allocator.js";
import { RtpSession } from "./rtp-session.js";
import { WorkerBridges } from "./worker-bridges.js";
import { WorkerRecordings } from "./worker-recordings.js";
import { WorkerStreams } from "./worker-streams.js";
import type { FromWorker, OpenRequest, ToWorker, WorkerReply } from "./worker-protocol.js";

export interface WorkerSessionsOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** To the main thread; `transfer` moves with it. */
  readonly send: (message: FromWorker, transfer?: readonly ArrayBuffer[]) => void;
}

/** How long the end of a call waits for its recordings; what is written later is written, but no longer reported. */
const RECORDING_WAIT_MS = 1_000;

export class WorkerSessions {
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #send: WorkerSessionsOptions["send"];
  readonly #sessions = new Map<number, RtpSession>();
  /** Sessions that are open or being opened, and what their request gives. */
  readonly #opening = new Map<number, Promise<WorkerReply>>();
  readonly #ports: PortAllocator;
  /** Codecs that could not be loaded. */
  readonly #reported = new Set<string>();
  readonly #ticker: PacketTicker;
  /** One function for all sessions. */
  readonly #onTurn = (nowMs: number): void => this.#ticker.poll(nowMs);
  readonly #recordings: WorkerRecordings;
  readonly #bridges: WorkerBridges;
  readonly #streams: WorkerStreams;

  constructor(options: WorkerSessionsOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#send = options.send;
    this.#ports = new PortAllocator(options.random);
    this.#ticker = new PacketTicker(options.clock);
    this.#recordings = new WorkerRecordings(options.send);
    this.#bridges = new WorkerBridges(options.send, (session) => this.#sessions.get(session));
    this.#streams = new WorkerStreams(options.send);
  }

  /** Never throws; a request is answered with its reply or its failure. */
  receive(message: Exclude<ToWorker, { type: "shutdown" }>): void {
    switch (message.type) {
      case "load":
        void this.#load(message.codecs);
        break;
      case "open":
        this.#answer(message.id, this.#openOnce(message));
        break;
      case "configure":
        this.#sessions.get(message.session)?.configure(message.settings, message.started);
        break;
      case "play":
        this.#answer(message.id, this.#play(message));
        break;
      case "control":
        this.#control(message);
        break;
      case "digits":
        this.#digits(message);
        break;
      case "record":
        this.#answer(message.id, this.#record(message));
        break;
      case "controlRecording":
        this.#recordings.control(message);
        break;
      case "bridge":
        this.#answer(message.id, this.#bridge(message));
        break;
      case "unbridge":
        this.#bridges.stop(message.session, message.bridge);
        break;
      case "stream":
        this.#answer(message.id, this.#stream(message));
        break;
      case "streamAudio":
      case "streamClear":
      case "streamMark":
        this.#streams.receive(message);
        break;
      case "statistics": {
        const statistics = this.#sessions.get(message.session)?.statistics;
        this.#send({ type: "reply", id: message.id, result: { statistics } });
        break;
      }
      case "close":
        this.#answer(message.id, this.#close(message.session));
        break;
    }
  }

  /** Resolves when every port is free. */
  async shutdown(): Promise<void> {
    await Promise.all([...this.#opening.keys()].map((session) => this.#close(session)));
  }

  #answer(id: number, work: Promise<WorkerReply>): void {
    work.then(
      (result) => this.#send({ type: "reply", id, result }),
      (error: unknown) => this.#fail(id, error),
    );
  }

  #fail(id: number, error: unknown): void {
    const media = error instanceof MediaError ? error : undefined;
    this.#send({
      type: "failure",
      id,
      error: {
        message: errorText(error),
        rule: media?.rule,
        statusHint: media?.statusHint ?? 500,
      },
    });
  }

  /** A number stands for one pair of ports, however often it is asked for. */
  #openOnce(request: OpenRequest): Promise<WorkerReply> {
    const { session } = request;
    const known = this.#opening.get(session);
    if (known !== undefined) return known;
    const opening = this.#open(request).catch((error: unknown) => {
      this.#opening.delete(session);
      throw error;
    });
    this.#opening.set(session, opening);
    return opening;
  }

  async #open(request: OpenRequest): Promise<WorkerReply> {
    const { session } = request;
    const unusable = await this.#load(request.codecs);
    const sockets = await this.#ports.open(request.address, {
      min: request.portMin,
      max: request.portMax,
    });
    if (sockets.address !== request.address) {
      this.#send({
        type: "log",
        level: "warn",
        text: `RTP: ${request.address} is not an address of this machine, listening on ${sockets.address}`,
      });
    }
    const rtp = new RtpSession({
      sockets,
      clock: this.#clock,
      random: this.#random,
      mediaTimeoutMs: request.mediaTimeout,
      onTurn: this.#onTurn,
      events: {
        onDigit: (digit, duration, method) =>
          this.#send({ type: "digit", session, digit, duration, method }),
        onPlaybackDone: (playback, result) =>
          this.#send({ type: "playbackDone", session, playback, result }),
        onDigitsSent: (id, sent) => {
          if (sent) this.#send({ type: "reply", id, result: {} });
          else this.#fail(id, ended());
        },
        onKeyPassed: (digit) => this.#send({ type: "keyPassed", session, digit }),
        onMediaTimeout: () => this.#send({ type: "mediaTimeout", session }),
        onError: (text) => this.#send({ type: "error", session, text }),
      },
    });
    this.#sessions.set(session, rtp);
    this.#ticker.add(rtp);
    return { port: rtp.port, unusable };
  }

  async #play(message: Extract<ToWorker, { type: "play" }>): Promise<WorkerReply> {
    const { session, id, options } = message;
    const lineRate = this.#sessions.get(session)?.lineRate;
    if (lineRate === undefined) throw ended();
    const source = await openSource(message.source, options.loop ?? false, lineRate);
    // The call may have ended while the file was opened.
    const rtp = this.#sessions.get(session);
    if (rtp === undefined) {
      source.close();
      throw ended();
    }
    rtp.play({
      id,
      source,
      background: options.background ?? false,
      settle: options.settle ?? 0,
    });
    return {};
  }

  async #record(message: Extract<ToWorker, { type: "record" }>): Promise<WorkerReply> {
    if (!this.#sessions.has(message.session)) throw ended();
    await this.#recordings.start(message, () => this.#sessions.get(message.session));
    return {};
  }

  #bridge(message: Extract<ToWorker, { type: "bridge" }>): Promise<WorkerReply> {
    return new Promise((resolve) => {
      this.#bridges.join(message);
      resolve({});
    });
  }

  /** Takes effect at once: sound that is sent in the same turn comes after it. */
  #stream(message: Extract<ToWorker, { type: "stream" }>): Promise<WorkerReply> {
    const rtp = this.#sessions.get(message.session);
    if (rtp === undefined) return Promise.reject(ended());
    this.#streams.start(message, rtp);
    return Promise.resolve({});
  }

  /** @returns the names of those that cannot be used; each is logged once. */
  async #load(names: readonly string[]): Promise<readonly string[]> {
    const unusable = await loadCodecs(names);
    for (const { name, reason } of unusable) {
      if (this.#reported.has(name)) continue;
      this.#reported.add(name);
      this.#send({
        type: "log",
        level: "warn",
        text: `The codec ${name} could not be loaded and is left out of calls: ${reason}`,
      });
    }
    return unusable.map(({ name }) => name);
  }

  #control(message: Extract<ToWorker, { type: "control" }>): void {
    const rtp = this.#sessions.get(message.session);
    if (message.action === "stop") rtp?.stop(message.playback);
    else rtp?.pause(message.playback, message.action === "pause");
  }

  #digits(message: Extract<ToWorker, { type: "digits" }>): void {
    const rtp = this.#sessions.get(message.session);
    if (rtp === undefined) {
      this.#fail(message.id, ended());
    } else if (!rtp.sendDigits(message)) {
      this.#fail(
        message.id,
        new MediaError("Too many digits wait to be sent", { rule: "limit", statusHint: 503 }),
      );
    }
  }

  async #close(session: number): Promise<WorkerReply> {
    const opening = this.#opening.get(session);
    this.#opening.delete(session);
    if (!this.#sessions.has(session)) await opening?.catch(() => undefined);
    const rtp = this.#sessions.get(session);
    if (rtp === undefined) return {};
    this.#bridges.close(session);
    this.#sessions.delete(session);
    this.#ticker.remove(rtp);
    // The ports are free first: a disk that hangs must hold back neither them nor the end of the call for long.
    const written = this.#recordings.close(session);
    const statistics = await rtp.close();
    await this.#atMost(RECORDING_WAIT_MS, written);
    return { statistics };
  }

  #atMost(milliseconds: number, work: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(milliseconds, resolve);
      void work.finally(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

function ended(): MediaError {
  return new MediaError("The call has ended", { rule: "no-session" });
}
