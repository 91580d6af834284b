/** Datagrams to and from one address, by a socket that takes nothing from elsewhere. */
import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns";
import type { ChannelListener, DatagramChannel } from "./ng-client.js";

/** Of datagrams that wait for the name to be looked up. */
const MOST_WAITING = 100;

export function openUdpChannel(
  host: string,
  port: number,
  listener: ChannelListener,
): DatagramChannel {
  let socket: Socket | undefined;
  let isConnected = false;
  let isClosed = false;
  let waiting: Buffer[] = [];

  const close = (): void => {
    isConnected = false;
    socket?.removeAllListeners();
    // What still goes wrong concerns nobody.
    socket?.on("error", () => undefined);
    socket?.close();
    socket = undefined;
    waiting = [];
  };
  const fail = (error: Error): void => {
    close();
    if (!isClosed) listener.onError(error);
  };
  /** Again with the next datagram after an error: the engine may be back, at another address. */
  const open = (): void => {
    lookup(host, (error, address, family) => {
      if (isClosed) return;
      if (error !== null) {
        fail(error);
        return;
      }
      const fresh = createSocket(family === 6 ? "udp6" : "udp4");
      socket = fresh;
      fresh.on("error", fail);
      fresh.on("message", (message) => listener.onDatagram(message));
      fresh.on("connect", () => {
        isConnected = true;
        for (const datagram of waiting) fresh.send(datagram);
        waiting = [];
      });
      fresh.connect(port, address);
      fresh.unref();
    });
  };

  return {
    send(datagram): void {
      if (isClosed) return;
      if (isConnected) {
        socket?.send(datagram);
        return;
      }
      if (waiting.length >= MOST_WAITING) return;
      waiting.push(datagram);
      if (waiting.length === 1) open();
    },
    close(): void {
      isClosed = true;
      close();
    },
  };
}
