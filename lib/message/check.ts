/**
 * The checks of RFC 3261 §8.1.1, §8.2, §16.3 and RFC 4475 that a message must pass before anything acts on
 * it. What they parse stays cached in the header fields.
 */
import { parseDecimalWithin } from "./grammar.js";
import { HeaderKind, LAST_SINGLE } from "./header-names.js";
import type { HeaderField } from "./headers.js";
import { DEFAULT_LIMITS, type MessageLimits } from "./limits.js";
import {
  readAddress,
  strictCSeqOf,
  viasOf,
  type CSeq,
  type SipMessage,
  type SipRequest,
} from "./message.js";
import { countNameAddrsWithin, isNameAddrWithin } from "./name-addr.js";
import type { ParseError } from "./parse-error.js";
import { SipUri } from "./uri.js";

/** What a check found; the message decides about the status. */
export interface Fault {
  readonly rule: string;
  readonly rfc: string;
  readonly reason: string;
  /** Default 400. */
  readonly status?: number;
  readonly fatal?: boolean;
}

/** The error for a fault: responses and ACK are dropped, other requests are answered. */
export function errorOf(fault: Fault, message: SipMessage | undefined): ParseError {
  const answerable = message?.kind === "request" && message.method !== "ACK";
  return {
    rule: fault.rule,
    rfc: fault.rfc,
    statusHint: answerable ? (fault.status ?? 400) : undefined,
    reason: fault.reason,
    ...(fault.fatal === true ? { fatal: true } : {}),
  };
}

/**
 * Mandatory headers present once and well-formed, CSeq method equal to the method, numbers in range, counts
 * within limits. `parseMessage` has already called it.
 */
export function checkMessage(
  message: SipMessage,
  limits: MessageLimits = DEFAULT_LIMITS,
): ParseError | undefined {
  const fault = findFault(message, limits);
  return fault === undefined ? undefined : errorOf(fault, message);
}

/** The first rule that a message breaks. */
export function findFault(message: SipMessage, limits: MessageLimits): Fault | undefined {
  return (
    checkHeaders(message, limits) ??
    (message.kind === "request" ? checkRequestUri(message) : undefined)
  );
}

/** What the walk over the headers has seen so far. */
interface Seen {
  /** A bit per header kind. */
  kinds: number;
  vias: number;
  contacts: number;
  routes: number;
  recordRoutes: number;
  cseq: CSeq | undefined;
}

const MANDATORY: readonly (readonly [number, string])[] = [
  [HeaderKind.via, "Via"],
  [HeaderKind.from, "From"],
  [HeaderKind.to, "To"],
  [HeaderKind.callId, "Call-ID"],
  [HeaderKind.cseq, "CSeq"],
];
const ALL_MANDATORY = MANDATORY.reduce((bits, [kind]) => bits | (1 << kind), 0);

function checkHeaders(message: SipMessage, limits: MessageLimits): Fault | undefined {
  const seen: Seen = {
    kinds: 0,
    vias: 0,
    contacts: 0,
    routes: 0,
    recordRoutes: 0,
    cseq: undefined,
  };
  const fields = message.headers.fields;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    const { kind } = field.header;
    if (kind === HeaderKind.other) continue;
    const bit = 1 << kind;
    if (kind <= LAST_SINGLE && (seen.kinds & bit) !== 0) return repeated(field);
    const fault = checkField(message, field, seen, limits);
    if (fault !== undefined) return fault;
    seen.kinds |= bit;
  }
  if ((seen.kinds & ALL_MANDATORY) !== ALL_MANDATORY) {
    const absent = MANDATORY.find(([kind]) => (seen.kinds & (1 << kind)) === 0);
    return missing(absent?.[1] ?? "");
  }
  return message.kind === "request" && seen.cseq?.method !== message.method
    ? WRONG_METHOD
    : undefined;
}

function checkField(
  message: SipMessage,
  field: HeaderField,
  seen: Seen,
  limits: MessageLimits,
): Fault | undefined {
  switch (field.header.kind) {
    case HeaderKind.via:
      if (seen.vias === 0 && viasOf(field).length === 0) return malformed(field, "§20.42");
      // A value takes thirteen characters at least: short lines need no counting.
      seen.vias += 1 + Math.floor((field.end - field.start) / SHORTEST_VIA);
      if (seen.vias <= limits.vias) return undefined;
      return countVias(message) > limits.vias ? tooMany("via") : undefined;
    case HeaderKind.from:
      return readAddress(field) ? undefined : malformed(field, "§20.20");
    case HeaderKind.to:
      return readAddress(field) ? undefined : malformed(field, "§20.39");
    case HeaderKind.callId:
      return isCallId(field) ? undefined : malformed(field, "§20.8");
    case HeaderKind.cseq:
      seen.cseq = strictCSeqOf(field);
      return seen.cseq === undefined ? malformed(field, "§20.16") : undefined;
    case HeaderKind.maxForwards:
      return message.kind === "request" &&
        parseDecimalWithin(field.text, field.start, field.end, 255) === undefined
        ? malformed(field, "§20.22")
        : undefined;
    case HeaderKind.contact: {
      const count = countList(field);
      if (count < 0 && !isLenientContact(message)) return malformed(field, "§20.10");
      seen.contacts += Math.abs(count);
      return seen.contacts > limits.contacts ? tooMany("contact") : undefined;
    }
    case HeaderKind.route: {
      const count = countList(field);
      if (count < 0) return malformed(field, "§20.34");
      seen.routes += count;
      return seen.routes > limits.routes ? tooMany("route") : undefined;
    }
    case HeaderKind.recordRoute: {
      const count = countList(field);
      if (count < 0) return malformed(field, "§20.30");
      seen.recordRoutes += count;
      return seen.recordRoutes > limits.routes ? tooMany("route") : undefined;
    }
    case HeaderKind.referTo:
    case HeaderKind.referredBy:
      return isAddress(field) ? undefined : malformed(field, "§25.1");
    default:
      return undefined;
  }
}

/**
 * Other people's bindings in the answer to a REGISTER, and targets in 3xx and above, are read leniently: what
 * is malformed is left out, the response still counts.
 */
function isLenientContact(message: SipMessage): boolean {
  if (message.kind === "request") return false;
  return message.statusCode >= 300 || message.headers.get("cseq")?.endsWith("REGISTER") === true;
}

function isAddress(field: HeaderField): boolean {
  return isNameAddrWithin(field.text, field.start, field.end);
}

function countList(field: HeaderField): number {
  return countNameAddrsWithin(field.text, field.start, field.end);
}

/** `SIP/2.0/UDP h` */
const SHORTEST_VIA = 13;

/** Via values of all lines; commas inside quotes count too. */
function countVias(message: SipMessage): number {
  let count = 0;
  for (const { header, value } of message.headers.fields) {
    if (header.kind !== HeaderKind.via) continue;
    count++;
    for (let i = value.indexOf(","); i >= 0; i = value.indexOf(",", i + 1)) count++;
  }
  return count;
}

/** Not empty and in one piece; its characters are not our business (RFC 4475 §3.1.1.2 shows why). */
function isCallId({ value }: HeaderField): boolean {
  return value.length > 0 && !value.includes(" ") && !value.includes("\t");
}

/** Any scheme will do here (416 is the user agent's); headers inside are forbidden (RFC 3261 §19.1.1). */
function checkRequestUri(request: SipRequest): Fault | undefined {
  const uri = request.strictRequestUri;
  if (uri === undefined) return BAD_REQUEST_URI;
  return uri instanceof SipUri && uri.hasHeaders ? BAD_REQUEST_URI : undefined;
}

const BAD_REQUEST_URI: Fault = {
  rule: "request-uri",
  rfc: "RFC 3261 §7.1",
  reason: "Malformed Request-URI",
};
const WRONG_METHOD: Fault = {
  rule: "cseq-method",
  rfc: "RFC 3261 §8.1.1.5",
  reason: "CSeq method differs from request method",
};

function malformed(field: HeaderField, section: string): Fault {
  return {
    rule: "malformed-header",
    rfc: `RFC 3261 ${section}`,
    reason: `Malformed ${field.header.display}`,
  };
}

function repeated(field: HeaderField): Fault {
  return {
    rule: "repeated-header",
    rfc: "RFC 3261 §7.3.1",
    reason: `Repeated ${field.header.display}`,
  };
}

function missing(display: string): Fault {
  return { rule: "missing-header", rfc: "RFC 3261 §8.1.1", reason: `Missing ${display}` };
}

function tooMany(what: string): Fault {
  return { rule: `too-many-${what}s`, rfc: "RFC 3261 §20", reason: `Too many ${what} values` };
}
