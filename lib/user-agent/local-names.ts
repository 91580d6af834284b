/** How we appear where no account says it: the From of a direct call, and the address families we can use. */
import { NameAddr, parseUri, SipUri } from "../message/index.js";
import { isWildcard } from "../transport/index.js";
import type { TransportLayer, TransportOptions } from "../transport/transport.js";
import { DIRECT_USER } from "./contact.js";

/** Towards it the kernel's default route leads; nothing is ever sent there (RFC 5737, RFC 3849). */
const FAR_HOST = { protocol: "udp", address: "198.51.100.1", port: 5060 } as const;

/** The address families of a transport list; both when a socket serves both. */
export function familiesOf(transports: readonly TransportOptions[]): (4 | 6)[] {
  const families = new Set<4 | 6>();
  for (const { address } of transports) {
    if (!address.includes(":")) families.add(4);
    else if (isWildcard(address)) families.add(4).add(6);
    else families.add(6);
  }
  return [...families].sort();
}

/** From of a call without account: our user at the address under which we are reached. */
export class DirectIdentity {
  readonly #transport: Pick<TransportLayer, "bound" | "connect">;
  #known: NameAddr | undefined;

  constructor(transport: Pick<TransportLayer, "bound" | "connect">) {
    this.#transport = transport;
  }

  get address(): NameAddr {
    this.#known ??= new NameAddr(
      new SipUri("sip", DIRECT_USER, hostOf(this.#advertised() ?? this.#boundHost())),
    );
    return this.#known;
  }

  #advertised(): string | undefined {
    return this.#transport.bound.find(
      ({ advertise }) => advertise !== undefined && advertise !== "",
    )?.advertise;
  }

  #boundHost(): string {
    const { bound } = this.#transport;
    const single = bound.find(({ address }) => !isWildcard(address));
    if (single !== undefined) return bracketed(single.address);
    let host = "localhost";
    if (bound.some(({ protocol }) => protocol === "udp")) {
      this.#transport.connect(FAR_HOST, (_error, flow) => {
        if (flow !== undefined) host = bracketed(flow.localAddress);
      });
    }
    return host;
  }
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

function hostOf(hostAndPort: string): string {
  const uri = parseUri(`sip:${hostAndPort}`);
  return uri instanceof SipUri ? uri.host : "localhost";
}
