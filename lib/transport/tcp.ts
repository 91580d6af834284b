/** SIP over TCP: listening and connecting (RFC 3261 §18). */
import { connect, createServer } from "node:net";
import type { Opener } from "./connection-pool.js";
import { Admission, connectionOptions, listen, sourceAddress } from "./listener.js";
import type { Listener, StreamContext } from "./listener.js";
import { StreamConnection } from "./stream-connection.js";
import type { TransportOptions } from "./transport.js";

export function listenTcp(entry: TransportOptions, context: StreamContext): Promise<Listener> {
  const admission = new Admission(context.pool);
  const server = createServer((socket) => {
    // A socket may fail before it gets its owner; nobody is to be told then.
    socket.on("error", () => undefined);
    if (!admission.admit(socket)) return;
    const options = connectionOptions("tcp", socket, false, context);
    admission.open(new StreamConnection(socket, options));
  });
  return listen(server, entry, context);
}

/** @returns what the pool calls to open a connection. */
export function tcpOpener(context: StreamContext): Opener {
  return (target, done) => {
    const localAddress = sourceAddress("tcp", target.address, context);
    const socket = connect({ host: target.address, port: target.port, localAddress });
    socket.once("error", (error) => done(error, undefined));
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      done(
        undefined,
        new StreamConnection(socket, connectionOptions("tcp", socket, true, context)),
      );
    });
    return () => {
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.destroy();
    };
  };
}
