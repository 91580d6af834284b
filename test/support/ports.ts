/**
 * Free ports on loopback, so that suites can run beside each other. They lie below the range that the system gives to
 * sockets without a wish, and each process begins in a block of its own: between the question and the use of a port
 * nobody else takes it.
 */
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const FIRST = 5_500;
const COUNT = 4_000;
const BLOCK = 100;

/** Browsers and `fetch` refuse to connect to these (WHATWG Fetch, "bad port"), so no Node-RED may live there. */
export const REFUSED: ReadonlySet<number> = new Set([
  6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
]);

let next = (process.pid * BLOCK) % COUNT;

/**
 * A port that is free for both UDP and TCP on `address` at this moment.
 *
 * @param from - Where to begin to look, instead of after the last one.
 */
export async function freePort(address = "127.0.0.1", from?: number): Promise<number> {
  if (from !== undefined) next = from - FIRST;
  for (let attempt = 0; attempt < COUNT; attempt++) {
    const port = FIRST + next;
    next = (next + 1) % COUNT;
    if (REFUSED.has(port)) continue;
    if ((await tcpFree(address, port)) && (await udpFree(address, port))) return port;
  }
  throw new Error(`no free port on ${address}`);
}

function tcpFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}

function udpFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.once("error", () => resolve(false));
    socket.bind(port, address, () => socket.close(() => resolve(true)));
  });
}
