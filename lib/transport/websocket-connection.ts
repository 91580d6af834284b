/** A WebSocket that carries SIP, one message per WebSocket message (RFC 7118 §5). */
import { isUtf8 } from "node:buffer";
import type { RawData, WebSocket } from "ws";
import { Connection } from "./connection.js";
import type { ConnectionOptions } from "./connection.js";
import { closeReason } from "./transport-errors.js";

const PING = "\r\n\r\n";
const PONG = "\r\n";
const NORMAL_CLOSURE = 1000;

export class WebSocketConnection extends Connection {
  readonly #socket: WebSocket;

  /** @param socket - open; owned by this object from now on. */
  constructor(socket: WebSocket, options: ConnectionOptions) {
    super(options);
    this.#socket = socket;
    let failure: string | undefined;
    socket.on("message", (data) => this.#read(data));
    socket.on("pong", () => this.pongReceived());
    socket.on("error", (error) => (failure = closeReason(error)));
    socket.on("close", () => this.lost(failure ?? "closed by peer"));
  }

  #read(raw: RawData): void {
    const data = asBuffer(raw);
    if (data.length <= PING.length) {
      // Some clients keep their connection alive with line breaks, as over TCP (RFC 5626 §3.5.1).
      const text = data.toString("latin1");
      if (text === PING) this.answerPing(PONG);
      if (text.trim() === "") return;
    }
    this.deliver(data, "datagram");
  }

  protected write(
    bytes: string | Uint8Array,
    done: (error: Error | null | undefined) => void,
  ): void {
    // Text wherever it can be: browsers hand binary messages over in a form that few SIP stacks expect.
    const binary = typeof bytes !== "string" && !isUtf8(bytes);
    this.#socket.send(bytes, { binary }, done);
  }

  protected queuedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  protected ping(): void {
    this.#socket.ping();
  }

  protected finish(): void {
    this.#socket.close(NORMAL_CLOSURE);
  }

  protected destroy(): void {
    this.#socket.terminate();
  }
}

function asBuffer(raw: RawData): Buffer {
  if (Buffer.isBuffer(raw)) return raw;
  return Array.isArray(raw) ? Buffer.concat(raw) : Buffer.from(raw);
}
