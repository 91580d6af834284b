/** Flows of the network in memory (loop-network.ts): datagrams and connections. */
import { TransportError } from "../../lib/foundation/errors.js";
import { hostPort } from "../../lib/transport/addresses.js";
import type { Flow, TransportProtocol } from "../../lib/transport/transport.js";
import type { LoopEndpoint } from "./loop-network.js";

/** A datagram socket with one remote address. */
export class LoopDatagramFlow implements Flow {
  readonly protocol = "udp";
  readonly reliable = false;

  constructor(
    readonly endpoint: LoopEndpoint,
    readonly remoteAddress: string,
    readonly remotePort: number,
  ) {}

  get localAddress(): string {
    return this.endpoint.address;
  }
  get localPort(): number {
    return this.endpoint.port;
  }
  get sentBy(): string {
    return hostPort(this.localAddress, this.localPort);
  }
  get contactHost(): string {
    return this.sentBy;
  }
  get isOpen(): boolean {
    return this.endpoint.user !== undefined;
  }

  send(bytes: string | Uint8Array, onError?: (error: TransportError) => void): void {
    const network = this.endpoint.network;
    const data = typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes);
    const { address, port } = this.endpoint;
    const peer = network.find("udp", this.remoteAddress, this.remotePort);
    const to = peer?.name ?? hostPort(this.remoteAddress, this.remotePort);
    this.endpoint.count.sent++;
    const { sent } = network.transmit(
      { from: this.endpoint.name, to, protocol: "udp", bytes: data },
      (arrived) => {
        const receiver = network.find("udp", this.remoteAddress, this.remotePort);
        receiver?.receive(arrived, receiver.datagramFlow(address, port));
      },
    );
    if (!sent) failLater(this, onError);
  }

  onClosed(): () => void {
    return () => undefined;
  }
}

/** One end of a connection. */
export class LoopConnection implements Flow {
  readonly reliable = true;
  readonly protocol: TransportProtocol;
  readonly localPort: number;
  readonly remotePort: number;
  readonly outgoing: boolean;
  twin: LoopConnection | undefined;
  isOpen = true;
  readonly #listeners = new Set<(reason: string) => void>();
  #lastArrival = 0;
  #heardAt: number;

  constructor(
    readonly endpoint: LoopEndpoint,
    readonly peer: LoopEndpoint,
    ends: {
      protocol: TransportProtocol;
      localPort: number;
      remotePort: number;
      outgoing: boolean;
    },
  ) {
    this.protocol = ends.protocol;
    this.localPort = ends.localPort;
    this.remotePort = ends.remotePort;
    this.outgoing = ends.outgoing;
    this.#heardAt = endpoint.network.clock.now();
  }

  get localAddress(): string {
    return this.endpoint.address;
  }
  get remoteAddress(): string {
    return this.peer.address;
  }
  get sentBy(): string {
    return hostPort(this.endpoint.address, this.#reachablePort());
  }
  get contactHost(): string {
    return this.sentBy;
  }

  #reachablePort(): number {
    return this.endpoint.protocols.includes(this.protocol) ? this.endpoint.port : this.localPort;
  }

  send(bytes: string | Uint8Array, onError?: (error: TransportError) => void): void {
    if (!this.isOpen) {
      failLater(this, onError);
      return;
    }
    const data = typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes);
    this.endpoint.count.sent++;
    const { sent, arrivesAt } = this.endpoint.network.transmit(
      {
        from: this.endpoint.name,
        to: this.peer.name,
        protocol: this.protocol,
        bytes: data,
        earliest: this.#lastArrival,
      },
      (arrived) => {
        this.twin?.receive(arrived);
      },
    );
    this.#lastArrival = arrivesAt;
    if (sent) return;
    failLater(this, onError);
    this.close("write failed");
  }

  onClosed(listener: (reason: string) => void): () => void {
    if (!this.isOpen) {
      this.endpoint.network.clock.defer(() => listener("the connection is closed"));
      return () => undefined;
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Bytes of the other end. */
  receive(bytes: Buffer): void {
    if (!this.isOpen) return;
    this.#heardAt = this.endpoint.network.clock.now();
    this.endpoint.receive(bytes, this);
  }

  unanswered(forMs: number): void {
    if (this.endpoint.network.clock.now() - this.#heardAt >= forMs) this.close("no answer");
  }

  close(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const listener of [...this.#listeners]) listener(reason);
    this.#listeners.clear();
    this.twin?.close("closed by peer");
  }
}

function failLater(
  flow: LoopDatagramFlow | LoopConnection,
  onError: ((error: TransportError) => void) | undefined,
): void {
  if (!onError) return;
  const where = `${flow.protocol}:${hostPort(flow.remoteAddress, flow.remotePort)}`;
  flow.endpoint.network.clock.defer(() =>
    onError(new TransportError(`Could not send to ${where}`, where)),
  );
}
