/**
 * Which of our transports serves a peer, and the names under which we appear to it: Via sent-by (RFC 3261
 * §18.1.1, RFC 7118 §5.2) and the host of a Contact.
 */
import { randomToken } from "../foundation/index.js";
import type { RandomSource } from "../foundation/index.js";
import { bracket, hostPort, ipFamily, isLoopback, isWildcard, sameAddress } from "./addresses.js";
import type { LocalAddresses } from "./local-address.js";
import type { BoundTransport, TransportProtocol } from "./transport.js";

/** How we appear on one flow. */
export interface Identity {
  readonly localAddress: string;
  readonly sentBy: string;
  readonly contactHost: string;
  /** The protocol that listens at `contactHost`. */
  readonly contactProtocol: TransportProtocol;
}

export interface ConnectionEnds {
  readonly protocol: TransportProtocol;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly outgoing: boolean;
}

export class LocalIdentity {
  readonly #bound: readonly BoundTransport[];
  readonly #addresses: LocalAddresses;
  readonly #random: RandomSource;

  /** @param bound - the list may still grow; it is read at each question. */
  constructor(bound: readonly BoundTransport[], addresses: LocalAddresses, random: RandomSource) {
    this.#bound = bound;
    this.#addresses = addresses;
    this.#random = random;
  }

  /** The listening transport of a protocol that reaches `remote` best, or undefined when none can. */
  pick(protocol: TransportProtocol, remote: string): BoundTransport | undefined {
    let best: BoundTransport | undefined;
    let bestScore = 0;
    for (const bound of this.#bound) {
      if (bound.protocol !== protocol) continue;
      const score = this.#fitness(bound.address, remote);
      if (score > bestScore) {
        best = bound;
        bestScore = score;
      }
    }
    return best;
  }

  /** 0 = other address family, 1 = as a last resort, more = better. */
  #fitness(local: string, remote: string): number {
    if (ipFamily(local) !== ipFamily(remote)) return 0;
    if (sameAddress(local, remote)) return 5;
    if (isWildcard(local)) return 3;
    if (isLoopback(local) !== isLoopback(remote)) return 1;
    return isLoopback(local) || this.#addresses.shareSubnet(local, remote) ? 4 : 2;
  }

  ofDatagrams(bound: BoundTransport, remote: string): Identity {
    const localAddress = this.#concrete(bound, remote);
    const name = publicName(bound, localAddress);
    return { localAddress, sentBy: name, contactHost: name, contactProtocol: "udp" };
  }

  ofConnection(ends: ConnectionEnds): Identity {
    const { protocol, localAddress } = ends;
    const own = hostPort(localAddress, ends.localPort);
    if (ends.outgoing && (protocol === "ws" || protocol === "wss")) {
      // RFC 7118 §5.2: a WebSocket client cannot be reached by address, so it does not show one.
      const name = `${randomToken(this.#random, 12)}.invalid`;
      return { localAddress, sentBy: name, contactHost: name, contactProtocol: protocol };
    }
    const listener = this.pick(protocol, ends.remoteAddress);
    if (listener) {
      const name = publicName(listener, localAddress);
      return { localAddress, sentBy: name, contactHost: name, contactProtocol: protocol };
    }
    const datagrams = protocol === "tcp" ? this.pick("udp", ends.remoteAddress) : undefined;
    if (datagrams) {
      const name = publicName(datagrams, this.#concrete(datagrams, ends.remoteAddress));
      return { localAddress, sentBy: own, contactHost: name, contactProtocol: "udp" };
    }
    return { localAddress, sentBy: own, contactHost: own, contactProtocol: protocol };
  }

  /**
   * The address an outgoing connection must be bound to: that of a listener on one single address, else that of
   * such a UDP socket; undefined = the system may choose.
   */
  boundSource(protocol: TransportProtocol, remote: string): string | undefined {
    const bound = this.pick(protocol, remote) ?? this.pick("udp", remote);
    if (!bound || isWildcard(bound.address)) return undefined;
    return isLoopback(bound.address) === isLoopback(remote) ? bound.address : undefined;
  }

  #concrete(bound: BoundTransport, remote: string): string {
    return isWildcard(bound.address) ? this.#addresses.towards(remote) : bound.address;
  }
}

/** `advertise` when set, with the bound port where it names none; else address and port. */
function publicName(bound: BoundTransport, localAddress: string): string {
  const advertised = bound.advertise?.trim();
  if (!advertised) {
    return hostPort(isWildcard(bound.address) ? localAddress : bound.address, bound.port);
  }
  const host = ipFamily(advertised) === 6 ? bracket(advertised) : advertised;
  const hasPort = /:\d+$/.test(host) && !host.endsWith("]");
  return hasPort ? host : `${host}:${bound.port}`;
}
