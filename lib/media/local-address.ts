/** Which address of this machine stands in a description. */
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { isUnspecified } from "../sdp/index.js";

/**
 * An address that a peer can send to: the given one, unless it means "all interfaces", which in a description
 * would mean "hold" (RFC 3264 §8.4).
 *
 * @param remoteAddress - The peer's, whose family and reach decide in that case.
 */
export function localMediaAddress(address: string, remoteAddress: string): string {
  const plain = address.toLowerCase().startsWith("::ffff:") ? address.slice(7) : address;
  if (!isUnspecified(plain)) return plain;
  const wantsIPv6 = isIPv6(remoteAddress);
  if (remoteAddress.startsWith("127.")) return "127.0.0.1";
  if (remoteAddress === "::1") return "::1";
  for (const addresses of Object.values(networkInterfaces())) {
    for (const candidate of addresses ?? []) {
      if (candidate.internal || candidate.address.startsWith("fe80:")) continue;
      if ((candidate.family === "IPv6") === wantsIPv6) return candidate.address;
    }
  }
  return wantsIPv6 ? "::1" : "127.0.0.1";
}

/** The host of `host`, `host:port` or `[IPv6]:port`. */
export function withoutPort(advertised: string): string {
  if (advertised.startsWith("[")) return advertised.slice(1, advertised.indexOf("]"));
  const colon = advertised.indexOf(":");
  const single = colon >= 0 && advertised.indexOf(":", colon + 1) < 0;
  return single ? advertised.slice(0, colon) : advertised;
}
