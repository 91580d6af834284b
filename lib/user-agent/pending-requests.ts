/**
 * Requests of peers that wait for an answer of the application (contract §4.6 "Pending requests"): the first answer
 * counts, a later one learns `no-request`, and when time is over the stack answers itself.
 */
import {
  errorText,
  randomToken,
  type Clock,
  type Logger,
  type RandomSource,
  type Timer,
} from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import type {
  AcceptRequestOptions,
  ActionOutcome,
  HoldOptions,
  PendingRequest,
  RejectOptions,
} from "../session/index.js";
import type { RequestPolicy } from "./events.js";

/** Requests held at once; what comes above is answered by the stack. */
const MOST_PENDING = 5_000;
/** Contract §4.6: `answerWithin` at most. */
const LONGEST_HOLD_MS = 20_000;
const HANDLE_LENGTH = 26;

const ANSWERED_BEFORE: ActionOutcome = { ok: false, cause: "no-request", statusCode: 0 };

export interface PendingRequestsOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  policy(): RequestPolicy | undefined;
}

export class PendingRequests {
  readonly #options: PendingRequestsOptions;
  readonly #held = new Map<string, HeldRequest>();

  constructor(options: PendingRequestsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#held.size;
  }

  /** @returns undefined when nobody holds the request: its fallback ran. */
  hold(options: HoldOptions): PendingRequest | undefined {
    const { request, eventName, session, account, atLeastMs = 0, always = false } = options;
    const asked = this.#ask(eventName, request, session?.id, account?.id);
    const listened = always || asked.listened;
    const holdMs = always || asked.holdMs > 0 ? Math.max(asked.holdMs, atLeastMs) : 0;
    if (!listened || !(holdMs > 0) || this.#held.size >= MOST_PENDING) {
      options.fallback(listened);
      return undefined;
    }
    const { clock, random, logger } = this.#options;
    const handle = randomToken(random, HANDLE_LENGTH);
    const held = new HeldRequest(handle, options, logger, () => this.#held.delete(handle));
    this.#held.set(handle, held);
    held.startTimer(clock, Math.min(holdMs, LONGEST_HOLD_MS));
    return held;
  }

  get(handle: string): PendingRequest | undefined {
    return this.#held.get(handle);
  }

  /** Answers what still waits as if its time were over. */
  close(): void {
    for (const held of [...this.#held.values()]) held.expire();
  }

  /** Policies come from the application: a failing one listens to nothing. */
  #ask(...question: Parameters<RequestPolicy>): ReturnType<RequestPolicy> {
    try {
      return this.#options.policy()?.(...question) ?? { listened: false, holdMs: 0 };
    } catch (error) {
      this.#options.logger.error(`The request policy failed: ${errorText(error)}`);
      return { listened: false, holdMs: 0 };
    }
  }
}

class HeldRequest implements PendingRequest {
  readonly #options: HoldOptions;
  readonly #logger: Logger;
  readonly #release: () => void;
  #timer: Timer | undefined;
  #pending = true;

  constructor(
    readonly handle: string,
    options: HoldOptions,
    logger: Logger,
    release: () => void,
  ) {
    this.#options = options;
    this.#logger = logger;
    this.#release = release;
  }

  get request(): SipRequest {
    return this.#options.request;
  }

  get method(): string {
    return this.#options.request.method;
  }

  get pending(): boolean {
    return this.#pending;
  }

  startTimer(clock: Clock, holdMs: number): void {
    this.#timer = clock.setTimer(holdMs, () => this.expire());
  }

  async accept(options: AcceptRequestOptions = {}): Promise<ActionOutcome> {
    if (this.#pending) this.#options.check?.(options);
    return this.#answer(() => this.#options.accept(options));
  }

  reject(options: RejectOptions = {}): Promise<ActionOutcome> {
    return this.#answer(() => this.#options.reject(options));
  }

  async #answer(answer: () => Promise<ActionOutcome>): Promise<ActionOutcome> {
    if (!this.#take()) return ANSWERED_BEFORE;
    try {
      return await answer();
    } catch (error) {
      // A mistake of the application (a status out of range) is no reason to leave the peer without an answer.
      this.#fallback();
      throw error;
    }
  }

  expire(): void {
    if (this.#take()) this.#fallback();
  }

  #fallback(): void {
    try {
      this.#options.fallback(true);
    } catch (error) {
      this.#logger.error(`The default answer to ${this.method} failed: ${errorText(error)}`);
    }
  }

  /** @returns true for the one answer that counts. */
  #take(): boolean {
    if (!this.#pending) return false;
    this.#pending = false;
    this.#timer?.cancel();
    this.#release();
    return true;
  }
}
