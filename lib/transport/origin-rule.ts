/**
 * Which web pages may speak SIP to us from a browser. A browser lets every page open a WebSocket to every host and sends
 * along what a user of the local network may do; only the Origin header tells whose page it is (RFC 6455 §10.2). Programs
 * that are no browsers send none, and are subject to the access rules alone.
 */
import { isIPv4, isIPv6 } from "../message/index.js";

/**
 * Names that nobody outside can own: RFC 6761, RFC 6762, RFC 8375, and ends that public DNS does not have. `.box` it has; what
 * is below `fritz.box` the router answers itself.
 */
const LOCAL_ENDS = [
  ".local",
  ".localhost",
  ".lan",
  ".home",
  ".home.arpa",
  ".internal",
  ".fritz.box",
];

export interface UpgradeFacts {
  /** The Origin header; undefined = no browser. */
  readonly origin: string | undefined;
  /** The Host header. */
  readonly host: string | undefined;
  readonly secure: boolean;
}

/**
 * @param allowed - `*`, `null`, hosts (`phone.example.com`, `*.example.com`) or whole origins (`https://example.com:8443`).
 * @returns whether a page of that origin may connect. Always: pages of this machine, and those of the host that the WebSocket
 * is on, unless a name out of public DNS could have been bent to us (DNS rebinding), which only a certificate rules out.
 */
export function mayConnect(
  { origin, host, secure }: UpgradeFacts,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true;
  const text = origin.trim().toLowerCase();
  const page = hostOf(text);
  if (allowed.some((entry) => matches(entry.trim().toLowerCase(), text, page))) return true;
  if (page === undefined) return false;
  if (isLoopback(page)) return true;
  const own = host === undefined ? undefined : hostOf(`http://${host.toLowerCase()}`);
  return page === own && (secure || isOurs(page));
}

function matches(entry: string, origin: string, page: string | undefined): boolean {
  if (entry === "*" || entry === origin) return true;
  if (page === undefined || entry === "") return false;
  if (entry.startsWith("*.")) return page.endsWith(entry.slice(1)) && page.length >= entry.length;
  return entry === page;
}

/** Without port and brackets; undefined when it is no URL of a host, such as `null`. */
function hostOf(origin: string): string | undefined {
  try {
    const { hostname } = new URL(origin);
    return hostname === "" ? undefined : hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  } catch {
    return undefined;
  }
}

function isLoopback(host: string): boolean {
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "::1" ||
    (isIPv4(host) && host.startsWith("127."))
  );
}

function isOurs(host: string): boolean {
  return (
    isIPv4(host) ||
    isIPv6(host) ||
    !host.includes(".") ||
    host === "fritz.box" ||
    LOCAL_ENDS.some((end) => host.endsWith(end))
  );
}
