/**
 * What the upper rooms see of the network: types only. Sockets live in the other files of this room; tests
 * put an in-memory network behind the same interface (test/support/loop-network.ts).
 */
import type { TransportError } from "../foundation/errors.js";
import type { ParseError, SipMessage, SipRequest } from "../message/index.js";

export type TransportProtocol = "udp" | "tcp" | "tls" | "ws" | "wss";

/** One entry of the stack's transport list. */
export interface TransportOptions {
  readonly protocol: TransportProtocol;
  /** Local address to bind; `0.0.0.0` and `::` mean all. */
  readonly address: string;
  /** 0 = any free port. For ws/wss undefined = do not listen, only connect out. */
  readonly port: number | undefined;
  /** `host[:port]` to put into Via and Contact instead of the bound address (NAT, container). */
  readonly advertise?: string | undefined;
  readonly tls?: TlsMaterial | undefined;
  /** ws/wss only: HTTP path served and asked for. */
  readonly path?: string | undefined;
}

/** Key material in PEM and the rules of verification (RFC 5922). */
export interface TlsMaterial {
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly passphrase?: string;
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
  /** false only by an explicit choice of the user. Default true. */
  readonly verifyServer?: boolean;
  /**
   * The one certificate (PEM; of several the first) that a server may show: whoever has signed it, for whatever name, until
   * when ever. Stands in the place of `ca`, `verifyServer` and the name.
   */
  readonly pinned?: string | Buffer;
  /** Server name for SNI and verification when it differs from the configured domain. */
  readonly serverName?: string;
  /** Ask connecting clients for a certificate and refuse those without a valid one. Default false. */
  readonly verifyClient?: boolean;
}

/** A transport that is listening, with the port that was really bound. */
export interface BoundTransport {
  readonly protocol: TransportProtocol;
  readonly address: string;
  readonly port: number;
  readonly advertise?: string | undefined;
}

/** One hop to send to, as the resolver (RFC 3263) or a Via header names it. */
export interface FlowTarget {
  readonly protocol: TransportProtocol;
  /** IP address without brackets. */
  readonly address: string;
  readonly port: number;
  /** The configured domain, which the peer's certificate must match (RFC 5922) and SNI carries. */
  readonly serverName?: string | undefined;
  /** ws/wss: the URL's path. */
  readonly path?: string | undefined;
  /** True when the peer chose UDP only by default, so that a large request may move to TCP (§18.1.1). */
  readonly mayUseTcp?: boolean | undefined;
  /** An open connection that leads there: it is used as long as it is open, whatever name it was opened for. */
  readonly flow?: Flow | undefined;
}

/** How a retained flow is kept up (RFC 5626 §4.4). */
export interface KeepAlive {
  /** Longest milliseconds between two keep-alives; absent = the transport's own. */
  readonly intervalMs?: number | undefined;
  /** The peer has promised to answer: the first missing pong is the end of the connection (RFC 5626 §4.4.1). */
  readonly pongExpected?: boolean | undefined;
}

/**
 * A way to one peer: a connection, or for UDP a local socket with a remote address. Flows are shared
 * and compared by identity; a UDP flow never closes by itself.
 */
export interface Flow {
  readonly protocol: TransportProtocol;
  /** False for UDP: the transaction retransmits. */
  readonly reliable: boolean;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Value for Via sent-by, `host[:port]`, IPv6 in brackets; `<random>.invalid` for outgoing WebSockets. */
  readonly sentBy: string;
  /**
   * `host[:port]` for a Contact by which the peer reaches us again, over `contactProtocol`. A TCP connection of a
   * stack that listens only on UDP names the UDP port here; one of a stack that listens nowhere, its own end.
   */
  readonly contactHost: string;
  /** The protocol that is served at `contactHost`; undefined = the flow's. */
  readonly contactProtocol?: TransportProtocol | undefined;
  readonly isOpen: boolean;
  /** Sends one message; a failure is reported later through `onError`, never thrown. */
  send(bytes: string | Uint8Array, onError?: (error: TransportError) => void): void;
  /** Calls `listener` once when a connection closes. @returns removes the listener. */
  onClosed(listener: (reason: string) => void): () => void;
  /**
   * Keeps the flow up for a registration, dialog or subscription that needs it: no idle close, and keep-alives
   * (RFC 5626 §3.5) on connections that we opened and on UDP flows that leave our subnet, or for which somebody
   * names an interval; the shortest counts. @returns lets go.
   */
  retain?(keepAlive?: KeepAlive): () => void;
  /**
   * A request of ours got no answer for so many milliseconds. A connection over which nothing at all came meanwhile
   * leads nowhere, even if the operating system takes it for open: it is given up.
   */
  unanswered?(forMs: number): void;
}

/**
 * Reported when a connection comes up, goes down or could not be opened, and when a listener breaks. A connection
 * that a peer opened is reported with its first whole message, so that a port scan is no event.
 */
export interface ConnectionState {
  readonly state: "connected" | "disconnected";
  readonly protocol: TransportProtocol;
  readonly address: string;
  readonly port: number;
  /** Why it went down, in words: `closed by peer`, `idle`, `ECONNREFUSED`, `certificate has expired` … */
  readonly reason?: string | undefined;
  /** True when we opened it. */
  readonly outgoing: boolean;
}

/** The upward interface of this room, implemented by the transaction user. */
export interface TransportUser {
  /**
   * Asked before anything of a message is read: false = it is dropped as it is. Absent = every message is read. It is asked
   * under floods, so it must be quick and must not throw.
   */
  mayRead?(data: Buffer, flow: Flow): boolean;
  /**
   * May the sender of this message talk to us? Asked before the first whole message of a connection counts as one: a
   * connection of somebody who may not is no event, is closed in time, and gives way to others. Absent = everybody may.
   */
  welcomes?(message: SipMessage, flow: Flow): boolean;
  /** A message that passed the parser and its checks; for requests the top Via has received/rport set. */
  onMessage(message: SipMessage, flow: Flow): void;
  /**
   * A message that did not; `request` is there when it can still be answered with `error.statusHint`. Without it
   * only for a stream that is about to close; other garbage is counted and dropped.
   */
  onMalformed(error: ParseError, request: SipRequest | undefined, flow: Flow): void;
  onConnectionState(state: ConnectionState): void;
}

export type FlowCallback = (error: TransportError | undefined, flow: Flow | undefined) => void;

/** RFC 3261 §18. */
export interface TransportLayer {
  /** Binds every transport. Rejects with TransportError that names port and cure; then nothing stays bound. */
  start(user: TransportUser): Promise<void>;
  /** Closes sockets and timers. Idempotent. */
  stop(): Promise<void>;
  readonly bound: readonly BoundTransport[];
  /** Protocols that we can send over. */
  readonly protocols: readonly TransportProtocol[];
  /**
   * Finds or opens the flow to a target. UDP and open connections call back synchronously.
   * Connections are shared per protocol, address, port and, for TLS, server name (RFC 5923 with care).
   */
  connect(target: FlowTarget, callback: FlowCallback): void;
  /** The flow on which the responses to `request` travel (§18.2.2), reopened if the connection was lost. */
  responseFlow(request: SipRequest, arrivedOn: Flow, callback: FlowCallback): void;
  /** Grows when the addresses of this machine change, or the way out of it. Absent: they never do. */
  readonly addressVersion?: number;
  /** Is this an address of this machine? */
  hasAddress?(address: string): boolean;
  /**
   * Uses the certificates, keys and CAs of these entries, the same list as before otherwise, from the next handshake on.
   * Open connections stay. @throws TransportError when some cannot be used; those before it are in use then.
   */
  renewTls?(entries: readonly TransportOptions[]): void;
  /** Totals since the layer was made; `connections` = open now. */
  counters(): TransportCounters;
}

export interface TransportCounters {
  readonly received: number;
  readonly sent: number;
  readonly malformed: number;
  readonly dropped: number;
  readonly connections: number;
}

/** The DNS questions of RFC 3263; the default uses node:dns, tests inject answers. Errors carry node's codes. */
export interface DnsClient {
  resolveNaptr(name: string): Promise<NaptrRecord[]>;
  resolveSrv(name: string): Promise<SrvRecord[]>;
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly service: string;
  readonly regexp: string;
  readonly replacement: string;
}

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly name: string;
}
