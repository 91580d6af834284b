/**
 * Which of our addresses a peer sees: sockets bound to `0.0.0.0` or `::` need a concrete address for Via
 * sent-by and Contact (RFC 3261 §18.1.1, §8.1.1.8). Answers come at once, from a list of the machine's
 * interfaces that is read again now and then, because addresses change while a stack runs.
 */
import { createSocket } from "node:dgram";
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { Clock } from "../foundation/clock.js";
import { canonicalAddress, isLoopback } from "./addresses.js";

/** The part of os.networkInterfaces() that is used. */
export interface InterfaceAddress {
  readonly address: string;
  readonly family: string;
  readonly internal: boolean;
  /** `192.0.2.2/24`; null when the mask is invalid. */
  readonly cidr: string | null;
}

export interface LocalAddressOptions {
  readonly clock: Clock;
  /** Tests pass their own list. */
  readonly interfaces?: () => readonly InterfaceAddress[];
  /** Asks the routing table for the source address towards a far host; undefined = there is no route. */
  readonly probe?: (family: 4 | 6, callback: (address: string | undefined) => void) => void;
}

interface Subnet {
  readonly address: string;
  readonly family: 4 | 6;
  readonly internal: boolean;
  readonly prefix: number;
  readonly members: BlockList;
}

const REREAD_AFTER_MS = 10_000;
/** Where a probe pretends to send: nothing leaves the machine, connecting a UDP socket only asks for the route. */
const FAR_HOSTS = { 4: "198.51.100.1", 6: "2001:db8::1" } as const;

export class LocalAddresses {
  readonly #options: LocalAddressOptions;
  #subnets: Subnet[] = [];
  #readAt = -Infinity;
  readonly #defaultAddress = new Map<4 | 6, string>();
  #version = 0;

  constructor(options: LocalAddressOptions) {
    this.#options = options;
  }

  /** Grows whenever answers may have changed; whoever keeps an answer compares it. */
  get version(): number {
    this.#refresh();
    return this.#version;
  }

  /** Learns the address of the default route; later calls of `towards` use it. */
  async learnDefaultRoutes(): Promise<void> {
    await Promise.all([this.#probe(4), this.#probe(6)]);
  }

  /**
   * The address of this machine that a packet to `remote` leaves from.
   *
   * @param remote - IP address, no brackets.
   */
  towards(remote: string): string {
    const family = isIP(remote) === 6 ? 6 : 4;
    if (isLoopback(remote)) return family === 6 ? "::1" : "127.0.0.1";
    const subnet = this.#subnetOf(remote);
    if (subnet) return subnet.address;
    const known = this.#defaultAddress.get(family);
    if (known !== undefined && this.#subnets.some((s) => s.address === known)) return known;
    const first = this.#subnets.find(
      (s) => s.family === family && !s.internal && !isLinkLocal(s.address),
    );
    return first?.address ?? (family === 6 ? "::1" : "127.0.0.1");
  }

  /** Is this an address of this machine? Every one of the loopback network is. */
  has(address: string): boolean {
    this.#refresh();
    const bare = canonicalAddress(address);
    return isLoopback(bare) || this.#subnets.some((subnet) => subnet.address === bare);
  }

  /** True when no router, and so no NAT, lies between us and `remote`. */
  isOnLink(remote: string): boolean {
    return isLoopback(remote) || this.#subnetOf(remote) !== undefined;
  }

  /** Is `remote` in the subnet that `local` belongs to? */
  shareSubnet(local: string, remote: string): boolean {
    this.#refresh();
    const subnet = this.#subnets.find((s) => s.address === canonicalAddress(local));
    return subnet !== undefined && contains(subnet, remote);
  }

  #subnetOf(remote: string): Subnet | undefined {
    this.#refresh();
    let best: Subnet | undefined;
    for (const subnet of this.#subnets) {
      if (!contains(subnet, remote)) continue;
      if (subnet.address === canonicalAddress(remote)) return subnet;
      if (!best || subnet.prefix > best.prefix) best = subnet;
    }
    return best;
  }

  #refresh(): void {
    const now = this.#options.clock.now();
    if (now - this.#readAt < REREAD_AFTER_MS) return;
    this.#readAt = now;
    const before = describe(this.#subnets);
    const list = (this.#options.interfaces ?? machineInterfaces)();
    this.#subnets = list.flatMap((entry) => subnetFrom(entry) ?? []);
    if (describe(this.#subnets) === before) return;
    this.#version++;
    if (before !== "") void this.learnDefaultRoutes();
  }

  #probe(family: 4 | 6): Promise<void> {
    return new Promise((resolve) => {
      (this.#options.probe ?? probeRoute)(family, (address) => {
        if (address === undefined) this.#defaultAddress.delete(family);
        else this.#defaultAddress.set(family, canonicalAddress(address));
        this.#version++;
        resolve();
      });
    });
  }
}

function machineInterfaces(): InterfaceAddress[] {
  return Object.values(networkInterfaces()).flatMap((list) => list ?? []);
}

function subnetFrom(entry: InterfaceAddress): Subnet | undefined {
  const [network, prefixText] = (entry.cidr ?? "").split("/");
  if (network === undefined || prefixText === undefined) return undefined;
  const family = entry.family === "IPv6" ? 6 : 4;
  const members = new BlockList();
  const prefix = Number(prefixText);
  members.addSubnet(network, prefix, family === 6 ? "ipv6" : "ipv4");
  const address = canonicalAddress(entry.address);
  return { address, family, internal: entry.internal, prefix, members };
}

function describe(subnets: readonly Subnet[]): string {
  return subnets.map((s) => `${s.address}/${s.prefix}`).join();
}

function contains(subnet: Subnet, remote: string): boolean {
  const bare = canonicalAddress(remote);
  const family = isIP(bare);
  if (family !== subnet.family) return false;
  return subnet.members.check(bare, family === 6 ? "ipv6" : "ipv4");
}

function isLinkLocal(address: string): boolean {
  return address.startsWith("169.254.") || /^fe[89ab]/.test(address);
}

/** Connects a UDP socket, which sends nothing, and reads which address the kernel chose. */
function probeRoute(family: 4 | 6, callback: (address: string | undefined) => void): void {
  let done = false;
  const socket = createSocket({ type: family === 6 ? "udp6" : "udp4" });
  const finish = (address: string | undefined): void => {
    if (done) return;
    done = true;
    socket.close();
    callback(address);
  };
  // No route of this family: the interfaces decide.
  socket.on("error", () => finish(undefined));
  socket.connect(9, FAR_HOSTS[family], () => finish(socket.address().address));
}
