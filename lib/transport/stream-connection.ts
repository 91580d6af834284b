/** A TCP or TLS connection that carries SIP (RFC 3261 §18.3; keep-alive RFC 5626 §3.5.1). */
import type { Socket } from "node:net";
import { StreamFramer } from "../message/index.js";
import { Connection } from "./connection.js";
import type { ConnectionOptions } from "./connection.js";
import { CLOSED_AFTER_HANDSHAKE, explainTlsAlert } from "./tls-identity.js";
import { closeReason } from "./transport-errors.js";

const PING = "\r\n\r\n";
const PONG = "\r\n";
/** The operating system's own probes find peers that vanished without a word. */
const TCP_KEEP_ALIVE_MS = 60_000;

export class StreamConnection extends Connection {
  readonly #socket: Socket;
  readonly #framer: StreamFramer;

  /** @param socket - connected (TLS: with its handshake done); owned by this object from now on. */
  constructor(socket: Socket, options: ConnectionOptions) {
    super(options);
    this.#socket = socket;
    this.#framer = new StreamFramer(options.settings.limits);
    let failure: string | undefined;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => {
      failure = closeReason(this.protocol === "tls" ? explainTlsAlert(error) : error);
    });
    socket.on("end", () => this.close(failure ?? this.#closedByPeer()));
    socket.on("close", () => this.lost(failure ?? this.#closedByPeer()));
  }

  #closedByPeer(): string {
    const isRefusal = this.protocol === "tls" && this.outgoing && !this.hasSpoken;
    return isRefusal ? CLOSED_AFTER_HANDSHAKE : "closed by peer";
  }

  #read(chunk: Buffer): void {
    // While closing, bytes are still taken in so that what we wrote last is not lost to a TCP reset.
    if (!this.isOpen) return;
    for (const output of this.#framer.push(chunk)) {
      switch (output.kind) {
        case "message":
          if (!this.deliver(output.data, "stream")) return;
          break;
        case "ping":
          this.answerPing(PONG);
          break;
        case "pong":
          this.pongReceived();
          break;
        case "error":
          this.receiver.unframable(output.error, output.data, this);
          this.close(`message could not be framed: ${output.error.reason}`);
          return;
      }
    }
  }

  protected write(
    bytes: string | Uint8Array,
    done: (error: Error | null | undefined) => void,
  ): void {
    this.#socket.write(bytes, done);
  }

  protected queuedBytes(): number {
    return this.#socket.writableLength;
  }

  protected ping(): void {
    this.#socket.write(PING);
  }

  protected finish(): void {
    this.#socket.end();
  }

  protected destroy(): void {
    this.#socket.destroy();
  }
}
