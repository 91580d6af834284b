/** Names of header fields: canonical lower case, the RFC's spelling for output, compact forms (RFC 3261 §7.3.3). */

/** One header name, shared by all fields that bear it. */
export interface HeaderName {
  /** Full name in lower case. */
  readonly name: string;
  /** As it is written on the wire. */
  readonly display: string;
  /** `display` with colon and blank: how its lines begin. */
  readonly prefix: string;
  /** Which of the headers that the parser looks at, else `HeaderKind.other`. */
  readonly kind: HeaderKind;
}

/**
 * The headers that every message is checked for. A constant enum, because compiled code then holds the numbers
 * themselves and a switch over them is a jump.
 */
export const enum HeaderKind {
  other = 0,
  from = 1,
  to = 2,
  callId = 3,
  cseq = 4,
  maxForwards = 5,
  contentType = 6,
  contentLength = 7,
  referTo = 8,
  referredBy = 9,
  replaces = 10,
  event = 11,
  subscriptionState = 12,
  via = 13,
  contact = 14,
  route = 15,
  recordRoute = 16,
}

/** The headers up to this one must not repeat. */
export const LAST_SINGLE = HeaderKind.subscriptionState;

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

/** Names by kind; the place in the list is the number in `HeaderKind`. */
const KINDS = [
  "",
  "from",
  "to",
  "call-id",
  "cseq",
  "max-forwards",
  "content-type",
  "content-length",
  "refer-to",
  "referred-by",
  "replaces",
  "event",
  "subscription-state",
  "via",
  "contact",
  "route",
  "record-route",
];

/** Every spelling that is recognised without further work. Never grows with what peers send. */
const KNOWN = new Map<string, HeaderName>();
{
  for (const display of ["Identity-Info", ...SPELLINGS.trim().split(/\s+/)]) {
    const name = display.toLowerCase();
    const entry: HeaderName = {
      name,
      display,
      prefix: `${display}: `,
      kind: Math.max(KINDS.indexOf(name), 0),
    };
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
  return knownHeaderName(spelling) ?? otherName(spelling.toLowerCase(), spelling);
}

/** The same for the names of the RFCs alone, which are all good tokens. */
export function knownHeaderName(spelling: string): HeaderName | undefined {
  return KNOWN.get(spelling) ?? KNOWN.get(spelling.toLowerCase());
}

function otherName(name: string, display: string): HeaderName {
  return { name, display, prefix: `${display}: `, kind: HeaderKind.other };
}

const LONGEST = 31;

/** Full names by length and first letter: at most a few share a place. Filled once. */
const BUCKETS: HeaderName[][] = Array.from({ length: (LONGEST + 1) * 32 }, () => []);
for (const entry of new Set(KNOWN.values())) {
  BUCKETS[bucketOf(entry.name.length, entry.name.charCodeAt(0))]?.push(entry);
}

function bucketOf(length: number, firstLetter: number): number {
  return (length << 5) | (firstLetter & 31);
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
  const length = end - start;
  if (length > LONGEST) return undefined;
  const bucket = BUCKETS[bucketOf(length, text.charCodeAt(start))];
  if (bucket.length === 0) return undefined;
  const spelling = text.slice(start, end);
  for (let i = 0; i < bucket.length; i++) {
    if (spelling === bucket[i].display) return bucket[i];
  }
  return KNOWN.get(spelling.toLowerCase());
}
