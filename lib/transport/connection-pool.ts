/**
 * Open connections: found again per protocol, address, port and, for TLS, server name; opened once for all who
 * wait for them; capped, inspected, closed (RFC 3261 §18, RFC 5923 with care: a TLS connection verified for
 * one name never serves another, CVE-2020-15260).
 */
import { errorText } from "../foundation/index.js";
import type { Timer, TransportError } from "../foundation/index.js";
import { canonicalAddress, hostPort } from "./addresses.js";
import type { Connection, ConnectionObserver } from "./connection.js";
import type { TransportSettings } from "./settings.js";
import { closeReason, sendError } from "./transport-errors.js";
import type { ConnectionState, FlowCallback, FlowTarget } from "./transport.js";

const INSPECT_EVERY_MS = 2_000;

/** Opens a connection and calls back exactly once. @returns gives up; no call follows. */
export type Opener = (
  target: FlowTarget,
  done: (error: unknown, connection: Connection | undefined) => void,
) => () => void;

/** An accepted socket, from before its handshakes until it is closed. */
export interface AcceptedSocket {
  readonly address: string;
  /** Its peer has sent a whole message: it is not thrown out for others. */
  spoken: boolean;
  /** Ends the socket at once. */
  readonly evict: () => void;
}

interface PendingConnection {
  readonly target: FlowTarget;
  readonly waiting: FlowCallback[];
  abort: () => void;
  timer: Timer;
}

export class ConnectionPool implements ConnectionObserver {
  readonly #settings: TransportSettings;
  readonly #report: (state: ConnectionState) => void;
  readonly #byTarget = new Map<string, Connection>();
  readonly #pending = new Map<string, PendingConnection>();
  /** Every connection that is not yet fully closed, with its key in `#byTarget`. */
  readonly #connections = new Map<Connection, string | undefined>();
  readonly #reported = new WeakSet<Connection>();
  readonly #spoke = new WeakMap<Connection, () => void>();
  /** In order of arrival: the oldest come first. */
  readonly #accepted = new Set<AcceptedSocket>();
  readonly #acceptedPerAddress = new Map<string, number>();
  #inspection: Timer | undefined;
  #emptied: (() => void) | undefined;

  constructor(settings: TransportSettings, report: (state: ConnectionState) => void) {
    this.#settings = settings;
    this.#report = report;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** An open connection, or else a new one. Open ones call back synchronously. */
  connect(target: FlowTarget, open: Opener, callback: FlowCallback): void {
    const key = targetKey(target);
    const connection = this.#byTarget.get(key);
    if (connection?.isOpen) {
      callback(undefined, connection);
      return;
    }
    const pending = this.#pending.get(key);
    if (pending) pending.waiting.push(callback);
    else this.#open(key, target, open, callback);
  }

  #open(key: string, target: FlowTarget, open: Opener, callback: FlowCallback): void {
    const { clock, tuning } = this.#settings;
    const pending: PendingConnection = {
      target,
      waiting: [callback],
      abort: () => undefined,
      timer: clock.setTimer(tuning.connectTimeoutMs, () => {
        pending.abort();
        const late = Object.assign(new Error("timed out"), { code: "ETIMEDOUT" });
        this.#failed(key, pending, late);
      }),
    };
    this.#pending.set(key, pending);
    pending.abort = open(target, (error, connection) => {
      if (this.#pending.get(key) !== pending) {
        connection?.lost("not needed any more");
        return;
      }
      if (!connection) {
        this.#failed(key, pending, error);
        return;
      }
      this.#pending.delete(key);
      pending.timer.cancel();
      this.#add(connection, key);
      for (const waiting of pending.waiting) this.#call(waiting, undefined, connection);
    });
  }

  /** One waiting caller's fault must not keep the others from hearing. */
  #call(callback: FlowCallback, error: TransportError | undefined, flow: Connection | undefined) {
    try {
      callback(error, flow);
    } catch (thrown) {
      this.#settings.logger.error(`Using a new connection failed: ${errorText(thrown)}`);
    }
  }

  #failed(key: string, pending: PendingConnection, cause: unknown): void {
    const target = pending.target;
    this.#pending.delete(key);
    pending.timer.cancel();
    const error: TransportError = sendError(target, cause);
    this.#report({
      state: "disconnected",
      protocol: target.protocol,
      address: target.address,
      port: target.port,
      reason: closeReason(cause),
      outgoing: true,
    });
    for (const waiting of pending.waiting) this.#call(waiting, error, undefined);
  }

  /**
   * May a peer's new socket stay? Over a limit the oldest socket that has never brought a whole message goes,
   * so that half-open connections cannot lock others out; if all are in use the new one is refused.
   */
  admit(socket: AcceptedSocket): boolean {
    const { maxConnections, maxConnectionsPerAddress } = this.#settings.tuning;
    const count = this.#acceptedPerAddress.get(socket.address) ?? 0;
    if (count >= maxConnectionsPerAddress && !this.#evictSilent(socket.address)) return false;
    if (this.#accepted.size >= maxConnections && !this.#evictSilent(undefined)) return false;
    this.#accepted.add(socket);
    const now = this.#acceptedPerAddress.get(socket.address) ?? 0;
    this.#acceptedPerAddress.set(socket.address, now + 1);
    return true;
  }

  /** The socket of `admit` is closed. */
  release(socket: AcceptedSocket): void {
    if (!this.#accepted.delete(socket)) return;
    const left = (this.#acceptedPerAddress.get(socket.address) ?? 1) - 1;
    if (left > 0) this.#acceptedPerAddress.set(socket.address, left);
    else this.#acceptedPerAddress.delete(socket.address);
  }

  #evictSilent(address: string | undefined): boolean {
    for (const socket of this.#accepted) {
      if (socket.spoken || (address !== undefined && socket.address !== address)) continue;
      this.release(socket);
      socket.evict();
      return true;
    }
    return false;
  }

  /** Takes in a connection that a peer opened. @param spoke - its first whole message came. */
  addIncoming(connection: Connection, spoke: () => void): void {
    this.#spoke.set(connection, spoke);
    this.#add(connection, incomingKey(connection));
  }

  #add(connection: Connection, key: string | undefined): void {
    this.#connections.set(connection, key);
    connection.observer = this;
    if (key !== undefined) this.#byTarget.set(key, connection);
    if (connection.outgoing) this.#reportUp(connection);
    this.#inspection ??= this.#inspectLater();
  }

  onFirstMessage(connection: Connection): void {
    this.#spoke.get(connection)?.();
    if (!this.#reported.has(connection)) this.#reportUp(connection);
  }

  onClosed(connection: Connection, reason: string): void {
    const key = this.#connections.get(connection);
    this.#connections.delete(connection);
    if (key !== undefined && this.#byTarget.get(key) === connection) this.#byTarget.delete(key);
    if (this.#reported.delete(connection)) this.#reportState(connection, "disconnected", reason);
    if (this.#connections.size > 0) return;
    this.#inspection?.cancel();
    this.#inspection = undefined;
    this.#emptied?.();
  }

  #reportUp(connection: Connection): void {
    this.#reported.add(connection);
    this.#reportState(connection, "connected", undefined);
  }

  #reportState(
    connection: Connection,
    state: "connected" | "disconnected",
    reason: string | undefined,
  ): void {
    this.#report({
      state,
      protocol: connection.protocol,
      address: connection.remoteAddress,
      port: connection.remotePort,
      reason,
      outgoing: connection.outgoing,
    });
  }

  #inspectLater(): Timer {
    return this.#settings.clock.setTimer(INSPECT_EVERY_MS, () => {
      const now = this.#settings.clock.now();
      this.#inspection = this.#inspectLater();
      for (const connection of [...this.#connections.keys()]) connection.inspect(now);
    });
  }

  /** Gives up what is being opened and closes the rest after what is queued. */
  closeAll(reason: string): Promise<void> {
    for (const [key, pending] of [...this.#pending]) {
      this.#pending.delete(key);
      pending.timer.cancel();
      pending.abort();
      const error = sendError(pending.target, new Error("the SIP stack has stopped"));
      for (const waiting of pending.waiting) this.#call(waiting, error, undefined);
    }
    for (const connection of [...this.#connections.keys()]) connection.close(reason);
    for (const socket of [...this.#accepted]) if (!socket.spoken) socket.evict();
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#emptied = resolve));
  }
}

function targetKey(target: FlowTarget): string {
  const where = `${target.protocol} ${hostPort(canonicalAddress(target.address), target.port)}`;
  switch (target.protocol) {
    case "udp":
    case "tcp":
      return where;
    case "tls":
      return `${where} ${target.serverName ?? ""}`;
    case "ws":
    case "wss":
      return `${where} ${target.serverName ?? ""} ${target.path ?? ""}`;
  }
}

/** Only a plain TCP connection of a peer may serve our own requests: nobody has verified the peer's name. */
function incomingKey(connection: Connection): string | undefined {
  if (connection.protocol !== "tcp") return undefined;
  const { protocol, remoteAddress: address, remotePort: port } = connection;
  return targetKey({ protocol, address, port });
}
