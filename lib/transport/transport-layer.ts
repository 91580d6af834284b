/**
 * The transport layer over real sockets (RFC 3261 §18): binds the entries of the transport list, finds or opens
 * the flow to a target, and the flow on which responses return.
 */
import { errorText, TransportError } from "../foundation/index.js";
import type { SipRequest } from "../message/index.js";
import { ipFamily, isGroupAddress } from "./addresses.js";
import { ConnectionPool } from "./connection-pool.js";
import type { Opener } from "./connection-pool.js";
import type { Listener, StreamContext } from "./listener.js";
import { LocalAddresses } from "./local-address.js";
import { LocalIdentity } from "./local-identity.js";
import { MessageReceiver } from "./message-receiver.js";
import { resolveSettings } from "./settings.js";
import type { TransportLayerOptions, TransportSettings } from "./settings.js";
import { listenTcp, tcpOpener } from "./tcp.js";
import { canServeTls, listenTls, tlsOpener } from "./tls.js";
import { bindError, closeReason, targetName } from "./transport-errors.js";
import type {
  BoundTransport,
  ConnectionState,
  Flow,
  FlowCallback,
  FlowTarget,
  TransportCounters,
  TransportLayer,
  TransportOptions,
  TransportProtocol,
  TransportUser,
} from "./transport.js";
import { DatagramFlow, DatagramTransport } from "./udp.js";
import { responseAddress } from "./via-rules.js";
import { listenWebSocket, webSocketOpener } from "./websocket.js";

export class SocketTransportLayer implements TransportLayer {
  #entries: readonly TransportOptions[];
  readonly #settings: TransportSettings;
  readonly #receiver: MessageReceiver;
  readonly #addresses: LocalAddresses;
  readonly #pool: ConnectionPool;
  readonly #context: StreamContext;
  readonly #bound: BoundTransport[] = [];
  readonly #datagrams = new Map<BoundTransport, DatagramTransport>();
  readonly #listeners: Listener[] = [];
  /** Place in the list of entries → its listener, where it is one of TLS. */
  readonly #renewable = new Map<number, Listener>();
  readonly #openers = new Map<TransportProtocol, Opener>();
  /** Grows with every start and stop, so that a start that was overtaken by a stop notices. */
  #generation = 0;
  #running = false;

  constructor(options: TransportLayerOptions) {
    this.#entries = options.transports;
    this.#settings = resolveSettings(options);
    this.#receiver = new MessageReceiver(this.#settings);
    this.#addresses = new LocalAddresses({ clock: this.#settings.clock });
    this.#pool = new ConnectionPool(this.#settings, (state) => this.#report(state));
    this.#context = {
      settings: this.#settings,
      receiver: this.#receiver,
      identity: new LocalIdentity(this.#bound, this.#addresses, this.#settings.random),
      pool: this.#pool,
      onBroken: (bound, error) => this.#listenerBroke(bound, error),
    };
  }

  get bound(): readonly BoundTransport[] {
    return this.#bound;
  }

  /** Those of the transport list; TCP also beside UDP, for requests that are too large for it (§18.1.1). */
  get protocols(): readonly TransportProtocol[] {
    const listed = new Set(this.#entries.map((entry) => entry.protocol));
    if (listed.has("udp")) listed.add("tcp");
    return [...listed];
  }

  async start(user: TransportUser): Promise<void> {
    const generation = ++this.#generation;
    this.#receiver.user = user;
    this.#running = true;
    this.#prepareOpeners();
    try {
      await this.#addresses.learnDefaultRoutes();
      for (const [index, entry] of this.#entries.entries()) {
        await this.#bind(entry, index);
        if (generation !== this.#generation) {
          throw new TransportError("The SIP stack was stopped while it started.", entry.protocol);
        }
      }
    } catch (error) {
      await this.#closeEverything();
      throw error;
    }
  }

  async #bind(entry: TransportOptions, index: number): Promise<void> {
    const listening = await this.#listen(entry);
    if (!listening) return;
    this.#bound.push(listening.bound);
    if (listening instanceof DatagramTransport) {
      this.#datagrams.set(listening.bound, listening);
      return;
    }
    this.#listeners.push(listening);
    if (listening.renew !== undefined) this.#renewable.set(index, listening);
  }

  async #listen(entry: TransportOptions): Promise<Listener | DatagramTransport | undefined> {
    const secure = entry.protocol === "tls" || entry.protocol === "wss";
    if (entry.port === undefined && entry.protocol !== "udp") return undefined;
    if (secure && !canServeTls(entry)) {
      this.#settings.logger.info(
        `${entry.protocol.toUpperCase()} has no certificate and key: it only connects out.`,
      );
      return undefined;
    }
    checkEntry(entry);
    switch (entry.protocol) {
      case "udp":
        return DatagramTransport.bind(entry, { ...this.#context, addresses: this.#addresses });
      case "tcp":
        return listenTcp(entry, this.#context);
      case "tls":
        return listenTls(entry, this.#context);
      case "ws":
      case "wss":
        return listenWebSocket(entry, this.#context);
    }
  }

  get addressVersion(): number {
    return this.#addresses.version;
  }

  hasAddress(address: string): boolean {
    return this.#addresses.has(address);
  }

  renewTls(entries: readonly TransportOptions[]): void {
    for (const [index, listener] of this.#renewable) {
      const tls = entries[index]?.tls;
      if (tls !== undefined) listener.renew?.(tls);
    }
    this.#entries = entries;
    this.#openers.clear();
    this.#prepareOpeners();
  }

  /** The first entry of a protocol lends its key material and path to outgoing connections. */
  #prepareOpeners(): void {
    this.#openers.set("tcp", tcpOpener(this.#context));
    for (const entry of this.#entries) {
      if (this.#openers.has(entry.protocol)) continue;
      if (entry.protocol === "tls") {
        this.#openers.set("tls", tlsOpener(entry.tls, this.#context));
      } else if (entry.protocol === "ws" || entry.protocol === "wss") {
        this.#openers.set(entry.protocol, webSocketOpener(entry.tls, entry.path, this.#context));
      }
    }
  }

  async stop(): Promise<void> {
    this.#generation++;
    await this.#closeEverything();
  }

  async #closeEverything(): Promise<void> {
    this.#running = false;
    const sockets = [...this.#datagrams.values(), ...this.#listeners];
    this.#datagrams.clear();
    this.#listeners.length = 0;
    this.#renewable.clear();
    this.#bound.length = 0;
    await Promise.all([
      ...sockets.map((socket) => socket.close()),
      this.#pool.closeAll("the SIP stack has stopped"),
    ]);
    if (!this.#running) this.#receiver.user = undefined;
  }

  connect(target: FlowTarget, callback: FlowCallback): void {
    if (target.flow?.isOpen) {
      callback(undefined, target.flow);
      return;
    }
    const name = targetName(target.protocol, target.address, target.port);
    const fault = this.#targetFault(target);
    if (fault !== undefined) {
      callback(new TransportError(`${name} cannot be used: ${fault}`, name), undefined);
      return;
    }
    if (target.protocol !== "udp") {
      this.#pool.connect(target, this.#openers.get(target.protocol) as Opener, callback);
      return;
    }
    const bound = this.#context.identity.pick("udp", target.address);
    const transport = bound && this.#datagrams.get(bound);
    if (!transport) {
      const family =
        ipFamily(target.address) === 6 ? "IPv6, for example ::" : "IPv4, for example 0.0.0.0";
      const text = `${name} cannot be used: the SIP stack has no UDP transport for ${family}. Add one.`;
      callback(new TransportError(text, name), undefined);
      return;
    }
    callback(undefined, transport.flow(target.address, target.port));
  }

  #targetFault(target: FlowTarget): string | undefined {
    if (!this.#running) return "the SIP stack is not running.";
    if (ipFamily(target.address) === 0) return "it is no IP address.";
    if (isGroupAddress(target.address))
      return "multicast and unspecified addresses are not called.";
    if (!Number.isInteger(target.port) || target.port < 1 || target.port > 65_535) {
      return "the port must be 1 to 65535.";
    }
    if (target.protocol !== "udp" && !this.#openers.has(target.protocol)) {
      const word = target.protocol.toUpperCase();
      return `the SIP stack has no ${word} transport. Add one to its list of transports.`;
    }
    return undefined;
  }

  responseFlow(request: SipRequest, arrivedOn: Flow, callback: FlowCallback): void {
    const protocol = arrivedOn.protocol;
    if (arrivedOn.reliable && arrivedOn.isOpen) {
      callback(undefined, arrivedOn);
      return;
    }
    const via = request.topVia;
    const { address, port, symmetric } = responseAddress(via, protocol);
    if (arrivedOn instanceof DatagramFlow && symmetric && arrivedOn.isOpen) {
      // What came in from the sender's own address is answered from the same socket.
      const sameRemote = address === arrivedOn.remoteAddress && port === arrivedOn.remotePort;
      const flow = sameRemote ? arrivedOn : arrivedOn.transport.flow(arrivedOn.remoteAddress, port);
      callback(undefined, flow);
      return;
    }
    if (via.host.endsWith(".invalid")) {
      const text =
        "The WebSocket on which the request came is closed; its client cannot be reached.";
      callback(new TransportError(text, `${protocol}:${via.host}`), undefined);
      return;
    }
    const serverName = ipFamily(via.host) === 0 ? via.host : undefined;
    this.connect({ protocol, address, port, serverName }, callback);
  }

  counters(): TransportCounters {
    return { ...this.#receiver.counters, connections: this.#pool.size };
  }

  #report(state: ConnectionState): void {
    try {
      this.#receiver.user?.onConnectionState(state);
    } catch (error) {
      this.#settings.logger.error(`A connection state could not be reported: ${errorText(error)}`);
    }
  }

  #listenerBroke(bound: BoundTransport, error: Error): void {
    this.#settings.logger.warn(
      `${targetName(bound.protocol, bound.address, bound.port)} reports: ${errorText(error)}`,
    );
    this.#report({
      state: "disconnected",
      protocol: bound.protocol,
      address: bound.address,
      port: bound.port,
      reason: closeReason(error),
      outgoing: false,
    });
  }
}

/** @throws TransportError when address or port cannot be meant. */
function checkEntry(entry: TransportOptions): void {
  const port = entry.port ?? 0;
  if (ipFamily(entry.address) === 0) {
    throw bindError(entry, new Error(`"${entry.address}" is no IP address of this machine.`));
  }
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw bindError(entry, new Error("the port must be 0 to 65535."));
  }
}
