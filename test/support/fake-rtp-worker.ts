/**
 * The worker thread of the embedded media handler without a thread: answers what it is asked on a clock of the test, and does to
 * its messages what the test says. It holds no sockets; `open` tells which it would hold.
 */
import { EventEmitter } from "node:events";
import type { Worker } from "node:worker_threads";
import type { Clock } from "../../lib/foundation/index.js";
import type { FromWorker, ToWorker } from "../../lib/media/rtp/worker-protocol.js";

/** A number is a delay in milliseconds; `die`: the thread ends in place of taking or sending the message. */
export type MessageFault = "drop" | "duplicate" | "die" | number;

export interface FakeRtpWorkerOptions {
  readonly clock: Clock;
  readonly fault?: (way: "toWorker" | "fromWorker", type: string) => MessageFault | undefined;
}

const TONE_MS = 400;
const FIRST_PORT = 30_000;
const STATISTICS = { packetsSent: 1, packetsReceived: 1, packetsLost: 0, jitter: 0 };

export class FakeRtpWorker extends EventEmitter {
  readonly open = new Map<number, number>();
  readonly #options: FakeRtpWorkerOptions;
  readonly #playing = new Map<number, number>();
  readonly #recording = new Map<number, number>();
  #port = FIRST_PORT;
  #dead = false;

  constructor(options: FakeRtpWorkerOptions) {
    super();
    this.#options = options;
    this.#say({ type: "ready" });
  }

  /** As the class that it stands for; it has what WorkerClient uses of it. */
  static create(options: FakeRtpWorkerOptions): Worker & FakeRtpWorker {
    return new FakeRtpWorker(options) as unknown as Worker & FakeRtpWorker;
  }

  ref(): void {
    return;
  }

  unref(): void {
    return;
  }

  terminate(): Promise<number> {
    this.die(1);
    return Promise.resolve(1);
  }

  postMessage(message: ToWorker): void {
    this.#carry("toWorker", message.type, () => this.#receive(message));
  }

  /** Ends the thread, with everything that it holds. */
  die(code: number): void {
    if (this.#dead) return;
    this.#dead = true;
    this.open.clear();
    this.#options.clock.setTimer(0, () => this.emit("exit", code));
  }

  #carry(way: "toWorker" | "fromWorker", type: string, arrive: () => void): void {
    if (this.#dead) return;
    const fault = this.#options.fault?.(way, type);
    if (fault === "drop") return;
    if (fault === "die") {
      this.die(1);
      return;
    }
    const arriving = (): void => {
      if (!this.#dead) arrive();
    };
    const { clock } = this.#options;
    clock.setTimer(typeof fault === "number" ? fault : 1, arriving);
    if (fault === "duplicate") clock.setTimer(2, arriving);
  }

  #say(message: FromWorker): void {
    this.#carry("fromWorker", message.type, () => this.emit("message", message));
  }

  #reply(id: number, result: Record<string, unknown> = {}): void {
    this.#say({ type: "reply", id, result });
  }

  #receive(message: ToWorker): void {
    switch (message.type) {
      case "open":
        this.open.set(message.session, (this.#port += 2));
        this.#reply(message.id, { port: this.#port, unusable: [] });
        break;
      case "close":
        this.#close(message.session);
        this.#reply(message.id, { statistics: STATISTICS });
        break;
      case "play":
        this.#playing.set(message.id, message.session);
        this.#reply(message.id);
        this.#options.clock.setTimer(TONE_MS, () => this.#played(message.id, "completed"));
        break;
      case "record":
        this.#recording.set(message.id, message.session);
        this.#reply(message.id);
        break;
      case "digits": {
        const { id, digits, duration, gap } = message;
        const length = digits.length * (duration + gap);
        this.#options.clock.setTimer(length, () => this.#reply(id));
        break;
      }
      case "statistics":
        this.#reply(message.id, { statistics: STATISTICS });
        break;
      case "bridge":
      case "stream":
        this.#reply(message.id);
        break;
      case "shutdown":
        this.die(0);
        break;
      case "load":
      case "configure":
      case "control":
      case "controlRecording":
      case "unbridge":
      case "streamAudio":
      case "streamClear":
      case "streamMark":
        // Nobody waits for what comes of these.
        break;
    }
  }

  #played(id: number, result: "completed" | "stopped"): void {
    const session = this.#playing.get(id);
    if (session === undefined || this.#dead) return;
    this.#playing.delete(id);
    this.#say({ type: "playbackDone", session, playback: id, result });
  }

  #close(session: number): void {
    this.open.delete(session);
    for (const [id, of] of this.#playing) if (of === session) this.#played(id, "stopped");
    for (const [id, of] of this.#recording) {
      if (of !== session) continue;
      this.#recording.delete(id);
      const result = { reason: "hangup", seconds: 1, bytes: 0, data: undefined, error: undefined };
      this.#say({
        type: "recordingDone",
        session,
        recording: id,
        result: { ...result, reason: "hangup" },
      });
    }
  }
}
