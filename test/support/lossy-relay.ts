/**
 * A stretch of bad network between two programs that speak UDP: what comes to one side goes out at the other, if at all, late,
 * doubled and in another order. Seeded; how the packets of a run fall also depends on when they come.
 */
import { createSocket, type Socket } from "node:dgram";
import { pause } from "./rtp-phone.js";
import { SeededRandom } from "./seeded-random.js";

export interface LossyRelayOptions {
  readonly seed: number;
  /** Share of the datagrams that is lost, each way, 0 to 1. */
  readonly loss: number;
  /** Share that comes twice. */
  readonly duplicates: number;
  /** Milliseconds, from and to. What is later than its follower is overtaken by it. */
  readonly delayMs: readonly [number, number];
}

export interface Place {
  readonly address: string;
  readonly port: number;
}

/** The peer sends to `peerSide`, the product to `productSide`. */
export class LossyRelay {
  readonly counts = { passed: 0, lost: 0, doubled: 0 };
  readonly #options: LossyRelayOptions;
  readonly #random: SeededRandom;
  readonly #timers = new Set<NodeJS.Timeout>();

  private constructor(
    options: LossyRelayOptions,
    readonly peer: Socket,
    readonly product: Socket,
  ) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  /** @param address - of both sides of the relay. */
  static async open(
    address: string,
    options: LossyRelayOptions & { readonly peer: Place; readonly product: Place },
  ): Promise<LossyRelay> {
    const relay = new LossyRelay(options, await socket(address), await socket(address));
    relay.#join(relay.peer, relay.product, options.product);
    relay.#join(relay.product, relay.peer, options.peer);
    return relay;
  }

  get peerSide(): Place {
    return this.peer.address();
  }

  get productSide(): Place {
    return this.product.address();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.peer.close();
    this.product.close();
    await pause(0);
  }

  #join(from: Socket, out: Socket, to: Place): void {
    from.on("message", (datagram) => {
      if (this.#random.next() < this.#options.loss) {
        this.counts.lost += 1;
        return;
      }
      this.#pass(datagram, out, to);
      if (this.#random.next() >= this.#options.duplicates) return;
      this.counts.doubled += 1;
      this.#pass(datagram, out, to);
    });
  }

  #pass(datagram: Buffer, out: Socket, to: Place): void {
    this.counts.passed += 1;
    const [least, most] = this.#options.delayMs;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        out.send(datagram, to.port, to.address);
      },
      least + this.#random.next() * (most - least),
    );
    this.#timers.add(timer);
  }
}

function socket(address: string): Promise<Socket> {
  const made = createSocket({ type: "udp4", recvBufferSize: 4 * 2 ** 20 });
  return new Promise((resolve, reject) => {
    made.once("error", reject);
    made.bind(0, address, () => {
      made.removeAllListeners("error");
      // The other side may be gone at the end.
      made.on("error", () => undefined);
      resolve(made);
    });
  });
}
