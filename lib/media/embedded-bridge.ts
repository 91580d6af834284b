/** Joins the sound of two sessions, in one worker or in two: the main thread only introduces them to each other. */
import { MessageChannel } from "node:worker_threads";
import type { AudioBridge, AudioBridgeEnd } from "../session/media-handler.js";
import type { WorkerClient } from "./worker-client.js";

/** One session as a bridge sees it. */
export interface BridgeLeg {
  readonly worker: WorkerClient;
  /** Number of the session. */
  readonly session: number;
  /** Who hears of the end of a bridge, by the number of its request. */
  readonly bridges: Map<number, (reason: AudioBridgeEnd) => void>;
  /** Who hears of the keys that go out here, of the newest bridge. */
  onKey: ((digit: string) => void) | undefined;
}

/** Rejects with MediaError when a leg has ended, or its worker is lost. */
export async function joinLegs(
  a: BridgeLeg,
  b: BridgeLeg,
  keys: {
    readonly toFirst: (digit: string) => void;
    readonly toSecond: (digit: string) => void;
  },
): Promise<AudioBridge> {
  const together = a.worker === b.worker;
  const first = a.worker.nextNumber();
  const second = together ? first : b.worker.nextNumber();
  let resolve: (reason: AudioBridgeEnd) => void = () => undefined;
  const done = new Promise<AudioBridgeEnd>((settle) => (resolve = settle));
  const end = (reason: AudioBridgeEnd): void => {
    a.bridges.delete(first);
    b.bridges.delete(second);
    resolve(reason);
  };
  const stop = (): void => {
    a.worker.post({ type: "unbridge", session: a.session, bridge: first });
    if (!together) b.worker.post({ type: "unbridge", session: b.session, bridge: second });
  };
  a.bridges.set(first, end);
  b.bridges.set(second, end);
  a.onKey = keys.toFirst;
  b.onKey = keys.toSecond;
  try {
    if (together) {
      const { session } = a;
      await a.worker.request({ type: "bridge", session, other: b.session }, { id: first });
    } else await joinFar([a, first], [b, second]);
  } catch (error) {
    stop();
    end("closed");
    throw error;
  }
  return { done, stop };
}

async function joinFar(...legs: (readonly [BridgeLeg, number])[]): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const ports = [port1, port2];
  try {
    await Promise.all(
      legs.map(([{ worker, session }, id], index) =>
        worker.request(
          { type: "bridge", session, port: ports[index] },
          { id, transfer: [ports[index]] },
        ),
      ),
    );
  } finally {
    // No effect on one that went to its worker; one that could not go is of no use.
    for (const port of ports) port.close();
  }
}
