/** Lists of IP addresses and networks in CIDR notation (contract §2 `allow`, `deny`, `trusted`), IPv4 and IPv6. */
import { InvalidArgumentError, printable } from "../foundation/index.js";

/** An address as sixteen bytes in eight groups; IPv4 as `::ffff:a.b.c.d`. */
type Groups = readonly number[];

interface Network {
  readonly groups: Groups;
  /** 0 … 128, counted on the sixteen bytes. */
  readonly prefix: number;
}

const MAPPED: readonly number[] = [0, 0, 0, 0, 0, 0xffff];
const IPV4_OFFSET = 96;

/** How many verdicts an AddressList remembers. */
const REMEMBERED = 2_000;

/** A set of networks with a bounded memory of its answers. */
export class AddressList {
  readonly #networks: readonly Network[];
  readonly #verdicts = new Map<string, boolean>();

  /**
   * @param entries - `192.0.2.0/24`, `2001:db8::/32`, or single addresses; blank entries are skipped.
   * @throws InvalidArgumentError naming the entry that is no network.
   */
  constructor(entries: readonly string[]) {
    this.#networks = entries
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "")
      .map(parseNetwork);
  }

  get isEmpty(): boolean {
    return this.#networks.length === 0;
  }

  /** @param address - IP address without brackets; anything else is in no list. */
  includes(address: string): boolean {
    const known = this.#verdicts.get(address);
    if (known !== undefined) return known;
    const groups = parseAddress(address);
    const verdict =
      groups !== undefined && this.#networks.some((network) => isInside(groups, network));
    if (this.#verdicts.size >= REMEMBERED) this.#verdicts.clear();
    this.#verdicts.set(address, verdict);
    return verdict;
  }
}

/** Loopback, private (RFC 1918, RFC 4193) and link-local networks: the default of `allow`. */
export const LOCAL_NETWORKS = new AddressList([
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "::1",
  "fc00::/7",
  "fe80::/10",
]);

/** @returns true for an IPv4 or IPv6 literal, without brackets. */
export function isAddress(text: string): boolean {
  return parseAddress(text) !== undefined;
}

function parseNetwork(entry: string): Network {
  const slash = entry.indexOf("/");
  const address = slash < 0 ? entry : entry.slice(0, slash);
  const groups = parseAddress(address);
  const isIpv4 = !address.includes(":");
  const longest = isIpv4 ? 32 : 128;
  const length = slash < 0 ? longest : decimal(entry.slice(slash + 1), longest);
  if (groups === undefined || length === undefined) {
    throw new InvalidArgumentError(
      `"${printable(entry)}" is no address or network; write for example 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.`,
      { rule: "bad-network" },
    );
  }
  return { groups, prefix: isIpv4 ? IPV4_OFFSET + length : length };
}

function isInside(address: Groups, network: Network): boolean {
  let bits = network.prefix;
  for (let i = 0; bits > 0; i++, bits -= 16) {
    const mask = bits >= 16 ? 0xffff : (0xffff << (16 - bits)) & 0xffff;
    if (((address[i] ^ network.groups[i]) & mask) !== 0) return false;
  }
  return true;
}

function parseAddress(text: string): Groups | undefined {
  if (text.length > 64) return undefined;
  if (!text.includes(":")) {
    const tail = parseIpv4(text);
    return tail && [...MAPPED, ...tail];
  }
  const zone = text.indexOf("%");
  return parseIpv6(zone < 0 ? text : text.slice(0, zone));
}

function parseIpv4(text: string): [number, number] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = parts.map((part) => decimal(part, 255));
  const [a, b, c, d] = bytes;
  if (a === undefined || b === undefined || c === undefined || d === undefined) return undefined;
  return [(a << 8) | b, (c << 8) | d];
}

function parseIpv6(text: string): Groups | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]);
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 8 ? head : undefined;
  const tail = parseGroups(halves[1]);
  if (tail === undefined || head.length + tail.length > 7) return undefined;
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function parseGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".") && index === parts.length - 1) {
      const tail = parseIpv4(part);
      if (tail === undefined) return undefined;
      groups.push(...tail);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups.length > 8 ? undefined : groups;
}

function decimal(text: string, highest: number): number | undefined {
  if (!/^\d{1,3}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= highest ? value : undefined;
}
