/** A flow that keeps what is sent, with the time, and fails or closes when a test says so. */
import { TransportError } from "../../lib/foundation/index.js";
import { parseMessage, type SipMessage } from "../../lib/message/index.js";
import type { Flow, TransportProtocol } from "../../lib/transport/transport.js";
import type { ManualClock } from "./manual-clock.js";

export interface SentMessage {
  /** Clock time in milliseconds. */
  readonly at: number;
  readonly message: SipMessage;
}

export class FakeFlow implements Flow {
  readonly reliable: boolean;
  readonly localAddress = "192.0.2.1";
  readonly localPort = 5060;
  readonly remotePort = 5070;
  readonly sentBy = "192.0.2.1:5060";
  readonly contactHost = "192.0.2.1:5060";
  readonly sent: SentMessage[] = [];
  isOpen = true;
  /** Sends that still fail; each failure is reported in a later turn, as flows do. */
  failures = 0;
  #onError: ((error: TransportError) => void) | undefined;
  readonly #listeners = new Set<(reason: string) => void>();

  constructor(
    readonly clock: ManualClock,
    readonly protocol: TransportProtocol = "udp",
    readonly remoteAddress = "192.0.2.2",
  ) {
    this.reliable = protocol !== "udp";
  }

  /** How many hold the connection against its idle close. */
  retained = 0;

  retain(): () => void {
    this.retained++;
    return () => void this.retained--;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  send(bytes: string | Uint8Array, onError?: (error: TransportError) => void): void {
    this.#onError = onError;
    if (!this.isOpen || this.failures > 0) {
      if (this.failures > 0) this.failures--;
      this.clock.defer(() => onError?.(this.#error()));
      return;
    }
    const data = typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes);
    const result = parseMessage(data);
    if (!result.ok) throw new Error(`Sent what cannot be parsed: ${result.error.rule}`);
    this.sent.push({ at: this.clock.now(), message: result.message });
  }

  onClosed(listener: (reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Closes as a connection does that the peer has closed. */
  close(reason = "closed by peer"): void {
    this.isOpen = false;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener(reason);
  }

  /** Reports that what was sent last has failed after all. */
  failLast(): void {
    this.#onError?.(this.#error());
  }

  #error(): TransportError {
    return new TransportError("Nobody there", `${this.protocol}:${this.remoteAddress}`);
  }

  /** Methods and status codes in the order sent. */
  get log(): string[] {
    return this.sent.map(({ message }) => shortName(message));
  }

  /** When messages of this short name were sent. */
  times(name: string): number[] {
    return this.sent.filter(({ message }) => shortName(message) === name).map(({ at }) => at);
  }

  /** The last message, which must be there. */
  get last(): SipMessage {
    const last = this.sent.at(-1);
    if (!last) throw new Error("Nothing was sent");
    return last.message;
  }
}

/** `INVITE`, `ACK` … or `200`. */
export function shortName(message: SipMessage): string {
  return message.kind === "request" ? message.method : String(message.statusCode);
}
