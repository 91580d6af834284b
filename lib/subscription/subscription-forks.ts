/**
 * The further dialogs of a SUBSCRIBE that a proxy has forked (RFC 6665 §4.1.4), for packages that allow more than one
 * (§5.4.9): each is refreshed and ended by itself, what they say is told as one state.
 */
import type { SipRequest } from "../message/index.js";
import type { ServerTransaction } from "../transaction/index.js";
import type { SubscriptionEnd, SubscriptionNotify } from "./subscription-types.js";

/** Dialogs besides the first; the NOTIFYs of more get 481. */
const MOST_FORKS = 8;

/** One of them, as far as it is known here. */
export interface Fork {
  /** `init` until its NOTIFY was taken. */
  readonly state: string;
  receiveNotify(transaction: ServerTransaction): void;
  refresh(): void;
  unsubscribe(): Promise<void>;
  close(): void;
  on(event: "notify", listener: (notify: SubscriptionNotify) => void): unknown;
  on(event: "ended", listener: (end: SubscriptionEnd) => void): unknown;
}

export interface SubscriptionForksOptions {
  /** @param onOver - Called once, when the fork has ended. */
  make(onOver: () => void): Fork;
  /** A fork has told something. */
  onNotify(notify: SubscriptionNotify): void;
  /** One that counted is gone: the merged state is another. */
  onLoss(): void;
}

export class SubscriptionForks {
  readonly #options: SubscriptionForksOptions;
  /** Those that end are among them until they have. */
  readonly #forks = new Set<Fork>();
  /** What each of those that count said last. */
  readonly #states = new Map<Fork, object | undefined>();
  /** Remote tags of this SUBSCRIBE: an ended fork does not come to life again. */
  readonly #tags = new Set<string>();
  #onIdle: (() => void) | undefined;

  constructor(options: SubscriptionForksOptions) {
    this.#options = options;
  }

  /** Forks that are up. */
  get alive(): number {
    return this.#states.size;
  }

  /** The last state of each that is up and has told one. */
  get states(): object[] {
    return [...this.#states.values()].filter((state) => state !== undefined);
  }

  mayTake({ from }: SipRequest): boolean {
    return (
      from.tag !== undefined &&
      !this.#tags.has(from.tag) &&
      this.#tags.size < MOST_FORKS &&
      this.#forks.size < MOST_FORKS
    );
  }

  /** The first NOTIFY of a further dialog. */
  take(transaction: ServerTransaction): void {
    const options = this.#options;
    const fork = options.make(() => this.#remove(fork));
    this.#forks.add(fork);
    fork.on("notify", (notify) => {
      if (this.#states.has(fork)) {
        this.#states.set(fork, notify.parsed ?? this.#states.get(fork));
      }
      options.onNotify(notify);
    });
    this.#states.set(fork, undefined);
    fork.receiveNotify(transaction);
    // Refused, or its first word was its last.
    if (fork.state === "init") fork.close();
    else this.#tags.add(transaction.request.from.tag ?? "");
  }

  refresh(): void {
    for (const fork of this.#states.keys()) fork.refresh();
  }

  /** Ends all, and forgets which there were: the next SUBSCRIBE has forks of its own. */
  async leave(): Promise<void> {
    this.#states.clear();
    this.#tags.clear();
    await Promise.all([...this.#forks].map((fork) => fork.unsubscribe()));
  }

  close(): void {
    this.#states.clear();
    for (const fork of [...this.#forks]) fork.close();
  }

  /** Calls back when none is left: at once, or later. */
  whenIdle(callback: () => void): void {
    if (this.#forks.size === 0) callback();
    else this.#onIdle = callback;
  }

  #remove(fork: Fork): void {
    this.#forks.delete(fork);
    const counted = this.#states.get(fork) !== undefined;
    this.#states.delete(fork);
    if (counted) this.#options.onLoss();
    if (this.#forks.size === 0) this.#onIdle?.();
  }
}
