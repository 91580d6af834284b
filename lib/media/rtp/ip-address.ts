/** One way of writing for each IP address, so that addresses can be compared as texts. */
import { isIPv6 } from "node:net";

/**
 * An address of a description in the form in which sockets report theirs: IPv6 in lower case and shortest form,
 * an IPv4 address inside an IPv6 one alone; IPv4 and names as they are.
 */
export function canonicalAddress(address: string): string {
  if (!isIPv6(address) || address.includes("%")) return address;
  if (address.toLowerCase().startsWith("::ffff:") && address.includes(".")) return address.slice(7);
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
