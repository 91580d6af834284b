/** A wire between a TCP client and a server that a test cuts, or makes silent; bytes pass unchanged. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export type Cut =
  /** A reset both ways. */
  | "reset"
  /** An orderly end both ways. */
  | "end"
  /** Nothing passes any more, and nobody is told. */
  | "silence";

export class TcpRelay {
  readonly #sockets = new Set<Socket>();
  /** Connections since the start. */
  connections = 0;
  #silent = false;

  private constructor(private readonly server: Server) {}

  /** Leads to this port of this machine. */
  static async start(port: number): Promise<TcpRelay> {
    const server = createServer({ allowHalfOpen: false });
    const relay = new TcpRelay(server);
    server.on("connection", (near: Socket) => {
      relay.connections++;
      const far = connect({ host: "127.0.0.1", port });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        relay.#sockets.add(from);
        from.on("data", (data) => {
          if (!relay.#silent) to.write(data);
        });
        from.on("error", () => undefined);
        from.on("close", () => {
          relay.#sockets.delete(from);
          if (!relay.#silent) to.end();
        });
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  cut(how: Cut): void {
    if (how === "silence") {
      this.#silent = true;
      return;
    }
    for (const socket of this.#sockets) {
      if (how === "reset") socket.resetAndDestroy();
      else socket.end();
    }
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
  }
}
