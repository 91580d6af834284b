/** Datagrams to and from one address, by a socket that takes nothing from elsewhere. */
import { createSocket, type Socket } from "node:dgram";
import type { ChannelListener, DatagramChannel } from "./ng-client.js";

/** Of datagrams that wait for the name to be looked up. */
const MOST_WAITING = 100;

/** @param host - An address, or a name that is looked up as one of IPv4. */
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
    const old = socket;
    socket = undefined;
    isConnected = false;
    waiting = [];
    old?.removeAllListeners();
    // What still goes wrong concerns nobody.
    old?.on("error", () => undefined);
    old?.close();
  };
  /** Again with the next datagram after an error: the engine may be back, at another address. */
  const open = (): void => {
    const fresh = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket = fresh;
    fresh.on("error", (error) => {
      close();
      if (!isClosed) listener.onError(error);
    });
    fresh.on("message", (message) => listener.onDatagram(message));
    fresh.on("connect", () => {
      isConnected = true;
      for (const datagram of waiting) fresh.send(datagram);
      waiting = [];
    });
    fresh.connect(port, host);
    fresh.unref();
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
      if (socket === undefined) open();
    },
    close(): void {
      isClosed = true;
      close();
    },
  };
}
