/**
 * The checks of RFC 3261 §8.1.1, §8.2, §16.3 and RFC 4475 that a message must pass before anything acts on
 * it. What they parse stays cached in the header fields.
 */
import { isWhitespace, parseDecimal } from "./grammar.js";
import type { HeaderField } from "./headers.js";
import { DEFAULT_LIMITS, type MessageLimits } from "./limits.js";
import {
  addressListOf,
  parseCSeq,
  strictAddressOf,
  viasOf,
  type CSeq,
  type SipMessage,
} from "./message.js";
import { parseNameAddr } from "./name-addr.js";
import type { ParseError } from "./parser.js";
import { parseUri, SipUri } from "./uri.js";

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
    (message.kind === "request" ? checkRequestUri(message.uri) : undefined)
  );
}

function checkHeaders(message: SipMessage, limits: MessageLimits): Fault | undefined {
  let seen = 0;
  let viaLines = 0;
  const counts = { via: 0, contact: 0, route: 0 };
  let cseq: CSeq | undefined;
  let callId = false;
  let from = false;
  let to = false;
  for (const field of message.headers.fields) {
    const { name, single } = field.header;
    if (single !== 0) {
      if ((seen & single) !== 0) return repeated(field);
      seen |= single;
    }
    let fault: Fault | undefined;
    switch (name) {
      case "via":
        if (viaLines++ === 0 && viasOf(field).length === 0) fault = malformed(field, "§20.42");
        if ((counts.via += itemsAtMost(field.value)) > limits.vias) fault = tooMany("via");
        break;
      case "from":
        from = true;
        if (strictAddressOf(field) === undefined) fault = malformed(field, "§20.20");
        break;
      case "to":
        to = true;
        if (strictAddressOf(field) === undefined) fault = malformed(field, "§20.39");
        break;
      case "call-id":
        callId = true;
        if (!isCallId(field.value)) fault = malformed(field, "§20.8");
        break;
      case "cseq":
        cseq = (field.parsed ??= parseCSeq(field.value)) as CSeq | undefined;
        if (cseq === undefined) return malformed(field, "§20.16");
        break;
      case "max-forwards":
        if (message.kind === "request" && parseDecimal(field.value, 255) === undefined) {
          fault = malformed(field, "§20.22");
        }
        break;
      case "contact":
        fault = checkList(message, field, "contact");
        if ((counts.contact += itemsOf(field)) > limits.contacts) fault = tooMany("contact");
        break;
      case "route":
      case "record-route":
        fault = checkList(message, field, name);
        if ((counts.route += itemsOf(field)) > limits.routes * 2) fault = tooMany("route");
        break;
      case "refer-to":
      case "referred-by":
        if (parseNameAddr(field.value) === undefined) fault = malformed(field, "§25.1");
        break;
    }
    if (fault !== undefined) return fault;
  }
  if (viaLines === 0) return missing("Via");
  if (!from) return missing("From");
  if (!to) return missing("To");
  if (!callId) return missing("Call-ID");
  if (cseq === undefined) return missing("CSeq");
  if (message.kind === "request" && cseq.method !== message.method) {
    return {
      rule: "cseq-method",
      rfc: "RFC 3261 §8.1.1.5",
      reason: "CSeq method differs from request method",
    };
  }
  return undefined;
}

/**
 * Contact, Route, Record-Route. Other people's bindings in the answer to a REGISTER, and targets in 3xx and
 * above, are read leniently: what is malformed is left out, the response still counts.
 */
function checkList(message: SipMessage, field: HeaderField, name: string): Fault | undefined {
  if (name === "contact" && message.kind === "response") {
    if (message.statusCode >= 300) return undefined;
    if (message.headers.get("cseq")?.endsWith("REGISTER") === true) return undefined;
  }
  if (addressListOf(field) !== undefined) return undefined;
  const section = name === "contact" ? "§20.10" : name === "route" ? "§20.34" : "§20.30";
  return malformed(field, section);
}

function itemsOf(field: HeaderField): number {
  return addressListOf(field)?.length ?? 1;
}

/** Upper bound of the values in a line: commas inside quotes count too. */
function itemsAtMost(value: string): number {
  let items = 1;
  for (let i = value.indexOf(","); i >= 0; i = value.indexOf(",", i + 1)) items++;
  return items;
}

/** Not empty and in one piece; its characters are not our business (RFC 4475 §3.1.1.2 shows why). */
function isCallId(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (isWhitespace(value.charCodeAt(i))) return false;
  return value.length > 0;
}

/** Any scheme will do here (416 is the user agent's); headers inside are forbidden (RFC 3261 §19.1.1). */
function checkRequestUri(text: string): Fault | undefined {
  const uri = parseUri(text);
  if (uri !== undefined && !(uri instanceof SipUri && uri.headers.size > 0)) return undefined;
  return { rule: "request-uri", rfc: "RFC 3261 §7.1", reason: "Malformed Request-URI" };
}

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
