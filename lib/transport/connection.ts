/**
 * What every connection (TCP, TLS, WebSocket) has in common: identity, closing exactly once, keep-alive and the
 * knowledge of when it may be closed for idleness (RFC 3261 §18, RFC 5626 §3.5).
 */
import { printable } from "../foundation/index.js";
import type { TransportError, Timer } from "../foundation/index.js";
import type { SipMessage } from "../message/index.js";
import type { Identity } from "./local-identity.js";
import type { MessageReceiver } from "./message-receiver.js";
import type { TransportSettings } from "./settings.js";
import { closeReason, sendError, targetName } from "./transport-errors.js";
import type { Flow, KeepAlive, TransportProtocol } from "./transport.js";

export interface ConnectionOptions {
  readonly protocol: TransportProtocol;
  readonly outgoing: boolean;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly identity: Identity;
  readonly settings: TransportSettings;
  readonly receiver: MessageReceiver;
}

/** Told to the pool; each at most once and in this order. */
export interface ConnectionObserver {
  /** The first whole message came in. */
  onFirstMessage(connection: Connection): void;
  onClosed(connection: Connection, reason: string): void;
}

export abstract class Connection implements Flow {
  readonly reliable = true;
  readonly protocol: TransportProtocol;
  readonly outgoing: boolean;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly sentBy: string;
  readonly contactHost: string;
  readonly contactProtocol: TransportProtocol;
  /** Clock time at which it came up. */
  readonly openedAt: number;
  observer: ConnectionObserver | undefined;

  protected readonly settings: TransportSettings;
  protected readonly receiver: MessageReceiver;
  #state: "open" | "closing" | "closed" = "open";
  #closeReason = "";
  #listeners: Set<(reason: string) => void> | undefined;
  #spoken = false;
  #lastMessageAt: number;
  /** Anything came in, keep-alives included. */
  #heardAt: number;
  readonly #retainers = new Set<KeepAlive>();
  #nextPingAt = Infinity;
  #pingSentAt: number | undefined;
  #pongsSeen = false;
  #flushTimer: Timer | undefined;

  constructor(options: ConnectionOptions) {
    this.protocol = options.protocol;
    this.outgoing = options.outgoing;
    this.localAddress = options.identity.localAddress;
    this.localPort = options.localPort;
    this.remoteAddress = options.remoteAddress;
    this.remotePort = options.remotePort;
    this.sentBy = options.identity.sentBy;
    this.contactHost = options.identity.contactHost;
    this.contactProtocol = options.identity.contactProtocol;
    this.settings = options.settings;
    this.receiver = options.receiver;
    this.openedAt = this.settings.clock.now();
    this.#lastMessageAt = this.#heardAt = this.openedAt;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Has a whole message of somebody come in who may talk to us? */
  get hasSpoken(): boolean {
    return this.#spoken;
  }

  send(bytes: string | Uint8Array, onError?: (error: TransportError) => void): void {
    if (!this.isOpen) {
      this.#failLater(this.#closeReason || "the connection is closed", onError);
      return;
    }
    this.#lastMessageAt = this.settings.clock.now();
    this.receiver.sent(bytes, this);
    this.write(bytes, (error) => {
      if (!error) return;
      this.lost(closeReason(error));
      onError?.(sendError(this.#target(), error));
    });
    this.#checkQueue();
  }

  onClosed(listener: (reason: string) => void): () => void {
    if (this.#state === "closed") {
      this.settings.clock.defer(() => listener(this.#closeReason));
      return () => undefined;
    }
    const listeners = (this.#listeners ??= new Set());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  retain(keepAlive: KeepAlive = {}): () => void {
    // A copy: two who ask for the same are two.
    const retainer = { ...keepAlive };
    this.#retainers.add(retainer);
    if (this.#retainers.size === 1 || keepAlive.intervalMs !== undefined) this.#schedulePing();
    return () => {
      if (!this.#retainers.delete(retainer)) return;
      if (this.#retainers.size === 0) this.#nextPingAt = Infinity;
    };
  }

  /**
   * Sends what is queued, then closes. No message is accepted or sent any more.
   * @param reason - words for `onClosed` and the connection state.
   */
  close(reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#closeReason = reason;
    const { clock, tuning } = this.settings;
    this.#flushTimer = clock.setTimer(tuning.flushTimeoutMs, () => this.lost(reason));
    this.finish();
  }

  /** The connection is gone, or is given up: closes it at once and tells everybody. Idempotent. */
  lost(reason: string): void {
    if (this.#state === "closed") return;
    const why = this.#state === "closing" ? this.#closeReason : reason;
    this.#state = "closed";
    this.#closeReason = why;
    this.#flushTimer?.cancel();
    this.destroy();
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) this.#tell(listener, why);
    this.observer?.onClosed(this, why);
  }

  unanswered(forMs: number): void {
    const silentMs = this.settings.clock.now() - this.#heardAt;
    if (this.isOpen && silentMs >= forMs) this.lost("no answer to a request");
  }

  /** The regular look of the pool at every connection: idleness, silence, keep-alive. */
  inspect(now: number): void {
    if (!this.isOpen) return;
    const { tuning } = this.settings;
    if (!this.outgoing && !this.#spoken && now - this.openedAt >= tuning.firstMessageTimeoutMs) {
      this.close(`no whole message within ${tuning.firstMessageTimeoutMs / 1000} s`);
    } else if (this.#retainers.size === 0 && now - this.#lastMessageAt >= tuning.idleTimeoutMs) {
      this.close("idle");
    } else if (this.#pongIsMissing(now)) {
      this.lost("no answer to keep-alive");
    } else if (now >= this.#nextPingAt) {
      this.#pingSentAt = now;
      this.#schedulePing();
      this.ping();
    }
  }

  /** Hands one whole message up. @returns false when nothing more may be read from this connection. */
  protected deliver(data: Buffer, framing: "datagram" | "stream"): boolean {
    if (!this.isOpen) return false;
    this.#heardAt = this.settings.clock.now();
    const outcome = this.receiver.receive(data, this, framing, this.#accepted);
    if (outcome === "fatal") this.close("message could not be framed");
    else if (outcome === "unread" && !this.outgoing && !this.#spoken) this.close("refused");
    return this.isOpen;
  }

  /**
   * Answers a keep-alive; a peer that only asks and never reads is cut off as well. Two answers to pings of ours
   * look together like a ping of the peer: while an answer is due, that is what they are.
   */
  protected answerPing(bytes: string): void {
    this.#heardAt = this.settings.clock.now();
    if (this.#pingSentAt !== undefined) {
      const waited = this.settings.clock.now() - this.#pingSentAt;
      this.#pingSentAt = undefined;
      if (waited < this.settings.tuning.pongTimeoutMs) return;
    }
    this.write(bytes, (error) => {
      if (error) this.lost(closeReason(error));
    });
    this.#checkQueue();
  }

  protected pongReceived(): void {
    this.#pongsSeen = true;
    this.#pingSentAt = undefined;
    this.#heardAt = this.settings.clock.now();
  }

  /** Writes bytes; `done` with an error when they could not be sent. */
  protected abstract write(
    bytes: string | Uint8Array,
    done: (error: Error | null | undefined) => void,
  ): void;
  protected abstract queuedBytes(): number;
  protected abstract ping(): void;
  /** Ends our direction after what is queued; `lost` follows. */
  protected abstract finish(): void;
  /** Frees the socket at once. */
  protected abstract destroy(): void;

  #checkQueue(): void {
    if (this.queuedBytes() <= this.settings.tuning.sendQueueBytes) return;
    this.lost("peer does not read what is sent");
  }

  readonly #accepted = (message: SipMessage): void => {
    this.#lastMessageAt = this.settings.clock.now();
    if (this.#spoken) return;
    if (this.receiver.user?.welcomes?.(message, this) === false) return;
    this.#spoken = true;
    this.observer?.onFirstMessage(this);
  };

  #pongIsMissing(now: number): boolean {
    if (this.#pingSentAt === undefined) return false;
    if (!this.#pongsSeen && ![...this.#retainers].some((held) => held.pongExpected)) return false;
    return now - this.#pingSentAt >= this.settings.tuning.pongTimeoutMs;
  }

  /** RFC 5626 §4.4.1: the side that connected asks, after 80 to 100 % of the longest interval, anew each time. */
  #schedulePing(): void {
    if (!this.outgoing) return;
    const { clock, random, tuning } = this.settings;
    const fraction = 0.8 + ((random.bytes(1)[0] ?? 0) / 255) * 0.2;
    let interval = tuning.keepAliveMs;
    for (const { intervalMs } of this.#retainers)
      interval = Math.min(interval, intervalMs ?? interval);
    this.#nextPingAt = clock.now() + interval * fraction;
  }

  #tell(listener: (reason: string) => void, reason: string): void {
    try {
      listener(reason);
    } catch (error) {
      // One listener's fault must not keep the others from hearing.
      this.settings.logger.error(`A close listener failed: ${printable(String(error))}`);
    }
  }

  #failLater(reason: string, onError: ((error: TransportError) => void) | undefined): void {
    if (!onError) return;
    const error = sendError(this.#target(), new Error(reason));
    this.settings.clock.defer(() => onError(error));
  }

  #target() {
    return {
      protocol: this.protocol,
      address: this.remoteAddress,
      port: this.remotePort,
    };
  }

  toString(): string {
    return targetName(this.protocol, this.remoteAddress, this.remotePort);
  }
}
