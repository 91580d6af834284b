/**
 * SIP over UDP: one socket per entry of the transport list, and the flows to the peers it talks with
 * (RFC 3261 §18.1, §18.2; symmetric responses RFC 3581).
 */
import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket } from "node:dgram";
import { errorText } from "../foundation/index.js";
import type { Timer, TransportError } from "../foundation/index.js";
import { bracket, ipFamily } from "./addresses.js";
import type { LocalAddresses } from "./local-address.js";
import type { Identity, LocalIdentity } from "./local-identity.js";
import type { MessageReceiver } from "./message-receiver.js";
import type { TransportSettings } from "./settings.js";
import { bindError, isCongestion, sendError } from "./transport-errors.js";
import type { BoundTransport, Flow, KeepAlive, TransportOptions } from "./transport.js";

export interface DatagramContext {
  readonly settings: TransportSettings;
  readonly receiver: MessageReceiver;
  readonly identity: LocalIdentity;
  readonly addresses: LocalAddresses;
  /** The socket broke after it had been bound. */
  readonly onBroken: (bound: BoundTransport, error: Error) => void;
}

/** Bursts wait here while the event loop is busy; the system's default loses packets at 3,000 calls/s. */
const SOCKET_BUFFER_BYTES = 4 << 20;
const KEEP_ALIVE = Buffer.from("\r\n\r\n");

/** Resolves nothing: targets are IP addresses, and asking later would reorder and delay packets. */
function literalLookup(
  address: string,
  _options: unknown,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  callback(null, address, ipFamily(address));
}

export class DatagramTransport {
  readonly bound: BoundTransport;
  readonly #socket: Socket;
  readonly #context: DatagramContext;
  #closed = false;
  /** Flows used lately, and those of the generation before: memory without a list to keep in order. */
  #young = new Map<string, DatagramFlow>();
  #old = new Map<string, DatagramFlow>();
  /** Retained flows survive any flood of other peers. */
  readonly #retained = new Map<string, DatagramFlow>();

  private constructor(socket: Socket, entry: TransportOptions, context: DatagramContext) {
    this.#socket = socket;
    this.#context = context;
    const { address, port } = socket.address();
    this.bound = { protocol: "udp", address, port, advertise: entry.advertise };
    socket.on("message", (data, remote) => this.#receive(data, remote));
    socket.on("error", (error) => this.#context.onBroken(this.bound, error));
  }

  /** Binds one entry. Rejects with a TransportError that names port and cure. */
  static bind(entry: TransportOptions, context: DatagramContext): Promise<DatagramTransport> {
    return new Promise((resolve, reject) => {
      const family6 = ipFamily(entry.address) === 6;
      const socket = createSocket({
        type: family6 ? "udp6" : "udp4",
        ipv6Only: family6,
        lookup: literalLookup,
      });
      socket.once("error", (error) => {
        socket.close();
        reject(bindError(entry, error));
      });
      socket.bind({ address: entry.address, port: entry.port ?? 0, exclusive: true }, () => {
        socket.removeAllListeners("error");
        enlargeBuffers(socket, context.settings);
        resolve(new DatagramTransport(socket, entry, context));
      });
    });
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** The flow to one peer; the same object while it is in use. */
  flow(address: string, port: number): DatagramFlow {
    const key = `${address}|${port}`;
    const found = this.#young.get(key);
    if (found) return found;
    const kept = this.#old.get(key) ?? this.#retained.get(key);
    const flow = kept ?? new DatagramFlow(this, this.#context, address, port);
    this.#remember(key, flow);
    return flow;
  }

  #remember(key: string, flow: DatagramFlow): void {
    if (this.#young.size * 2 >= this.#context.settings.tuning.maxDatagramFlows) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, flow);
  }

  /** Flows that are remembered, retained ones not counted. */
  get rememberedFlows(): number {
    return this.#young.size + this.#old.size;
  }

  setRetained(flow: DatagramFlow, retained: boolean): void {
    const key = `${flow.remoteAddress}|${flow.remotePort}`;
    if (retained) this.#retained.set(key, flow);
    else this.#retained.delete(key);
  }

  #receive(data: Buffer, remote: RemoteInfo): void {
    if (isKeepAlive(data)) return;
    // Nobody can be answered at port 0.
    if (remote.port === 0) {
      this.#context.receiver.counters.dropped++;
      return;
    }
    this.#context.receiver.receive(data, this.flow(remote.address, remote.port), "datagram");
  }

  send(
    bytes: string | Uint8Array,
    address: string,
    port: number,
    done: (error: Error | null) => void,
  ): void {
    if (this.#closed) {
      this.#context.settings.clock.defer(() => done(new Error("the SIP stack has stopped")));
      return;
    }
    try {
      this.#socket.send(bytes, port, address, done);
    } catch (error) {
      // dgram throws for ports and addresses that it does not like; that is a failure of this message.
      const failure = error instanceof Error ? error : new Error(errorText(error));
      this.#context.settings.clock.defer(() => done(failure));
    }
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    for (const flow of this.#retained.values()) flow.stopKeepAlive();
    this.#retained.clear();
    this.#young.clear();
    this.#old.clear();
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}

/** A local socket with one remote address. It never closes by itself. */
export class DatagramFlow implements Flow {
  readonly protocol = "udp";
  readonly reliable = false;
  readonly contactProtocol = "udp";
  readonly #context: DatagramContext;
  #identity: Identity | undefined;
  #identityVersion = -1;
  readonly #retainers = new Set<KeepAlive>();
  #keepAlive: Timer | undefined;

  constructor(
    readonly transport: DatagramTransport,
    context: DatagramContext,
    readonly remoteAddress: string,
    readonly remotePort: number,
  ) {
    this.#context = context;
  }

  get localPort(): number {
    return this.transport.bound.port;
  }
  get localAddress(): string {
    return this.#identify().localAddress;
  }
  get sentBy(): string {
    return this.#identify().sentBy;
  }
  get contactHost(): string {
    return this.#identify().contactHost;
  }
  get isOpen(): boolean {
    return this.transport.isOpen;
  }

  /** Asked for again after the machine's addresses have changed. */
  #identify(): Identity {
    const version = this.#context.addresses.version;
    if (!this.#identity || this.#identityVersion !== version) {
      this.#identityVersion = version;
      this.#identity = this.#context.identity.ofDatagrams(this.transport.bound, this.remoteAddress);
    }
    return this.#identity;
  }

  send(bytes: string | Uint8Array, onError?: (error: TransportError) => void): void {
    this.#context.receiver.sent(bytes, this);
    this.transport.send(bytes, this.remoteAddress, this.remotePort, (error) => {
      if (!error || isCongestion(error)) return;
      onError?.(
        sendError({ protocol: "udp", address: this.remoteAddress, port: this.remotePort }, error),
      );
    });
  }

  onClosed(): () => void {
    return () => undefined;
  }

  retain(keepAlive: KeepAlive = {}): () => void {
    // A copy: two who ask for the same are two.
    const retainer = { ...keepAlive };
    this.#retainers.add(retainer);
    if (this.#retainers.size === 1) this.transport.setRetained(this, true);
    if (this.#retainers.size === 1 || keepAlive.intervalMs !== undefined) this.#keepAliveLater();
    return () => {
      if (!this.#retainers.delete(retainer)) return;
      if (this.#retainers.size > 0) return;
      this.transport.setRetained(this, false);
      this.stopKeepAlive();
    };
  }

  stopKeepAlive(): void {
    this.#keepAlive?.cancel();
    this.#keepAlive = undefined;
  }

  /**
   * Keeps NAT bindings open by CRLFCRLF, which every SIP parser skips (RFC 3261 §7.5). DEVIATION: RFC 5626
   * §3.5.2 asks for STUN over UDP; we need no mapped address from it, and phones and PBXs use this.
   */
  #keepAliveLater(): void {
    const { clock, random, tuning } = this.#context.settings;
    const asked = [...this.#retainers].flatMap(({ intervalMs }) => intervalMs ?? []);
    if (asked.length === 0 && this.#context.addresses.isOnLink(this.remoteAddress)) return;
    const interval = Math.min(tuning.datagramKeepAliveMs, ...asked);
    const fraction = 0.83 + ((random.bytes(1)[0] ?? 0) / 255) * 0.17;
    this.#keepAlive?.cancel();
    this.#keepAlive = clock.setTimer(interval * fraction, () => {
      this.transport.send(KEEP_ALIVE, this.remoteAddress, this.remotePort, (error) => {
        if (error)
          this.#context.settings.logger.debug(`Keep-alive to ${this.toString()}: ${error.message}`);
      });
      this.#keepAliveLater();
    });
  }

  toString(): string {
    return `udp:${bracket(this.remoteAddress)}:${this.remotePort}`;
  }
}

const LONGEST_KEEP_ALIVE = 8;

/** Empty datagrams, line breaks or zeros only: NAT keep-alives (RFC 3261 §7.5, RFC 5626 §3.5). */
function isKeepAlive(data: Buffer): boolean {
  if (data.length > LONGEST_KEEP_ALIVE) return false;
  for (const byte of data) if (byte !== 0x0d && byte !== 0x0a && byte !== 0) return false;
  return true;
}

function enlargeBuffers(socket: Socket, settings: TransportSettings): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
  } catch (error) {
    settings.logger.info(`The UDP socket keeps its small buffer: ${errorText(error)}`);
  }
}
