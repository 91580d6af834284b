/**
 * The main thread's side of one RTP worker: starts it when it is first needed, pairs requests with replies, tells the
 * sessions when it was lost, and lets the process end when no call is left. worker-pool.ts has several.
 */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { MediaError } from "../foundation/index.js";
import type { Clock, Logger, Timer } from "../foundation/index.js";
import type {
  FromWorker,
  StreamFrameMessage,
  ToWorker,
  WorkerReply,
} from "./rtp/worker-protocol.js";

/** What the worker says about one session. */
export type SessionMessage = Extract<FromWorker, { session: number }> | StreamFrameMessage;

/** What a session hears from the worker. */
export interface WorkerListener {
  onMessage(message: SessionMessage): void;
  /** The worker died; sockets and playbacks of the session are gone. */
  onLost(error: MediaError): void;
}

type RequestOf<M> = M extends { readonly id: number } ? Omit<M, "id"> : never;
export type WorkerRequest = RequestOf<ToWorker>;

export interface WorkerClientOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Replaces the real thread in tests. */
  readonly createWorker?: (() => Worker) | undefined;
}

interface PendingReply {
  resolve(reply: WorkerReply): void;
  reject(error: MediaError): void;
  /** Runs out when the thread does not answer. */
  patience?: Timer | undefined;
}

/** A worker that died this often in this time is not started again until the time is over. */
const MOST_LOSSES = 5;
const LOSS_PERIOD_MS = 10_000;
/** Closing sockets takes no time; what takes longer is stuck. */
const SHUTDOWN_MS = 1_500;
/** A thread that opens or closes no session in this time hangs, and with it the sound of all its calls. */
const PATIENCE_MS = 10_000;
/** One that was asked while it started may need this on a machine with much to do. */
const STARTING_MS = 30_000;
/** When our own thread was busy, the answer is here already and is read in this time. */
const READING_MS = 1_000;

export class WorkerClient {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #createWorker: () => Worker;
  readonly #listeners = new Map<number, WorkerListener>();
  readonly #pending = new Map<number, PendingReply>();
  #worker: Worker | undefined;
  #ready: Promise<void> | undefined;
  #becomeReady: (() => void) | undefined;
  #lastNumber = 0;
  #losses: number[] = [];
  #reason: unknown;
  #closed = false;

  constructor(options: WorkerClientOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#createWorker = options.createWorker ?? createRtpWorker;
  }

  /** `starting` until the thread listens; `stopped` before the first start and after it was lost. */
  get state(): "stopped" | "starting" | "ready" {
    if (this.#worker === undefined) return "stopped";
    return this.#becomeReady === undefined ? "ready" : "starting";
  }

  /** It died so often that it is not started now. */
  get failing(): boolean {
    return this.#worker === undefined && this.#refusal() !== undefined;
  }

  /** A number that was not used before, for requests and sessions. */
  nextNumber(): number {
    return ++this.#lastNumber;
  }

  /** Starts the thread if it does not run. Resolves when it listens, or is lost again; never rejects. */
  start(): Promise<void> {
    if (this.#ready) return this.#ready;
    let worker: Worker;
    try {
      worker = this.#createWorker();
    } catch (error) {
      // The system has no thread to give.
      this.#reason = error;
      this.#lose("The RTP worker could not be started");
      return Promise.resolve();
    }
    this.#worker = worker;
    this.#ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
    worker.on("message", (message: FromWorker) => this.#receive(message));
    worker.on("error", (error) => {
      this.#reason = error;
    });
    worker.on("exit", (code) => this.#exited(worker, code));
    this.#balance();
    return this.#ready;
  }

  listen(session: number, listener: WorkerListener): void {
    this.#listeners.set(session, listener);
    this.#balance();
  }

  unlisten(session: number): void {
    this.#listeners.delete(session);
    this.#balance();
  }

  /** @throws (rejects with) MediaError: what the worker answered, or that it is lost or closed. */
  request(
    message: WorkerRequest,
    options: {
      readonly id?: number;
      readonly transfer?: readonly (ArrayBuffer | MessagePort)[];
    } = {},
  ): Promise<WorkerReply> {
    const refused = this.#refusal();
    if (refused) return Promise.reject(refused);
    const id = options.id ?? this.nextNumber();
    return new Promise((resolve, reject) => {
      const pending: PendingReply = { resolve, reject };
      this.#pending.set(id, pending);
      void this.start();
      if (message.type === "open" || message.type === "close") this.#watch(id, pending);
      this.#balance();
      this.#worker?.postMessage({ ...message, id }, options.transfer ?? []);
    });
  }

  /** Sends what needs no reply. Without a worker there is nobody who would need it. */
  post(message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  /** Ends the thread: it sends the last reports, frees its ports, and is ended by force if it does not. */
  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    worker.ref();
    const exited = new Promise<void>((resolve) => {
      worker.once("exit", () => resolve());
    });
    const timer = this.#clock.setTimer(SHUTDOWN_MS, () => void worker.terminate());
    worker.postMessage({ type: "shutdown" } satisfies ToWorker);
    await exited;
    timer.cancel();
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case "ready":
        this.#becomeReady?.();
        this.#becomeReady = undefined;
        this.#balance();
        break;
      case "reply":
        this.#settle(message.id)?.resolve(message.result);
        break;
      case "failure": {
        const { message: text, rule, statusHint } = message.error;
        this.#settle(message.id)?.reject(new MediaError(text, { rule, statusHint }));
        break;
      }
      case "log":
        this.#logger[message.level](message.text);
        break;
      case "streamFrames":
        for (const frame of message.frames) this.#listeners.get(frame.session)?.onMessage(frame);
        break;
      default:
        this.#listeners.get(message.session)?.onMessage(message);
    }
  }

  /** Opening and closing take no time. Other requests may: a file can lie on a disk that is slow. */
  #watch(id: number, pending: PendingReply): void {
    const worker = this.#worker;
    if (worker === undefined) return;
    const patience = this.state === "ready" ? PATIENCE_MS : STARTING_MS;
    pending.patience = this.#clock.setTimer(patience, () => {
      pending.patience = this.#clock.setTimer(READING_MS, () => {
        this.#clock.defer(() => {
          if (this.#pending.get(id) !== pending) return;
          this.#reason = new Error("It does not answer any more");
          void worker.terminate();
        });
      });
    });
  }

  #settle(id: number): PendingReply | undefined {
    const pending = this.#pending.get(id);
    pending?.patience?.cancel();
    this.#pending.delete(id);
    this.#balance();
    return pending;
  }

  #exited(worker: Worker, code: number): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#ready = undefined;
    this.#becomeReady?.();
    this.#becomeReady = undefined;
    this.#lose(
      this.#closed ? "The media handler was closed" : `The RTP worker ended with code ${code}`,
    );
  }

  #lose(text: string): void {
    const error = new MediaError(text, {
      cause: this.#reason,
      rule: "no-media",
      statusHint: 503,
    });
    this.#reason = undefined;
    if (!this.#closed) {
      this.#losses.push(this.#clock.now());
      this.#logger.error(`${error.message}; the sound of its calls is lost`);
    }
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const reply of pending) {
      reply.patience?.cancel();
      reply.reject(error);
    }
    for (const listener of [...this.#listeners.values()]) listener.onLost(error);
  }

  #refusal(): MediaError | undefined {
    if (this.#closed) {
      return new MediaError("The media handler is closed", { rule: "no-media", statusHint: 503 });
    }
    if (this.#worker) return undefined;
    const now = this.#clock.now();
    this.#losses = this.#losses.filter((at) => now - at < LOSS_PERIOD_MS);
    if (this.#losses.length < MOST_LOSSES) return undefined;
    return new MediaError("The RTP worker fails again and again; see the log", {
      rule: "no-media",
      statusHint: 503,
    });
  }

  /** The thread keeps the process alive while it starts and while calls or requests need it, no longer. */
  #balance(): void {
    const starting = this.#becomeReady !== undefined;
    if (starting || this.#listeners.size > 0 || this.#pending.size > 0) this.#worker?.ref();
    else this.#worker?.unref();
  }
}

/** Starts rtp/worker.js beside this file; or, when this file itself runs from source, worker.ts by the same loader. */
export function createRtpWorker(): Worker {
  const name = "sip-rtp";
  if (!__filename.endsWith(".ts")) {
    return new Worker(join(__dirname, "rtp", "worker.js"), { name, execArgv: [] });
  }
  const files = [require.resolve("tsx/cjs"), join(__dirname, "rtp", "worker.ts")];
  return new Worker(files.map((file) => `require(${JSON.stringify(file)});`).join("\n"), {
    name,
    eval: true,
    execArgv: [],
  });
}
