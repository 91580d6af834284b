/** Real transport layers on loopback for tests: what they report is recorded, and everything is stopped again. */
import assert from "node:assert/strict";
import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { createSocket } from "node:dgram";
import type { TransportError } from "../../lib/foundation/index.js";
import type { ParseError, SipMessage, SipRequest } from "../../lib/message/index.js";
import { SocketTransportLayer } from "../../lib/transport/index.js";
import type {
  BoundTransport,
  ConnectionState,
  Flow,
  FlowTarget,
  TransportLayerOptions,
  TransportOptions,
  TransportProtocol,
  TransportUser,
} from "../../lib/transport/index.js";

export interface Arrival {
  readonly message: SipMessage;
  readonly flow: Flow;
}

/** A layer with a user that records. */
export class RecordingLayer implements TransportUser {
  readonly layer: SocketTransportLayer;
  readonly arrivals: Arrival[] = [];
  readonly malformed: { error: ParseError; request: SipRequest | undefined; flow: Flow }[] = [];
  readonly states: ConnectionState[] = [];
  readonly log: string[] = [];
  /** See `TransportUser`. */
  mayRead: ((data: Buffer) => boolean) | undefined;
  /** Called for each message, after it was recorded. */
  answer: ((message: SipMessage, flow: Flow) => void) | undefined;

  constructor(options: TransportLayerOptions) {
    const keep = (text: string): number => this.log.push(text);
    this.layer = new SocketTransportLayer({
      logger: { debug: keep, info: keep, warn: keep, error: keep },
      ...options,
    });
  }

  onMessage(message: SipMessage, flow: Flow): void {
    this.arrivals.push({ message, flow });
    this.answer?.(message, flow);
  }

  onMalformed(error: ParseError, request: SipRequest | undefined, flow: Flow): void {
    this.malformed.push({ error, request, flow });
  }

  onConnectionState(state: ConnectionState): void {
    this.states.push(state);
  }

  bound(protocol: TransportProtocol): BoundTransport {
    const found = this.layer.bound.find((b) => b.protocol === protocol);
    assert.ok(found, `${protocol} is not bound`);
    return found;
  }

  /** The target under which others reach a transport of this layer. */
  target(protocol: TransportProtocol, address = "127.0.0.1"): FlowTarget {
    return { protocol, address, port: this.bound(protocol).port };
  }

  connect(target: FlowTarget): Promise<Flow> {
    return new Promise((resolve, reject) => {
      this.layer.connect(target, (error, flow) =>
        flow ? resolve(flow) : reject(error ?? new Error("neither flow nor error")),
      );
    });
  }

  async connectError(target: FlowTarget): Promise<TransportError> {
    return this.connect(target).then(
      () => assert.fail("the connection was opened"),
      (error: unknown) => error as TransportError,
    );
  }

  responseFlow(request: SipRequest, arrivedOn: Flow): Promise<Flow> {
    return new Promise((resolve, reject) => {
      this.layer.responseFlow(request, arrivedOn, (error, flow) =>
        flow ? resolve(flow) : reject(error ?? new Error("neither flow nor error")),
      );
    });
  }

  /** The n-th message (from 0), once it has come. */
  async arrival(index = 0): Promise<Arrival> {
    await until(() => this.arrivals.length > index, `message ${index}`);
    return this.arrivals[index];
  }
}

/** Makes layers, sockets and servers, and ends all of them. */
export class TransportBench {
  readonly #endings: (() => Promise<void> | void)[] = [];

  async layer(
    transports: readonly Partial<TransportOptions>[],
    options: Omit<TransportLayerOptions, "transports"> = {},
  ): Promise<RecordingLayer> {
    const recording = new RecordingLayer({
      ...options,
      transports: transports.map((t) => ({ protocol: "udp", address: "127.0.0.1", port: 0, ...t })),
    });
    this.atEnd(() => recording.layer.stop());
    await recording.layer.start(recording);
    return recording;
  }

  /** A plain TCP client; what it receives is collected as text. */
  async tcpClient(port: number, host = "127.0.0.1"): Promise<RawClient> {
    const socket = createConnection({ host, port });
    socket.on("error", () => undefined);
    this.atEnd(() => void socket.destroy());
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawClient(socket);
  }

  /** A plain UDP socket; what it receives is collected. */
  async udpClient(address = "127.0.0.1", port = 0) {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    this.atEnd(() => void socket.close());
    const received: { text: string; port: number; address: string }[] = [];
    socket.on("message", (data, remote) =>
      received.push({ text: data.toString("utf8"), port: remote.port, address: remote.address }),
    );
    await new Promise<void>((resolve) => socket.bind(port, address, resolve));
    return { socket, received, port: socket.address().port };
  }

  atEnd(ending: () => Promise<void> | void): void {
    this.#endings.push(ending);
  }

  async end(): Promise<void> {
    for (const ending of this.#endings.splice(0).reverse()) await ending();
  }
}

export class RawClient {
  text = "";
  closed = false;

  constructor(readonly socket: Socket) {
    socket.on("data", (chunk: Buffer) => (this.text += chunk.toString("utf8")));
    socket.on("close", () => (this.closed = true));
  }

  write(text: string): void {
    this.socket.write(text);
  }

  get port(): number {
    return this.socket.localPort ?? 0;
  }
}

/** Waits for real I/O until something is true, at most `limitMs`. */
export async function until(condition: () => boolean, what: string, limitMs = 5000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) assert.fail(`${what} did not come within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Gives what must not happen a chance to happen: two trips over loopback. */
export async function quiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 40));
}
