/** What TCP, TLS and WebSocket listeners have in common: binding, and admitting sockets under the caps. */
import type { Server, Socket } from "node:net";
import { canonicalAddress, hostPort, ipFamily } from "./addresses.js";
import type { Connection, ConnectionOptions } from "./connection.js";
import type { AcceptedSocket, ConnectionPool } from "./connection-pool.js";
import type { LocalIdentity } from "./local-identity.js";
import type { MessageReceiver } from "./message-receiver.js";
import type { TransportSettings } from "./settings.js";
import { bindError } from "./transport-errors.js";
import type {
  BoundTransport,
  TlsMaterial,
  TransportOptions,
  TransportProtocol,
} from "./transport.js";

export interface StreamContext {
  readonly settings: TransportSettings;
  readonly receiver: MessageReceiver;
  readonly identity: LocalIdentity;
  readonly pool: ConnectionPool;
  /** The listener broke after it had been bound. */
  readonly onBroken: (bound: BoundTransport, error: Error) => void;
}

/** A bound listener. */
export interface Listener {
  readonly bound: BoundTransport;
  /** Stops listening; connections are closed by the pool. */
  close(): Promise<void>;
  /** Uses other certificates from the next handshake on. @throws TransportError when they cannot be used. */
  renew?(tls: TlsMaterial): void;
}

/** Binds `server` to the entry. Rejects with a TransportError that names port and cure. */
export function listen(
  server: Server,
  entry: TransportOptions,
  context: StreamContext,
): Promise<Listener> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      server.close();
      reject(bindError(entry, error));
    });
    const ipv6Only = ipFamily(entry.address) === 6;
    server.listen({ host: entry.address, port: entry.port ?? 0, ipv6Only }, () => {
      server.removeAllListeners("error");
      const bound = boundTransport(server, entry);
      server.on("error", (error) => context.onBroken(bound, error));
      resolve({
        bound,
        close: () => new Promise<void>((done) => server.close(() => done())),
      });
    });
  });
}

function boundTransport(server: Server, entry: TransportOptions): BoundTransport {
  const place = server.address();
  const port = typeof place === "object" && place !== null ? place.port : (entry.port ?? 0);
  const address = typeof place === "object" && place !== null ? place.address : entry.address;
  return { protocol: entry.protocol, address, port, advertise: entry.advertise };
}

/**
 * Applies the caps to sockets as they are accepted, and remembers them by their remote end until they close:
 * after the handshakes of TLS and WebSocket the connection is matched with them again.
 */
export class Admission {
  readonly #pool: ConnectionPool;
  readonly #accepted = new Map<string, AcceptedSocket>();

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  /** @returns false when the socket was refused; it is destroyed then. */
  admit(socket: Socket): boolean {
    const address = canonicalAddress(socket.remoteAddress ?? "");
    const key = remoteKey(socket);
    const accepted: AcceptedSocket = { address, spoken: false, evict: () => socket.destroy() };
    if (address === "" || !this.#pool.admit(accepted)) {
      socket.destroy();
      return false;
    }
    this.#accepted.set(key, accepted);
    socket.once("close", () => {
      this.#accepted.delete(key);
      this.#pool.release(accepted);
    });
    return true;
  }

  /** Hands a connection that finished its handshakes to the pool. */
  open(connection: Connection): void {
    const accepted = this.#accepted.get(hostPort(connection.remoteAddress, connection.remotePort));
    this.#pool.addIncoming(connection, () => {
      if (accepted) accepted.spoken = true;
    });
  }
}

function remoteKey(socket: Socket): string {
  return hostPort(socket.remoteAddress ?? "", socket.remotePort ?? 0);
}

/** Everything a connection needs to know about itself, read from its connected socket. */
export function connectionOptions(
  protocol: TransportProtocol,
  socket: Socket,
  outgoing: boolean,
  context: StreamContext,
): ConnectionOptions {
  const remoteAddress = socket.remoteAddress ?? "";
  const localPort = socket.localPort ?? 0;
  const localAddress = socket.localAddress ?? "";
  return {
    protocol,
    outgoing,
    localPort,
    remoteAddress,
    remotePort: socket.remotePort ?? 0,
    identity: context.identity.ofConnection({
      protocol,
      localAddress,
      localPort,
      remoteAddress,
      outgoing,
    }),
    settings: context.settings,
    receiver: context.receiver,
  };
}

/** The local address to connect from, so that a stack bound to one address is seen under that address. */
export function sourceAddress(
  protocol: TransportProtocol,
  remote: string,
  context: StreamContext,
): string | undefined {
  return context.identity.boundSource(protocol, remote);
}
