/** Requests too large for one datagram travel over a transport with congestion control (RFC 3261 §18.1.1). */
import type { FlowTarget } from "./transport.js";

/** Bytes of a request above which UDP is left when the path MTU is unknown. */
export const LARGEST_DATAGRAM_REQUEST = 1300;

/**
 * The target a request of `size` bytes should use: TCP at the same address and port when it is too large for
 * UDP and the peer did not insist on UDP, else the target itself. When TCP is refused the caller goes back
 * to the UDP target, as §18.1.1 allows.
 */
export function preferReliable(target: FlowTarget, size: number): FlowTarget {
  if (target.protocol !== "udp" || target.mayUseTcp === false || size <= LARGEST_DATAGRAM_REQUEST) {
    return target;
  }
  return { ...target, protocol: "tcp" };
}
