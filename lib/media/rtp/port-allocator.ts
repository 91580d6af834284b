/**
 * Pairs of UDP sockets for RTP and RTCP: an even port and the next one (RFC 3550 §11), from a range, found by
 * binding, so that ports of other programs are stepped over.
 */
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { errorText, MediaError, randomInteger } from "../../foundation/index.js";
import type { RandomSource } from "../../foundation/index.js";

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

export interface SocketPair {
  readonly rtp: Socket;
  readonly rtcp: Socket;
  /** Of RTP. */
  readonly port: number;
  /** What both are bound to: the wanted address, or all when that is not one of this machine. */
  readonly address: string;
  /** Closes both and gives the ports back; resolves when they are free. */
  close(): Promise<void>;
}

export class PortAllocator {
  readonly #random: RandomSource;
  /** Even ports in use, by address. */
  readonly #used = new Set<string>();
  #cursor: number | undefined;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  /** Pairs that are open. */
  get size(): number {
    return this.#used.size;
  }

  /** @throws MediaError, `statusHint` 503, when no pair is free or the address cannot be used. */
  async open(address: string, range: PortRange): Promise<SocketPair> {
    const first = range.min + (range.min & 1);
    const count = Math.max(0, Math.floor((range.max - first + 1) / 2));
    this.#cursor ??= randomInteger(this.#random, Math.max(1, count));
    let bound = address;
    for (let tried = 0; tried < count; tried++) {
      this.#cursor = (this.#cursor + 1) % count;
      const port = first + 2 * this.#cursor;
      const key = `${address}/${port}`;
      if (this.#used.has(key)) continue;
      this.#used.add(key);
      try {
        return await this.#pair(bound, port, key);
      } catch (error) {
        this.#used.delete(key);
        const code = (error as { code?: unknown }).code;
        if (code === "EADDRINUSE") continue;
        if (code === "EADDRNOTAVAIL" && bound === address) {
          // A public address in front of a container or a router: the descriptions name it, we listen on all.
          bound = isIPv6(address) ? "::" : "0.0.0.0";
          tried -= 1;
          continue;
        }
        throw new MediaError(`No RTP port could be opened on ${address}: ${errorText(error)}`, {
          cause: error,
          rule: "no-port",
          statusHint: 503,
        });
      }
    }
    throw new MediaError(
      `No free RTP port on ${address} between ${range.min} and ${range.max} (${this.#used.size} pairs in use by calls); widen the range`,
      { rule: "no-port", statusHint: 503 },
    );
  }

  async #pair(address: string, port: number, key: string): Promise<SocketPair> {
    const rtp = await bind(address, port);
    let rtcp: Socket;
    try {
      rtcp = await bind(address, port + 1);
    } catch (error) {
      await closed(rtp);
      throw error;
    }
    return {
      rtp,
      rtcp,
      port,
      address,
      close: async () => {
        await Promise.all([closed(rtp), closed(rtcp)]);
        this.#used.delete(key);
      },
    };
  }
}

function bind(address: string, port: number): Promise<Socket> {
  const family = isIPv6(address) ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? "udp6" : "udp4",
    ipv6Only: family === 6,
    // Addresses here are numbers; without this every packet would pass through the resolver.
    lookup: (host, _options, callback) => callback(null, host, family),
  });
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    // A second close of a socket throws; nobody else closes these.
    socket.close(() => resolve());
  });
}
