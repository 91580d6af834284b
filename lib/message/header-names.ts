/** Names of header fields: canonical lower case, the RFC's spelling for output, compact forms (RFC 3261 §7.3.3). */

/** One header name, shared by all fields that bear it. */
export interface HeaderName {
  /** Full name in lower case. */
  readonly name: string;
  /** As it is written on the wire. */
  readonly display: string;
  /** A bit of its own for headers that must not repeat, else 0. */
  readonly single: number;
}

const SPELLINGS = `
  Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow Allow-Events
  Answer-Mode Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding
  Content-ID Content-Language Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires
  Feature-Caps Flow-Timer From Geolocation Geolocation-Error Geolocation-Routing History-Info Identity Info-Package
  In-Reply-To Join Max-Breadth Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info
  P-Answer-State P-Asserted-Identity P-Asserted-Service P-Associated-URI P-Called-Party-ID P-Charging-Vector
  P-Early-Media P-Preferred-Identity P-Preferred-Service P-Served-User P-Visited-Network-ID Path Permission-Missing
  Policy-Contact Policy-ID Priority Priv-Answer-Mode Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require
  RAck Reason Record-Route Recv-Info Refer-Events-At Refer-Sub Refer-To Referred-By Reject-Contact Remote-Party-ID
  Replaces Reply-To Request-Disposition Require Resource-Priority Retry-After Route RSeq Security-Client
  Security-Server Security-Verify Server Service-Route Session-Expires Session-ID SIP-ETag SIP-If-Match Subject
  Subscription-State Supported Suppress-If-Match Target-Dialog Timestamp To Trigger-Consent Unsupported User-Agent
  User-to-User Via Warning WWW-Authenticate`;

const COMPACT: readonly (readonly [string, string])[] = [
  ["a", "accept-contact"],
  ["b", "referred-by"],
  ["c", "content-type"],
  ["d", "request-disposition"],
  ["e", "content-encoding"],
  ["f", "from"],
  ["i", "call-id"],
  ["j", "reject-contact"],
  ["k", "supported"],
  ["l", "content-length"],
  ["m", "contact"],
  ["n", "identity-info"],
  ["o", "event"],
  ["r", "refer-to"],
  ["s", "subject"],
  ["t", "to"],
  ["u", "allow-events"],
  ["v", "via"],
  ["x", "session-expires"],
  ["y", "identity"],
];

/** Headers of which a message has at most one line with one value. */
const SINGLE =
  "from to call-id cseq max-forwards content-type content-length refer-to referred-by replaces event subscription-state";

/** Every spelling that is recognised without further work. Never grows with what peers send. */
const KNOWN = new Map<string, HeaderName>();
{
  const single = SINGLE.split(" ");
  for (const display of ["Identity-Info", ...SPELLINGS.trim().split(/\s+/)]) {
    const name = display.toLowerCase();
    const index = single.indexOf(name);
    const entry: HeaderName = { name, display, single: index < 0 ? 0 : 1 << index };
    for (const spelling of [display, name, name.toUpperCase()]) KNOWN.set(spelling, entry);
  }
  for (const [letter, name] of COMPACT) {
    const entry = KNOWN.get(name) as HeaderName;
    KNOWN.set(letter, entry);
    KNOWN.set(letter.toUpperCase(), entry);
  }
}

/**
 * The canonical name for any spelling.
 *
 * @param spelling - A token: full or compact, any case. Unknown names keep their spelling for output.
 */
export function headerName(spelling: string): HeaderName {
  const known = KNOWN.get(spelling);
  if (known !== undefined) return known;
  const name = spelling.toLowerCase();
  return KNOWN.get(name) ?? { name, display: spelling, single: 0 };
}

/** Buckets of the full names by `hashStep`, filled once. */
const BUCKETS: HeaderName[][] = Array.from({ length: 512 }, () => []);
for (const entry of new Set(KNOWN.values())) {
  let hash = 0;
  for (let i = 0; i < entry.name.length; i++) hash = hashStep(hash, entry.name.charCodeAt(i));
  BUCKETS[hash & 511]?.push(entry);
}

function hashStep(hash: number, code: number): number {
  return (hash * 31 + (code | 32)) | 0;
}

/**
 * Recognises a well-known full name inside a text, in any case, without cutting it out.
 *
 * @returns undefined for compact and unknown names and for everything that is no name.
 */
export function recogniseHeaderName(
  text: string,
  start: number,
  end: number,
): HeaderName | undefined {
  let hash = 0;
  for (let i = start; i < end; i++) hash = hashStep(hash, text.charCodeAt(i));
  const bucket = BUCKETS[hash & 511];
  for (let k = 0; k < bucket.length; k++) {
    const entry = bucket[k];
    if (entry.name.length !== end - start) continue;
    if (text.startsWith(entry.display, start)) return entry;
    if (text.slice(start, end).toLowerCase() === entry.name) return entry;
  }
  return undefined;
}
