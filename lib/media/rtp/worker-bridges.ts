/**
 * The bridges of one worker (contract §4.7): joins two of its sessions, or one of its with one of another worker over a
 * MessagePort, takes them apart, and reports whose bridge ended. The newest bridge of a session counts.
 */
import type { MessagePort } from "node:worker_threads";
import { MediaError } from "../../foundation/index.js";
import type { PacketSink } from "./bridge-input.js";
import { BridgePort } from "./bridge-port.js";
import type { RtpHeader } from "./rtp-packet.js";
import type { RtpSession } from "./rtp-session.js";
import type { FromWorker, ToWorker } from "./worker-protocol.js";

type BridgeMessage = Extract<ToWorker, { type: "bridge" }>;
type BridgeEnd = Extract<FromWorker, { type: "bridgeEnded" }>["reason"];

interface ActiveBridge {
  readonly id: number;
  /** Its sessions in this worker. */
  readonly sessions: readonly number[];
  readonly port: BridgePort | undefined;
}

export class WorkerBridges {
  readonly #send: (message: FromWorker) => void;
  readonly #find: (session: number) => RtpSession | undefined;
  /** By session. */
  readonly #active = new Map<number, ActiveBridge>();

  /** @param send - To the main thread. */
  constructor(
    send: (message: FromWorker) => void,
    find: (session: number) => RtpSession | undefined,
  ) {
    this.#send = send;
    this.#find = find;
  }

  /** @throws MediaError, rule `no-session`, when a leg has ended meanwhile. */
  join({ id, session, other, port }: BridgeMessage): void {
    try {
      if (other !== undefined) this.#joinHere(id, session, other);
      else if (port !== undefined) this.#joinFar(id, session, port);
    } catch (error) {
      port?.close();
      throw error;
    }
  }

  /** Ends this bridge of the session, not a newer one. */
  stop(session: number, id: number): void {
    if (this.#active.get(session)?.id === id) this.#end(session, "stopped");
  }

  /** The session is being closed. */
  close(session: number): void {
    this.#end(session, "closed");
  }

  #joinHere(id: number, first: number, second: number): void {
    const [a, b] = [this.#leg(first), this.#leg(second)];
    this.#end(first, "replaced");
    this.#end(second, "replaced");
    // Each needs the other's way in, so the first is given it late.
    const toSecond = new LateSink();
    const intoFirst = a.join(toSecond, id);
    toSecond.sink = b.join(intoFirst, id);
    this.#keep({ id, sessions: [first, second], port: undefined });
  }

  #joinFar(id: number, session: number, port: MessagePort): void {
    const leg = this.#leg(session);
    this.#end(session, "replaced");
    const way = new BridgePort(port, () => {
      if (this.#active.get(session)?.id === id) this.#end(session, "closed");
    });
    way.open(leg.join(way, id));
    this.#keep({ id, sessions: [session], port: way });
  }

  #leg(session: number): RtpSession {
    const leg = this.#find(session);
    if (leg) return leg;
    throw new MediaError("The call has ended", { rule: "no-session" });
  }

  #keep(bridge: ActiveBridge): void {
    for (const session of bridge.sessions) this.#active.set(session, bridge);
  }

  #end(session: number, reason: BridgeEnd): void {
    const bridge = this.#active.get(session);
    if (bridge === undefined) return;
    for (const leg of bridge.sessions) {
      this.#active.delete(leg);
      this.#find(leg)?.leave();
      this.#send({ type: "bridgeEnded", session: leg, bridge: bridge.id, reason });
    }
    bridge.port?.close();
  }
}

class LateSink implements PacketSink {
  sink: PacketSink | undefined;

  audio(datagram: Buffer, header: RtpHeader, codec: string): void {
    this.sink?.audio(datagram, header, codec);
  }

  other(header: RtpHeader): void {
    this.sink?.other(header);
  }

  pressed(event: number): void {
    this.sink?.pressed(event);
  }

  released(durationMs: number): void {
    this.sink?.released(durationMs);
  }
}
