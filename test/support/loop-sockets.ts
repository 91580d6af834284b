/** Pairs of sockets for RTP sessions in one process: what one sends the other gets at once, through a filter. */
import { EventEmitter } from "node:events";
import type { Socket } from "node:dgram";
import type { SocketPair } from "../../lib/media/rtp/port-allocator.js";

export interface SentPacket {
  readonly data: Buffer;
  readonly fromAddress: string;
  readonly fromPort: number;
  readonly toPort: number;
}

export class LoopSockets {
  readonly #sockets = new Map<string, EventEmitter>();
  /** Everything that was sent, also what was lost. */
  readonly sent: SentPacket[] = [];
  /** What becomes of a packet: none, one or more, changed or not. */
  filter: (packet: SentPacket) => Buffer[] = ({ data }) => [data];

  open(address: string, port: number): SocketPair {
    return {
      rtp: this.#socket(address, port),
      rtcp: this.#socket(address, port + 1),
      port,
      address,
      close: () => {
        this.#sockets.delete(`${address}:${port}`);
        this.#sockets.delete(`${address}:${port + 1}`);
        return Promise.resolve();
      },
    };
  }

  /** As if it came from that address. */
  deliver(data: Buffer, from: { address: string; port: number }, to: string): void {
    this.#sockets.get(to)?.emit("message", Buffer.from(data), from);
  }

  #socket(address: string, port: number): Socket {
    const socket = new EventEmitter();
    this.#sockets.set(`${address}:${port}`, socket);
    const send = (
      data: Buffer,
      toPort: number,
      toAddress: string,
      done?: (error: Error | null) => void,
    ): void => {
      const copy = Buffer.from(data);
      const packet = { data: copy, fromAddress: address, fromPort: port, toPort };
      this.sent.push(packet);
      for (const arriving of this.filter(packet)) {
        this.deliver(arriving, { address, port }, `${toAddress}:${toPort}`);
      }
      done?.(null);
    };
    return Object.assign(socket, { send }) as unknown as Socket;
  }
}
