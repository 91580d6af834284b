/**
 * A network in memory for tests: several endpoints on one clock, with delay, loss, duplicates, reordering and
 * send failures. Messages travel as bytes through the real serialiser, parser and Via rules.
 *
 * Usage: `const network = new LoopNetwork(clock)`, `network.endpoint({ name: "alice", address: "10.0.0.1" })`
 * gives a TransportLayer; read `network.ladder()` afterwards. Nothing arrives before the clock advances
 * (`delayMs`, default 1 ms). Rules see every packet in order of sending; the first that answers decides.
 */
import type { Clock } from "../../lib/foundation/clock.js";
import { TransportError } from "../../lib/foundation/errors.js";
import { randomFraction } from "../../lib/foundation/random.js";
import type { RandomSource } from "../../lib/foundation/random.js";
import type {
  BoundTransport,
  Flow,
  FlowCallback,
  FlowTarget,
  TransportCounters,
  TransportLayer,
  TransportProtocol,
  TransportUser,
} from "../../lib/transport/transport.js";
import { parseMessage } from "../../lib/message/index.js";
import type { SipRequest } from "../../lib/message/index.js";
import { hostPort } from "../../lib/transport/addresses.js";
import { applyViaRules, responseAddress } from "../../lib/transport/via-rules.js";
import { LoopConnection, LoopDatagramFlow } from "./loop-flows.js";
import { SeededRandom } from "./seeded-random.js";

/** One message on its way. */
export interface LoopPacket {
  /** Counts all packets of the network from 1. */
  readonly number: number;
  /** Clock time of sending. */
  readonly at: number;
  /** Endpoint names. */
  readonly from: string;
  readonly to: string;
  readonly protocol: TransportProtocol;
  /** `INVITE`, `180` … */
  readonly label: string;
  /** Method of the CSeq header: `INVITE` for its 180 too. */
  readonly cseqMethod: string;
  readonly text: string;
  /** What the network did with it. */
  fate: "delivered" | "dropped" | "duplicated" | "failed";
}

/** What a rule may do with a packet; undefined = not my business. A number is a delay in milliseconds. */
export type LoopFault = "drop" | "duplicate" | "fail" | number;
export type LoopRule = (packet: LoopPacket) => LoopFault | undefined;

export interface LoopEndpointOptions {
  /** Shown in ladders; default `address:port`. */
  readonly name?: string;
  readonly protocol?: TransportProtocol;
  /** Several at once, for example `["udp", "tcp"]`; overrides `protocol`. */
  readonly protocols?: readonly TransportProtocol[];
  readonly address: string;
  /** Default 5060. */
  readonly port?: number;
}

export class LoopNetwork {
  /** Milliseconds from sender to receiver, or a range from which each packet draws. */
  delayMs: number | readonly [number, number] = 1;
  /** Probability 0…1 that a datagram is lost / doubled. Connections lose nothing. */
  loss = 0;
  duplicates = 0;
  /** Every packet in order of sending. */
  readonly messages: LoopPacket[] = [];

  readonly #endpoints: LoopEndpoint[] = [];
  readonly #rules: LoopRule[] = [];
  #ephemeralPort = 40_000;

  constructor(
    readonly clock: Clock,
    readonly random: RandomSource = new SeededRandom(1),
  ) {}

  endpoint(options: LoopEndpointOptions): LoopEndpoint {
    const endpoint = new LoopEndpoint(this, options);
    this.#endpoints.push(endpoint);
    return endpoint;
  }

  /** Adds a rule. @returns removes it. */
  rule(rule: LoopRule): () => void {
    this.#rules.push(rule);
    return () => {
      const index = this.#rules.indexOf(rule);
      if (index >= 0) this.#rules.splice(index, 1);
    };
  }

  /** Does something to the n-th packet of the network (from 1). */
  onPacket(n: number, fault: LoopFault): () => void {
    return this.rule((packet) => (packet.number === n ? fault : undefined));
  }

  /** Drops the first `times` packets that match. */
  drop(predicate: (packet: LoopPacket) => boolean, times = Infinity): () => void {
    let left = times;
    return this.rule((packet) => {
      if (left <= 0 || !predicate(packet)) return undefined;
      left--;
      return "drop";
    });
  }

  /** `INVITE alice → bob`, one line per packet; what did not arrive ends in ` (dropped)` or ` (failed)`. */
  ladder(): string[] {
    return this.messages.map((p) => {
      const fate = p.fate === "delivered" ? "" : ` (${p.fate})`;
      return `${p.label} ${p.from} → ${p.to}${fate}`;
    });
  }

  /** Only the labels, in order. */
  labels(): string[] {
    return this.messages.map((p) => p.label);
  }

  /** Forgets the log, not the packet counter. */
  clearLog(): void {
    this.#forgotten += this.messages.length;
    this.messages.length = 0;
  }
  #forgotten = 0;

  /** Closes every connection, as a network that broke. */
  closeConnections(reason = "closed by peer"): void {
    for (const endpoint of this.#endpoints) endpoint.closeConnections(reason);
  }

  find(protocol: TransportProtocol, address: string, port: number): LoopEndpoint | undefined {
    return this.#endpoints.find((e) => e.listensAt(protocol, address, port));
  }

  ephemeralPort(): number {
    return this.#ephemeralPort++;
  }

  delayOfNext(): number {
    if (typeof this.delayMs === "number") return this.delayMs;
    const [least, most] = this.delayMs;
    return least + randomFraction(this.random) * (most - least);
  }

  /**
   * Takes a message from a flow and, if fate allows, calls `deliver` with its bytes later.
   * @returns false when sending it failed.
   */
  transmit(
    way: {
      from: string;
      to: string;
      protocol: TransportProtocol;
      bytes: Buffer;
      earliest?: number;
    },
    deliver: (bytes: Buffer) => void,
  ): { sent: boolean; arrivesAt: number } {
    const packet = this.#describe(way);
    this.messages.push(packet);
    const fault = this.#faultFor(packet);
    const now = this.clock.now();
    const delay = typeof fault === "number" ? fault : this.delayOfNext();
    const arrivesAt = Math.max(now + delay, way.earliest ?? 0);
    if (fault === "fail") {
      packet.fate = "failed";
      return { sent: false, arrivesAt };
    }
    if (fault === "drop") {
      packet.fate = "dropped";
      return { sent: true, arrivesAt };
    }
    this.clock.setTimer(arrivesAt - now, () => deliver(way.bytes));
    if (fault === "duplicate") {
      packet.fate = "duplicated";
      this.clock.setTimer(arrivesAt - now + this.delayOfNext(), () => deliver(way.bytes));
    }
    return { sent: true, arrivesAt };
  }

  #faultFor(packet: LoopPacket): LoopFault | undefined {
    for (const rule of this.#rules) {
      const fault = rule(packet);
      if (fault !== undefined) return fault;
    }
    if (packet.protocol !== "udp") return undefined;
    if (this.loss > 0 && randomFraction(this.random) < this.loss) return "drop";
    if (this.duplicates > 0 && randomFraction(this.random) < this.duplicates) return "duplicate";
    return undefined;
  }

  #describe(way: { from: string; to: string; protocol: TransportProtocol; bytes: Buffer }) {
    const text = way.bytes.toString("utf8");
    const words = text.slice(0, text.indexOf("\r\n")).split(" ");
    const label = (text.startsWith("SIP/2.0 ") ? words[1] : words[0]) ?? "";
    const cseqMethod = /^(?:cseq)\s*:\s*\d+\s+(\S+)/im.exec(text)?.[1] ?? label;
    const packet: LoopPacket = {
      number: this.#forgotten + this.messages.length + 1,
      at: this.clock.now(),
      from: way.from,
      to: way.to,
      protocol: way.protocol,
      label,
      cseqMethod,
      text,
      fate: "delivered",
    };
    return packet;
  }
}

/** One machine on the network. */
export class LoopEndpoint implements TransportLayer {
  readonly name: string;
  address: string;
  /** See `TransportLayer`. */
  addressVersion = 0;
  readonly port: number;
  readonly protocols: readonly TransportProtocol[];
  user: TransportUser | undefined;
  readonly count = { received: 0, sent: 0, malformed: 0, dropped: 0 };

  readonly #datagramFlows = new Map<string, LoopDatagramFlow>();
  readonly #connections = new Set<LoopConnection>();

  constructor(
    readonly network: LoopNetwork,
    options: LoopEndpointOptions,
  ) {
    this.address = options.address;
    this.port = options.port ?? 5060;
    this.protocols = options.protocols ?? [options.protocol ?? "udp"];
    this.name = options.name ?? hostPort(this.address, this.port);
  }

  get bound(): readonly BoundTransport[] {
    if (!this.user) return [];
    return this.protocols.map((protocol) => ({
      protocol,
      address: this.address,
      port: this.port,
    }));
  }

  start(user: TransportUser): Promise<void> {
    this.user = user;
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.closeConnections("stopped");
    this.user = undefined;
    this.#datagramFlows.clear();
    return Promise.resolve();
  }

  counters(): TransportCounters {
    return { ...this.count, connections: this.#connections.size };
  }

  hasAddress(address: string): boolean {
    return address === this.address;
  }

  /** Another network, with another address. */
  moveTo(address: string): void {
    this.address = address;
    this.addressVersion++;
  }

  listensAt(protocol: TransportProtocol, address: string, port: number): boolean {
    return (
      this.user !== undefined &&
      this.protocols.includes(protocol) &&
      this.address === address &&
      this.port === port
    );
  }

  connect(target: FlowTarget, callback: FlowCallback): void {
    if (target.protocol === "udp") {
      callback(undefined, this.datagramFlow(target.address, target.port));
      return;
    }
    for (const c of this.#connections) {
      if (
        c.protocol === target.protocol &&
        c.remoteAddress === target.address &&
        c.remotePort === target.port
      ) {
        callback(undefined, c);
        return;
      }
    }
    this.network.clock.setTimer(this.network.delayOfNext(), () => this.#open(target, callback));
  }

  #open(target: FlowTarget, callback: FlowCallback): void {
    const peer = this.network.find(target.protocol, target.address, target.port);
    const where = `${target.protocol}:${hostPort(target.address, target.port)}`;
    if (!peer || !this.user) {
      this.user?.onConnectionState({
        state: "disconnected",
        protocol: target.protocol,
        address: target.address,
        port: target.port,
        reason: "ECONNREFUSED",
        outgoing: true,
      });
      callback(new TransportError(`Connection refused by ${where}`, where), undefined);
      return;
    }
    const localPort = this.network.ephemeralPort();
    const near = new LoopConnection(this, peer, {
      protocol: target.protocol,
      localPort,
      remotePort: target.port,
      outgoing: true,
    });
    const far = new LoopConnection(peer, this, {
      protocol: target.protocol,
      localPort: target.port,
      remotePort: localPort,
      outgoing: false,
    });
    near.twin = far;
    far.twin = near;
    peer.adopt(far);
    this.adopt(near);
    callback(undefined, near);
  }

  /** Takes a new connection in and reports it. */
  adopt(connection: LoopConnection): void {
    this.#connections.add(connection);
    connection.onClosed((reason) => {
      this.#connections.delete(connection);
      this.#report(connection, "disconnected", reason);
    });
    this.#report(connection, "connected", undefined);
  }

  #report(c: LoopConnection, state: "connected" | "disconnected", reason: string | undefined) {
    this.user?.onConnectionState({
      state,
      protocol: c.protocol,
      address: c.remoteAddress,
      port: c.remotePort,
      reason,
      outgoing: c.outgoing,
    });
  }

  responseFlow(request: SipRequest, arrivedOn: Flow, callback: FlowCallback): void {
    if (arrivedOn.reliable && arrivedOn.isOpen) {
      callback(undefined, arrivedOn);
      return;
    }
    const { address, port } = responseAddress(request.topVia, arrivedOn.protocol);
    this.connect({ protocol: arrivedOn.protocol, address, port }, callback);
  }

  /** Closes this endpoint's connections, at both ends. */
  closeConnections(reason = "closed by peer"): void {
    for (const connection of [...this.#connections]) connection.close(reason);
  }

  datagramFlow(address: string, port: number): LoopDatagramFlow {
    const key = hostPort(address, port);
    let flow = this.#datagramFlows.get(key);
    if (!flow) {
      flow = new LoopDatagramFlow(this, address, port);
      this.#datagramFlows.set(key, flow);
    }
    return flow;
  }

  /** What the real layer does with bytes that came in. */
  receive(bytes: Buffer, flow: Flow): void {
    const user = this.user;
    if (!user) return;
    this.count.received++;
    if (user.mayRead?.(bytes, flow) === false) {
      this.count.dropped++;
      return;
    }
    const result = parseMessage(bytes, { framing: flow.reliable ? "stream" : "datagram" });
    const source = {
      protocol: flow.protocol,
      address: flow.remoteAddress,
      port: flow.remotePort,
    };
    if (!result.ok) {
      this.count.malformed++;
      if (result.request) {
        applyViaRules(result.request, source);
        user.onMalformed(result.error, result.request, flow);
      } else this.count.dropped++;
      return;
    }
    const message = result.message;
    if (message.kind === "request") applyViaRules(message, source);
    else message.source = source;
    user.onMessage(message, flow);
  }
}
